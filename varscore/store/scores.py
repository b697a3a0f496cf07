"""The score table: one row per ALT allele, one float32 column per track, in Parquet."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from varscore.errors import OutputError

METADATA_KEY = "varscore"
"""Key of a file's metadata that holds the run as JSON."""

ROW_FIELDS = (
    pa.field("chrom", pa.string(), nullable=False),
    pa.field("pos", pa.int32(), nullable=False),
    pa.field("id", pa.string()),
    pa.field("ref", pa.string(), nullable=False),
    pa.field("alt", pa.string(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("window_start", pa.int32()),
    pa.field("window_index", pa.int32()),
)
"""The columns before the tracks. `window_start` and `window_index`, the variant's place in it, are 0-based."""

GROUP_BYTES = 64 * 2**20
"""Scores in one row group, at most."""


GENE_FIELDS = (
    *ROW_FIELDS[:5],
    pa.field("gene_id", pa.string(), nullable=False),
    pa.field("gene_name", pa.string(), nullable=False),
    pa.field("strand", pa.string(), nullable=False),
    pa.field("tss", pa.int32(), nullable=False),
    pa.field("distance", pa.int32(), nullable=False),
)
"""The columns before the tracks in a table of genes, one row for each scored allele and gene. `tss` is the one next to
the variant, 1-based; `distance` is from it to POS along the gene's strand: negative upstream."""


def score_schema(
    tracks: Sequence[tuple[str, str]], statistics: Sequence[str] = ("SAD",), rows: Sequence[pa.Field] = ROW_FIELDS
) -> pa.Schema:
    """A table's schema.

    Args:
        tracks: identifier and description of each.
        statistics: one column each for every track: named as the track where there is one statistic, else
            `STATISTIC:TRACK`.
        rows: the columns before.
    """
    scores = [
        pa.field(
            track if len(statistics) == 1 else f"{statistic}:{track}",
            pa.float32(),
            metadata={"description": text, "statistic": statistic},
        )
        for statistic in statistics
        for track, text in tracks
    ]
    return pa.schema([*rows, *scores])


def score_table(
    schema: pa.Schema, rows: Sequence[tuple[Any, ...]], scores: np.ndarray, scored: np.ndarray | None = None
) -> pa.Table:
    """A table of some alleles, or of some alleles and genes.

    Args:
        schema: of `score_schema`.
        rows: values of the columns before the scores.
        scores: [scored rows, statistics × tracks].
        scored: [rows] bool, which rows the scores belong to, the others get nulls; by default all.
    """
    scored = np.ones(len(rows), bool) if scored is None else scored
    before = len(schema) - scores.shape[1]
    columns: list[pa.Array] = [pa.array([row[i] for row in rows], schema.field(i).type) for i in range(before)]
    wide = np.zeros((scores.shape[1], len(scored)), np.float32)
    wide[:, scored] = scores.T
    mask = None if scored.all() else ~scored
    columns += [pa.array(column, mask=mask) for column in wide]
    return pa.Table.from_arrays(columns, schema=schema)


class TableWriter:
    """Writes tables of one schema into a Parquet file, gathered to row groups; a context manager.

    Args:
        sink: a path or an open file.
        schema: of `score_schema`.
        run: what describes the run, written as JSON under `METADATA_KEY` at the end.
    """

    def __init__(self, sink: Any, schema: pa.Schema, run: Mapping[str, Any]) -> None:
        self.run, self._schema = run, schema
        self._group_rows = max(1, min(65_536, GROUP_BYTES // (4 * max(1, len(schema) - len(ROW_FIELDS)))))
        self._waiting: list[pa.Table] = []
        self._writer = pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            use_dictionary=False,
            # a million tiny minima and maxima of scores would help no reader
            write_statistics=["chrom", "pos"],  # pyright: ignore[reportArgumentType]
            write_page_checksum=True,
        )

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
            self._writer.add_key_value_metadata({METADATA_KEY: json.dumps(self.run)})
        self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Append rows."""
        self._waiting.append(table)
        if sum(len(waiting) for waiting in self._waiting) >= self._group_rows:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.concat_tables(self._waiting).combine_chunks()
            self._waiting = []
            self._writer.write_table(table, row_group_size=self._group_rows)


def encode_table(table: pa.Table, run: Mapping[str, Any]) -> pa.Buffer:
    """A table as the bytes of a Parquet file."""
    sink = pa.BufferOutputStream()
    with TableWriter(sink, table.schema, run) as writer:
        writer.write(table)
    return sink.getvalue()


def read_run(file: Any) -> dict[str, Any] | None:
    """What describes the run in a file's metadata; None if it is not a Parquet file of varscore's."""
    try:
        metadata = pq.read_metadata(file).metadata or {}
        run = json.loads(metadata[METADATA_KEY.encode()])
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None
    return run if isinstance(run, dict) else None


def read_groups(file: Any) -> Iterator[pa.Table]:
    """The row groups of a score file, each page held against its checksum. Raises OSError where one is damaged."""
    parquet = pq.ParquetFile(file, page_checksum_verification=True)
    for group in range(parquet.num_row_groups):
        yield parquet.read_row_group(group, use_threads=False)


def check_file(path: Path) -> None:
    """Say now, not after hours, that a file cannot be written.

    Raises:
        OutputError: it is a folder, or its folder is missing or closed to writing.
    """
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"output {path} is a folder: name a file in it, such as {path / 'scores.parquet'}")
    if not folder.is_dir():
        raise OutputError(f"output {path} cannot be written: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"output {path} cannot be written: the folder {folder} is not writable for you")


def check_new_file(place: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Say now that a file cannot be written, or is there already. Of an address, nothing is known.

    Raises:
        OutputError: as `check_file`; or it is there, and not to be overwritten.
    """
    if "://" in os.fspath(place):
        return
    path = Path(place)
    check_file(path)
    if path.exists() and not overwrite:
        raise OutputError(f"output {path} exists already: choose another name, or replace it with --overwrite")
