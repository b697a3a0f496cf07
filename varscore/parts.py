"""Computing parts of a run: the same on this process, on several GPUs and on a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch

from varscore.engine.device import resolve_device, without_denormals
from varscore.engine.difference_scorer import DifferenceScorer
from varscore.engine.plain import PlainScorer
from varscore.engine.precision import Precision
from varscore.engine.windows import Job
from varscore.errors import DeviceError, ScoreError
from varscore.genome.planning import OnRefMismatch, Placed, place
from varscore.genome.reference import Reference
from varscore.genome.variant import Status, Variant
from varscore.genome.window import WindowPolicy
from varscore.network.checkpoint import load_enformer
from varscore.network.enformer import EnformerConfig
from varscore.network.tracks import Track
from varscore.store.folder import Folder
from varscore.store.scores import encode_table, score_schema, score_table

Engine = Literal["difference", "plain"]
Done = Callable[[float], None]
"""Called with the number of alleles just finished, which may be half of one."""


@dataclass(frozen=True)
class Recipe:
    """All that shapes scores, and the device that computes them."""

    fasta: Path
    architecture: Mapping[str, Any]
    weights: Path
    device: str
    organism: str
    tracks: Sequence[Track]
    policy: WindowPolicy
    rc: bool
    shifts: Sequence[int]
    engine: Engine
    precision: Precision
    batch_size: int | None
    on_ref_mismatch: OnRefMismatch


@dataclass(frozen=True)
class Work:
    """What a process needs to compute any part of a run. run: what is written into each part's metadata."""

    recipe: Recipe
    folder: Folder
    run: Mapping[str, Any]


class Part(NamedTuple):
    """Some alleles to score, and the file to write."""

    name: str
    variants: Sequence[Variant]


@dataclass(frozen=True)
class Finished:
    """What became of a part: how many alleles have which status, or why there is no file."""

    part: Part
    statuses: Counter[Status] = field(default_factory=Counter)
    problem: str | None = None


class Runner(Protocol):
    """Computes parts, here or elsewhere."""

    def resolve(self, device: str) -> torch.device:
        """The device that a name such as `auto` means where the parts are computed. Raises DeviceError for none."""
        ...

    def run(self, work: Work, parts: Iterable[Part], done: Done) -> Iterator[Finished]:
        """Compute parts, in any order, and tell of each when its file is there.

        `done` hears of alleles before their part is finished, where that is known; and of 0 when computing begins.
        """
        ...


class RunHere:
    """Computes parts one after the other in this process. What is wrong with one is raised."""

    def resolve(self, device: str) -> torch.device:
        """On this machine."""
        return resolve_device(device)

    def run(self, work: Work, parts: Iterable[Part], done: Done) -> Iterator[Finished]:
        """In their order."""
        worker: Worker | None = None
        try:
            for part in parts:
                if worker is None:  # where nothing is to be computed, nothing is loaded
                    worker = Worker(work)
                    done(0)
                yield Finished(part, worker.compute(part, done))
        finally:
            if worker:
                worker.close()


class Scorer(Protocol):
    """An engine: SAD [n, T] of n jobs, telling `done` how many alleles were just finished."""

    def score(self, reference: Reference, jobs: Sequence[Job], done: Done) -> np.ndarray:
        """SAD [n, T] float64, in the order of the jobs."""
        ...


class Worker:
    """What is loaded once per process: the reference, the network, the engine."""

    def __init__(self, work: Work) -> None:
        recipe = self.recipe = work.recipe
        self.work, self.device = work, resolve_device(recipe.device)
        self.reference = Reference(recipe.fasta, quiet=True)
        self.schema = score_schema([(track.identifier, track.description) for track in recipe.tracks])
        with without_denormals(), self._memory_errors():
            network = load_enformer(recipe.weights, self.device, config=EnformerConfig(**recipe.architecture))
            network.keep_tracks(recipe.organism, [track.index for track in recipe.tracks])
            self.scorer: Scorer
            if recipe.engine == "plain":
                self.scorer = PlainScorer(network, recipe.organism, rc=recipe.rc, batch_size=recipe.batch_size or 1)
            else:
                self.scorer = DifferenceScorer(
                    network, recipe.organism, rc=recipe.rc, precision=recipe.precision, batch_size=recipe.batch_size
                )

    def close(self) -> None:
        """Let go of the reference."""
        self.reference.close()

    def compute(self, part: Part, done: Done) -> Counter[Status]:
        """Score a part and write its file.

        Raises:
            VarscoreError: what the caller can mend, such as a full disk; ScoreError where the network gave no number.
        """
        recipe = self.recipe
        placed = [
            place(
                variant, self.reference, recipe.policy,
                max_shift=max(recipe.shifts), on_ref_mismatch=recipe.on_ref_mismatch,
            )
            for variant in part.variants
        ]  # fmt: skip
        with without_denormals(), self._memory_errors():
            rows, scores, scored = self._rows(placed, done)
        statuses = Counter(one.status for one in placed)
        counted = {status.value: count for status, count in statuses.items()}
        table = score_table(self.schema, rows, scores, scored)
        self.work.folder.put(part.name, encode_table(table, {**self.work.run, "part": part.name, "alleles": counted}))
        return statuses

    def _rows(self, placed: Sequence[Placed], done: Done) -> tuple[list[tuple[Any, ...]], np.ndarray, np.ndarray]:
        """The rows of alleles, their scores [scored, T] in the file's sign, and which rows were scored [rows]."""
        policy, shifts = self.recipe.policy, self.recipe.shifts
        rows, signs, jobs = [], [], []
        for one in placed:
            variant, start, index = one.variant, None, None
            if one.stretch is not None and one.edit is not None:
                jobs += [Job(one.stretch, one.edit, policy.start(one.edit, shift)) for shift in shifts]
                signs.append(-1 if one.swapped else 1)
                start = policy.start(one.edit)
                index = one.edit.anchor - start
            spelled = (variant.chrom, variant.pos, variant.id, variant.ref, variant.alt)
            rows.append((*spelled, one.status.value, start, index))
        scored = np.array([one.edit is not None for one in placed], bool)
        scores = np.zeros((0, len(self.recipe.tracks)), np.float32)
        if jobs:
            found = self.scorer.score(self.reference, jobs, lambda alleles: done(alleles / len(shifts)))
            averaged = found.reshape(len(signs), len(shifts), -1).mean(axis=1)
            with np.errstate(over="ignore"):  # found below
                scores = (averaged * np.array(signs)[:, None]).astype(np.float32)
            self._check_numbers([one.variant for one in placed if one.edit is not None], scores)
        return rows, scores, scored

    def _check_numbers(self, variants: Sequence[Variant], scores: np.ndarray) -> None:
        finite = np.isfinite(scores)
        if finite.all():
            return
        row, column = np.argwhere(~finite)[0]
        variant, track = variants[row], self.recipe.tracks[column]
        alleles = " ".join(allele if len(allele) <= 20 else f"{allele[:20]}…" for allele in (variant.ref, variant.alt))
        raise ScoreError(
            f"{variant.chrom}:{variant.pos} {alleles}: the network gave {scores[row, column]} for track "
            f"{track.identifier}, which is no score; are the weights {self.recipe.weights} damaged? "
            "If they are not, leave this variant out"
        )

    @contextmanager
    def _memory_errors(self) -> Iterator[None]:
        """The engine has halved its batches before it comes to this."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            advice = "use another device"
            if self.recipe.engine == "plain" and (self.recipe.batch_size or 1) > 2:
                advice = f"try a smaller --batch-size than {self.recipe.batch_size}"
            raise DeviceError(f"{self.device} is out of memory: {advice}") from error
