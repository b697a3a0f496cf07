"""Computing parts of a run: the same on this process, on several GPUs and on a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import torch

from varscore.engine.device import resolve_device, steady_math
from varscore.engine.difference_scorer import DifferenceScorer
from varscore.engine.plain import PlainScorer
from varscore.engine.precision import Precision
from varscore.engine.readout import gene_formulas
from varscore.engine.statistics import Statistic, exchanged, with_counterparts
from varscore.engine.windows import Job, Scores
from varscore.errors import DeviceError, ScoreError
from varscore.genome.genes import read_genes
from varscore.genome.planning import OnRefMismatch, Placed, place
from varscore.genome.reference import Reference
from varscore.genome.variant import Status, Variant
from varscore.genome.window import WindowPolicy
from varscore.genome.window_genes import WindowGenes
from varscore.network.checkpoint import load_enformer
from varscore.network.enformer import EnformerConfig
from varscore.network.tracks import Track
from varscore.store.folder import Folder
from varscore.store.scores import GENE_FIELDS, ROW_FIELDS, encode_table, score_schema, score_table

Engine = Literal["difference", "plain"]
Done = Callable[[float], None]
"""Called with the number of alleles just finished, which may be half of one."""


@dataclass(frozen=True)
class Recipe:
    """All that shapes scores, and the device that computes them.

    genes: the file with those that have scores of their own. tss_flank: bins on either side of a TSS's that count.
    """

    fasta: Path
    architecture: Mapping[str, Any]
    weights: Path
    device: str
    organism: str
    tracks: Sequence[Track]
    statistics: Sequence[Statistic]
    policy: WindowPolicy
    rc: bool
    shifts: Sequence[int]
    engine: Engine
    precision: Precision
    batch_size: int | None
    on_ref_mismatch: OnRefMismatch
    genes: Path | None = None
    tss_flank: int = 0

    def schema(self, rows: Sequence[pa.Field] = ROW_FIELDS) -> pa.Schema:
        """Of the scores of alleles; or of genes, by the columns before them."""
        of_alleles = rows is ROW_FIELDS
        names = [str(one) for one in self.statistics] if of_alleles else gene_formulas(self.statistics)
        return score_schema([(track.identifier, track.description) for track in self.tracks], names, rows)


@dataclass(frozen=True)
class Work:
    """What a process needs to compute any part of a run.

    run: what is written into each part's metadata. genes: where the scores of genes go, if they are asked for.
    """

    recipe: Recipe
    folder: Folder
    run: Mapping[str, Any]
    genes: Folder | None = None


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
    """An engine: statistics of n jobs, telling `done` how many alleles were just finished."""

    def score(self, reference: Reference, jobs: Sequence[Job], done: Done) -> Scores:
        """In the order of the jobs."""
        ...


class Rows(NamedTuple):
    """Rows of a table before their scores, and these [rows, statistics, tracks] float32."""

    rows: list[tuple[Any, ...]]
    scores: np.ndarray


class Worker:
    """What is loaded once per process: the reference, the network, the engine."""

    def __init__(self, work: Work) -> None:
        recipe = self.recipe = work.recipe
        self.work, self.device = work, resolve_device(recipe.device)
        self.reference = Reference(recipe.fasta, quiet=True)
        self.schema, self.gene_schema = recipe.schema(), recipe.schema(GENE_FIELDS)
        config = EnformerConfig(**recipe.architecture)
        # where REF and ALT are exchanged, each is needed for the other
        swaps = recipe.on_ref_mismatch == "swap"
        self.statistics = with_counterparts(recipe.statistics) if swaps else list(recipe.statistics)
        self.genes: WindowGenes | None = None
        if recipe.genes is not None:
            self.genes = WindowGenes(
                read_genes(recipe.genes),
                crop=config.crop, bins_out=config.bins_out, bin_size=config.bin_size, flank=recipe.tss_flank,
            )  # fmt: skip
        with steady_math(), self._memory_errors():
            network = load_enformer(recipe.weights, self.device, config=config)
            network.keep_tracks(recipe.organism, [track.index for track in recipe.tracks])
            self.scorer: Scorer
            if recipe.engine == "plain":
                self.scorer = PlainScorer(
                    network, recipe.organism,
                    rc=recipe.rc, batch_size=recipe.batch_size or 1, statistics=self.statistics,
                )  # fmt: skip
            else:
                self.scorer = DifferenceScorer(
                    network, recipe.organism,
                    rc=recipe.rc, precision=recipe.precision, batch_size=recipe.batch_size, statistics=self.statistics,
                )  # fmt: skip

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
        with steady_math(), self._memory_errors():
            alleles, genes = self._score(placed, done)
        statuses = Counter(one.status for one in placed)
        run = {**self.work.run, "part": part.name}
        if genes is not None and self.work.genes is not None:
            # first, so that a part whose alleles are there is whole
            table = score_table(self.gene_schema, genes.rows, _flat(genes.scores))
            self.work.genes.put(part.name, encode_table(table, {**run, "table": "genes"}))
            run["gene_rows"] = len(table)
        scored = np.array([one.edit is not None for one in placed], bool)
        counted = {status.value: count for status, count in statuses.items()}
        table = score_table(self.schema, alleles.rows, _flat(alleles.scores), scored)
        self.work.folder.put(part.name, encode_table(table, {**run, "alleles": counted}))
        return statuses

    def _score(self, placed: Sequence[Placed], done: Done) -> tuple[Rows, Rows | None]:
        """The rows of all alleles, with the scores of those that are scored; and those of their genes."""
        policy, shifts = self.recipe.policy, self.recipe.shifts
        rows, jobs, edited = [], [], []
        for one in placed:
            variant, start, index = one.variant, None, None
            if one.stretch is not None and one.edit is not None:
                edited.append(one)
                jobs += [self._job(one, policy.start(one.edit, shift)) for shift in shifts]
                start = policy.start(one.edit)
                index = one.edit.anchor - start
            rows.append((*_spelled(variant), one.status.value, start, index))
        columns = (len(self.recipe.statistics), len(self.recipe.tracks))
        if not jobs:
            return Rows(rows, np.zeros((0, *columns), np.float32)), self._genes([], []) if self.genes else None
        found = self.scorer.score(self.reference, jobs, lambda alleles: done(alleles / len(shifts)))
        scores = found.alleles.reshape(len(edited), len(shifts), *found.alleles.shape[1:]).mean(axis=1)
        swapped = np.array([one.swapped for one in edited])
        if swapped.any():
            scores[swapped] = exchanged(self.statistics, scores[swapped])
        with np.errstate(over="ignore"):  # found below
            scores = scores[:, : columns[0]].astype(np.float32)
        self._check_numbers([one.variant for one in edited], scores)
        of_alleles = Rows(rows, scores)
        return of_alleles, self._genes(edited, found.genes) if self.genes else None

    def _job(self, one: Placed, start: int) -> Job:
        assert one.stretch is not None
        assert one.edit is not None
        genes = self.genes.of(one.variant.chrom, start) if self.genes else ()
        return Job(one.stretch, one.edit, start, tuple(gene.bins for gene in genes))

    def _genes(self, edited: Sequence[Placed], found: Sequence[np.ndarray]) -> Rows:
        """The rows of genes: of each allele those that all its shifted windows have, with the mean of their scores."""
        assert self.genes is not None
        policy, shifts = self.recipe.policy, self.recipe.shifts
        formulas = gene_formulas(self.recipe.statistics)
        computed = [Statistic(name) for name in gene_formulas(self.statistics)]
        columns = (len(formulas), len(self.recipe.tracks))
        rows, scores, variants = [], list[np.ndarray]([np.zeros((0, *columns), np.float32)]), []
        for i, one in enumerate(edited):
            assert one.edit is not None
            windows = [self.genes.of(one.variant.chrom, policy.start(one.edit, shift)) for shift in shifts]
            places = [{gene.gene: place for place, gene in enumerate(window)} for window in windows]
            for gene in self.genes.of(one.variant.chrom, policy.start(one.edit)):
                if not all(gene.gene in there for there in places):
                    continue
                each = [found[i * len(shifts) + k][there[gene.gene]] for k, there in enumerate(places)]
                mean: np.ndarray = np.stack(each).mean(axis=0)
                scores.append((exchanged(computed, mean) if one.swapped else mean)[None, : len(formulas)])
                tss, distance = gene.nearest(one.variant.pos)
                named = (gene.gene.gene_id, gene.gene.gene_name, gene.gene.strand, tss, distance)
                rows.append((*_spelled(one.variant), *named))
                variants.append(one.variant)
        together = np.concatenate(scores).astype(np.float32)
        self._check_numbers(variants, together)
        return Rows(rows, together)

    def _check_numbers(self, variants: Sequence[Variant], scores: np.ndarray) -> None:
        finite = np.isfinite(scores)
        if finite.all():
            return
        row, statistic, column = np.argwhere(~finite)[0]
        variant, track = variants[row], self.recipe.tracks[column]
        alleles = " ".join(allele if len(allele) <= 20 else f"{allele[:20]}…" for allele in (variant.ref, variant.alt))
        raise ScoreError(
            f"{variant.chrom}:{variant.pos} {alleles}: the network gave {scores[row, statistic, column]} for "
            f"track {track.identifier}, which is no score; are the weights {self.recipe.weights} damaged? "
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


def _spelled(variant: Variant) -> tuple[str, int, str | None, str, str]:
    return variant.chrom, variant.pos, variant.id, variant.ref, variant.alt


def _flat(scores: np.ndarray) -> np.ndarray:
    """[rows, statistics, tracks] as the columns are in a table."""
    return scores.reshape(len(scores), scores.shape[1] * scores.shape[2])
