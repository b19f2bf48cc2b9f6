"""A node's ledgers by its commands: after new keys, several at once, decisions of a period."""

from __future__ import annotations

import ast
import json
import re
import secrets
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federated.cli.node import app
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import Ledger
from federated.node.home import NodeHome
from federated.node.rotation import rotate
from tests.unit.test_node_upkeep import SECRET, home

__all__ = ["home"]

ROOT = Path(__file__).parents[2]


def told(home: NodeHome, number: int, word: str, at: float) -> Path:
    """A job's ledger with a decision, made at a time."""
    session, keys = bytes([number] * 32), home.load_keys(SECRET)
    bank = PartyKeys.generate("bank").identity
    path = home.job(session) / "ledger.jsonl"
    pinned = {"bank": bank, "bureau": keys.identity}
    ledger = Ledger(path, keys, lambda: at, session, pinned)
    ledger.write(word, by="ann", why="planted", job="small churn", purpose="retention")
    ledger.write("ended", error="Declined")
    ledger.close()
    return path


def say(home: NodeHome, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["ledger", *words, "--home", str(home.path)])
    return done.exit_code, done.output + (str(done.exception) if done.exception else "")


def test_ledgers_from_before_new_keys(home: NodeHome) -> None:
    old = told(home, 1, "refused", 0)
    rotate(home, home.load_keys(SECRET), SECRET, secrets.token_bytes)
    told(home, 2, "approved", 0)
    assert say(home, "verify")[0] == 0
    assert say(home, "verify", "0101")[0] == 0
    lines = old.read_text().splitlines(keepends=True)
    old.write_text(lines[0] + lines[2])
    code, said = say(home, "verify")
    assert code == 1  # the root command makes 4 of it
    assert said.count("NOT WHOLE") == 1
    assert "all chained and signed by bureau" in said  # of the other, which came later
    assert "1 ledgers are not whole" in said


def test_decisions_of_a_period(home: NodeHome) -> None:
    for number, word in ((1, "refused"), (2, "approved"), (3, "refused")):
        told(home, number, word, time.mktime((2026, 3, 1 + number, 12, 0, 0, 0, 0, 0)))
    since, until = "2026-03-03", "2026-03-04T00:00"
    code, said = say(home, "export", "--decisions", "--since", since, "--until", until)
    assert code == 0
    (event,) = map(json.loads, said.splitlines())
    assert (event["event"], event["job"], event["by"]) == ("approved", "small churn", "ann")
    assert len(say(home, "export", "--decisions")[1].splitlines()) == 3
    assert "a time like" in say(home, "export", "--until", "tomorrow")[1]
    assert "small churn" in say(home, "show")[1]  # a denied job has its name


def kinds_written() -> set[str]:
    """What the code writes into ledgers, where the kind stands in the call."""
    found = set[str]()
    for path in [*(ROOT / "federated").rglob("*.py"), *(ROOT / "profiles").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("write", "once")
                and "ledger" in ast.unparse(node.func.value)
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.add(str(node.args[0].value))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "note":
                given = [one.value for one in node.args if isinstance(one, ast.Constant)]
                found |= {str(value) for value in given[:1]}  # into the node's own, under a lock
    return found


def test_the_document_lists_every_kind_of_line() -> None:
    text = (ROOT / "docs" / "LEDGER.md").read_text("utf-8").split("## Export")[0]
    cells = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", text, re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)}
    written = kinds_written()
    assert {
        "purged",
        "withdrawn",
        "officers",
        "rotated",
        "restored",
        "farewell",
        "refused",
    } <= written
    assert written <= listed
    fields = {"number", "time", "party", "kind", "body", "previous", "hash", "signature", "salt"}
    assert listed - written - fields == {"opened", "approved", "sent", "received"}


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_of_the_log(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    from federated.cli.logs import log_to_stderr

    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    level = logging.getLogger("fedprofile").level
    try:
        log_to_stderr(form)
        logging.getLogger("fedprofile.node").info("job %s calls", "1f3a", extra={"job": "1f3a"})
        said = capsys.readouterr().err
    finally:
        root.handlers = before
        logging.getLogger("fedprofile").setLevel(level)
    if form == "text":
        assert re.match(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z fedprofile.node INFO job 1f3a", said
        )
        return
    line = json.loads(said)
    assert (line["message"], line["job"], line["level"]) == ("job 1f3a calls", "1f3a", "info")
    assert line["time"].endswith("Z")
