"""The conv trunk, computed only where it must be.

A bin of the trunk's output depends on the input from 259 bases before it to 259 after. So windows that overlap share
their bins wherever their starts agree modulo the bin size; and before the last pooling they share them modulo half of
that, and so on up to the stem, which all windows share. `LocalTrunk.bins` computes a set of runs of bins that way: each
stage's convolutions once, then pooled from either of the two alignments, for those runs that need it.

What differs between windows is computed apart, on short slices (`LocalTrunk.slice`): the outermost bins, where the
network pads with zeros, and the bins around an edit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from varscore.engine.precision import Products
from varscore.engine.rules import gelu, gelu_change, pool_change
from varscore.network.enformer import ConvBlock, Enformer


def one_hot(codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Base codes [..., L] (A0 C1 G2 T3, anything else unknown) to [..., L, 4], unknown bases all zero."""
    return (codes[..., None] == torch.arange(4, device=codes.device, dtype=codes.dtype)).to(dtype)


@dataclass(frozen=True)
class Run:
    """Consecutive bins of a sequence: the coordinate of the first one's first base, and how many."""

    start: int
    bins: int


class LocalTrunk:
    """The conv trunk of a network, over runs of bins and short slices.

    Args:
        network: its weights are used as they are.
        products: precision of the convolutions, except on slices, which are few and decide a score's accuracy.
    """

    def __init__(self, network: Enformer, products: Products) -> None:
        self.network, self.products = network, products
        self.stages = network.stages
        self.bin_size = network.config.bin_size
        self.dim, self.dtype = network.config.dim, network.final.conv.weight.dtype
        self.device = network.final.conv.weight.device
        widest = [stage.widen.conv if isinstance(stage.widen, ConvBlock) else stage.widen for stage in self.stages]
        self._half_widths = [conv.kernel_size[0] // 2 for conv in widest]
        self.reach = sum(half << level for level, half in enumerate(self._half_widths))
        """Bases on either side of a bin that it depends on."""
        self.halo = -(-self.reach // self.bin_size)
        """Bins at either end of a window that zero padding reaches."""
        self._chunk = 64 if self.device.type == "cpu" else 512

    def slice(self, codes: Tensor) -> Tensor:
        """Trunk bins of short sequences with zero padding at both ends: codes [B, n · bin size] to [B, n, D]."""
        with Products().active():
            return self.network.trunk(one_hot(codes, self.dtype))

    def slice_change(self, ref: Tensor, alt: Tensor) -> Tensor:
        """Trunk bins of short alternatives minus those of their references: codes [B, n · bin size] to [B, n, D]."""
        x = one_hot(ref, self.dtype).transpose(1, 2)
        d = one_hot(alt, self.dtype).transpose(1, 2) - x
        with Products().active():
            for stage in self.stages:
                x, d = self._conv_change(stage.widen, x, d)
                y, dy = self._conv_change(stage.pointwise, x, d)
                x, d = x + y, d + dy
                logits, d_logits = stage.pool.logits(x), stage.pool.logits(d)
                x, d = pool_change(x, d, logits, d_logits)
        return d.transpose(1, 2)

    def _conv_change(self, block: ConvBlock | torch.nn.Conv1d, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        """A conv block with its padding, on a reference and a change."""
        if isinstance(block, ConvBlock):
            x, block, norm = block.norm(x), block.conv, block.norm
            assert norm.running_var is not None
            d = d * (norm.weight * torch.rsqrt(norm.running_var + norm.eps))[:, None]
            x, d = gelu(x), gelu_change(x, d)
        return block(x), F.conv1d(d, block.weight, padding=block.weight.shape[-1] // 2)

    def bins(self, codes: Tensor, origin: int, runs: Sequence[Run]) -> list[Tensor]:
        """The bins of every run, as they are in the middle of a window.

        Args:
            codes: a sequence's base codes [L].
            origin: the coordinate of its first base. Every run with `reach` bases around it must lie inside.
            runs: what to compute, in the coordinates of `origin`.

        Returns:
            For every run, [bins, D].
        """
        out = [torch.empty(run.bins, self.dim, dtype=self.dtype, device=self.device) for run in runs]
        if not runs:
            return out
        step = self._chunk * self.bin_size
        first, last = min(run.start for run in runs), max(run.start + run.bins * self.bin_size for run in runs)
        for low in range(first, last, step):
            parts = [part for part in map(self._part, runs, out, [low] * len(runs), [low + step] * len(runs)) if part]
            if not parts:
                continue
            begin = min(start for start, _ in parts) - self.reach
            end = max(start + len(bins) * self.bin_size for start, bins in parts) + self.reach
            x = one_hot(codes[begin - origin : end - origin], self.dtype).T[None]
            self._descend(0, x, begin, parts)
        return out

    def _part(self, run: Run, out: Tensor, low: int, high: int) -> tuple[int, Tensor] | None:
        """The bins of a run that start in [low, high): the coordinate of the first, and where they go."""
        skipped = max(0, -(-(low - run.start) // self.bin_size))
        stop = min(run.bins, -(-(high - run.start) // self.bin_size))
        return (run.start + skipped * self.bin_size, out[skipped:stop]) if skipped < stop else None

    def _descend(self, level: int, x: Tensor, origin: int, parts: list[tuple[int, Tensor]]) -> None:
        """From a stage's input [1, C, L], with 2^level bases from one position to the next, to the bins of `parts`."""
        if level == len(self.stages):
            for start, bins in parts:
                first = (start - origin) // self.bin_size
                bins.copy_(x[0, :, first : first + len(bins)].T)
            return
        stage, spacing = self.stages[level], 1 << level
        x = self._conv(stage.widen, x)
        origin += self._half_widths[level] * spacing
        x += self._conv(stage.pointwise, x)
        logits = self._product(x, stage.pool.logits.weight, None)
        for odd in (0, 1):
            aligned = [part for part in parts if (part[0] - origin) // spacing % 2 == odd]
            if not aligned:
                continue
            length = (x.shape[-1] - odd) // 2 * 2
            pairs = x[..., odd : odd + length].unflatten(-1, (-1, 2))
            pair_logits = logits[..., odd : odd + length].unflatten(-1, (-1, 2))
            weight = (pair_logits[..., 1] - pair_logits[..., 0]).sigmoid_()
            self._descend(level + 1, torch.lerp(pairs[..., 0], pairs[..., 1], weight), origin + odd * spacing, aligned)

    def _conv(self, block: ConvBlock | torch.nn.Conv1d, x: Tensor) -> Tensor:
        """A conv block, or the stem's bare convolution, without padding."""
        if isinstance(block, ConvBlock):
            x, block = gelu(block.norm(x)), block.conv
        return self._product(x, block.weight, block.bias)

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, narrow = self.products.cast(x), self.products.weight(weight)
        # a pointwise convolution is faster as a matrix product
        y = (narrow[..., 0] @ x if weight.shape[-1] == 1 else F.conv1d(x, narrow)).to(self.dtype)
        return y if bias is None else y.add_(bias[:, None])
