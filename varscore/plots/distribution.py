"""How scores are distributed: over all pairs of allele and track, and by each allele's largest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from varscore.analysis.strongest import Overview
from varscore.plots.style import BLACK, BLUE, DOUBLE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (ORANGE, "-"), (PURPLE, "--"), (SKY, "-."))


def draw_distribution(overview: Overview) -> Figure:
    """Left, the histogram of scaled scores of each assay; right, how many alleles reach a size on any track.

    To be called in `styled`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure = Figure(figsize=(DOUBLE, 2.3))
    left, right = figure.subplots(
        1, 2, gridspec_kw={"left": 0.085, "right": 0.985, "top": 0.9, "bottom": 0.2, "wspace": 0.28}
    )
    named = sorted(overview.counts.items(), key=lambda item: -item[1].sum())
    rest = named[len(_LINES) :]
    for (assay, counts), (colour, line) in zip(named, _LINES, strict=False):
        left.stairs(counts, overview.edges, color=colour, linestyle=line, label=shortened(assay, 18), baseline=None)
    if rest:
        total = np.sum([counts for _, counts in rest], axis=0)
        left.stairs(total, overview.edges, color=GREY, label=f"{len(rest)} other assays", baseline=None)
    left.set_yscale("log")
    left.set_ylim(0.6, None)
    left.set_xlim(overview.edges[0], overview.edges[-1])
    left.set_xlabel(overview.scale.label)
    left.set_ylabel("pairs of allele and track")
    left.set_title("all scores", loc="left")
    left.legend(loc="upper left", borderaxespad=0, handlelength=1.6)
    sizes = np.sort(overview.largest)
    right.step(sizes, np.arange(len(sizes), 0, -1), where="pre", color=BLACK)
    right.set_yscale("log")
    right.set_ylim(0.6, None)
    right.set_xlim(0, None)
    right.set_xlabel("at least this size on any track")
    right.set_ylabel("alleles")
    right.set_title("largest of each allele", loc="left")
    for axes in (left, right):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    return figure
