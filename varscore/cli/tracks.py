"""`varscore tracks`: list and search a model's tracks."""

import sys

import click

from varscore.cli.common import model_option, organism_option, reports_errors, track_table_option


@click.command(context_settings={"show_default": True})
@click.argument("selectors", nargs=-1, metavar="[TRACK]...")
@model_option
@organism_option
@track_table_option
@reports_errors
def tracks(selectors: tuple[str, ...], model: str, organism: str, track_table: str | None, quiet: bool) -> None:
    """List tracks: all, or those that any TRACK selects.

    TRACK is what `varscore score --tracks` takes: an identifier, an index or range, or a pattern over descriptions.
    A table in a terminal; index, identifier and description separated by tabs in a pipe.

    \b
      varscore tracks 'DNASE:.*K562' 'CAGE:.*liver'
      varscore tracks --organism mouse | cut -f 2
    """
    from varscore.network.download import fetch_track_table
    from varscore.network.tracks import load_tracks, select_tracks
    from varscore.network.zoo import get_model

    spec = get_model(model)
    table = fetch_track_table(spec, organism, table=track_table)
    known = load_tracks(table, spec.track_table(organism).tracks)
    chosen = [known[i] for i in select_tracks(known, selectors or None)]
    if not sys.stdout.isatty():
        for track in chosen:
            click.echo(f"{track.index}\t{track.identifier}\t{track.description}")
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table("index", "identifier", "description", box=None, pad_edge=False)
    for track in chosen:
        shown.add_row(str(track.index), track.identifier, track.description)
    console = Console(highlight=False)
    console.print(shown)
    if not quiet:
        click.echo(f"{len(chosen):,} of {len(known):,} {organism} tracks of {spec.name}", err=True)
