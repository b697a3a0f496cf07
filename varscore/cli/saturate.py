"""`varscore saturate`: every SNV of a region as a VCF, to be scored."""

import shlex
import sys

import click

from varscore.cli.common import overwrite_option, reports_errors


@click.command(context_settings={"show_default": True})
@click.argument("region")
@click.option("-f", "--fasta", required=True, metavar="FASTA", type=click.Path(), help="Reference, plain or bgzipped.")
@click.option(
    "-o", "--output", required=True, metavar="OUT.vcf", type=click.Path(dir_okay=False),
    help="The VCF to write; bgzipped if its name ends in .gz.",
)  # fmt: skip
@click.option(
    "--deletions",
    is_flag=True,
    help="Delete every single base, too. All that is right of a "
    "deletion moves against the bins, and its score holds that as well.",
)
@overwrite_option
@reports_errors
def saturate(region: str, fasta: str, output: str, deletions: bool, overwrite: bool, quiet: bool) -> None:
    """Write every SNV of REGION as a VCF, to be scored.

    So in-silico saturation mutagenesis begins. REGION is 1-based, both ends included. N in the reference are passed
    over.

    \b
      varscore saturate chr22:20,307,001-20,307,300 --fasta hg38.fa -o region.vcf
      varscore score region.vcf --fasta hg38.fa --window shared -o region.parquet
      varscore plot saturation region.parquet -t ENCFF833POA -o region.png
    """
    from varscore.analysis.saturation import write_saturation
    from varscore.store.scores import check_new_file

    check_new_file(output, overwrite=overwrite)
    command = shlex.join(["varscore", *sys.argv[1:]])
    made = write_saturation(region, fasta, output, deletions=deletions, command=command)
    if not quiet:
        more = f", {made.deletions:,} deletions" if deletions else ""
        more += f"; {made.unknown:,} unknown bases passed over" if made.unknown else ""
        click.echo(f"{made.snvs:,} SNVs{more} → {output}", err=True)
