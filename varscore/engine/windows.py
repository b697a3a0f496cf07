"""Which bins of the trunk a window and its edits need, on either strand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varscore.genome.contigs import Stretch
from varscore.genome.encoding import encode, reverse_complement
from varscore.genome.variant import Edit

Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Job:
    """One edit to score in the window that starts at the 0-based `start` of its chromosome.

    genes: of the window, the predicted bins that each gene's TSSs are in; the same for all jobs of a window.
    """

    stretch: Stretch
    edit: Edit
    start: int
    genes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Scores:
    """Statistics of n jobs.

    alleles: [n, S, T] float64. genes: of each job, [G, S', T] float32, with the formulas of the statistics, each once.
    """

    alleles: NDArray[np.float64]
    genes: list[NDArray[np.float32]]


@dataclass(frozen=True)
class Sequence:
    """One strand of a stretch of chromosome: base codes [L], and the coordinate of the first.

    On the reverse strand the base at coordinate c stands at −1 − c, so that coordinates rise along the codes.
    """

    codes: Codes
    origin: int

    def reverse(self) -> Sequence:
        """The other strand."""
        return Sequence(reverse_complement(self.codes), -self.origin - len(self.codes))

    def between(self, start: int, end: int) -> Codes:
        """Codes [end − start] of an interval."""
        return self.codes[start - self.origin : end - self.origin]


@dataclass(frozen=True)
class EditedWindow:
    """A window of one strand with its edit: reference up to an index, the alternative's bases, reference again.

    start: coordinate of the reference window's first base. length: in bases. index: where `bases` begin in the edited
    window. left, right: by how much the reference on that side of them is shifted against the reference window: the
    base at index i is the reference's at start + i + shift. An indel shifts what is right on the forward strand.
    """

    start: int
    length: int
    index: int
    bases: Codes
    left: int
    right: int

    @classmethod
    def of(cls, job: Job, length: int, *, reverse: bool) -> EditedWindow:
        """A job's window on one strand, as DESIGN defines it: left flank fixed on the forward strand."""
        bases, index = encode(job.edit.alt), job.edit.start - job.start
        shift = len(job.edit.ref) - len(bases)
        if not reverse:
            return cls(job.start, length, index, bases, 0, shift)
        return cls(-job.start - length, length, length - index - len(bases), reverse_complement(bases), -shift, 0)

    @property
    def shifted(self) -> bool:
        """Whether it is an indel, which moves one side of the window."""
        return bool(self.left or self.right)

    def codes(self, sequence: Sequence) -> Codes:
        """The edited window's codes [length]."""
        after = self.index + len(self.bases)
        return np.concatenate(
            [
                sequence.between(self.start + self.left, self.start + self.left + self.index),
                self.bases,
                sequence.between(self.start + self.right + after, self.start + self.right + self.length),
            ]
        )

    def touched(self, reach: int, bin_size: int) -> tuple[int, int]:
        """Bins [first, end) that see the edit's bases, or both sides of the joint where they are none."""
        bins = self.length // bin_size
        first = (self.index - reach - bin_size) // bin_size + 1
        end = -(-(self.index + len(self.bases) + reach) // bin_size)
        return max(0, first), min(bins, end)
