"""Telling causal eQTLs from others by their scores, as Enformer and Basenji were assessed.

After Avsec et al. (2021) and basenji's bin/basenji_bench_classify.py (commit 03f524d): for each tissue, a random forest
of 100 trees, of max_features log2, min_samples_leaf 1 and max_depth 64, on the signed scores of all tracks;
eight-fold cross-validation, repeated with other folds and other forests (there, 100 times); the AUROC of each fold and
their mean. Different here: variants of one stretch of the genome stay in one fold, each fold has its share of both
kinds, and the error is that of drawing other variants: repeats see the same ones again, so that more of them would make
any error of theirs as small as one likes.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false, reportCallIssue=false
# pyright: reportAssignmentType=false, reportGeneralTypeIssues=false
# pandas' own annotations are unions of all that an index could give

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from varscore.analysis.auroc import auroc
from varscore.analysis.join import join, take_scores, turns
from varscore.errors import OptionError, TableError, needs
from varscore.genome.contigs import canonical_name
from varscore.store.table import ScoreTable

log = logging.getLogger("varscore")

FALSE_POSITIVE_RATES = np.linspace(0, 1, 256)
"""At which ROC curves are read off, as basenji does."""

TREES, MAX_DEPTH = 100, 64
BOOTSTRAPS = 200


@dataclass(frozen=True)
class Validation:
    """How the forest is cross-validated.

    Attributes:
        folds: of one repeat.
        repeats: with other folds and other forests each.
        block: in bp; variants of the same block of the genome are in the same fold, since neighbours are linked and
            their scores alike; 0: every variant for itself, as basenji has it.
        absolute: give the forest sizes without signs.
        shuffle: shuffle the labels of each tissue before: what chance gives.
        seed: of folds and forests.
        jobs: threads; -1: all cores. It does not change the result.
    """

    folds: int = 8
    repeats: int = 10
    block: int = 10_000
    absolute: bool = False
    shuffle: bool = False
    seed: int = 0
    jobs: int = 1

    def __post_init__(self) -> None:
        if self.folds < 2 or self.repeats < 1 or self.block < 0:
            raise OptionError(
                f"{self.folds} folds, {self.repeats} repeats, blocks of {self.block} bp: expected at least 2, 1 and 0"
            )
        if self.jobs < 1 and self.jobs != -1:
            raise OptionError(f"{self.jobs} threads: expected 1 or more, or -1 for all cores")


@dataclass(frozen=True)
class TissueResult:
    """How well the forest tells a tissue's positives from its negatives.

    Attributes:
        auroc: mean over folds and repeats.
        error: its standard error (DeLong) for other variants of the same kind, of each variant's mean prediction where
            it was held out. In simulations it was a tenth too small, and where there is nothing to learn a quarter,
            because variants there predict each other: hold small differences from 0.5 against `shuffle`.
        spread: standard deviation of the repeats' means: what the draw of folds and forests does.
        curve: [256], mean true positive rate at `FALSE_POSITIVE_RATES`.
        curve_error: [256], its standard error, over 200 bootstrap samples of the variants.
        importance: [tracks], mean decrease in impurity, averaged over all forests; the sum is 1.
    """

    tissue: str
    positives: int
    negatives: int
    auroc: float
    error: float
    spread: float
    curve: np.ndarray
    curve_error: np.ndarray
    importance: np.ndarray


@dataclass(frozen=True)
class Classification:
    """Results of every tissue, and of every track by itself.

    tracks: a row for each tissue and track: tissue, track, description, auroc and se of |score|, importance.
    """

    tissues: list[TissueResult]
    tracks: pd.DataFrame

    def summary(self) -> pd.DataFrame:
        """A row for each tissue: tissue, positives, negatives, auroc, se, sd_repeats."""
        rows = [(t.tissue, t.positives, t.negatives, t.auroc, t.error, t.spread) for t in self.tissues]
        return pd.DataFrame(rows, columns=["tissue", "positives", "negatives", "auroc", "se", "sd_repeats"])


def classify(
    table: ScoreTable,
    variants: pd.DataFrame,
    validation: Validation | None = None,
    *,
    tracks: Sequence[str] | None = None,
    statistic: str | None = None,
) -> Classification:
    """Tell positives from negatives by their scores, in each tissue.

    Args:
        table: of scores.
        variants: of `eqtl_sets`: chrom, pos (1-based), ref, alt, tissue, positive.
        validation: how.
        tracks: selectors of the tracks to use; None: all.
        statistic: which, where the table has several.

    Raises:
        TableError: none of the variants is in the table, it is of genes, or no tissue has enough for the folds.
        ExtraError: scikit-learn is not installed.
    """
    validation = validation or Validation()
    columns = table.select(tracks, statistic)
    joined = join(table, variants)
    log.info(joined.describe())
    found = variants[joined.row >= 0].reset_index(drop=True)
    rows, at = np.unique(joined.row[joined.row >= 0], return_inverse=True)
    scores = take_scores(table, columns, rows)
    scored = np.asarray(np.isfinite(scores).all(axis=1))[at]
    if not scored.all():
        log.warning("%d variants are left out: the table has no scores for them", (~scored).sum())
    sign = turns(columns[0].statistic, joined.flipped[joined.row >= 0])
    tissues, by_track = [], []
    for tissue, group in found[scored].groupby("tissue", sort=True):
        mine = group.index.to_numpy()
        positive = group["positive"].to_numpy(bool)
        if validation.shuffle:
            positive = np.random.default_rng(validation.seed).permutation(positive)
        blocks = fold_blocks(group, validation.block)
        if problem := _too_few(positive, blocks, validation):
            log.warning("%s is left out: %s", tissue, problem)
            continue
        features = scores[at[mine]] * sign[mine, None]
        area, error = auroc(np.abs(features), positive)
        result = _validate(str(tissue), np.abs(features) if validation.absolute else features, positive, blocks,
                           validation)  # fmt: skip
        log.info("%s: AUROC %.3f ± %.3f", tissue, result.auroc, result.error)
        tissues.append(result)
        by_track.append(
            pd.DataFrame(
                {
                    "tissue": tissue,
                    "track": [column.track.identifier for column in columns],
                    "description": [column.track.description for column in columns],
                    "auroc": area,
                    "se": error,
                    "importance": result.importance,
                }
            )
        )
    if not tissues:
        raise TableError(f"no tissue has enough positives and negatives with scores in {table.place}")
    return Classification(tissues, pd.concat(by_track, ignore_index=True))


def fold_blocks(variants: pd.DataFrame, block: int) -> np.ndarray:
    """The block of the genome that each variant lies in, as numbers from 0; with a block of 0 bp, each its own."""
    if not block:
        return np.arange(len(variants))
    names = variants["chrom"].map(lambda name: canonical_name(str(name)))
    return pd.factorize(names + ":" + ((variants["pos"] - 1) // block).astype(str))[0]


def deal_folds(positive: np.ndarray, blocks: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """The fold of each variant: whole blocks, in random order, those with positives dealt before those without.

    Args:
        positive: [variants] bool.
        blocks: [variants], from 0.
        folds: how many.
        rng: draws the order.
    """
    order = rng.permutation(blocks.max() + 1)
    with_positives = np.bincount(blocks, weights=positive) > 0
    order = order[np.argsort(~with_positives[order], kind="stable")]
    fold_of = np.empty(len(order), int)
    fold_of[order] = np.arange(len(order)) % folds
    return fold_of[blocks]


def _too_few(positive: np.ndarray, blocks: np.ndarray, validation: Validation) -> str | None:
    for kind, name in ((positive, "positives"), (~positive, "negatives")):
        if (there := len(np.unique(blocks[kind]))) < validation.folds:
            return (f"its {kind.sum()} {name} lie in {there} blocks of {validation.block:,} bp, and {validation.folds} "
                    "folds need one each")  # fmt: skip
    return None


def _validate(
    tissue: str, features: np.ndarray, positive: np.ndarray, blocks: np.ndarray, validation: Validation
) -> TissueResult:
    """Cross-validate the forest on features [variants, tracks]."""
    with needs("analysis", "varscore eqtl"):
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.metrics import roc_auc_score, roc_curve
    areas = np.full((validation.repeats, validation.folds), np.nan)
    curves = np.full((validation.repeats, validation.folds, len(FALSE_POSITIVE_RATES)), np.nan)
    importance = np.zeros(features.shape[1])
    predictions = np.zeros(len(positive))
    for repeat in range(validation.repeats):
        rng = np.random.default_rng([validation.seed, repeat])
        fold_of = deal_folds(positive, blocks, validation.folds, rng)
        for fold in range(validation.folds):
            held_out = fold_of == fold
            forest = RandomForestClassifier(
                TREES,
                max_features="log2",
                max_depth=MAX_DEPTH,
                random_state=int(rng.integers(2**31)),
                n_jobs=validation.jobs,
            )
            forest.fit(features[~held_out], positive[~held_out])
            importance += forest.feature_importances_
            probability = np.asarray(forest.predict_proba(features[held_out]))[:, 1]
            predictions[held_out] += probability / validation.repeats
            if len(np.unique(positive[held_out])) < 2:  # every block of this fold has positives only
                continue
            areas[repeat, fold] = roc_auc_score(positive[held_out], probability)
            false_rates, true_rates, _ = roc_curve(positive[held_out], probability)
            curves[repeat, fold] = np.interp(FALSE_POSITIVE_RATES, false_rates, true_rates)
            curves[repeat, fold, 0] = 0
    _, error = auroc(predictions[:, None], positive)
    return TissueResult(
        tissue,
        int(positive.sum()),
        int((~positive).sum()),
        auroc=float(np.nanmean(areas)),
        error=float(error[0]),
        spread=float(np.nanmean(areas, axis=1).std(ddof=1)) if validation.repeats > 1 else float("nan"),
        curve=np.nanmean(curves, axis=(0, 1)),
        curve_error=_curve_error(predictions, positive, np.random.default_rng(validation.seed)),
        importance=importance / max(importance.sum(), np.finfo(float).tiny),
    )


def _curve_error(predictions: np.ndarray, positive: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Standard deviation of the true positive rates [256] over bootstrap samples of positives and of negatives."""
    positive = positive[np.argsort(-predictions)]
    curves = np.empty((BOOTSTRAPS, len(FALSE_POSITIVE_RATES)))
    for curve in curves:
        rates = []
        for kind in (~positive, positive):
            drawn = np.zeros(len(positive))
            drawn[kind] = rng.multinomial(kind.sum(), np.full(kind.sum(), 1 / kind.sum()))
            rates.append(np.cumsum(drawn) / kind.sum())
        curve[:] = np.interp(FALSE_POSITIVE_RATES, *rates)
    return curves.std(axis=0)
