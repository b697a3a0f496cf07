"""`varscore plot`: figures of predictions and scores."""

import click

from varscore.cli.common import (
    device_option,
    model_option,
    organism_option,
    overwrite_option,
    reports_errors,
    scores_argument,
    stat_option,
    track_table_option,
    tracks_option,
    weights_option,
)
from varscore.errors import OptionError

figure_option = click.option(
    "-o", "--output", required=True, metavar="FIGURE", type=click.Path(dir_okay=False),
    help="The file to write: .png, .svg or .pdf.",
)  # fmt: skip


@click.group()
def plot() -> None:
    """Draw a variant, strongest tracks, or a saturation.

    PNG, SVG or PDF, as the output's name says; 7 inches wide, as two columns of a journal.
    """


@plot.command(context_settings={"show_default": True})
@click.argument("variant")
@click.option("-f", "--fasta", required=True, metavar="FASTA", type=click.Path(), help="Reference, plain or bgzipped.")
@click.option(
    "-t", "--tracks", multiple=True, required=True, metavar="TRACK",
    help="A track to draw: an identifier, an index, or a pattern over descriptions ('CAGE:.*liver'). Repeatable, up to "
    "8 tracks in all.",
)  # fmt: skip
@figure_option
@overwrite_option
@click.option("--genes", metavar="FILE", type=click.Path(), help="Draw these genes too: GTF, or BED with names.")
@click.option(
    "--width", metavar="BP", type=click.IntRange(min=1000), show_default="all that is predicted, 114,688",
    help="Show only this many base pairs around the variant.",
)  # fmt: skip
@model_option
@weights_option
@organism_option
@track_table_option
@device_option
@click.option("--rc/--no-rc", default=True, help="Average the predictions of both strands.")
@reports_errors
def variant(
    variant: str,
    output: str,
    overwrite: bool,
    genes: str | None,
    width: int | None,
    quiet: bool,
    **options: object,
) -> None:
    """Predict VARIANT, and draw its tracks with REF and ALT.

    Their difference, too, along the window. VARIANT is written chr22:20112513:T:TG (or with - and >), REF and ALT as in
    a VCF; or it is a line of a VCF. The network runs four times, which takes Enformer a minute or two on a CPU.

    \b
      varscore plot variant chr22:20112513:T:TG --fasta hg38.fa -t 'CAGE:.*liver, adult' --genes genes.gtf.gz -o fig.pdf
    """
    from varscore.genome.genes import read_genes
    from varscore.genome.variant import parse_variant
    from varscore.plots.style import check_figure, save, styled

    parsed = parse_variant(variant)
    check_figure(output, overwrite=overwrite)
    with styled("varscore plot"):
        known = read_genes(genes) if genes else []
        # torch takes seconds to import: not before the options are known to be right
        from varscore.analysis.predict import predict_variant
        from varscore.plots.variant import MOST_TRACKS, draw_variant

        try:
            predicted = predict_variant(parsed, most_tracks=MOST_TRACKS, **options)  # type: ignore[arg-type]
        except OptionError as error:
            raise click.UsageError(str(error)) from error
        save(draw_variant(predicted, known, width=width), output)
    if not quiet:
        for track, difference in zip(predicted.tracks, predicted.difference.sum(axis=0), strict=True):
            click.echo(f"SAD {difference:+.6g}  {track.identifier}  {track.description}", err=True)
        click.echo(f"→ {output}", err=True)


@plot.command(context_settings={"show_default": True})
@scores_argument
@click.option(
    "-t", "--tracks", multiple=True, metavar="TRACK",
    help="The track to draw: an identifier, an index, or a pattern over descriptions that fits one. Not needed where "
    "the table has one track.",
)  # fmt: skip
@stat_option
@click.option(
    "-r", "--region", metavar="REGION", help="Which part of the table, such as chr22:20,307,001-20,307,300; up to "
    "1,000 bp.  [default: all of it]",
)  # fmt: skip
@figure_option
@overwrite_option
@reports_errors
def saturation(
    scores: str,
    tracks: tuple[str, ...],
    stat: str | None,
    region: str | None,
    output: str,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Draw saturation mutagenesis as heat map and logo.

    A heat map of scores by position and new base, under a sequence logo. SCORES is what `varscore score` made of the
    VCF of `varscore saturate`; any other with SNVs will do. The logo's letters are the reference's bases, each as tall
    as minus the mean score of its three changes: upwards where the base raises the signal.

    \b
      varscore saturate chr22:20,307,001-20,307,300 --fasta hg38.fa -o region.vcf
      varscore score region.vcf --fasta hg38.fa --window shared -t ENCFF833POA -o region.parquet
      varscore plot saturation region.parquet -o region.png
    """
    from varscore.analysis.saturation import read_saturation
    from varscore.plots.saturation import LONGEST, draw_saturation
    from varscore.plots.style import check_figure, save, styled
    from varscore.store.table import ScoreTable

    check_figure(output, overwrite=overwrite)
    table = ScoreTable(scores)
    columns = table.select(tracks, stat)
    if len(columns) != 1:
        some = ", ".join(column.track.identifier for column in columns[:3])
        raise click.UsageError(
            f"the figure shows one track, and {len(columns):,} are selected ({some}, …): choose with -t"
        )
    with styled("varscore plot"):
        try:
            found = read_saturation(table, columns[0], region, longest=LONGEST)
        except OptionError as error:
            raise click.UsageError(str(error)) from error
        save(draw_saturation(found, str(table.run.get("model"))), output)
    if not quiet:
        span = f"{found.chrom}:{found.start + 1:,}-{found.start + len(found.ref):,}"
        click.echo(f"{span}, {len(found.ref):,} positions → {output}", err=True)


@plot.command("tracks", context_settings={"show_default": True})
@scores_argument
@click.option(
    "--variant", metavar="VARIANT", help="Scores of this allele: its ID, or chr22:20112513:T:TG.  [default: of each "
    "track's strongest]",
)  # fmt: skip
@click.option("-n", "--number", type=click.IntRange(1, 50), default=10, metavar="N", help="Lines for each assay.")
@tracks_option
@stat_option
@figure_option
@overwrite_option
@reports_errors
def strongest_tracks(
    scores: str,
    variant: str | None,
    number: int,
    tracks: tuple[str, ...],
    stat: str | None,
    output: str,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Draw the strongest tracks of SCORES.

    They are grouped by assay and tissue. Each assay has a line for each of its strongest tissues (and targets, of
    ChIP): a dot for each track, a stem to the strongest. To compare tracks, each score is divided by the standard
    deviation of its track over all alleles of the table; where the table has quantiles, they are shown instead.

    \b
      varscore plot tracks scores.parquet -o strongest.png
      varscore plot tracks scores.parquet --variant rs7235 -t 'CAGE' -n 20 -o rs7235.pdf
    """
    from varscore.analysis.strongest import scores_of_variant, survey_scores
    from varscore.genome.variant import parse_variant
    from varscore.plots.style import check_figure, save, styled
    from varscore.plots.tracks import draw_tracks
    from varscore.store.table import ScoreTable

    check_figure(output, overwrite=overwrite)
    table = ScoreTable(scores)
    columns = table.select(tracks, stat)
    with styled("varscore plot"):
        if variant is None:
            found = survey_scores(table, columns)
        else:
            spelled = ":" in variant or ">" in variant or variant.count("-") >= 3
            found = scores_of_variant(table, columns, parse_variant(variant) if spelled else variant)
        save(draw_tracks(found, str(table.run.get("model")), per_assay=number, variant=variant), output)
    if not quiet:
        click.echo(f"{len(columns):,} tracks on {len(table):,} rows → {output}", err=True)
