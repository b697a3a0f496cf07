"""The long form: one row for each allele and track, as plotting and statistics packages like it."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from varscore.analysis.export.output import check_output, select_statistics
from varscore.analysis.top import LEFT_OUT
from varscore.store.folder import whole_file
from varscore.store.table import ScoreColumn, ScoreTable

ENDINGS = (".parquet", ".tsv", ".tsv.gz")
CHUNK_ROWS = 2**19
"""Long rows that are made at a time."""


def export_long(
    table: ScoreTable,
    output: str | os.PathLike[str],
    *,
    tracks: Sequence[str] | None = None,
    statistics: Sequence[str] | None = None,
    minimum: float = 0.0,
    overwrite: bool = False,
) -> int:
    """Write one row for each allele and track that has a score, in the table's order, alleles first.

    Columns: those that name the allele (and the gene), `track`, `description`, and one for each statistic.

    Args:
        table: of alleles, or of alleles and genes.
        output: Parquet, or tab-separated text, as its ending says.
        tracks: selectors as of `ScoreTable.select`; None: all.
        statistics: by default the table's first.
        minimum: leave out rows whose first statistic is smaller in size.
        overwrite: replace an existing file.

    Returns:
        How many rows were written.

    Raises:
        OutputError: the output has another ending, exists already or cannot be written.
        TableError: no such statistic.
        TrackError: a selector matches no track.
    """
    path = check_output(output, ENDINGS, overwrite=overwrite)
    chosen = select_statistics(table, tracks, statistics)
    schema = _schema(table, chosen)
    rows = 0
    with whole_file(path) as sink, _writer(path, sink, schema) as writer:
        for chunk in _chunks(table, chosen, minimum):
            writer.write(chunk)
            rows += len(chunk)
    return rows


def _schema(table: ScoreTable, chosen: dict[str, list[ScoreColumn]]) -> pa.Schema:
    rows = [table.schema.field(name) for name in table.row_columns if name not in LEFT_OUT]
    text = [pa.field(name, pa.string(), nullable=False) for name in ("track", "description")]
    scores = [pa.field(statistic, pa.float32()) for statistic in chosen]
    # not under the key of score tables, which this is none of
    return pa.schema([*rows, *text, *scores], metadata={"varscore_run": json.dumps(table.run)})


def _chunks(table: ScoreTable, chosen: dict[str, list[ScoreColumn]], minimum: float) -> Iterator[pa.Table]:
    columns = next(iter(chosen.values()))
    schema = _schema(table, chosen)
    names = pa.array([column.track.identifier for column in columns])
    descriptions = pa.array([column.track.description for column in columns])
    step = max(1, CHUNK_ROWS // len(columns))
    for alleles, values in table.batches([column for of_one in chosen.values() for column in of_one]):
        for first in range(0, len(alleles), step):
            some = values[first : first + step].reshape(-1, len(chosen), len(columns))
            leading = some[:, 0, :]
            row, column = np.nonzero(~np.isnan(leading) & (np.abs(leading) >= minimum))
            if len(row):
                fields = _repeat(alleles.iloc[first : first + step], row, schema)
                fields += [texts.take(pa.array(column)) for texts in (names, descriptions)]
                fields += [pa.array(some[row, i, column], from_pandas=True) for i in range(len(chosen))]
                yield pa.Table.from_arrays(fields, schema=schema)


def _repeat(alleles: pd.DataFrame, row: np.ndarray, schema: pa.Schema) -> list[pa.Array]:
    indices = pa.array(row)
    fields = [field for field in schema if field.name in alleles.columns and field.name not in LEFT_OUT]
    return [pa.array(alleles[field.name], field.type, from_pandas=True).take(indices) for field in fields]


def _writer(path: Path, sink: Any, schema: pa.Schema) -> AbstractContextManager[Any]:
    if path.suffix == ".parquet":
        return _ParquetWriter(sink, schema)
    return _TextWriter(sink, schema, compressed=path.suffix == ".gz")


class _ParquetWriter(ExitStack):
    def __init__(self, sink: Any, schema: pa.Schema) -> None:
        super().__init__()
        text = [field.name for field in schema if pa.types.is_string(field.type)]
        self._writer = self.enter_context(
            pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=text)  # pyright: ignore[reportArgumentType]
        )

    def write(self, chunk: pa.Table) -> None:
        self._writer.write_table(chunk)


class _TextWriter(ExitStack):
    def __init__(self, sink: Any, schema: pa.Schema, *, compressed: bool) -> None:
        super().__init__()
        if compressed:
            sink = self.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=sink, mtime=0))
        self._sink = sink
        sink.write(("\t".join(schema.names) + "\n").encode())

    def write(self, chunk: pa.Table) -> None:
        text = chunk.to_pandas().to_csv(sep="\t", header=False, index=False, lineterminator="\n")
        self._sink.write(text.encode())
