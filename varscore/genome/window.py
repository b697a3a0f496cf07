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
    """Windows of `length` bases with the edit's anchor at the 0-based `index`. Raises ValueError if that cannot be."""

    length: int = 196_608
    index: int = 98_303

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.length:
            raise ValueError(f"index {self.index} does not lie in a window of {self.length} bases")


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
    index = policy.index + shift
    return index >= 0 and index + (edit.start - edit.anchor) + max(len(edit.ref), len(edit.alt)) <= policy.length


def build_window(reference: Reference, stretch: Stretch, edit: Edit, policy: WindowPolicy, shift: int = 0) -> Window:
    """Both alleles' windows, each of exactly `policy.length` bases, with 4 outside the stretch.

    A positive `shift` moves the sequence to the right within the window, as basenji's does: the anchor stands at
    `policy.index + shift`, and the window starts at `anchor - policy.index - shift`. The left flank is the same in
    both alleles; the right end of the alternative is filled from, or trimmed to, the reference.

    Raises ValueError if the edit does not fit, and FastaError if the reference cannot be read.
    """
    if not fits(edit, policy, shift):
        raise ValueError(f"{edit} does not fit in {policy} with shift {shift}")
    start = edit.anchor - policy.index - shift
    deleted = max(0, len(edit.ref) - len(edit.alt))
    bases = reference.codes(stretch, start, start + policy.length + deleted)
    left, right = edit.start - start, edit.start - start + len(edit.ref)
    alt = np.concatenate([bases[:left], encode(edit.alt), bases[right:]])[: policy.length]
    return Window(stretch, start, edit, bases[: policy.length], alt)
