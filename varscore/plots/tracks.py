"""The strongest tracks, grouped by assay and tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from varscore.analysis.strongest import Overview
from varscore.errors import TableError
from varscore.network.tracks import Track
from varscore.plots.style import BLACK, DOUBLE, DOWN, GREY, UP, fitted, note_on_model, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ASSAYS = 6
"""Of a table of one's own, each track may be its own assay."""
LEFT = 0.355
"""Where the axis begins, as part of the width; labels stand left of it."""


@dataclass
class _Line:
    """A tissue (and target) of an assay: the scaled scores of its tracks, and what the strongest is of."""

    label: str
    values: list[float]
    allele: str

    @property
    def strongest(self) -> float:
        return max(self.values, key=abs)


def draw_tracks(overview: Overview, model: str, *, per_assay: int = 10, variant: str | None = None) -> Figure:
    """For each assay, a line for each of its strongest tissues: a dot for each track, a stem to the strongest.

    To be called in `styled`.

    Args:
        overview: of which `by_track` is drawn.
        model: whose scores they are.
        per_assay: lines of each assay.
        variant: what all the scores are of; by default each is of the allele that is named beside it.

    Raises:
        TableError: there is no score.
    """
    from matplotlib.figure import Figure

    if not overview.by_track:
        raise TableError("there are no scores to draw: no allele was scored, or none differs from another")
    groups = _grouped(overview)
    shown = [(assay, lines[:per_assay]) for assay, lines in groups[:MOST_ASSAYS]]
    rows = sum(len(lines) for _, lines in shown)
    inches_row, top, bottom = 0.135, 0.3, 0.46
    height = top + bottom + inches_row * (rows + 1.25 * len(shown))
    figure = Figure(figsize=(DOUBLE, height))
    right = 0.975 if variant else 0.745
    axes = figure.add_axes((LEFT, bottom / height, right - LEFT, 1 - (top + bottom) / height))
    y, ticks, labels = 0.0, [], []
    for assay, lines in shown:
        y += 1.25
        total = sum(len(line.values) for line in dict(groups)[assay])
        heading = f"{shortened(assay, 40)}, {total:,} {'track' if total == 1 else 'tracks'}"
        axes.text(
            -0.01,
            y + 0.05,
            heading,
            ha="right",
            va="center_baseline",
            weight="bold",
            transform=axes.get_yaxis_transform(),
        )
        for line in lines:
            y += 1
            ticks.append(y)
            labels.append(fitted(line.label, (LEFT - 0.015) * DOUBLE * 72, 6.5))
            colour = UP if line.strongest > 0 else DOWN
            axes.plot([0, line.strongest], [y, y], color=colour, linewidth=1)
            others = [value for value in line.values if value != line.strongest]
            axes.plot(others, [y] * len(others), ".", color=GREY, markersize=2.2, markeredgewidth=0, alpha=0.7)
            axes.plot(line.strongest, y, "o", color=colour, markersize=3.6, markeredgewidth=0)
            if not variant:
                allele = fitted(line.allele, 0.23 * DOUBLE * 72, 6)
                axes.text(1.015, y, allele, va="center_baseline", fontsize=6, clip_on=False,
                          transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y + 0.8, 0.3)
    reach = 1.08 * max(abs(line.strongest) for _, lines in shown for line in lines)
    axes.set_xlim(-reach, reach)
    axes.axvline(0, color=BLACK, linewidth=0.5)
    axes.grid(axis="x", color="#E3E3E3", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{overview.scale.label} (positive: more signal with ALT)")
    what = f"{variant}: strongest tracks" if variant else "strongest tracks, each at its strongest allele"
    figure.text(0.01, 1 - 0.07 / height, shortened(f"{what}  ({model})", 105), ha="left", va="top", fontsize=8)
    note_on_model(figure, model)
    return figure


def _grouped(overview: Overview) -> list[tuple[str, list[_Line]]]:
    """Lines by assay, the strongest first, as are the assays."""
    found: dict[str, dict[str, _Line]] = {}
    for hit in overview.by_track:
        track = overview.scale.columns[hit.column].track
        lines = found.setdefault(track.assay, {})
        line = lines.setdefault(_label(track), _Line(_label(track), [], ""))
        line.values.append(hit.scaled)
        if line.strongest == hit.scaled:
            line.allele = hit.label
    groups = [(assay, sorted(lines.values(), key=lambda line: -abs(line.strongest))) for assay, lines in found.items()]
    return sorted(groups, key=lambda group: -abs(group[1][0].strongest))


def _label(track: Track) -> str:
    return f"{track.target}: {track.tissue}" if track.target else track.tissue
