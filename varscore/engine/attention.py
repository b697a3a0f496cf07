"""Attention on a reference and on the changes of any number of alternatives at once.

Softmax is where a difference is easiest lost. With A = softmax(L), e = expm1(dL) and s = Σ A·e over keys, the new
weights are A·(1 + e)/(1 + s), so the change of the output is ((A·e)·v′ − s·(A·v′))/(1 + s) + A·dv, with v′ = v + dv:
products of changes, never a difference of outputs. The maps of logits are large, so they are worked on in blocks of
rows of one head.

Shapes: N bins, D channels, B alternatives, H heads, K key size, V value size, R query rows of a block, W touched bins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from varscore.engine.precision import Products
from varscore.engine.rules import layer_norm
from varscore.network.enformer import TransformerLayer


def by_key(by_distance: Tensor) -> Tensor:
    """Logits of R query rows by distance, [..., R, N + R − 1], read by key, [..., R, N]: a view, nothing is copied.

    Each row starts one distance before the row above, since its query stands one bin further right.
    """
    rows, width = by_distance.shape[-2:]
    keys = width - rows + 1
    strides = (*by_distance.stride()[:-2], width - 1, 1)
    offset = by_distance.storage_offset() + rows - 1
    return by_distance.as_strided((*by_distance.shape[:-2], rows, keys), strides, offset)


def reweighted(weighted: Tensor, s: Tensor, out: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
    """The change of attention's output, from (A·e)·v′, s, A·v and A·dv; and where it loses its digits.

    That is in rows where nearly all weight moves to other keys.
    """
    return (weighted - s * (out + moved)) / (1 + s) + moved, ~((s > -0.99) & (s < 1e6))


@dataclass(frozen=True)
class Blocks:
    """How much is worked on at a time: bins (in attention, the queries of one head), and alternatives."""

    rows: int
    alternatives: int

    @classmethod
    def on(cls, device: torch.device) -> "Blocks":
        """Blocks that stay in a CPU's cache, or that fill a GPU."""
        return cls(rows=512, alternatives=1) if device.type == "cpu" else cls(rows=1536, alternatives=8)

    def of_rows(self, rows: slice) -> Iterator[slice]:
        """Query rows, a block at a time."""
        for top in range(rows.start, rows.stop, self.rows):
            yield slice(top, min(top + self.rows, rows.stop))

    def of_alternatives(self, count: int) -> Iterator[slice]:
        """Alternatives, a block at a time."""
        for first in range(0, count, self.alternatives):
            yield slice(first, min(first + self.alternatives, count))


@dataclass(frozen=True)
class Spans:
    """The only bins where alternatives differ from the reference: of alternative b, [first[b], first[b] + width)."""

    first: Sequence[int]
    width: int

    def bins(self, device: torch.device) -> Tensor:
        """Their indices [B, W]."""
        return torch.tensor(self.first, device=device)[:, None] + torch.arange(self.width, device=device)


@dataclass(frozen=True)
class Head:
    """One head on the reference: queries [N, K] with either bias, keys [N, K], values [N, V], positions [2N − 1, K]."""

    q_content: Tensor
    q_position: Tensor
    k: Tensor
    v: Tensor
    positions: Tensor
    products: Products

    def by_distance(self, q: Tensor, rows: slice) -> Tensor:
        """The part of the logits of these queries [..., R, K] that depends on the distance: [..., R, N]."""
        bins = len(self.k)
        near = self.positions[bins - rows.stop : 2 * bins - 1 - rows.start]
        return by_key(self.products(q, near.T))

    def logits(self, rows: slice) -> Tensor:
        """[R, N]."""
        return self.products(self.q_content[rows], self.k.T) + self.by_distance(self.q_position[rows], rows)

    def change(
        self, rows: slice, weights: Tensor, narrow: Tensor, out: Tensor, dq: Tensor, moving: "Moving", careful: bool
    ) -> tuple[Tensor, Tensor]:
        """What changes of R rows' output `out` [R, V], with changed queries dq [b, R, K].

        Args:
            rows: which rows.
            weights: their weights [R, N].
            narrow: the same as it enters products.
            out: their output on the reference.
            dq: their queries' changes.
            moving: all keys and values.
            careful: compute rows where the fast formula loses its digits by subtraction.

        Returns:
            The change [b, R, V], and in which rows the fast formula loses its digits [b, R, 1].
        """
        products = self.products
        # dq·(k + dk)ᵀ + (q + u)·dkᵀ as one product
        q = torch.cat([dq, self.q_content[rows].expand_as(dq)], dim=-1)
        d_logits = products(q, moving.keys.transpose(-1, -2))
        d_logits += self.by_distance(dq, rows)
        moved = products(narrow, moving.dv)
        e = torch.expm1(d_logits) if careful else d_logits.expm1_()
        weighted = e.mul_(weights)
        s = weighted.sum(dim=-1, keepdim=True)
        change, bad = reweighted(products(weighted, moving.v), s, out, moved)
        if careful:
            subtracted = products(torch.softmax(self.logits(rows) + d_logits, dim=-1), moving.v) - out
            change = torch.where(bad, subtracted, change)
        return change, bad

    def change_by_columns(
        self, rows: slice, weights: Tensor, out: Tensor, bins: Tensor, dk: Tensor, dv: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same for rows whose own queries do not change, where keys and values do only at `bins` [B, W]."""
        shape = (len(weights), *bins.shape)
        weights = weights[:, bins.flatten()].view(shape).transpose(0, 1)
        d_logits = (self.q_content[rows] @ dk.flatten(0, 1).T).view(shape).transpose(0, 1)
        weighted = torch.expm1(d_logits) * weights
        s = weighted.sum(dim=-1, keepdim=True)
        moved = weights @ dv
        return reweighted(weighted @ (self.v[bins] + dv), s, out, moved)


@dataclass(frozen=True)
class Moving:
    """One head's keys and values of alternatives: [k + dk | dk] [B, N, 2K], v + dv and dv [B, N, V]."""

    keys: Tensor
    v: Tensor
    dv: Tensor

    @classmethod
    def of(cls, head: Head, dk: Tensor, dv: Tensor) -> "Moving":
        """From the changes [B, N, K] and [B, N, V]."""
        cast = head.products.cast
        return cls(cast(torch.cat([head.k + dk, dk], dim=-1)), cast(head.v + dv), cast(dv))

    def __getitem__(self, some: slice) -> "Moving":
        return Moving(self.keys[some], self.v[some], self.dv[some])


class DifferenceAttention:
    """A transformer layer's attention, with the normalisation before it.

    Args:
        layer: its weights are used as they are.
        features: of relative positions [2N − 1, V].
        products: precision of the matrix products.
        blocks: how much to work on at a time.
    """

    def __init__(self, layer: TransformerLayer, features: Tensor, products: Products, blocks: Blocks) -> None:
        self.norm, self.attention, self.products, self.blocks = layer.attention_norm, layer.attention, products, blocks
        self.positions = self.attention.split(self.attention.position(features))

    def __call__(
        self, x: Tensor, d: Tensor, rows: slice, spans: Spans | None = None, *, careful: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Add to these rows of d what attention adds to them.

        Args:
            x: the reference [N, D].
            d: the alternatives minus it [B, N, D].
            rows: the queries wanted.
            spans: where d is not zero, if that is in few bins.
            careful: see `Head.change`.

        Returns:
            What it adds to x [rows, D], and whether a row lost its digits (bool).
        """
        attention = self.attention
        n = F.layer_norm(x, self.norm.normalized_shape, self.norm.weight, self.norm.bias, self.norm.eps)
        bins = None if spans is None or careful else spans.bins(x.device)
        q, k, v = (attention.split(y) for y in self._project(n))
        del n
        if bins is None:
            projected = self._project_changes(x, d)
        else:
            near = d[torch.arange(len(d), device=d.device)[:, None], bins]
            projected = self._project(layer_norm(self.norm, x[bins], near)[1])
        dq, dk, dv = (attention.split(y) for y in projected)
        out = x.new_empty(rows.stop - rows.start, x.shape[1])
        d_out = d.new_empty(len(d), *out.shape)
        lost = torch.zeros((), dtype=torch.bool, device=x.device)
        for i in range(attention.heads):
            columns = slice(i * attention.value_size, (i + 1) * attention.value_size)
            head = Head(
                q[i] + attention.content_bias[i],
                q[i] + attention.position_bias[i],
                k[i],
                v[i],
                self.positions[i],
                self.products,
            )
            changes = dq[:, i], dk[:, i], dv[:, i]
            if bins is None:
                lost |= self._everywhere(head, rows, *changes, out[:, columns], d_out[..., columns], careful)
            else:
                assert spans is not None
                lost |= self._locally(head, rows, *changes, out[:, columns], d_out[..., columns], spans, bins)
        linear, weight = self.products.linear, attention.out.weight
        for some in self.blocks.of_alternatives(len(d)):
            d[some, rows] += linear(d_out[some], weight)
        return linear(out, weight, attention.out.bias), lost

    def _project(self, n: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of normalised bins or their changes [..., D]."""
        attention, n = self.attention, self.products.cast(n)
        weights = attention.query.weight, attention.key.weight, attention.value.weight
        q, k, v = (self.products.linear(n, weight) for weight in weights)
        return q.mul_(attention.key_size**-0.5), k, v

    def _project_changes(self, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of the changes d [B, N, D] to x, before normalisation."""
        keys, values = self.attention.key.out_features, self.attention.value.out_features
        projected = tuple(d.new_empty(*d.shape[:-1], size) for size in (keys, keys, values))
        for some in self.blocks.of_alternatives(len(d)):
            for rows in self.blocks.of_rows(slice(0, len(x))):
                block = self._project(layer_norm(self.norm, x[rows], d[some, rows])[1])
                for whole, part in zip(projected, block, strict=True):
                    whole[some, rows] = part
        dq, dk, dv = projected
        return dq, dk, dv

    def _everywhere(
        self, head: Head, rows: slice, dq: Tensor, dk: Tensor, dv: Tensor, out: Tensor, d_out: Tensor, careful: bool
    ) -> Tensor:
        """One head's output and its change, where any bin may have changed."""
        lost = torch.zeros((), dtype=torch.bool, device=dq.device)
        moving = Moving.of(head, dk, dv)
        for block in self.blocks.of_rows(rows):
            target = slice(block.start - rows.start, block.stop - rows.start)
            weights = torch.softmax(head.logits(block), dim=-1)
            narrow = self.products.cast(weights)
            out[target] = o = self.products(narrow, head.v)
            for some in self.blocks.of_alternatives(len(dq)):
                change, bad = head.change(block, weights, narrow, o, dq[some, block], moving[some], careful)
                d_out[some, target] = change
                lost |= bad.any()
        return lost

    def _locally(
        self,
        head: Head,
        rows: slice,
        dq: Tensor,
        dk: Tensor,
        dv: Tensor,
        out: Tensor,
        d_out: Tensor,
        spans: Spans,
        bins: Tensor,
    ) -> Tensor:
        """The same where only the spans' bins have changed: other rows see a change in a few columns alone."""
        lost = torch.zeros((), dtype=torch.bool, device=dq.device)
        for block in self.blocks.of_rows(rows):
            target = slice(block.start - rows.start, block.stop - rows.start)
            weights = torch.softmax(head.logits(block), dim=-1)
            out[target] = o = self.products(weights, head.v)
            d_out[:, target], bad = head.change_by_columns(block, weights, o, bins, dk, dv)
            lost |= bad.any()
        for b, start in enumerate(spans.first):
            block = slice(max(start, rows.start), min(start + spans.width, rows.stop))
            if block.start >= block.stop:
                continue
            own = slice(block.start - start, block.stop - start)
            target = slice(block.start - rows.start, block.stop - rows.start)
            all_dk, all_dv = dk.new_zeros(1, *head.k.shape), dv.new_zeros(1, *head.v.shape)
            all_dk[0, start : start + spans.width], all_dv[0, start : start + spans.width] = dk[b], dv[b]
            weights = torch.softmax(head.logits(block), dim=-1)
            moving = Moving.of(head, all_dk, all_dv)
            narrow = self.products.cast(weights)
            change, bad = head.change(block, weights, narrow, out[target], dq[b : b + 1, own], moving, careful=False)
            d_out[b, target] = change[0]
            lost |= bad.any()
        return lost
