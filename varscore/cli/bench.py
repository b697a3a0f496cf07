"""`varscore bench`: how fast, in how much memory and how accurate, on this machine."""

import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from varscore.bench.cases import SPEED_CASES
from varscore.cli.common import device_option, model_option, precisions, reports_errors, weights_option

if TYPE_CHECKING:
    from varscore.bench.run import Report


@click.command(context_settings={"show_default": True})
@model_option
@weights_option
@device_option
@click.option(
    "--case", "cases", multiple=True, type=click.Choice(SPEED_CASES), default=SPEED_CASES,
    help="What to time: four forwards of the PyPI package (where installed) or of varscore's plain engine; one allele "
    "alone; alleles within 1 kb, in centred windows or sharing one. Repeatable.",
)  # fmt: skip
@click.option(
    "--precision", "precisions", multiple=True, type=precisions, default=("fp32", "bf16"),
    help="Of the difference engine. Repeatable.",
)  # fmt: skip
@click.option("--alleles", type=click.IntRange(min=1), default=16, metavar="N", help="Of the cases dense and shared.")
@click.option("--repeats", type=click.IntRange(min=1), default=1, metavar="N", help="Runs of each case.")
@click.option("--errors/--no-errors", default=True, help="Measure SAD's error against float64 too.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False), metavar="FILE", help="Write all figures here.")
@reports_errors
def bench(json_file: str | None, quiet: bool, **options: Any) -> None:
    """Time the ways of scoring, and measure their errors.

    On all human tracks, both strands and SNVs of a drawn sequence. Weights are the model's own where they are on this
    machine, else drawn ones of the same size. With Enformer on two cores the whole takes the better part of an hour.

    \b
      varscore bench --case plain --case shared --no-errors
      varscore bench --model enformer-tiny
    """
    from varscore.bench.run import run_bench
    from varscore.store.scores import check_file

    if json_file:
        check_file(Path(json_file))
    report = run_bench(**options)
    if not quiet:
        show_report(report)
    if json_file:
        Path(json_file).write_text(report.as_json() + "\n")


def show_report(report: "Report") -> None:
    """Two tables on standard output: speed and memory, and errors."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    console.print(f"{report.model}, weights: {report.weights}; {machine}")
    if report.speed:
        table = Table("case", "precision", box=None, pad_edge=False)
        for title in ("alleles", "s/allele", "spread", "vs plain", "vs enformer-pytorch", "peak memory"):
            table.add_column(title, justify="right")
        for one in report.speed:
            seconds = sorted(one.seconds_per_allele)
            ratios = (f"{times:.1f}×" if times else "" for times in (one.times_plain, one.times_peer))
            table.add_row(
                one.case.name, one.case.precision, str(one.case.alleles), f"{median(seconds):.3g}",
                f"{seconds[0]:.3g}–{seconds[-1]:.3g}", *ratios, f"{one.peak_bytes / 2**30:.2f} GiB",
            )  # fmt: skip
        console.print()
        console.print(table)
    if report.errors:
        table = Table("engine", "precision", box=None, pad_edge=False)
        table.add_column("error of SAD against float64", justify="right")
        for error in report.errors:
            table.add_row(error.case.engine, error.case.precision, f"{error.error:.1e}")
        console.print()
        console.print(table)
