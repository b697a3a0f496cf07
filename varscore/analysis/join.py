"""Finding the rows of a score table for variants that come from elsewhere."""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false, reportCallIssue=false
# pyright: reportAssignmentType=false, reportGeneralTypeIssues=false
# pandas' own annotations are unions of all that an index could give

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from varscore.analysis.distribution import QUANTILE, is_signed
from varscore.errors import TableError
from varscore.genome.contigs import canonical_name
from varscore.genome.variant import minimal_edit
from varscore.store.table import ScoreColumn, ScoreTable

log = logging.getLogger("varscore")


@dataclass(frozen=True)
class Joined:
    """Where variants stand in a score table.

    row: int64 [variants], the row of the score table, 0-based; -1 where it has none.
    flipped: bool [variants], REF and ALT are exchanged there, so the sign of the score is that of the other allele.
    """

    row: np.ndarray
    flipped: np.ndarray
    ambiguous: int
    repeated: int

    @property
    def missing(self) -> int:
        """Variants without a row."""
        return int((self.row < 0).sum())

    def describe(self, what: str = "variants") -> str:
        """How many were found, as a sentence."""
        parts = [f"{len(self.row) - self.missing:,} of {len(self.row):,} {what} are in the scores"]
        if self.flipped.any():
            parts.append(f"{self.flipped.sum():,} with REF and ALT exchanged")
        if self.ambiguous:
            parts.append(f"{self.ambiguous:,} indels left out, whose exchanged alleles may be another variant")
        if self.repeated:
            parts.append(f"{self.repeated:,} there more than once, where the first counts")
        return ", ".join(parts)


def allele_keys(frame: pd.DataFrame) -> pd.DataFrame:
    """Variants spelled one way: chrom without `chr`, start (0-based), ref and alt without bases they share.

    frame: chrom, pos (1-based), ref, alt.
    """
    names = {name: canonical_name(str(name)) for name in frame["chrom"].unique()}
    start = frame["pos"].to_numpy("int64") - 1
    ref, alt = (frame[name].str.upper().to_numpy(object) for name in ("ref", "alt"))
    longer = (frame["ref"].str.len() != 1) | (frame["alt"].str.len() != 1)
    for at in np.flatnonzero(longer):
        edit = minimal_edit(start[at] + 1, ref[at], alt[at])
        start[at], ref[at], alt[at] = edit.start, edit.ref, edit.alt
    keys = {"chrom": frame["chrom"].map(names), "start": start, "ref": ref, "alt": alt}
    return pd.DataFrame(keys, index=frame.index)


def gene_key(genes: pd.Series) -> pd.Series:
    """Gene identifiers without the version that may follow a dot: ENSG00000099889 for ENSG00000099889.9."""
    return genes.astype(str).str.replace(r"\.[0-9]+(?=$|_)", "", regex=True)


def join(table: ScoreTable, variants: pd.DataFrame, *, genes: bool = False) -> Joined:
    """The row of each variant in a score table, by chromosome, position and alleles however they are spelled.

    A substitution whose REF and ALT are exchanged is found too, and `flipped`. An indel is not: at a repeat, the
    exchanged alleles are those of another variant at the same place.

    Args:
        table: of scores.
        variants: chrom, pos (1-based), ref, alt, and with genes gene_id.
        genes: the gene must be the same too, whatever its version; the score table must be one of genes.

    Raises:
        TableError: not one variant is there, or the table is of genes and `genes` is not asked for.
    """
    if not genes and "gene_id" in table.row_columns:
        raise TableError(f"{table.place} is a table of genes: give the one with a row for each allele")
    theirs, ours = table.alleles(), variants
    there, wanted = allele_keys(theirs), allele_keys(ours)
    if genes:
        there["gene"], wanted["gene"] = gene_key(theirs["gene_id"]), gene_key(ours["gene_id"])
    names, other_names = _text(there), _text(wanted)
    known = ~names.duplicated()
    index, rows = pd.Index(names[known]), np.flatnonzero(known)
    found = index.get_indexer(pd.Index(other_names))
    swapped = index.get_indexer(pd.Index(_text(wanted.rename(columns={"ref": "alt", "alt": "ref"}))))
    unfound = (found < 0) & (swapped >= 0)
    substitution = (wanted["ref"].str.len() == wanted["alt"].str.len()).to_numpy()
    flipped = unfound & substitution
    at = np.where(flipped, swapped, found)
    row = np.where(at >= 0, rows[at], -1)
    repeated = np.isin(names.to_numpy()[row[row >= 0]], names[~known].to_numpy()).sum()
    if len(variants) and (row < 0).all():
        raise TableError(_nothing(table, theirs, ours))
    return Joined(row, flipped, int((unfound & ~substitution).sum()), int(repeated))


def turns(statistic: str, flipped: np.ndarray) -> np.ndarray:
    """What scores are multiplied by, so that they are those of the variants' own ALT: float32, -1 or 1.

    Args:
        statistic: such as SAD, whose sign turns with the alleles, or JS, which stays.
        flipped: bool, as of `Joined`.

    Raises:
        TableError: the statistic is of one allele alone, and some are flipped.
    """
    if flipped.any() and statistic.removesuffix(QUANTILE).partition("@")[0] in ("REF", "ALT"):
        raise TableError(
            f"{flipped.sum():,} variants have REF and ALT exchanged in the scores, where {statistic} is of the other "
            "allele: choose a statistic of their difference, such as SAD"
        )
    return np.where(flipped & is_signed(statistic), -1, 1).astype(np.float32)


def _text(keys: pd.DataFrame) -> pd.Series:
    text = keys["chrom"] + ":" + keys["start"].astype(str) + ":" + keys["ref"] + ":" + keys["alt"]
    return text + ":" + keys["gene"] if "gene" in keys else text


def _nothing(table: ScoreTable, theirs: pd.DataFrame, ours: pd.DataFrame) -> str:
    def example(frame: pd.DataFrame) -> str:
        return " ".join(str(frame[name].iloc[0]) for name in ("chrom", "pos", "ref", "alt")) if len(frame) else "none"

    return (
        f"none of the {len(ours):,} variants is in {table.place}: it has {example(theirs)}, and they are such as "
        f"{example(ours)}; are they of the same genome build, and were they scored?"
    )


def take_scores(table: ScoreTable, columns: Sequence[ScoreColumn], rows: np.ndarray) -> np.ndarray:
    """Some rows of a table, in bounded memory beside the result.

    Args:
        table: of scores.
        columns: of it.
        rows: int [n], 0-based, in any order, repeated or not.

    Returns:
        float32 [n, columns].
    """
    wanted, back = np.unique(rows, return_inverse=True)
    taken = np.empty((len(wanted), len(columns)), np.float32)
    passed = 0
    for alleles, scores in table.batches(columns):
        first, last = np.searchsorted(wanted, [passed, passed + len(alleles)])
        taken[first:last] = scores[wanted[first:last] - passed]
        passed += len(alleles)
    return taken if len(rows) == len(wanted) and (np.diff(rows) > 0).all() else taken[back]
