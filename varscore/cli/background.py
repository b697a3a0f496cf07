"""`varscore background`: the distribution of each track's scores over common variants."""

import shlex
import sys

import click

from varscore.cli.common import overwrite_option, reports_errors, scores_argument


@click.command()
@scores_argument
@click.option(
    "-o", "--output", required=True, metavar="OUT.parquet", type=click.Path(), help="The background to write."
)
@click.option(
    "--vcf", metavar="VCF", type=click.Path(),
    help="Count only alleles that are common in this VCF, by INFO/AF, else AC and AN, else its genotypes.",
)  # fmt: skip
@click.option(
    "--maf", metavar="MAF", type=click.FloatRange(0, 0.5),
    help="The smallest minor allele frequency in --vcf.  [default: 0.01]",
)  # fmt: skip
@overwrite_option
@reports_errors
def background(scores: str, output: str, vcf: str | None, maf: float | None, overwrite: bool, quiet: bool) -> None:
    """Keep the distribution of common variants' scores.

    `varscore quantiles` takes it. SCORES is a table of `varscore score`, of common variants, or of any with a --vcf
    that says which are. Take ten thousand or more from all over the genome. The background has 535 quantiles for each
    track and statistic: 2 kB.

    \b
      varscore background common.parquet -o background.parquet
      varscore background scores.parquet --vcf 1000G.vcf.gz --maf 0.05 -o background.parquet
    """
    if maf is not None and vcf is None:
        raise click.UsageError("--maf needs --vcf, which has the frequencies")
    from varscore.analysis.background import DEFAULT_MAF, make_background

    made = make_background(
        scores,
        output,
        vcf=vcf,
        maf=DEFAULT_MAF if maf is None else maf,
        overwrite=overwrite,
        command=shlex.join(["varscore", *sys.argv[1:]]),
    )
    if not quiet:
        click.echo(
            f"{made.common:,} of {made.rows:,} {made.kind} → {made.distributions:,} distributions → {made.place}",
            err=True,
        )
