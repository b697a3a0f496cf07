"""From a VCF to a file of scores: the straight line, readable top to bottom."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch

from varscore.engine.device import resolve_device, without_denormals
from varscore.engine.difference_scorer import BATCH_SIZE, DifferenceScorer
from varscore.engine.plain import PlainScorer
from varscore.engine.precision import Precision, default_precision
from varscore.engine.windows import Job
from varscore.errors import DeviceError, FastaError, WeightsError
from varscore.genome.planning import OnRefMismatch, Placed, place
from varscore.genome.reference import Reference
from varscore.genome.regions import Region, parse_region, read_regions_file
from varscore.genome.variant import Status
from varscore.genome.vcf import read_variants
from varscore.genome.window import WindowPolicy
from varscore.network.checkpoint import load_enformer
from varscore.network.download import fetch_track_table, fetch_weights, sha256_of
from varscore.network.enformer import EnformerConfig
from varscore.network.tracks import load_tracks, select_tracks
from varscore.network.zoo import ModelSpec, get_model
from varscore.store.provenance import describe_run
from varscore.store.scores import ScoreWriter, check_output, partial_path

log = logging.getLogger("varscore")

Progress = Callable[[int, int | None], None]
"""Called with the alleles done so far, and how many there are (None: not known, as from standard input)."""

PART = 512
"""Alleles that are planned, scored and written together, at most."""

SHARED_GRID = 4096
"""Base pairs from one shared window to the next: up to 2 kb off the middle, scores stay within 1 % where the phase of
the bins does (examples/shared_windows.py)."""


class Scorer(Protocol):
    """An engine: SAD [n, T] of n jobs, telling `done` how many alleles were just finished.

    together: how many jobs it can make use of at a time.
    """

    together: int

    def score(self, reference: Reference, jobs: Sequence[Job], done: Callable[[float], None]) -> np.ndarray:
        """SAD [n, T] float64, in the order of the jobs."""
        ...


@dataclass(frozen=True)
class Summary:
    """What a run did. `seconds` is the time from the first allele to the last, without loading the model."""

    output: Path
    model: str
    organism: str
    tracks: int
    device: str
    statuses: dict[Status, int]
    seconds: float

    @property
    def alleles(self) -> int:
        """Rows written, scored or not."""
        return sum(self.statuses.values())

    @property
    def scored(self) -> int:
        """Rows with scores."""
        return self.statuses.get(Status.SCORED, 0)

    @property
    def seconds_per_allele(self) -> float | None:
        """Of the scored ones; None where there were none."""
        return self.seconds / self.scored if self.scored else None


def score_vcf(
    vcf: Path | str,
    fasta: Path | str,
    output: Path | str,
    *,
    model: str = "enformer",
    weights: Path | str | None = None,
    track_table: Path | str | None = None,
    organism: str = "human",
    tracks: Sequence[str | int] | None = None,
    rc: bool = True,
    shifts: Sequence[int] = (0,),
    window_index: int | None = None,
    window: Literal["centered", "shared"] = "centered",
    window_grid: int = SHARED_GRID,
    engine: Literal["difference", "plain"] = "difference",
    precision: Literal["fp32", "tf32", "bf16"] | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    regions: Sequence[str] | None = None,
    regions_file: Path | str | None = None,
    pass_only: bool = False,
    on_ref_mismatch: OnRefMismatch = "skip",
    overwrite: bool = False,
    command: str | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Score every ALT allele of a VCF on every chosen track, and write one row each to a Parquet file.

    Args:
        vcf: VCF, bgzipped VCF or BCF; `-` is standard input.
        fasta: the reference, plain or bgzipped; its index is made where missing.
        output: the Parquet file to write. It appears when it is whole.
        model: a model's name, or the folder of one's own.
        weights: a file to use instead of the model's own.
        track_table: a file to use instead of the model's own for this organism.
        organism: whose tracks.
        tracks: identifiers, indices, or patterns over descriptions; all tracks where None.
        rc: average the predictions of both strands.
        shifts: window shifts in base pairs to average over; +1 moves the sequence right by one.
        window_index: 0-based place in the window of the variant's first base (for indels, of the base before); by
            default the last of the window's first half, 98,303 for Enformer.
        window: `centered` on every variant, or `shared` by variants near each other, which is faster.
        window_grid: shared windows start at multiples of this many base pairs, so that no variant is further than half
            of it from `window_index`.
        engine: `difference` propagates differences through the network; `plain` subtracts two predictions.
        precision: of matrix products; by default tf32 on a GPU and fp32 on a CPU. The plain engine has fp32 alone.
        device: `auto`, `cpu`, `cuda` or `cuda:i`.
        batch_size: alternatives of one window (plain engine: windows) that go through the network together.
        regions: such as `chr22:20,000,001-20,100,000`, 1-based and inclusive; only variants whose POS is in one.
        regions_file: BED, or CHROM POS [END] lines; added to `regions`.
        pass_only: only records whose FILTER is PASS or missing.
        on_ref_mismatch: `skip` gives such alleles a status and no scores, `error` stops, `swap` exchanges REF and ALT
            where ALT is the reference's; the sign stays ALT − REF of the file.
        overwrite: replace an existing output.
        command: the command line, for the file's metadata.
        progress: called after every few alleles.

    Returns:
        What was done.

    Raises:
        VarscoreError: anything the caller can mend; the message says how. Alleles scored before the error are kept in
            `NAME.partial.parquet` beside the output, and a note on the error says so.
        ValueError: an option outside its range.
    """
    vcf, fasta, output = str(vcf), Path(fasta), Path(output)
    check_output(output, overwrite=overwrite)
    chosen_device = resolve_device(device)
    spec = get_model(model)
    policy = WindowPolicy(
        spec.window,
        spec.window // 2 - 1 if window_index is None else window_index,
        window_grid if window == "shared" else 1,
    )
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    if engine == "plain" and precision not in (None, "fp32"):
        raise ValueError(f"precision {precision} needs the difference engine: the plain one would score noise")
    chosen_precision = Precision(precision or ("fp32" if engine == "plain" else default_precision(chosen_device)))
    if not shifts or not all(0 <= policy.index + shift < spec.window for shift in shifts):
        raise ValueError(f"shifts are {list(shifts)}: expected at least one, and the variant still in the window")
    table = fetch_track_table(spec, organism, table=track_table)
    all_tracks = load_tracks(table, spec.track_table(organism).tracks)
    chosen = [all_tracks[i] for i in select_tracks(all_tracks, None if tracks is None else [str(t) for t in tracks])]
    within = _regions(regions, regions_file)

    with without_denormals(), Reference(fasta) as reference:
        total = None
        if vcf != "-":
            # takes seconds per million records, and finds a broken file before the work, not after
            contigs = Counter(v.chrom for v in read_variants(vcf, regions=within, pass_only=pass_only))
            total = contigs.total()
            _check_contigs(contigs, reference, vcf)
            if not total:
                log.warning("%s has no variants%s", vcf, "" if within is None else " in the regions asked for")
        weights_file, weights_digest = _find_weights(spec, weights)
        run = describe_run(
            command,
            vcf=vcf,
            fasta=str(fasta),
            model=spec.name,
            weights={"file": weights_file.name, "sha256": weights_digest},
            track_table_sha256=sha256_of(table),
            organism=organism,
            statistics=["SAD"],
            window={
                "length": policy.length,
                "policy": window,
                "index": policy.index,
                "grid": policy.grid,
                "shifts": list(shifts),
            },
            bins={"size": spec.bin_size, "predicted": spec.bins_out},
            reverse_complement=rc,
            precision=chosen_precision.value,
            engine=engine,
            device=str(chosen_device),
            filters={"regions": list(regions or []), "regions_file": str(regions_file or ""), "pass_only": pass_only},
            on_ref_mismatch=on_ref_mismatch,
        )
        network = load_enformer(weights_file, chosen_device, config=EnformerConfig(**spec.architecture))
        network.keep_tracks(organism, [track.index for track in chosen])
        scorer: Scorer
        if engine == "plain":
            scorer = PlainScorer(network, organism, rc=rc, batch_size=batch_size or 1)
        else:
            scorer = DifferenceScorer(
                network, organism, rc=rc, precision=chosen_precision, batch_size=batch_size or BATCH_SIZE
            )
        rows = _Rows(reference, policy, shifts, scorer, len(chosen))
        variants = read_variants(vcf, regions=within, pass_only=pass_only)
        placed = (place(v, reference, policy, max_shift=max(shifts), on_ref_mismatch=on_ref_mismatch) for v in variants)
        writer = ScoreWriter(output, [(track.identifier, track.description) for track in chosen], run)
        statuses, seen = Counter[Status](), set[str]()
        began = time.monotonic()
        try:
            with closing(variants), writer:
                for part in _parts(placed, min(PART, scorer.together)):
                    finished = float(statuses.total())

                    def done(alleles: float) -> None:
                        nonlocal finished
                        finished += alleles
                        if progress:
                            progress(int(finished + 1e-6), total)

                    writer.write(*rows.score(part, done))
                    statuses.update(one.status for one in part)
                    seen.update(one.variant.chrom for one in part)
                    if progress:
                        progress(statuses.total(), total)
                _check_contigs(seen, reference, vcf)
                run["contigs"] = {
                    name: {"length": reference.contigs[name], "md5": md5} for name, md5 in reference.digests().items()
                }
                run["alleles"] = {status.value: count for status, count in statuses.items()}
        except torch.OutOfMemoryError as error:
            advice = "use another device"
            if engine == "plain" and (batch_size or 1) > 2:
                advice = f"try a smaller --batch-size than {batch_size}"
            raise DeviceError(f"{chosen_device} is out of memory: {advice}") from error
        except BaseException as error:
            if writer.kept_partial:
                error.add_note(f"The alleles scored until then are kept in {partial_path(output)}.")
            raise
        seconds = time.monotonic() - began
    return Summary(output, spec.name, organism, len(chosen), str(chosen_device), dict(statuses), seconds)


class _Rows:
    """Turns placed alleles into the file's rows and scores."""

    def __init__(
        self, reference: Reference, policy: WindowPolicy, shifts: Sequence[int], scorer: Scorer, tracks: int
    ) -> None:
        self.reference, self.policy, self.shifts, self.scorer, self.tracks = reference, policy, shifts, scorer, tracks

    def score(
        self, part: Sequence[Placed], done: Callable[[float], None]
    ) -> tuple[list[tuple[object, ...]], np.ndarray, np.ndarray]:
        """The rows of alleles, their scores [scored, T] in the file's sign, and which rows were scored [rows]."""
        rows, signs, jobs = [], [], []
        for one in part:
            variant, start, index = one.variant, None, None
            if one.stretch is not None and one.edit is not None:
                starts = [self.policy.start(one.edit, shift) for shift in self.shifts]
                jobs.append([Job(one.stretch, one.edit, shifted) for shifted in starts])
                signs.append(-1 if one.swapped else 1)
                start = self.policy.start(one.edit)
                index = one.edit.anchor - start
            spelled = (variant.chrom, variant.pos, variant.id, variant.ref, variant.alt)
            rows.append((*spelled, one.status.value, start, index))
        scored = np.array([one.edit is not None for one in part])
        if not jobs:
            return rows, np.zeros((0, self.tracks)), scored
        every = [job for shifted in jobs for job in shifted]
        scores = self.scorer.score(self.reference, every, lambda alleles: done(alleles / len(self.shifts)))
        averaged = scores.reshape(len(jobs), len(self.shifts), self.tracks).mean(axis=1)
        return rows, averaged * np.array(signs)[:, None], scored


def _parts(placed: Iterator[Placed], size: int) -> Iterator[list[Placed]]:
    while part := list(islice(placed, size)):
        yield part


def _regions(texts: Sequence[str] | None, file: Path | str | None) -> list[Region] | None:
    regions = [parse_region(text) for text in texts or ()]
    if file is not None:
        regions += read_regions_file(file)
    return regions if texts or file is not None else None


def _check_contigs(chroms: Iterable[str], reference: Reference, vcf: str) -> None:
    """Raise FastaError if there are variants, and the reference has not one of their contigs."""
    chroms = list(chroms)
    if chroms and not any(reference.stretch(chrom, 0) for chrom in chroms):
        raise FastaError(
            f"{reference.path} has none of the contigs of {vcf}: it has {_some(reference.contigs)}, "
            f"the variants are on {_some(chroms)}; give the reference that the variants were called on"
        )


def _some(names: Iterable[str], limit: int = 5) -> str:
    names = list(names)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _find_weights(spec: ModelSpec, given: Path | str | None) -> tuple[Path, str]:
    """The weights file and its sha256; a given file need not be the published one, but it is said where it is not."""
    if given is None:
        return fetch_weights(spec), spec.weights.sha256
    path = Path(given)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    digest = sha256_of(path)
    if digest != spec.weights.sha256:
        log.warning("%s is not the published file of %s (its sha256 is %s…)", path, spec.name, digest[:12])
    return path, digest
