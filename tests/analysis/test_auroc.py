"""AUROC and its error, against scikit-learn, the definition written out, and simulation."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from varscore.analysis import auroc as module
from varscore.analysis.auroc import auroc


def written_out(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """DeLong's formulas, one pair after the other."""
    x, y = scores[positive], scores[~positive]
    psi = np.array([[1.0 if a > b else 0.5 if a == b else 0.0 for b in y] for a in x])
    area = psi.mean()
    s10 = ((psi.mean(axis=1) - area) ** 2).sum() / (len(x) - 1)
    s01 = ((psi.mean(axis=0) - area) ** 2).sum() / (len(y) - 1)
    return area, np.sqrt(s10 / len(x) + s01 / len(y))


@pytest.mark.parametrize("batch", [1, 2**16])
@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_it_is_scikit_learns_and_delongs_with_ties_and_without(monkeypatch, batch, decimals):
    monkeypatch.setattr(module, "BATCH", batch)
    rng = np.random.default_rng(decimals)
    positive = rng.random(60) < 0.4
    scores = np.round(rng.normal(size=(60, 7)) + positive[:, None] * np.linspace(-2, 2, 7), decimals).astype(np.float32)
    area, error = auroc(scores, positive)
    np.testing.assert_allclose(area, [roc_auc_score(positive, column) for column in scores.T], atol=1e-12)
    np.testing.assert_allclose(np.stack([area, error], 1), [written_out(c, positive) for c in scores.T], atol=1e-12)


def test_a_constant_track_is_at_chance_and_a_perfect_one_at_one():
    positive = np.array([True, True, False, False, False])
    area, error = auroc(np.stack([np.zeros(5), positive, ~positive], axis=1).astype(np.float32), positive)
    np.testing.assert_array_equal(area, [0.5, 1, 0])
    np.testing.assert_array_equal(error, [0, 0, 0])


@pytest.mark.parametrize("d", [0, 0.5, 1.5])
def test_two_gaussians_give_what_theory_says_and_the_error_is_right(d):
    """Each column is one draw of the same experiment: the mean is Phi(d/√2), the spread is the error."""
    rng = np.random.default_rng(7)
    positive = np.arange(150) < 50
    scores = rng.normal(size=(150, 2000)) + d * positive[:, None]
    area, error = auroc(scores, positive)
    assert area.mean() == pytest.approx(norm.cdf(d / np.sqrt(2)), abs=4 * area.std() / np.sqrt(2000))
    assert np.sqrt((error**2).mean()) == pytest.approx(area.std(), rel=0.06)
