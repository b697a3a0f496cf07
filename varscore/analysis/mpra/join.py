"""Finding the scores of measured alleles."""

# pandas' annotations cannot tell a column from a table
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from varscore.analysis.top import has_score
from varscore.errors import TableError
from varscore.genome.contigs import canonical_name
from varscore.store.table import ScoreColumn, ScoreTable

Key = tuple[str, int, str, str]


@dataclass(frozen=True)
class Joined:
    """Measured alleles with their scores.

    rows: of `MpraTable.rows`, those that have scores. columns: of the scores. allele: [rows] which row of `scores`
        each has; elements that share alleles share their scores. scores: float32 [alleles, columns].
    unknown: rows whose allele is not in the score table. unscored: rows whose allele has no scores there.
    """

    rows: pd.DataFrame
    columns: Sequence[ScoreColumn]
    allele: np.ndarray
    scores: np.ndarray
    unknown: int
    unscored: int


def join_scores(rows: pd.DataFrame, table: ScoreTable, columns: Sequence[ScoreColumn]) -> Joined:
    """The scores of measured alleles, found by chrom (with or without `chr`), pos, ref and alt.

    Alleles are compared without the bases that REF and ALT share, so a deletion is found whichever base it is
    anchored on. Where several rows of the table have an allele, the first is taken. All scores that are found are
    held in memory: 4 bytes for each allele and column.

    Args:
        rows: of `MpraTable.rows`, of the genome build that was scored.
        table: of `varscore score`.
        columns: which of its columns.

    Raises:
        TableError: no allele is in the table, none that is has scores, or the table's rows are not alleles.
    """
    if "status" not in table.row_columns:
        raise TableError(
            f"{table.place} has no row per allele, but {', '.join(table.row_columns)}: give the table of alleles"
        )
    alleles = table.alleles()
    place = _places(alleles, rows)
    found = np.array([place.get(key, -1) for key in _measured_keys(rows)], np.int64)
    if (found < 0).all():
        raise TableError(_nothing(rows, table, alleles))
    wanted = np.unique(found[found >= 0])
    scores = _read_rows(table, columns, wanted)
    has_scores = has_score(scores)
    allele = np.where(found >= 0, np.searchsorted(wanted, found), 0)
    kept = (found >= 0) & has_scores[allele]
    if not kept.any():
        reasons = ", ".join(f"{n:,} {status}" for status, n in alleles["status"].iloc[wanted].value_counts().items())
        raise TableError(f"{table.place} has the table's alleles, but no scores for them: {reasons}")
    return Joined(
        rows[kept].reset_index(drop=True), columns, allele[kept], scores,
        unknown=int((found < 0).sum()), unscored=int((found >= 0).sum() - kept.sum()),
    )  # fmt: skip


def _places(alleles: pd.DataFrame, rows: pd.DataFrame) -> dict[Key, int]:
    """Where each allele stands in the score table, of those near measured ones."""
    chroms = alleles["chrom"].map(canonical_name)
    positions = pd.unique(rows["pos"])
    near = chroms.isin(rows["chrom"].unique()) & (
        alleles["pos"].isin(positions) | (alleles["pos"] + 1).isin(positions) | (alleles["pos"] - 1).isin(positions)
    )
    place: dict[Key, int] = {}
    second: dict[Key, int] = {}
    chosen = zip(
        np.flatnonzero(near), chroms[near], alleles["pos"][near], alleles["ref"][near], alleles["alt"][near],
        strict=True,
    )  # fmt: skip
    for row, chrom, pos, ref, alt in chosen:
        place.setdefault(_key(chrom, pos, ref, alt), int(row))
        # AA>A is a deletion of its second base, or of its first, whose sequence is the same
        second.setdefault(_key(chrom, pos, ref, alt, suffix_first=True), int(row))
    return second | place


def _measured_keys(rows: pd.DataFrame) -> list[Key]:
    return [
        _key(chrom, pos, ref, "" if alt == "-" else alt)
        for chrom, pos, ref, alt in zip(rows["chrom"], rows["pos"], rows["ref"], rows["alt"], strict=True)
    ]


def _key(chrom: str, pos: int, ref: str, alt: str, *, suffix_first: bool = False) -> Key:
    """An allele without the bases that REF and ALT share: (chrom, pos of what is left, ref, alt)."""
    for end in (-1, 0) if suffix_first else (0, -1):
        while ref and alt and ref[end] == alt[end]:
            ref, alt, pos = (ref[1:], alt[1:], pos + 1) if end == 0 else (ref[:-1], alt[:-1], pos)
    return canonical_name(chrom), int(pos), ref, alt


def _read_rows(table: ScoreTable, columns: Sequence[ScoreColumn], wanted: np.ndarray) -> np.ndarray:
    """Scores [wanted, columns] of the rows with these rising numbers."""
    scores = np.empty((len(wanted), len(columns)), np.float32)
    begin = done = 0
    for _, batch in table.batches(columns):
        here = wanted[done : np.searchsorted(wanted, begin + len(batch))]
        scores[done : done + len(here)] = batch[here - begin]
        done, begin = done + len(here), begin + len(batch)
    return scores


def _nothing(rows: pd.DataFrame, table: ScoreTable, alleles: pd.DataFrame) -> str:
    measured = rows.iloc[0]
    said = (
        f"none of {len(rows):,} measured alleles is in {table.place}: "
        f"the measured ones are such as {measured['chrom']}:{measured['pos']} {measured['ref']}>{measured['alt']}"
    )
    if len(alleles):
        scored = alleles.iloc[0]
        said += f", the scored ones such as {scored['chrom']}:{scored['pos']} {scored['ref']}>{scored['alt']}"
    return f"{said}; are both of the same genome build? `varscore mpra variants` writes the VCF to score"
