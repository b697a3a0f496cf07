"""Carrying out a plan: what is there stays, what is missing is computed, and nothing that was computed is lost."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from varscore.errors import OutputError, ScoreError, VcfError
from varscore.genome.variant import Status, Variant
from varscore.parts import Finished, Part, Runner, Work
from varscore.store.folder import Folder
from varscore.store.output import Output, check_part, is_ours, merge, read_plan, remove_parts, unfinished, write_plan
from varscore.store.plan import PLAN_FILE, Plan, cut, differences, digest_of
from varscore.store.scores import GENE_FIELDS

log = logging.getLogger("varscore")

Progress = Callable[[int, int], None]
"""Called with the alleles done so far, and how many there are."""

NAMED_PROBLEMS = 5


@dataclass
class Outcome:
    """statuses: of all alleles of the parts asked for. there_already: how many an earlier run had finished. seconds:
    from the first allele to the last, without loading the model.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    there_already: int = 0
    newly_scored: int = 0
    seconds: float = 0.0


def carry_out(
    plan: Plan,
    mine: Sequence[int],
    target: Output,
    work: Work,
    variants: Iterator[Variant],
    runner: Runner,
    progress: Progress | None,
    *,
    overwrite: bool,
) -> Outcome:
    """Compute those of the parts `mine` that are not there; and make one file of them, if that is wanted.

    Raises:
        OutputError: there is another plan, or another run at it, or the folder cannot be written.
        ScoreError: parts failed, after all others were computed.
        VcfError: the variants are not those of the plan.
    """
    folder, schema = target.folder, work.recipe.schema()
    genes = None if work.genes is None else (work.genes, work.recipe.schema(GENE_FIELDS))
    tables = [(folder, schema), *([genes] if genes else [])]
    for place, columns in tables:
        place.make()
        if overwrite:
            _clear(place)
        try:
            write_plan(place, plan, columns, work.run if place is folder else {**work.run, "table": "genes"})
        except FileExistsError:
            refuse_another_plan(place, plan, read_plan(place))
    places = [place for place, _ in tables]
    try:
        with folder.lock(PLAN_FILE, mine), _says_what_is_kept(places, alone=len(mine) == len(plan.parts)):
            for place in places:
                place.remove(unfinished(plan, place.names(), mine))
            outcome, missing = _what_is_there(plan, mine, folder, schema, genes)
            _compute(plan, missing, work, variants, runner, outcome, progress)
            if target.is_file:
                # the alleles last: when they are there, all is
                if work.genes is not None:
                    merge(work.genes, plan, target.genes.place)
                merge(folder, plan, target.place)
                for place in places:
                    remove_parts(place)
    except BlockingIOError as error:
        raise OutputError(
            f"another run is writing to {folder}: wait for it, stop it, or name another output"
        ) from error
    return outcome


def refuse_another_plan(place: object, plan: Plan, there: Plan | None) -> None:
    """Raise OutputError, with the differences, unless the plan that is there is this one."""
    if there is not None and there.digest != plan.digest:
        refuse_differences(place, *({**one.settings, "part_size": one.part_size} for one in (there, plan)))


def refuse_differences(place: object, there: Any, now: Any) -> None:
    """Raise OutputError, with the differences, unless two runs' settings are the same."""
    found = differences(there, now, _brief)
    if found:
        listed = "".join(f"\n  {line}" for line in found)
        raise OutputError(
            f"{place} holds another run's scores: go on with that one's options, name another output, or start again "
            f"with --overwrite. What differs:{listed}"
        )


def _brief(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _clear(folder: Folder) -> None:
    names = folder.names()
    if PLAN_FILE not in names:
        return
    there = _plan_if_whole(folder)
    try:
        with folder.lock(PLAN_FILE, range(len(there.parts) if there else 1)):
            folder.remove({name for name in names if is_ours(name)})
    except BlockingIOError as error:
        raise OutputError(f"another run is writing to {folder}: wait for it, or stop it") from error


def _plan_if_whole(folder: Folder) -> Plan | None:
    try:
        return read_plan(folder)
    except OutputError:
        return None


def _what_is_there(
    plan: Plan, mine: Sequence[int], folder: Folder, schema: pa.Schema, genes: tuple[Folder, pa.Schema] | None
) -> tuple[Outcome, list[int]]:
    outcome, missing, names = Outcome(), [], folder.names()
    found = [index for index in mine if plan.name(index) in names]
    if found:
        log.info("%s parts of %s are in %s already: checking them", f"{len(found):,}", f"{len(mine):,}", folder)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as threads:
        checks = threads.map(lambda index: check_part(folder, plan, schema, index, genes), found)
        checked = dict(zip(found, checks, strict=True))
    for index in mine:
        statuses = checked.get(index)
        if statuses is not None:
            outcome.statuses.update({Status(name): count for name, count in statuses.items()})
            continue
        missing.append(index)
        if index in checked:
            log.warning("%s/%s is damaged: it is computed again", folder, plan.name(index))
    outcome.there_already = outcome.statuses.total()
    return outcome, missing


def _compute(
    plan: Plan,
    missing: list[int],
    work: Work,
    variants: Iterator[Variant],
    runner: Runner,
    outcome: Outcome,
    progress: Progress | None,
) -> None:
    total = outcome.there_already + sum(plan.rows(index) for index in missing)
    finished, failed, began = float(outcome.there_already), list[Finished](), time.monotonic()
    computing = False

    def done(alleles: float) -> None:
        nonlocal finished, began, computing
        if not computing:
            computing, began = True, time.monotonic()
        finished += alleles
        if progress:
            progress(int(finished + 1e-6), total)

    if progress:
        progress(outcome.there_already, total)
    for one in runner.run(work, _parts(plan, missing, variants), done):
        if one.problem is not None:
            failed.append(one)
            log.warning("%s failed: %s", one.part.name, one.problem)
            continue
        outcome.statuses.update(one.statuses)
        outcome.newly_scored += one.statuses[Status.SCORED]
        finished = outcome.statuses.total()
        done(0)
    outcome.seconds = time.monotonic() - began
    if failed:
        listed = "".join(f"\n  {_describe(one.part)}: {one.problem}" for one in failed[:NAMED_PROBLEMS])
        raise ScoreError(f"{len(failed):,} of {len(missing):,} parts could not be computed:{listed}")


def _parts(plan: Plan, wanted: Sequence[int], variants: Iterator[Variant]) -> Iterator[Part]:
    waiting = set(wanted)
    if not plan.settings["variants"]["alleles"] and waiting:
        yield Part(plan.name(0), [])
        return
    for index, some in enumerate(cut(variants, plan.part_size)):
        if not waiting:
            return
        if index in waiting:
            waiting.remove(index)
            if digest_of(some) != plan.parts[index]:
                raise VcfError(f"the variants of {plan.name(index)} have changed since this run began: score them anew")
            yield Part(plan.name(index), some)
    if waiting:
        raise VcfError("the variants have become fewer since this run began: score them anew")


def _describe(part: Part) -> str:
    first, last = part.variants[0], part.variants[-1]
    return f"{part.name} ({len(part.variants):,} alleles, {first.chrom}:{first.pos:,} to {last.chrom}:{last.pos:,})"


@contextmanager
def _says_what_is_kept(places: Sequence[Folder], *, alone: bool) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        try:
            parts = sum(name.startswith("part-") for name in places[0].names())
            if parts:
                kept = f"The parts finished so far ({parts:,}) are kept in {places[0]}: the same command goes on."
                error.add_note(kept)
            elif alone:
                for place in places:
                    remove_parts(place)
        except OutputError:
            pass  # the first error is the one to report
        raise
