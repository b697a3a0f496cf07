"""Reading score tables: one Parquet file, or a folder of parts, as `varscore score` writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from varscore.errors import TableError
from varscore.network.tracks import Track, select_tracks
from varscore.store.folder import is_remote, split_address
from varscore.store.output import is_ours
from varscore.store.plan import PLAN_FILE
from varscore.store.scores import METADATA_KEY, ROW_FIELDS, read_run

ROW_COLUMNS = tuple(field.name for field in ROW_FIELDS)
BATCH_BYTES = 64 * 2**20
"""Scores that are read at a time."""


@dataclass(frozen=True)
class ScoreColumn:
    """A column of scores: one statistic of one track.

    name: of the column. statistic: such as SAD. track: with `index` counted in this table, from 0.
    """

    name: str
    statistic: str
    track: Track


class ScoreTable:
    """The scores of a run, read a few columns or rows at a time.

    Args:
        place: a Parquet file, a folder of parts, or the address of one.

    Attributes:
        run: what describes the run: the file's metadata under the key `varscore`.
        columns: of scores, in the file's order.
        row_columns: the names of the columns before them.

    Raises:
        TableError: there is nothing to read, it is not varscore's, or the run has not finished.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self.place = split_address(place)[0]
        self._dataset = _open(place)
        self.schema = self._dataset.schema
        self.run = _run_of(self._dataset, self.place)
        self.row_columns = tuple(f.name for f in self.schema if (f.metadata or {}).get(b"description") is None)
        self.columns = score_columns(self.schema, self.run)

    def __len__(self) -> int:
        return self._rows

    @cached_property
    def _rows(self) -> int:
        return self._dataset.count_rows()

    @cached_property
    def tracks(self) -> list[Track]:
        """Each once, in the file's order."""
        return list({column.track.identifier: column.track for column in self.columns}.values())

    @cached_property
    def statistics(self) -> list[str]:
        """Each once, in the file's order."""
        return list(dict.fromkeys(column.statistic for column in self.columns))

    def select(self, tracks: Sequence[str] | None = None, statistic: str | None = None) -> list[ScoreColumn]:
        """The columns of one statistic (by default, the first) for the tracks that any selector names.

        Args:
            tracks: selectors as of `varscore score --tracks`, their indices counted in this table; None: all.
            statistic: its name as in `statistics`.

        Raises:
            TableError: there is no such statistic.
            TrackError: a selector matches no track of the table.
        """
        statistic = statistic or self.statistics[0]
        if statistic not in self.statistics:
            raise TableError(f"{self.place} has no {statistic}: it has {', '.join(self.statistics)}")
        chosen = set(select_tracks(self.tracks, tracks))
        return [c for c in self.columns if c.statistic == statistic and c.track.index in chosen]

    def alleles(self) -> pd.DataFrame:
        """All rows without their scores: chrom, pos (1-based), id, ref, alt, status, window_start, window_index."""
        with self._damage():
            return self._dataset.to_table(columns=list(self.row_columns)).to_pandas()

    def scores(self, columns: Sequence[ScoreColumn]) -> np.ndarray:
        """All rows of these columns: float32 [rows, columns], NaN where an allele was not scored."""
        with self._damage():
            return _array(self._dataset.to_table(columns=[column.name for column in columns]))

    def batches(self, columns: Sequence[ScoreColumn]) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Rows in the file's order, some at a time: as `alleles` and `scores` give them, in bounded memory."""
        rows = max(1, min(65_536, BATCH_BYTES // (4 * max(1, len(columns)))))
        names = [*self.row_columns, *(column.name for column in columns)]
        for table in self._read(names, rows):
            alleles = table.select(list(self.row_columns)).to_pandas()
            yield alleles, _array(table.select(names[len(self.row_columns) :]))

    def tables(self) -> Iterator[pa.Table]:
        """All columns as they are, some rows at a time in the file's order."""
        rows = max(1, min(65_536, BATCH_BYTES // (4 * max(1, len(self.columns)))))
        return self._read(self.schema.names, rows)

    def _read(self, names: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """Row group by row group, since a scanner keeps what it has read of a file until it comes to the file's end."""
        for file in self._dataset.get_fragments():
            assert isinstance(file, ds.ParquetFileFragment)
            with self._damage():
                groups = file.split_by_row_group()
            for group in groups:
                with self._damage():
                    batches = group.to_batches(schema=self.schema, columns=names, batch_size=rows, batch_readahead=1)
                while True:
                    # not around the yield: an error of whoever takes the rows is not the table's
                    with self._damage():
                        batch = next(batches, None)
                    if batch is None:
                        break
                    if len(batch):
                        yield pa.Table.from_batches([batch])

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{self.place} cannot be read, it is damaged: {' '.join(str(error).split())}") from error


def _open(place: str | os.PathLike[str]) -> ds.FileSystemDataset:
    address, query = split_address(place)
    try:
        filesystem, path = fs.FileSystem.from_uri(address + query) if is_remote(place) else (None, address)
        kind = (filesystem or fs.LocalFileSystem()).get_file_info(path).type
        if kind == fs.FileType.NotFound:
            raise TableError(f"{address}: no such file or folder; give a table that `varscore score` wrote")
        # the plan, too: it has the schema and the run, and no rows
        dataset = ds.dataset(path, format="parquet", filesystem=filesystem, ignore_prefixes=["."])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(f"{address} cannot be read as Parquet: {error}") from error
    assert isinstance(dataset, ds.FileSystemDataset)
    if kind == fs.FileType.Directory:
        _check_complete(dataset, address)
    return dataset


def _check_complete(dataset: ds.FileSystemDataset, address: str) -> None:
    """Raise TableError unless all parts of the folder's plan are there."""
    folder = min(dataset.files, default="").rpartition("/")[0]
    names = {file.removeprefix(f"{folder}/") for file in dataset.files}
    if PLAN_FILE not in names or not all(map(is_ours, names)):
        raise TableError(f"{address} has no {PLAN_FILE}: it is not a folder that `varscore score` filled")
    plan = json.loads(_run_of(dataset, address).get("plan", "{}"))
    expected, there = len(plan.get("parts", ())), len(names - {PLAN_FILE})
    if there < expected:
        raise TableError(
            f"{address} has {there:,} of {expected:,} parts: run the command that scores once more, and it goes on"
        )


def _run_of(dataset: ds.FileSystemDataset, address: str) -> dict[str, Any]:
    """What describes the run in the first file, which in a folder is the plan's."""
    with dataset.filesystem.open_input_file(min(dataset.files)) as file:
        run = read_run(file)
    if run is None:
        raise TableError(f"{address} is no table of `varscore score`: its metadata has no {METADATA_KEY!r}")
    return run


def score_columns(schema: pa.Schema, run: Mapping[str, Any]) -> list[ScoreColumn]:
    """The columns of scores of a schema: those with a description.

    run: what describes the run; the first of its `statistics` is that of columns that name none.
    """
    default = run.get("statistics", ["SAD"])[0]
    columns: list[ScoreColumn] = []
    tracks: dict[str, Track] = {}
    for field in schema:
        metadata = field.metadata or {}
        if b"description" not in metadata:
            continue
        statistic = metadata.get(b"statistic", default.encode()).decode()
        identifier = field.name.removeprefix(f"{statistic}:")
        track = tracks.setdefault(identifier, Track(len(tracks), identifier, metadata[b"description"].decode()))
        columns.append(ScoreColumn(field.name, statistic, track))
    return columns


def _array(table: pa.Table) -> np.ndarray:
    scores = np.empty((len(table), table.num_columns), np.float32)
    for i, column in enumerate(table.columns):
        scores[:, i] = column.to_numpy()
    return scores
