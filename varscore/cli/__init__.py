"""The command line: options, one library call, what the person sees."""

import importlib

import click

from varscore import __version__


class LazyGroup(click.Group):
    """Imports a subcommand's file when it is asked for."""

    COMMANDS = (
        "score",
        "merge",
        "top",
        "report",
        "plot",
        "export",
        "background",
        "quantiles",
        "eqtl",
        "sldp",
        "mpra",
        "saturate",
        "tracks",
        "models",
        "bench",
    )

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order of a first visit."""
        return list(self.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of `varscore.cli.NAME`, called NAME there too."""
        if cmd_name not in self.COMMANDS:
            return None
        return getattr(importlib.import_module(f"varscore.cli.{cmd_name}"), cmd_name)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="varscore", message="%(prog)s %(version)s")
def main() -> None:
    """What does this variant do to gene regulation?

    Scores every allele of a VCF with the Enformer network: how much predicted chromatin accessibility, transcription
    factor binding, histone marks and CAGE expression change, track by track.

    \b
    First run, nothing to download (a toy model, trained on a simulation):
      varscore score variants.vcf --fasta genome.fa --model enformer-tiny -o scores.parquet
    With Enformer's published weights (1 GB, fetched once):
      varscore models download enformer
      varscore score variants.vcf --fasta genome.fa -o scores.parquet
    """
