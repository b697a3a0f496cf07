"""The score file: one row per ALT allele, one float32 column per track, in Parquet."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from varscore.errors import OutputError

METADATA_KEY = "varscore"
"""Key of the file's metadata that holds the run as JSON."""

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
"""Scores held before they are written as one row group."""


def check_output(path: Path, *, overwrite: bool) -> None:
    """Say now, not after hours, that the output cannot be written.

    Raises:
        OutputError: it exists and `overwrite` is off, is a folder, or its folder is missing or closed to writing.
    """
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"output {path} is a folder: name a file in it, such as {path / 'scores.parquet'}")
    if not folder.is_dir():
        raise OutputError(f"output {path} cannot be written: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"output {path} cannot be written: the folder {folder} is not writable for you")
    if path.exists() and not overwrite:
        raise OutputError(f"output {path} exists already: choose another name, or replace it with --overwrite")


def partial_path(path: Path) -> Path:
    """Where the finished rows of a run that failed are kept: `scores.parquet` to `scores.partial.parquet`."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


class ScoreWriter:
    """Writes rows in order, under a temporary name until the block is left without an error.

    When it is left with one, the rows written so far are kept as a whole file at `partial_path(path)`, if any allele in
    them was scored; nothing appears at `path`.

    Args:
        path: the output.
        tracks: (column name, description) of every track.
        run: what describes the run, written as JSON under `METADATA_KEY`; what is added to it before the end is written
            too.

    Raises:
        OutputError: the file cannot be written, for instance on a full disk.
    """

    def __init__(self, path: Path, tracks: Sequence[tuple[str, str]], run: Mapping[str, Any]) -> None:
        self.run = run
        self.path, self.kept_partial = path, False
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        scores = [pa.field(name, pa.float32(), metadata={"description": text}) for name, text in tracks]
        self.schema = pa.schema([*ROW_FIELDS, *scores])
        self._group_rows = max(1, min(65_536, GROUP_BYTES // (4 * max(1, len(tracks)))))
        self._rows: list[tuple[Any, ...]] = []
        self._scores: list[np.ndarray] = []
        self._scored: list[np.ndarray] = []
        self._any_scored = False

    def __enter__(self) -> "ScoreWriter":
        with self._os_errors():
            self._writer = pq.ParquetWriter(
                self._temporary,
                self.schema,
                compression="zstd",
                use_dictionary=False,
                # a million tiny minima and maxima of scores would help no reader
                write_statistics=["chrom", "pos"],  # pyright: ignore[reportArgumentType]
            )
        return self

    def write(self, rows: Sequence[tuple[Any, ...]], scores: np.ndarray, scored: np.ndarray) -> None:
        """Append rows.

        Args:
            rows: values of `ROW_FIELDS`.
            scores: [scored rows, tracks] float32.
            scored: [rows] bool, which rows the scores belong to; the others get nulls.
        """
        self._rows += rows
        self._scores.append(scores)
        self._scored.append(scored)
        if len(self._rows) >= self._group_rows:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        columns = [
            pa.array(values, field.type)
            for field, values in zip(ROW_FIELDS, zip(*self._rows, strict=True), strict=True)
        ]
        scored = np.concatenate(self._scored)
        scores = np.zeros((len(self.schema) - len(ROW_FIELDS), len(scored)), np.float32)
        scores[:, scored] = np.concatenate(self._scores).T
        columns += [pa.array(column, mask=~scored) for column in scores]
        with self._os_errors():
            self._writer.write_table(pa.Table.from_arrays(columns, schema=self.schema), row_group_size=len(self._rows))
        self._any_scored |= bool(scored.any())
        self._rows, self._scores, self._scored = [], [], []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._close(self.path)
            else:
                # the first error is the one to report
                with contextlib.suppress(OutputError, pa.ArrowException):
                    self._flush()
                    if self._any_scored:
                        self._close(partial_path(self.path))
                        self.kept_partial = True
        finally:
            self._writer.close()
            self._temporary.unlink(missing_ok=True)

    def _close(self, destination: Path) -> None:
        with self._os_errors():
            self._writer.add_key_value_metadata({METADATA_KEY: json.dumps(self.run)})
            self._writer.close()
            with self._temporary.open("rb") as file:
                os.fsync(file.fileno())
            self._temporary.replace(destination)

    @contextlib.contextmanager
    def _os_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"output {self.path} cannot be written: {error.strerror or error}") from error
