"""What was found, as tables; and which tracks were chosen beforehand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from varscore.analysis.mpra.correlate import METHODS, ElementResult
from varscore.errors import TableError, TrackError
from varscore.network.tracks import Track, select_tracks
from varscore.store.table import ScoreColumn


def summary(results: Iterable[ElementResult], columns: Sequence[ScoreColumn]) -> pd.DataFrame:
    """A row for each element and method.

    element, method (of `correlate.METHODS`), alleles, pearson, spearman, tracks (how many the prediction uses, on
    average over folds), and for `best_track` the track and its description.
    """
    rows = []
    for result in results:
        for name, found in result.methods.items():
            track = None if found.track is None else columns[found.track].track
            rows.append(
                {
                    "element": result.element,
                    "method": name,
                    "alleles": len(result.rows),
                    "pearson": found.pearson,
                    "spearman": found.spearman,
                    "tracks": found.tracks,
                    "track": track and track.identifier,
                    "description": track and track.description,
                }
            )
    return pd.DataFrame(rows, columns=["element", "method", "alleles", "pearson", "spearman", "tracks", "track",
                                       "description"])  # fmt: skip


def by_track(results: Iterable[ElementResult], columns: Sequence[ScoreColumn]) -> pd.DataFrame:
    """A row for each element and track: element, track, description, alleles, pearson, spearman."""
    tracks = [column.track for column in columns]
    parts = [
        pd.DataFrame(
            {
                "element": result.element,
                "track": [track.identifier for track in tracks],
                "description": [track.description for track in tracks],
                "alleles": len(result.rows),
                "pearson": result.pearson,
                "spearman": result.spearman,
            }
        )
        for result in results
    ]
    return pd.concat(parts, ignore_index=True)


def predictions(results: Iterable[ElementResult]) -> pd.DataFrame:
    """A row for each allele of each element: element, chrom, pos, ref, alt, effect, and a column for each method."""
    parts = []
    for result in results:
        part = result.rows[["element", "chrom", "pos", "ref", "alt", "effect"]].copy()
        for name, found in result.methods.items():
            part[name] = found.prediction
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def read_matched(
    path: str | os.PathLike[str], columns: Sequence[ScoreColumn], elements: Iterable[str]
) -> dict[str, list[int]]:
    """Which tracks were chosen beforehand for which element.

    Args:
        path: lines of an element, a tab and a track selector, as of `varscore score --tracks`, such as
            `LDLR<tab>DNASE:HepG2`. An element may have several; lines that begin with `#` are passed over.
        columns: of the scores.
        elements: of the measured alleles; lines of others are passed over.

    Returns:
        By element, indices in `columns`.

    Raises:
        TableError: the file cannot be read, or has no line for any of the elements.
        TrackError: a selector matches no track.
    """
    wanted = set(elements)
    tracks = [Track(i, column.track.identifier, column.track.description) for i, column in enumerate(columns)]
    chosen: dict[str, set[int]] = {}
    for number, (element, selector) in _lines(Path(path)):
        if element in wanted:
            try:
                chosen.setdefault(element, set()).update(select_tracks(tracks, [selector]))
            except TrackError as error:
                raise TrackError(f"{path}, line {number}: {error}") from error
    if not chosen:
        raise TableError(f"{path} has tracks for none of the elements {', '.join(sorted(wanted))}")
    return {element: sorted(indices) for element, indices in chosen.items()}


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != 2 or not all(cells):
            raise TableError(f"{path}, line {number}: expected an element, a tab and a track, found {line!r}")
        yield number, cells


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """Of a `summary`, a row for each element: alleles, Pearson's correlation by method, and the best track."""
    pearson = table.pivot_table(index="element", columns="method", values="pearson", dropna=False)
    found = pd.DataFrame({"alleles": table.groupby("element")["alleles"].first()})
    for method in METHODS:
        if method in pearson:
            found[method] = pearson[method]
    best = table[table["method"] == "best_track"].set_index("element")
    found["track"] = best["description"].reindex(found.index).replace({np.nan: None})
    return found.reset_index()
