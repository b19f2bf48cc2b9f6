"""A node's ledgers by its commands: after new keys, several at once, decisions of a period."""

from __future__ import annotations

import ast
import json
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federated.cli.node import app
from federated.keys.keyfile import load_keys
from federated.keys.officers import OfficerKey, load_officers
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import Ledger, read_ledger
from federated.node import rotation
from federated.node.home import NodeHome
from federated.node.officers import change_officers
from federated.node.own_ledger import own_paths
from federated.node.rotation import rotate
from psi.protocol import InputError
from tests.unit.test_node_upkeep import SECRET, home

__all__ = ["home"]

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases are stretched as little as can be: dozens of files are opened here."""
    monkeypatch.setattr("federated.keys.keyfile._COST", 2)


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


STEPS = ["write_identity", "node_ledger", "write_officers", "sync_folder"]


@pytest.mark.parametrize("after", range(7))
def test_a_rotation_that_was_killed_is_finished(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """At each of its writes; until then nothing opens the party's keys, and no line is lost."""
    person = OfficerKey.make("ann", home.path.parent / "ann.key", SECRET, secrets.token_bytes)
    card = person.write_card(home.path.parent / "ann.card.json")
    change_officers(home, home.load_keys(SECRET), lambda people: (*people, card))
    old, count = home.load_keys(SECRET), 0

    def dies(step: Callable[..., Any]) -> Callable[..., Any]:
        def played(*given: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count > after:
                raise KeyboardInterrupt
            return step(*given, **named)

        return played

    with monkeypatch.context() as killed:
        for name in STEPS:
            killed.setattr(rotation, name, dies(getattr(rotation, name)))
        try:
            rotate(home, old, SECRET, secrets.token_bytes)
            assert count == after == 6, "every write is played"
        except KeyboardInterrupt:
            assert home.next_keys.exists() or count == 6  # after the last, all is done
    if home.next_keys.exists():
        with pytest.raises(InputError, match="new keys were being made") as refused:
            home.load_keys(SECRET)
        assert "fedprofile node keys rotate" in refused.value.hint
        rotate(home, load_keys(home.keys, SECRET), SECRET, secrets.token_bytes)
    new = home.load_keys(SECRET).identity
    assert new == home.identity != old.identity
    code, said = say(home, "verify")
    assert code == 0, said
    assert said.count("all chained and signed by bureau") == 2
    before, now = own_paths(home)
    kinds = [[line["kind"] for line in read_ledger(path)] for path in (before, now)]
    assert kinds == [["opened", "officers", "rotated"], ["opened", "rotated", "officers"]]
    listed = load_officers(home.path, new)
    assert listed is not None
    assert [person.name for person in listed.people] == ["ann"]


def test_the_nodes_own_ledger_is_verified(home: NodeHome) -> None:
    """Over its keys; and the list of officers is the last that it has."""
    keys = home.load_keys(SECRET)
    cards = []
    for name in ("ann", "ben"):
        person = OfficerKey.make(name, home.path.parent / name, SECRET, secrets.token_bytes)
        cards.append(person.write_card(home.path.parent / f"{name}.card.json"))
    change_officers(home, keys, lambda people: tuple(cards))
    both = (home.path / "officers.json").read_text()
    change_officers(home, keys, lambda people: people[:1])
    assert say(home, "verify")[0] == 0
    (home.path / "officers.json").unlink()  # users of the machine would decide again
    assert "officers.json is missing" in say(home, "verify")[1]
    (home.path / "officers.json").write_text(both)  # and here Ben again
    assert "officers.json is list 1, the node's ledger has another, 2" in say(home, "verify")[1]
    change_officers(home, keys, lambda people: people[:1])
    rotate(home, keys, SECRET, secrets.token_bytes)
    rotate(home, home.load_keys(SECRET), SECRET, secrets.token_bytes)
    code, said = say(home, "verify")
    assert (code, said.count("all chained")) == (0, 3), said
    first, second, last = own_paths(home)
    for path, text, wrong in (
        (first, "", "missing"),
        (second, second.read_text().rsplit("\n", 2)[0] + "\n", "the keys that came next"),
        (last, last.read_text().replace("officers", "officer_"), "the line was altered"),
    ):
        whole = path.read_text()
        path.write_text(text) if text else path.unlink()
        code, said = say(home, "verify")
        assert code == 1
        assert "NOT WHOLE" in said
        assert wrong in said
        path.write_text(whole)
    events = [json.loads(line) for line in say(home, "export", "--decisions")[1].splitlines()]
    turned = ["rotated", "rotated", "officers"]
    assert [event["event"] for event in events] == ["officers"] * 3 + turned * 2
    people = [event["people"] for event in events if event["event"] == "officers"]
    assert people == ["ann (officer),ben (officer)"] + ["ann (officer)"] * 4


def test_an_officers_stop_is_a_decision(home: NodeHome) -> None:
    path = told(home, 1, "approved", 0)
    ledger = Ledger(path, home.load_keys(SECRET), lambda: 0, bytes([1] * 32), {})
    ledger.write("ended", error="Stopped")
    ledger.close()
    events = [json.loads(line) for line in say(home, "export", "--decisions")[1].splitlines()]
    assert [(event["event"], event.get("error"), event["job"]) for event in events] == [
        ("approved", None, "small churn"),
        ("ended", "Stopped", "small churn"),
    ]


def test_a_steps_no_names_its_job(home: NodeHome) -> None:
    ledger = Ledger(
        told(home, 1, "approved", 0), home.load_keys(SECRET), lambda: 0, bytes([1] * 32), {}
    )
    ledger.write("refused", by="guard", why="6 bits asked, 5 allowed", step="train")
    ledger.close()
    *_, event = map(json.loads, say(home, "export", "--decisions")[1].splitlines())
    assert (event["step"], event["job"], event["purpose"]) == ("train", "small churn", "retention")


def test_decisions_of_a_period(home: NodeHome) -> None:
    for number, word in ((3, "refused"), (2, "approved"), (1, "refused")):
        told(home, number, word, time.mktime((2026, 3, 1 + number, 12, 0, 0, 0, 0, 0)))
    since, until = "2026-03-03", "2026-03-04T00:00"
    code, said = say(home, "export", "--decisions", "--since", since, "--until", until)
    assert code == 0
    (event,) = map(json.loads, said.splitlines())
    assert (event["event"], event["job"], event["by"]) == ("approved", "small churn", "ann")
    times = [json.loads(line)["time"] for line in say(home, "export", "--decisions")[1].split("\n")
             if line]  # fmt: skip
    assert len(times) == 3
    assert times == sorted(times)
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
