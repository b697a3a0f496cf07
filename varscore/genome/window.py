"""The pair of sequences, reference and alternative, that a network is given for one edit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varscore.genome.contigs import Stretch
from varscore.genome.encoding import encode
from varscore.genome.reference import Reference
from varscore.genome.variant import Edit


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """Windows of `length` bases with the edit's anchor at the 0-based `index`, or near it.

    grid: windows start at multiples of it, the nearest to where the anchor would stand at `index`; so near variants
    share a window, and no anchor stands further than grid / 2 from `index`. Raises ValueError if that cannot be.
    """

    length: int = 196_608
    index: int = 98_303
    grid: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.length:
            raise ValueError(f"index {self.index} does not lie in a window of {self.length} bases")
        if not 1 <= self.grid <= self.length:
            raise ValueError(f"a grid of {self.grid} bases: expected 1 to the window's {self.length}")

    def start(self, edit: Edit, shift: int = 0) -> int:
        """0-based coordinate of the first base of the edit's window."""
        centred = edit.anchor - self.index - shift
        return (centred + self.grid // 2) // self.grid * self.grid


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Codes uint8 [length] of the reference and of the edited sequence.

    start: 0-based chromosome coordinate of the first base, negative where the window begins before the contig.
    """

    stretch: Stretch
    start: int
    edit: Edit
    ref: NDArray[np.uint8]
    alt: NDArray[np.uint8]

    @property
    def variant_index(self) -> int:
        """0-based index in the window at which the edit's anchor stands."""
        return self.edit.anchor - self.start


def fits(edit: Edit, policy: WindowPolicy, shift: int = 0) -> bool:
    """Whether both alleles lie within a window that is shifted by `shift` bases."""
    start = policy.start(edit, shift)
    return start <= edit.anchor and edit.start - start + max(len(edit.ref), len(edit.alt)) <= policy.length


def build_window(reference: Reference, stretch: Stretch, edit: Edit, policy: WindowPolicy, shift: int = 0) -> Window:
    """Both alleles' windows, each of exactly `policy.length` bases, with 4 outside the stretch.

    A positive `shift` moves the sequence to the right within the window, as basenji's does: the anchor stands at
    `policy.index + shift`, and the window starts at `anchor - policy.index - shift`. The left flank is the same in
    both alleles; the right end of the alternative is filled from, or trimmed to, the reference.

    Raises ValueError if the edit does not fit, and FastaError if the reference cannot be read.
    """
    if not fits(edit, policy, shift):
        raise ValueError(f"{edit} does not fit in {policy} with shift {shift}")
    return cut_window(reference, stretch, edit, policy.start(edit, shift), policy.length)


def cut_window(reference: Reference, stretch: Stretch, edit: Edit, start: int, length: int) -> Window:
    """As `build_window`, for the window of `length` bases that starts at the 0-based `start`."""
    deleted = max(0, len(edit.ref) - len(edit.alt))
    bases = reference.codes(stretch, start, start + length + deleted)
    left, right = edit.start - start, edit.start - start + len(edit.ref)
    alt = np.concatenate([bases[:left], encode(edit.alt), bases[right:]])[:length]
    return Window(stretch, start, edit, bases[:length], alt)
