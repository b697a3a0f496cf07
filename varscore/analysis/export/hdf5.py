"""Score tables as basenji's sad.h5, for the scripts that read it.

The arrays are those that Enformer's README lists of its published scores (deepmind-research, enformer/README.md), and
those that basenji_sad.py adds: percentiles, and the names that its later versions give to alleles.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from varscore.analysis.export.output import check_has_alleles, check_output, select_statistics
from varscore.errors import TableError, needs
from varscore.store.folder import os_errors, whole_file
from varscore.store.table import BATCH_BYTES, ScoreColumn, ScoreTable

ENDINGS = (".h5", ".hdf5")
TEXTS = {"snp": "id", "chr": "chrom", "ref": "ref", "alt": "alt"}
"""Array of text to column of the table."""
PERCENTILES = np.concatenate([np.arange(0.001, 0.1, 0.001), np.arange(0.1, 0.9, 0.01), np.arange(0.9, 1, 0.001)])
"""At which basenji_sad.py gives the distribution of a track's scores, as fractions."""


def export_hdf5(
    table: ScoreTable,
    output: str | os.PathLike[str],
    *,
    tracks: Sequence[str] | None = None,
    statistics: Sequence[str] | None = None,
    single: bool = False,
    overwrite: bool = False,
) -> int:
    """Write the alleles that have scores, in the table's order, in the layout of basenji's sad.h5.

    - snp, chr, ref, alt: fixed-length bytes [alleles]; `.` for an allele without id. ref_allele and alt_allele are the
      same arrays, as later versions of basenji_sad.py call them.
    - pos: uint32 [alleles], 1-based.
    - target_ids, target_labels: fixed-length bytes [tracks].
    - for each statistic, by its name: float16 [alleles, tracks]. What is too large for it becomes its largest number,
      65,504.
    - percentiles: float64 [279], fractions; for each statistic, STATISTIC_pct: float16 [tracks, 279], the values there.

    Args:
        table: of alleles.
        output: `.h5` or `.hdf5`.
        tracks: selectors as of `ScoreTable.select`; None: all.
        statistics: by default all that the table has.
        single: scores in float32, which keeps their digits and is twice the size.
        overwrite: replace an existing file.

    Returns:
        How many alleles were written.

    Raises:
        ExtraError: h5py is not installed.
        OutputError: the output has another ending, exists already or cannot be written.
        TableError: no such statistic, no allele has scores, or the table is of genes.
        TrackError: a selector matches no track.
    """
    with needs("analysis", "varscore export hdf5"):
        import h5py
    path = check_output(output, ENDINGS, overwrite=overwrite)
    check_has_alleles(table, "basenji's layout")
    chosen = select_statistics(table, tracks, statistics or table.statistics)
    columns = [column for of_one in chosen.values() for column in of_one]
    dtype = np.dtype(np.float32 if single else np.float16)
    count, widths = _survey(table)
    if not count:
        raise TableError(f"{table.place}: no allele has scores, so there is nothing to write")
    targets = [column.track for column in next(iter(chosen.values()))]
    with whole_file(path) as file, os_errors(path), h5py.File(file.name, "w") as out:
        # compressed, since one long allele makes all of them as long
        arrays = {name: out.create_dataset(name, (count,), f"S{widths[name]}", compression="gzip") for name in TEXTS}
        arrays["pos"] = out.create_dataset("pos", (count,), np.uint32)
        out["ref_allele"], out["alt_allele"] = out["ref"], out["alt"]
        out["target_ids"] = np.array([track.identifier.encode() for track in targets], "S")
        out["target_labels"] = np.array([track.description.encode() for track in targets], "S")
        for statistic in chosen:
            arrays[statistic] = out.create_dataset(statistic, (count, len(targets)), dtype)
        first = 0
        for alleles, scores in table.batches(columns):
            kept = alleles["status"] == "scored"
            alleles, scores = alleles.loc[kept], _rounded(scores[kept], dtype)
            last = first + len(alleles)
            for name, text in _texts(alleles).items():
                arrays[name][first:last] = text
            arrays["pos"][first:last] = alleles["pos"]
            for i, statistic in enumerate(chosen):
                arrays[statistic][first:last] = scores[:, i * len(targets) : (i + 1) * len(targets)]
            first = last
        out["percentiles"] = PERCENTILES
        for statistic, of_one in chosen.items():
            out[f"{statistic}_pct"] = _percentiles(table, of_one, dtype)
    return count


def _texts(alleles: pd.DataFrame) -> dict[str, np.ndarray]:
    filled = alleles.fillna({"id": "."})
    return {name: np.array([text.encode() for text in filled[column]], "S") for name, column in TEXTS.items()}


def _survey(table: ScoreTable) -> tuple[int, dict[str, int]]:
    """How many alleles have scores, and how long the longest text of each array is, in bytes."""
    count, widths = 0, dict.fromkeys(TEXTS, 1)
    for alleles, _ in table.batches([]):
        scored = alleles.loc[alleles["status"] == "scored"]
        count += len(scored)
        for name, text in _texts(scored).items():
            widths[name] = max(widths[name], text.dtype.itemsize)
    return count, widths


def _rounded(scores: np.ndarray, dtype: np.dtype) -> np.ndarray:
    limits = np.finfo(dtype)
    return np.clip(scores, limits.min, limits.max).astype(dtype)


def _percentiles(table: ScoreTable, columns: Sequence[ScoreColumn], dtype: np.dtype) -> np.ndarray:
    """The values at PERCENTILES of each column's scores as they were written: [columns, percentiles]."""
    step = max(1, BATCH_BYTES // (8 * max(1, len(table))))
    values = []
    for first in range(0, len(columns), step):
        scores = _rounded(table.scores(columns[first : first + step]), dtype).astype(np.float64)
        values.append(np.nanpercentile(scores, 100 * PERCENTILES, axis=0).T)
    return np.concatenate(values).astype(dtype)
