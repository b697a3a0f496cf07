"""Do scores have the direction and the size of measured effects? Their correlation, by track and tissue."""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false, reportCallIssue=false
# pyright: reportAssignmentType=false, reportGeneralTypeIssues=false
# pandas' own annotations are unions of all that an index could give

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from varscore.analysis.distribution import is_signed
from varscore.analysis.join import join, take_scores
from varscore.analysis.variant_table import VARIANT, read_variant_table
from varscore.errors import TableError, needs
from varscore.store.table import ScoreTable

log = logging.getLogger("varscore")

BATCH = 2**22
"""Numbers that are ranked at a time."""

COLUMNS = ("tissue", "track", "description", "n", "spearman", "p", "q", "pearson", "pearson_p", "agree", "agree_p")


def read_effects(
    path: str | os.PathLike[str], *, genes: bool = False, columns: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """A table of effects of ALT against REF: chrom, pos (1-based), ref, alt, effect, tissue, and with genes gene_id.

    Rows without an effect are left out, and so are those of a variant, gene and tissue that had a row before.

    Raises:
        TableError: a column is missing, a value is no number, or there is no effect in it.
    """
    named = ("gene_id",) if genes else ()
    frame = read_variant_table(path, ("effect", *named), ("tissue", "gene_id"), columns=columns)
    frame["tissue"] = frame["tissue"].fillna("all") if "tissue" in frame else "all"
    there = np.isfinite(frame["effect"])
    if not there.any():
        raise TableError(f"{path}: no row has an effect")
    if not there.all():
        log.warning("%s: %d rows have no effect and are left out", path, (~there).sum())
    frame = frame[there]
    again = frame.duplicated([*VARIANT, "tissue", *(name for name in ("gene_id",) if name in frame)])
    if again.any():
        log.warning("%s: %d rows repeat a variant and are left out; the first counts", path, again.sum())
    return frame[~again].reset_index(drop=True)


def has_genes(table: ScoreTable) -> bool:
    """Whether a table has a row for each variant and gene."""
    return "gene_id" in table.row_columns


def signed(
    table: ScoreTable,
    effects: pd.DataFrame,
    *,
    tracks: Sequence[str] | None = None,
    statistic: str | None = None,
) -> pd.DataFrame:
    """Correlate effects with scores. A table of gene scores is joined by variant and gene, others by variant.

    Args:
        table: of scores, or of gene scores.
        effects: of `read_effects`.
        tracks: selectors of the tracks; None: all.
        statistic: which, where the table has several.

    Returns:
        A row for each tissue and track: tissue, track, description, n (effects), spearman and pearson with two-sided
        p-values of the t distribution with n − 2 degrees of freedom; q, the Benjamini-Hochberg false discovery rate of
        Spearman's p in the tissue; agree, the share of effects whose sign is the score's, zeros left out, with the
        p-value of the two-sided sign test. NaN where n is below 3 or a side is constant.

    Raises:
        TableError: none of the variants is in the table, or the statistic has no sign.
        ExtraError: scipy is not installed.
    """
    columns = table.select(tracks, statistic)
    if not is_signed(columns[0].statistic):
        raise TableError(f"{columns[0].statistic} has no sign, and effects have: choose another statistic")
    joined = join(table, effects, genes=has_genes(table))
    log.info(joined.describe("effects"))
    there = joined.row >= 0
    scores = take_scores(table, columns, joined.row[there])
    scored = np.isfinite(scores).all(axis=1)
    if not scored.all():
        log.warning("%d effects are left out: the table has no scores for them", (~scored).sum())
    found = effects[there][scored].reset_index(drop=True)
    if found.empty:
        raise TableError(f"no effect is of a variant that is scored in {table.place}")
    if "gene_id" in found and (per_gene := found.groupby(["tissue", "gene_id"]).size()).max() > 1:
        log.warning(
            "%d effects are of %d genes and tissues: those of linked variants are alike, and p-values take them as "
            "independent; keep one variant for each signal", len(found), len(per_gene),
        )  # fmt: skip
    values = found["effect"].to_numpy(float) * np.where(joined.flipped[there][scored], -1, 1)
    scores = scores[scored]
    names = {
        "track": [column.track.identifier for column in columns],
        "description": [column.track.description for column in columns],
    }
    results = []
    for tissue, group in found.groupby("tissue", sort=True):
        mine = group.index.to_numpy()
        results.append(pd.DataFrame({"tissue": tissue, **names, **correlate(scores[mine], values[mine])}))
    return pd.concat(results, ignore_index=True)[list(COLUMNS)]


def correlate(scores: np.ndarray, effects: np.ndarray) -> dict[str, np.ndarray]:
    """The numbers of `signed` for scores [n, tracks] and effects [n]: arrays [tracks] by name."""
    with needs("analysis", "varscore eqtl"):
        from scipy.stats import binom, false_discovery_control, rankdata
    n, tracks = scores.shape
    spearman, pearson = np.empty(tracks), np.empty(tracks)
    ranks = rankdata(effects)
    step = max(1, BATCH // n)
    for first in range(0, tracks, step):
        some = scores[:, first : first + step].astype(float)
        pearson[first : first + step] = _pearson(some, effects)
        spearman[first : first + step] = _pearson(rankdata(some, axis=0), ranks)
    product = np.sign(scores) * np.sign(effects)[:, None]
    same, other = (product > 0).sum(axis=0), (product < 0).sum(axis=0)
    signs = same + other
    p = _p_value(spearman, n)
    q = np.full(tracks, np.nan)
    if (known := np.isfinite(p)).any():
        q[known] = false_discovery_control(p[known])
    with np.errstate(invalid="ignore"):
        agree = same / signs
    agree_p = np.where(signs > 0, np.minimum(1, 2 * binom.cdf(np.minimum(same, other), signs, 0.5)), np.nan)
    return {
        "n": np.full(tracks, n), "spearman": spearman, "p": p, "q": q, "pearson": pearson,
        "pearson_p": _p_value(pearson, n), "agree": agree, "agree_p": agree_p,
    }  # fmt: skip


def _pearson(many: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Correlation of each column of [n, tracks] with [n]; NaN where a side is constant or n is below 3."""
    if len(one) < 3:
        return np.full(many.shape[1], np.nan)
    # not by the variance, which rounding may keep above 0
    varies = (many != many[0]).any(axis=0) & (one != one[0]).any()
    many, one = many - many.mean(axis=0), one - one.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        r = one @ many / np.sqrt((many**2).sum(axis=0) * (one**2).sum())
    return np.where(varies, np.clip(r, -1, 1), np.nan)


def _p_value(r: np.ndarray, n: int) -> np.ndarray:
    """Two-sided p-value of a correlation of n pairs, by Student's t distribution with n − 2 degrees of freedom."""
    from scipy.stats import t

    if n < 3:
        return np.full(r.shape, np.nan)
    with np.errstate(divide="ignore"):
        return 2 * t.sf(np.abs(r) * np.sqrt((n - 2) / (1 - r**2)), n - 2)
