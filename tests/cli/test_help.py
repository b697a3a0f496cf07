"""What the help says, in a terminal of 80 columns."""

import click
import pytest
from click.testing import CliRunner

from varscore.cli import main


@pytest.mark.parametrize("group", ["", "models", "plot", "export", "eqtl", "mpra"])
def test_no_command_is_cut_off_in_a_list(group):
    result = CliRunner().invoke(main, [*group.split(), "--help"], terminal_width=80)
    assert result.exit_code == 0
    commands = result.stdout.partition("Commands:")[2]
    assert commands.strip()
    assert "..." not in commands


def test_every_group_is_looked_at():
    context = click.Context(main)
    groups = [name for name in main.list_commands(context) if isinstance(main.get_command(context, name), click.Group)]
    assert sorted(groups) == ["eqtl", "export", "models", "mpra", "plot"]
