"""Scores of many tracks on one scale, and the strongest of them, in one pass over a table of any length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from varscore.analysis.scale import kinds, measure
from varscore.errors import TableError
from varscore.genome.contigs import canonical_name
from varscore.genome.variant import Status, Variant
from varscore.store.table import ScoreColumn, ScoreTable

FEWEST_ALLELES = 3
"""Of two scores, either is as far from their mean as the other: their standard deviation tells nothing."""
WIDEST = 12
"""Standard deviations in a histogram, at most; what is beyond is counted at its ends."""
HISTOGRAM_BINS = 60
EXAMPLES = 3
"""Alleles that are named for each reason why some were skipped."""


@dataclass(frozen=True, eq=False)
class Scale:
    """Makes the scores of different tracks comparable.

    kind: what is compared. label: the same for an axis. columns: of scores. reach: no scaled score is larger.
    quantiles: the table's own columns of quantiles, if it has them. sd: else, what each column is divided by, of
    alleles as long as REF and of indels [2, columns]; NaN where that would be zero.
    """

    kind: Literal["in SD", "quantile", "as it is"]
    label: str
    columns: Sequence[ScoreColumn]
    reach: float = 1.0
    quantiles: Sequence[ScoreColumn] = ()
    sd: np.ndarray | None = None

    def batches(self, table: ScoreTable) -> Iterator[tuple[pd.DataFrame, np.ndarray, np.ndarray]]:
        """Rows in the file's order, some at a time: what names them, scores and scaled scores, float32 [rows, columns].

        NaN where an allele was not scored, or its score has no scale.
        """
        for alleles, found in table.batches([*self.columns, *self.quantiles]):
            scores = found[:, : len(self.columns)]
            yield (
                alleles,
                scores,
                found[:, len(self.columns) :] if self.sd is None else scores / self.sd[kinds(alleles)],
            )


def common_scale(table: ScoreTable, columns: Sequence[ScoreColumn]) -> Scale:
    """Quantiles, where the table has a statistic `…_quantile` for these columns; else scores in standard deviations of
    their track over the table's alleles, of indels apart; the scores as they are where these are too few.
    """
    statistic = columns[0].statistic
    quantiles = {c.track.identifier: c for c in table.columns if c.statistic == f"{statistic}_quantile"}
    if all(column.track.identifier in quantiles for column in columns):
        own = [quantiles[column.track.identifier] for column in columns]
        return Scale("quantile", f"quantile of {statistic}", columns, quantiles=own)
    spread = measure(table, columns)
    most = int(spread.counts.sum(axis=0).max(initial=0))
    if most < FEWEST_ALLELES:
        reach = float(spread.largest.max(initial=0))
        return Scale("as it is", statistic, columns, reach, sd=np.ones((2, len(columns)), np.float32))
    reach = float(np.nan_to_num(spread.largest / spread.deviations).max(initial=0))
    apart = ", indels apart" if (spread.counts.max(axis=1, initial=0) > 1).all() else ""
    label = f"{statistic} / SD of the track over {most:,} alleles{apart}"
    return Scale("in SD", label, columns, reach, sd=spread.deviations)


class Hit(NamedTuple):
    """A score with its row of the table. `pos` is 1-based; `column` an index into the scale's columns; `gene` the name
    of a row's gene, where rows have one.
    """

    chrom: str
    pos: int
    id: str | None
    ref: str
    alt: str
    gene: str | None
    column: int
    score: float
    scaled: float

    @property
    def label(self) -> str:
        """Such as `rs7235 G>A`; its place where it has no ID."""
        change = f"{_brief(self.ref, 6)}>{_brief(self.alt, 6)}"
        return f"{self.id or f'{self.chrom}:{self.pos}'} {change}" + (f" ({self.gene})" if self.gene else "")


def _brief(allele: str, length: int) -> str:
    return allele if len(allele) <= length else f"{allele[: length - 1]}…"


def _hits(
    alleles: pd.DataFrame, scores: np.ndarray, scaled: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> list[Hit]:
    """Those at (row, column) of a batch."""
    found = alleles.iloc[rows]
    genes = found["gene_name"].fillna("") if "gene_name" in found else [""] * len(found)
    return [
        Hit(chrom, int(pos), name or None, ref, alt, gene or None, int(column), float(score), float(value))
        for chrom, pos, name, ref, alt, gene, column, score, value in zip(
            found["chrom"], found["pos"], found["id"].fillna(""), found["ref"], found["alt"], genes, columns,
            scores[rows, columns], scaled[rows, columns], strict=True,
        )
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Overview:
    """What stands out in a table.

    rows: of the table. pairs: the strongest pairs of allele and track, falling by size. by_track: each track's
    strongest, in the order of the tracks. edges: of the histogram of scaled scores [bins + 1], the outermost open.
    counts: of the histogram, by assay. largest: each row's largest size of a scaled score, of the rows that have one.
    statuses: how many rows have which. examples: some rows that were skipped, by status.
    """

    scale: Scale
    rows: int
    by_track: list[Hit]
    pairs: list[Hit] = field(default_factory=list)
    edges: np.ndarray = field(default_factory=lambda: np.array([-1.0, 1.0]))
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    largest: np.ndarray = field(default_factory=lambda: np.empty(0))
    statuses: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)


def survey_scores(table: ScoreTable, columns: Sequence[ScoreColumn], pairs: int = 0) -> Overview:
    """Find what stands out, in two passes and bounded memory. `pairs`: how many of them to keep."""
    scale = common_scale(table, columns)
    reach = min(scale.reach, WIDEST) or 1.0
    edges = np.linspace(-reach, reach, HISTOGRAM_BINS + 1)
    assays = np.array([column.track.assay for column in columns])
    counts = {assay: np.zeros(HISTOGRAM_BINS, int) for assay in dict.fromkeys(assays)}
    strongest: list[Hit] = []
    by_track: dict[int, Hit] = {}
    best = np.full(len(columns), -1.0, np.float32)
    largest: list[np.ndarray] = []
    statuses: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for alleles, scores, scaled in scale.batches(table):
        if "status" in alleles:
            statuses.update(alleles["status"])
            _name_skipped(alleles, examples)
        for assay, count in counts.items():
            values = scaled[:, assays == assay]
            count += np.histogram(np.clip(values[~np.isnan(values)], edges[0], edges[-1]), edges)[0]
        size = np.nan_to_num(np.abs(scaled), nan=-1.0)
        rows = size.argmax(axis=0)
        better = np.flatnonzero(size[rows, np.arange(len(columns))] > best)
        best[better] = size[rows[better], better]
        by_track |= {hit.column: hit for hit in _hits(alleles, scores, scaled, rows[better], better)}
        per_row = size.max(axis=1)
        largest.append(per_row[per_row >= 0])
        if pairs:
            floor = abs(strongest[-1].scaled) if len(strongest) == pairs else -1.0
            strongest += _hits(alleles, scores, scaled, *_largest(size, pairs, floor))
            strongest = sorted(strongest, key=lambda hit: -abs(hit.scaled))[:pairs]
    rows_seen = statuses.total() if statuses else len(table)
    found = np.concatenate([*largest, np.empty(0)])
    in_order = [by_track[column] for column in sorted(by_track)]
    return Overview(scale, rows_seen, in_order, strongest, edges, counts, found, statuses, examples)


def _name_skipped(alleles: pd.DataFrame, examples: dict[str, list[str]]) -> None:
    skipped = alleles[alleles["status"] != Status.SCORED]
    named_by = (skipped[name] for name in ("status", "chrom", "pos", "ref", "alt"))
    for status, chrom, pos, ref, alt in zip(*named_by, strict=True):
        named = examples.setdefault(status, [])
        if len(named) < EXAMPLES:
            named.append(f"{chrom}:{pos} {_brief(ref, 20)} {_brief(alt, 20)}")


def _largest(size: np.ndarray, n: int, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the n largest that are above `floor`, in the order of the table."""
    flat = np.flatnonzero(size.ravel() > floor)
    if len(flat) > n:
        flat = np.sort(flat[np.argpartition(-size.ravel()[flat], n - 1)[:n]])
    row, column = np.divmod(flat, size.shape[1])
    return row, column


def scores_of_variant(table: ScoreTable, columns: Sequence[ScoreColumn], variant: Variant | str) -> Overview:
    """One allele's scores on the scale of the whole table; only `by_track` is filled.

    Args:
        table: where it is.
        columns: which scores.
        variant: the allele, or its ID.

    Raises:
        TableError: it is not in the table, or not scored, or its ID is that of several alleles.
    """
    scale = common_scale(table, columns)
    hits: list[Hit] = []
    unscored = False
    for alleles, scores, scaled in scale.batches(table):
        for row in np.flatnonzero(_is(alleles, variant)):
            if np.isnan(scores[row]).all():
                unscored = True
                continue
            which = np.flatnonzero(~np.isnan(scaled[row]))
            hits += _hits(alleles, scores, scaled, np.full(len(which), row), which)
    name = variant if isinstance(variant, str) else variant.name
    if not hits:
        raise TableError(f"{table.place} has no {'scores of' if unscored else 'row for'} {name}")
    spelled = list(dict.fromkeys(Variant(hit.chrom, hit.pos, None, hit.ref, hit.alt).name for hit in hits))
    if len(spelled) > 1:
        raise TableError(f"{table.place} has several alleles called {name}: write {' or '.join(spelled[:4])}")
    return Overview(scale, len(table), hits)


def _is(alleles: pd.DataFrame, variant: Variant | str) -> np.ndarray:
    if isinstance(variant, str):
        return (alleles["id"] == variant).to_numpy(bool)
    there = (alleles["pos"] == variant.pos) & (alleles["chrom"].map(canonical_name) == canonical_name(variant.chrom))
    same = (alleles["ref"].str.upper() == variant.ref.upper()) & (alleles["alt"].str.upper() == variant.alt.upper())
    return (there & same).to_numpy(bool)
