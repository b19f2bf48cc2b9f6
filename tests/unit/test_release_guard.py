"""The guard inside whole jobs: what a prober meets, and what a kill between two writes leaves."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.contract.completion import complete
from federated.contract.guards import guards
from federated.contract.terms import Contract
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import read_ledger
from federated.node.participant import Participant
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.steps.outcome import Outcome
from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.proposal import draft
from psi.protocol import PeerError, PeerGone, Refused

JOB = """
[job]
name = "counts"
purpose = "test"
entity = "consumer"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]

[align]
reveal = "both"
minimum_overlap = 5

[[aggregate]]
by = "bank.segment"
measures = ["bureau.loans:mean"]
minimum_group = 3
"""
NAMES = ("bank", "bureau")
KEYS = {name: PartyKeys.generate(name) for name in NAMES}
PINNED = {name: keys.identity for name, keys in KEYS.items()}
PEOPLE = [f"planted{i:03d}" for i in range(60)]


class World:
    """A bureau with a home of its own, and a bank that asks what it likes."""

    def __init__(self, folder: Path, job: str = JOB) -> None:
        self.folder, self.jobs = folder, 0
        (folder / "job.toml").write_text(job)
        self.job = Job.load(folder / "job.toml")
        mobile = [f"mobile{i}" for i in range(60)]
        table = pa.table({"id": PEOPLE, "mobile": mobile, "loans": np.arange(60.0)})
        self.bureau = MemorySource({"bureau.people": table})
        self.releases = Releases(
            folder / "releases", ReleaseLimits(), secrets.token_bytes, time.time
        )

    def run(
        self,
        people: Sequence[str],
        nonce: bytes = b"",
        home: Path | None = None,
        claimed: bytes = b"",
    ) -> tuple[Outcome | None, dict[str, BaseException]]:
        """One job about `people`: the bank's outcome, and each party's error.

        `claimed` is the nonce in the contract, where it is to be another than the session's.
        """
        self.jobs += 1
        nonce = nonce or secrets.token_bytes(32)
        self.home = home or self.folder / str(self.jobs)
        router, errors = MemoryRouter(list(NAMES)), dict[str, BaseException]()
        bank = MemorySource({"bank.people": self.asking(people)})
        found: list[Outcome] = []

        def play(name: str) -> None:
            session = Session(
                nonce, KEYS[name], PINNED, router.endpoint(name), self.home / name, timeout=30
            )
            try:
                if name == "bureau":
                    Participant(session, self.bureau, releases=self.releases).join()
                    return
                asked = draft(self.job, PINNED, claimed or nonce, time.time())
                participant = Participant(session, bank, kept=self.folder / "kept")
                found.append(participant.propose(asked, complete)[1])
            except BaseException as error:
                errors[name] = error

        threads = [threading.Thread(target=play, args=(name,), daemon=True) for name in NAMES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        return (found[0] if found else None), errors

    def asking(self, people: Sequence[str]) -> pa.Table:
        """The bank's own table."""
        segments = ["a", "b"] * (len(people) // 2) + ["a"] * (len(people) % 2)
        mobile = [f"mobile{int(name[-3:])}" for name in people]
        found = {"id": people, "mobile": mobile, "segment": segments}
        return pa.table({**found, "moved": ["b", *segments[1:]]})

    def kinds(self, name: str) -> list[str]:
        return [line["kind"] for line in read_ledger(self.home / name / "ledger.jsonl")]


def test_a_prober_gets_an_answer_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    outcome, errors = world.run(PEOPLE)
    assert not errors
    assert outcome is not None
    assert outcome.aggregates
    assert "reserved" in world.kinds("bureau")
    for people in (PEOPLE[:-1], PEOPLE):
        outcome, errors = world.run(people)
        assert outcome is None
        assert isinstance(errors["bureau"], Refused)
        assert isinstance(errors["bank"], PeerGone)
        assert "planted" not in f"{errors['bank']} {errors['bureau']}"
        # nothing of the columns has gone out, not even encrypted
        steps = [
            line["body"]["step"]
            for line in read_ledger(world.home / "bureau" / "ledger.jsonl")
            if line["kind"] == "sent"
        ]
        assert not any(step.startswith("aggregate") for step in steps)
        assert "refused" in world.kinds("bureau")
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"planted" not in file.read_bytes()
    assert not world.run(PEOPLE[:40])[1]


def test_two_segments_of_one_job_do_not_give_one_record_away(tmp_path: Path) -> None:
    section = JOB[JOB.index("[[aggregate]]") :].replace("segment", "moved")
    outcome, errors = World(tmp_path, JOB + section).run(PEOPLE)
    assert not errors
    assert outcome is not None
    (_, first), (terms, second) = outcome.aggregates
    assert terms.by == "moved"
    assert not np.isnan(first.values[0]).any()
    assert np.isnan(second.values[0]).all()
    told = [line["body"] for line in read_ledger(tmp_path / "1" / "bureau" / "ledger.jsonl")]
    assert any("each combination of a segment by moved" in b.get("learns", "") for b in told)


def test_a_later_job_is_audited_with_an_earlier_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    outcome, errors = world.run(PEOPLE)
    assert not errors
    assert outcome is not None
    assert not np.isnan(outcome.aggregates[0][1].values[0]).any()
    outcome, errors = world.run([p for i, p in enumerate(PEOPLE) if i % 6])
    assert not errors
    assert outcome is not None
    assert world.kinds("bank").count("disclosure") == world.kinds("bureau").count("disclosure")
    told = [line["body"] for line in read_ledger(world.home / "bureau" / "ledger.jsonl")]
    assert any("those that earlier jobs told" in body.get("learns", "") for body in told)
    asked = list((tmp_path / "kept" / "asked").glob("*-0-*"))
    assert len(asked) == 2
    assert len(list((tmp_path / "releases").glob("section-*-0"))) == 2


def test_killed_between_reserve_and_disclosure_a_job_goes_on_and_pays_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, nonce = World(tmp_path), secrets.token_bytes(32)

    class Killed(BaseException):
        pass

    reserve = Releases.reserve

    def dying(self: Releases, *args: object) -> None:
        reserve(self, *args)  # type: ignore[arg-type]
        raise Killed

    monkeypatch.setattr(Releases, "reserve", dying)
    monkeypatch.setattr(Session, "abort", lambda self, error: self.close())
    _, errors = world.run(PEOPLE, nonce)
    assert isinstance(errors["bureau"], Killed)
    monkeypatch.undo()
    assert len(world.releases.lines()) == 1
    assert isinstance(world.run(PEOPLE[1:])[1]["bureau"], Refused)  # it has been paid for
    outcome, errors = world.run(PEOPLE, nonce, tmp_path / "1")
    assert not errors
    assert outcome is not None
    assert len(world.releases.lines()) == 1


def test_a_contract_under_an_earlier_jobs_nonce_is_not_taken_for_that_job(tmp_path: Path) -> None:
    world, nonce = World(tmp_path), secrets.token_bytes(32)
    assert not world.run(PEOPLE, nonce)[1]
    outcome, errors = world.run(PEOPLE[:-1], claimed=nonce)
    assert outcome is None
    assert "is of another session" in str(errors["bureau"])
    assert [line for line in world.kinds("bureau") if line == "sent"] == []


def test_a_session_that_is_used_again_pays_again(tmp_path: Path) -> None:
    """As when the job's folder was purged before its reservation has expired."""
    world, nonce = World(tmp_path), secrets.token_bytes(32)
    assert not world.run(PEOPLE, nonce)[1]
    outcome, errors = world.run(PEOPLE[:-1], nonce)
    assert outcome is None
    assert isinstance(errors["bureau"], Refused)
    assert "reserved for another contract" in str(errors["bureau"])


def test_records_are_named_as_before_from_the_copy_that_the_job_took(tmp_path: Path) -> None:
    """A job that matches by another key: the columns of the first job's key are read with its own.

    What the table holds by the time of the step is of another night, and would name others.
    """

    class Refreshing(MemorySource):
        reads = 0

        def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
            self.reads += 1
            found = super().load(table, columns, keys=keys)
            return found if self.reads == 1 else found[::-1].slice(3)

    world = World(tmp_path)
    assert not world.run(PEOPLE)[1]
    text = JOB.replace('keys = [["id"]]', 'keys = [["mobile"]]').replace("loans", "debts")
    (tmp_path / "job.toml").write_text(text)
    world.job = Job.load(tmp_path / "job.toml")
    table = world.bureau.load("bureau.people", ["id", "mobile", "loans"])
    debts = np.random.default_rng(3).normal(size=len(table))
    table = table.append_column("debts", pa.array(debts))
    for people, refused in ((PEOPLE, False), (PEOPLE[:-1], True)):
        world.bureau = Refreshing({"bureau.people": table})
        _, errors = world.run(people)
        assert not isinstance(errors.get("bureau"), PeerError)
        assert isinstance(errors.get("bureau"), Refused) is refused
        assert world.bureau.reads == 1


def test_plan_and_show_say_which_guard_applies(tmp_path: Path) -> None:

    def contract(text: str) -> Contract:
        (tmp_path / "job.toml").write_text(text)
        job = Job.load(tmp_path / "job.toml")
        return draft(job, PINNED, bytes(32), 1e9)

    both = guards(contract(JOB), "bureau")
    assert "compares them, by keyed tags" in both[0]
    assert "caps how often a column" in both[1]
    hidden = JOB.split("[[aggregate]]", maxsplit=1)[0].replace('"both"', '"receiver"')
    assert "cannot compare bank's jobs: caps on sets" in guards(contract(hidden), "bureau")[0]
    assert guards(contract(JOB), "bank") == []
