"""A rehearsal: what it shows, and that nothing leaves, changes or stays."""

from __future__ import annotations

import _thread
import importlib
import json
import pkgutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

import federated
import psi
from federated.approval.decision import Request
from federated.approval.inbox import Inbox
from federated.approval.policy import Policy
from federated.contract.terms import Contract, suites_for
from federated.keys.party_keys import PartyKeys
from federated.rehearsal import in_lines, plain_data, rehearse
from federated.rehearsal.contents import MESSAGES, holds
from federated.rehearsal.invented import made
from federated.releases.limits import ReleaseLimits
from federated.store.plain import to_plain
from federated.tables.source import MemorySource
from profiles.cli import app
from profiles.job import Job
from profiles.proposal import draft, nameless_draft
from psi.identifiers import KINDS, clean
from psi.protocol import InputError, Role
from tests.unit.test_release_guard import JOB

ROWS = 60
PEOPLE = [f"planted{i:03d}" for i in range(ROWS)]
TABLES = """
[bureau.people]
path = "people.csv"
keys = ["id"]
permissions = { loans = "aggregate" }
"""
STEPS = {
    "psi.ecdh": "align",
    "psi.vole": "align",
    "psi.align": "align",
    "federated.aggregate.rows_party": "rows",
    "federated.aggregate.amount_party": "category",
    "federated.aggregate.category_party": "category",
    "federated.aggregate.history": "known",
    "federated.aggregate.share_kinds": "lanes",
    "federated.aggregate.share_parts": "parts",
    "federated.aggregate.share_category": "category",
    "federated.aggregate": "aggregate",
    "federated.binning": "binning",
    "federated.join_sum": "join_sum",
    "federated.regression": "train",
    "federated.trees": "train",
    "federated.hidden_trees.score": "score",
    "federated.hidden_trees": "train",
    "federated.horizontal": "train",
    "federated.counted.list": "listed",
    "federated.counted": "counted",
    "federated.scoring": "score",
    "federated.sharing": "sums",
    "federated.contract.negotiation": "contract",
    "federated.session.last_round": "finish",
}


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **options: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", forbidden)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A bureau's node with a table, a proposal that waits, and traces of earlier jobs."""
    place = tmp_path / "node"
    for folder in ("desk", "releases", "tags", "jobs"):
        (place / folder).mkdir(parents=True)
    (place / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "nowhere:1"\n')
    (place / "policy.toml").write_text("")
    (place / "quota.json").write_text('{"day": "2026-01-01", "sessions": {}}')
    (place / "releases" / "book").write_bytes(b"sealed")
    (place / "tables.toml").write_text(TABLES)
    lines = "\n".join(f"{person},{i}" for i, person in enumerate(PEOPLE))
    (place / "people.csv").write_text(f"id,loans\n{lines}\n")
    (tmp_path / "job.toml").write_text(JOB)
    identities = {n: PartyKeys.generate(n).identity for n in ("bank", "bureau")}
    nonce = bytes.fromhex("ab" * 32)
    job = Job.load(tmp_path / "job.toml").adding(("sums",))
    asked = draft(job, identities, nonce, time.time())
    Inbox(place / "desk").put(Request(nonce, "bureau", asked), time.time() + 3600)
    return place


def command(*words: object) -> str:
    done = CliRunner().invoke(app, ["node", "rehearse", *map(str, words)])
    if done.exception:
        raise done.exception
    return done.output


def contents(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    } | {str(p): (b"", 0, p.stat().st_mode) for p in folder.rglob("*") if p.is_dir()}


def test_an_officer_sees_every_message_of_a_waiting_proposal_and_nothing_changes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    before = contents(home)
    text = command("abab", "--home", home)
    found = json.loads(command("abab", "--home", home, "--json"))
    assert contents(home) == before
    assert not list(private.iterdir())
    assert "planted" not in text + json.dumps(found)

    assert 'Rehearsal of "counts" for "test", at bureau' in text
    assert "real: all 60 rows of bureau.people" in text
    assert "to bank: numbers of each row under pads, of which the other side gets sums" in text
    assert "so bank learns which of its own records bureau has" in text
    assert "waits for an officer" in text
    assert "Ended after its last step" in text
    assert found["ended"] == ""
    assert found["rows"] == found["rows_of_table"] == ROWS
    steps = list(dict.fromkeys(entry["step"] for entry in found["messages"]))
    assert steps == [
        "contract", "align/bureau/0", "align/bureau/order", "known/bureau", "lanes/bureau",
        "sums/0/bureau", "aggregate/0/bureau", "finish",
    ]  # fmt: skip
    assert all(entry["bytes"] > 0 and entry["holds"] for entry in found["messages"])


def test_a_contract_in_a_file_and_a_job_file_are_rehearsed_too(home: Path, tmp_path: Path) -> None:
    contract = to_plain(Inbox(home / "desk").find("abab").request.contract)
    (tmp_path / "contract.json").write_text(
        json.dumps({"id": "as show says", "contract": contract})
    )
    (tmp_path / "job.toml").write_text(JOB.split("[[aggregate]]", maxsplit=1)[0])
    for name in ("contract.json", "job.toml"):
        assert "Ended after its last step" in command(tmp_path / name, "--home", home)
    (tmp_path / "contract.json").write_text('{"contract": 5}')
    with pytest.raises(InputError, match="not a contract"):
        command(tmp_path / "contract.json", "--home", home)
    (tmp_path / "job.toml").write_text(JOB.replace("bureau", "registry"))
    with pytest.raises(InputError, match="bureau has no part in this job"):
        command(tmp_path / "job.toml", "--home", home)


def test_encryption_is_rehearsed_where_policy_names_it(home: Path, tmp_path: Path) -> None:
    asked = JOB.replace("[[aggregate]]", '[[aggregate]]\nprotocol = "paillier"')
    (tmp_path / "job.toml").write_text(asked)
    (home / "policy.toml").write_text('[limits]\naggregate_protocols = ["sums"]\n')
    assert "'paillier' asked, sums allowed" in command(tmp_path / "job.toml", "--home", home)
    (home / "policy.toml").write_text("")
    found = json.loads(command(tmp_path / "job.toml", "--home", home, "--json"))
    assert found["ended"] == ""
    steps = list(dict.fromkeys(entry["step"] for entry in found["messages"]))
    assert steps[-4:-1] == ["known/bureau", "rows/bureau", "aggregate/0/bureau"]
    assert not [e for e in found["messages"] if e["holds"].startswith("a message of the kind")]


def test_a_policy_that_refuses_is_told_before_anything_is_read(home: Path) -> None:
    (home / "policy.toml").write_text('[proposals]\npurposes = ["fraud"]\n')
    text = command("abab", "--home", home)
    assert "Policy: refuses: purpose 'test' asked" in text
    assert "Ended early" in text
    assert "to bank" not in text


@pytest.fixture
def job(tmp_path: Path) -> Contract:
    (tmp_path / "job.toml").write_text(JOB)
    made = nameless_draft(Job.load(tmp_path / "job.toml"))
    made = replace(made, aggregate=(), suites=suites_for(made.align))
    parties = tuple(replace(p, measures=(), segments=()) for p in made.parties)
    return replace(made, parties=parties)


def people(rows: int) -> MemorySource:
    table = pa.table({"id": [f"planted{i}" for i in range(rows)], "loans": np.arange(1.0 * rows)})
    return MemorySource({"bureau.people": table})


def test_a_cap_on_rows_is_said_and_gives_way_to_the_minimum(job: Contract) -> None:
    found = rehearse(job, "bureau", people(400), Policy(), rows=50)
    assert (found.rows, found.of) == (50, 400)
    assert any("only 50 of 400 rows were taken" in line for line in in_lines(found, Policy()))
    higher = replace(job, align=(replace(job.align[0], minimum_overlap=80),))
    found = rehearse(higher, "bureau", people(400), Policy(), rows=50)
    assert found.rows == 120
    assert found.ended == ""


@pytest.mark.slow
def test_trees_that_tell_nothing_are_played_with_as_many_rows_as_they_need(tmp_path: Path) -> None:
    asked = JOB.split("[[aggregate]]", maxsplit=1)[0]
    for table, column in (("bank.people", "age"), ("bureau.people", "loans")):
        name = f'table = "{table}"\n'
        asked = asked.replace(name, f'{name}features = ["{column}"]\n')
    trees = 'model = "trees"\ntells = "nothing"\ntrees = 1\ndepth = 1\nscore_bits = 1\n'
    (tmp_path / "job.toml").write_text(
        f'{asked}\n[[train]]\ntask = "t"\nlabel = "bank.won"\n{trees}'
    )
    draft = nameless_draft(Job.load(tmp_path / "job.toml"))
    found = rehearse(draft, "bureau", people(17_000), Policy())
    assert (found.rows, found.ended) == (17_000, "")
    assert any(entry.message == "ScoresTold" for entry in found.messages)
    few = rehearse(draft, "bureau", people(900), Policy())
    assert "trees that tell nothing need 16,384" in few.ended


def test_bits_of_a_row_are_held_against_the_whole_table(tmp_path: Path) -> None:
    asked = JOB.split("[[aggregate]]", maxsplit=1)[0]
    for table, column in (("bank.people", "age"), ("bureau.people", "loans")):
        name = f'table = "{table}"\n'
        asked = asked.replace(name, f'{name}features = ["{column}"]\n')
    (tmp_path / "job.toml").write_text(f'{asked}\n[[train]]\ntask = "t"\nlabel = "bank.won"\n')
    training = nameless_draft(Job.load(tmp_path / "job.toml"))
    allows, refuses = (
        Policy(releases=ReleaseLimits(row_share=share, row_left=0.0)) for share in (0.5, 0.1)
    )
    found = rehearse(training, "bureau", people(4000), refuses, rows=100)
    assert "5.0 bits of a row of bureau.people asked, 0.0 told before, 1.1 allowed" in found.refused
    assert f"Policy: refuses: {found.refused}" in in_lines(found, refuses)
    assert not [entry for entry in found.messages if not entry.step.startswith("contract")]
    # 100 of the rows hold 6.6 bits, all of them 12
    assert not rehearse(training, "bureau", people(4000), allows, rows=100).refused


@pytest.mark.slow
def test_a_list_told_by_a_bit_a_row_is_rehearsed(tmp_path: Path) -> None:
    asked = JOB.split("[[aggregate]]", maxsplit=1)[0]
    for table, column in (("bank.people", "age"), ("bureau.people", "loans")):
        name = f'table = "{table}"\n'
        asked = asked.replace(name, f'{name}features = ["{column}"]\n')
    train = 'task = "t"\nlabel = "bank.won"\nscore_bits = 0\nfolds = 0\nevaluations = 2'
    target = 'product = "p"\ntop = 30\ntells = "list"\nscore_bits = 1'
    (tmp_path / "job.toml").write_text(f"{asked}\n[[train]]\n{train}\n[[target]]\n{target}\n")
    policy = Policy(releases=ReleaseLimits(row_share=1.0, row_left=0.0))
    found = rehearse(nameless_draft(Job.load(tmp_path / "job.toml")), "bureau", people(200), policy)
    assert (found.ended, found.refused) == ("", "")
    told = plain_data(found, policy)["messages"]
    assert not [entry for entry in told if entry["holds"].startswith("a message of the kind")]
    steps = list(dict.fromkeys(entry["step"] for entry in told))
    assert steps[-4:-1] == ["listed/t/counts", "listed/t/open", "listed/t/told"]


def test_a_table_below_the_minimum_ends_the_rehearsal_as_it_would_end_the_job(
    job: Contract,
) -> None:
    found = rehearse(job, "bureau", people(4), Policy())
    assert "bureau.people: 4 different usable keys in id, at least 5 needed" in found.ended
    assert plain_data(found, Policy())["ended"] == found.ended
    keyless = MemorySource({"bureau.people": pa.table({"id": ["", ""], "loans": [1.0, 2.0]})})
    with pytest.raises(InputError, match="no row has a usable key"):
        rehearse(job, "bureau", keyless, Policy())


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_rehearsal_leaves_nothing(
    job: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before, pressed = set(tmp_path.iterdir()), threading.Event()
    bank = MemorySource({"bank.people": pa.table({"id": [f"planted{i}" for i in range(40)]})})

    def press_ctrl_c(party: str, step: str, share: float) -> None:
        if step.startswith("align") and not pressed.is_set():
            pressed.set()
            _thread.interrupt_main()
            time.sleep(0.3)  # still at work when the interrupt is heard

    with pytest.raises(KeyboardInterrupt):
        rehearse(job, "bank", bank, Policy(), progress=press_ctrl_c)
    time.sleep(0.5)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", KINDS)
def test_made_identifiers_are_well_formed(kind: str) -> None:
    cleaned = clean(made(kind, 500, np.random.default_rng()), kind)
    assert cleaned.usable == 500
    assert len(cleaned.values.unique()) > 450


def roles(base: type[Role[Any]] = Role) -> Iterator[type[Role[Any]]]:
    for role in base.__subclasses__():
        yield role
        yield from roles(role)


def test_every_message_has_its_sentence() -> None:
    for package in (psi, federated):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    missing = []
    for role in roles():
        if not role.__module__.startswith(("psi", "federated")) or not role.transitions:
            continue
        fits = [step for prefix, step in STEPS.items() if role.__module__.startswith(prefix)]
        assert fits, f"{role.__module__}: of which step?"
        step = "select" if role.__name__ == "SelectSender" else fits[0]
        for _, message in role.transitions:
            name = message.__name__.lstrip("_")
            if name not in MESSAGES[step]:
                missing.append((step, name))
    assert not missing
    assert holds("align/x", "New") == "a message of the kind New"
