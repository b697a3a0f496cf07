"""Reading what a massively parallel reporter assay measured: one row per allele of an element.

Three kinds of table read alike, because columns are known by their names:

- Kircher et al., Nat Commun 10, 3583 (2019), all elements on both genome builds in one file:
  `Chrom Pos Ref Alt Barcodes DNA RNA Coefficient pValue Element Release`
- the CAGI5 "regulation saturation" challenge, a file for each element (`challenge_F9.tsv`, `release_F9.tsv`), with
  lines of text before the header: `#Chrom Pos Ref Alt Value Confidence`
- plain ones: chrom, pos, ref, alt, effect and, as the table has them, confidence, element and others of `ALIASES`
"""

# pandas' annotations cannot tell a column from a table
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false

from __future__ import annotations

import csv
import difflib
import gzip
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from varscore.errors import TableError
from varscore.genome.contigs import canonical_name

ALIASES: dict[str, tuple[str, ...]] = {
    "chrom": ("chrom", "chr", "chromosome"),
    "pos": ("pos", "position"),
    "ref": ("ref", "reference"),
    "alt": ("alt", "alternative", "alternate"),
    "effect": ("effect", "coefficient", "value", "log2fc", "log2foldchange", "effect_size"),
    "barcodes": ("barcodes", "tags"),
    "p_value": ("p_value", "pvalue", "p-value", "p"),
    "confidence": ("confidence",),
    "element": ("element", "target", "regulatory_element"),
    "build": ("release", "build", "assembly"),
}
"""What each column may be called, without regard to case."""

NEEDED = ("chrom", "pos", "ref", "alt", "effect")
NUMBERS = ("barcodes", "p_value", "confidence")
MISSING = {"", "na", "nan", ".", "null", "none"}
BUILDS = {"hg19": "GRCh37", "b37": "GRCh37", "grch37": "GRCh37", "hg38": "GRCh38", "b38": "GRCh38", "grch38": "GRCh38"}
HEADER_WITHIN = 50
"""The header is one of so many first lines."""


@dataclass(frozen=True)
class MpraTable:
    """What was measured.

    rows: a row per allele, in the files' order: element; build ("" where the table has none); chrom (without `chr`);
        pos (1-based, of the first base of ref); ref; alt ("-" where ref is deleted); effect (as measured; log2 of ALT
        over REF in Kircher et al.); and barcodes, p_value and confidence, NaN where there is no such column.
    unplaced: element and build of rows that have no position or no effect, which are left out of `rows`.
    """

    rows: pd.DataFrame
    unplaced: pd.DataFrame

    def of_build(self, build: str | None) -> MpraTable:
        """The rows of one genome build: GRCh37 or hg19, GRCh38 or hg38, or whatever the table calls it; None: the only.

        Raises:
            TableError: there are several and none is named, or there is no such build.
        """
        builds = list(self.rows["build"].unique())
        if build is None:
            if len(builds) > 1:
                raise TableError(f"the table has positions on {' and '.join(builds)}: choose one with --build")
            return self
        if name_build(build) not in builds:
            there = "names no build; leave out --build" if builds == [""] else f"has {', '.join(builds)}"
            raise TableError(f"no rows of build {name_build(build)}: the table {there}")
        return self._where("build", [name_build(build)])

    def of_elements(self, elements: Sequence[str]) -> MpraTable:
        """The rows of these elements. Raises TableError if there is none of that name."""
        known = list(self.rows["element"].unique())
        for element in elements:
            if element not in known:
                near = difflib.get_close_matches(element, known, n=3, cutoff=0.4)
                hint = f"did you mean {' or '.join(near)}? " if near else ""
                raise TableError(f"no element {element!r}: {hint}the table has {', '.join(known)}")
        return self._where("element", elements)

    def _where(self, column: str, values: Sequence[str]) -> MpraTable:
        kept = (frame[frame[column].isin(values)].reset_index(drop=True) for frame in (self.rows, self.unplaced))
        return MpraTable(*kept)


def name_build(build: str) -> str:
    """GRCh37 or GRCh38 for the names these have; any other as it is."""
    return BUILDS.get(build.lower(), build)


def read_mpra(paths: Sequence[str | os.PathLike[str]], columns: Mapping[str, str] | None = None) -> MpraTable:
    """Read tables: tab- or comma-separated or by spaces, gzipped or not.

    Where a table has no column for the element, it is the file's name without its endings and without the
    `challenge_` or `release_` of CAGI5.

    Args:
        paths: one table or several, which are joined.
        columns: what columns are called that are not called one of `ALIASES`, by the keys of `ALIASES`.

    Raises:
        TableError: a file cannot be read, has no header with the columns needed, or a row is wrong (the message names
            its line); an allele is there twice in one element; two rows disagree on a position's REF.
    """
    parts = [_read_one(Path(path), columns or {}) for path in paths]
    rows = pd.concat([rows for rows, _ in parts], ignore_index=True)
    unplaced = pd.concat([unplaced for _, unplaced in parts], ignore_index=True)
    if rows.empty:
        raise TableError(f"{', '.join(map(str, paths))}: no row has a position and an effect")
    _check_once(rows)
    return MpraTable(rows, unplaced)


def filter_rows(
    rows: pd.DataFrame,
    *,
    min_barcodes: float | None = None,
    max_p: float | None = None,
    min_confidence: float | None = None,
    indels: bool = False,
) -> pd.DataFrame:
    """The rows that were measured well enough, with deletions and other alleles that are no SNVs only if asked for.

    Raises:
        TableError: the table has no column for what is asked, or no row is left.
    """
    snv = rows["ref"].str.fullmatch("[ACGT]") & rows["alt"].str.fullmatch("[ACGT]")
    kept = np.ones(len(rows), bool) if indels else snv.to_numpy(bool)
    conditions = {"barcodes": min_barcodes, "p_value": max_p, "confidence": min_confidence}
    for column, limit in conditions.items():
        if limit is None:
            continue
        if rows[column].isna().all():
            raise TableError(f"the table has no column {column} to filter by; it may be called {_names(column)}")
        values = rows[column].to_numpy()
        kept = kept & (values <= limit if column == "p_value" else values >= limit)
    if not kept.any():
        asked = ", ".join(f"{column} {limit:g}" for column, limit in conditions.items() if limit is not None)
        raise TableError(f"none of {len(rows):,} alleles is left{f' with {asked}' if asked else ': no SNV is there'}")
    return rows[kept].reset_index(drop=True)


def count_elements(table: MpraTable, min_barcodes: float = 10) -> pd.DataFrame:
    """A row for each element and build.

    element, build, chrom, start and end (1-based, both ends in), positions, missing (positions between the ends that
    no row has), snvs, deletions, few_barcodes (SNVs and deletions with fewer than `min_barcodes`; 0 where the table
    has no barcodes) and unplaced (rows left out).
    """
    lost = table.unplaced.groupby(["element", "build"]).size()
    counted = []
    for key, of_element in table.rows.groupby(["element", "build"], sort=False):
        element, build = key
        first, last = int(of_element["pos"].min()), int((of_element["pos"] + of_element["ref"].str.len() - 1).max())
        positions = len(set(_covered(of_element)))
        is_snv = (of_element["ref"].str.len() == 1) & of_element["alt"].str.fullmatch("[ACGT]")
        counted.append(
            {
                "element": element,
                "build": build,
                "chrom": of_element["chrom"].iloc[0],
                "start": first,
                "end": last,
                "positions": positions,
                "missing": last - first + 1 - positions,
                "snvs": int(is_snv.sum()),
                "deletions": int((of_element["alt"] == "-").sum()),
                "few_barcodes": int((of_element["barcodes"] < min_barcodes).sum()),
                "unplaced": int(lost.get((element, build), 0)),
            }
        )
    return pd.DataFrame(counted).sort_values(["build", "element"], ignore_index=True)


def _covered(rows: pd.DataFrame) -> Iterator[int]:
    for pos, ref in zip(rows["pos"], rows["ref"], strict=True):
        yield from range(pos, pos + len(ref))


def _read_one(path: Path, columns: Mapping[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    lines = _read_lines(path)
    at, header, split = _find_header(path, lines, columns)
    cells: list[list[str]] = []
    numbers: list[int] = []
    for number, line in enumerate(lines[at + 1 :], start=at + 2):
        if not line.strip() or line.startswith("#"):
            continue
        row = split(line)
        if len(row) != header.width:
            raise TableError(f"{path}, line {number}: {len(row)} columns, expected {header.width} as in the header")
        cells.append([row[i].strip() for i in header.places.values()])
        numbers.append(number)
    frame = pd.DataFrame(cells, columns=list(header.places), dtype=str)
    if "element" not in frame:
        frame["element"] = _element_of(path)
    frame["build"] = frame["build"].map(name_build) if "build" in frame else ""
    lacking = frame[["pos", "effect"]].apply(lambda column: column.str.lower().isin(MISSING)).any(axis=1)
    unplaced = frame.loc[lacking, ["element", "build"]]
    frame = frame[~lacking].reset_index(drop=True)
    where = _Where(path, np.array(numbers)[~lacking.to_numpy()] if len(numbers) else np.array([], int))
    rows = pd.DataFrame({"element": frame["element"], "build": frame["build"]})
    rows["chrom"] = frame["chrom"].map(canonical_name)
    rows["pos"] = _positions(frame["pos"], where)
    for column in ("ref", "alt"):
        rows[column] = frame[column].str.upper()
    _check_alleles(rows, where)
    rows["effect"] = _floats(frame["effect"], where, "effect", needed=True)
    for column in NUMBERS:
        rows[column] = _floats(frame[column], where, column) if column in frame else np.nan
    return rows, unplaced


def _read_lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise TableError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TableError(f"{path}: cannot be read as a table ({reason}); is it whole?") from error
    return text.splitlines()


class _Split:
    """Cuts a line into cells as the header is cut: at tabs, else at commas, else at spaces."""

    def __init__(self, header: str) -> None:
        self._separator = next((mark for mark in "\t," if mark in header), None)

    def __call__(self, line: str) -> list[str]:
        if self._separator is None:
            return line.split()
        return next(csv.reader([line], delimiter=self._separator))


@dataclass(frozen=True)
class _Header:
    """places: column to its place in a line. width: cells in a line."""

    places: dict[str, int]
    width: int


def _find_header(path: Path, lines: list[str], columns: Mapping[str, str]) -> tuple[int, _Header, _Split]:
    """The header's 0-based line, and how to read the others."""
    best: list[str] = []
    for at, line in enumerate(lines[:HEADER_WITHIN]):
        split = _Split(line)
        names = [name.strip().lower() for name in split(line.lstrip("#"))]
        places: dict[str, int] = {}
        for column, aliases in ALIASES.items():
            wanted = (columns[column].lower(),) if column in columns else aliases
            found = [name for name in wanted if name in names]
            if found:
                places[column] = names.index(found[0])
        if all(column in places for column in NEEDED):
            _check_named(path, columns, names)
            return at, _Header(places, len(names)), split
        if not best and len(names) > 1:
            best = names
    missing = [f"{column} ({_names(column)})" for column in NEEDED if columns.get(column, "").lower() not in best
               and not set(ALIASES[column]) & set(best)]  # fmt: skip
    raise TableError(
        f"{path}: no header with the columns {', '.join(NEEDED)} in the first {HEADER_WITHIN} lines"
        + (f": there are {', '.join(best)}; missing: {'; '.join(missing)}" if best else "; is it a table?")
    )


def _check_named(path: Path, columns: Mapping[str, str], names: list[str]) -> None:
    for column, name in columns.items():
        if name.lower() not in names:
            raise TableError(f"{path}: no column {name!r}, named for {column}; there are {', '.join(names)}")


def _names(column: str) -> str:
    return " or ".join(ALIASES[column])


def _element_of(path: Path) -> str:
    name = path.name
    for ending in (".gz", ".tsv", ".csv", ".txt", ".bed"):
        name = name.removesuffix(ending)
    return name.removeprefix("challenge_").removeprefix("release_")


@dataclass(frozen=True)
class _Where:
    """Says which line of a file is wrong. lines: [rows] 1-based."""

    path: Path
    lines: np.ndarray

    def refuse(self, wrong: np.ndarray, values: pd.Series, what: str) -> None:
        """Raise TableError if any row is wrong, naming the first."""
        if wrong.any():
            first = int(np.argmax(wrong))
            more = f" (and {wrong.sum() - 1:,} more rows)" if wrong.sum() > 1 else ""
            raise TableError(f"{self.path}, line {self.lines[first]}: {values.iloc[first]!r} is no {what}{more}")


def _positions(text: pd.Series, where: _Where) -> pd.Series:
    good = text.str.fullmatch(r"[1-9]\d{0,9}").to_numpy(bool)
    where.refuse(~good, text, "position: expected a whole number from 1 on")
    return text.astype(np.int64)


def _check_alleles(rows: pd.DataFrame, where: _Where) -> None:
    for column, pattern, expected in (
        ("ref", "[ACGT]+", "REF: expected the letters A, C, G, T"),
        ("alt", "[ACGT]+|-", "ALT: expected the letters A, C, G, T, or - for a deletion"),
    ):
        where.refuse(~rows[column].str.fullmatch(pattern).to_numpy(bool), rows[column], expected)
    same = (rows["ref"] == rows["alt"]).to_numpy()
    where.refuse(same, rows["alt"], "ALT: REF is the same")


def _floats(text: pd.Series, where: _Where, column: str, *, needed: bool = False) -> np.ndarray:
    values = pd.to_numeric(text, errors="coerce").to_numpy(float)
    missing = np.zeros(len(text), bool) if needed else text.str.lower().isin(MISSING).to_numpy()
    where.refuse(~missing & ~np.isfinite(values), text, f"number, in column {column}")
    return values


def _check_once(rows: pd.DataFrame) -> None:
    site = ["build", "chrom", "pos"]
    twice = rows.duplicated(["element", *site, "ref", "alt"])
    if twice.any():
        row = rows[twice].iloc[0]
        raise TableError(
            f"{row['element']}: {row['chrom']}:{row['pos']} {row['ref']}>{row['alt']} is there twice ({twice.sum():,} "
            "alleles are); average replicates first, or give each its own element"
        )
    single = rows[rows["ref"].str.len() == 1]
    several = single.groupby(site)["ref"].nunique()
    if (several > 1).any():
        build, chrom, pos = several.index[several > 1][0]
        refs = single[(single["build"] == build) & (single["chrom"] == chrom) & (single["pos"] == pos)]
        said = ", ".join(f"{ref} in {element}" for element, ref in zip(refs["element"], refs["ref"], strict=True))
        raise TableError(f"{chrom}:{pos}: rows disagree on REF ({said}); are they of the same genome build?")
