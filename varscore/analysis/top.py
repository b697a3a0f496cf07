"""The alleles that stand out in a table, on a scale on which tracks can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from varscore.analysis.scale import kinds, measure
from varscore.errors import OptionError, TableError
from varscore.genome.regions import Region, RegionFilter
from varscore.store.table import ScoreTable

Scale = Literal["sd", "quantile", "none"]
Unit = Literal["allele", "pair"]

LEFT_OUT = ("status", "window_start", "window_index")
"""Row columns that say how an allele was scored, not which it is."""


@dataclass(frozen=True)
class Strongest:
    """What was found.

    rows: the strongest first: the table's columns that name an allele (and a gene), then `track`, `description`,
        `score`, and `scaled` unless the scale is none.
    statistic, scale: of `score` and of `scaled`.
    unscaled: how many alleles with scores cannot be compared, since all of a track's scores are the same.
    """

    rows: pd.DataFrame
    statistic: str
    scale: Scale
    unscaled: int = 0


def strongest(
    table: ScoreTable,
    n: int = 20,
    *,
    tracks: Sequence[str] | None = None,
    statistic: str | None = None,
    by: Unit = "allele",
    scale: Scale | None = None,
    regions: Sequence[Region] | None = None,
) -> Strongest:
    """The n alleles, or pairs of allele and track, with the largest scores in size.

    The table is read some rows at a time, once, or twice where standard deviations are needed. Of equals, the first in
    the table counts as stronger.

    Args:
        table: of alleles, or of alleles and genes: then what is said of alleles holds for each row.
        n: how many, at least 1.
        tracks: selectors as of `ScoreTable.select`; None: all.
        statistic: by default the table's first.
        by: allele: each once, with its strongest track. pair: an allele may come up with many tracks.
        scale: sd: scores divided by the track's standard deviation over the table's alleles of the same kind, indels
            or alleles as long as REF; indels move more (the only one of its kind: of the other kind). quantile: the
            table's column `STATISTIC_quantile`. none: the scores themselves. By default quantile if the table has it,
            else sd.
        regions: list only alleles whose POS is in one of them; standard deviations are those of the whole table.

    Raises:
        OptionError: n is below 1.
        TableError: no such statistic or no quantiles in the table.
        TrackError: a selector matches no track.
    """
    if n < 1:
        raise OptionError(f"n is {n}, expected at least 1")
    columns = table.select(tracks, statistic)
    statistic = columns[0].statistic
    quantile = f"{statistic}_quantile"
    if scale is None:
        scale = "quantile" if quantile in table.statistics else "sd"
    if scale == "quantile" and quantile not in table.statistics:
        raise TableError(
            f"{table.place} has no {quantile}, only {', '.join(table.statistics)}: compare tracks by their standard "
            "deviation (scale sd)"
        )
    scales = measure(table, columns).deviations if scale == "sd" else None
    read = [*columns, *(table.select(tracks, quantile) if scale == "quantile" else ())]
    within = None if regions is None else RegionFilter(regions)
    best = _Best(n, by)
    unscaled = 0
    for alleles, values in table.batches(read):
        if within is not None:
            inside = [within.holds(*site) for site in zip(alleles["chrom"], alleles["pos"] - 1, strict=True)]
            alleles, values = alleles.loc[inside], values[inside]
        scores, scaled = values[:, : len(columns)], values[:, -len(columns) :]
        if scales is not None:
            scaled = scores / scales[kinds(alleles)]
            unscaled += int((has_score(scores) & ~has_score(scaled)).sum())
        best.look_at(alleles, scores, scaled)
    names = [name for name in table.row_columns if name not in LEFT_OUT]
    rows = best.rows.reindex(columns=[*names, "column", "score", "scaled"])
    chosen = [columns[i].track for i in rows.pop("column").astype(int)]
    rows.insert(len(names), "track", [track.identifier for track in chosen])
    rows.insert(len(names) + 1, "description", [track.description for track in chosen])
    return Strongest(rows.drop(columns="scaled") if scale == "none" else rows, statistic, scale, unscaled)


def has_score(scores: np.ndarray) -> np.ndarray:
    """Which rows of [rows, columns] have a score in any column: bool [rows]."""
    return np.asarray(~np.isnan(scores).all(axis=1))


@dataclass
class _Best:
    """The strongest so far, and where they stand."""

    n: int
    by: Unit
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)

    def look_at(self, alleles: pd.DataFrame, scores: np.ndarray, scaled: np.ndarray) -> None:
        """Keep what is strong enough of the next rows: scores and what they are compared by, [rows, columns]."""
        size = np.abs(scaled)
        size[np.isnan(size)] = -1
        if not size.size:
            return
        # flat indices, of one column for each row or of all
        flat = np.ravel_multi_index((np.arange(len(size)), size.argmax(axis=1)), size.shape)
        size = size.ravel() if self.by == "pair" else size.ravel()[flat]
        enough = np.partition(size, -self.n)[-self.n] if len(size) > self.n else 0
        kept = np.flatnonzero(size >= max(0, enough))
        kept = kept[np.argsort(-size[kept], kind="stable")][: self.n]
        row, column = np.unravel_index(kept if self.by == "pair" else flat[kept], scaled.shape)
        new = alleles.iloc[row].assign(
            column=column, score=scores[row, column], scaled=scaled[row, column], size=size[kept]
        )
        rows = pd.concat([self.rows, new], ignore_index=True) if len(self.rows) else new
        self.rows = rows.sort_values("size", ascending=False, kind="stable", ignore_index=True).head(self.n)
