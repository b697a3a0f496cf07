"""PLINK's .bim: the SNPs of a reference panel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from varscore.errors import TableError
from varscore.genome.contigs import canonical_name

COLUMNS = ("CHR", "SNP", "CM", "BP", "A1", "A2")
PLACEHOLDER = "@"
"""Stands for the chromosome in a name of several files, as LDSC has it."""

_PLINK_NUMBERS = {"X": "23", "Y": "24", "XY": "25", "MT": "26"}


def plink_chromosome(name: str) -> str:
    """A contig's name as PLINK numbers it: 22 of chr22, 23 of chrX."""
    bare = canonical_name(name)
    return _PLINK_NUMBERS.get(bare, bare)


def read_bims(name: str | os.PathLike[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The chromosomes of a .bim, or of all files of a name in which `@` stands for the chromosome.

    Yields:
        The chromosome as PLINK numbers it, and its rows in the file's order: CHR, SNP, CM as
            text, BP (1-based), A1, A2.

    Raises:
        TableError: there is no such file, a line is not one of a .bim, or a chromosome is in two files or in two
            stretches of one.
    """
    files, seen = _files(os.fspath(name)), dict[str, Path]()
    for file in files:
        rows = _read(file)
        chroms = rows["CHR"].to_numpy()
        ends = [0, *(np.flatnonzero(chroms[1:] != chroms[:-1]) + 1), len(rows)]
        for start, end in pairwise(ends):
            chrom = plink_chromosome(str(chroms[start]))
            if chrom in seen:
                where = f"in {seen[chrom]} and {file}" if seen[chrom] != file else f"in two places of {file}"
                raise TableError(f"chromosome {chrom} is {where}: give each chromosome once, in one stretch")
            seen[chrom] = file
            yield chrom, rows.iloc[start:end].reset_index(drop=True)


def _files(name: str) -> list[Path]:
    folder, base = os.path.split(name)
    if PLACEHOLDER not in base:
        return [Path(name)]
    before, _, after = base.partition(PLACEHOLDER)
    pattern = re.compile(re.escape(before) + r"(?:chr)?(\d+|[A-Z]+)" + re.escape(after))
    there = sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []
    found = {match[1]: path for path in there if (match := pattern.fullmatch(path.name))}
    if not found:
        raise TableError(f"{name}: no such files; {PLACEHOLDER} stands for the chromosome, as in panel.@.bim")
    return [found[chrom] for chrom in sorted(found, key=lambda chrom: (len(chrom), chrom))]


def _read(path: Path) -> pd.DataFrame:
    expected = "expected six columns, as in a PLINK .bim: chromosome, SNP, cM, position, A1, A2"
    try:
        # 3: a quotation mark is a letter like any other
        rows = pd.read_csv(path, sep=r"\s+", header=None, dtype=str, keep_default_na=False, quoting=3)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise TableError(f"{path}: cannot be read as a .bim: {reason}; {expected}") from error
    if rows.shape[1] != len(COLUMNS):
        raise TableError(f"{path}: has {rows.shape[1]} columns; {expected}")
    if (short := rows.to_numpy()[:, -1] == "").any():
        raise TableError(f"{path}, line {short.argmax() + 1}: has fewer columns than line 1; {expected}")
    rows.columns = COLUMNS
    wrong = ~rows["BP"].str.fullmatch(r"\d{1,9}")
    if wrong.any():
        line = int(wrong.to_numpy().argmax())
        raise TableError(f"{path}, line {line + 1}: position {rows['BP'][line]!r} is not a number")
    rows["BP"] = rows["BP"].astype("int64")
    return rows
