"""What the figures of an MPRA show."""

import numpy as np
import pandas as pd
import pytest

from varscore.analysis.mpra.correlate import Agreement, ElementResult
from varscore.plots.mpra import LABELS, draw_correlations, draw_scatter
from varscore.plots.style import TINY, TINY_WARNING, rendered, styled


@pytest.fixture
def table() -> pd.DataFrame:
    found = {"A": (0.2, 0.1, 0.3), "B": (0.8, 0.5, 0.9), "C": (np.nan, 0.4, -0.5)}
    return pd.DataFrame(
        [
            {"element": element, "method": method, "alleles": 1200, "pearson": value, "spearman": -value}
            for element, values in found.items()
            for method, value in zip(("lasso_cv", "matched", "best_track"), values, strict=True)
        ]
    )


def test_correlations_by_element(table):
    with styled("test"):
        figure = draw_correlations(table, TINY)
        [axes] = figure.axes
        assert [label.get_text() for label in axes.get_yticklabels()] == ["C (1,200)", "A (1,200)", "B (1,200)"]
        drawn = {mark.get_label(): np.ma.getdata(mark.get_offsets()).tolist() for mark in axes.collections[1:]}
        assert set(drawn) == {LABELS[method] for method in ("lasso_cv", "matched", "best_track")}
        assert drawn[LABELS["matched"]] == [[0.4, 0], [0.1, 1], [0.5, 2]]
        assert drawn[LABELS["best_track"]][0] == [0.5, 0]
        low, high = axes.get_xlim()
        assert low < 0 < 0.9 < high
        assert "Pearson" in axes.get_xlabel()
        assert TINY_WARNING in [text.get_text() for text in figure.texts]
        assert rendered(figure, "png")[:4] == b"\x89PNG"
        other = draw_correlations(table, "enformer", "spearman")
        assert TINY_WARNING not in [text.get_text() for text in other.texts]
        assert "Spearman" in other.axes[0].get_xlabel()


def test_scatter_of_each_element():
    results = []
    for name, r in (("A", 0.25), ("B", np.nan), ("C", 0.5)):
        methods = {"lasso_cv": Agreement(r, r, 2, np.array([1.0, 2, 3]))} if name != "C" else {}
        rows = pd.DataFrame({"effect": [0.1, 0.2, 0.4]})
        results.append(ElementResult(name, rows, np.array([]), np.array([]), methods))
    with styled("test"):
        figure = draw_scatter(results)
        assert [axes.get_title() for axes in figure.axes] == ["A  r = 0.25", "B"]
        points = figure.axes[0].collections[0].get_offsets()
        assert np.ma.getdata(points).tolist() == [[1, 0.1], [2, 0.2], [3, 0.4]]
        assert rendered(figure, "svg").startswith(b"<?xml")
        assert rendered(draw_scatter(results[2:], TINY), "png")  # nobody has a lasso
