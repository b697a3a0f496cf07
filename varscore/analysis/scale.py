"""One scale for the scores of different tracks: their standard deviations over a table, of indels apart.

Indels move everything right of them against the bins, and so have larger scores: with one scale for all, they would be
most of what stands out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from varscore.store.table import ScoreColumn, ScoreTable

BLOCK_ROWS = 64
"""Rows that are worked on at a time, so that they stay in the processor's cache."""


def kinds(alleles: pd.DataFrame) -> np.ndarray:
    """Of rows, 0 for alleles as long as REF and 1 for indels: int [rows]."""
    return (alleles["ref"].str.len() != alleles["alt"].str.len()).to_numpy(bool).astype(int)


@dataclass(frozen=True, eq=False)
class Spread:
    """How the scores of a table's columns are spread, of each kind of `kinds`, all [2, columns].

    deviations: standard deviations (n − 1), float32; where fewer than two alleles of a kind have a score, those of the
    other kind; NaN where there are none, or all scores are the same. counts: of scores. largest: in size; 0 without a
    score.
    """

    deviations: np.ndarray
    counts: np.ndarray
    largest: np.ndarray


def measure(table: ScoreTable, columns: Sequence[ScoreColumn]) -> Spread:
    """In one pass over the table, in bounded memory."""
    sums = _Sums(len(columns)), _Sums(len(columns))
    for alleles, values in table.batches(columns):
        kind = kinds(alleles)
        for i, some in enumerate(sums):
            these = values[kind == i]
            for first in range(0, len(these), BLOCK_ROWS):
                some.add(these[first : first + BLOCK_ROWS].astype(np.float64))
    counts = np.array([some.count for some in sums])
    deviations = np.array([some.deviation() for some in sums], np.float32)
    deviations = np.where(counts < 2, deviations[::-1], deviations)
    return Spread(deviations, counts, np.array([some.largest for some in sums]))


class _Sums:
    """Counts, means, squared distances from them, and largest sizes, by column; NaN is passed over."""

    def __init__(self, columns: int) -> None:
        self.count, self._mean, self._squares, self.largest = (np.zeros(columns) for _ in range(4))

    def add(self, values: np.ndarray) -> None:
        """Some more rows, joined as Chan, Golub & LeVeque (1983) do: no large sums are subtracted."""
        there = ~np.isnan(values)
        filled = np.where(there, values, 0)
        new = there.sum(axis=0)
        mean = filled.sum(axis=0) / np.maximum(new, 1)
        total = np.maximum(self.count + new, 1)
        shift = mean - self._mean
        self._squares += (np.where(there, values - mean, 0) ** 2).sum(axis=0) + shift**2 * self.count * new / total
        self._mean += shift * new / total
        self.count += new
        self.largest = np.maximum(self.largest, np.abs(filled).max(axis=0, initial=0))

    def deviation(self) -> np.ndarray:
        """Standard deviations (n − 1); NaN of fewer than two values, and where they are all the same."""
        # what float32 cannot tell from the mean is rounding
        varies = self._squares > self.count * (np.finfo(np.float32).eps * self._mean) ** 2
        squares = np.where((self.count > 1) & varies, self._squares, np.nan)
        return np.sqrt(squares / np.maximum(self.count - 1, 1))
