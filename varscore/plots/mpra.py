"""Figures of an MPRA: correlations by element, as in Fig. 4 of Avsec et al. (2021), and effects against predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from varscore.analysis.mpra.correlate import METHODS, ElementResult
from varscore.plots.style import BLUE, DOUBLE, GREY, ORANGE, SKY, VERMILION, note_on_model

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS = {
    "lasso_cv": "lasso over tracks, cross-validated",
    "matched": "mean of tracks chosen beforehand",
    "best_track_cv": "best track of the other folds",
    "best_track": "best track of the same data, |r| (optimistic)",
}
MARKS = {"lasso_cv": ("o", BLUE), "matched": ("D", VERMILION), "best_track_cv": ("s", SKY), "best_track": ("|", ORANGE)}
COLUMNS = 5
"""Elements side by side in a scatter plot."""


def draw_correlations(table: pd.DataFrame, model: object = None, statistic: str = "pearson") -> Figure:
    """Each method's correlation with the measured effects, a line for each element, the best at the top.

    Args:
        table: of `analysis.mpra.results.summary`.
        model: `ScoreTable.run["model"]`.
        statistic: pearson or spearman.

    To be called and saved within `style.styled`.
    """
    from matplotlib.figure import Figure

    by_method = table.pivot_table(index="element", columns="method", values=statistic, dropna=False)
    if "best_track" in by_method:
        # the others know in which direction a track goes
        by_method["best_track"] = by_method["best_track"].abs()
    methods = [method for method in METHODS if method in by_method]
    # a method that found nothing in an element is not drawn there, and stands last
    order = by_method.sort_values(methods, na_position="first").index
    alleles = table.groupby("element")["alleles"].first()
    figure = Figure(figsize=(DOUBLE, 1.0 + 0.17 * max(len(order), 3)), layout="constrained")
    axes: Axes = figure.add_subplot()
    rows = np.arange(len(order))
    axes.hlines(rows, *_limits(by_method), color="#E3E3E3", linewidth=0.5, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.7, zorder=1)
    for method in methods:
        mark, colour = MARKS[method]
        size = 60 if mark == "|" else 22
        axes.scatter(by_method.loc[order, method], rows, s=size, marker=mark, color=colour, label=LABELS[method],
                     linewidths=1.4 if mark == "|" else 0, zorder=3 + len(MARKS) - METHODS.index(method))  # fmt: skip
    axes.set_yticks(rows, [f"{element} ({alleles[element]:,})" for element in order])
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlim(*_limits(by_method))
    name = {"pearson": "Pearson's r", "spearman": "Spearman's ρ"}[statistic]
    axes.set_xlabel(f"{name} of predicted and measured effects")
    axes.set_ylabel("element (alleles)")
    figure.legend(loc="outside upper center", ncols=2, handletextpad=0.4)
    _note(figure, model)
    return figure


def draw_scatter(results: Sequence[ElementResult], model: object = None, method: str = "lasso_cv") -> Figure:
    """Measured effects against one method's predictions, a small plot for each element.

    Args:
        results: of `analysis.mpra.correlate.correlate`; elements without the method are left out.
        model: `ScoreTable.run["model"]`.
        method: of `METHODS`.

    To be called and saved within `style.styled`.
    """
    from matplotlib.figure import Figure

    shown = [result for result in results if method in result.methods]
    columns = max(1, min(COLUMNS, len(shown)))
    lines = max(1, math.ceil(len(shown) / columns))
    side = DOUBLE / columns if columns > 2 else 2.6
    figure = Figure(figsize=(side * columns, 0.95 * side * lines + 0.35), layout="constrained")
    for i, result in enumerate(shown):
        axes = figure.add_subplot(lines, columns, i + 1)
        found = result.methods[method]
        axes.axhline(0, color="#D0D0D0", linewidth=0.5, zorder=0)
        axes.axvline(0, color="#D0D0D0", linewidth=0.5, zorder=0)
        axes.scatter(
            found.prediction, result.rows["effect"], s=3, color=BLUE, alpha=0.45, linewidths=0, rasterized=True
        )
        axes.set_title(
            f"{result.element}  r = {round(found.pearson, 2) + 0:.2f}"
            if not math.isnan(found.pearson)
            else result.element
        )
        axes.locator_params(nbins=4)
    what = LABELS[method] + (", log2" if method == "lasso_cv" else "")
    figure.supylabel("measured effect (log2 ALT over REF)", fontsize=7)
    below = _note(figure, model, more=0.17)
    figure.supxlabel(f"predicted effect ({what})", fontsize=7, y=below + 0.02 / figure.get_figheight(), va="bottom")
    return figure


def _note(figure: Figure, model: object, more: float = 0) -> float:
    """The note of `note_on_model`, and room for it and for so many inches more; what the note takes of the height."""
    before = len(figure.texts)
    note_on_model(figure, model)
    height = figure.get_figheight()
    note = 0.16 / height if len(figure.texts) > before else 0
    below = note + more / height
    if engine := figure.get_layout_engine():
        engine.set(rect=(0, below, 1, 1 - below))  # pyright: ignore[reportCallIssue]
    return note


def _limits(by_method: pd.DataFrame) -> tuple[float, float]:
    """From the lowest value, or a little below 0, to a little above the highest."""
    values = by_method.to_numpy(float)
    return min(np.nanmin(values), 0) - 0.05, max(np.nanmax(values), 0.1) + 0.05
