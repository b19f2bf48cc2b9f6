"""`--help` of every command: nothing is cut off or escaped, every argument is explained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from profiles.cli import app, main


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


EVERY = dict(commands(get_command(app)))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_help_teaches(path: tuple[str, ...]) -> None:
    command = EVERY[path]
    text = command.get_help(click.Context(command, info_name="fedprofile", terminal_width=80))
    assert "\\" not in text
    assert not [line for line in text.splitlines()[1:] if line.endswith("...")]
    for parameter in command.params:
        assert parameter.help, f"{path}: nothing says what {parameter.name} is"


def test_a_newcomer_s_commands_stand_first() -> None:
    listed = EVERY[()].list_commands(click.Context(EVERY[()]))
    assert sorted(listed) == sorted(EVERY[()].commands)
    assert listed[:5] == ["demo", "new", "plan", "preflight", "run"]


def test_a_slip_is_answered_with_one_guess() -> None:
    said = CliRunner().invoke(app, ["node", "aprove"]).output
    assert said.count("Did you mean 'approve'?") == 1


def test_an_interrupted_run_says_how_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Left(Exception):
        pass

    def interrupted(**given: Any) -> None:
        raise KeyboardInterrupt("fedprofile job resume 3f9a01c2 goes on with it")

    def leave(code: int) -> None:
        raise Left(code)

    monkeypatch.setattr("profiles.cli.app", interrupted)
    monkeypatch.setattr("os._exit", leave)
    with pytest.raises(Left, match="130"):
        main()
    said = capsys.readouterr().err
    assert said.startswith("interrupted")
    assert "hint: fedprofile job resume 3f9a01c2 goes on with it" in said
