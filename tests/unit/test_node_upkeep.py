"""Purge, rotation and backup: what goes leaves a line, what stays can be verified."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.approval.inbox import Inbox
from federated.approval.policy import Retention
from federated.cli.node import app
from federated.contract.terms import AlignTerms, PartyTerms
from federated.keys.identity_file import read_identity, write_identity
from federated.keys.keyfile import save_keys
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import Ledger, read_ledger
from federated.node.home import NodeHome
from federated.node.purge import Expired, expired, node_ledger, purge_now, remove
from federated.node.rotation import rotate
from federated.session.journal import CONTRACT, DRAFT, ENDED, Journal
from federated.session.over import why_over
from federated.steps.kept_tags import KeptTags
from federated.store.files import write_atomic
from federated.tables.kept_tables import Extract, KeptTables
from federated.tables.source import MemorySource
from psi.ecdh import Held
from psi.protocol import MisuseError
from tests.unit.test_officer import contract, request

DAY = 24 * 3600
SECRET = b"correct horse"


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    made, keys = NodeHome.create(tmp_path / "node", "bureau", "hub:1"), PartyKeys.generate("bureau")
    save_keys(made.keys, keys, SECRET, secrets.token_bytes)
    write_identity(made.path / "identity.json", keys.identity)
    return made


def tags(home: NodeHome, peer: str, days: int) -> None:
    terms = AlignTerms(
        partner=peer,
        protocol="ecdh",
        reveal="both",
        minimum_overlap=0,
        minimum_checked_by="receiver",
        largest_set=9,
        duplicates="collapse",
        keep_tags_days=days,
        keep_tags_items=9,
    )
    sender, identity = (
        PartyTerms(name=peer, organisation="", sealing="", table=f"{peer}.t", keys=(), kinds=()),
        PartyKeys.generate(peer).identity,
    )
    keeper = KeptTags(home.tags, identity, terms, sender, secrets.token_bytes, time.time)
    keeper.keep(Held(bytes(32), np.zeros((3, 2), np.uint64)))


def test_what_is_old_goes_and_leaves_a_line(home: NodeHome, tmp_path: Path) -> None:
    now = time.time()
    for name, days, going_on in (("old", 11, False), ("new", 8, False), ("going-on", 11, True)):
        folder = home.jobs / name
        (folder / "journal").mkdir(parents=True)
        if going_on:
            (folder / "journal" / "key").write_bytes(b"")
            (folder / "journal" / "point").write_bytes(b"")
        for path in (folder / "call", folder / "journal", folder):
            path.touch()
            os.utime(path, (now - days * DAY,) * 2)
    inbox = Inbox(home.desk)
    inbox.put(request(contract(tmp_path, 1)), now - 6 * DAY)
    inbox.put(request(contract(tmp_path, 2)), now - 3 * DAY)
    for name, age in (("a1", 3.0), ("a2", 0.5), ("a3", 3.0)):  # another version's
        file = home.desk / f"{name * 32}.request"
        file.write_text("{}")
        os.utime(file, (now - age * DAY,) * 2)
    (home.desk / f"{'a3' * 32}.decision.0").write_text("{}")  # but somebody has said something
    ruled = home.desk / f"{'a4' * 32}.request"  # another version's, which counts for its rule
    ruled.write_text('{"rule": "rule monthly", "contract": "{}"}')
    os.utime(ruled, (now - 2 * DAY,) * 2)
    tags(home, "bank", 1)
    (of_bank,) = home.tags.glob("*.held")
    tags(home, "chamber", 30)
    old = expired(home, Retention(5, 10), now, secrets.token_bytes)
    assert [folder.name for folder in old.jobs] == ["old"]
    assert old.requests == (bytes([1] * 32), bytes([0xA1] * 32))
    assert old.tags == ()
    old = expired(home, Retention(5, 10), now + 1 * DAY - 60, secrets.token_bytes)
    assert old.tags == ()
    late = expired(home, Retention(5, 10), now + 1.5 * DAY, secrets.token_bytes)
    assert late.tags == (of_bank,)
    keys = home.load_keys(SECRET)
    remove(home, late, keys, time.time)
    assert {folder.name for folder in home.jobs.iterdir()} >= {"going-on"}
    assert not (home.jobs / "old").exists()
    assert [entry.request.session for entry in inbox.all()] == [bytes([2] * 32)]
    assert len(list(home.tags.glob("*.held"))) == 1
    line = read_ledger(home.path / "ledger.jsonl")[-1]
    assert line["kind"] == "purged"
    assert line["body"]["requests"] == ["01" * 32, "a1" * 32, "a2" * 32]
    assert [file.name[:2] for file in inbox.unread()] == ["a3", "a4"]
    assert "old" in line["body"]["jobs"]


@pytest.mark.parametrize(
    ("left", "days", "goes"),
    [
        ("signed", 0.5, False),  # its contract has expired, and somebody may still be at it
        ("signed", 2, True),
        ("asked", 2, True),
        ("ended", 2, False),  # its outputs can still be made
        ("ended", 40, True),
        ("another version's", 40, False),
    ],
)
def test_a_copy_of_a_table_goes_once_nobody_can_go_on(
    home: NodeHome, tmp_path: Path, left: str, days: float, goes: bool
) -> None:
    now, session = time.time(), bytes([7] * 32)
    ends = int(now - days * DAY)
    made = replace(contract(tmp_path, 7), not_before=ends - DAY, expires=ends, retention_days=30)
    folder = home.jobs / session.hex()
    write_atomic(folder / "ledger.jsonl", "")
    journal = Journal(folder, session, secrets.token_bytes, {})
    journal.save("", b"", b"", {})
    data = b"{}" if left == "another version's" else made.to_bytes()
    journal.keep(DRAFT if left == "asked" else CONTRACT, data)
    if left == "ended":
        journal.keep(ENDED, b"")
    journal.close()
    source = MemorySource({"bureau.people": pa.table({"id": ["planted"]})})
    kept = KeptTables(source, journal.folder, session, secrets.token_bytes)
    kept.keep([Extract("bureau.people", ("id",))])
    for path in (*folder.iterdir(), folder):
        os.utime(path, (now - days * DAY,) * 2)
    old = expired(home, Retention(), now, secrets.token_bytes)
    assert old.jobs == ()
    assert [place == folder for place in old.journals] == [True] * goes
    remove(home, old, home.load_keys(SECRET), time.time)
    assert (folder / "ledger.jsonl").exists()
    assert (folder / "journal").exists() is not goes
    line = read_ledger(home.path / "ledger.jsonl")[-1]
    assert line["body"]["journals"] == [session.hex()] * goes


@pytest.mark.parametrize(
    ("kind", "said"), [("refused", ""), ("opened", "its contract has expired")]
)
def test_what_was_refused_keeps_its_reason(home: NodeHome, kind: str, said: str) -> None:
    """A journal goes once nobody can go on from it; how the job ended stands in its ledger."""
    session, keys = bytes([7] * 32), home.load_keys(SECRET)
    folder = home.job(session)
    folder.mkdir()
    ledger = Ledger(folder / "ledger.jsonl", keys, time.time, session, {"bureau": keys.identity})
    ledger.once(kind, by="policy", why="the series comes to 13 jobs in all, 12 agreed")
    ledger.close()
    Journal(folder, session, secrets.token_bytes, {}).close()
    remove(home, Expired((), (), (), (folder,), (), ()), keys, time.time)
    assert not (folder / "journal").exists()
    assert why_over(folder).startswith(said)
    assert bool(why_over(folder)) is bool(said)


def test_the_command_says_what_would_go(home: NodeHome) -> None:
    done = CliRunner().invoke(app, ["purge", "--dry-run", "--home", str(home.path)])
    would = "would go: 0 requests, 0 jobs, 0 journals, 0 files of tags, outputs of 0 jobs, who was "
    assert done.output == would + "in 0 jobs\n"


def test_new_keys(home: NodeHome) -> None:
    before = home.load_keys(SECRET)
    made = rotate(home, before, SECRET, secrets.token_bytes)
    after = home.load_keys(SECRET)
    assert after.identity == made == home.identity
    assert made.fingerprint != before.identity.fingerprint
    name = before.identity.fingerprint.replace(" ", "")
    assert read_identity(home.path / "former" / f"{name}.json") == before.identity
    last = read_ledger(home.path / "former" / f"{name}.ledger.jsonl")[-1]
    assert last["body"]["to"] == made.fingerprint
    first = read_ledger(home.path / "ledger.jsonl")[-1]
    assert first["body"]["since"] == before.identity.fingerprint
    node_ledger(home, after, time.time).close()
    point = home.jobs / "a" / "journal" / "point"
    point.parent.mkdir(parents=True)
    point.write_bytes(b"")
    point.with_name("key").write_bytes(b"")
    with pytest.raises(MisuseError, match="jobs can still go on") as error:
        rotate(home, after, SECRET, secrets.token_bytes)
    assert error.value.hint == "this party's own end by fedprofile job stop"
    (home.jobs / "a" / "call").touch()
    with pytest.raises(MisuseError, match="jobs can still go on") as error:
        rotate(home, after, SECRET, secrets.token_bytes)
    assert "tells of those that are denied" in error.value.hint  # a word alone ends nothing


def received(home: NodeHome, out: Path, now: float, *, days: int, owner: str = "") -> None:
    """A run whose outputs were written at a time, for so many days of retention."""
    keys, session = home.load_keys(SECRET), secrets.token_bytes(32)
    out.mkdir()
    (out / "profiles.parquet").write_bytes(b"rows")
    (out / "notes.txt").write_text("the user's own")
    (out / "metrics.json").write_text(json.dumps({"run": {"contract": owner or session.hex()}}))
    ledger = Ledger(home.job(session) / "ledger.jsonl", keys, lambda: now, session, {})
    ledger.write("contract", digest=session.hex(), terms={"retention_days": days})
    ledger.write("outputs", files=dict.fromkeys(["profiles.parquet", "metrics.json"], "00"))
    ledger.close()
    started = {"tables": "t", "out": str(out), "overwrite": False}
    (home.job(session) / "run.json").write_text(json.dumps({"started": started}))


def test_outputs_end_with_the_days_of_their_contract(home: NodeHome, tmp_path: Path) -> None:
    now = time.time()
    for name, days in (("old", 10), ("new", 60)):
        received(home, tmp_path / name, now - 30 * DAY, days=days)
    received(home, tmp_path / "another's", now - 30 * DAY, days=10, owner="ff" * 32)
    old = expired(home, Retention(), now, secrets.token_bytes)
    assert [kept.folder.name for kept in old.outputs] == ["old"]
    assert "outputs of 1 jobs" in old.words
    home.policy.write_text("[retention]\nby_timer = false\n")
    assert purge_now(home, home.load_keys(SECRET)) is None
    home.policy.write_text("")
    purge_now(home, home.load_keys(SECRET))  # what a running node does once an hour
    assert sorted(p.name for p in (tmp_path / "old").iterdir()) == ["notes.txt"]
    assert len(list((tmp_path / "new").iterdir())) == 3
    assert len(list((tmp_path / "another's").iterdir())) == 3
    line = read_ledger(home.path / "ledger.jsonl")[-1]
    assert list(line["body"]["outputs"].values()) == [["metrics.json", "profiles.parquet"]]
    lines = len(read_ledger(home.path / "ledger.jsonl"))
    assert not purge_now(home, home.load_keys(SECRET))
    assert len(read_ledger(home.path / "ledger.jsonl")) == lines
