"""Finding the SNPs of a reference panel among scored alleles, whatever the order and strand of their alleles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
import pandas as pd

from varscore.errors import TableError
from varscore.genome.bim import plink_chromosome
from varscore.genome.variant import Status
from varscore.store.table import ScoreTable

Match = Literal["either", "id", "position"]

BASES = "ACGT"
_CODES = {letter: code for code, base in enumerate(BASES) for letter in (base, base.lower())}
_FOLD = np.full((4, 4), -1, np.int8)
"""Of two bases' codes: 0 where they are A and C, or G and T, which are that on the other strand; 1 of A and G, C and T;
-1 where the strand cannot be told. An SNV that is swapped, on the other strand or both has the same number."""
for _one, _two, _kind in ((0, 1, 0), (2, 3, 0), (0, 2, 1), (1, 3, 1)):
    _FOLD[_one, _two] = _FOLD[_two, _one] = _kind


class Fate(StrEnum):
    """What becomes of a SNP of the panel, and why. All but the first have the value 0."""

    explanation: str

    def __new__(cls, value: str, explanation: str) -> Fate:
        """Make the member `value` with its explanation."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.explanation = explanation
        return member

    MATCHED = "matched", "with the scores of their allele"
    MISSING = "missing", "not in the scores"
    NOT_SCORED = "not scored", "in the table, with a status that says why"
    ALLELES_DIFFER = "alleles differ", "there are others of this name or position"
    AMBIGUOUS = "ambiguous", "A/T or C/G, which are the same swapped as on the other strand"
    NOT_SNV = "not an SNV", "an indel, or an allele that is not known"


FATES = list(Fate)


@dataclass(frozen=True)
class Counts:
    """Of one chromosome. SNPs of the panel by fate; of those matched, how many are swapped, and so on.

    swapped: the panel's A1 is REF. other_strand: the panel has the complements. by_position: found so, not by name.
    moved: found by name, but at another position. repeated: SNPs of the panel, of any fate, whose name another has too.
    """

    fates: dict[Fate, int]
    swapped: int
    other_strand: int
    by_position: int
    moved: int
    repeated: int

    @property
    def snps(self) -> int:
        """All of the panel."""
        return sum(self.fates.values())


class Alleles:
    """A score table's SNVs, to find SNPs among.

    Of those whose strand can be told, the first that fits is found, one that is scored before one that is not.

    Args:
        table: with a row for each allele.

    Attributes:
        chroms: the codes of its chromosomes, as PLINK numbers these.
        row, place, ref, alt, scored: of each SNV [SNVs]: its row in the table, and what is there; bases as codes.
        repeated: how many more rows there are of the same SNVs.

    Raises:
        TableError: the table is empty.
    """

    def __init__(self, table: ScoreTable) -> None:
        self.chroms: dict[str, int] = {}
        parts = [self._part(rows) for rows, _ in table.batches([])]
        if not parts:
            raise TableError(f"{table.place} has no alleles")
        place, names, ref, alt, scored = (np.concatenate(some) for some in zip(*parts, strict=True))
        kinds = _kinds(ref, alt)
        rows = np.flatnonzero(kinds >= 0)
        rows = rows[np.argsort(~scored[rows], kind="stable")]
        self.repeated = int(pd.MultiIndex.from_arrays([place[rows], ref[rows], alt[rows]]).duplicated().sum())
        # the same SNV under another name is kept, to be found by that name too
        self.row = rows
        self.place, self.ref, self.alt, self.scored = place[rows], ref[rows], alt[rows], scored[rows]
        kinds = kinds[rows]
        self._any_place = pd.Index(place).unique()
        self._any_name = pd.Index(_split(names)[0]).unique()
        self._by_place = _first_of(self.place * 2 + kinds, np.arange(len(rows)))
        split, of = _split(names[rows])
        self._by_name = [_first_of(split[kinds[of] == kind], of[kinds[of] == kind]) for kind in (0, 1)]

    def _part(self, rows: pd.DataFrame) -> tuple[np.ndarray, ...]:
        numbers = [self.chroms.setdefault(plink_chromosome(name), len(self.chroms)) for name in rows["chrom"].tolist()]
        return (
            places_of(np.array(numbers), rows["pos"].to_numpy()),
            rows["id"].to_numpy(dtype=object, na_value=None),
            _base_codes(rows["ref"].to_numpy()),
            _base_codes(rows["alt"].to_numpy()),
            rows["status"].to_numpy() == Status.SCORED.value,
        )

    def by_name(self, names: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """[SNPs]: which SNV has this name and kind, -1 where none has."""
        found = np.full(len(names), -1)
        for kind, known in enumerate(self._by_name):
            found[kinds == kind] = known.reindex(names[kinds == kind], fill_value=-1)
        return found

    def by_place(self, places: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """[SNPs]: which SNV has this position and kind. With one REF there is but one ALT of each kind."""
        return np.where(kinds >= 0, self._by_place.reindex(places * 2 + kinds, fill_value=-1), -1)

    def has_name(self, names: np.ndarray) -> np.ndarray:
        """[SNPs]: whether any allele is called so."""
        return np.asarray(pd.Series(names).isin(self._any_name))

    def has_place(self, places: np.ndarray) -> np.ndarray:
        """[SNPs]: whether any allele is there."""
        return np.asarray(pd.Series(places).isin(self._any_place))


def places_of(chroms: np.ndarray | int, positions: np.ndarray) -> np.ndarray:
    """[alleles] int64 of chromosome codes and positions, one for each place."""
    return np.asarray(chroms, np.int64) << 32 | positions.astype(np.int64)


def _split(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The single names in IDs such as rs1;rs2, and the row of each."""
    rows = [(name, row) for row, text in enumerate(ids) if text is not None for name in text.split(";")]
    return np.array([name for name, _ in rows], dtype=object), np.array([row for _, row in rows], dtype=np.int64)


def _first_of(keys: np.ndarray, values: np.ndarray) -> pd.Series:
    """The first value of each key."""
    first = ~pd.Index(keys).duplicated()
    return pd.Series(values[first], index=pd.Index(keys[first]))


def _base_codes(alleles: np.ndarray) -> np.ndarray:
    """[alleles] 0 to 3 for A, C, G, T in either case, -1 for anything else, longer alleles too."""
    return pd.Series(alleles).map(_CODES).fillna(-1).to_numpy().astype(np.int8)


def _kinds(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.where((one >= 0) & (two >= 0), _FOLD[one, two], -1).astype(np.int8)


class Panel:
    """A chromosome of the panel, and what of the table belongs to it.

    Args:
        chrom: as PLINK numbers it; one of those of `alleles`.
        rows: of the .bim.
        alleles: of the table.
        match: how to find SNPs.

    Attributes:
        rows: with ALT as A1 and REF as A2 where matched.
        snps: the matched rows, rising.
        table_rows: the rows of the table that they get.
        counts: what became of all of them.
    """

    def __init__(self, chrom: str, rows: pd.DataFrame, alleles: Alleles, match: Match) -> None:
        self.chrom = chrom
        one, two = _base_codes(rows["A1"].to_numpy()), _base_codes(rows["A2"].to_numpy())
        kinds = _kinds(one, two)
        is_snv = (one >= 0) & (two >= 0) & (one != two)
        places = places_of(alleles.chroms[chrom], rows["BP"].to_numpy())
        names = rows["SNP"].to_numpy(dtype=object)
        at, known = np.full(len(rows), -1), np.zeros(len(rows), bool)
        if match != "position":
            at, known = alleles.by_name(names, kinds), alleles.has_name(names)
        by_name = at >= 0
        if match != "id":
            at = np.where(by_name, at, alleles.by_place(places, kinds))
            known = known | alleles.has_place(places)
        scored = np.append(alleles.scored, False)[at]
        fate = np.select(
            [~is_snv, kinds < 0, scored, at >= 0, known],
            [
                FATES.index(f)
                for f in (Fate.NOT_SNV, Fate.AMBIGUOUS, Fate.MATCHED, Fate.NOT_SCORED, Fate.ALLELES_DIFFER)
            ],
            FATES.index(Fate.MISSING),
        )
        self.snps = np.flatnonzero(scored)
        at, one, two = at[self.snps], one[self.snps], two[self.snps]
        self.table_rows, ref, alt = alleles.row[at], alleles.ref[at], alleles.alt[at]
        same_strand = ((one == ref) & (two == alt)) | ((one == alt) & (two == ref))
        self.rows = rows.assign(
            A1=_replaced(rows["A1"].to_numpy(), self.snps, alt), A2=_replaced(rows["A2"].to_numpy(), self.snps, ref)
        )
        of_fate = np.bincount(fate, minlength=len(FATES)).tolist()
        self.counts = Counts(
            dict(zip(FATES, of_fate, strict=True)),
            # the code of the complement is 3 minus a base's
            swapped=int(np.where(same_strand, one == ref, one == 3 - ref).sum()),
            other_strand=int((~same_strand).sum()),
            by_position=int((~by_name[self.snps]).sum()),
            moved=int((by_name[self.snps] & (alleles.place[at] != places[self.snps])).sum()),
            repeated=int(pd.Index(names).duplicated(keep=False).sum()),
        )


def _replaced(alleles: np.ndarray, rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    values = alleles.astype(object)
    values[rows] = np.array(list(BASES), dtype=object)[codes]
    return values
