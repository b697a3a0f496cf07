"""The Enformer network: 196,608 bp of DNA in, 896 bins of 128 bp for every track out.

Architecture and constants after Avsec et al., Nature Methods 18, 1196 (2021), and DeepMind's published TensorFlow
implementation. This is the readable reference. It predicts and nothing else: parameters are frozen unless a training
script asks for gradients, BatchNorm uses its running statistics unless the module is put in training mode.

Shapes: B windows, L = 196,608 positions, N = 1,536 bins, D model channels, H heads, K key size, T tracks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-5
"""Added to variances by BatchNorm and LayerNorm alike."""


@dataclass(frozen=True)
class EnformerConfig:
    """The sizes of an Enformer; the defaults are the published network's.

    Raises:
        ValueError: sizes that do not fit together.
    """

    stem_channels: int = 768
    tower_channels: tuple[int, ...] = (768, 896, 1024, 1152, 1280, 1536)
    heads: int = 8
    key_size: int = 64
    layers: int = 11
    tracks: dict[str, int] = field(default_factory=lambda: {"human": 5313, "mouse": 1643})
    bins: int = 1536
    """Bins that the transformer sees."""
    bins_out: int = 896
    """Central bins that are predicted."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tower_channels", tuple(self.tower_channels))
        object.__setattr__(self, "tracks", dict(self.tracks))
        if self.dim % self.heads or (self.dim // self.heads) % 6:
            raise ValueError(f"{self.dim} channels over {self.heads} heads: the value size must be a multiple of 6")
        if (self.bins - self.bins_out) % 2 or not 0 < self.bins_out <= self.bins:
            raise ValueError(f"{self.bins_out} of {self.bins} bins cannot be cropped evenly")

    @property
    def dim(self) -> int:
        """D, the transformer's channels."""
        return self.tower_channels[-1]

    @property
    def value_size(self) -> int:
        """Channels of a head's values, and of its relative-position features."""
        return self.dim // self.heads

    @property
    def bin_size(self) -> int:
        """Base pairs in a bin: the stem and every tower block halve the length."""
        return 2 ** (1 + len(self.tower_channels))

    @property
    def window(self) -> int:
        """Base pairs in a window."""
        return self.bins * self.bin_size

    @property
    def crop(self) -> int:
        """Bins dropped at each end before the heads."""
        return (self.bins - self.bins_out) // 2


def gelu(x: Tensor) -> Tensor:
    """Enformer's GELU, the sigmoid approximation x·σ(1.702x), not the exact one."""
    return torch.sigmoid(1.702 * x) * x


class ConvBlock(nn.Module):
    """BatchNorm, GELU, convolution with zero padding: [B, C, L] to [B, C', L]."""

    def __init__(self, channels_in: int, channels_out: int, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels_in, eps=EPSILON)
        self.conv = nn.Conv1d(channels_in, channels_out, width, padding=width // 2)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, L] to [B, C', L]."""
        return self.conv(gelu(self.norm(x)))


class AttentionPool(nn.Module):
    """Softmax-weighted mean of each pair of neighbours, with weights per channel: [B, C, L] to [B, C, L/2]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logits = nn.Conv1d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, L], L even, to [B, C, L/2]."""
        logits = self.logits(x)
        # a softmax over two is a sigmoid of their difference
        weight = torch.sigmoid(logits[..., 1::2] - logits[..., ::2])
        return torch.lerp(x[..., ::2], x[..., 1::2], weight)


class Stage(nn.Module):
    """A wide convolution, a residual pointwise block, and pooling by two: the stem and each tower block."""

    def __init__(self, widen: nn.Conv1d | ConvBlock, channels: int) -> None:
        super().__init__()
        self.widen: nn.Conv1d | ConvBlock = widen
        self.pointwise = ConvBlock(channels, channels, 1)
        self.pool = AttentionPool(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, L] to [B, C', L/2]."""
        x = self.widen(x)
        return self.pool(x + self.pointwise(x))


def relative_position_features(bins: int, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Enformer's features of relative distance, computed in float64.

    A sixth of the features each: exponentials of half-lives from 8 bins to the length; indicators of distance below
    2^i − 1; gamma densities with means spread over the length, each scaled to a maximum of 1 over positions. Then the
    same times the sign of the distance.

    Returns:
        [2·bins − 1, size], row 0 for distance −(bins − 1). The distance is the key's position minus the query's.
    """
    basis = size // 6
    distance = torch.arange(-bins + 1, bins, dtype=torch.float64)
    d = distance.abs()[:, None]

    half_life = 2 ** torch.linspace(3.0, math.log2(bins), basis, dtype=torch.float64)
    exponential = torch.exp(-math.log(2.0) / half_life * d)

    central = (2.0 ** torch.arange(1, basis + 1, dtype=torch.float64) - 1 > d).double()

    deviation = bins / (2 * basis)
    mean = torch.linspace(bins / basis, bins, basis, dtype=torch.float64)
    concentration, rate = (mean / deviation) ** 2, mean / deviation**2
    log_density = torch.xlogy(concentration - 1, d) - rate * d
    log_density += concentration * torch.log(rate) - torch.lgamma(concentration)
    density = torch.exp(log_density) + 1e-8
    gamma = density / density.amax(dim=0, keepdim=True)

    features = torch.cat([exponential, central, gamma], dim=1)
    return torch.cat([features, distance.sign()[:, None] * features], dim=1).to(dtype)


def relative_shift(x: Tensor) -> Tensor:
    """From logits by distance to logits by key: [..., N, 2N − 1] to [..., N, N], out[i, j] = x[i, N − 1 + j − i]."""
    n, width = x.shape[-2:]
    flat = F.pad(x, (1, 0)).flatten(-2)[..., n:].unflatten(-1, (n, width))
    return flat[..., :n]


class Attention(nn.Module):
    """Multi-head self-attention with Transformer-XL's content and position biases: [B, N, D] to [B, N, D]."""

    def __init__(self, config: EnformerConfig) -> None:
        super().__init__()
        keys = config.heads * config.key_size
        self.heads, self.key_size, self.value_size = config.heads, config.key_size, config.value_size
        self.query = nn.Linear(config.dim, keys, bias=False)
        self.key = nn.Linear(config.dim, keys, bias=False)
        self.value = nn.Linear(config.dim, config.dim, bias=False)
        self.position = nn.Linear(config.value_size, keys, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(config.heads, 1, config.key_size))
        self.position_bias = nn.Parameter(torch.zeros(config.heads, 1, config.key_size))
        self.out = nn.Linear(config.dim, config.dim)

    def split(self, x: Tensor) -> Tensor:
        """[..., N, H·size] to [..., H, N, size]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, D] to [B, N, D]."""
        features = relative_position_features(x.shape[1], self.value_size, x.dtype).to(x.device)
        q = self.split(self.query(x)) * self.key_size**-0.5
        k, v = self.split(self.key(x)), self.split(self.value(x))
        r = self.split(self.position(features))
        content = (q + self.content_bias) @ k.transpose(-1, -2)
        position = relative_shift((q + self.position_bias) @ r.transpose(-1, -2))
        weights = torch.softmax(content + position, dim=-1)
        return self.out((weights @ v).transpose(-2, -3).flatten(-2))


class TransformerLayer(nn.Module):
    """Pre-norm attention and feed-forward block, both residual: [B, N, D] to [B, N, D]."""

    def __init__(self, config: EnformerConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.dim, eps=EPSILON)
        self.attention = Attention(config)
        self.feed_forward_norm = nn.LayerNorm(config.dim, eps=EPSILON)
        self.expand = nn.Linear(config.dim, 2 * config.dim)
        self.contract = nn.Linear(2 * config.dim, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, D] to [B, N, D]."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.contract(torch.relu(self.expand(self.feed_forward_norm(x))))


class Enformer(nn.Module):
    """Conv trunk, transformer and one head per organism; each can be called alone.

    `forward` takes one-hot DNA [B, L, 4] in A, C, G, T order (unknown bases all zero) and returns
    {organism: [B, bins_out, T]}, non-negative coverage per bin of 128 bp.
    """

    def __init__(self, config: EnformerConfig) -> None:
        super().__init__()
        self.config = config
        channels = (config.stem_channels, *config.tower_channels)
        stem = Stage(nn.Conv1d(4, channels[0], 15, padding=7), channels[0])
        tower = [Stage(ConvBlock(a, b, 5), b) for a, b in pairwise(channels)]
        self.conv_stages = nn.Sequential(stem, *tower)
        self.layers = nn.Sequential(*(TransformerLayer(config) for _ in range(config.layers)))
        self.final = ConvBlock(config.dim, 2 * config.dim, 1)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * config.dim, n) for name, n in config.tracks.items()})

    @property
    def stages(self) -> list[Stage]:
        """The stem and the tower's blocks."""
        return [stage for stage in self.conv_stages if isinstance(stage, Stage)]

    def trunk(self, one_hot: Tensor) -> Tensor:
        """The convolutions: one-hot DNA [B, L, 4] to [B, N, D]."""
        return self.conv_stages(one_hot.transpose(1, 2)).transpose(1, 2)

    def transformer(self, x: Tensor) -> Tensor:
        """The attention layers: [B, N, D] to [B, N, D]."""
        return self.layers(x)

    def embed(self, x: Tensor) -> Tensor:
        """Crop to the predicted bins, then the final pointwise block: [B, N, D] to [B, bins_out, 2D]."""
        x = x[:, self.config.crop : x.shape[1] - self.config.crop]
        return gelu(self.final(x.transpose(1, 2))).transpose(1, 2)

    def head(self, embedding: Tensor, organism: str) -> Tensor:
        """Tracks of one organism: [B, bins_out, 2D] to [B, bins_out, T]."""
        return F.softplus(self.head_layer(organism)(embedding))

    def head_layer(self, organism: str) -> nn.Linear:
        """The linear layer from embedding to an organism's tracks."""
        layer = self.heads[organism]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, one_hot: Tensor, organisms: Sequence[str] | None = None) -> dict[str, Tensor]:
        """One-hot DNA [B, L, 4] to {organism: [B, bins_out, T]}, of these organisms or of all."""
        embedding = self.embed(self.transformer(self.trunk(one_hot)))
        return {organism: self.head(embedding, organism) for organism in organisms or self.heads}

    def keep_tracks(self, organism: str, tracks: Sequence[int]) -> None:
        """Reduce one organism's head to these tracks, in this order; what is dropped is not computed any more."""
        head = self.head_layer(organism)
        index = torch.as_tensor(tracks, device=head.weight.device)
        head.weight.data, head.bias.data = head.weight[index], head.bias[index]
        head.out_features = len(index)
