"""`varscore top`: what stands out in a table of scores."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from varscore.cli.common import overwrite_option, reports_errors, scores_argument, stat_option, tracks_option

if TYPE_CHECKING:
    from varscore.analysis.top import Scale, Strongest, Unit


@click.command(context_settings={"show_default": True})
@scores_argument
@click.option("-n", "--number", metavar="N", type=click.IntRange(min=1), default=20, help="How many rows.")
@tracks_option
@stat_option
@click.option(
    "--by", type=click.Choice(["allele", "pair"]), default="allele",
    help="allele: each once, with its strongest track. pair: alleles and tracks, an allele as often as it comes up.",
)  # fmt: skip
@click.option(
    "--scale", type=click.Choice(["sd", "quantile", "none"]), show_default=False,
    help="What tracks are compared by. sd: scores over the standard deviation of the track's scores in SCORES, one of "
    "indels and one of the others. quantile: the column STAT_quantile. none: the scores themselves.  "
    "[default: quantile if SCORES has it, else sd]",
)  # fmt: skip
@click.option(
    "-r", "--region", "regions", multiple=True, metavar="REGION",
    help="Only alleles whose POS is in it. 1-based, both ends included. Repeatable. The standard deviations are still "
    "those of all SCORES.",
)  # fmt: skip
@click.option("-o", "--output", metavar="OUT.tsv", type=click.Path(), help="Write tab-separated text here.")
@overwrite_option
@reports_errors
def top(
    scores: str,
    number: int,
    tracks: tuple[str, ...],
    stat: str | None,
    by: Unit,
    scale: Scale | None,
    regions: tuple[str, ...],
    output: str | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Show the alleles with the strongest scores.

    SCORES is a file or a folder of parts that `varscore score` wrote, of alleles or of alleles and genes; then a pair
    of allele and gene counts as an allele. A table in a terminal; tab-separated with a header in a pipe.

    \b
      varscore top scores.parquet -t 'CAGE:.*liver' -n 50
      varscore top scores.parquet --by pair --region chr22:20,000,001-20,500,000 > top.tsv
    """
    from varscore.analysis.export.output import check_output
    from varscore.analysis.top import strongest
    from varscore.genome.regions import parse_region
    from varscore.store.folder import whole_file
    from varscore.store.table import ScoreTable

    path = check_output(output, [".tsv", ".txt"], overwrite=overwrite) if output else None
    table = ScoreTable(scores)
    within = [parse_region(region) for region in regions] or None
    found = strongest(table, number, tracks=tracks, statistic=stat, by=by, scale=scale, regions=within)
    if path:
        with whole_file(path) as file:
            file.write(_text(found).encode())
    elif sys.stdout.isatty():
        _print(found)
    else:
        click.echo(_text(found), nl=False)
    if not quiet:
        _say(found, table.run["model"], str(path) if path else None)


def _text(found: Strongest) -> str:
    return found.rows.fillna({"id": "."}).to_csv(sep="\t", index=False, na_rep=".", lineterminator="\n")


def _print(found: Strongest) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    heads = {"score": found.statistic, "scaled": "in SD" if found.scale == "sd" else found.scale}
    rows = found.rows[[*found.rows.columns.drop("description"), "description"]].fillna({"id": "."})
    shown = Table(box=None, pad_edge=False)
    for name in map(str, rows):
        head = heads.get(name, name)
        widest = max([len(head), *map(len, map(_shown, rows[name]))])
        shown.add_column(
            head,
            justify="right" if name in ("pos", "score", "scaled", "tss", "distance") else "left",
            no_wrap=True,
            # a long allele is cut short, and the description where the terminal is narrow
            max_width=12 if name in ("ref", "alt") else None,
            min_width=None if name == "description" else min(12, widest),
        )
    for row in rows.itertuples(index=False):
        shown.add_row(*(Text(_shown(value)) for value in row))
    Console(highlight=False).print(shown)


def _shown(value: object) -> str:
    return f"{value:+#.3g}" if isinstance(value, float) else str(value)


def _say(found: Strongest, model: str, path: str | None) -> None:
    if found.unscaled:
        click.echo(
            f"varscore: {found.unscaled:,} rows are left out: where all scores are equal, there is no standard "
            "deviation (--scale none compares the scores themselves)",
            err=True,
        )
    if model == "enformer-tiny":
        click.echo("varscore: enformer-tiny was trained on a simulation and carries no biology", err=True)
    if path:
        click.echo(f"{len(found.rows):,} rows → {path}", err=True)
