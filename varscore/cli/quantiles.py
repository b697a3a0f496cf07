"""`varscore quantiles`: how unusual each score is among those of common variants."""

import shlex
import sys

import click

from varscore.cli.common import overwrite_option, reports_errors, scores_argument


@click.command()
@scores_argument
@click.option(
    "-b", "--background", required=True, metavar="FILE", type=click.Path(), help="A file of `varscore background`."
)
@click.option("-o", "--output", required=True, metavar="OUT.parquet", type=click.Path(), help="The table to write.")
@overwrite_option
@reports_errors
def quantiles(scores: str, background: str, output: str, overwrite: bool, quiet: bool) -> None:
    """Add to each score where it stands among common variants.

    The table is SCORES with a column SAD_quantile:TRACK for each track (and likewise for other statistics). For
    statistics with a sign it is from -1 to 1: 0 is the median of common variants, 0.99 is above 99.5 % of them, -0.99
    below 99.5 %. For those without it is from 0 to 1.

    \b
      varscore quantiles scores.parquet --background background.parquet -o ranked.parquet
    """
    from varscore.analysis.background import write_quantiles

    ranked = write_quantiles(
        scores, background, output, overwrite=overwrite, command=shlex.join(["varscore", *sys.argv[1:]])
    )
    if not quiet:
        click.echo(f"{ranked.rows:,} rows, {ranked.columns:,} columns of quantiles → {output}", err=True)
