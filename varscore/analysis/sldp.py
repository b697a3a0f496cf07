"""Signed annotations for SLDP regression: scores of alleles, laid out as the SNPs of a PLINK reference panel."""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from varscore.analysis.distribution import is_signed
from varscore.analysis.panel import Alleles, Counts, Match, Panel
from varscore.errors import OutputError, TableError
from varscore.genome.bim import read_bims
from varscore.store.folder import os_errors, whole_file
from varscore.store.provenance import describe_software
from varscore.store.table import BATCH_BYTES, ScoreColumn, ScoreTable

log = logging.getLogger("varscore")

MANY = 500
"""Annotations in a file beyond which sldp, which keeps their square for every LD block, has a hard time."""


@dataclass(frozen=True)
class Written:
    """The files of annotations by chromosome, and what became of the panel's SNPs.

    left_out: chromosomes of the panel of which the table has no allele. repeated_alleles: those that the table has
    more than once.
    """

    files: dict[str, str]
    counts: dict[str, Counts]
    left_out: list[str]
    repeated_alleles: int
    annotations: int


def write_annotations(
    scores: str | os.PathLike[str],
    bim: str | os.PathLike[str],
    prefix: str,
    *,
    tracks: Sequence[str] | None = None,
    statistic: str | None = None,
    match: Match = "either",
    overwrite: bool = False,
    command: str | None = None,
) -> Written:
    """Write a chromosome's scores to PREFIX22.sannot.gz, with one row for each SNP of the panel, in its order.

    The columns are CHR SNP CM BP as in the .bim, A1, A2, and one for each track. Of a SNP that is matched, A1 is ALT,
    A2 is REF, and the values are the table's, ALT − REF, with all the digits of a float32. A reader that holds the
    alleles against the panel's, as sldp does, turns the sign where those are swapped. Any other SNP keeps the panel's
    alleles, and has 0, which is what sldp itself gives a SNP that an annotation lacks.

    Alleles are compared regardless of their order and strand. So a SNP whose alleles are each other's complement (A/T,
    C/G) cannot be told from its swap, and is dropped, as sldp does too. Of an allele that the table has more than once,
    the first that is scored counts. PREFIXsannot.json says what the columns are, and counts.

    All files appear together, when all are written.

    Args:
        scores: a table of `varscore score`.
        bim: the panel, a .bim, or with `@` for the chromosome, one for each.
        prefix: what sldp calls --sannot-chr: a folder, or the beginning of the files' names.
        tracks: selectors; all where None.
        statistic: one with a sign; the table's first where None.
        match: find SNPs by name, by position, or by name and else by position.
        overwrite: replace existing files.
        command: the command line, for PREFIXsannot.json.

    Returns:
        What was written.

    Raises:
        TableError: a file is not what it should be, nothing matches, the statistic has no sign, or by their positions
            the panel and the scores are of different genome builds.
        TrackError: a selector matches no track.
        OutputError: a file is there already, or cannot be written.
    """
    table = ScoreTable(scores)
    if "status" not in table.row_columns:
        raise TableError(f"{table.place} is a table of genes: give the one with a row for each allele")
    columns = table.select(tracks, statistic)
    if not is_signed(columns[0].statistic):
        raise TableError(
            f"{columns[0].statistic} has no sign, which SLDP regression is about; choose another statistic"
        )
    names = _annotation_names(columns)
    if len(columns) > MANY:
        log.warning(
            "%s annotations: sldp keeps their square for every LD block; a run for some of the tracks each is lighter",
            f"{len(columns):,}",
        )
    prefix, folder = _checked_prefix(prefix)
    alleles = Alleles(table)
    panels, left_out = list[Panel](), list[str]()
    for chrom, rows in read_bims(bim):
        if chrom in alleles.chroms:
            panels.append(Panel(chrom, rows, alleles, match))
        else:
            left_out.append(chrom)
    _check_matches(panels, table.place, os.fspath(bim), match)
    files = {panel.chrom: f"{prefix}{panel.chrom}.sannot.gz" for panel in panels}
    described = f"{prefix}sannot.json"
    if not overwrite and (there := [name for name in (*files.values(), described) if Path(name).exists()]):
        raise OutputError(f"output {there[0]} exists already: choose another name, or replace it with --overwrite")

    counts = {panel.chrom: panel.counts for panel in panels}
    in_order = sorted(counts, key=lambda chrom: (len(chrom), chrom))
    written = Written(
        {chrom: files[chrom] for chrom in in_order}, {chrom: counts[chrom] for chrom in in_order},
        left_out, alleles.repeated, len(columns),
    )  # fmt: skip
    with os_errors(folder):
        folder.mkdir(exist_ok=True)
    with ExitStack() as outputs:
        sink = outputs.enter_context(whole_file(described))
        sink.write(json.dumps(_describe(table, columns, names, written, command), indent=1).encode())
        for panel, values in _gather(table, columns, panels, folder):
            _write(outputs.enter_context(whole_file(files[panel.chrom])), panel, values, names)
    return written


def _checked_prefix(prefix: str) -> tuple[str, Path]:
    """The prefix, with a slash at the end if it is a folder, and that folder, which need not be there yet.

    Raises:
        OutputError: nothing can be written there.
    """
    if Path(prefix).is_dir():
        prefix = prefix.rstrip("/") + "/"
    folder = Path(prefix + "x").parent
    there = folder.parent if prefix.endswith("/") and not folder.exists() else folder
    if not there.is_dir():
        raise OutputError(f"output {prefix} cannot be written: there is no folder {there}; make it first")
    if not os.access(there, os.W_OK):
        raise OutputError(f"output {prefix} cannot be written: the folder {there} is not writable for you")
    return prefix, folder


def _annotation_names(columns: Sequence[ScoreColumn]) -> list[str]:
    """The columns' names, without what sldp and gprim stumble over: spaces, and `.R`, which marks sldp's results."""
    names = [re.sub(r"\s+", "_", column.name).replace(".R", "_R") for column in columns]
    if len(set(names)) < len(names) or {"CHR", "SNP", "CM", "BP", "A1", "A2"} & set(names):
        raise TableError("the tracks' identifiers cannot name annotations: they are not unique without spaces and .R")
    return names


def _check_matches(panels: Sequence[Panel], table: str, bim: str, match: Match) -> None:
    """Raise TableError where nothing matches, or the builds differ."""
    total = sum(len(panel.snps) for panel in panels)
    snps = sum(panel.counts.snps for panel in panels)
    if not total:
        what = {"either": "name or position", "id": "name", "position": "position"}[match]
        raise TableError(
            f"none of the SNPs of {bim} on chromosomes of {table} ({snps:,}) is a scored SNV of it by {what}"
        )
    moved = sum(panel.counts.moved for panel in panels)
    by_name = total - sum(panel.counts.by_position for panel in panels)
    if match == "either" and moved > by_name / 2:
        raise TableError(
            f"{moved:,} of {by_name:,} SNPs that {bim} and {table} both name have different positions: these are two "
            "genome builds; compare names alone, with --match id"
        )
    if repeated := sum(panel.counts.repeated for panel in panels):
        log.warning(
            "%s SNPs of %s share their names: sldp joins tables by name, and goes wrong where the alleles are the same",
            f"{repeated:,}", bim,
        )  # fmt: skip


def _gather(
    table: ScoreTable, columns: Sequence[ScoreColumn], panels: Sequence[Panel], folder: Path
) -> Iterator[tuple[Panel, np.ndarray]]:
    """Each panel with its scores, float32 [matched SNPs, tracks].

    One pass over the table. What was read of a chromosome waits in a file without a name until it is whole.
    """
    order = {panel.chrom: np.argsort(panel.table_rows, kind="stable") for panel in panels}
    waiting, open_, start = list(panels), dict[str, np.ndarray](), 0
    for _, scores in table.batches(columns):
        end = start + len(scores)
        for panel in list(waiting):
            rows = panel.table_rows[order[panel.chrom]]
            first, after = np.searchsorted(rows, [start, end])
            if first < after:
                if panel.chrom not in open_:
                    open_[panel.chrom] = _scratch(folder, (len(rows), len(columns)))
                open_[panel.chrom][order[panel.chrom][first:after]] = scores[rows[first:after] - start]
            if after == len(rows):
                waiting.remove(panel)
                yield panel, open_.pop(panel.chrom, np.empty((0, len(columns)), np.float32))
        start = end


def _scratch(folder: Path, shape: tuple[int, int]) -> np.ndarray:
    with os_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
        # a disk that turns out to be full when a mapped page is written would end the process
        os.posix_fallocate(file.fileno(), 0, 4 * shape[0] * shape[1])
        return np.memmap(file, np.float32, "r+", shape=shape)


def _write(sink: Any, panel: Panel, values: np.ndarray, names: Sequence[str]) -> None:
    """Write a panel's annotations as gzipped text.

    values: [matched SNPs, annotations].
    """
    step = max(1, BATCH_BYTES // (16 * max(1, len(names))))
    # neither a name nor a time in it, so that the same scores are the same file
    with gzip.GzipFile(filename="", mode="wb", fileobj=sink, compresslevel=6, mtime=0) as file:
        file.write("\t".join(["CHR", "SNP", "CM", "BP", "A1", "A2", *names]).encode() + b"\n")
        for start in range(0, len(panel.rows), step):
            rows = panel.rows.iloc[start : start + step]
            here = slice(*np.searchsorted(panel.snps, [start, start + len(rows)]))
            block = np.zeros((len(rows), len(names)), np.float32)
            block[panel.snps[here] - start] = np.nan_to_num(values[here], nan=0.0)
            text = [pa.array(rows[column].astype(str).to_numpy(dtype=object)) for column in rows]
            arrays = [*text, *(pa.array(column) for column in np.ascontiguousarray(block.T))]
            whole = pa.Table.from_arrays(arrays, names=[*rows.columns, *names])
            # float32 as its shortest text that reads back as the same number
            csv.write_csv(whole, file, csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none"))


def _describe(
    table: ScoreTable, columns: Sequence[ScoreColumn], names: Sequence[str], written: Written, command: str | None
) -> dict[str, Any]:
    return {
        "software": describe_software(),
        "command": command,
        "scores": table.place,
        "statistic": columns[0].statistic,
        "annotations": [
            {"name": name, "track": column.track.identifier, "description": column.track.description}
            for name, column in zip(names, columns, strict=True)
        ],
        "definition": "A1 is ALT, A2 is REF, the value is ALT - REF per copy of A1; 0 for SNPs that are not matched",
        "chromosomes": {
            chrom: {
                "file": written.files[chrom],
                **counts.fates,
                **{name: value for name, value in vars(counts).items() if name != "fates"},
            }
            for chrom, counts in written.counts.items()
        },
        "run": {name: value for name, value in table.run.items() if name not in ("plan", "part")},
    }
