"""`varscore score`: a VCF in, a Parquet file of scores out."""

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from varscore.cli.common import (
    device_option,
    model_option,
    organism_option,
    precisions,
    reports_errors,
    track_table_option,
    weights_option,
)

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


@click.command(context_settings={"show_default": True})
@click.argument("vcf", type=click.Path(allow_dash=True))
@click.option("-f", "--fasta", required=True, metavar="FASTA", type=click.Path(), help="Reference, plain or bgzipped.")
@click.option("-o", "--output", required=True, metavar="OUT.parquet", type=click.Path(), help="The file to write.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@model_option
@weights_option
@organism_option
@track_table_option
@click.option(
    "-t", "--tracks", multiple=True, metavar="TRACK",
    help="Only these tracks: an identifier, an index or range (4675-5312), a pattern over descriptions "
    "('CAGE:.*liver'), or @FILE with one of these a line. Repeatable. Without it: all tracks.",
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
    "--batch-size", type=click.IntRange(min=1), metavar="N", show_default="16",
    help="Alternatives of one window that go through the network together.",
)  # fmt: skip
@reports_errors
def score(vcf: str, quiet: bool, region: tuple[str, ...], tracks: tuple[str, ...], **options: Any) -> None:
    """Score every ALT allele of VCF on every track.

    VCF is a VCF, bgzipped VCF or BCF file, or - for standard input. The output has one row per ALT allele, in the VCF's
    order: chrom, pos, id, ref, alt, status, window_start, window_index, then one float32 column per track with
    SAD, the summed difference ALT − REF of predicted coverage over 114,688 bp around the variant. Alleles that cannot
    be scored have a status that says why, and nulls.

    \b
      varscore score variants.vcf.gz --fasta hg38.fa -o scores.parquet
      varscore score variants.vcf.gz --fasta hg38.fa -o liver.parquet -t 'CAGE:.*liver' --region chr22
    """
    # torch takes seconds to import: not before the options are known to be right
    from varscore.cli.progress import show_progress
    from varscore.pipeline import score_vcf

    with show_progress(quiet) as progress:
        try:
            summary = score_vcf(
                vcf,
                regions=region or None,
                tracks=tracks or None,
                command=shlex.join(["varscore", *sys.argv[1:]]),
                progress=progress,
                **options,
            )
        except ValueError as error:
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
    if summary.seconds_per_allele is not None:
        lines.append((f"{summary.seconds_per_allele:.3g}", f"seconds per allele on {summary.device}"))
    lines.append(("→", str(summary.output)))
    width = max(len(value) for value, _ in lines)
    for value, text in lines:
        click.echo(f"{value:>{width}}  {text}", err=True)
