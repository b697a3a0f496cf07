"""`varscore merge`: a folder of parts into one file."""

import click

from varscore.cli.common import overwrite_option, reports_errors


@click.command(context_settings={"show_default": True})
@click.argument("folder", type=click.Path())
@click.option(
    "-o", "--output", required=True, metavar="OUT.parquet", type=click.Path(), help="The file to write, or its address."
)
@overwrite_option
@reports_errors
def merge(folder: str, output: str, overwrite: bool, quiet: bool) -> None:
    """Join the parts that a run's shards left in FOLDER.

    Every part is checked. If one is missing or damaged, nothing is written; run its shard again.

    \b
      varscore merge scores/ -o scores.parquet
    """
    from varscore.store.output import merge_folder

    merged = merge_folder(folder, output, overwrite=overwrite)
    if not quiet:
        parts = "part" if merged.parts == 1 else "parts"
        click.echo(f"{merged.rows:,} rows of {merged.parts:,} {parts} → {output}", err=True)
