"""The commands of docs/FLOWS.md, as they are written, on the demo's world with fewer rows."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pandas as pd
import pytest
from typer.main import get_command

from profiles.cli import app
from profiles.demo import write_world
from tests.unit.profiles.flows.made import opened_once

CHAPTER = Path(__file__).parents[4] / "docs/FLOWS.md"
NAMED = ("explain", "breaks", "links", "views")
"""Commands with an id, an entity, a day or views of the demo's world; others name files alone."""


def commands(block: int) -> list[list[str]]:
    text = CHAPTER.read_text("utf-8").split("```\n")[block]
    return [shlex.split(line, comments=True)[1:] for line in text.splitlines()]


def test_each_command_takes_the_options_that_the_chapter_gives() -> None:
    demo, *own = commands(1)
    assert demo == ["demo", "--write", "my-world", "&&", "cd", "my-world"]
    for words in own + commands(3):
        command: click.Command = get_command(app)
        at = 0
        while isinstance(command, click.Group) and command.name != "taxonomy":
            command, at = command.commands[words[at]], at + 1
        command.make_context(str(command.name), words[at:])


def test_what_the_chapter_names_is_in_the_demos_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_world(tmp_path)
    rows = pd.read_parquet(tmp_path / "bank_transactions.parquet")
    company = (rows["account"] == "1000001") | (rows["counterparty_account"] == "1000001")
    named = company | (rows["serial"] == "T0004711") | (rows["time"] >= "2025-12-31")
    rows[named].to_parquet(tmp_path / "bank_transactions.parquet")
    monkeypatch.chdir(tmp_path)
    opened_once(monkeypatch)
    said = dict[str, str]()
    for words in commands(1):
        if words[1] in NAMED and len(words) > 4:
            app(words, standalone_mode=False)
            said[" ".join(words[1:3])] = capsys.readouterr().out
    assert list(said) == ["explain T0004711", "breaks --tables", "links B000001", "views --tables"]
    assert "C.salary" in said["explain T0004711"]
    assert "B000001 (B) -> persons" in said["links B000001"]
    assert (tmp_path / "features.parquet").stat().st_size > 0
