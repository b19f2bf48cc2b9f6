"""Whole jobs on tables whose rows need a lawful basis: who is aligned, profiled and listed."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.approval.policy_file import NEW_POLICY
from federated.keys.identity_file import write_identity
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import read_ledger
from federated.node.home import NodeHome
from federated.persons.naming import Person
from federated.session.routers import MemoryRouter
from federated.tables.basis import BasisAsked, admit
from federated.tables.bindings import TablesFile
from federated.tables.kept_tables import KeptTables
from profiles.cli import app
from profiles.federation import federate
from profiles.job import Job
from profiles.plan_text import describe
from profiles.run import run_job
from profiles.tables import open_tables
from profiles.without_person import take_out
from psi.protocol import Declined, JobError, Refused
from tests.e2e.hub_world import World
from tests.e2e.test_resume_job import NAMES, Party
from tests.e2e.test_routers import Sockets

JOB = """
[job]
name = "who is known"
purpose = "retention"
key_bits = 2048
[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
[[party]]
name = "telecom"
table = "telecom.people"
keys = [["id"]]
[align]
minimum_overlap = 1
"""
CONSENTS = """id,purpose,given_to,channel,since,until,withdrawn
A,retention,telecom,,2026-01-01,,
B,retention,telecom,,2026-01-01,,2026-05-31
C,fraud,telecom,,2026-01-01,,
D,retention,telecom,,2025-01-01,2025-12-31,
F,retention,telecom,sms,2026-01-01,,2026-02-01
F,retention,telecom,call,2026-01-01,,
"""
BASIS = """
[bank.consents]
path = "consents.csv"
[bank.TABLE.basis]
table = "bank.consents"
of = "id"
purpose = "purpose"
recipient = "given_to"
channel = "channel"
from = "since"
until = "until"
withdrawn = "withdrawn"
"""
TABLES = """
[bank.people]
path = "bank.csv"
[telecom.people]
path = "telecom.csv"
"""


def lines(home: Path, party: str) -> list[dict[str, Any]]:
    return [
        e["body"] for e in read_ledger(home / party / "ledger.jsonl") if e["kind"] == "admitted"
    ]


@pytest.fixture
def six(tmp_path: Path) -> Path:
    (tmp_path / "job.toml").write_text(JOB)
    (tmp_path / "tables.toml").write_text(TABLES + BASIS.replace("TABLE", "people"))
    (tmp_path / "consents.csv").write_text(CONSENTS)
    for party in ("bank", "telecom"):
        (tmp_path / f"{party}.csv").write_text("id\n" + "\n".join("ABCDEF") + "\n")
    return tmp_path


def aligned(folder: Path) -> tuple[str, Any]:
    job, tables = Job.load(folder / "job.toml"), open_tables(folder / "tables.toml")
    found = federate(job, {party.name: tables for party in job.parties}, folder / "home", hold=True)
    rows = found.tables["bank"].load("bank.people", ["id"]).column("id").to_pylist()
    return "".join(rows[i] for i in found.outcome.rows), found


def test_who_has_no_basis_is_left_out_before_anything_is_aligned(six: Path) -> None:
    shared, found = aligned(six)
    assert shared == "AF"
    assert found.contract.party("bank").rows == 2  # what is blinded is made of these rows only
    theirs = found.outcomes["telecom"].alignments["bank"]
    assert theirs.size_receiver == 2  # as the telecom counts the blinded items that came
    assert found.contract.party("bank").basis == "bank.consents"
    (line,) = lines(six / "home", "bank")
    left = {"no basis": 1, "for another purpose": 1, "expired": 1, "withdrawn": 1}
    assert line == {"table": "bank.people", "rows": 2, "left_out": left}
    assert lines(six / "home", "telecom") == []
    told = json.dumps([e.learns for e in found.contract.disclosures])
    assert "left" not in told
    text = describe(Job.load(six / "job.toml"), open_tables(six / "tables.toml"), 0)
    assert "Rows of bank.people left out for want of a basis: 4 (no basis: 1, for another" in text
    assert "bank (receiver, bank.people, 2 rows)" in text
    assert "only rows with a basis for 'retention' towards the parties that learn of them" in text
    assert "telecom (telecom.people, 6 rows): no features; states no lawful basis" in text


def test_who_loses_the_basis_after_the_contract_is_in_no_step(
    six: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule is asked again on the day of the run, once: who goes on has the same rows."""
    asked = KeptTables.expire

    def later(self: KeptTables, table: str, wanted: Any) -> int:
        if table == "bank.people":
            text = CONSENTS.replace("call,2026-01-01,,", "call,2026-01-01,,2026-06-01")
            (six / "consents.csv").write_text(text)
            found = asked(self, table, wanted)
            (six / "consents.csv").write_text(CONSENTS)
            assert asked(self, table, wanted) == found
            return found
        return asked(self, table, wanted)

    monkeypatch.setattr(KeptTables, "expire", later)
    shared, found = aligned(six)
    assert shared == "A"
    assert found.outcome.alignments["telecom"].size_receiver == 1
    assert [line.get("expired") for line in lines(six / "home", "bank")] == [None, 1]


def lists(folder: Path, channel: str) -> str:
    """Whom a list by this channel may have, of the six."""
    basis = TablesFile.load(folder / "tables.toml")["bank.people"].basis
    assert basis is not None
    source = open_tables(folder / "tables.toml")
    names = source.load("bank.people", ["id"], keys=["id"]).column("id")
    asked = BasisAsked("retention", ("telecom",), "consumer", dt.date(2026, 6, 1))
    found = admit(basis, source, names, asked).channels[channel]
    return "".join(name for name, open_ in zip(names.to_pylist(), found, strict=True) if open_)


def test_lists_of_the_six_keep_to_the_channel(six: Path) -> None:
    assert lists(six, "sms") == "A"
    assert lists(six, "call") == "AF"


@pytest.mark.parametrize("sockets", [False, True])
def test_a_party_that_is_killed_goes_on_with_those_who_are_in(
    six: Path, tmp_path: Path, sockets: bool
) -> None:
    """Wherever it is killed; and over TCP between two parties, where nobody is."""
    for name in ("job.toml", "tables.toml", "consents.csv"):  # the harness calls the other bureau
        (six / name).write_text((six / name).read_text().replace("telecom", "bureau"))
    (six / "telecom.csv").rename(six / "bureau.csv")
    job, source = Job.load(six / "job.toml"), open_tables(six / "tables.toml")
    kills = [("bank", 3), ("bank", 6), ("bureau", 2), ("bureau", 5)]
    for victim, fatal in [("nobody", 0)] if sockets else kills:
        home = tmp_path / f"{victim}{fatal}"
        router, nonce = Sockets() if sockets else MemoryRouter(list(NAMES)), secrets.token_bytes(32)
        parties = {
            name: Party(home, name, job, source, router, fatal if name == victim else 0)
            for name in NAMES
        }
        for party in parties.values():
            party.nonce = nonce
            party.start()
        for party in parties.values():
            party.join(120)
            assert party.error is None, party.error
            assert party.outcome is not None
        assert sum(party.lives for party in parties.values()) == 3 - sockets
        bank = parties["bank"].outcome
        assert bank is not None
        assert bank.contract.party("bank").rows == 2
        assert len(bank.rows) == 2
        left = {"no basis": 1, "for another purpose": 1, "expired": 1, "withdrawn": 1}
        assert [line.get("left_out") for line in lines(home, "bank")] == [left]
        assert lines(home, "bureau") == []


def test_nobody_with_a_basis_ends_the_job_and_tells_no_count(six: Path) -> None:
    (six / "consents.csv").write_text(CONSENTS.replace("retention", "research"))
    with pytest.raises(Refused, match=r"no row of bank\.people has a basis"):
        aligned(six)
    with pytest.raises(Refused, match=r"no row of bank\.people has a basis"):
        describe(Job.load(six / "job.toml"), open_tables(six / "tables.toml"), 0)


def test_a_policy_may_insist_on_a_basis(six: Path, tmp_path: Path) -> None:
    from federated.approval.policy_file import load_policy

    job, tables = Job.load(six / "job.toml"), open_tables(six / "tables.toml")
    sources = {party.name: tables for party in job.parties}
    (tmp_path / "policy.toml").write_text('[limits]\nbasis = "own"\n')
    own = load_policy(tmp_path / "policy.toml")
    (tmp_path / "policy.toml").write_text('[limits]\nbasis = "every"\n')
    every = load_policy(tmp_path / "policy.toml")
    assert federate(job, sources, six / "a", policies={"bank": own}).outcome.rows.size == 2
    with pytest.raises(Declined, match="telecom states no lawful basis"):
        federate(job, sources, six / "b", policies={"bank": every})
    with pytest.raises(Declined, match=r"table telecom\.people states no lawful basis"):
        federate(job, sources, six / "c", policies={"telecom": own})


def test_a_proposers_own_policy_says_no_before_its_table_is_opened(six: Path) -> None:
    """A new node's; the table is not even there to be opened."""
    world = World(six / "world", party="bank")
    bank = world.hub / "party"
    (bank / "policy.toml").write_text(NEW_POLICY)
    telecom = NodeHome.create(six / "telecom", "telecom", "")
    write_identity(telecom.path / "identity.json", PartyKeys.generate("telecom").identity)
    world.introduce(bank, telecom.path)
    (six / "tables.toml").write_text(TABLES)
    (six / "bank.csv").unlink()
    out = six / "out"
    words = ["run", six / "job.toml", "--tables", six / "tables.toml", "--hub", world.hub]
    done = CliRunner().invoke(app, [*map(str, words), "--out", str(out)], env=world.environment())
    assert isinstance(done.exception, Declined)
    assert "bank itself says no: table bank.people states no lawful basis" in str(done.exception)
    assert "Nobody else has been asked yet" in done.exception.hint
    assert not list((bank / "jobs").iterdir())
    assert not out.exists()


def test_profiles_and_lists_are_of_those_with_a_basis(small: Path) -> None:
    """And a list has only those who may be reached by its channel."""
    bank = pd.read_csv(small / "bank.csv")
    rows = []
    for place, name in enumerate(bank["id"]):
        channel = "sms" if place % 2 else "call"
        withdrawn = "2026-01-01" if place % 10 == 0 else ""
        rows.append((name, "retention", "bureau", channel, "2025-01-01", "", withdrawn))
    names = ["id", "purpose", "given_to", "channel", "since", "until", "withdrawn"]
    pd.DataFrame(rows, columns=names).to_csv(small / "consents.csv", index=False)
    tables = small / "tables.toml"
    tables.write_text(tables.read_text() + BASIS.replace("TABLE", "consumers"))
    job = small / "job.toml"
    job.write_text(job.read_text() + 'channel = "sms"\n')
    run_job(Job.load(job), open_tables(tables), small / "out")
    profiles = pq.read_table(small / "out" / "profiles.parquet").column("entity").to_pylist()
    gone = {name for name, *_, withdrawn in rows if withdrawn}
    assert set(profiles) == set(bank["id"]) - gone
    listed = pq.read_table(small / "out" / "targets.parquet").column("entity").to_pylist()
    sms = {name for name, _, _, channel, *_ in rows if channel == "sms"}
    assert listed
    assert set(listed) <= sms - gone
    job.write_text(job.read_text().replace('"sms"', '"SMS"'))
    with pytest.raises(JobError, match=r"'SMS' found, call or sms named by bank\.consents"):
        run_job(Job.load(job), open_tables(tables), small / "other")
    metrics = json.loads((small / "out" / "metrics.json").read_text())
    today = dt.datetime.now(dt.UTC).date()
    assert dt.date.fromisoformat(metrics["run"]["keep_until"]) - today == dt.timedelta(days=30)
    assert f"Kept until</dt><dd>{today + dt.timedelta(days=30):%d %B %Y}" in (
        (small / "out" / "report.html").read_text()
    )
    first = listed[0]
    rows = pa.table({metrics["entity"]["column"]: [first], "other": ["x"]})
    person = Person("a word", {metrics["entity"]["table"]: rows})
    taken = take_out(small / "out", person)
    assert {"profiles.parquet", "targets.parquet", "targets.csv", "report.html"} <= set(taken)
    for file in (small / "out").iterdir():
        if file.is_file() and file.suffix != ".parquet":
            assert first.encode() not in file.read_bytes(), file.name
    assert (
        first not in pq.read_table(small / "out" / "profiles.parquet").column("entity").to_pylist()
    )
    told = metrics["basis"]
    assert told == {"admitted": 234, "left_out": {"withdrawn": 26}, "lost_since": 0}
    assert "left out for want of a basis: 26 (withdrawn: 26)" in (
        (small / "out" / "report.html").read_text()
    )


def test_a_channel_without_a_table_of_bases_is_told_before_anything_is_sent(small: Path) -> None:
    job = small / "job.toml"
    job.write_text(job.read_text() + 'channel = "sms"\n')
    with pytest.raises(JobError, match=r"\[\[target\]\] 1 channel: 'sms' found"):
        run_job(Job.load(job), open_tables(small / "tables.toml"), small / "out")
