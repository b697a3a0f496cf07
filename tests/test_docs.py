"""The README against the program. `python -m tests.test_docs` writes the help pages into it anew."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from varscore.cli import main
from varscore.genome.variant import Status

README = Path(__file__).resolve().parents[1] / "README.md"
HELP = re.compile(r"(?<=^```text\n)\$ varscore(?P<command>( [a-z]+)*) --help\n.*?(?=^```$)", re.MULTILINE | re.DOTALL)


def commands(
    command: click.Command = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its path, the groups too: (), ("score",), ("models", "list"), …"""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


PATHS = {" ".join(path): command for path, command in commands()}


def shown(match: re.Match[str]) -> str:
    """What a terminal of 100 columns shows for the command of a help page."""
    arguments = [*match["command"].split(), "--help"]
    result = CliRunner().invoke(main, arguments, prog_name="varscore", terminal_width=98)
    return f"$ varscore {' '.join(arguments)}\n{result.output}"


def test_the_help_pages_are_those_of_the_program():
    readme = README.read_text()
    assert HELP.sub(shown, readme) == readme, "run `python -m tests.test_docs`, which brings them up to date"


@pytest.mark.parametrize("path", PATHS)
def test_every_command_and_option_is_there(path):
    readme = README.read_text()
    assert " ".join(["\n$ varscore", *path.split(), "--help\n"]) in readme
    names = {name for option in PATHS[path].params if isinstance(option, click.Option) for name in option.opts}
    missing = {name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", readme)}
    assert not missing


def test_every_status_is_explained():
    readme = README.read_text()
    assert [status.value for status in Status if f"| `{status.value}` |" not in readme] == []


def test_the_quick_start_is_two_commands():
    [section] = re.findall(r"^## Quick start\n(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert all(block.count("\n") == 1 for block in blocks)
    assert all(block.startswith("pip install -c constraints.txt ") for block in blocks)
    assert "varscore score examples/demo.vcf" in blocks[0]
    assert blocks[1].endswith("&& pytest\n")


def test_links_within_the_project_lead_somewhere():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", README.read_text())
    assert [link for link in links if not (README.parent / link).exists()] == []


if __name__ == "__main__":
    README.write_text(HELP.sub(shown, README.read_text()))
