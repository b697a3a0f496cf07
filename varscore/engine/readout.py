"""From the transformer's output, reference and changes, to statistics of tracks: last block, head, both strands.

Predictions of the two strands are averaged, bin by bin, before statistics are taken of them.

Shapes: N predicted bins, D channels, B alternatives, T tracks, S statistics, G genes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from varscore.engine.attention import Blocks
from varscore.engine.precision import Products
from varscore.engine.rules import gelu, gelu_change, softplus_change
from varscore.engine.statistics import FORMULAS, Statistic, mask
from varscore.engine.windows import Job
from varscore.network.enformer import Enformer


@dataclass(frozen=True)
class Embedding:
    """What the head is given, of one strand of a window: reference [N, 2D] and changes [B, N, 2D]."""

    x: Tensor
    d: Tensor
    reverse: bool


class Reducer:
    """Takes statistics of profiles, wherever they come from.

    Args:
        statistics: of every allele, [S]. Of genes, their formulas are taken, each once.
        crop: bins left of the first predicted one.
        bin_size: in base pairs.
    """

    def __init__(self, statistics: Sequence[Statistic], crop: int, bin_size: int) -> None:
        self.statistics, self.crop, self.bin_size = tuple(statistics), crop, bin_size
        self.gene_formulas = gene_formulas(statistics)

    def alleles(self, r: Tensor, d: Tensor, jobs: Sequence[Job]) -> Tensor:
        """Statistics of B jobs of one window: r [N, T] and d [B, N, T] to [B, S, T] float64."""
        found = []
        for statistic in self.statistics:
            compute = FORMULAS[statistic.formula].compute
            if statistic.width is None:
                found.append(compute(r, d))
                continue
            each = []
            for job, one in zip(jobs, d, strict=True):
                index = job.edit.anchor - job.start - self.crop * self.bin_size
                first, end = mask(index, statistic.width, len(r), self.bin_size)
                each.append(compute(r[first:end], one[None, first:end]))
            found.append(torch.cat(each))
        return torch.stack(found, dim=1)

    def genes(self, r: Tensor, d: Tensor, genes: Sequence[Sequence[int]]) -> Tensor:
        """The same of genes, each a list of bins: [B, G, S', T]."""
        found = []
        for bins in genes:
            chosen = torch.tensor(bins, device=d.device)
            near, change = r[chosen], d[:, chosen]
            found.append(torch.stack([FORMULAS[name].compute(near, change) for name in self.gene_formulas], dim=1))
        return torch.stack(found, dim=1)


def gene_formulas(statistics: Sequence[Statistic]) -> tuple[str, ...]:
    """The formulas of statistics, each once: a gene's bins are a mask of their own."""
    return tuple(dict.fromkeys(statistic.formula for statistic in statistics))


class Readout:
    """The last block and one organism's head, on references and changes.

    Args:
        network: its weights are used as they are.
        organism: whose head.
        products: precision of the matrix products.
        reducer: takes the statistics.
        blocks: how much to work on at a time; by default what suits the device.
    """

    def __init__(
        self, network: Enformer, organism: str, products: Products, reducer: Reducer, blocks: Blocks | None = None
    ) -> None:
        self.final, self.head = network.final, network.head_layer(organism)
        self.products, self.reducer = products, reducer
        device = network.final.conv.weight.device
        self.blocks = blocks or Blocks.on(device)
        self.pointwise = network.final.conv.weight[..., 0]
        self.track_block = 512 if device.type == "cpu" else 2048

    def embed(self, x: Tensor, d: Tensor, *, reverse: bool) -> Embedding:
        """The transformer's output x [N, D], d [B, N, D] through the last block."""
        norm, conv, linear = self.final.norm, self.final.conv, self.products.linear
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        out = x.new_empty(len(x), self.pointwise.shape[0])
        d_out = d.new_empty(len(d), *out.shape)
        for rows in self.blocks.of_rows(slice(0, len(x))):
            normed = (x[rows] - norm.running_mean) * gain + norm.bias
            wide = linear(gelu(normed), self.pointwise, conv.bias)
            out[rows] = gelu(wide)
            for some in self.blocks.of_alternatives(len(d)):
                d_wide = linear(gelu_change(normed, d[some, rows] * gain), self.pointwise)
                d_out[some, rows] = gelu_change(wide, d_wide)
        return Embedding(out, d_out, reverse)

    def __call__(self, strands: Sequence[Embedding], jobs: Sequence[Job]) -> tuple[Tensor, Tensor | None]:
        """Statistics of B jobs of one window.

        Args:
            strands: the window's, one or both.
            jobs: of the alternatives.

        Returns:
            Of the alleles [B, S, T], in float64; and of the window's genes [B, G, S', T], if it has any.
        """
        genes = jobs[0].genes
        alleles, of_genes = [], []
        for first in range(0, self.head.out_features, self.track_block):
            tracks = slice(first, min(first + self.track_block, self.head.out_features))
            weight, bias = self.head.weight[tracks], self.head.bias[tracks]
            logits = [self.products.linear(strand.x, weight, bias) for strand in strands]
            r = self._average([F.softplus(one) for one in logits], strands)
            found, found_genes = [], []
            for some in self.blocks.of_alternatives(len(jobs)):
                changes = [
                    softplus_change(one, self.products.linear(strand.d[some], weight))
                    for one, strand in zip(logits, strands, strict=True)
                ]
                d = self._average(changes, strands)
                found.append(self.reducer.alleles(r, d, jobs[some]))
                if genes:
                    found_genes.append(self.reducer.genes(r, d, genes))
            alleles.append(torch.cat(found))
            if genes:
                of_genes.append(torch.cat(found_genes))
        return torch.cat(alleles, dim=-1), torch.cat(of_genes, dim=-1) if genes else None

    def _average(self, profiles: Sequence[Tensor], strands: Sequence[Embedding]) -> Tensor:
        """The mean over strands, in the forward strand's order of bins."""
        forward = [y.flip(-2) if strand.reverse else y for y, strand in zip(profiles, strands, strict=True)]
        return forward[0] if len(forward) == 1 else forward[0].add_(forward[1]).div_(2)
