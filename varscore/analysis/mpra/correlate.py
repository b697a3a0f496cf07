"""How well scores agree with measured effects, element by element.

Four predictions of an element's effects are compared:

- `best_track`: the one track that agrees best, in either direction. Chosen among many on the same alleles, it is
  optimistic.
- `best_track_cv`: the same, its track and slope chosen on the other folds. What is left of it is honest.
- `matched`: the mean of tracks that were chosen beforehand, such as those of the assay's cell type, each divided by its
  standard deviation. Nothing is fitted.
- `lasso_cv`: a lasso regression over tracks, fitted on the other folds. There, too, the 1,000 tracks are chosen that it
  starts from, and its penalty, by a second cross-validation.

The three alleles of a position, and the positions of a motif, are nearly the same measurement. So folds are made of
blocks of neighbouring positions (16 bp, as CAGI5 gave its training data), and block i is in fold i modulo their number.
Out-of-fold predictions are pooled without the intercept, as slopes times the distance from the element's mean score.
The intercept differs from fold to fold only as the mean effect of what was left out does, with the opposite sign.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from varscore.analysis.mpra.join import Joined
from varscore.errors import OptionError, needs

log = logging.getLogger("varscore")

METHODS = ("lasso_cv", "matched", "best_track_cv", "best_track")
BLOCK = 16
"""bp that stay together in a fold, by default."""
FEWEST = 20
"""Alleles that a cross-validation needs."""
PENALTIES = 20
"""Of the lasso, tried between the largest one, at which no track is used, and the SMALLEST part of it."""
SMALLEST = 0.03
SCREENED = 1000
"""Tracks that the lasso chooses among: those that agree best on the other folds. With all 5,313, it takes many times as
long."""


@dataclass(frozen=True)
class Agreement:
    """How one prediction agrees with the measured effects.

    prediction: [alleles], in no unit; NaN where there is none. tracks: how many it uses, on average over folds.
    track: the column's index, of `best_track` alone.
    """

    pearson: float
    spearman: float
    tracks: float
    prediction: np.ndarray
    track: int | None = None


@dataclass(frozen=True)
class ElementResult:
    """What was found for an element.

    rows: of `MpraTable.rows`, those with scores. pearson, spearman: [columns], each track's with the effects; NaN for
        a track that never changes. methods: by name, in the order of `METHODS`; those that could be computed.
    """

    element: str
    rows: pd.DataFrame
    pearson: np.ndarray
    spearman: np.ndarray
    methods: dict[str, Agreement] = field(default_factory=dict)


@dataclass(frozen=True)
class Folds:
    """How alleles are divided for cross-validation: in `count` folds, of blocks of `block` bp."""

    count: int = 5
    block: int = BLOCK

    def __post_init__(self) -> None:
        if self.count < 2:
            raise OptionError(f"{self.count} folds: at least 2 are needed")
        if self.block < 1:
            raise OptionError(f"blocks of {self.block} bp: at least 1 is needed")

    def blocks(self, positions: np.ndarray) -> np.ndarray:
        """[alleles] the number of each allele's block, counted from the element's first position."""
        return (positions - positions.min()) // self.block

    def of(self, blocks: np.ndarray) -> np.ndarray:
        """[alleles] the fold of each, 0 to count - 1, of those blocks that are there."""
        return np.unique(blocks, return_inverse=True)[1] % self.count


def correlate(
    joined: Joined,
    *,
    matched: Mapping[str, Sequence[int]] | None = None,
    lasso: bool = True,
    folds: Folds | None = None,
) -> Iterator[ElementResult]:
    """Compare scores with effects, an element at a time.

    Args:
        joined: alleles with their scores.
        matched: by element, the columns (indices in `joined.columns`) whose mean is the prediction without training.
        lasso: fit it; takes most of the time.
        folds: of the cross-validation.
    """
    for element, rows in joined.rows.groupby("element", sort=True):
        scores = joined.scores[joined.allele[rows.index]].astype(np.float64)
        effects, positions = rows["effect"].to_numpy(), rows["pos"].to_numpy()
        chosen = (matched or {}).get(str(element), ())
        result = ElementResult(str(element), rows.reset_index(drop=True), *correlations(effects, scores))
        yield _with_methods(result, effects, scores, positions, chosen, lasso, folds or Folds())


def _with_methods(
    result: ElementResult,
    effects: np.ndarray,
    scores: np.ndarray,
    positions: np.ndarray,
    matched: Sequence[int],
    lasso: bool,
    folds: Folds,
) -> ElementResult:
    methods = result.methods
    blocks = folds.blocks(positions)
    if len(effects) >= FEWEST and len(np.unique(blocks)) >= 2 * folds.count:
        if lasso:
            log.info(
                "%s: lasso over %s tracks, %s alleles", result.element, f"{scores.shape[1]:,}", f"{len(effects):,}"
            )
            methods["lasso_cv"] = lasso_cv(effects, scores, blocks, folds)
        best_cv = best_track_cv(effects, scores, blocks, folds)
    else:
        best_cv = None
        log.warning(
            "%s: %d alleles in %d blocks of %d bp are too few for a cross-validation of %d folds",
            result.element, len(effects), len(np.unique(blocks)), folds.block, folds.count,
        )  # fmt: skip
    if len(matched):
        methods["matched"] = _agree(effects, standardised(scores[:, list(matched)]).mean(axis=1), len(matched))
    if best_cv:
        methods["best_track_cv"] = best_cv
    if not np.isnan(result.pearson).all():
        best = int(np.nanargmax(np.abs(result.pearson)))
        pair = float(result.pearson[best]), float(result.spearman[best])
        methods["best_track"] = Agreement(*pair, 1, scores[:, best], best)
    return result


def correlations(effects: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pearson's and Spearman's correlation of each column with the effects.

    Args:
        effects: [alleles].
        scores: [alleles, columns].

    Returns:
        Two arrays [columns]; NaN where the effects or a column are constant or there are fewer than 3 alleles.
    """
    with needs("analysis", "varscore mpra correlate"):
        from scipy.stats import rankdata
    return pearson(effects, scores), pearson(rankdata(effects), rankdata(scores, axis=0))


def pearson(effects: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Pearson's correlation of effects [alleles] with each column of scores [alleles, columns]: [columns]."""
    if len(effects) < 3:
        return np.full(scores.shape[1], np.nan)
    y, x = standardised(effects[:, None])[:, 0], standardised(scores)
    found = y @ x / len(y)
    # standardised() leaves what is constant at 0
    found[~x.any(axis=0)] = np.nan
    return found if y.any() else np.full_like(found, np.nan)


@dataclass(frozen=True)
class Scale:
    """Means and standard deviations [columns] of some alleles; a constant column becomes 0."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Scale:
        """Of the alleles of values [alleles, columns]."""
        constant = np.ptp(values, axis=0) == 0
        return cls(values.mean(axis=0), np.where(constant, np.inf, values.std(axis=0)))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values [alleles, columns], of these alleles or others, less the mean and divided by the deviation."""
        return (values - self.mean) / self.deviation


def standardised(values: np.ndarray) -> np.ndarray:
    """Each column of [alleles, columns] with mean 0 and standard deviation 1; 0 where it is constant."""
    return Scale.of(values).apply(values)


def lasso_cv(effects: np.ndarray, scores: np.ndarray, blocks: np.ndarray, folds: Folds) -> Agreement:
    """Out-of-fold predictions of a lasso regression over all columns.

    For each fold, the other folds alone choose the `SCREENED` columns that agree best, standardise them, and choose the
    penalty by a cross-validation over blocks (scikit-learn's LassoCV); and the fold is predicted with that.

    Args:
        effects: [alleles].
        scores: [alleles, columns].
        blocks: [alleles] as of `Folds.blocks`.
        folds: outer and inner ones.

    Returns:
        Correlations NaN where no column was chosen in any fold.
    """
    with needs("analysis", "varscore mpra correlate"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LassoCV

    fold_of = folds.of(blocks)
    predicted, used, centre = np.zeros(len(effects)), [], scores.mean(axis=0)
    for fold in range(folds.count):
        train = fold_of != fold
        y = effects[train] - effects[train].mean()
        kept = _strongest(pearson(y, scores[train]))
        scale = Scale.of(scores[train][:, kept])
        x = scale.apply(scores[train][:, kept])
        largest = max(np.abs(x.T @ y).max() / len(y), np.finfo(float).tiny)
        inner = folds.of(blocks[train])
        splits = [(np.flatnonzero(inner != i), np.flatnonzero(inner == i)) for i in range(folds.count)]
        model = LassoCV(cv=splits, alphas=np.geomspace(largest, largest * SMALLEST, PENALTIES), max_iter=2000, tol=1e-3)
        with warnings.catch_warnings():
            # at the smallest penalties, which are not the ones that predict
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, y)
        predicted[~train] = (scores[~train] - centre)[:, kept] / scale.deviation @ model.coef_
        used.append(np.count_nonzero(model.coef_))
    return _agree(effects, predicted, float(np.mean(used)))


def _strongest(found: np.ndarray) -> np.ndarray:
    """The columns of the `SCREENED` largest correlations in size, in rising order."""
    size = np.nan_to_num(np.abs(found))
    return np.sort(np.argsort(-size, kind="stable")[:SCREENED])


def best_track_cv(effects: np.ndarray, scores: np.ndarray, blocks: np.ndarray, folds: Folds) -> Agreement:
    """Out-of-fold predictions of, for each fold, the track that agrees best on the other folds, with its slope there.

    Args and result as of `lasso_cv`.
    """
    fold_of = folds.of(blocks)
    predicted = np.zeros(len(effects))
    for fold in range(folds.count):
        train = fold_of != fold
        found = pearson(effects[train], scores[train])
        if np.isnan(found).all():
            continue
        best = int(np.nanargmax(np.abs(found)))
        slope = found[best] * effects[train].std() / scores[train, best].std()
        predicted[~train] = (scores[~train, best] - scores[:, best].mean()) * slope
    return _agree(effects, predicted, 1)


def _agree(effects: np.ndarray, predicted: np.ndarray, tracks: float) -> Agreement:
    linear, ranked = correlations(effects, predicted[:, None])
    return Agreement(float(linear[0]), float(ranked[0]), tracks, predicted)
