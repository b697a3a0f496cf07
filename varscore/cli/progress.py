"""How far a run is: a bar where a terminal is attached, plain lines where not."""

import contextlib
import time
from collections.abc import Callable, Iterator

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Report = Callable[[int, int], None]

LINE_EVERY = 10.0
"""Seconds between plain lines."""


class RateColumn(ProgressColumn):
    """Alleles per second, or seconds per allele where that is the larger number."""

    def render(self, task: Task) -> Text:
        """Empty until the first alleles are done."""
        return Text(describe_rate(task.speed) if task.speed else "")


def describe_rate(per_second: float) -> str:
    """`3.2 alleles/s` or `8.1 s/allele`."""
    return f"{per_second:,.1f} alleles/s" if per_second >= 1 else f"{1 / per_second:,.1f} s/allele"


def describe_time(seconds: float) -> str:
    """`40 s`, `12 min` or `5.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"


@contextlib.contextmanager
def show_progress(quiet: bool) -> Iterator[Report | None]:
    """Show progress on standard error while the block runs; None where nothing is to be shown."""
    console = Console(stderr=True)
    if quiet:
        yield None
    elif console.is_terminal:
        with _bar(console) as report:
            yield report
    else:
        yield _lines()


@contextlib.contextmanager
def _bar(console: Console) -> Iterator[Report]:
    columns = (
        TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), RateColumn(),
        TimeRemainingColumn(), TextColumn("left"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("scoring", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines() -> Report:
    began = last = time.monotonic()
    before = None

    def report(done: int, total: int) -> None:
        nonlocal last, before
        # what was there when the run began says nothing of its pace
        before = done if before is None else before
        now = time.monotonic()
        # of an allele that is half done, nothing is known yet
        if now - last < LINE_EVERY or done == before:
            return
        last = now
        rate = (done - before) / (now - began)
        left = describe_time((total - done) / rate)
        click.echo(f"varscore: {done:,} of {total:,} alleles, {describe_rate(rate)}, {left} left", err=True)

    return report
