"""The area under the ROC curve of many scores at once, with its standard error."""

from __future__ import annotations

import numpy as np

BATCH = 2**16
"""Numbers that are sorted at a time."""


def auroc(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC of each column and its standard error (DeLong, DeLong & Clarke-Pearson 1988).

    The AUROC is the probability that a positive scores higher than a negative, ties counting half. Each positive's
    placement is the share of negatives below it; the variance is that of the mean of the placements of positives plus
    that of negatives.

    Args:
        scores: [variants, tracks], without NaN.
        positive: [variants] bool; at least two of each kind.

    Returns:
        float64 [tracks] each.
    """
    rows, tracks = scores.shape
    area, error = np.empty(tracks), np.empty(tracks)
    step = max(1, BATCH // max(1, rows))
    for first in range(0, tracks, step):
        some = slice(first, first + step)
        area[some], error[some] = _auroc(np.ascontiguousarray(scores[:, some].T), positive)
    return area, error


def _auroc(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `auroc`, of scores [tracks, variants]."""
    order = np.argsort(scores, axis=1)
    ranked = np.take_along_axis(scores, order, 1)
    is_positive = positive[order]
    ranks = _midranks(ranked)
    m, n = int(positive.sum()), int((~positive).sum())
    # rank among all, less rank among its own kind: how many of the other kind are below. Boolean indexing goes row by
    # row, and every row has m positives and n negatives.
    kinds = ((is_positive, m), (~is_positive, n))
    below = [ranks[kind].reshape(-1, count) - _midranks(ranked[kind].reshape(-1, count)) for kind, count in kinds]
    of_positives, of_negatives = below[0] / n, 1 - below[1] / m
    variance = of_positives.var(axis=1, ddof=1) / m + of_negatives.var(axis=1, ddof=1) / n
    return of_positives.mean(axis=1), np.sqrt(variance)


def _midranks(ranked: np.ndarray) -> np.ndarray:
    """The rank, from 0, of each number in sorted rows [tracks, variants]; equal ones share the middle of theirs."""
    begins = np.ones(ranked.shape, bool)
    begins[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    starts = np.flatnonzero(begins)
    sizes = np.diff(starts, append=ranked.size)
    of_all = np.repeat(starts + (sizes - 1) / 2, sizes).reshape(ranked.shape)
    return of_all - np.arange(len(ranked))[:, None] * ranked.shape[1]
