"""The VCF to score for an MPRA, and the elements' own sequences, rebuilt from REF."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pysam

from varscore.errors import TableError
from varscore.genome.contigs import canonical_name
from varscore.genome.reference import Reference

log = logging.getLogger("varscore")

APART = 100
"""Elements of a chromosome with more unknown bases than this between them are rebuilt as separate sequences."""

MISMATCHES = 0.1
"""More of the rows than this with another REF than the FASTA's: it is another genome build's."""


class Bases(Protocol):
    """Something that knows a chromosome's bases."""

    def base(self, chrom: str, pos: int) -> str:
        """A, C, G or T at the 1-based position; N where it is not known."""
        ...


@dataclass(frozen=True)
class Rebuilt:
    """A sequence put together from REF.

    chrom: as in a VCF. start: 1-based position of the first base. bases: A, C, G, T; N where no row tells.
    """

    chrom: str
    start: int
    bases: str

    @property
    def name(self) -> str:
        """As `samtools faidx` names an extract, which `varscore score` reads in the chromosome's coordinates."""
        return f"{self.chrom}:{self.start}-{self.start + len(self.bases) - 1}"


class RebuiltElements:
    """The elements' own sequences, from the REF of their rows. Elements that overlap or are close share one.

    rows: of `MpraTable.rows`, of one build.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self._known: dict[tuple[str, int], str] = {}
        for chrom, pos, ref in zip(rows["chrom"].map(vcf_name), rows["pos"], rows["ref"], strict=True):
            for i, base in enumerate(ref):
                if self._known.setdefault((chrom, pos + i), base) != base:
                    raise TableError(f"{chrom}:{pos + i}: rows disagree on REF; are they of the same genome build?")
        self.sequences = list(self._stretches())

    def warn_of_gaps(self) -> None:
        """Log a warning where REF leaves out much of what lies between the elements' ends."""
        known, length = len(self._known), sum(len(sequence.bases) for sequence in self.sequences)
        if known < 0.9 * length:
            log.warning("REF tells %s of %s bases between the elements' ends; the others are N. A FASTA has them all",
                        f"{known:,}", f"{length:,}")  # fmt: skip

    def base(self, chrom: str, pos: int) -> str:
        """A, C, G or T at the 1-based position; N where no row tells."""
        return self._known.get((chrom, pos), "N")

    def fasta(self) -> str:
        """The text of a FASTA file with a sequence for each stretch, such as `>chr11:5227022-5227208`."""
        lines: list[str] = []
        for sequence in self.sequences:
            lines.append(f">{sequence.name}")
            lines += [sequence.bases[i : i + 60] for i in range(0, len(sequence.bases), 60)]
        return "\n".join(lines) + "\n"

    def _stretches(self) -> Iterator[Rebuilt]:
        for chrom, sites in groupby(sorted(self._known, key=_order), key=lambda site: site[0]):
            positions = np.array([pos for _, pos in sites])
            for run in np.split(positions, np.flatnonzero(np.diff(positions) > APART + 1) + 1):
                first, last = int(run[0]), int(run[-1])
                yield Rebuilt(chrom, first, "".join(self.base(chrom, pos) for pos in range(first, last + 1)))


class FastaBases:
    """A reference FASTA's bases."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    def base(self, chrom: str, pos: int) -> str:
        """A, C, G or T at the 1-based position; N for another letter and outside the FASTA's sequences."""
        stretch = self._reference.stretch(chrom, pos - 1)
        return "ACGTN"[self._reference.codes(stretch, pos - 1, pos)[0]] if stretch else "N"


@dataclass(frozen=True)
class VcfAlleles:
    """What goes into the VCF.

    alleles: chrom, pos, ref, alt and elements (joined by commas), sorted, each allele once, as a VCF has them.
    lost: rows of deletions with unknown bases on both sides, which a VCF cannot say.
    """

    alleles: pd.DataFrame
    lost: int

    def text(self, command: str = "varscore mpra variants") -> str:
        """The text of the VCF. command: what made it, for the header."""
        chroms = dict.fromkeys(self.alleles["chrom"])
        lines = [
            "##fileformat=VCFv4.2",
            f"##source={command}",
            *(f"##contig=<ID={chrom}>" for chrom in chroms),
            '##INFO=<ID=ELEMENT,Number=.,Type=String,Description="Elements in which the allele was measured">',
            "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
        ]
        columns = (self.alleles[name] for name in ("chrom", "pos", "ref", "alt", "elements"))
        lines += [
            f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\tELEMENT={elements}"
            for chrom, pos, ref, alt, elements in zip(*columns, strict=True)
        ]
        return "\n".join(lines) + "\n"


def vcf_alleles(rows: pd.DataFrame, bases: Bases) -> VcfAlleles:
    """Measured alleles as a VCF has them.

    A deletion (`-`) gets the base before it, from `bases`. Where that is not known, at an element's first base, it
    gets the base after it, as a VCF does at the beginning of a contig.

    Args:
        rows: of `MpraTable.rows`, of one build.
        bases: the reference's, or the rebuilt elements'.
    """
    found: dict[tuple[str, int, str, str], list[str]] = {}
    lost = 0
    columns = (rows[name] for name in ("element", "chrom", "pos", "ref", "alt"))
    for element, chrom, pos, ref, alt in zip(*columns, strict=True):
        chrom = vcf_name(chrom)
        if alt == "-":
            if (before := bases.base(chrom, pos - 1)) != "N":
                pos, ref, alt = pos - 1, before + ref, before
            elif (after := bases.base(chrom, pos + len(ref))) != "N":
                ref, alt = ref + after, after
            else:
                lost += 1
                continue
        found.setdefault((chrom, pos, ref, alt), []).append(element)
    alleles = [(*key, ",".join(dict.fromkeys(elements))) for key, elements in found.items()]
    alleles.sort(key=lambda allele: (*_order(allele[:2]), *allele[2:4]))
    return VcfAlleles(pd.DataFrame(alleles, columns=["chrom", "pos", "ref", "alt", "elements"]), lost)


def check_reference(rows: pd.DataFrame, bases: Bases, name: object) -> None:
    """Hold REF against a FASTA; where they differ, `varscore score` will give no score.

    Elements were cloned, so single bases may differ from the reference's: that is logged as a warning.

    Raises:
        TableError: so many rows differ that the FASTA is of another genome build.
    """
    sites = rows.drop_duplicates(["chrom", "pos", "ref"])
    wrong = np.array(
        [
            any(bases.base(vcf_name(chrom), pos + i) != base for i, base in enumerate(ref))
            for chrom, pos, ref in zip(sites["chrom"], sites["pos"], sites["ref"], strict=True)
        ]
    )
    if not wrong.any():
        return
    first = sites[wrong].iloc[0]
    said = f"{wrong.sum():,} of {len(sites):,} positions have another REF than {name}, such as " + (
        f"{first['chrom']}:{first['pos']} {first['ref']} in {first['element']}"
    )
    if wrong.mean() > MISMATCHES:
        raise TableError(f"{said}: is it another genome build? --build chooses the table's")
    log.warning("%s: they cannot be scored with it", said)


def vcf_name(chrom: str) -> str:
    """A human chromosome's name with `chr`, as in hg38.fa; others as they are. varscore reads either."""
    bare = canonical_name(chrom)
    if bare == "MT":
        return "chrM"
    return f"chr{bare}" if re.fullmatch(r"[1-9]\d?|[XY]", bare) else chrom


def bgzipped(text: str) -> bytes:
    """The text as a bgzipped file."""
    with tempfile.TemporaryDirectory(prefix="varscore-") as folder:
        plain, compressed = Path(folder, "text"), Path(folder, "text.gz")
        plain.write_text(text)
        pysam.tabix_compress(os.fspath(plain), os.fspath(compressed))
        return compressed.read_bytes()


def _order(site: Sequence[str | int]) -> tuple[int, str, int]:
    """Chromosomes by number, then others by name; by position in them."""
    bare = canonical_name(str(site[0]))
    return (int(bare) if bare.isdecimal() else 1000), bare, int(site[1])
