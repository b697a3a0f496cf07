"""Genes and their transcription start sites, from GTF (GENCODE, Ensembl) or BED."""

from __future__ import annotations

import gzip
import zlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pysam

from varscore.errors import TableError
from varscore.genome.contigs import canonical_name
from varscore.genome.htslib import quiet_htslib


@dataclass(frozen=True, slots=True)
class Gene:
    """A gene.

    tss: 0-based coordinates of its transcripts' first bases, each once, rising. start, end: 0-based, half-open, of all
    of it; in a BED with one base for each gene, of that base. strand: + or -.
    """

    gene_id: str
    gene_name: str
    chrom: str
    strand: str
    tss: tuple[int, ...]
    start: int
    end: int


class GeneIndex:
    """Genes by place."""

    def __init__(self, genes: Iterable[Gene]) -> None:
        by_chrom = defaultdict[str, list[tuple[int, int, Gene]]](list)
        for order, gene in enumerate(genes):
            by_chrom[canonical_name(gene.chrom)] += [(tss, order, gene) for tss in gene.tss]
        self._sites = {chrom: sorted(sites, key=lambda site: site[:2]) for chrom, sites in by_chrom.items()}

    def between(self, chrom: str, start: int, end: int) -> list[tuple[Gene, list[int]]]:
        """Genes with a TSS in the 0-based, half-open interval, and which of their TSSs; in order of the first of them.

        `chr22` and `22` are the same here, as they are for variants.
        """
        sites = self._sites.get(canonical_name(chrom), [])
        first, last = (bisect_left(sites, place, key=lambda site: site[0]) for place in (start, end))
        found: dict[int, tuple[Gene, list[int]]] = {}
        for tss, order, gene in sites[first:last]:
            found.setdefault(order, (gene, []))[1].append(tss)
        return list(found.values())


def read_genes(path: Path | str) -> list[Gene]:
    """The genes of a GTF or BED file, plain or compressed.

    Of a GTF, every transcript's start is a TSS of its gene; that of the gene itself, where it lists no transcripts. Of
    a BED, each line is a gene: name in column 4, strand in column 6; lines of one name are one gene with several TSSs.

    Raises:
        TableError: no such file, not a GTF or BED, or a line that does not fit.
    """
    path = Path(path)
    name = path.name.removesuffix(".gz").removesuffix(".bgz").lower()
    if name.endswith((".gff", ".gff3")):
        raise TableError(f"{path}: GFF3 is not read; give the GTF of the same annotation")
    if not name.endswith((".gtf", ".bed")):
        raise TableError(f"{path}: expected genes as a .gtf or .bed file, which may be compressed (.gz)")
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if packed else raw as file:
                read = _read_gtf if name.endswith(".gtf") else _read_bed
                genes = list(read(file, path))  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise TableError(f"{path}: genes cannot be read: {reason}") from error
    if not genes:
        raise TableError(f"{path}: holds no genes")
    return genes


class _Found:
    """What is gathered of a gene."""

    def __init__(self, name: str, strand: str) -> None:
        self.name, self.strand = name, strand
        self.own: set[int] = set()
        self.transcripts: set[int] = set()
        self.start, self.end = 2**62, -1

    def add(self, feature: str, start: int, end: int) -> None:
        tss = start if self.strand == "+" else end - 1
        (self.transcripts if feature == "transcript" else self.own).add(tss)
        self.start, self.end = min(self.start, start), max(self.end, end)


def _genes(found: dict[tuple[str, str], _Found]) -> Iterator[Gene]:
    for (chrom, gene_id), gene in found.items():
        tss = tuple(sorted(gene.transcripts or gene.own))
        yield Gene(gene_id, gene.name, chrom, gene.strand, tss, gene.start, gene.end)


def _read_gtf(file: BinaryIO, path: Path) -> Iterator[Gene]:
    found: dict[tuple[str, str], _Found] = {}
    line: Any = None
    parse: Any = pysam.asGTF()
    try:
        with quiet_htslib():
            for raw in file:
                # most lines are exons and the like: taken apart, they would cost a minute
                if raw.startswith(b"#") or (b"\tgene\t" not in raw and b"\ttranscript\t" not in raw and b"\t" in raw):
                    continue
                text = raw.rstrip(b"\r\n")
                line = parse(text, len(text))
                if line.feature not in ("gene", "transcript"):
                    continue
                gene_id = line.gene_id
                if line.start < 0:
                    raise ValueError(f"no coordinate in {text[:60]!r}")
                gene = found.get((line.contig, gene_id))
                if gene is None:
                    if line.strand not in ("+", "-"):
                        raise TableError(f"{path}: gene {gene_id} has strand {line.strand!r}, expected + or -")
                    attributes = line.to_dict()
                    gene = found[line.contig, gene_id] = _Found(attributes.get("gene_name", gene_id), line.strand)
                gene.add(line.feature, line.start, line.end)
    except (ValueError, LookupError, AttributeError) as error:
        after = f", after {line.contig}:{line.start + 1}" if found else ""
        raise TableError(f"{path}: is no GTF, or damaged{after} ({str(error)[:80]})") from error
    return _genes(found)


def _read_bed(file: BinaryIO, path: Path) -> Iterator[Gene]:
    found: dict[tuple[str, str], _Found] = {}
    for number, raw in enumerate(file, start=1):
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.split("\t")
        if len(fields) < 6 or fields[5] not in ("+", "-") or not (fields[1] + fields[2]).isdecimal():
            raise TableError(
                f"{path}, line {number}: expected tab-separated chrom, start, end, name, score and strand (+ or -), "
                f"found {line[:60]!r}"
            )
        chrom, start, end, gene_id, _, strand = fields[:6]
        gene = found.setdefault((chrom, gene_id), _Found(gene_id, strand))
        gene.add("gene", int(start), int(end))
    return _genes(found)
