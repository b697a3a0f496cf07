"""Scoring by difference propagation over a shared, local trunk: the default engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from varscore.engine import windows
from varscore.engine.attention import Spans
from varscore.engine.difference import DifferenceTransformer
from varscore.engine.precision import Precision, Products
from varscore.engine.trunk import LocalTrunk, Run
from varscore.engine.windows import Codes, EditedWindow, Job
from varscore.genome.reference import Reference
from varscore.network.enformer import Enformer

GROUP_BYTES = 512 * 2**20
"""Trunk output that is held at a time, of one strand."""
GROUP_SPAN = 2**20
"""Bases from the first window's start to the last one's in a group."""
SLICES = 16
"""Short slices that go through the trunk together."""

Done = Callable[[float], None]
"""Called with the number of alleles just finished; one strand of two is half an allele."""


@dataclass(frozen=True)
class Slice:
    """A short sequence, which of its trunk bins to keep, and where they go [kept, D].

    With a reference beside it, what goes there is the sequence's bins minus the reference's.
    """

    codes: Codes
    keep: slice
    out: Tensor
    reference: Codes | None = None


class DifferenceScorer:
    """SAD of edits, by windows that share what they have in common.

    Args:
        network: on the device that is to compute.
        organism: whose head.
        rc: average both strands.
        precision: of the matrix products.
        batch_size: alternatives of one window that go through the transformer together.
    """

    def __init__(
        self,
        network: Enformer,
        organism: str,
        *,
        rc: bool = True,
        precision: Precision = Precision.FP32,
        batch_size: int = 16,
    ) -> None:
        self.config, self.rc, self.batch_size = network.config, rc, batch_size
        self.products = Products(precision)
        self.trunk = LocalTrunk(network, self.products)
        with torch.inference_mode(), self.products.active():
            self.transformer = DifferenceTransformer(network, organism, self.products)
        self.tracks = network.head_layer(organism).out_features
        self.window_bytes = self.config.bins * self.config.dim * self.trunk.dtype.itemsize
        self.together = max(16, GROUP_BYTES // self.window_bytes)

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
                    sequence = forward.reverse() if reverse else forward
                    scores[group] += self._strand(sequence, chosen, reverse, done).cpu().numpy() / len(strands)
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

    def _strand(self, sequence: windows.Sequence, jobs: Sequence[Job], reverse: bool, done: Done | None) -> Tensor:
        """SAD on one strand [n, T], float64."""
        bins, halo = self.config.bins, self.trunk.halo
        edited = [EditedWindow.of(job, self.config.window, reverse=reverse) for job in jobs]
        starts = sorted({one.start for one in edited})
        shifted = [one for one in edited if one.shifted]
        runs = [self._inner(start, 0, bins) for start in starts] + [self._shifted(one)[0] for one in shifted]
        codes = torch.from_numpy(sequence.codes)
        computed = self.trunk.bins(codes, sequence.origin, runs)
        inner = dict(zip(starts, computed, strict=False))
        sides = {id(one): side for one, side in zip(shifted, computed[len(starts) :], strict=True)}

        scores = torch.zeros(len(jobs), self.tracks, dtype=torch.float64, device=self.trunk.device)
        order = sorted(range(len(jobs)), key=lambda i: edited[i].start)
        for start, same in groupby(order, key=lambda i: edited[i].start):
            x = self._reference(sequence, start, inner.pop(start), halo)
            members = list(same)
            for some in self._batches(members, edited):
                batch = [edited[i] for i in some]
                spans = self._spans(batch)
                found, lost = self.transformer(x, self._differences(sequence, x, batch, sides), spans)
                if lost:
                    found, _ = self.transformer(x, self._differences(sequence, x, batch, sides), careful=True)
                scores[some] = found
                if done:
                    done(len(some) / (2 if self.rc else 1))
        return scores

    def _batches(self, members: Sequence[int], edited: Sequence[EditedWindow]) -> Iterator[Sequence[int]]:
        """Alternatives of one window that go through the network together: indels apart, since they change more."""
        shifted = [i for i in members if edited[i].shifted]
        local = [i for i in members if not edited[i].shifted]
        for kind in (local, shifted):
            for first in range(0, len(kind), self.batch_size):
                yield kind[first : first + self.batch_size]

    def _spans(self, batch: Sequence[EditedWindow]) -> Spans | None:
        """Where alternatives of one window differ from it in few bins; None for indels."""
        if batch[0].shifted:
            return None
        touched = [one.touched(self.trunk.reach, self.trunk.bin_size) for one in batch]
        width = max(end - first for first, end in touched)
        return Spans([min(first, self.config.bins - width) for first, _ in touched], width)

    def _inner(self, start: int, first: int, end: int) -> Run:
        """Those of the bins [first, end) of a window that zero padding does not reach."""
        first, end = max(first, self.trunk.halo), min(end, self.config.bins - self.trunk.halo)
        return Run(start + first * self.trunk.bin_size, max(0, end - first))

    def _shifted(self, one: EditedWindow) -> tuple[Run, int]:
        """The inner bins of an indel's shifted side, and the index of the first."""
        first, end = one.touched(self.trunk.reach, self.trunk.bin_size)
        first, end = (0, first) if one.left else (end, self.config.bins)
        return self._inner(one.start + (one.left or one.right), first, end), max(first, self.trunk.halo)

    def _reference(self, sequence: windows.Sequence, start: int, inner: Tensor, halo: int) -> Tensor:
        """The trunk's output for a reference window [N, D], from its inner bins."""
        x = torch.empty(self.config.bins, self.config.dim, dtype=self.trunk.dtype, device=self.trunk.device)
        x[halo:-halo] = inner
        codes = sequence.between(start, start + self.config.window)
        self._fill([self._end(codes, x, left=True), self._end(codes, x, left=False)])
        return x

    def _end(self, codes: Codes, out: Tensor, *, left: bool) -> Slice:
        """The outermost bins at one end of a window."""
        halo = self.trunk.halo
        length = 2 * halo * self.trunk.bin_size
        if left:
            return Slice(codes[:length], slice(0, halo), out[:halo])
        return Slice(codes[-length:], slice(halo, 2 * halo), out[-halo:])

    def _differences(
        self, sequence: windows.Sequence, x: Tensor, edited: Sequence[EditedWindow], sides: dict[int, Tensor]
    ) -> Tensor:
        """Alternatives' trunk outputs minus the reference's: [B, N, D]."""
        d = torch.zeros(len(edited), *x.shape, dtype=x.dtype, device=x.device)
        halo, size = self.trunk.halo, self.trunk.bin_size
        ends, edits = [], []
        for change, one in zip(d, edited, strict=True):
            ref = sequence.between(one.start, one.start + one.length)
            alt = one.codes(sequence)
            if one.shifted:
                run, first = self._shifted(one)
                change[first : first + run.bins] = sides[id(one)]
                ends.append(self._end(alt, change, left=bool(one.left)))
            first, end = one.touched(self.trunk.reach, size)
            begin, stop = max(0, first - halo), min(len(x), end + halo)
            around, keep = slice(begin * size, stop * size), slice(first - begin, end - begin)
            edits.append(Slice(alt[around], keep, change[first:end], ref[around]))
        self._fill(ends)
        for change, one in zip(d, edited, strict=True):
            if one.shifted:
                first, end = one.touched(self.trunk.reach, size)
                side = slice(0, first) if one.left else slice(end, len(x))
                change[side] -= x[side]
        self._fill(edits)
        return d

    def _fill(self, slices: Sequence[Slice]) -> None:
        """Compute slices, those of one length together."""
        for _, same in groupby(sorted(slices, key=lambda s: len(s.codes)), key=lambda s: len(s.codes)):
            together = list(same)
            for first in range(0, len(together), SLICES):
                some = together[first : first + SLICES]
                codes = self._stack(one.codes for one in some)
                if some[0].reference is None:
                    computed = self.trunk.slice(codes)
                else:
                    computed = self.trunk.slice_change(self._stack(one.reference for one in some), codes)
                for one, bins in zip(some, computed, strict=True):
                    one.out.copy_(bins[one.keep])

    def _stack(self, codes: Iterable[Codes | None]) -> Tensor:
        return torch.from_numpy(np.stack([one for one in codes if one is not None])).to(self.trunk.device)
