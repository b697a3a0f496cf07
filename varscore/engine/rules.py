"""How the network's functions change when their argument does, without subtracting two nearly equal numbers.

x is the argument on the reference, d what the alternative adds to it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varscore.network.enformer import EPSILON

SMALL = 1.0
"""Below this size of the argument's change, a function's change is computed from it; above, by subtraction."""


def layer_norm(norm: nn.LayerNorm, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """x [N, D] and d [B, N, D] after LayerNorm."""
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True) + EPSILON
    scale = variance.rsqrt()
    d_centred = d - d.mean(dim=-1, keepdim=True)
    d_variance = (d_centred * (2 * centred + d_centred)).mean(dim=-1, keepdim=True)
    new_scale = (variance + d_variance).rsqrt()
    # new_scale − scale = −d_variance · scale · new_scale / (1/scale + 1/new_scale)
    d_scale = -d_variance * scale * new_scale / (1 / scale + 1 / new_scale)
    change = d_centred.mul_(new_scale).addcmul_(centred.expand_as(d), d_scale.expand_as(d)).mul_(norm.weight)
    return torch.addcmul(norm.bias, centred * scale, norm.weight), change


def sigmoid_change(x: Tensor, d: Tensor) -> Tensor:
    """σ(x + d) − σ(x)."""
    before, after = torch.sigmoid(x), torch.sigmoid(x + d)
    small = torch.expm1(d.clamp(-SMALL, SMALL)).mul_(before).mul_(1 - after)
    return torch.where(d.abs() < SMALL, small, after.sub_(before))


def relu_change(low: Tensor, floor: Tensor, d: Tensor) -> Tensor:
    """relu(x + d) − relu(x), exactly d where both are positive; `low` is min(x, 0), `floor` is −max(x, 0)."""
    return torch.maximum(d.add_(low), floor, out=d)


def gelu(x: Tensor) -> Tensor:
    """Enformer's GELU, x·σ(1.702x), with one tensor less than the network's."""
    return (1.702 * x).sigmoid_().mul_(x)


def gelu_change(x: Tensor, d: Tensor) -> Tensor:
    """gelu(x + d) − gelu(x) for Enformer's GELU, x·σ(1.702x)."""
    return torch.sigmoid(1.702 * (x + d)).mul_(d).addcmul_(x, sigmoid_change(1.702 * x, 1.702 * d))


def pool_change(x: Tensor, d: Tensor, logits: Tensor, d_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Attention pooling's output and its change, of pairs along the last axis: [..., 2n] to [..., n]."""
    gap, d_gap = (y[..., 1::2] - y[..., ::2] for y in (logits, d_logits))
    weight, d_weight = torch.sigmoid(gap), sigmoid_change(gap, d_gap)
    step, d_step = (y[..., 1::2] - y[..., ::2] for y in (x, d))
    return torch.addcmul(x[..., ::2], weight, step), d[..., ::2] + d_weight * (step + d_step) + weight * d_step


def softplus_change(x: Tensor, d: Tensor) -> Tensor:
    """softplus(x + d) − softplus(x)."""
    small = torch.log1p(torch.sigmoid(x) * torch.expm1(d.clamp(-SMALL, SMALL)))
    return torch.where(d.abs() < SMALL, small, F.softplus(x + d) - F.softplus(x))
