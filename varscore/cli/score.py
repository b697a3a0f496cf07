"""`varscore score`: a VCF in, a Parquet file of scores out."""

import shlex
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from varscore.cli.common import (
    device_option,
    model_option,
    organism_option,
    precisions,
    reports_errors,
    track_table_option,
    tracks_option,
    weights_option,
)
from varscore.errors import OptionError

if TYPE_CHECKING:
    from varscore.pipeline import Summary


class Shifts(click.ParamType):
    """Comma-separated whole numbers."""

    name = "shifts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """`"-1,0,1"` to [-1, 0, 1]."""
        if isinstance(value, list):
            return value
        try:
            return [int(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as -1,0,1", param, ctx)


class Shard(click.ParamType):
    """`I/N`."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """`"2/8"` to (2, 8)."""
        if isinstance(value, tuple):
            return value
        number, slash, count = value.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            self.fail(f"{value!r} is not a shard such as 1/8, the first of eight, or 8/8, the last", param, ctx)
        return int(number), int(count)


@click.command(context_settings={"show_default": True})
@click.argument("vcf", type=click.Path(allow_dash=True))
@click.option("-f", "--fasta", required=True, metavar="FASTA", type=click.Path(), help="Reference, plain or bgzipped.")
@click.option(
    "-o", "--output", required=True, metavar="OUT", type=click.Path(),
    help="A file such as scores.parquet, or a folder such as scores/; or the address of one, s3://BUCKET/….",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Start again where there are scores already.")
@model_option
@weights_option
@organism_option
@track_table_option
@tracks_option
@click.option(
    "--stat", "statistics", multiple=True, default=["SAD"], metavar="STAT",
    help="SAD, SADM, SAR, logSAD, SAX, D1, D2, JS, REF or ALT, over all predicted bins; or, as logSAD@2001, over those "
    "of 2,001 bp around the variant. Repeatable, or with commas: columns are then called STAT:TRACK.",
)  # fmt: skip
@click.option(
    "--genes", type=click.Path(dir_okay=False), metavar="FILE",
    help="GTF or BED: score the genes whose transcription starts within the prediction, too, into OUT.genes.parquet.",
)  # fmt: skip
@click.option(
    "--tss-flank", type=click.IntRange(min=0), default=0, metavar="BINS",
    help="Bins of 128 bp on either side of a TSS's that count for its gene.",
)  # fmt: skip
@click.option(
    "--window", type=click.Choice(["centered", "shared"]), default="centered",
    help="Centre a window on every variant, or let variants near each other share one, which is faster.",
)  # fmt: skip
@click.option(
    "--window-grid", type=click.IntRange(min=1), default=4096, metavar="BP",
    help="Shared windows start at multiples of this; no variant is further than half of it from the middle.",
)  # fmt: skip
@click.option("--rc/--no-rc", default=True, help="Average the predictions of both strands.")
@click.option(
    "--shifts", type=Shifts(), default="0", metavar="LIST",
    help="Shift windows by these base pairs (-1,0,1) and average; each shift costs a full run.",
)  # fmt: skip
@click.option(
    "--window-index", type=click.IntRange(min=0), metavar="INDEX", show_default="98303",
    help="0-based place of the variant in its window of 196,608 bp.",
)  # fmt: skip
@click.option(
    "-r", "--region", multiple=True, metavar="REGION",
    help="Only variants in this region, such as chr22:20,000,001-20,100,000. Repeatable.",
)  # fmt: skip
@click.option(
    "-R", "--regions-file", type=click.Path(dir_okay=False), metavar="FILE",
    help="Only variants in these regions: BED, or lines of CHROM POS [END].",
)  # fmt: skip
@click.option("--pass-only", is_flag=True, help="Only records whose FILTER is PASS or missing.")
@click.option(
    "--on-ref-mismatch", type=click.Choice(["skip", "error", "swap"]), default="skip",
    help="REF is not the reference's: leave the row without scores, stop, or exchange REF and ALT where ALT is the "
    "reference's (the sign stays ALT − REF of the file).",
)  # fmt: skip
@device_option
@click.option(
    "--precision", type=precisions, show_default="tf32 on a GPU, fp32 on a CPU",
    help="Of matrix products. tf32 and bf16 are for GPUs and CPUs that are faster in them.",
)  # fmt: skip
@click.option(
    "--engine", type=click.Choice(["difference", "plain"]), default="difference",
    help="Propagate differences through the network, or subtract two predictions (slow; to check against).",
)  # fmt: skip
@click.option(
    "--batch-size", type=click.IntRange(min=1), metavar="N", show_default="by memory, up to 64, on a GPU; 16 on a CPU",
    help="Alternatives of one window that go through the network together.",
)  # fmt: skip
@click.option(
    "--part-size", type=click.IntRange(min=1), metavar="N", show_default="16 to 1024, by device and model",
    help="Alleles that are computed and written together. A run that is ended loses the part it is at.",
)  # fmt: skip
@click.option(
    "--shard", type=Shard(), metavar="I/N",
    help="Compute only every N-th part, from the I-th on (1/4 to 4/4), into a folder that N runs fill.",
)  # fmt: skip
@click.option(
    "--dask", metavar="WHERE",
    help="Compute parts on Dask workers: local (one per GPU), a scheduler (tcp://HOST:8786, or its .json file), or a "
    "cluster that a .yaml file describes. Needs varscore[cluster].",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Of --dask local: how many.")
@reports_errors
def score(
    vcf: str,
    quiet: bool,
    region: tuple[str, ...],
    tracks: tuple[str, ...],
    statistics: tuple[str, ...],
    dask: str | None,
    workers: int | None,
    **options: Any,
) -> None:
    """Score every ALT allele of VCF on every track.

    VCF is a VCF, bgzipped VCF or BCF file, the address of one (https://…, s3://…), or - for standard input. The
    output has one row per ALT allele, in the VCF's order: chrom, pos, id, ref, alt, status, window_start, window_index,
    then one float32 column per track with SAD, the summed difference ALT − REF of predicted coverage over 114,688 bp
    around the variant, or with what --stat asks for. Alleles that cannot be scored have a status that says why, and
    nulls.

    The work is cut into parts, and a finished part stays: the same command again, after whatever ended the first, goes
    on with what is missing. Until all parts are there, those of scores.parquet are in scores.parquet.parts.

    \b
      varscore score variants.vcf.gz --fasta hg38.fa -o scores.parquet
      varscore score variants.vcf.gz --fasta hg38.fa -o liver.parquet -t 'CAGE:.*liver' --region chr22
    """
    if workers and dask != "local":
        raise click.UsageError("--workers is for --dask local")
    # torch takes seconds to import: not before the options are known to be right
    from varscore.cli.progress import show_progress
    from varscore.pipeline import score_vcf

    with ExitStack() as resources:
        runner = None
        if dask:
            from varscore.cluster.dask import DaskRunner

            runner = resources.enter_context(DaskRunner(dask, workers))
        progress = resources.enter_context(show_progress(quiet))
        try:
            summary = score_vcf(
                vcf,
                regions=region or None,
                tracks=tracks or None,
                statistics=statistics,
                command=shlex.join(["varscore", *sys.argv[1:]]),
                progress=progress,
                runner=runner,
                **options,
            )
        except OptionError as error:
            raise click.UsageError(str(error)) from error
    if not quiet:
        show_summary(summary)


def show_summary(summary: "Summary") -> None:
    """A short table on standard error: what was scored, what was not and why, how fast, and where it is."""
    from varscore.genome.variant import Status

    alleles = "allele" if summary.scored == 1 else "alleles"
    tracks = "track" if summary.tracks == 1 else "tracks"
    what = f"{alleles} scored on {summary.tracks:,} {summary.organism} {tracks} by {summary.model}"
    lines = [(f"{summary.scored:,}", what)]
    for status in Status:
        count = summary.statuses.get(status, 0)
        if status is not Status.SCORED and count:
            lines.append((f"{count:,}", f"{status.value}: {status.explanation}"))
    if summary.there_already:
        lines.append((f"{summary.there_already:,}", "of these alleles were there already"))
    if summary.seconds_per_allele is not None:
        lines.append((f"{summary.seconds_per_allele:.3g}", f"seconds per allele on {summary.device}"))
    lines.append(("→", summary.output))
    if summary.genes:
        lines.append(("→", summary.genes))
    if summary.missing_parts:
        lines.append((f"{summary.missing_parts:,}", "parts are not there yet"))
    width = max(len(value) for value, _ in lines)
    for value, text in lines:
        click.echo(f"{value:>{width}}  {text}", err=True)
