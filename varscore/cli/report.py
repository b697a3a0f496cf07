"""`varscore report`: a table of scores as one HTML page."""

import click

from varscore.cli.common import overwrite_option, reports_errors, scores_argument, stat_option, tracks_option


@click.command(context_settings={"show_default": True})
@scores_argument
@click.option(
    "-o", "--output", required=True, metavar="OUT.html", type=click.Path(dir_okay=False), help="The page to write."
)
@tracks_option
@stat_option
@click.option(
    "-n", "--number", type=click.IntRange(1, 10_000), default=1000, metavar="N",
    help="How many of the strongest pairs of allele and track to list.",
)  # fmt: skip
@overwrite_option
@reports_errors
def report(
    scores: str, output: str, tracks: tuple[str, ...], stat: str | None, number: int, overwrite: bool, quiet: bool
) -> None:
    """Make one HTML page of SCORES: what was run, what stands out.

    It has the distribution of the scores, the strongest tracks, and a table of the strongest pairs of allele and track
    that sorts and filters. It is one file, and needs no network.

    \b
      varscore report scores.parquet -o report.html
      varscore report scores.parquet -t 'CAGE:.*liver' -o liver.html
    """
    from varscore.report.build import write_report
    from varscore.store.scores import check_new_file

    check_new_file(output, overwrite=overwrite)
    made = write_report(scores, output, tracks=tracks, statistic=stat, pairs=number)
    if not quiet:
        click.echo(f"{made.alleles:,} rows on {made.tracks:,} tracks, {made.pairs:,} pairs → {output}", err=True)
