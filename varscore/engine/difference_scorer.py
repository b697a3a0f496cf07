"""Scoring by difference propagation over a shared, local trunk: the default engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from varscore.engine import windows
from varscore.engine.difference import DifferenceTransformer
from varscore.engine.memory import usual_batch_size
from varscore.engine.precision import Precision, Products
from varscore.engine.readout import Embedding, Readout, Reducer
from varscore.engine.statistics import SAD, Statistic
from varscore.engine.strand import Strand
from varscore.engine.trunk import LocalTrunk
from varscore.engine.windows import EditedWindow, Job, Scores
from varscore.genome.reference import Reference
from varscore.network.enformer import Enformer, EnformerConfig

log = logging.getLogger("varscore")

GROUP_BYTES = 512 * 2**20
"""Trunk output that is held at a time, of one strand."""
GROUP_SPAN = 2**20
"""Bases from the first window's start to the last one's in a group."""

Done = Callable[[float], None]
"""Called with the number of alleles just finished."""


def default_part_size(config: EnformerConfig, device: torch.device, engine: str) -> int:
    """Alleles to compute and write together: what a group holds, so that windows share all they can.

    On a GPU, where an allele takes milliseconds, enough that writing takes no notable time beside.
    """
    if engine == "plain":
        return 16
    return 1024 if device.type == "cuda" else min(512, max(16, GROUP_BYTES // (4 * config.bins * config.dim)))


@dataclass(frozen=True)
class View:
    """A group's windows on one strand, one for each job, and their trunk outputs."""

    strand: Strand
    edited: Sequence[EditedWindow]
    reverse: bool


@dataclass(frozen=True)
class Batch:
    """Alternatives of one window: indices into a group's jobs, the jobs, and on each view the reference [N, D]."""

    indices: Sequence[int]
    jobs: Sequence[Job]
    references: Sequence[Tensor]


class DifferenceScorer:
    """Statistics of edits, by windows that share what they have in common.

    Args:
        network: on the device that is to compute.
        organism: whose head.
        rc: average the predictions of both strands.
        precision: of the matrix products.
        batch_size: alternatives of one window that go through the transformer together, by default as many as memory
            allows; halved, and kept so, whenever the device is out of memory.
        statistics: what to compute.
    """

    def __init__(
        self,
        network: Enformer,
        organism: str,
        *,
        rc: bool = True,
        precision: Precision = Precision.FP32,
        batch_size: int | None = None,
        statistics: Sequence[Statistic] = (SAD,),
    ) -> None:
        self.config, self.rc = network.config, rc
        self.batch_size = batch_size or usual_batch_size(self.config, network.final.conv.weight.device)
        self.products = Products(precision)
        self.trunk = LocalTrunk(network, self.products.of_trunk(network.final.conv.weight.device))
        with torch.inference_mode(), self.products.active():
            self.transformer = DifferenceTransformer(network, self.products)
        reducer = Reducer(statistics, self.config.crop, self.config.bin_size)
        self.readout = Readout(network, organism, self.products, reducer)
        self.tracks = network.head_layer(organism).out_features
        self.window_bytes = self.config.bins * self.config.dim * self.trunk.dtype.itemsize

    @torch.inference_mode()
    def score(self, reference: Reference, jobs: Sequence[Job], done: Done | None = None) -> Scores:
        """Statistics of n jobs, in their order."""
        alleles = np.zeros((len(jobs), len(self.readout.reducer.statistics), self.tracks))
        genes = [np.zeros((0, 0, self.tracks), np.float32)] * len(jobs)
        with self.products.active():
            for group in self._groups(jobs):
                chosen = [jobs[i] for i in group]
                for some, found, of_genes in self._batches(self._views(reference, chosen), chosen):
                    alleles[[group[i] for i in some]] = found.cpu().numpy()
                    if of_genes is not None:
                        for i, each in zip(some, of_genes.float().cpu().numpy(), strict=True):
                            genes[group[i]] = each
                    if done:
                        done(len(some))
        return Scores(alleles, genes)

    def _views(self, reference: Reference, jobs: Sequence[Job]) -> list[View]:
        """The windows of jobs on every strand that is asked for."""
        forward = self._sequence(reference, jobs)
        views = []
        for reverse in (False, True) if self.rc else (False,):
            edited = [EditedWindow.of(job, self.config.window, reverse=reverse) for job in jobs]
            sequence = forward.reverse() if reverse else forward
            views.append(View(Strand(self.trunk, self.config.bins, sequence, edited), edited, reverse))
        return views

    def _groups(self, jobs: Sequence[Job]) -> Iterator[list[int]]:
        """Jobs by place, cut so that a group's trunk output fits `GROUP_BYTES`."""
        group: list[int] = []
        held = 0.0
        first = last = None
        for i in sorted(range(len(jobs)), key=lambda i: (jobs[i].stretch.name, jobs[i].start)):
            job = jobs[i]
            here = (job.stretch.name, job.start)
            # a new window, and for an indel the shifted side
            needed = (here != last) + (len(job.edit.ref) != len(job.edit.alt)) * 0.5
            if group and first is not None:
                far = first[0] != here[0] or here[1] - first[1] > GROUP_SPAN
                if far or (held + needed) * self.window_bytes > GROUP_BYTES:
                    yield group
                    group, held, first = [], 0.0, None
            first, last = first or here, here
            group.append(i)
            held += needed
        if group:
            yield group

    def _sequence(self, reference: Reference, jobs: Sequence[Job]) -> windows.Sequence:
        """The stretch of the forward strand that the jobs' windows lie in."""
        shift = max(abs(len(job.edit.ref) - len(job.edit.alt)) for job in jobs)
        start = min(job.start for job in jobs) - shift
        end = max(job.start for job in jobs) + self.config.window + shift
        return windows.Sequence(reference.codes(jobs[0].stretch, start, end), start)

    def _batches(
        self, views: Sequence[View], jobs: Sequence[Job]
    ) -> Iterator[tuple[Sequence[int], Tensor, Tensor | None]]:
        """Indices into `jobs`, their statistics [B, S, T], and those of their window's genes [B, G, S', T]."""
        before = None
        for _, same in groupby(sorted(range(len(jobs)), key=lambda i: jobs[i].start), lambda i: jobs[i].start):
            members = list(same)
            references = [view.strand.reference(view.edited[members[0]].start) for view in views]
            # indels apart: they change more than a few bins
            shifted = [i for i in members if views[0].edited[i].shifted]
            waiting = [shifted, [i for i in members if not views[0].edited[i].shifted]]
            while waiting:
                some, rest = waiting[-1][: self.batch_size], waiting[-1][self.batch_size :]
                if not some:
                    waiting.pop()
                    continue
                batch = Batch(some, [jobs[i] for i in some], references)
                try:
                    found, of_genes, lost = self._compute(views, batch)
                except torch.OutOfMemoryError:
                    if len(some) == 1:
                        raise
                    self.batch_size = len(some) // 2
                    log.warning("%s is out of memory: going on with batches of %d", self.trunk.device, self.batch_size)
                    continue
                waiting[-1] = rest
                # a GPU is given the next batch before the last one's results are waited for
                if before:
                    yield self._settled(views, *before)
                before = batch, found, of_genes, lost
        if before:
            yield self._settled(views, *before)

    def _compute(
        self, views: Sequence[View], batch: Batch, *, careful: bool = False
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """A batch's statistics, those of its genes, and whether attention lost digits."""
        embedded = [
            self._embed(view, x, batch.indices, careful) for view, x in zip(views, batch.references, strict=True)
        ]
        found, of_genes = self.readout([embedding for embedding, _ in embedded], batch.jobs)
        return found, of_genes, torch.stack([lost for _, lost in embedded]).any()

    def _embed(self, view: View, x: Tensor, indices: Sequence[int], careful: bool) -> tuple[Embedding, Tensor]:
        """What the head is given of one strand, and whether attention lost digits."""
        edited = [view.edited[i] for i in indices]
        spans = None if careful else view.strand.spans(edited)
        out, d, lost = self.transformer(x, view.strand.differences(x, edited), spans, careful=careful)
        return self.readout.embed(out, d, reverse=view.reverse), lost

    def _settled(
        self, views: Sequence[View], batch: Batch, found: Tensor, of_genes: Tensor | None, lost: Tensor
    ) -> tuple[Sequence[int], Tensor, Tensor | None]:
        """A batch's scores, computed again with care where attention lost digits."""
        if lost:
            found, of_genes, _ = self._compute(views, batch, careful=True)
        return batch.indices, found, of_genes
