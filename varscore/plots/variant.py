"""A variant's reference and alternative tracks, their difference, and the genes, along the window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from varscore.analysis.predict import VariantPrediction
from varscore.genome.contigs import canonical_name
from varscore.genome.genes import Gene
from varscore.network.tracks import Track
from varscore.plots.style import BLACK, DOUBLE, DOWN, GREY, UP, note_on_model, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT = 0.1
"""Where panels begin, in widths of the figure: room for numbers such as −2.5e−05."""
MOST_TRACKS = 8
"""More make no page."""
MOST_LANES = 6
"""Rows of genes whose names do not touch; what finds no place in them is drawn without its name."""

LETTER = 1 / 105
"""Width of a gene's letter, of 6 points, as part of the panel's."""


def draw_variant(prediction: VariantPrediction, genes: Sequence[Gene] = (), *, width: int | None = None) -> Figure:
    """Two panels for each track, with REF and ALT and with ALT − REF, and one with the genes. To be called in `styled`.

    Args:
        prediction: of at most `MOST_TRACKS` tracks.
        genes: those elsewhere are left out.
        width: base pairs around the variant to show; by default all that is predicted.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    # axes count bases from 1: the base at 0-based i reaches from i + 0.5 to i + 1.5
    low, high = prediction.start + 0.5, prediction.end + 0.5
    at = prediction.variant.pos
    if width is not None:
        low, high = max(low, at - width / 2), min(high, at + width / 2)
    chrom = canonical_name(prediction.variant.chrom)
    shown = [g for g in genes if canonical_name(g.chrom) == chrom and g.start + 0.5 < high and g.end + 0.5 > low]
    lanes = _lanes(shown, low, high)
    inches = [0.62, 0.38] * len(prediction.tracks)
    gaps = [0.07, 0.27] * len(prediction.tracks)
    if genes:
        inches.append(0.08 + 0.2 * max(1, len(lanes)))
    top, bottom = 0.52, 0.46
    height = top + bottom + sum(inches) + sum(gaps[: len(inches) - 1])
    figure = Figure(figsize=(DOUBLE, height))
    panels: list[Axes] = []
    y = height - top
    for tall, gap in zip(inches, [*gaps, 0.0], strict=False):
        y -= tall
        shape = (LEFT, y / height, 0.985 - LEFT, tall / height)
        panels.append(figure.add_axes(shape, sharex=panels[0] if panels else None))
        y -= gap
    edges = prediction.start + 0.5 + prediction.bin_size * np.arange(len(prediction.ref) + 1)
    visible = (edges[1:] > low) & (edges[:-1] < high)
    difference = prediction.difference
    for i, track in enumerate(prediction.tracks):
        signal, change = panels[2 * i], panels[2 * i + 1]
        ref, alt, d = prediction.ref[:, i], prediction.alt[:, i], difference[:, i]
        signal.stairs(ref, edges, fill=True, color="#B8B8B8", label="REF")
        signal.stairs(alt, edges, color=UP, linewidth=0.7, label="ALT", baseline=None)
        signal.set_ylim(0, 1.08 * max(ref[visible].max(), alt[visible].max(), 1e-9))
        signal.set_title(_title(track, d.sum()), loc="left", pad=2.5)
        signal.set_ylabel("coverage")
        change.stairs(np.maximum(d, 0), edges, fill=True, color=UP)
        change.stairs(np.minimum(d, 0), edges, fill=True, color=DOWN)
        change.axhline(0, color=BLACK, linewidth=0.4)
        reach = 1.15 * max(np.abs(d[visible]).max(), 1e-9)
        change.set_ylim(-reach, reach)
        change.set_ylabel("ALT − REF")
    for panel in panels:
        panel.axvline(at, color=BLACK, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
        panel.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2))
        # an offset or a power of ten above the axis would be in another panel
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}".replace("-", "−")))
        panel.tick_params(labelbottom=False)
    figure.align_ylabels(panels)
    if genes:
        _draw_genes(panels[-1], lanes, low, high)
    _label_positions(panels[-1], prediction.variant.chrom, low, high)
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=2, borderaxespad=0, handlelength=1.2)
    variant = prediction.variant
    name = f"{variant.chrom}:{variant.pos:,} {shortened(variant.ref, 12)}>{shortened(variant.alt, 12)}"
    name = f"{variant.id}  {name}" if variant.id else name
    what = f"{name}: predicted coverage in bins of {prediction.bin_size} bp ({prediction.model})"
    figure.suptitle(what, x=LEFT, y=1 - 0.06 / height, ha="left", va="top", fontsize=8)
    note_on_model(figure, prediction.model)
    return figure


def _title(track: Track, sad: float) -> str:
    return shortened(f"{track.description}  ({track.identifier})", 85) + f"   SAD {sad:+.4g}".replace("-", "−")


def _label_positions(axes: Axes, chrom: str, low: float, high: float) -> None:
    """Coordinates in Mb, or in kb over short distances."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    unit, name = (1e6, "Mb") if high - low >= 5_000 else (1e3, "kb")
    locator = MaxNLocator(7, steps=[1, 2, 5, 10])
    first, second = locator.tick_values(low, high)[:2]
    digits = max(0, -int(np.floor(np.log10((second - first) / unit) + 1e-9)))
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / unit:,.{digits}f}"))
    axes.tick_params(labelbottom=True)
    axes.set_xlabel(f"position on {chrom} ({name})")


def _lanes(genes: Sequence[Gene], low: float, high: float) -> list[list[tuple[Gene, bool]]]:
    """Genes in rows such that neither bodies nor names touch, each with whether its name has room."""
    per_letter = (high - low) * LETTER
    lanes: list[list[tuple[Gene, bool]]] = [[] for _ in range(MOST_LANES)]
    taken = [float("-inf")] * MOST_LANES
    for gene in sorted(genes, key=lambda g: (g.start, g.end)):
        begin, end = max(gene.start + 0.5, low), min(gene.end + 0.5, high)
        free = [lane for lane in range(MOST_LANES) if taken[lane] <= begin]
        lane = free[0] if free else MOST_LANES - 1
        lanes[lane].append((gene, bool(free)))
        taken[lane] = max(taken[lane], end, begin + per_letter * (len(gene.gene_name) + 2) if free else end)
    return [lane for lane in lanes if lane]


def _draw_genes(axes: Axes, lanes: Sequence[Sequence[tuple[Gene, bool]]], low: float, high: float) -> None:
    """Bodies as lines, an arrow from each TSS in the direction of transcription above, names below."""
    arrow = (high - low) / 70
    for lane, genes in enumerate(lanes):
        for gene, is_named in genes:
            begin, end = max(gene.start + 0.5, low), min(gene.end + 0.5, high)
            axes.plot([begin, end], [-lane, -lane], color=DOWN, linewidth=1.6,
                      solid_capstyle="butt")  # fmt: skip
            for tss in gene.tss:
                x = tss + 1
                if low <= x < high:
                    ahead = arrow if gene.strand == "+" else -arrow
                    axes.plot([x, x], [-lane, -lane + 0.38], color=BLACK, linewidth=0.6)
                    axes.annotate(
                        "", (x + ahead, -lane + 0.38), (x, -lane + 0.38),
                        arrowprops={"arrowstyle": "-|>,head_width=0.09,head_length=0.16", "linewidth": 0.6,
                                    "color": BLACK, "shrinkA": 0, "shrinkB": 0},
                    )  # fmt: skip
            if is_named:
                x = max(low, min(begin, high - (high - low) * LETTER * len(gene.gene_name)))
                axes.text(x, -lane - 0.34, gene.gene_name, fontsize=6, va="center", style="italic", clip_on=True)
    if not lanes:
        axes.text(0.01, 0.5, "no genes here", va="center", transform=axes.transAxes, color=GREY)
    axes.set_ylim(-max(1, len(lanes)) + 0.25, 0.65)
    axes.set_ylabel("genes")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
