"""The forest against what theory says, and its folds."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from tests.analysis.eqtl_cases import snvs, write_scores
from varscore.analysis.eqtl import Validation, classify, deal_folds, fold_blocks
from varscore.errors import OptionError, TableError

D = 2.0


@pytest.fixture(scope="module")
def gaussians(tmp_path_factory):
    """600 variants, 200 of them positives; of 12 tracks the fourth is d = 2 higher in positives, all above 0."""
    rng = np.random.default_rng(1)
    positive = np.arange(600) % 3 == 0
    scores = rng.normal(size=(600, 12))
    scores[positive, 3] += D
    table = write_scores(tmp_path_factory.mktemp("g") / "s.parquet", snvs(600), scores + 10)
    return table, snvs(600).assign(tissue="all", positive=positive)


def test_two_gaussians_are_told_apart_as_theory_says(gaussians):
    table, variants = gaussians
    result = classify(table, variants, Validation(repeats=2))
    theory = norm.cdf(D / np.sqrt(2))  # 0.921, of the informative track alone; the forest also sees 11 of noise
    [tissue] = result.tissues
    assert (tissue.positives, tissue.negatives) == (200, 400)
    assert theory - 0.05 < tissue.auroc < theory + 2 * tissue.error
    assert tissue.curve.mean() == pytest.approx(tissue.auroc, abs=0.01)
    tracks = result.tracks.set_index("track")
    assert tracks.loc["T3", "auroc"] == pytest.approx(theory, abs=2 * tracks.loc["T3", "se"])
    assert tracks["auroc"].idxmax() == tracks["importance"].idxmax() == "T3"
    assert tracks["importance"].sum() == pytest.approx(1)
    assert tracks.loc["T3", "description"] == "CAGE:cell 3"
    noise = tracks.drop("T3")
    assert (abs(noise["auroc"] - 0.5) < 3.5 * noise["se"]).all()


def test_shuffled_labels_are_at_chance_within_the_error(gaussians):
    """The error is a quarter too small there, as its docstring says: so it is taken to be a third larger."""
    table, variants = gaussians
    results = [
        classify(table, variants, Validation(repeats=1, folds=4, shuffle=True, seed=seed)).tissues[0]
        for seed in range(5)
    ]
    assert all((result.positives, result.negatives) == (200, 400) for result in results)
    deviations = [(result.auroc - 0.5) / (4 / 3 * result.error) for result in results]
    assert np.abs(deviations).max() < 3
    assert abs(np.mean(deviations)) < 3 / np.sqrt(5)
    assert len({result.auroc for result in results}) == 5
    # of a score that knows nothing: Mann and Whitney's
    assert results[0].error == pytest.approx(np.sqrt(601 / (12 * 200 * 400)), rel=0.15)


def test_tissues_have_their_own_results(gaussians):
    """In one the labels are true, in the other shuffled; the order of rows does not matter, nor do threads."""
    table, variants = gaussians
    rng = np.random.default_rng(3)
    other = variants.assign(tissue="blood", positive=rng.permutation(variants["positive"]))
    both = pd.concat([variants.assign(tissue="liver"), other])
    result = classify(table, both, Validation(repeats=1, folds=3), tracks=["0-3"])
    assert list(result.summary()["tissue"]) == ["blood", "liver"]
    assert result.tissues[1].auroc > 0.85 > 0.65 > result.tissues[0].auroc
    assert len(result.tracks) == 2 * 4
    threads = classify(table, both, Validation(repeats=1, folds=3, jobs=2), tracks=["0-3"])
    pd.testing.assert_frame_equal(threads.summary(), result.summary())
    pd.testing.assert_frame_equal(threads.tracks, result.tracks)


def test_signs_are_turned_with_the_alleles_and_may_be_dropped(tmp_path):
    """Positives have a score of +1 and negatives of −1 for the alleles of the lists, half of them exchanged."""
    positive = np.arange(80) % 2 == 0
    exchanged = np.arange(80) % 4 < 2
    there = snvs(80)
    there.loc[exchanged, ["ref", "alt"]] = ["G", "A"]
    noise = np.random.default_rng(0).normal(size=80)
    score = np.where(positive, 1, -1) * np.where(exchanged, -1, 1)
    table = write_scores(tmp_path / "s.parquet", there, np.stack([score, noise], axis=1))
    variants = snvs(80).assign(tissue="t", positive=positive)
    short = {"repeats": 1, "folds": 4}
    # half of the trees of a forest see both tracks at their root, and each finds the sign at last
    assert classify(table, variants, Validation(**short)).tissues[0].auroc == 1
    assert classify(table, variants, Validation(**short, absolute=True)).tissues[0].auroc < 0.75
    alone = classify(table, variants, Validation(**short), tracks=["T0"]).tracks
    assert alone["auroc"].tolist() == [0.5]  # of |score|


def test_a_size_is_the_same_with_the_alleles_exchanged(tmp_path):
    positive, exchanged = np.arange(80) % 2 == 0, np.arange(80) % 4 < 2
    there = snvs(80)
    there.loc[exchanged, ["ref", "alt"]] = ["G", "A"]
    sizes = np.stack([np.where(positive, 0.1, 1)] * 2, axis=1)
    table = write_scores(tmp_path / "s.parquet", there, sizes, statistics=("SAD", "JS"))
    variants = snvs(80).assign(tissue="t", positive=positive)
    result = classify(table, variants, Validation(repeats=1, folds=4), statistic="JS")
    plain = write_scores(tmp_path / "p.parquet", snvs(80), sizes, statistics=("SAD", "JS"))
    same = classify(plain, variants, Validation(repeats=1, folds=4), statistic="JS")
    np.testing.assert_array_equal(result.tissues[0].curve, same.tissues[0].curve)
    assert (result.tissues[0].importance == same.tissues[0].importance).all()


def test_every_fold_has_its_share_and_blocks_stay_together():
    rng = np.random.default_rng(4)
    positive = rng.random(500) < 0.2
    variants = pd.DataFrame({"chrom": rng.choice(["chr1", "1", "2"], 500), "pos": rng.integers(1, 2_000_000, 500)})
    blocks = fold_blocks(variants, 10_000)
    place = variants["chrom"].str.removeprefix("chr") + ":" + ((variants["pos"] - 1) // 10_000).astype(str)
    assert (pd.Series(blocks).groupby(place).nunique() == 1).all()
    assert len(set(blocks)) == place.nunique()
    folds = deal_folds(positive, blocks, 8, rng)
    assert (pd.Series(folds).groupby(blocks).nunique() == 1).all()
    with_positives = pd.Series(positive).groupby(blocks).any()
    of_blocks = pd.Series(folds).groupby(blocks).first()
    for kind in (True, False):
        counts = of_blocks[with_positives == kind].value_counts()
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(folds, deal_folds(positive, blocks, 8, rng))
    assert list(fold_blocks(variants, 0)) == list(range(500))


def test_copies_in_one_block_do_not_leak(tmp_path):
    """20 loci with 6 variants of the same scores and the same label each: nothing to learn, though easy to remember."""
    rng = np.random.default_rng(6)
    locus = np.repeat(np.arange(20), 6)
    alleles = snvs(120).assign(pos=1 + 100_000 * locus + np.tile(np.arange(6), 20))
    table = write_scores(tmp_path / "s.parquet", alleles, rng.normal(size=(20, 5))[locus])
    variants = alleles.assign(tissue="t", positive=locus % 2 == 0)
    apart = classify(table, variants, Validation(block=0, repeats=1, folds=4)).tissues[0].auroc
    together = classify(table, variants, Validation(repeats=1, folds=4)).tissues[0].auroc
    assert apart > 0.95
    assert together < 0.75


def test_what_is_not_scored_or_too_few_is_said(tmp_path, caplog):
    alleles = snvs(30)
    scores = np.random.default_rng(0).normal(size=(30, 3))
    scores[4] = np.nan
    table = write_scores(tmp_path / "s.parquet", alleles, scores)
    variants = alleles.assign(tissue="t", positive=np.arange(30) % 2 == 0)
    few = variants[:6].assign(tissue="few")
    result = classify(table, pd.concat([variants, few]), Validation(repeats=1, folds=4))
    assert list(result.summary()["positives"]) == [14]
    assert "2 variants are left out: the table has no scores for them" in caplog.text
    assert "few is left out: its 2 positives lie in 2 blocks of 10,000 bp, and 4 folds need one each" in caplog.text
    with pytest.raises(TableError, match="no tissue has enough"):
        classify(table, few, Validation(repeats=1, folds=4))
    with pytest.raises(OptionError, match="expected at least 2, 1 and 0"):
        Validation(folds=1)
