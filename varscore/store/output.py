"""Where a run's scores go, and what is there already."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from varscore.errors import OutputError
from varscore.store.folder import Folder, is_remote, split_address, whole_file
from varscore.store.plan import PLAN_FILE, Plan
from varscore.store.scores import TableWriter, check_file, encode_table, read_groups, read_run


@dataclass(frozen=True)
class Output:
    """One file, whose parts are kept in a folder beside it until all are there; or that folder itself."""

    place: str
    is_file: bool

    @classmethod
    def of(cls, place: str | os.PathLike[str]) -> Output:
        """A name with an ending such as .parquet is a file; one without, one that ends with / and a folder are not."""
        text = os.fspath(place)
        address, query = split_address(place)
        is_folder = text.endswith("/") or not Path(address).suffix or (not is_remote(text) and Path(text).is_dir())
        return cls(address + query, not is_folder)

    def __str__(self) -> str:
        return split_address(self.place)[0]

    @property
    def folder(self) -> Folder:
        """Where its parts are."""
        if not self.is_file:
            return Folder.at(self.place)
        address, query = split_address(self.place)
        return Folder.at(f"{address}.parts{query}")

    @property
    def genes(self) -> Output:
        """Where the scores of genes go: scores.genes.parquet beside scores.parquet, scores.genes/ beside scores/."""
        address, query = split_address(self.place)
        stem, dot, ending = address.rpartition(".") if self.is_file else (address, "", "")
        return Output(f"{stem}.genes{dot}{ending}{query}", self.is_file)

    def check(self, *, overwrite: bool) -> dict[str, Any] | None:
        """Say now, not after hours, that nothing can be written here.

        Returns:
            What describes the run whose whole file is there, if one is and it is not to be overwritten.

        Raises:
            OutputError: something else is there, or there is no way of writing.
        """
        if not self.is_file:
            strangers = {name for name in self.folder.names() if not is_ours(name)}
            if strangers and PLAN_FILE not in self.folder.names():
                raise OutputError(f"output {self} is a folder with other files in it: name a new one")
            return None
        if not is_remote(self.place):
            check_file(Path(self.place))
        if overwrite:
            return None
        above, name = Folder.above(self.place)
        try:
            with above.open(name) as file:
                run = read_run(file)
        except FileNotFoundError:
            return None
        if run is None:
            raise OutputError(f"output {self} exists already: choose another name, or replace it with --overwrite")
        return run


def is_ours(name: str) -> bool:
    """Whether a file in a folder of parts is a run's own, finished or not."""
    return name.lstrip(".").startswith(("part-", PLAN_FILE)) and ".parquet" in name


def read_plan(folder: Folder) -> Plan | None:
    """The plan of the parts in a folder; None where there is none. Raises OutputError if it is damaged."""
    try:
        with folder.open(PLAN_FILE) as file:
            run = read_run(file)
    except FileNotFoundError:
        return None
    try:
        return Plan.from_json((run or {})["plan"])
    except (KeyError, TypeError, ValueError) as error:
        raise OutputError(
            f"{folder}/{PLAN_FILE} is damaged: remove {folder}, or start again with --overwrite"
        ) from error


def write_plan(folder: Folder, plan: Plan, schema: pa.Schema, run: Mapping[str, Any]) -> None:
    """Write it, unless there is one: then FileExistsError."""
    folder.put(PLAN_FILE, encode_table(schema.empty_table(), {**run, "plan": plan.as_json()}), new=True)


def check_part(
    folder: Folder, plan: Plan, schema: pa.Schema, index: int, genes: tuple[Folder, pa.Schema] | None = None
) -> Counter[str] | None:
    """Read all of a part that is there: how many rows have which status. None if it is damaged, or another plan's.

    genes: where its scores of genes must be too, and their schema.
    """
    statuses = Counter[str]()
    try:
        for table in _checked_groups(folder, plan, schema, index):
            statuses.update(table["status"].to_pylist())
        if genes is not None:
            with folder.open(plan.name(index)) as file:
                expected = (read_run(file) or {}).get("gene_rows")
            if sum(map(len, _checked_groups(genes[0], plan, genes[1], index))) != expected:
                return None
    except (OutputError, FileNotFoundError):
        return None
    return statuses


def unfinished(plan: Plan, names: Iterable[str], parts: Iterable[int]) -> set[str]:
    """Temporary files that a killed process left of these parts."""
    mine = {plan.name(index) for index in parts}
    return {name for name in names if name.endswith(".tmp") and name[1:].partition(".parquet")[0] + ".parquet" in mine}


def merge(folder: Folder, plan: Plan, place: str) -> int:
    """Join all parts into one file, described as the first part is.

    Returns:
        How many rows it has.

    Raises:
        OutputError: a part is missing or damaged, or the file cannot be written.
    """
    names = folder.names()
    missing = [plan.name(i) for i in range(len(plan.parts)) if plan.name(i) not in names]
    if missing:
        raise OutputError(
            f"{folder}: {len(missing):,} of {len(plan.parts):,} parts are missing, the first is {missing[0]}: "
            "run the command that scores, or the shards that have not ended, once more"
        )
    schema, statuses = read_schema(folder), Counter[str]()
    with folder.open(plan.name(0)) as first:
        run = read_run(first) or {}
    of_genes = run.get("table") == "genes"
    run = {key: value for key, value in run.items() if key not in ("part", "gene_rows")}
    if not of_genes:
        run["alleles"] = statuses
    rows = 0
    with whole_file(place) as sink, TableWriter(sink, schema, run) as writer:
        for index in range(len(plan.parts)):
            for table in _checked_groups(folder, plan, schema, index):
                rows += len(table)
                if not of_genes:
                    statuses.update(table["status"].to_pylist())
                writer.write(table)
    return rows


def _checked_groups(folder: Folder, plan: Plan, schema: pa.Schema, index: int) -> Iterator[pa.Table]:
    """The row groups of a part. OutputError if it is damaged, or another plan's."""
    name, rows = plan.name(index), 0
    damaged = OutputError(f"{folder}/{name} is damaged: run the command that scores once more, to compute it again")
    try:
        with folder.open(name) as file:
            run = read_run(file)
            for table in read_groups(file):
                rows += len(table)
                table = table.replace_schema_metadata()
                if not table.schema.equals(schema, check_metadata=True):
                    raise damaged
                yield table
    except (OSError, pa.ArrowException) as error:
        raise damaged from error
    if run is None or (run.get("plan"), run.get("part")) != (plan.digest, name):
        raise damaged
    if run.get("table") != "genes" and rows != plan.rows(index):
        raise damaged


def read_schema(folder: Folder) -> pa.Schema:
    """The schema of a plan's parts."""
    with folder.open(PLAN_FILE) as file:
        return pq.read_schema(file).remove_metadata()


@dataclass(frozen=True)
class Merged:
    """What was joined: parts, and rows of alleles, or of alleles and genes."""

    parts: int
    rows: int


def merge_folder(place: str | os.PathLike[str], output: str | os.PathLike[str], *, overwrite: bool = False) -> Merged:
    """Join the parts in a folder into one file.

    Args:
        place: the folder, or its address.
        output: the file, or its address.
        overwrite: replace an existing file.

    Returns:
        What was joined.

    Raises:
        OutputError: no plan in the folder, a part is missing or damaged, or the file is there or cannot be written.
    """
    folder, target = Folder.at(place), Output.of(output)
    if not target.is_file:
        raise OutputError(f"output {target} is a folder: name a file, such as scores.parquet")
    if target.check(overwrite=overwrite) is not None:
        raise OutputError(f"output {target} exists already: choose another name, or replace it with --overwrite")
    plan = read_plan(folder)
    if plan is None:
        raise OutputError(f"{folder} holds no parts of a run: give the folder that `varscore score --shard` filled")
    genes = Output.of(place).genes.folder
    if target.genes.check(overwrite=overwrite) is not None:
        raise OutputError(f"output {target.genes} exists already: choose another name, or replace it with --overwrite")
    if PLAN_FILE in genes.names():
        merge(genes, plan, target.genes.place)
    return Merged(len(plan.parts), merge(folder, plan, target.place))


def remove_parts(folder: Folder) -> None:
    """Remove a run's parts and plan, and the folder if nothing else is in it."""
    folder.remove({name for name in folder.names() if is_ours(name)})
    folder.remove_folder()
