"""`varscore sldp`: scores as the signed annotations that SLDP regression reads."""

import shlex
import sys
from typing import TYPE_CHECKING, Literal

import click

from varscore.cli.common import overwrite_option, reports_errors, scores_argument, stat_option, tracks_option

if TYPE_CHECKING:
    from varscore.analysis.sldp import Written


@click.command()
@scores_argument
@click.option(
    "--bim", required=True, metavar="FILE", type=click.Path(),
    help="The reference panel's .bim; @ stands for the chromosome where each has its own (panel.@.bim).",
)  # fmt: skip
@click.option(
    "-o", "--output", required=True, metavar="PREFIX", type=click.Path(),
    help="A folder, or what the files' names begin with: sldp's --sannot-chr.",
)  # fmt: skip
@tracks_option
@stat_option
@click.option(
    "--match", type=click.Choice(["either", "id", "position"]), default="either", show_default=True,
    help="Find SNPs by ID, by position, or by ID and else by position.",
)  # fmt: skip
@overwrite_option
@reports_errors
def sldp(
    scores: str,
    bim: str,
    output: str,
    tracks: tuple[str, ...],
    stat: str | None,
    match: Literal["either", "id", "position"],
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write signed annotations for SLDP regression.

    PREFIX22.sannot.gz has one row for each SNP of the panel's chromosome 22: A1 is ALT, A2 is REF, and a column for
    each track has the score, ALT - REF. SNPs whose alleles are swapped or on the other strand are found. A/T and C/G
    SNPs are dropped: they get 0, as do SNPs without a score. What became of how many is said at the end, and by
    chromosome in PREFIXsannot.json.

    \b
      varscore sldp scores.parquet --bim panel.@.bim -t 'DNASE:.*K562' -o annotations/
    """
    from varscore.analysis.sldp import write_annotations

    written = write_annotations(
        scores,
        bim,
        output,
        tracks=tracks or None,
        statistic=stat,
        match=match,
        overwrite=overwrite,
        command=shlex.join(["varscore", *sys.argv[1:]]),
    )
    if not quiet:
        _show(written)


def _show(written: "Written") -> None:
    from rich.console import Console
    from rich.table import Table

    from varscore.analysis.panel import Fate

    counts = written.counts.values()
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(justify="right")
    shown.add_row(f"{sum(c.snps for c in counts):,}", f"SNPs of {len(counts)} chromosome{'s'[len(counts) == 1 :]}")
    for fate in Fate:
        if number := sum(c.fates[fate] for c in counts):
            shown.add_row(f"{number:,}", f"{fate}: {fate.explanation}")
    console = Console(stderr=True, highlight=False)
    console.print(shown)
    ways = {
        "swapped": "have A1 and A2 swapped",
        "other_strand": "are on the other strand",
        "by_position": "were found by position",
        "moved": "stand at another position",
    }
    if told := [f"{n:,} {text}" for name, text in ways.items() if (n := sum(getattr(c, name) for c in counts))]:
        click.echo(f"of those matched, {', '.join(told)}", err=True)
    if written.left_out:
        click.echo(f"no scores, so no file, of chromosomes {', '.join(written.left_out)}", err=True)
    if written.repeated_alleles:
        click.echo(f"{written.repeated_alleles:,} alleles are in the scores more than once: the first counts", err=True)
    files = list(written.files.values())
    named = files[0] if len(files) == 1 else f"{files[0]} … {files[-1]}"
    click.echo(f"{written.annotations:,} annotations → {named}", err=True)
