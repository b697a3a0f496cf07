"""ROC curves of eQTL classification, and the AUROC of every tissue."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from varscore.analysis.eqtl import FALSE_POSITIVE_RATES, TissueResult
from varscore.errors import OutputError, needs
from varscore.store.folder import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, without yellow, which is pale on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
FORMATS = ("png", "pdf", "svg")


def check_format(place: str | os.PathLike[str]) -> str:
    """The format that a figure's name asks for. Raises OutputError unless it is one of `FORMATS`."""
    suffix = Path(place).suffix.removeprefix(".").lower()
    if suffix not in FORMATS:
        raise OutputError(f"figure {place}: its name says no format; expected one that ends in .png, .pdf or .svg")
    return suffix


def draw_roc(tissues: Sequence[TissueResult], place: str | os.PathLike[str], note: str | None = None) -> None:
    """Draw the mean ROC curve of each tissue with a band of its standard error, and the diagonal of chance.

    Of more than one tissue, their AUROCs stand beside it, and tell the colours. Of more than seven, the curves are not
    told apart.

    Args:
        tissues: of `classify`.
        place: a file that ends in .png, .pdf or .svg.
        note: a sentence to stand below.

    Raises:
        OutputError: it cannot be written, or has another ending.
        ExtraError: matplotlib is not installed.
    """
    with needs("analysis", "a figure"):
        import matplotlib as mpl
        from matplotlib.figure import Figure
    style = check_format(place)
    tissues = sorted(tissues, key=lambda tissue: -tissue.auroc)
    several = len(tissues) > 1
    told_apart = len(tissues) <= len(COLOURS)
    colours = COLOURS if told_apart else COLOURS[:1] * len(tissues)
    with mpl.rc_context({"font.size": 7, "axes.linewidth": 0.6, "svg.fonttype": "none", "pdf.fonttype": 42}):
        height = max(3.35, 0.8 + 0.13 * len(tissues)) if several else 3.35
        figure = Figure(figsize=(7.0 if several else 3.35, height), layout="constrained")
        axes = figure.subplots(1, 2) if several else [figure.subplots()]
        _curves(axes[0], tissues, colours, told_apart)
        if several:
            _areas(axes[1], tissues, colours)
        else:
            axes[0].legend(loc="lower right", frameon=False, fontsize=6, handlelength=1.4)
        if note:
            figure.supxlabel(_wrapped(note, 130 if several else 62), fontsize=6, color="#555555")
        with whole_file(place) as file:
            figure.savefig(file, format=style, dpi=300)


def _curves(axes: Axes, tissues: Sequence[TissueResult], colours: Sequence[str], told_apart: bool) -> None:
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle="--", label="chance")
    width, alpha = (1.2, 1) if told_apart else (0.5, 0.5)
    for tissue, colour in zip(tissues, colours, strict=False):
        label = f"{tissue.tissue}: AUROC {tissue.auroc:.2f} ± {tissue.error:.2f}"
        axes.plot(FALSE_POSITIVE_RATES, tissue.curve, color=colour, linewidth=width, alpha=alpha, label=label)
        if told_apart:
            low, high = (tissue.curve + side * tissue.curve_error for side in (-1, 1))
            axes.fill_between(FALSE_POSITIVE_RATES, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_anchor("N")
    axes.spines[["top", "right"]].set_visible(False)


def _areas(axes: Axes, tissues: Sequence[TissueResult], colours: Sequence[str]) -> None:
    at = range(len(tissues))[::-1]
    for y, tissue, colour in zip(at, tissues, colours, strict=False):
        axes.errorbar(tissue.auroc, y, xerr=tissue.error, fmt="o", color=colour, markersize=3.5, linewidth=0.9)
    axes.axvline(0.5, color="#999999", linewidth=0.8, linestyle="--")
    axes.set_yticks(list(at), [f"{t.tissue} ({t.positives:,} / {t.negatives:,})" for t in tissues], fontsize=6)
    axes.text(-0.02, 1, "tissue (positives / negatives)", ha="right", va="bottom", transform=axes.transAxes, fontsize=6)
    axes.set(ylim=(-0.7, len(tissues) - 0.3), xlabel="AUROC ± standard error")
    axes.spines[["top", "right"]].set_visible(False)


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
