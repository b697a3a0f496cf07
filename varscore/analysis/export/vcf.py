"""The VCF that was scored, with scores in INFO."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
from pysam import bcftools

from varscore import __version__
from varscore.analysis.export.htsfile import indexed_file
from varscore.analysis.export.output import check_has_alleles, check_output, select_statistics
from varscore.errors import OutputError, TableError, VcfError
from varscore.genome.contigs import find_stretches
from varscore.genome.htslib import Compression, ends_with_bgzf_eof, file_compression, quiet_htslib
from varscore.genome.vcf import rereadable
from varscore.store.table import ScoreColumn, ScoreTable

ENDINGS = (".vcf.gz", ".bcf")


@dataclass(frozen=True)
class Annotated:
    """What was written.

    records: of the VCF. alleles: that have a score. fields: INFO fields.
    """

    records: int
    alleles: int
    fields: list[str]


def export_vcf(
    table: ScoreTable,
    vcf: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    tracks: Sequence[str] | None = None,
    statistics: Sequence[str] | None = None,
    overwrite: bool = False,
) -> Annotated:
    """Write all records of a VCF as they are, with an INFO field for each chosen column: one number for each ALT.

    An allele without a score has `.`; a record without any has no such field. Contigs, filters and fields that records
    use and the header lacks are declared.

    Args:
        table: the scores of this VCF, of all its records or of some (regions, PASS).
        vcf: the VCF or BCF that was scored.
        output: `.vcf.gz`, bgzipped and with a tabix index, or `.bcf` with a CSI index. Where there can
            be no index, since records are not sorted, a warning is logged.
        tracks: selectors as of `ScoreTable.select`; None: all.
        statistics: by default the table's first.
        overwrite: replace an existing file.

    Raises:
        OutputError: the output has another ending, exists already or cannot be written.
        TableError: the table is of another VCF, or of genes; no such statistic.
        TrackError: a selector matches no track.
        VcfError: the VCF cannot be read, or has such an INFO field already.
    """
    path = check_output(output, ENDINGS, overwrite=overwrite)
    check_has_alleles(table, "a VCF")
    chosen = [column for of_one in select_statistics(table, tracks, statistics).values() for column in of_one]
    fields = info_fields(chosen)
    pass_only = table.run.get("filters", {}).get("pass_only", False)
    rows = _Rows(table, chosen)
    count = alleles = 0
    with _source(vcf) as source, quiet_htslib():
        missing = _undeclared(source, vcf, table)
        with pysam.VariantFile(source) as records:
            header = records.header
            if there := [name for name in fields if name in header.info]:
                raise VcfError(f"{vcf} has INFO fields such as {there[0]} already: take them out with "
                               f"`bcftools annotate -x INFO/{there[0]}`")  # fmt: skip
            for line in [*missing, *(_info_line(name, column, table) for name, column in fields.items())]:
                header.add_line(line)
            is_bcf = path.suffix == ".bcf"
            with indexed_file(path, "bcf" if is_bcf else "vcf") as (temporary, order):
                with _text_file(temporary, is_bcf) as annotated:
                    annotated.write(str(header).encode())
                    for record in _read(records, vcf):
                        count += 1
                        order.see(record.chrom, record.start)
                        if not pass_only or all(name == "PASS" for name in record.filter):
                            alleles += _annotate(record, fields, rows)
                        annotated.write(str(record).encode())
                rows.check_all_taken(vcf)
    return Annotated(count, alleles, list(fields))


def info_fields(columns: Sequence[ScoreColumn]) -> dict[str, ScoreColumn]:
    """A name that VCF allows for each column, each its own: `SAD_SIM_AP_1` for SAD of SIM_AP-1.

    Anything but letters, digits, `_` and `.` becomes `_` (VCF 4.3, section 1.6.1); equal names are numbered.
    """
    fields: dict[str, ScoreColumn] = {}
    for column in columns:
        name = re.sub(r"[^0-9A-Za-z_.]", "_", f"{column.statistic}_{column.track.identifier}")
        name = name if re.match("[A-Za-z_]", name) else f"_{name}"
        unique, number = name, 1
        while unique in fields:
            number += 1
            unique = f"{name}_{number}"
        fields[unique] = column
    return fields


def _info_line(name: str, column: ScoreColumn, table: ScoreTable) -> str:
    what = f"{column.statistic} of {column.track.identifier}, {column.track.description}, by {table.run.get('model')}"
    quoted = re.sub(r'(["\\])', r"\\\1", what)
    return f'##INFO=<ID={name},Number=A,Type=Float,Description="{quoted}",Source="varscore",Version="{__version__}">'


def _annotate(record: pysam.VariantRecord, fields: dict[str, ScoreColumn], rows: _Rows) -> int:
    """Set the fields from the next rows, if they are this record's; how many alleles have a score."""
    ref, *alts = record.alleles or ("",)
    found = [rows.take((record.chrom, record.pos, record.id, ref, alt)) for alt in alts or (".",)]
    scored = [scores is not None and not np.isnan(scores).all() for scores in found]
    if any(scored):
        for i, name in enumerate(fields):
            values = [None if scores is None or np.isnan(scores[i]) else float(scores[i]) for scores in found]
            if any(value is not None for value in values):
                record.info[name] = tuple(values)
    return sum(scored)


@contextmanager
def _text_file(path: Path, is_bcf: bool) -> Iterator[pysam.BGZFile]:
    """A bgzipped file for VCF's text, which becomes BCF at the end.

    Text, since VariantFile.write changes records: it adds END to symbolic alleles and takes it from others.
    """
    if not is_bcf:
        with pysam.BGZFile(str(path), "wb", None) as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as text:
        with pysam.BGZFile(text.name, "wb", None) as file:
            yield file
        try:
            bcftools.view("--no-version", "-Ob", "-o", str(path), text.name, catch_stdout=False)
        except pysam.SamtoolsError as error:
            raise OutputError(f"{path} cannot be written: {error}") from error


class _Rows:
    """The table's rows, taken one after another by the alleles of a VCF that may have more."""

    def __init__(self, table: ScoreTable, columns: Sequence[ScoreColumn]) -> None:
        self._place, self._count = table.place, 0
        self._rows = self._read(table, columns)
        self._next = next(self._rows, None)

    @staticmethod
    def _read(table: ScoreTable, columns: Sequence[ScoreColumn]) -> Iterator[tuple[tuple[object, ...], np.ndarray]]:
        for alleles, scores in table.batches(columns):
            ids = [None if pd.isna(name) else name for name in alleles["id"]]
            names = zip(alleles["chrom"], alleles["pos"], ids, alleles["ref"], alleles["alt"], strict=True)
            yield from zip(names, scores, strict=True)

    def take(self, allele: tuple[object, ...]) -> np.ndarray | None:
        """The scores of the next row if it is of this allele (chrom, pos, id, ref, alt)."""
        if self._next is None or self._next[0] != allele:
            return None
        scores = self._next[1]
        self._count += 1
        self._next = next(self._rows, None)
        return scores

    def check_all_taken(self, vcf: str | os.PathLike[str]) -> None:
        """Raise TableError if a row is left."""
        if self._next is not None:
            chrom, pos, name, ref, alt = self._next[0]
            raise TableError(
                f"row {self._count + 1:,} of {self._place} ({chrom}:{pos} {name or '.'} {ref}>{alt}) is not in {vcf}, "
                "or not after the rows before it: give the VCF that was scored, in the same order"
            )


@contextmanager
def _source(vcf: str | os.PathLike[str]) -> Iterator[str]:
    """A path that htslib can read more than once: gzip files, which it cannot, are unpacked to a temporary file."""
    with rereadable(vcf) as path, tempfile.NamedTemporaryFile(prefix="varscore-", suffix=".vcf") as plain:
        path = Path(path)
        if not path.is_file():
            raise VcfError(f"{path}: no such file; give the VCF that was scored")
        try:
            compression = file_compression(path)
            if compression is Compression.BGZF and not ends_with_bgzf_eof(path):
                raise VcfError(f"{vcf}: has no BGZF end marker, so it is truncated; fetch, copy or write it again")
            if compression is Compression.GZIP:
                with GzipFile(path) as packed:
                    shutil.copyfileobj(packed, plain)
                plain.flush()
                path = plain.name
        except (OSError, EOFError, zlib.error) as error:
            raise VcfError(f"{vcf} cannot be read: {error}") from error
        try:
            yield str(path)
        except UnicodeDecodeError as error:
            raise VcfError(
                f"{vcf} holds text that is not UTF-8, as VCF must be ({error}): iconv converts it"
            ) from error


def _undeclared(source: str, vcf: str | os.PathLike[str], table: ScoreTable) -> list[str]:
    """Header lines for what records use and the header lacks. htslib finds it as it reads, too late for the output."""
    try:
        records = pysam.VariantFile(source)
    except (OSError, ValueError) as error:
        raise VcfError(f"{vcf}: not a VCF or BCF, or its header is damaged") from error
    with records:
        header = records.header
        kinds = {"contig": header.contigs, "FILTER": header.filters, "INFO": header.info, "FORMAT": header.formats}
        declared = {kind: set(names) for kind, names in kinds.items()}
        for _ in _read(records, vcf):
            pass
    return [
        f"##{kind}=<ID={name}{_detail(kind, name, table)}>"
        for kind, names in kinds.items()
        for name in names
        if name not in declared[kind]
    ]


def _detail(kind: str, name: str, table: ScoreTable) -> str:
    if kind == "contig":
        lengths = {contig: about["length"] for contig, about in table.run.get("contigs", {}).items()}
        stretches = find_stretches(lengths, name)
        return f",length={stretches[0].length}" if stretches and stretches[0].whole else ""
    number = "" if kind == "FILTER" else ",Number=.,Type=String"
    return f'{number},Description="Not declared in the file that was scored"'


def _read(records: pysam.VariantFile, vcf: str | os.PathLike[str]) -> Iterator[pysam.VariantRecord]:
    count = 0
    try:
        for record in records:
            count += 1
            yield record
    except (OSError, ValueError) as error:
        raise VcfError(f"{vcf}: record {count + 1} cannot be read: it is malformed or cut off ({error})") from error
