"""The help of `reelkeeper` can be read at a glance, and its examples are commands that there are."""

import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from reelkeeper_airflow.cli import main


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


ALL = dict(commands(main))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_says_what_each_command_does_in_whole_sentences(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*path, "--help"], terminal_width=80)
    assert shown.exit_code == 0
    assert "..." not in shown.output.replace("FILE...", "").replace("[ARGS]...", "")
    assert ALL[path].help


def test_examples_name_commands_and_options_that_there_are() -> None:
    examples = [
        line for command in ALL.values() for line in (command.epilog or "").splitlines() if "reelkeeper " in line
    ]
    assert len(examples) >= 10
    for line in examples:
        words = shlex.split(line.partition("   ")[0] if not line.startswith(" ") else line.strip().partition("   ")[0])
        words = [word for word in words if word not in ("|", ">")]
        command: click.Command = main
        for word in words[1:]:
            if isinstance(command, click.Group) and word in command.commands:
                command = command.commands[word]
            elif word.startswith("--"):
                known = {option for each in (main, command) for param in each.params for option in param.opts}
                assert word in known, line
        assert command is not main, line
