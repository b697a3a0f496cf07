"""`varscore export`: score tables in the formats of other programs."""

import click

from varscore.cli.common import overwrite_option, reports_errors, scores_argument, tracks_option
from varscore.errors import OptionError

some_tracks_option = click.option(
    "-t", "--tracks", multiple=True, required=True, metavar="TRACK",
    help="These tracks: an identifier, an index or range, a pattern over descriptions ('CAGE:.*liver'), or @FILE with "
    "one of these a line. Repeatable. '.' is all.",
)  # fmt: skip
stats_option = click.option(
    "--stat", "stats", multiple=True, metavar="STAT",
    help="Which statistic, where the table has several. Repeatable.  [default: the table's first]",
)  # fmt: skip


def output_option(metavar: str, text: str):
    """-o, whose ending says the format."""
    return click.option("-o", "--output", required=True, metavar=metavar, type=click.Path(), help=text)


@click.group()
def export() -> None:
    """Write scores as VCF, BED, HDF5 or in long form."""


@export.command()
@scores_argument
@tracks_option
@stats_option
@click.option(
    "--min", "minimum", type=click.FloatRange(min=0), default=0, metavar="SIZE",
    help="Leave out rows whose score (of the first STAT) is smaller in size.",
)  # fmt: skip
@output_option("OUT", "A file to write: .parquet, .tsv or .tsv.gz.")
@overwrite_option
@reports_errors
def long(
    scores: str,
    tracks: tuple[str, ...],
    stats: tuple[str, ...],
    minimum: float,
    output: str,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write one row for each allele and track that has a score.

    SCORES is a file or a folder that `varscore score` wrote, of alleles or of alleles and genes. With all tracks, the
    long form of Enformer's scores has 5,313 rows for each allele: choose tracks, or a --min.

    \b
      varscore export long scores.parquet -t 'CAGE:.*liver' -o liver.tsv.gz
    """
    from varscore.analysis.export.long import export_long
    from varscore.store.table import ScoreTable

    table = ScoreTable(scores)
    rows = export_long(table, output, tracks=tracks, statistics=stats, minimum=minimum, overwrite=overwrite)
    if not quiet:
        click.echo(f"{rows:,} rows → {output}", err=True)


@export.command()
@scores_argument
@click.option("--vcf", required=True, metavar="VCF", type=click.Path(), help="The VCF or BCF that was scored.")
@some_tracks_option
@stats_option
@output_option("OUT", "A file to write: .vcf.gz or .bcf. An index goes beside it.")
@overwrite_option
@reports_errors
def vcf(
    scores: str,
    vcf: str,
    tracks: tuple[str, ...],
    stats: tuple[str, ...],
    output: str,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write the VCF that was scored, with scores in INFO.

    All records stay as they are, in their order, with their samples. For each chosen track there is an INFO field,
    such as SAD_CNhs10608, with a number for each ALT, and `.` for what has no score.

    \b
      varscore export vcf scores.parquet --vcf variants.vcf.gz -t 'CAGE:.*liver' -o scored.vcf.gz
      bcftools query -f '%CHROM %POS %INFO/SAD_CNhs10608\\n' scored.vcf.gz
    """
    from varscore.analysis.export.vcf import export_vcf
    from varscore.store.table import ScoreTable

    written = export_vcf(ScoreTable(scores), vcf, output, tracks=tracks, statistics=stats, overwrite=overwrite)
    if not quiet:
        fields = written.fields[:3] + [f"{len(written.fields) - 3:,} more"] * (len(written.fields) > 3)
        click.echo(
            f"{written.alleles:,} alleles of {written.records:,} records with {', '.join(fields)} → {output}", err=True
        )


@export.command()
@scores_argument
@some_tracks_option
@stats_option
@output_option("OUT", "A file to write: .bed or .bedgraph, and .gz after it for a bgzipped and indexed one.")
@overwrite_option
@reports_errors
def bed(
    scores: str, tracks: tuple[str, ...], stats: tuple[str, ...], output: str, overwrite: bool, quiet: bool
) -> None:
    """Write where the scored alleles are, 0-based and half-open.

    \b
    .bed       for bedtools and tabix: chrom, start, end, name, score from 0 to
               1000, strand, and a column for each track
    .bedgraph  for genome browsers: one track; of several alleles at a position,
               the strongest

    \b
      varscore export bed scores.parquet -t CNhs10608 -o liver.bedgraph.gz
    """
    from varscore.analysis.export.bed import export_bed
    from varscore.store.table import ScoreTable

    try:
        lines = export_bed(ScoreTable(scores), output, tracks=tracks, statistics=stats, overwrite=overwrite)
    except OptionError as error:
        raise click.UsageError(str(error)) from error
    if not quiet:
        click.echo(f"{lines:,} lines → {output}", err=True)


@export.command()
@scores_argument
@tracks_option
@click.option("--stat", "stats", multiple=True, metavar="STAT", help="Only this statistic. Repeatable.  [default: all]")
@click.option("--float32", "single", is_flag=True, help="Scores in float32 instead of the layout's float16.")
@output_option("OUT.h5", "A file to write.")
@overwrite_option
@reports_errors
def hdf5(
    scores: str,
    tracks: tuple[str, ...],
    stats: tuple[str, ...],
    single: bool,
    output: str,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write basenji's sad.h5, for the scripts that read it.

    It has the form of Enformer's published scores: arrays snp, chr, pos, ref, alt, target_ids, target_labels, and one
    of alleles and tracks for each statistic, in float16. To these come percentiles and STAT_pct, as basenji_sad.py
    writes them. Alleles without scores are left out.

    \b
      varscore export hdf5 scores.parquet -o sad.h5
    """
    from varscore.analysis.export.hdf5 import export_hdf5
    from varscore.store.table import ScoreTable

    table = ScoreTable(scores)
    alleles = export_hdf5(table, output, tracks=tracks, statistics=stats, single=single, overwrite=overwrite)
    if not quiet:
        click.echo(f"{alleles:,} of {len(table):,} alleles → {output}", err=True)
