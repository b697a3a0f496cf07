"""Saturation mutagenesis: every single change of a region, to be scored, and its scores by position and base."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pysam

from varscore.errors import OptionError, RegionError, TableError
from varscore.genome.contigs import canonical_name
from varscore.genome.encoding import decode
from varscore.genome.reference import Reference
from varscore.genome.regions import Region, parse_region
from varscore.store.folder import whole_file
from varscore.store.table import ScoreColumn, ScoreTable

BASES = "ACGT"
LONGEST = 100_000
"""Bases that are changed, at most: a chromosome is hardly meant."""


@dataclass(frozen=True)
class Made:
    """What was written: how many SNVs and deletions, and how many bases were passed over, because they are unknown."""

    snvs: int
    deletions: int
    unknown: int


def write_saturation(
    region: str, fasta: Path | str, output: Path | str, *, deletions: bool = False, command: str | None = None
) -> Made:
    """Write every SNV of a region as a VCF, one ALT a record, sorted; bgzipped if the name ends in .gz or .bgz.

    Args:
        region: such as chr22:20,307,001-20,307,300, 1-based, both ends included.
        fasta: the reference, plain or bgzipped.
        output: the VCF.
        deletions: the deletion of every single base, too, anchored at the base before.
        command: the command line, for the header.

    Raises:
        RegionError: the region is none, has no end, is too long, or not in the reference.
        FastaError: the reference cannot be read.
        OutputError: the output cannot be written.
    """
    place = parse_region(region)
    if place.end - place.start > LONGEST:
        raise RegionError(f"{region}: give a first and a last base, at most {LONGEST:,} bases apart")
    with Reference(fasta) as reference:
        stretch = reference.stretch(place.chrom, place.start)
        if stretch is None or not stretch.offset <= place.start < place.end <= stretch.end:
            has = "no such contig" if stretch is None else f"bases {stretch.offset + 1:,} to {stretch.end:,} of it"
            raise RegionError(f"{region}: {reference.path} has {has}")
        before = max(stretch.offset, place.start - 1)
        bases = decode(reference.codes(stretch, before, place.end))
    header = ["##fileformat=VCFv4.2", f"##contig=<ID={place.chrom}>"]
    header += [f"##varscoreCommand={command}"] if command else []
    header.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    records = list(_records(bases, before, place.start, deletions))
    lines = header + [f"{place.chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t." for pos, ref, alt in records]
    with whole_file(output) as file:
        file.write(_as_written("\n".join(lines).encode() + b"\n", os.fspath(output)))
    snvs = sum(len(ref) == 1 for _, ref, _ in records)
    return Made(snvs, len(records) - snvs, bases[place.start - before :].count("N"))


def _records(bases: str, first: int, start: int, deletions: bool) -> Iterator[tuple[int, str, str]]:
    """(1-based POS, REF, ALT) of all changes from the 0-based `start` on; `bases` begin at the 0-based `first`."""
    for i in range(start - first, len(bases)):
        base = bases[i]
        if base not in BASES:
            continue
        if deletions and i and bases[i - 1] in BASES:
            yield first + i, bases[i - 1 : i + 1], bases[i - 1]
        for other in BASES.replace(base, ""):
            yield first + i + 1, base, other


def _as_written(text: bytes, name: str) -> bytes:
    if not name.endswith((".gz", ".bgz")):
        return text
    with tempfile.TemporaryDirectory(prefix="varscore-") as folder:
        plain, packed = Path(folder, "out.vcf"), Path(folder, "out.vcf.gz")
        plain.write_bytes(text)
        pysam.tabix_compress(str(plain), str(packed))
        return packed.read_bytes()


@dataclass(frozen=True, eq=False)
class Saturation:
    """Scores by position and base.

    start: 0-based coordinate of the first position. ref: the reference's bases, N where no allele of the table tells.
    scores: float32 [positions, 4], of the SNV to A, C, G, T; NaN for the reference's own base and where there is none.
    deletions: float32 [positions], of the deletion of that base, NaN where there is none.
    """

    chrom: str
    start: int
    ref: str
    scores: np.ndarray
    deletions: np.ndarray
    column: ScoreColumn

    @property
    def importance(self) -> np.ndarray:
        """What the reference's base does for the signal [positions]: minus the mean score of the other three."""
        known = ~np.isnan(self.scores)
        sums = np.where(known, self.scores, 0).sum(axis=1, dtype=np.float64)
        return np.where(known.any(axis=1), -sums / np.maximum(known.sum(axis=1), 1), np.nan)


def read_saturation(
    table: ScoreTable, column: ScoreColumn, region: str | None = None, *, longest: int = 1000
) -> Saturation:
    """The SNVs and single-base deletions of a region, or, without one, of the whole table.

    Raises:
        RegionError: the region is none.
        TableError: nothing there is scored, it lies on several contigs, or the table is of genes.
        OptionError: it is longer than `longest`.
    """
    if "gene_id" in table.row_columns:
        raise TableError(f"{table.place} is a table of genes: give the one with a row for each allele")
    within = None if region is None else parse_region(region)
    found: dict[tuple[str, int, str], tuple[str, float]] = {}
    for alleles, scores in table.batches([column]):
        rows = zip(alleles["chrom"], alleles["pos"], alleles["ref"], alleles["alt"], scores[:, 0], strict=True)
        for chrom, pos, ref, alt, score in rows:
            change = _change(pos, ref.upper(), alt.upper())
            if change and not np.isnan(score) and (within is None or _holds(within, chrom, change[0])):
                at, base, other = change
                found.setdefault((chrom, at, other), (base, float(score)))
    where = f" in {region}" if region else ""
    if not found:
        raise TableError(f"{table.place} has no scored SNVs{where}: `varscore saturate` writes all of a region")
    if len(chroms := {chrom for chrom, _, _ in found}) > 1:
        raise TableError(f"{table.place} has SNVs on {len(chroms)} contigs: choose a region, such as -r CHROM:1-300")
    start, end = min(at for _, at, _ in found), max(at for _, at, _ in found) + 1
    if end - start > longest:
        raise OptionError(
            f"the SNVs{where} span {end - start:,} bp, and a figure has room for {longest:,}: choose a region, such as "
            f"-r {next(iter(chroms))}:{start + 1}-{start + 300}"
        )
    ref = ["N"] * (end - start)
    scores = np.full((end - start, 4), np.nan, np.float32)
    deletions = np.full(end - start, np.nan, np.float32)
    for (_, at, other), (base, score) in found.items():
        ref[at - start] = base
        if other:
            scores[at - start, BASES.index(other)] = score
        else:
            deletions[at - start] = score
    return Saturation(chroms.pop(), start, "".join(ref), scores, deletions, column)


def _change(pos: int, ref: str, alt: str) -> tuple[int, str, str] | None:
    """The 0-based position, the base there and what becomes of it ("": deleted), of an SNV or single-base deletion."""
    if len(ref) == len(alt) == 1 and ref in BASES and alt in BASES and ref != alt:
        return pos - 1, ref, alt
    if len(ref) == 2 and len(alt) == 1 and ref[0] == alt and ref[1] in BASES:
        return pos, ref[1], ""
    return None


def _holds(region: Region, chrom: str, position: int) -> bool:
    return canonical_name(chrom) == canonical_name(region.chrom) and region.start <= position < region.end
