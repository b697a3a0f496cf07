"""A sample's distribution, kept in some hundred numbers, and where a score stands in it."""

from __future__ import annotations

import numpy as np

QUANTILE = "_quantile"
"""Ends the name of a statistic's quantile: SAD_quantile."""

UNSIGNED = frozenset({"D1", "D2", "JS", "REF", "ALT"})
"""Statistics that have a size, and no direction."""

_TAIL = np.geomspace(1e-6, 1 / 400, 69)[:-1]
PROBABILITIES = np.concatenate([_TAIL, np.arange(1, 400) / 400, 1 - _TAIL[::-1]])
"""Where the quantile function is kept, [535]: every 1/400, and towards 0 and 1 in 20 steps to a power of ten."""


def is_signed(statistic: str) -> bool:
    """Whether a statistic (`SAD`, `logSAD@501`, `SAD_quantile`) has a direction: positive is more with ALT."""
    return statistic.removesuffix(QUANTILE).partition("@")[0] not in UNSIGNED


def knots_of(scores: np.ndarray) -> np.ndarray:
    """The quantile function of a sample at `PROBABILITIES`.

    Value i of n in rising order stands at probability (i − ½)/n, and between two of them it is linear (Hazen 1914; type
    5 of Hyndman & Fan 1996). So an order statistic has its mid-rank.

    Args:
        scores: [n], n at least 1, no NaN.

    Returns:
        float32 [probabilities], rising.
    """
    ordered = np.sort(scores)
    place = np.clip(PROBABILITIES * len(ordered) - 0.5, 0, len(ordered) - 1)
    below = place.astype(int)
    low = ordered[below].astype(float)
    high = ordered[np.minimum(below + 1, len(ordered) - 1)].astype(float)
    return (low + (place - below) * (high - low)).astype(np.float32)


def ranks_in(knots: np.ndarray, n: int, scores: np.ndarray) -> np.ndarray:
    """The share of a sample that is below each score, and half of what equals it.

    Exact to the step between the probabilities around it: 1/400 at most. Never below ½/n nor above 1 − ½/n, the ranks
    of the sample's own smallest and largest value: what lies beyond those is unusual, not impossible.

    Args:
        knots: of `knots_of`.
        n: the sample's size.
        scores: of any shape.

    Returns:
        float64 of the same shape; NaN for NaN.
    """
    p, scores = np.clip(PROBABILITIES, 0.5 / n, 1 - 0.5 / n), scores.astype(float)
    after = np.searchsorted(knots, scores)
    above, below = np.minimum(after, len(p) - 1), np.maximum(after - 1, 0)
    gap = knots[above].astype(float) - knots[below]
    # below the first knot and above the last there is no gap, and the rank is the end's
    share = np.divide(scores - knots[below], gap, out=np.zeros(scores.shape), where=(gap > 0) & (after < len(p)))
    ranks = p[below] + share * (p[above] - p[below])
    # a run of equal knots is a tie: its middle
    tied = knots[above] == scores
    last = np.searchsorted(knots, scores[tied], "right") - 1
    ranks[tied] = (p[above[tied]] + p[last]) / 2
    ranks[np.isnan(scores)] = np.nan
    return ranks
