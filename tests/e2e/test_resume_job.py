"""A whole job of two parties, one of them killed at some frame: the same outcome, whole ledgers."""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from federated.contract.completion import complete
from federated.keys.party_keys import PartyKeys
from federated.ledger.account import read_account, verify_ledger
from federated.ledger.compare import compare
from federated.node.participant import Participant
from federated.session import bundles
from federated.session.routers import Endpoint, MemoryRouter
from federated.session.session import Session
from federated.steps.outcome import Outcome
from federated.tables.source import Source
from profiles.job import Job
from profiles.proposal import draft
from profiles.tables import open_tables
from tests.unit.test_resume import Fragile, Killed

NAMES = ("bank", "bureau")
KEYS = {name: PartyKeys.generate(name) for name in (*NAMES, "telecom")}
PINNED = {name: KEYS[name].identity for name in NAMES}


SECOND = """
[[aggregate]]
by = "bank.segment"
measures = ["bureau.queries:sum", "bureau.loans:sum"]
minimum_group = 12

[train]"""


@pytest.fixture
def sections(small: Path) -> Path:
    """The small job with a second section over the same rows."""
    job = small / "job.toml"
    job.write_text(job.read_text().replace("\n[train]", SECOND))
    return small


class Router(Protocol):
    """Makes a party's endpoint."""

    def endpoint(self, name: str) -> Endpoint: ...


class Party(threading.Thread):
    """One participant; killed at its nth frame, it begins anew with the same folder."""

    def __init__(
        self, home: Path, name: str, job: Job, source: Source, router: Router, fatal: int
    ) -> None:
        super().__init__(daemon=True)
        self.home, self.party, self.job, self.source = home / name, name, job, source
        self.router, self.fatal, self.lives = router, fatal, 0
        self.nonce = bytes(32)
        self.models: Path | None = None
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.frames = 0

    def run(self) -> None:
        while self.outcome is None:
            self.lives += 1
            fatal = self.fatal if self.lives == 1 else 0
            endpoint = Fragile(self.router.endpoint(self.party), fatal)
            pinned = {party.name: KEYS[party.name].identity for party in self.job.parties}
            session = Session(self.nonce, KEYS[self.party], pinned, endpoint, self.home, timeout=60)
            try:
                kept = self.models and self.models / self.party
                self.outcome = self._play(Participant(session, self.source, models=kept))
            except Killed:
                session.ledger.close()
            except BaseException as error:
                self.error = error
                return
            self.frames -= endpoint.left

    def _play(self, participant: Participant) -> Outcome:
        if self.party != self.job.receiver:
            return participant.join()[1]
        pinned = {party.name: KEYS[party.name].identity for party in self.job.parties}
        asked = draft(self.job, pinned, self.nonce, time.time())
        return participant.propose(asked, complete)[1]


def play(
    small: Path,
    home: Path,
    fatal: dict[str, int],
    *,
    job_file: str = "job.toml",
    models: Path | None = None,
) -> dict[str, Party]:
    job, source = Job.load(small / job_file), open_tables(small / "tables.toml")
    names = [party.name for party in job.parties]
    router, nonce = MemoryRouter(names), secrets.token_bytes(32)
    parties = {name: Party(home, name, job, source, router, fatal.get(name, 0)) for name in names}
    for party in parties.values():
        party.nonce, party.models = nonce, models
        party.start()
    for party in parties.values():
        party.join(120)
        assert not party.is_alive(), "a party hangs"
    return parties


def check(parties: dict[str, Party], plain: dict[str, Party], home: Path) -> None:
    for name, party in parties.items():
        assert party.error is None, [(p.party, p.error) for p in parties.values()]
        assert party.outcome is not None
        expected = plain[name].outcome
        assert expected is not None
        assert (party.outcome.rows == expected.rows).all()
        verify_ledger(home / name / "ledger.jsonl", PINNED[name])
        assert not (home / name / "journal").exists()
    accounts = [read_account(home / n / "ledger.jsonl", PINNED[n], n) for n in NAMES]
    late = [account for account in accounts if account.unheard]
    found = compare(*accounts)
    assert not found or (late and all(finding.open for finding in found)), found
    bank, whole = parties["bank"].outcome, plain["bank"].outcome
    assert bank is not None
    assert whole is not None
    scores = bank.trained[0].scores, whole.trained[0].scores
    # told with fresh noise in each job, by the models of folds that have a key of their own
    assert np.corrcoef(*scores)[0, 1] > 0.6
    told = [outcome.aggregates for outcome in (bank, whole)]
    assert told[0]
    for (_, mine), (_, expected_of) in zip(*told, strict=True):
        for values, exact in zip(mine.values, expected_of.values, strict=True):
            np.testing.assert_array_equal(values, exact)


def test_a_job_goes_on_after_a_kill(sections: Path, tmp_path: Path) -> None:
    plain = play(sections, tmp_path / "plain", {})
    for victim in NAMES:
        home = tmp_path / victim
        parties = play(sections, home, {victim: plain[victim].frames // 2})
        assert parties[victim].lives == 2
        check(parties, plain, home)


def test_frames_heard_again_after_a_kill_bring_the_heads_of_their_time(
    sections: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed among the frames of one turn: a point is saved before sending only."""
    monkeypatch.setattr(bundles, "LARGEST", 0)  # a turn has many, as one of larger messages
    plain = play(sections, tmp_path / "plain", {})
    for fatal in (90, 91):
        home = tmp_path / f"bureau-{fatal}"
        parties = play(sections, home, {"bureau": fatal})
        assert parties["bureau"].lives == 2
        check(parties, plain, home)


@pytest.mark.slow
@pytest.mark.parametrize("victim", NAMES)
def test_a_job_goes_on_wherever_it_is_killed(sections: Path, tmp_path: Path, victim: str) -> None:
    plain = play(sections, tmp_path / "plain", {})
    back = 0
    # of 90 frames every 19th, other ones of each party: a job takes two seconds
    for fatal in range(1 + 9 * NAMES.index(victim), plain[victim].frames + 1, 19):
        home = tmp_path / f"{victim}-{fatal}"
        parties = play(sections, home, {victim: fatal})
        back += parties[victim].lives == 2
        check(parties, plain, home)
    assert back > 2
