"""What goes into the transformer, on one strand of a stretch of chromosome: windows' trunk outputs, and their changes.

Everything that windows share is computed once (`LocalTrunk.bins`); what is a window's own, on short slices: its ends,
where the network pads with zeros, and the bins around an edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from varscore.engine import windows
from varscore.engine.attention import Spans
from varscore.engine.device import upload
from varscore.engine.trunk import LocalTrunk, Run
from varscore.engine.windows import Codes, EditedWindow

SLICES = 16
"""Short slices that go through the trunk together."""


@dataclass(frozen=True)
class Slice:
    """A short sequence, which of its trunk bins to keep, and where they go [kept, D].

    With a reference beside it, what goes there is the sequence's bins minus the reference's.
    """

    codes: Codes
    keep: slice
    out: Tensor
    reference: Codes | None = None


class Strand:
    """The trunk's outputs for edited windows of one strand.

    Args:
        trunk: computes them.
        bins: of a window.
        sequence: the strand's codes, with all windows in it.
        edited: the windows with their edits.
    """

    def __init__(
        self, trunk: LocalTrunk, bins: int, sequence: windows.Sequence, edited: Sequence[EditedWindow]
    ) -> None:
        self.trunk, self.bins, self.sequence = trunk, bins, sequence
        starts = sorted({one.start for one in edited})
        shifted = [one for one in edited if one.shifted]
        runs = [self._inner(start, 0, bins) for start in starts] + [self._shifted(one)[0] for one in shifted]
        computed = trunk.bins(upload(sequence.codes, trunk.device), sequence.origin, runs)
        self._windows = dict(zip(starts, computed, strict=False))
        self._sides = {id(one): side for one, side in zip(shifted, computed[len(starts) :], strict=True)}

    def reference(self, start: int) -> Tensor:
        """The trunk's output for the reference in the window that begins at `start`: [N, D]. Once for each window."""
        halo = self.trunk.halo
        x = torch.empty(self.bins, self.trunk.dim, dtype=self.trunk.dtype, device=self.trunk.device)
        x[halo:-halo] = self._windows.pop(start)
        codes = self.sequence.between(start, start + self.bins * self.trunk.bin_size)
        self._fill([self._end(codes, x, left=True), self._end(codes, x, left=False)])
        return x

    def differences(self, x: Tensor, edited: Sequence[EditedWindow]) -> Tensor:
        """The same for alternatives in that window, minus x: [B, N, D]."""
        d = torch.zeros(len(edited), *x.shape, dtype=x.dtype, device=x.device)
        halo, size = self.trunk.halo, self.trunk.bin_size
        ends, edits = [], []
        for change, one in zip(d, edited, strict=True):
            ref = self.sequence.between(one.start, one.start + one.length)
            alt = one.codes(self.sequence)
            if one.shifted:
                run, first = self._shifted(one)
                change[first : first + run.bins] = self._sides[id(one)]
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

    def spans(self, edited: Sequence[EditedWindow]) -> Spans | None:
        """Where these alternatives of one window differ from it, if that is in few bins; None with an indel."""
        if any(one.shifted for one in edited):
            return None
        touched = [one.touched(self.trunk.reach, self.trunk.bin_size) for one in edited]
        width = max(end - first for first, end in touched)
        return Spans([min(first, self.bins - width) for first, _ in touched], width)

    def _inner(self, start: int, first: int, end: int) -> Run:
        """Those of the bins [first, end) of a window that zero padding does not reach."""
        first, end = max(first, self.trunk.halo), min(end, self.bins - self.trunk.halo)
        return Run(start + first * self.trunk.bin_size, max(0, end - first))

    def _shifted(self, one: EditedWindow) -> tuple[Run, int]:
        """The inner bins of an indel's shifted side, and the index of the first."""
        first, end = one.touched(self.trunk.reach, self.trunk.bin_size)
        first, end = (0, first) if one.left else (end, self.bins)
        return self._inner(one.start + (one.left or one.right), first, end), max(first, self.trunk.halo)

    def _end(self, codes: Codes, out: Tensor, *, left: bool) -> Slice:
        """The outermost bins at one end of a window."""
        halo = self.trunk.halo
        length = 2 * halo * self.trunk.bin_size
        if left:
            return Slice(codes[:length], slice(0, halo), out[:halo])
        return Slice(codes[-length:], slice(halo, 2 * halo), out[-halo:])

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
        return upload(np.stack([one for one in codes if one is not None]), self.trunk.device)
