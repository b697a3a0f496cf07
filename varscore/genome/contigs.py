"""Reconciling the contig names of a VCF with those of a FASTA."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

_EXTRACT = re.compile(r"(.+):([1-9]\d*)-(\d+)")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A FASTA sequence as a piece of a chromosome.

    name: the sequence's name in the FASTA. offset: 0-based chromosome coordinate of its first base. length: in bases.
    whole: False for an extract such as `chr22:20000001-21000000`, which is used in the chromosome's coordinates.
    """

    name: str
    offset: int
    length: int
    whole: bool

    @property
    def end(self) -> int:
        """0-based chromosome coordinate just after the last base."""
        return self.offset + self.length


@cache
def canonical_name(name: str) -> str:
    """The name without `chr`, and `MT` for each of chrM, M, MT and chrMT: equal for names of the same contig."""
    bare = name.removeprefix("chr") or name
    return "MT" if bare == "M" else bare


def find_stretches(contigs: Mapping[str, int], chrom: str) -> tuple[Stretch, ...]:
    """All that `contigs` (FASTA name to length in bases) has of the VCF contig `chrom`; empty if nothing.

    A name that is the same counts first, then one that differs in `chr` or in the spelling of the mitochondrion, then
    extracts as `samtools faidx` names them (`chr22:20000001-21000000`, 1-based, both ends included), of which there
    may be several. A name of that form whose sequence has another length is no extract.
    """
    if chrom in contigs:
        return (Stretch(chrom, 0, contigs[chrom], whole=True),)
    wanted = canonical_name(chrom)
    for name, length in contigs.items():
        if canonical_name(name) == wanted:
            return (Stretch(name, 0, length, whole=True),)
    return tuple(stretch for origin, stretch in _extracts(contigs) if canonical_name(origin) == wanted)


def _extracts(contigs: Mapping[str, int]) -> Iterator[tuple[str, Stretch]]:
    for name, length in contigs.items():
        match = _EXTRACT.fullmatch(name)
        if match and int(match[3]) - int(match[2]) + 1 == length:
            yield match[1], Stretch(name, int(match[2]) - 1, length, whole=False)
