"""What the exports share: where they write, and which alleles and columns they take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from varscore.errors import OutputError, TableError
from varscore.store.folder import is_remote, split_address
from varscore.store.scores import check_new_file
from varscore.store.table import ScoreColumn, ScoreTable


def check_output(place: str | os.PathLike[str], endings: Sequence[str], *, overwrite: bool) -> Path:
    """A file of this machine that can be written.

    Raises:
        OutputError: it has none of the endings, is there already and not to be overwritten, is in an object store, or
            its folder cannot be written to.
    """
    if is_remote(place):
        raise OutputError(f"{split_address(place)[0]}: write to a file of this machine, and copy it from there")
    path = Path(place)
    if not path.name.endswith(tuple(endings)):
        raise OutputError(f"{path}: its ending says the format; expected {' or '.join(endings)}")
    check_new_file(path, overwrite=overwrite)
    return path


def select_statistics(
    table: ScoreTable, tracks: Sequence[str] | None, statistics: Sequence[str] | None
) -> dict[str, list[ScoreColumn]]:
    """The columns of the chosen tracks for each statistic (by default, the table's first).

    Raises:
        TableError: no such statistic, or a track that has not all of them.
        TrackError: a selector matches no track.
    """
    chosen = {name: table.select(tracks, name) for name in statistics or table.statistics[:1]}
    for name, columns in chosen.items():
        if [c.track for c in columns] != [c.track for c in next(iter(chosen.values()))]:
            raise TableError(f"{table.place} has not the same tracks for {name} as for {next(iter(chosen))}")
    return chosen


def check_has_alleles(table: ScoreTable, what: str) -> None:
    """Raise TableError if rows are pairs of allele and gene."""
    if "gene_id" in table.row_columns:
        raise TableError(f"{table.place} has a row for each allele and gene, and {what} has no place for genes: export "
                         "the table of alleles, or this one in long form")  # fmt: skip
