"""Scoring by difference propagation over a shared, local trunk: the default engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from varscore.engine import windows
from varscore.engine.difference import DifferenceTransformer
from varscore.engine.memory import usual_batch_size
from varscore.engine.precision import Precision, Products
from varscore.engine.strand import Strand
from varscore.engine.trunk import LocalTrunk
from varscore.engine.windows import EditedWindow, Job
from varscore.genome.reference import Reference
from varscore.network.enformer import Enformer, EnformerConfig

log = logging.getLogger("varscore")

GROUP_BYTES = 512 * 2**20
"""Trunk output that is held at a time, of one strand."""
GROUP_SPAN = 2**20
"""Bases from the first window's start to the last one's in a group."""

Done = Callable[[float], None]
"""Called with the number of alleles just finished; one strand of two is half an allele."""


def default_part_size(config: EnformerConfig, device: torch.device, engine: str) -> int:
    """Alleles to compute and write together: what a group holds, so that windows share all they can.

    On a GPU, where an allele takes milliseconds, enough that writing takes no notable time beside.
    """
    if engine == "plain":
        return 16
    return 1024 if device.type == "cuda" else min(512, max(16, GROUP_BYTES // (4 * config.bins * config.dim)))


class DifferenceScorer:
    """SAD of edits, by windows that share what they have in common.

    Args:
        network: on the device that is to compute.
        organism: whose head.
        rc: average both strands.
        precision: of the matrix products.
        batch_size: alternatives of one window that go through the transformer together, by default as many as memory
            allows; halved, and kept so, whenever the device is out of memory.
    """

    def __init__(
        self,
        network: Enformer,
        organism: str,
        *,
        rc: bool = True,
        precision: Precision = Precision.FP32,
        batch_size: int | None = None,
    ) -> None:
        self.config, self.rc = network.config, rc
        self.batch_size = batch_size or usual_batch_size(self.config, network.final.conv.weight.device)
        self.products = Products(precision)
        self.trunk = LocalTrunk(network, self.products.of_trunk(network.final.conv.weight.device))
        with torch.inference_mode(), self.products.active():
            self.transformer = DifferenceTransformer(network, organism, self.products)
        self.tracks = network.head_layer(organism).out_features
        self.window_bytes = self.config.bins * self.config.dim * self.trunk.dtype.itemsize

    @torch.inference_mode()
    def score(self, reference: Reference, jobs: Sequence[Job], done: Done | None = None) -> np.ndarray:
        """SAD of n jobs: [n, T] float64, in their order."""
        scores = np.zeros((len(jobs), self.tracks))
        strands = (False, True) if self.rc else (False,)
        with self.products.active():
            for group in self._groups(jobs):
                chosen = [jobs[i] for i in group]
                forward = self._sequence(reference, chosen)
                for reverse in strands:
                    edited = [EditedWindow.of(job, self.config.window, reverse=reverse) for job in chosen]
                    sequence = forward.reverse() if reverse else forward
                    strand = Strand(self.trunk, self.config.bins, sequence, edited)
                    for some, found in self._batches(strand, edited):
                        scores[[group[i] for i in some]] += found.cpu().numpy() / len(strands)
                        if done:
                            done(len(some) / len(strands))
        return scores

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

    def _batches(self, strand: Strand, edited: Sequence[EditedWindow]) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Indices into `edited`, and their SAD on this strand [B, T]."""
        before = None
        for start, same in groupby(
            sorted(range(len(edited)), key=lambda i: edited[i].start), lambda i: edited[i].start
        ):
            x = strand.reference(start)
            members = list(same)
            # indels apart: they change more than a few bins
            waiting = [[i for i in members if edited[i].shifted], [i for i in members if not edited[i].shifted]]
            while waiting:
                some, rest = waiting[-1][: self.batch_size], waiting[-1][self.batch_size :]
                if not some:
                    waiting.pop()
                    continue
                batch = [edited[i] for i in some]
                try:
                    found, lost = self.transformer(x, strand.differences(x, batch), strand.spans(batch))
                except torch.OutOfMemoryError:
                    if len(some) == 1:
                        raise
                    self.batch_size = len(some) // 2
                    log.warning("%s is out of memory: going on with batches of %d", x.device, self.batch_size)
                    continue
                waiting[-1] = rest
                # a GPU is given the next batch before the last one's results are waited for
                if before:
                    yield self._settled(strand, *before)
                before = some, batch, x, found, lost
        if before:
            yield self._settled(strand, *before)

    def _settled(
        self, strand: Strand, some: Sequence[int], batch: Sequence[EditedWindow], x: Tensor, found: Tensor, lost: Tensor
    ) -> tuple[Sequence[int], Tensor]:
        """A batch's scores, computed again with care where attention lost digits."""
        if lost:
            found, _ = self.transformer(x, strand.differences(x, batch), careful=True)
        return some, found
