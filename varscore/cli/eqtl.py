"""`varscore eqtl`: can scores tell causal eQTLs from others, and do they have the sign of effects?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from varscore.cli.common import overwrite_option, reports_errors, scores_argument, stat_option, tracks_option
from varscore.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

Command = TypeVar("Command", bound=Callable[..., Any])


class _Named(click.ParamType):
    """NAME=VALUE, or only a value."""

    name = "[NAME=]VALUE"

    def __init__(self, needs_name: bool) -> None:
        self.needs_name = needs_name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str | None, str]:
        if not isinstance(value, str):
            return value
        name, mark, rest = value.partition("=")
        if self.needs_name and not (name and rest):
            self.fail(f"{value!r}: expected WHAT=NAME, such as pip=posterior", param, ctx)
        return (name, rest) if mark and "/" not in name else (None, value)


column_option = click.option(
    "--column", "columns", multiple=True, type=_Named(needs_name=True), metavar="WHAT=NAME",
    help="Which column of the table is chrom, pos, ref, alt, variant (chr1_13550_G_A), tissue, gene_id, pip, z, label "
    "or effect, where its name does not say so. Repeatable.",
)  # fmt: skip


def selection_options(command: Command) -> Command:
    """What the positives and the negatives are."""
    options = (
        click.option("--table", metavar="FILE", type=click.Path(),
                     help="One table of all: with a PIP from fine-mapping, or a label (1, 0)."),
        click.option("--positives", multiple=True, type=_Named(needs_name=False), metavar="[TISSUE=]FILE",
                     help="Positives: a VCF or a table. Repeatable, once for each tissue."),
        click.option("--negatives", multiple=True, type=_Named(needs_name=False), metavar="[TISSUE=]FILE",
                     help="Negatives, likewise."),
        click.option("--positive-pip", type=click.FloatRange(0, 1), default=0.9, metavar="PIP",
                     help="Positives of a table have a PIP above this."),
        click.option("--negative-pip", type=click.FloatRange(0, 1), default=0.01, metavar="PIP",
                     help="Negatives of a table have a PIP below this, for every gene."),
        click.option("--negative-z", type=click.FloatRange(0), metavar="Z",
                     help="Negatives of a table have at least this |z|: associated, but not causal.  [default: any]"),
        click.option("--match", multiple=True, metavar="COLUMN",
                     help="Take negatives that are like the positives in this column, such as maf, distance or "
                     "gene_id. Repeatable."),
        click.option("--per-positive", type=click.IntRange(min=1), metavar="N",
                     help="How many negatives for each positive.  [default: with --match 1, else all]"),
        column_option,
        click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Of all that is drawn."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def eqtl() -> None:
    """Assess scores by eQTLs: classification, correlation.

    With fine-mapped eQTLs, such as those of GTEx or the eQTL Catalogue:

    \b
      varscore eqtl select --table finemapped.tsv.gz --match gene_id -o chosen.tsv --vcf chosen.vcf
      varscore score chosen.vcf --fasta hg38.fa -o scores.parquet
      varscore eqtl classify scores.parquet --table chosen.tsv -o auroc.tsv --figure roc.png
      varscore eqtl signed scores.parquet --effects finemapped.tsv.gz -t 'CAGE:.*liver' -o signed.tsv
    """


@eqtl.command(context_settings={"show_default": True})
@selection_options
@click.option("-o", "--output", required=True, metavar="OUT.tsv", type=click.Path(dir_okay=False),
              help="The table of chosen variants, for `varscore eqtl classify --table`.")  # fmt: skip
@click.option("--vcf", metavar="OUT.vcf", type=click.Path(dir_okay=False), help="The same variants, to be scored.")
@overwrite_option
@reports_errors
def select(output: str, vcf: str | None, overwrite: bool, quiet: bool, **selection: Any) -> None:
    """Choose positives and matched negatives, to be scored.

    \b
      varscore eqtl select --table finemapped.tsv.gz --match maf --match distance -o chosen.tsv --vcf chosen.vcf
    """
    from varscore.analysis.eqtl_sets import chosen_table, chosen_vcf
    from varscore.analysis.outputs import as_text, check_outputs, write_text

    check_outputs(output, vcf, overwrite=overwrite)
    chosen = _choose(**selection)
    write_text(output, as_text(chosen_table(chosen)))
    if vcf:
        write_text(vcf, chosen_vcf(chosen))
    if not quiet:
        counts = chosen.groupby("tissue")["positive"].agg(positives="sum", all="size").reset_index()
        counts["negatives"] = counts.pop("all") - counts["positives"]
        _show(counts)


@eqtl.command(context_settings={"show_default": True})
@scores_argument
@selection_options
@tracks_option
@stat_option
@click.option("--folds", type=click.IntRange(min=2), default=8, metavar="N", help="Of the cross-validation.")
@click.option(
    "--repeats", type=click.IntRange(min=1), default=10, metavar="N", help="Of it, with other folds. Published: 100."
)
@click.option("--block", type=click.IntRange(min=0), default=10_000, metavar="BP",
              help="Variants of one block of the genome stay in one fold. Published: 0.")  # fmt: skip
@click.option("--absolute", is_flag=True, help="Give the forest sizes without signs.")
@click.option("--shuffle", is_flag=True, help="Shuffle the labels first: what chance gives.")
@click.option("--jobs", type=int, default=1, metavar="N", help="Threads; -1: all cores.")
@click.option("-o", "--output", required=True, metavar="OUT.tsv", type=click.Path(dir_okay=False),
              help="AUROC and its error by tissue.")  # fmt: skip
@click.option("--by-track", metavar="OUT.tsv", type=click.Path(dir_okay=False),
              help="AUROC of each track by itself, and its importance in the forest, by tissue.")  # fmt: skip
@click.option("--figure", metavar="OUT.png", type=click.Path(dir_okay=False), help="ROC curves: .png, .pdf or .svg.")
@click.option("--top", type=click.IntRange(min=0), default=5, metavar="N", help="Show so many tracks of each tissue.")
@overwrite_option
@reports_errors
def classify(
    scores: str,
    tracks: Sequence[str],
    stat: str | None,
    output: str,
    by_track: str | None,
    figure: str | None,
    top: int,
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Tell causal eQTLs from others by their scores.

    As Enformer and Basenji were assessed: for each tissue a random forest on the scores of all tracks, cross-validated;
    and each track by itself. SCORES has to hold the positives and the negatives.

    \b
      varscore eqtl classify scores.parquet --table finemapped.tsv.gz -o auroc.tsv --figure roc.png
      varscore eqtl classify scores.parquet --positives liver=pos.vcf --negatives liver=neg.vcf -o auroc.tsv
    """
    from varscore.analysis.caution import caution
    from varscore.analysis.eqtl import Validation
    from varscore.analysis.eqtl import classify as classify_variants
    from varscore.analysis.outputs import as_text, check_outputs, write_text
    from varscore.plots.roc import check_format, draw_roc
    from varscore.store.table import ScoreTable

    check_outputs(output, by_track, figure, overwrite=overwrite)
    if figure:
        check_format(figure)
    how = {name: options.pop(name) for name in ("folds", "repeats", "block", "absolute", "shuffle", "jobs")}
    with _wrong_usage():
        validation = Validation(**how, seed=options["seed"])
    table = ScoreTable(scores)
    chosen = _choose(**options)
    result = classify_variants(table, chosen, validation, tracks=tracks, statistic=stat)
    summary = result.summary()
    note = caution(table.run)
    write_text(output, as_text(summary))
    if by_track:
        write_text(by_track, as_text(result.tracks))
    if figure:
        draw_roc(result.tissues, figure, note)
    if quiet:
        return
    _show(summary)
    if top and sys.stdout.isatty():
        for column, title in (("importance", "Most used by the forest"), ("auroc", "Best alone, by |score|")):
            click.echo(f"\n{title}")
            best = result.tracks.sort_values(column, ascending=False, kind="stable").groupby("tissue").head(top)
            _show(best.sort_values(["tissue", column], ascending=[True, False], kind="stable"))
    if note:
        click.echo(f"varscore: {note}", err=True)


@eqtl.command(context_settings={"show_default": True})
@scores_argument
@click.option("--effects", required=True, metavar="FILE", type=click.Path(),
              help="Effects of ALT: a table with the variant, beta or slope, perhaps tissue, gene_id.")  # fmt: skip
@tracks_option
@stat_option
@column_option
@click.option("-o", "--output", required=True, metavar="OUT.tsv", type=click.Path(dir_okay=False),
              help="Correlations by tissue and track.")  # fmt: skip
@click.option("--top", type=click.IntRange(min=0), default=5, metavar="N", help="Show so many tracks of each tissue.")
@overwrite_option
@reports_errors
def signed(
    scores: str,
    effects: str,
    tracks: Sequence[str],
    stat: str | None,
    columns: Sequence[tuple[str, str]],
    output: str,
    top: int,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Correlate effect sizes with scores, by tissue and track.

    Where SCORES is a table of genes, the gene has to be the same too. The effect is that of ALT; where the table has
    REF and ALT the other way round, the sign is turned.

    \b
      varscore eqtl signed scores.parquet --effects slopes.tsv.gz -t 'CAGE:.*liver' -o signed.tsv
    """
    from varscore.analysis.caution import caution
    from varscore.analysis.eqtl_signed import has_genes, read_effects
    from varscore.analysis.eqtl_signed import signed as correlate_effects
    from varscore.analysis.outputs import as_text, check_outputs, write_text
    from varscore.store.table import ScoreTable

    check_outputs(output, overwrite=overwrite)
    table = ScoreTable(scores)
    measured = read_effects(effects, genes=has_genes(table), columns=_as_columns(columns))
    result = correlate_effects(table, measured, tracks=tracks, statistic=stat)
    write_text(output, as_text(result))
    if quiet:
        return
    strongest = result.sort_values("spearman", key=abs, ascending=False, kind="stable")
    _show(strongest.groupby("tissue").head(top).sort_values("tissue", kind="stable"))
    if note := caution(table.run):
        click.echo(f"varscore: {note}", err=True)


def _choose(
    table: str | None,
    positives: Sequence[tuple[str | None, str]],
    negatives: Sequence[tuple[str | None, str]],
    columns: Sequence[tuple[str, str]],
    **criteria: Any,
) -> pd.DataFrame:
    from varscore.analysis.eqtl_sets import ALL, Criteria, sets_from_lists, sets_from_table

    if bool(table) == bool(positives or negatives):
        raise click.UsageError("give either --table, or --positives and --negatives")
    if not table and not (positives and negatives):
        raise click.UsageError("--positives and --negatives go together")
    named = _as_columns(columns, criteria["match"])
    with _wrong_usage():
        wanted = Criteria(**criteria)
    if table:
        return sets_from_table(table, wanted, columns=named)
    for name, files in (("--positives", positives), ("--negatives", negatives)):
        if len({tissue for tissue, _ in files}) < len(files):
            raise click.UsageError(f"{name} is given twice for a tissue; name each, as in {name} liver=FILE")
    of_each = [{tissue or ALL: file for tissue, file in files} for files in (positives, negatives)]
    with _wrong_usage():
        return sets_from_lists(of_each[0], of_each[1], wanted, columns=named)


@contextmanager
def _wrong_usage() -> Iterator[None]:
    try:
        yield
    except OptionError as error:
        raise click.UsageError(str(error)) from error


def _as_columns(columns: Sequence[tuple[str, str]], also: Sequence[str] = ()) -> dict[str, str]:
    from varscore.analysis.variant_table import NAMES

    if unknown := [what for what, _ in columns if what not in (*NAMES, *also)]:
        raise click.UsageError(f"--column {unknown[0]}=…: expected one of {', '.join((*NAMES, *also))}")
    return dict(columns)


def _show(frame: pd.DataFrame) -> None:
    """On standard output: a table in a terminal, in a pipe separated by tabs."""
    from varscore.analysis.outputs import as_text

    if not sys.stdout.isatty():
        click.echo(as_text(frame), nl=False)
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for name in frame:
        is_number = frame[name].dtype.kind in "if"
        shown.add_column(str(name), justify="right" if is_number else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        shown.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row))
    Console(highlight=False).print(shown)
