"""Matrix products in a stated precision; everything between them stays in the wider type."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import Tensor


class Precision(StrEnum):
    """What matrix products are computed in: float32, TF32 (10 bits of mantissa), bfloat16 (7 bits)."""

    FP32 = "fp32"
    TF32 = "tf32"
    BF16 = "bf16"


def default_precision(device: torch.device) -> Precision:
    """The fastest whose error of SAD against float64 is below 2 % (`varscore bench` measures it): TF32 on a GPU."""
    return Precision.TF32 if device.type == "cuda" else Precision.FP32


@dataclass(frozen=True)
class Products:
    """Matrix products of one precision. TF32 on a CPU is emulated, to measure it: its factors are rounded first."""

    precision: Precision = Precision.FP32
    _weights: dict[Tensor, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def of_trunk(self, device: torch.device) -> "Products":
        """Those of the conv trunk. In bfloat16 its errors would outweigh all others, and it is shared by alleles."""
        if self.precision is not Precision.BF16:
            return self
        return Products(default_precision(device))

    def cast(self, x: Tensor) -> Tensor:
        """A factor as it enters the products."""
        if self.precision is Precision.BF16:
            return x.bfloat16()
        if self.precision is Precision.TF32 and x.device.type == "cpu":
            return round_to_tf32(x)
        return x

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """The matrix product a·b, its sums in the wider type: [..., M, K] and [..., K, N] to [..., M, N]."""
        return (self.cast(a) @ self.cast(b)).to(torch.promote_types(a.dtype, torch.float32))

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """x·Wᵀ + b, in the weight's type; x may have been cast already."""
        y = F.linear(self.cast(x), self.weight(weight)).to(weight.dtype)
        return y if bias is None else y.add_(bias)

    def weight(self, weight: Tensor) -> Tensor:
        """A weight as it enters the products, kept: it enters many."""
        if self.precision is Precision.FP32:
            return weight
        if weight not in self._weights:
            self._weights[weight] = self.cast(weight)
        return self._weights[weight]

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Set torch's own switches for CUDA, whatever they were, and restore them."""
        tf32 = self.precision is not Precision.FP32
        matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn


def round_to_tf32(x: Tensor) -> Tensor:
    """float32 rounded to the nearest number with 10 bits of mantissa, as tensor cores read it."""
    return ((x.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)
