"""How unusual is a score? Where it stands in the distribution of its track's scores over common variants."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from varscore.analysis.distribution import PROBABILITIES, QUANTILE, is_signed, knots_of, ranks_in
from varscore.errors import TableError
from varscore.genome.contigs import canonical_name
from varscore.genome.frequencies import read_frequencies
from varscore.genome.variant import Status
from varscore.store.folder import whole_file
from varscore.store.provenance import describe_software
from varscore.store.scores import TableWriter, check_new_file
from varscore.store.table import ScoreColumn, ScoreTable, score_columns

log = logging.getLogger("varscore")

METADATA_KEY = "varscore_background"
"""Key of a file's metadata that holds what describes a background as JSON."""

DEFAULT_MAF = 0.01

FEW = 1000
"""Alleles below which a background is coarse."""

_NAMES = [f"{p:.6g}" if p < 0.5 else f"{p:.9g}" for p in PROBABILITIES]
_BLOCK_BYTES = 256 * 2**20
_SAME = ("model", "weights", "organism", "rows", "window.length", "bins")
_SIMILAR = ("window.policy", "window.index", "window.grid", "window.shifts", "reverse_complement")


@dataclass(frozen=True)
class Background:
    """The distributions of some tracks' scores over common variants.

    place: its file. made: what describes it, of `METADATA_KEY`. alleles: of each distribution, by (statistic,
    identifier of the track). knots: float32 [distributions, probabilities], in the order of `alleles`.
    """

    place: str
    made: Mapping[str, Any]
    alleles: Mapping[tuple[str, str], int]
    knots: np.ndarray
    _row: Mapping[tuple[str, str], int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_row", {key: row for row, key in enumerate(self.alleles)})

    @classmethod
    def load(cls, place: str | os.PathLike[str]) -> Background:
        """Read what `varscore background` wrote.

        Raises:
            TableError: there is no such file, or it is not a background.
        """
        path = Path(place)
        if not path.is_file():
            raise TableError(f"{path}: no such file; `varscore background` makes one")
        try:
            table = pq.read_table(path)
            made = json.loads((table.schema.metadata or {})[METADATA_KEY.encode()])
            keys = zip(table["statistic"].to_pylist(), table["track"].to_pylist(), strict=True)
            alleles = dict(zip(keys, table["alleles"].to_pylist(), strict=True))
            knots = np.stack([table[name].to_numpy() for name in _NAMES], axis=1)
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise TableError(f"{path} is no background: make one with `varscore background`") from error
        return cls(str(path), made, alleles, knots)

    def quantiles(self, tracks: Sequence[str], statistic: str, scores: np.ndarray) -> np.ndarray:
        """Where scores stand among those of common variants.

        Of a statistic with a direction, 2F − 1: from −1 (lower than nearly all) over 0 (the median) to 1. Of one
        without, F: from 0 to 1. F is the share below, and half of what is equal. With n alleles in the background, no
        quantile is nearer to its end than one half of them.

        Args:
            tracks: identifiers.
            statistic: such as SAD.
            scores: [alleles, tracks].

        Returns:
            float32 [alleles, tracks], NaN where a score is NaN.

        Raises:
            TableError: the background has not this statistic of one of the tracks.
        """
        self._check_has([(statistic, track) for track in tracks])
        found = np.empty(scores.shape, np.float32)
        for i, track in enumerate(tracks):
            row = self._row[statistic, track]
            ranks = ranks_in(self.knots[row], self.alleles[statistic, track], scores[:, i])
            found[:, i] = 2 * ranks - 1 if is_signed(statistic) else ranks
        return found

    def schema(self, schema: pa.Schema, run: Mapping[str, Any] | None = None) -> pa.Schema:
        """A score table's schema with a further column of quantiles for each column of scores, after all others.

        Args:
            schema: whose fields of scores have a `description`.
            run: what describes the table, of which the first of `statistics` is that of columns that name none.
        """
        return pa.schema([*schema, *map(_quantile_field, _ranked(schema, run))], metadata=schema.metadata)

    def append(self, table: pa.Table, run: Mapping[str, Any] | None = None) -> pa.Table:
        """Some rows of a score table with their quantiles, of `schema`. Raises TableError as `quantiles` does."""
        columns = _ranked(table.schema, run)
        self._check_has([(column.statistic, column.track.identifier) for column in columns])
        arrays = list(table.columns)
        for column in columns:
            scores = table[column.name].to_numpy()[:, None]
            found = self.quantiles([column.track.identifier], column.statistic, scores)[:, 0]
            arrays.append(pa.array(found, mask=np.isnan(found)))
        return pa.Table.from_arrays(arrays, schema=self.schema(table.schema, run))

    def check(self, run: Mapping[str, Any], row_columns: Sequence[str], name: str) -> None:
        """Compare with what describes the table `name`; warn where windows or strands are others.

        Raises:
            TableError: of another model, other weights, another organism or window, or of genes where the table is of
                alleles.
        """
        there, now = self.made, {**run, "rows": _rows_of(row_columns)}
        if found := _differences(there, now, _SAME):
            raise TableError(f"{self.place} is no background for {name}: " + "; ".join(found))
        if found := _differences(there, now, _SIMILAR):
            log.warning("%s was scored in another way than %s: %s", self.place, name, "; ".join(found))

    def _check_has(self, wanted: Sequence[tuple[str, str]]) -> None:
        missing = [key for key in wanted if key not in self._row]
        if not missing:
            return
        statistics = list(dict.fromkeys(statistic for statistic, _ in self.alleles))
        if other := [statistic for statistic, _ in missing if statistic not in statistics]:
            raise TableError(f"{self.place} has no {other[0]}: it has {', '.join(statistics)}")
        statistic, track = missing[0]
        raise TableError(
            f"{self.place} has no {statistic} of {len(missing):,} of {len(wanted):,} tracks, the first is {track}: "
            "make it of a table with all tracks"
        )


def _ranked(schema: pa.Schema, run: Mapping[str, Any] | None) -> list[ScoreColumn]:
    """The columns that get quantiles: all scores."""
    columns = [c for c in score_columns(schema, run or {}) if not c.statistic.endswith(QUANTILE)]
    there = set(schema.names)
    if taken := [column for column in columns if _quantile_field(column).name in there]:
        raise TableError(f"there are quantiles already: {_quantile_field(taken[0]).name}")
    return columns


def _quantile_field(column: ScoreColumn) -> pa.Field:
    statistic = column.statistic + QUANTILE
    metadata = {"description": column.track.description, "statistic": statistic}
    return pa.field(f"{statistic}:{column.track.identifier}", pa.float32(), metadata=metadata)


def _rows_of(row_columns: Sequence[str]) -> str:
    return "genes" if "gene_id" in row_columns else "alleles"


def _differences(there: Mapping[str, Any], now: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """`window.policy is shared there, centered here` for each setting that differs."""

    def value(run: Mapping[str, Any], name: str) -> Any:
        outer, _, inner = name.partition(".")
        found = run.get(outer)
        return found.get(inner) if inner and isinstance(found, Mapping) else found

    return [
        f"{name} is {_short(value(there, name))} there, {_short(value(now, name))} here"
        for name in names
        if value(there, name) != value(now, name)
    ]


def _short(value: Any) -> str:
    return f"{value['sha256'][:12]}…" if isinstance(value, Mapping) and "sha256" in value else str(value)


@dataclass(frozen=True)
class Made:
    """What a background was made of. rows: of the table, and of what kind. common: of these, those that count."""

    place: str
    kind: str
    rows: int
    common: int
    distributions: int


def make_background(
    scores: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    vcf: str | os.PathLike[str] | None = None,
    maf: float = DEFAULT_MAF,
    overwrite: bool = False,
    command: str | None = None,
) -> Made:
    """Keep the distribution of each score of a table over its alleles.

    Args:
        scores: a table of `varscore score`, of common variants, or of any where `vcf` says which are.
        output: the Parquet file to write: one row for each statistic and track, `PROBABILITIES` as columns.
        vcf: count alleles only that this VCF has (same position, REF and ALT) with a frequency of `maf` to 1 − `maf`.
        maf: the smallest frequency of the rarer allele.
        overwrite: replace an existing file.
        command: the command line, for the metadata.

    Returns:
        How many alleles count.

    Raises:
        TableError: no score table, or no allele of it counts.
        VcfError: the VCF cannot be read, or says no frequencies.
        OutputError: the output is there already, or cannot be written.
    """
    table = ScoreTable(scores)
    place = _new_file(output, overwrite=overwrite)
    columns = [column for column in table.columns if not column.statistic.endswith(QUANTILE)]
    rows = table.alleles()
    counted = np.ones(len(rows), bool)
    if "status" in rows:
        counted &= (rows["status"] == Status.SCORED.value).to_numpy()
    if not counted.any():
        raise TableError(f"{table.place} has no allele with scores")
    if vcf is not None:
        counted &= _common(rows, vcf, maf)
        if not counted.any():
            raise TableError(
                f"{table.place}: none of its {len(rows):,} alleles is in {vcf} with a minor allele frequency of at "
                f"least {maf}; both need the same genome build, position, REF and ALT"
            )
    common = int(counted.sum())
    if common < FEW:
        log.warning("%s alleles are few for a background: quantiles go up to %.6g", f"{common:,}", 1 - 1 / common)

    alleles = np.zeros(len(columns), np.int64)
    knots = np.empty((len(columns), len(PROBABILITIES)), np.float32)
    step = max(1, _BLOCK_BYTES // (4 * len(rows)))
    for start in range(0, len(columns), step):
        block = table.scores(columns[start : start + step])[counted]
        for i in range(block.shape[1]):
            known = block[:, i][np.isfinite(block[:, i])]
            if not len(known):
                raise TableError(f"{table.place}: {columns[start + i].name} has no value for any of these alleles")
            alleles[start + i], knots[start + i] = len(known), knots_of(known)

    kept = ("model", "weights", "organism", "window", "bins", "reverse_complement", "precision", "engine")
    made = {
        "software": describe_software(),
        "command": command,
        "scores": table.place,
        "rows": _rows_of(table.row_columns),
        "alleles": common,
        "vcf": None if vcf is None else os.fspath(vcf),
        "maf": None if vcf is None else maf,
        **{name: table.run.get(name) for name in kept},
        "scored_by": table.run.get("command"),
        "definition": "scores at these probabilities; value i of n in rising order stands at (i - 1/2)/n",
    }
    found = pa.table(
        {
            "statistic": [column.statistic for column in columns],
            "track": [column.track.identifier for column in columns],
            "description": [column.track.description for column in columns],
            "alleles": alleles,
            **dict(zip(_NAMES, knots.T, strict=True)),
        }
    ).replace_schema_metadata({METADATA_KEY: json.dumps(made)})
    with whole_file(place) as sink:
        pq.write_table(found, sink, compression="zstd", use_dictionary=False, write_statistics=False)
    return Made(str(place), made["rows"], len(rows), common, len(columns))


def _common(rows: pd.DataFrame, vcf: str | os.PathLike[str], maf: float) -> np.ndarray:
    """[rows] bool: which are in the VCF with a minor allele frequency of at least `maf`."""
    chroms = map(canonical_name, rows["chrom"].tolist())
    wanted: dict[tuple[str, int, str, str], list[int]] = {}
    for row, key in enumerate(zip(chroms, rows["pos"].tolist(), rows["ref"], rows["alt"], strict=True)):
        wanted.setdefault(key, []).append(row)
    common = np.zeros(len(rows), bool)
    for one in read_frequencies(os.fspath(vcf)):
        if (minor := one.minor) is not None and minor >= maf:
            common[wanted.get((canonical_name(one.chrom), one.pos, one.ref, one.alt), [])] = True
    return common


def _new_file(output: str | os.PathLike[str], *, overwrite: bool) -> Path:
    check_new_file(output, overwrite=overwrite)
    return Path(output)


@dataclass(frozen=True)
class Ranked:
    """What got quantiles."""

    rows: int
    columns: int


def write_quantiles(
    scores: str | os.PathLike[str],
    background: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    command: str | None = None,
) -> Ranked:
    """Copy a score table with a further column of quantiles (`SAD_quantile:TRACK`) for each column of scores.

    Args:
        scores: a table of `varscore score`.
        background: a file of `make_background`, of the same model, weights, organism and window.
        output: the Parquet file to write.
        overwrite: replace an existing file.
        command: the command line, for the metadata.

    Raises:
        TableError: one of the files is not what it should be, or the background does not fit the scores.
        OutputError: the output is there already, or cannot be written.
    """
    table, found = ScoreTable(scores), Background.load(background)
    place = _new_file(output, overwrite=overwrite)
    found.check(table.run, table.row_columns, table.place)
    schema = found.schema(table.schema.remove_metadata(), table.run)
    added = len(schema) - len(table.schema)
    statistics = [*table.statistics, *(s + QUANTILE for s in table.statistics if not s.endswith(QUANTILE))]
    run = {name: value for name, value in table.run.items() if name not in ("plan", "part")} | {
        "statistics": statistics,
        "definitions": {**table.run.get("definitions", {}), **_DEFINITIONS},
        "background": {**found.made, "place": found.place, "quantiles_by": command},
    }
    rows, statuses = 0, dict[str, int]()
    with whole_file(place) as sink, TableWriter(sink, schema, run) as writer:
        for some in table.tables():
            rows += len(some)
            writer.write(found.append(some, table.run))
            for status in some["status"].to_pylist() if "status" in some.column_names else ():
                statuses[status] = statuses.get(status, 0) + 1
        if statuses:
            run["alleles"] = statuses
    return Ranked(rows, added)


_DEFINITIONS = {
    "quantile": "2F - 1 of signed statistics, F of D1, D2, JS, REF and ALT, with F the share of the background's "
    "alleles that score less, and half of those that score the same; at least 1/2 allele from either end",
}
