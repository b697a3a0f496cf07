"""How all figures look: sizes of a journal's columns, letters of 6 points or more, colours for every eye."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varscore.errors import OutputError, needs
from varscore.store.folder import split_address, whole_file
from varscore.store.scores import check_new_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SINGLE, DOUBLE = 3.35, 7.0
"""Widths of one and of two columns, in inches."""

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
"""Okabe & Ito's colours (2008), which people with any colour vision tell apart."""
UP, DOWN, GREY = VERMILION, BLUE, "#767676"
DIVERGING = (DOWN, "#7FB3DA", "#F7F7F7", "#F0AE78", UP)
"""From negative to positive, light at zero."""
BASE_COLOURS = {"A": GREEN, "C": BLUE, "G": ORANGE, "T": VERMILION}

ENDINGS = (".png", ".svg", ".pdf")
TINY = "enformer-tiny"
TINY_WARNING = "enformer-tiny was trained on a simulation and carries no biology"

_SETTINGS: dict[Any, Any] = {
    "font.size": 7,
    "font.family": "sans-serif",
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 0.9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "svg.fonttype": "none",  # letters stay letters
    "svg.hashsalt": "varscore",  # the same figure is the same file
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a track's description may hold a $
}


@contextmanager
def styled(what: str) -> Iterator[None]:
    """To draw and save in. Raises ExtraError, saying what needs it, where matplotlib is not installed."""
    with needs("analysis", what):
        import matplotlib as mpl
    with mpl.rc_context(_SETTINGS):
        yield


def check_figure(output: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Say before the work that a figure cannot be written.

    Raises:
        OutputError: the ending is none of .png, .svg and .pdf, something is there already, or it is no place to write.
    """
    address = split_address(output)[0]
    if Path(address).suffix.lower() not in ENDINGS:
        raise OutputError(f"output {address}: a figure's name ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    check_new_file(output, overwrite=overwrite)


def save(figure: Figure, output: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all, in the format of its ending. To be called within `styled`.

    Raises:
        OutputError: it cannot be written.
    """
    kind = Path(split_address(output)[0]).suffix.lower().removeprefix(".")
    with whole_file(output) as file:
        file.write(rendered(figure, kind))


def rendered(figure: Figure, kind: str) -> bytes:
    """A figure as the bytes of a png, svg or pdf file, without the time of day."""
    sink = BytesIO()
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None, "ModDate": None}, "png": {}}
    figure.savefig(sink, format=kind, metadata=dates[kind])
    return sink.getvalue()


def shortened(text: str, length: int) -> str:
    """A text of at most so many letters, with … where some are left out."""
    return text if len(text) <= length else text[: length - 1].rstrip(" ,") + "…"


def fitted(text: str, width: float, size: float) -> str:
    """The same, to fit `width` points when written in letters of `size` points. To be called within `styled`."""
    from matplotlib.textpath import TextPath

    whole, kept = text, len(text)
    while kept > 1 and (wide := TextPath((0, 0), text, size=size).get_extents().width) > width:
        kept = max(1, min(kept - 1, int(kept * width / wide) + 1))
        text = shortened(whole, kept)
    return text


def note_on_model(figure: Figure, model: object) -> None:
    """Say in the figure's lower right corner that a toy made it, if one did."""
    if model == TINY:
        figure.text(0.995, 0.004, TINY_WARNING, ha="right", va="bottom", fontsize=6, color=GREY)
