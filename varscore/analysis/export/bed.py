"""Scores as intervals of the genome: BED with columns of scores, or bedGraph of one track."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pysam

from varscore.analysis.export.htsfile import Order, indexed_file
from varscore.analysis.export.output import check_has_alleles, check_output, select_statistics
from varscore.analysis.top import has_score
from varscore.errors import OptionError
from varscore.store.folder import whole_file
from varscore.store.table import ScoreColumn, ScoreTable

ENDINGS = (".bed", ".bed.gz", ".bedgraph", ".bedgraph.gz")


def export_bed(
    table: ScoreTable,
    output: str | os.PathLike[str],
    *,
    tracks: Sequence[str] | None = None,
    statistics: Sequence[str] | None = None,
    overwrite: bool = False,
) -> int:
    """Write where the scored alleles stand, sorted by position within each chromosome, 0-based and half-open.

    - `.bed`, for bedtools, tabix and the like. After a header line that begins with `#`: chrom, start, end (start and
      the length of REF), name (`rs1_A>G`, or `chr1:100_A>G`), score (from 0 to 1000: |score| over the column's largest
      |score|, in thousandths, the largest of all columns), strand (`.`), and a column for each chosen track.
    - `.bedgraph`, for genome browsers, of one track: after the track line that the UCSC browser wants, the base at POS
      bears the score that is largest in size there.

    With `.gz` after it, the file is bgzipped and has a tabix index, which allows for no track line. Chromosomes are in
    the table's order.

    Args:
        table: of alleles.
        output: its ending says which.
        tracks: selectors as of `ScoreTable.select`; None: all.
        statistics: by default the table's first.
        overwrite: replace an existing file.

    Returns:
        How many lines were written, without the header.

    Raises:
        OptionError: a bedGraph of more than one column.
        OutputError: the output has another ending, exists already or cannot be written.
        TableError: no such statistic, or the table is of genes.
        TrackError: a selector matches no track.
    """
    path = check_output(output, ENDINGS, overwrite=overwrite)
    check_has_alleles(table, "BED")
    chosen = select_statistics(table, tracks, statistics)
    columns = [column for of_one in chosen.values() for column in of_one]
    is_graph = path.name.endswith((".bedgraph", ".bedgraph.gz"))
    if is_graph and len(columns) > 1:
        raise OptionError(f"a bedGraph holds one track, not {len(columns):,}: name one, or write {path.stem}.bed")
    is_sorted, largest = _survey(table, columns)
    rows = _rows(table, columns, is_sorted)
    lines = _graph_lines(rows) if is_graph else _bed_lines(rows, largest)
    count = 0
    with _text_file(path) as (sink, order):
        if is_graph and path.suffix != ".gz":
            sink.write(_track_line(columns[0]))
        if not is_graph:
            names = [c.track.identifier if len(chosen) == 1 else f"{c.statistic}:{c.track.identifier}" for c in columns]
            header = ["#chrom", "start", "end", "name", "score", "strand", *names]
            sink.write("\t".join(header).encode() + b"\n")
        for chrom, start, rest in lines:
            order.see(chrom, start)
            sink.write(f"{chrom}\t{start}\t{rest}\n".encode())
            count += 1
    return count


class _Row(NamedTuple):
    chrom: str
    start: int
    id: str | None
    ref: str
    alt: str
    scores: np.ndarray


def _survey(table: ScoreTable, columns: Sequence[ScoreColumn]) -> tuple[bool, np.ndarray]:
    """Whether rows are sorted, and the largest |score| of each column; 1 where all are 0."""
    order, largest = Order(), np.zeros(len(columns), np.float32)
    for alleles, scores in table.batches(columns):
        for chrom, pos in zip(alleles["chrom"], alleles["pos"], strict=True):
            order.see(chrom, pos - 1)
        largest = np.fmax(largest, np.fmax.reduce(np.abs(scores), axis=0))
    return order.is_sorted, np.where(largest > 0, largest, 1)


def _rows(table: ScoreTable, columns: Sequence[ScoreColumn], is_sorted: bool) -> Iterator[_Row]:
    """Alleles with a score, sorted. A table that is not sorted, as few are, is held in memory."""
    for alleles, scores in table.batches(columns) if is_sorted else _sorted(table, columns):
        kept = has_score(scores)
        alleles = alleles.loc[kept]
        ids = [None if pd.isna(name) else name for name in alleles["id"]]
        fields = alleles["chrom"], alleles["pos"] - 1, ids, alleles["ref"], alleles["alt"], scores[kept]
        yield from map(_Row, *fields)


def _sorted(table: ScoreTable, columns: Sequence[ScoreColumn]) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    alleles = table.alleles()
    order = np.lexsort((alleles["pos"], pd.factorize(alleles["chrom"])[0]))
    yield alleles.iloc[order], table.scores(columns)[order]


def _bed_lines(rows: Iterable[_Row], largest: np.ndarray) -> Iterator[tuple[str, int, str]]:
    for row in rows:
        name = f"{row.id or f'{row.chrom}:{row.start + 1}'}_{row.ref}>{row.alt}"
        score = round(1000 * float(np.nanmax(np.abs(row.scores) / largest)))
        values = ["." if np.isnan(value) else str(value) for value in row.scores]
        yield row.chrom, row.start, "\t".join([str(row.start + len(row.ref)), name, str(score), ".", *values])


def _track_line(column: ScoreColumn) -> bytes:
    name, text = (part.replace('"', "'") for part in (column.track.identifier, column.track.description))
    return f'track type=bedGraph name="{column.statistic} {name}" description="{text}" visibility=full\n'.encode()


def _graph_lines(rows: Iterable[_Row]) -> Iterator[tuple[str, int, str]]:
    for (chrom, start), here in groupby(rows, key=lambda row: (row.chrom, row.start)):
        strongest = max((row.scores[0] for row in here), key=np.abs)
        yield chrom, start, "\t".join([str(start + 1), str(strongest)])


@contextmanager
def _text_file(path: Path) -> Iterator[tuple[Any, Order]]:
    if path.suffix != ".gz":
        with whole_file(path) as sink:
            yield sink, Order()
        return
    with indexed_file(path, "bed") as (temporary, order), pysam.BGZFile(str(temporary), "wb", None) as sink:
        yield sink, order
