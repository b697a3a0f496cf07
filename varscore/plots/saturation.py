"""Saturation mutagenesis: a sequence logo of what each base matters, and a heat map of what each change does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from varscore.analysis.saturation import BASES, Saturation
from varscore.errors import needs
from varscore.plots.style import BASE_COLOURS, BLACK, DIVERGING, DOUBLE, note_on_model, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST = 1000
"""Positions in one figure."""
PER_LINE = 100
"""Positions from left to right before a new line begins: a letter is then 4 points wide."""


def draw_saturation(found: Saturation, model: str) -> Figure:
    """Lines of up to 100 positions, each a logo over a heat map, all on one scale. To be called in `styled`.

    The logo's letters are the reference's bases, as tall as minus the mean score of the other three: upwards where the
    base raises the signal. The heat map has a row for each new base (and one for deletions), a dot in the reference's
    own, and grey where nothing was scored.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    positions = len(found.ref)
    lines = -(-positions // PER_LINE)
    per_line = -(-positions // lines)
    has_deletions = bool(np.isfinite(found.deletions).any())
    values = np.column_stack([found.scores, found.deletions]) if has_deletions else found.scores
    finite = np.abs(values[np.isfinite(values)])
    reach = float(finite.max()) or 1.0
    importance = np.nan_to_num(found.importance)
    low, high = min(0.0, importance.min()), max(0.0, importance.max())
    pad = 0.06 * ((high - low) or 1.0)

    logo_inches, row_inches, between, top, bottom = 0.6, 0.11, 0.42, 0.42, 0.48
    heat_inches = row_inches * values.shape[1]
    line_inches = logo_inches + 0.06 + heat_inches
    height = top + bottom + lines * line_inches + (lines - 1) * between
    figure = Figure(figsize=(DOUBLE, height))
    left, right = 0.085, 0.915
    colours = LinearSegmentedColormap.from_list("down-up", DIVERGING).with_extremes(bad="#D9D9D9")
    image = None
    for line in range(lines):
        first, end = line * per_line, min(positions, (line + 1) * per_line)
        y = 1 - (top + line * (line_inches + between) + logo_inches) / height
        wide = (right - left) * (end - first) / per_line
        logo = figure.add_axes((left, y, wide, logo_inches / height))
        heat = figure.add_axes((left, y - (0.06 + heat_inches) / height, wide, heat_inches / height), sharex=logo)
        x = found.start + 1 + np.arange(first, end)
        draw_letters(logo, found.ref[first:end], importance[first:end], x)
        logo.set_ylim(low - pad, high + pad)
        logo.tick_params(labelbottom=False, bottom=False)
        logo.spines["bottom"].set_visible(False)
        logo.set_ylabel(f"−mean {found.column.statistic}")
        image = heat.imshow(
            np.ma.masked_invalid(values[first:end].T), cmap=colours, vmin=-reach, vmax=reach, aspect="auto",
            interpolation="nearest", extent=(x[0] - 0.5, x[-1] + 0.5, values.shape[1] - 0.5, -0.5),
        )  # fmt: skip
        own = [(at, BASES.index(base)) for at, base in zip(x, found.ref[first:end], strict=True) if base in BASES]
        heat.plot(*zip(*own, strict=True), linestyle="", marker=".", markersize=1.8, color=BLACK, markeredgewidth=0)
        _label(heat, values.shape[1], x)
    assert image is not None
    figure.axes[-1].set_xlabel(f"position on {found.chrom} (bp)")
    bar = figure.add_axes((0.935, figure.axes[1].get_position().y0, 0.012, line_inches / height))
    figure.colorbar(image, cax=bar)
    bar.set_title(found.column.statistic, pad=4)
    bar.spines[:].set_linewidth(0.6)
    track = found.column.track
    title = f"{track.description}  ({track.identifier}, {model})"
    figure.text(left, 1 - 0.08 / height, shortened(title, 95), ha="left", va="top", fontsize=8)
    note_on_model(figure, model)
    return figure


def _label(heat: Axes, rows: int, x: np.ndarray) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    heat.set_yticks(range(rows), [*BASES, "del"][:rows])
    heat.tick_params(axis="y", length=0)
    heat.set_xlim(x[0] - 0.5, x[-1] + 0.5)
    heat.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    heat.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.0f}"))
    heat.spines[:].set_visible(False)
    heat.set_ylabel("new base")


def draw_letters(axes: Axes, letters: str, heights: np.ndarray, x: np.ndarray) -> None:
    """Letters of these heights [n], each one wide and centred at x [n], upside up above zero and below."""
    with needs("analysis", "varscore plot"):
        import logomaker
    known = np.array(list(letters))[:, None] == list(BASES)
    matrix = pd.DataFrame(known * heights[:, None], index=x, columns=list(BASES))
    logomaker.Logo(
        matrix, ax=axes, color_scheme=BASE_COLOURS, font_name="DejaVu Sans", width=0.92, vpad=0, flip_below=False,
        show_spines=None, baseline_width=0.4,
    )  # fmt: skip
    axes.set_xlim(x[0] - 0.5, x[-1] + 0.5)
