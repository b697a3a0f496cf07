"""Reference and differences through the network together.

Beside the reference activation x goes d = alternative − x, for any number of alternatives at once. Linear layers act on
d alone; the others have rules that never subtract two large, nearly equal numbers. So a score keeps the digits that the
difference of two predictions loses, and the reference is computed once for all its alternatives.

Shapes: N bins, D channels, B alternatives, H heads, K key size, V value size, R query rows of a block.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from varscore.engine.precision import Products
from varscore.engine.rules import gelu_change, layer_norm, relu_change, softplus_change
from varscore.network.enformer import Enformer, TransformerLayer, gelu, relative_position_features


def by_key(by_distance: Tensor) -> Tensor:
    """Logits of R query rows by distance, [..., R, N + R − 1], read by key, [..., R, N]: a view, nothing is copied.

    Each row starts one distance before the row above, since its query stands one bin further right.
    """
    rows, width = by_distance.shape[-2:]
    keys = width - rows + 1
    strides = (*by_distance.stride()[:-2], width - 1, 1)
    offset = by_distance.storage_offset() + rows - 1
    return by_distance.as_strided((*by_distance.shape[:-2], rows, keys), strides, offset)


@dataclass(frozen=True)
class Blocks:
    """How much is worked on at a time: query rows of one head, alternatives in attention, alternatives elsewhere."""

    rows: int
    alternatives: int

    @classmethod
    def on(cls, device: torch.device) -> "Blocks":
        """Blocks that stay in a CPU's cache, or that fill a GPU."""
        return cls(rows=256, alternatives=1) if device.type == "cpu" else cls(rows=1536, alternatives=8)


class DifferenceTransformer:
    """From the trunk's output for a reference and B alternatives to the scores of one organism's tracks.

    Args:
        network: its weights are used as they are.
        organism: whose head.
        products: precision of the matrix products.
    """

    def __init__(self, network: Enformer, organism: str, products: Products) -> None:
        self.network, self.products, self.head = network, products, network.head_layer(organism)
        config = network.config
        weight = network.final.conv.weight
        self.blocks = Blocks.on(weight.device)
        features = relative_position_features(config.bins, config.value_size, weight.dtype).to(weight.device)
        self.layers = [layer for layer in network.layers if isinstance(layer, TransformerLayer)]
        self.positions = [layer.attention.split(layer.attention.position(features)) for layer in self.layers]

    def __call__(self, x: Tensor, d: Tensor, careful: bool = False) -> tuple[Tensor, Tensor]:
        """SAD of every alternative.

        Args:
            x: the trunk's output for the reference [N, D].
            d: the alternatives' minus it [B, N, D]; overwritten.
            careful: compute attention's change by subtraction in rows where the fast formula loses its digits.

        Returns:
            SAD [B, T] in float64, and whether any row lost its digits (a bool tensor; then call again, carefully).
        """
        lost = torch.zeros((), dtype=torch.bool, device=x.device)
        crop = self.network.config.crop
        for index, layer in enumerate(self.layers):
            last = index + 1 == len(self.layers)
            # of the last layer, only the bins that are predicted are needed
            rows = slice(crop, x.shape[0] - crop) if last else slice(0, x.shape[0])
            change, d_change, lost_here = self._attention(index, x, d, rows, careful)
            lost |= lost_here
            x, d = x[rows] + change, d[:, rows].add_(d_change)
            x, d = self._feed_forward(layer, x, d)
        return self._tracks(x, d), lost

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        cast = self.products.cast
        y = F.linear(cast(x), cast(weight)).to(x.dtype)
        return y if bias is None else y.add_(bias)

    def _attention(self, index: int, x: Tensor, d: Tensor, rows: slice, careful: bool) -> tuple[Tensor, Tensor, Tensor]:
        """What attention adds to x [rows, D] and to d [B, rows, D], and whether a row lost its digits."""
        layer, cast = self.layers[index], self.products.cast
        attention = layer.attention
        n, dn = layer_norm(layer.attention_norm, x, d)
        scale = attention.key_size**-0.5
        q, dq = (attention.split(self._linear(y, attention.query.weight).mul_(scale)) for y in (n, dn))
        k, dk = (attention.split(self._linear(y, attention.key.weight)) for y in (n, dn))
        v, dv = (attention.split(self._linear(y, attention.value.weight)) for y in (n, dn))
        del n, dn
        positions = self.positions[index]
        bins, first = x.shape[0], rows.start
        out = x.new_empty(rows.stop - first, x.shape[1])
        d_out = d.new_empty(len(d), rows.stop - first, x.shape[1])
        lost = torch.zeros((), dtype=torch.bool, device=x.device)
        size = attention.value_size
        for head in range(attention.heads):
            columns = slice(head * size, (head + 1) * size)
            keys, values = cast(k[head]).T, cast(v[head])
            q_content = q[head] + attention.content_bias[head]
            q_position = q[head] + attention.position_bias[head]
            for top in range(first, rows.stop, self.blocks.rows):
                block = slice(top, min(top + self.blocks.rows, rows.stop))
                near = cast(positions[head, bins - block.stop : 2 * bins - 1 - top]).T
                logits = cast(q_content[block]) @ keys + by_key(cast(q_position[block]) @ near)
                weights = torch.softmax(logits.to(x.dtype), dim=-1)
                target = slice(top - first, block.stop - first)
                out[target, columns] = o = (cast(weights) @ values).to(x.dtype)
                for some in self._some(len(d)):
                    # dq·(k + dk)ᵀ + (q + u)·dkᵀ as one product
                    left = torch.cat([dq[some, head, block], q_content[block].expand_as(dq[some, head, block])], dim=-1)
                    right = torch.cat([k[head] + dk[some, head], dk[some, head]], dim=-1)
                    d_logits = (cast(left) @ cast(right).transpose(-1, -2)).to(x.dtype)
                    d_logits += by_key(cast(dq[some, head, block]) @ near)
                    new_values = cast(v[head] + dv[some, head])
                    d_values = cast(dv[some, head])
                    moved = (cast(weights) @ d_values).to(x.dtype)
                    e = torch.expm1(d_logits) if careful else d_logits.expm1_()
                    weighted = e.mul_(weights)
                    s = weighted.sum(dim=-1, keepdim=True)
                    reweighted = (cast(weighted) @ new_values).to(x.dtype)
                    change = (reweighted - s * (o + moved)) / (1 + s) + moved
                    bad = ~((s > -0.99) & (s < 1e6))
                    if careful:
                        new_weights = torch.softmax(logits.to(x.dtype) + d_logits, dim=-1)
                        subtracted = (cast(new_weights) @ new_values).to(x.dtype) - o
                        change = torch.where(bad, subtracted, change)
                    else:
                        lost |= bad.any()
                    d_out[some, target, columns] = change
        weight = attention.out.weight
        return self._linear(out, weight, attention.out.bias), self._linear(d_out, weight), lost

    def _some(self, count: int) -> list[slice]:
        step = self.blocks.alternatives
        return [slice(first, min(first + step, count)) for first in range(0, count, step)]

    def _feed_forward(self, layer: TransformerLayer, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        hidden = None
        for some in self._some(len(d)):
            n, dn = layer_norm(layer.feed_forward_norm, x, d[some])
            if hidden is None:
                hidden = self._linear(n, layer.expand.weight, layer.expand.bias)
            change = relu_change(hidden, self._linear(dn, layer.expand.weight))
            d[some] += self._linear(change, layer.contract.weight)
        assert hidden is not None
        return x + self._linear(hidden.relu_(), layer.contract.weight, layer.contract.bias), d

    def _tracks(self, x: Tensor, d: Tensor) -> Tensor:
        """The predicted bins' x [bins, D] and d [B, bins, D] through the last block and the head to SAD [B, T]."""
        norm, conv = self.network.final.norm, self.network.final.conv
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight = conv.weight[..., 0]
        normed = (x - norm.running_mean) * gain + norm.bias
        wide = self._linear(gelu(normed), weight, conv.bias)
        logits = self._linear(gelu(wide), self.head.weight, self.head.bias)
        scores = []
        for some in self._some(len(d)):
            d_wide = self._linear(gelu_change(normed, d[some] * gain), weight)
            d_logits = self._linear(gelu_change(wide, d_wide), self.head.weight)
            scores.append(softplus_change(logits, d_logits).sum(dim=-2, dtype=torch.float64))
        return torch.cat(scores)
