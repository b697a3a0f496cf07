"""`varscore mpra`: scores held against saturation mutagenesis."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from varscore.cli.common import overwrite_option, reports_errors, scores_argument, stat_option, tracks_option

if TYPE_CHECKING:
    import pandas as pd


class _ColumnName(click.ParamType):
    """WHAT=NAME of a column."""

    name = "WHAT=NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        from varscore.analysis.mpra.tables import ALIASES

        what, _, name = str(value).partition("=")
        if what not in ALIASES or not name:
            self.fail(f"{value!r}: expected WHAT=NAME, WHAT one of {', '.join(ALIASES)}", param, ctx)
        return what, name


tables_argument = click.argument("tables", nargs=-1, required=True, type=click.Path(), metavar="TABLE...")
build_option = click.option(
    "--build", metavar="BUILD", help="Positions on this genome build, where TABLE has several: GRCh37 or GRCh38."
)
element_option = click.option("--element", "elements", multiple=True, help="Only this element. Repeatable.")
column_option = click.option(
    "--column", "columns", multiple=True, type=_ColumnName(), metavar="WHAT=NAME",
    help="What TABLE calls a column, such as effect=log2_ratio. Repeatable.",
)  # fmt: skip


@click.group()
def mpra() -> None:
    """Hold scores against MPRA saturation mutagenesis.

    TABLE is what was measured: the file of Kircher et al. (2019), files of the CAGI5 challenge, or plain tables with
    the columns chrom, pos, ref, alt, effect and, as they have them, element, barcodes, p_value, confidence, build.

    \b
      varscore mpra variants elements.tsv.gz --build GRCh38 --fasta hg38.fa -o variants.vcf.gz
      varscore score variants.vcf.gz --fasta hg38.fa --window shared -o scores.parquet
      varscore mpra correlate scores.parquet elements.tsv.gz --build GRCh38 -o results.tsv --figure results.png
    """


@mpra.command()
@tables_argument
@build_option
@element_option
@column_option
@reports_errors
def counts(
    tables: tuple[str, ...],
    build: str | None,
    elements: tuple[str, ...],
    columns: tuple[tuple[str, str], ...],
    quiet: bool,  # noqa: ARG001
) -> None:
    """Count what TABLE has of each element, on each genome build.

    start and end are 1-based. missing: positions between them that no row has. few_barcodes: alleles with fewer than
    10. unplaced: rows without a position or an effect, which are not used. Tab-separated in a pipe.
    """
    from varscore.analysis.mpra.tables import count_elements, read_mpra

    table = read_mpra(tables, dict(columns))
    if build:
        table = table.of_build(build)
    if elements:
        table = table.of_elements(elements)
    _show(count_elements(table))


@mpra.command(context_settings={"show_default": True})
@tables_argument
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT.vcf.gz",
    type=click.Path(),
    help="The VCF; bgzipped if it ends in .gz.",
)
@click.option(
    "-f", "--fasta", metavar="FASTA", type=click.Path(),
    help="The reference. Deletions are anchored on it, and REF is held against it.  [default: the elements rebuilt]",
)  # fmt: skip
@click.option("--write-fasta", metavar="OUT.fa", type=click.Path(), help="Write the rebuilt elements, to score on.")
@build_option
@element_option
@column_option
@overwrite_option
@reports_errors
def variants(
    tables: tuple[str, ...],
    output: str,
    fasta: str | None,
    write_fasta: str | None,
    build: str | None,
    elements: tuple[str, ...],
    columns: tuple[tuple[str, str], ...],
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write the VCF to score: every allele that TABLE has, once.

    A deletion gets the base before it, of FASTA or, without one, of the element's own sequence, which is rebuilt from
    REF. --write-fasta writes these sequences, named as pieces of their chromosome (chr11:5227022-5227208), so
    `varscore score` takes them for a reference. The network sees nothing beyond their ends then: much less than what
    it was trained on. Where you have the reference, score on that.

    \b
      varscore mpra variants elements.tsv.gz --build GRCh38 --fasta hg38.fa -o variants.vcf.gz
      varscore mpra variants challenge_*.tsv -o variants.vcf.gz --write-fasta elements.fa
    """
    from varscore.analysis.mpra.tables import read_mpra
    from varscore.analysis.mpra.variants import FastaBases, RebuiltElements, bgzipped, check_reference, vcf_alleles
    from varscore.analysis.outputs import check_outputs, write_text
    from varscore.genome.reference import Reference
    from varscore.store.folder import whole_file

    check_outputs(output, write_fasta, overwrite=overwrite)
    table = read_mpra(tables, dict(columns)).of_build(build)
    rows = (table.of_elements(elements) if elements else table).rows
    rebuilt = RebuiltElements(rows)
    if fasta:
        with Reference(fasta, quiet=True) as reference:
            check_reference(rows, FastaBases(reference), fasta)
            made = vcf_alleles(rows, FastaBases(reference))
    else:
        rebuilt.warn_of_gaps()
        made = vcf_alleles(rows, rebuilt)
    if write_fasta:
        write_text(write_fasta, rebuilt.fasta())
    with whole_file(output) as file:
        file.write(bgzipped(made.text()) if output.endswith(".gz") else made.text().encode())
    if quiet:
        return
    if made.lost:
        click.echo(f"{made.lost:,} deletions left out: the bases beside them are not known", err=True)
    count = rows["element"].nunique()
    click.echo(f"{len(made.alleles):,} alleles of {count:,} element{'s' * (count > 1)} → {output}", err=True)
    if write_fasta:
        click.echo(f"{len(rebuilt.sequences):,} rebuilt sequences → {write_fasta}", err=True)


@mpra.command(context_settings={"show_default": True})
@scores_argument
@tables_argument
@click.option("-o", "--output", metavar="OUT.tsv", type=click.Path(), help="A row for each element and method.")
@click.option("--by-track", metavar="OUT.tsv", type=click.Path(), help="A row for each element and track.")
@click.option("--predictions", metavar="OUT.tsv", type=click.Path(), help="A row for each allele: effect, predictions.")
@click.option("--figure", metavar="OUT.png", type=click.Path(), help="Correlations by element; .png, .svg or .pdf.")
@click.option("--scatter", metavar="OUT.png", type=click.Path(), help="Effects against predictions of the lasso.")
@build_option
@element_option
@column_option
@click.option(
    "--min-barcodes", type=click.FloatRange(min=0), metavar="N", show_default="10, where TABLE has barcodes",
    help="Only alleles that so many barcodes measured.",
)  # fmt: skip
@click.option(
    "--max-p", type=click.FloatRange(0, 1), metavar="P",
    help="Only alleles with a p-value up to this. Chosen by the effect itself, they agree better than all do.",
)  # fmt: skip
@click.option(
    "--min-confidence",
    type=click.FloatRange(min=0),
    metavar="C",
    help="Only alleles with this confidence (CAGI5: 0.1).",
)
@click.option("--deletions", is_flag=True, help="Take deletions and other alleles, too, not SNVs alone.")
@tracks_option
@stat_option
@click.option(
    "--matched", metavar="FILE", type=click.Path(),
    help="Tracks chosen beforehand for each element, such as those of its cell type: lines of an element, a tab and a "
    "TRACK. Their mean is a prediction without training.  [default: those of --tracks]",
)  # fmt: skip
@click.option("--lasso/--no-lasso", default=True, help="Fit the lasso, which takes most of the time.")
@click.option("--folds", type=click.IntRange(min=2), default=5, metavar="N", help="Of the cross-validation.")
@click.option("--block", type=click.IntRange(min=1), default=16, metavar="BP", help="Neighbours that share a fold.")
@overwrite_option
@reports_errors
def correlate(
    scores: str,
    tables: tuple[str, ...],
    output: str | None,
    by_track: str | None,
    predictions: str | None,
    figure: str | None,
    scatter: str | None,
    build: str | None,
    elements: tuple[str, ...],
    columns: tuple[tuple[str, str], ...],
    min_barcodes: float | None,
    max_p: float | None,
    min_confidence: float | None,
    deletions: bool,
    tracks: tuple[str, ...],
    stat: str | None,
    matched: str | None,
    lasso: bool,
    folds: int,
    block: int,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Correlate SCORES with the effects in TABLE.

    By element and track. For each element, four predictions are held against the measured effects: a lasso regression
    over the tracks (lasso_cv); the mean of tracks chosen beforehand (matched); and the track that agrees best, on the
    same alleles (best_track) or on others (best_track_cv). The best track of thousands agrees well by chance alone:
    quote best_track_cv instead. What says _cv is predicted out of fold. Folds are of whole blocks of neighbouring
    positions, because the alleles of a position are nearly the same measurement.

    A positive correlation: predicted and measured effects of ALT, relative to REF, have the same sign.

    \b
      varscore mpra correlate scores.parquet elements.tsv.gz --build GRCh38 -o results.tsv --figure results.png
    """
    import numpy as np

    from varscore.analysis.caution import caution
    from varscore.analysis.mpra import results as tabled
    from varscore.analysis.mpra.correlate import Folds
    from varscore.analysis.mpra.correlate import correlate as correlate_elements
    from varscore.analysis.mpra.join import join_scores
    from varscore.analysis.mpra.tables import filter_rows, read_mpra
    from varscore.analysis.outputs import as_text, check_outputs, write_text
    from varscore.plots.style import check_figure
    from varscore.store.table import ScoreTable

    check_outputs(output, by_track, predictions, figure, scatter, overwrite=overwrite)
    for picture in filter(None, (figure, scatter)):
        check_figure(picture, overwrite=overwrite)
    table = ScoreTable(scores)
    chosen = table.select(tracks or None, stat)
    measured = read_mpra(tables, dict(columns)).of_build(build)
    measured = measured.of_elements(elements) if elements else measured
    if min_barcodes is None and np.isfinite(measured.rows["barcodes"]).any():
        min_barcodes = 10
    rows = filter_rows(
        measured.rows, min_barcodes=min_barcodes, max_p=max_p, min_confidence=min_confidence, indels=deletions
    )
    found_in = list(rows["element"].unique())
    if matched:
        beforehand = tabled.read_matched(matched, chosen, found_in)
    else:
        beforehand = dict.fromkeys(found_in, range(len(chosen))) if tracks else {}
    joined = join_scores(rows, table, chosen)
    if not quiet:
        left = "".join(f", {n:,} {why}" for n, why in ((joined.unknown, "are not in it"),
                       (joined.unscored, "have no scores there")) if n)  # fmt: skip
        click.echo(f"{len(joined.rows):,} of {len(rows):,} measured alleles have scores in {scores}{left}", err=True)
    results = list(correlate_elements(joined, matched=beforehand, lasso=lasso, folds=Folds(folds, block)))
    summary = tabled.summary(results, chosen)
    if output:
        write_text(output, as_text(summary))
    if by_track:
        write_text(by_track, as_text(tabled.by_track(results, chosen)))
    if predictions:
        write_text(predictions, as_text(tabled.predictions(results)))
    _draw(figure, scatter, summary, results, table.run.get("model"))
    if not (output and quiet):
        _show(summary, tabled.wide(summary), "Pearson's r of predicted and measured effects")
    if quiet:
        return
    click.echo(
        "best_track is chosen on the alleles it is shown for, so it is optimistic; best_track_cv is not", err=True
    )
    if said := caution(table.run):
        click.echo(said, err=True)


def _draw(figure: str | None, scatter: str | None, summary: pd.DataFrame, results: list[Any], model: object) -> None:
    if not (figure or scatter):
        return
    from varscore.plots.mpra import draw_correlations, draw_scatter
    from varscore.plots.style import save, styled

    with styled("varscore mpra correlate --figure"):
        if figure:
            save(draw_correlations(summary, model), figure)
        if scatter:
            save(draw_scatter(results, model), scatter)


def _show(table: pd.DataFrame, for_people: pd.DataFrame | None = None, title: str | None = None) -> None:
    """Tab-separated in a pipe; in a terminal, a table for people, which may have other columns."""
    from varscore.analysis.outputs import as_text

    if not sys.stdout.isatty():
        click.echo(as_text(table), nl=False)
        return
    from pandas.api.types import is_numeric_dtype
    from rich.console import Console
    from rich.table import Table

    frame = table if for_people is None else for_people
    shown = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for name in frame:
        shown.add_column(
            str(name).replace("_", " "), justify="right" if is_numeric_dtype(frame[name]) else "left", overflow="fold"
        )
    for row in frame.itertuples(index=False):
        shown.add_row(*map(_cell, row))
    Console(highlight=False).print(shown)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.3f}"
    return "–" if value is None else str(value)
