"""What the subcommands share: errors, logging, options used more than once."""

import functools
import logging
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import click

from varscore.errors import VarscoreError

model_option = click.option(
    "--model", metavar="NAME", default="enformer", show_default=True,
    help="A model of `varscore models list`, or a folder with a model.toml.",
)  # fmt: skip
weights_option = click.option(
    "--weights", metavar="FILE", type=click.Path(dir_okay=False), help="Use this weights file (.bin, .safetensors)."
)
device_option = click.option(
    "--device", default="auto", metavar="DEVICE", show_default=True, help="auto, cpu, cuda or cuda:INDEX."
)
tracks_option = click.option(
    "-t", "--tracks", multiple=True, metavar="TRACK",
    help="Only these tracks: an identifier, an index or range (4675-5312), a pattern over descriptions "
    "('CAGE:.*liver'), or @FILE with one of these a line. Repeatable. Without it: all tracks.",
)  # fmt: skip
scores_argument = click.argument("scores", type=click.Path())
stat_option = click.option(
    "--stat", metavar="STAT", help="Which statistic, where the table has several.  [default: the table's first]"
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
precisions = click.Choice(["fp32", "tf32", "bf16"])
organism_option = click.option(
    "--organism", type=click.Choice(["human", "mouse"]), default="human", show_default=True,
    help="Whose tracks. The genome is whatever the FASTA holds.",
)  # fmt: skip
track_table_option = click.option(
    "--track-table", metavar="FILE", type=click.Path(dir_okay=False),
    help="Use this track table instead of the model's own.",
)  # fmt: skip


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Add --quiet and --debug, send the log to standard error, and turn errors into one message and exit status 1."""

    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(command)
    def wrapped(quiet: bool, debug: bool, **options: Any) -> None:
        _set_up_log(quiet)
        signal.signal(signal.SIGTERM, _terminate)
        try:
            command(quiet=quiet, **options)
        except Terminated as stop:
            _fail("terminated", stop, status=143)
        except KeyboardInterrupt as stop:
            _fail("interrupted", stop, status=130)
        except VarscoreError as error:
            if debug:
                raise
            _fail(str(error), error, status=1)

    return wrapped


def _fail(message: str, error: BaseException, status: int) -> NoReturn:
    for line in (f"varscore: error: {message}", *getattr(error, "__notes__", ())):
        click.echo(line, err=True)
    sys.exit(status)


class Terminated(KeyboardInterrupt):
    """A batch system's warning (SIGTERM), which ends a run as Ctrl-C does."""


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


def _set_up_log(quiet: bool) -> None:
    log = logging.getLogger("varscore")
    log.setLevel(logging.ERROR if quiet else logging.INFO)
    log.handlers = [_EchoHandler()]
    log.propagate = False


class _EchoHandler(logging.Handler):
    """Writes records to standard error as the command line writes everything else."""

    def emit(self, record: logging.LogRecord) -> None:
        mark = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        click.echo(f"varscore: {mark}{record.getMessage()}", err=True)
