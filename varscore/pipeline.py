"""From a VCF to a table of scores: the straight line, readable top to bottom."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from varscore import __version__
from varscore.engine.difference_scorer import default_part_size
from varscore.engine.precision import Precision, default_precision
from varscore.engine.statistics import Statistic, parse_statistics
from varscore.errors import FastaError, OptionError, OutputError, WeightsError
from varscore.genome.genes import Gene, read_genes
from varscore.genome.planning import OnRefMismatch
from varscore.genome.reference import Reference
from varscore.genome.regions import Region, parse_region, read_regions_file
from varscore.genome.variant import Status, Variant
from varscore.genome.vcf import read_variants, rereadable
from varscore.genome.window import WindowPolicy
from varscore.network.download import fetch_track_table, fetch_weights, sha256_of
from varscore.network.enformer import EnformerConfig
from varscore.network.tracks import Track, load_tracks, select_tracks
from varscore.network.zoo import ModelSpec, get_model
from varscore.parts import Recipe, RunHere, Runner, Work
from varscore.run import Outcome, Progress, carry_out, refuse_another_plan, refuse_differences
from varscore.store.output import Output, read_plan
from varscore.store.plan import Plan, survey
from varscore.store.provenance import describe_run

log = logging.getLogger("varscore")

SHARED_GRID = 4096
"""Base pairs from one shared window to the next: up to 2 kb off the middle, scores stay within 1 % where the phase of
the bins does (examples/shared_windows.py)."""


@dataclass(frozen=True)
class Summary:
    """What is there after a run, and how it came there.

    output: the table of alleles. genes: that of genes, if there is one.

    statuses: of all alleles of this run or shard. there_already: how many of them an earlier run had finished. seconds:
    from the first allele to the last, without loading the model.
    """

    output: str
    model: str
    organism: str
    tracks: int
    device: str
    statuses: dict[Status, int]
    there_already: int
    newly_scored: int
    seconds: float
    missing_parts: int = 0
    genes: str | None = None

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
        """Of those scored now; None where there were none."""
        return self.seconds / self.newly_scored if self.newly_scored else None


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
    statistics: Sequence[str] = ("SAD",),
    genes: Path | str | None = None,
    tss_flank: int = 0,
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
    part_size: int | None = None,
    shard: tuple[int, int] | None = None,
    overwrite: bool = False,
    command: str | None = None,
    progress: Progress | None = None,
    runner: Runner | None = None,
) -> Summary:
    """Score every ALT allele of a VCF on every chosen track, and write one row each to Parquet.

    With genes, a second table has a row for each allele and gene: see `genes`.

    The work is cut into parts, and a part that is finished stays. The same call again, after whatever ended the first,
    computes those that are not there.

    Args:
        vcf: VCF, bgzipped VCF or BCF; `-` is standard input. A path, or an address such as https://… or s3://….
        fasta: the reference, plain or bgzipped; its index is made where missing.
        output: the Parquet file to write, which appears when it is whole (its parts are kept in OUTPUT.parts until
            then); or, without an ending such as .parquet, a folder of Parquet files that read as one table. A path, or
            an address such as s3://BUCKET/scores.parquet.
        model: a model's name, or the folder of one's own.
        weights: a file to use instead of the model's own.
        track_table: a file to use instead of the model's own for this organism.
        organism: whose tracks.
        tracks: identifiers, indices, or patterns over descriptions; all tracks where None.
        statistics: of `varscore.engine.statistics.FORMULAS`, each perhaps with a mask: `logSAD@2001` is that of the
            bins of 2,001 bp around the variant. With several, columns are named STATISTIC:TRACK.
        genes: GTF or BED file. The output then has a neighbour, scores.genes.parquet or scores.genes/, with a row for
            each scored allele and each gene with a TSS in the predicted bins, and the same statistics (without masks)
            of the bins in which its transcription starts.
        tss_flank: bins on either side of a TSS's that belong to it too.
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
        part_size: alleles in a part; by default what suits device and network, or what the run to go on with has.
        shard: (i, n): compute every n-th part only, from the i-th on, i from 1 to n. The output is a folder then, for n
            runs to fill.
        overwrite: start again, whatever of varscore's is there.
        command: the command line, for the metadata.
        progress: called after every few alleles.
        runner: computes the parts; by default this process.

    Returns:
        What was done.

    Raises:
        VarscoreError: anything the caller can mend; the message says how. Parts finished before the error are kept, and
            a note on the error says so.
        OptionError: a VarscoreError and ValueError; an option is outside its range.
    """
    if "://" in str(fasta):
        raise FastaError(f"{fasta}: the reference must be a file of this machine, to be read anywhere: copy it first")
    vcf, fasta, target = str(vcf), Path(fasta), Output.of(output)
    runner = runner or RunHere()
    there_run = target.check(overwrite=overwrite)
    there_plan = None if overwrite else read_plan(target.folder)
    if shard is not None and not 1 <= shard[0] <= shard[1]:
        raise OptionError(f"shard {shard[0]}/{shard[1]}: expected 1/{shard[1]} to {shard[1]}/{shard[1]}")
    if shard is not None and target.is_file:
        raise OptionError(f"a shard goes to a folder, not to the file {target}: name one, such as scores/")
    if shard is not None and overwrite:
        raise OptionError("a shard cannot start again what others fill: remove the folder first")
    if part_size is not None and part_size < 1:
        raise OptionError(f"part_size is {part_size}, expected at least 1")
    spec = get_model(model)
    index = spec.window // 2 - 1 if window_index is None else window_index
    try:
        policy = WindowPolicy(spec.window, index, window_grid if window == "shared" else 1)
    except ValueError as error:
        raise OptionError(f"window: {error}") from error
    if batch_size is not None and batch_size < 1:
        raise OptionError(f"batch_size is {batch_size}, expected at least 1")
    if engine == "plain" and precision not in (None, "fp32"):
        raise OptionError(f"precision {precision} needs the difference engine: the plain one would score noise")
    if not shifts or not all(0 <= policy.index + shift < spec.window for shift in shifts):
        raise OptionError(f"shifts are {list(shifts)}: expected at least one, and the variant still in the window")
    computed = parse_statistics(statistics)
    if not computed:
        raise OptionError("statistics: expected at least one, such as SAD")
    config = EnformerConfig(**spec.architecture)
    _check_masks(computed, policy, shifts, config)
    if not 0 <= tss_flank <= config.bins_out:
        raise OptionError(f"tss_flank is {tss_flank}, expected 0 to {config.bins_out} bins")
    listed = None if genes is None else read_genes(genes)
    if listed is not None and target.genes.check(overwrite=overwrite) is not None and there_run is None:
        raise OutputError(f"output {target.genes} exists already: choose another name, or replace it with --overwrite")
    chosen_device = runner.resolve(device)
    chosen_precision = Precision(precision or ("fp32" if engine == "plain" else default_precision(chosen_device)))
    table = fetch_track_table(spec, organism, table=track_table)
    all_tracks = load_tracks(table, spec.track_table(organism).tracks)
    chosen = [all_tracks[i] for i in select_tracks(all_tracks, None if tracks is None else [str(t) for t in tracks])]
    within = _regions(regions, regions_file)
    usual_size = there_plan.part_size if there_plan else default_part_size(config, chosen_device, engine)

    with ExitStack() as resources:
        source = resources.enter_context(rereadable(vcf))
        called = "standard input" if vcf == "-" else vcf

        def variants() -> Generator[Variant]:
            return read_variants(source, regions=within, pass_only=pass_only, name=called)

        # one pass before the work: it takes seconds per million alleles, finds a broken file, and fixes the plan
        found = survey(variants(), part_size or usual_size)
        with Reference(fasta) as reference:
            _check_contigs(found.contigs, reference, vcf)
            contigs = {
                name: {"length": reference.contigs[name], "md5": md5}
                for name, md5 in reference.digests(found.contigs).items()
            }
        if not found.alleles:
            log.warning("%s has no variants%s", vcf, "" if within is None else " in the regions asked for")
        weights_file, weights_digest = _find_weights(spec, weights)
        settings = {
            "varscore": __version__,
            "variants": {"alleles": found.alleles, "digest": found.digest},
            "contigs": contigs,
            "model": spec.name,
            "weights": {"sha256": weights_digest},
            "track_table_sha256": sha256_of(table),
            "organism": organism,
            "tracks": {"count": len(chosen), "digest": _digest_of_tracks(chosen)},
            "statistics": [str(one) for one in computed],
            "window": {
                "length": policy.length,
                "policy": window,
                "index": policy.index,
                "grid": policy.grid,
                "shifts": list(shifts),
            },
            "bins": {"size": spec.bin_size, "predicted": spec.bins_out},
            "reverse_complement": rc,
            "precision": chosen_precision.value,
            "engine": engine,
            "on_ref_mismatch": on_ref_mismatch,
        }
        if listed is not None:
            settings["genes"] = {"count": len(listed), "digest": _digest_of_genes(listed), "tss_flank": tss_flank}
        plan = Plan(settings, part_size or usual_size, tuple(found.parts))
        run = describe_run(
            command,
            {str(one): one.definition for one in computed},
            vcf=vcf,
            fasta=str(fasta),
            weights_file=weights_file.name,
            device=str(chosen_device),
            filters={"regions": list(regions or []), "regions_file": str(regions_file or ""), "pass_only": pass_only},
            **settings,
            plan=plan.digest,
        )

        def summary(outcome: Outcome, missing: int = 0) -> Summary:
            return Summary(
                str(target), spec.name, organism, len(chosen), str(chosen_device), dict(outcome.statuses),
                outcome.there_already, outcome.newly_scored, outcome.seconds, missing,
                None if genes is None else str(target.genes),
            )  # fmt: skip

        if there_run is not None:
            refuse_differences(target, {name: there_run.get(name) for name in settings}, settings)
            log.info("%s is complete already", target)
            there = Counter({Status(status): count for status, count in there_run["alleles"].items()})
            return summary(Outcome(there, there.total()))
        refuse_another_plan(target.folder, plan, there_plan)
        recipe = Recipe(
            fasta.absolute(), spec.architecture, weights_file.absolute(), device, organism, tuple(chosen),
            tuple(computed), policy, rc, tuple(shifts), engine, chosen_precision, batch_size, on_ref_mismatch,
            None if genes is None else Path(genes).absolute(), tss_flank,
        )  # fmt: skip
        mine = plan.shard(*shard or (1, 1))
        work = Work(recipe, target.folder, run, None if genes is None else target.genes.folder)
        again = resources.enter_context(closing(variants()))
        outcome = carry_out(plan, mine, target, work, again, runner, progress, overwrite=overwrite)
    if target.is_file:
        return summary(outcome)
    there = target.folder.names()
    return summary(outcome, missing=sum(plan.name(index) not in there for index in range(len(plan.parts))))


def _check_masks(
    statistics: Sequence[Statistic], policy: WindowPolicy, shifts: Sequence[int], config: EnformerConfig
) -> None:
    """Raise OptionError if a mask is asked for where the variant may stand outside the predicted bins."""
    masked = [one for one in statistics if one.width is not None]
    off = policy.grid // 2
    first, end = config.crop * config.bin_size, (config.crop + config.bins_out) * config.bin_size
    if masked and not all(first <= policy.index + shift - off and policy.index + shift + off < end for shift in shifts):
        raise OptionError(
            f"statistic {masked[0]} needs the variant in the predicted bins, index {first} to {end - 1} of the window: "
            "choose a smaller window_grid, another window_index or other shifts"
        )


def _digest_of_genes(genes: Iterable[Gene]) -> str:
    lines = (f"{g.chrom}\t{g.gene_id}\t{g.gene_name}\t{g.strand}\t{g.tss}\n" for g in genes)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest_of_tracks(tracks: Iterable[Track]) -> str:
    return hashlib.sha256("\n".join(track.identifier for track in tracks).encode()).hexdigest()


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
