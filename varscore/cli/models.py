"""`varscore models`: what there is, fetching it, checking it."""

import sys

import click

from varscore.cli.common import reports_errors


@click.group()
def models() -> None:
    """List models, download their files, verify them."""


@models.command("list")
@reports_errors
def list_models(quiet: bool) -> None:  # noqa: ARG001
    """List the models, and whether they are on this machine."""
    from rich.console import Console
    from rich.table import Table

    from varscore.network.download import weights_path
    from varscore.network.zoo import list_models

    table = Table("model", "tracks", "weights", "licence", "what it is", box=None, pad_edge=False)
    for spec in list_models():
        tracks = ", ".join(f"{table.tracks:,} {organism}" for organism, table in spec.track_tables.items())
        here = "here" if weights_path(spec) else f"to download, {spec.weights.size / 1e6:,.0f} MB"
        table.add_row(spec.name, tracks, here, spec.licence, spec.title)
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)


@models.command()
@click.argument("name", default="enformer")
@reports_errors
def download(name: str, quiet: bool) -> None:
    """Fetch weights and track tables of NAME, and check them.

    Weights go to the Hugging Face cache (HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE apply). If the connection drops, run
    it again: it goes on where it stopped. Track tables go to the folder VARSCORE_CACHE, or your system's cache.
    """
    from varscore.network.download import fetch_track_table, fetch_weights
    from varscore.network.zoo import get_model

    spec = get_model(name)
    paths = [fetch_weights(spec), *(fetch_track_table(spec, organism) for organism in spec.organisms)]
    if not quiet:
        for path in paths:
            click.echo(path)


@models.command()
@click.argument("name", required=False)
@click.option("--weights", metavar="FILE", type=click.Path(dir_okay=False), help="Check this file instead.")
@reports_errors
def verify(name: str | None, weights: str | None, quiet: bool) -> None:
    """Check the files of model NAME against their digests.

    Without NAME, of all models that are on this machine. Exit status 1 if a file is missing or not what was published.
    """
    from varscore.network.download import verify as verify_files
    from varscore.network.download import weights_path
    from varscore.network.zoo import get_model, list_models

    if weights and not name:
        raise click.UsageError("--weights needs the NAME of the model that the file should be")
    specs = [get_model(name)] if name else [spec for spec in list_models() if weights_path(spec)]
    good = True
    for spec in specs:
        for check in verify_files(spec, weights=weights):
            good &= check.status == "ok"
            if quiet:
                continue
            click.echo(f"{spec.name}\t{check.name}\t{check.status}\t{check.path or ''}")
            if check.status == "wrong digest":
                click.echo(f"  found    sha256 {check.found}\n  expected sha256 {check.expected}")
    if not good:
        sys.exit(1)
