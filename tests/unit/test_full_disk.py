"""A disk that takes no more, at many moments of a job: a message, nothing half, and it goes on.

The limit on the size of files stands in for the disk: what is written beyond it fails in the
kernel, as on a full one.
"""

from __future__ import annotations

import contextlib
import re
import resource
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from federated.keys.party_keys import PartyKeys
from federated.ledger.account import verify_ledger
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from psi.protocol import EnvironmentFailed, FedprofileError, PeerGone
from tests.unit.test_session import Exchange

NAMES = ["a", "b"]
KEYS = {name: PartyKeys.generate(name) for name in NAMES}
PINNED = {name: keys.identity for name, keys in KEYS.items()}


@contextlib.contextmanager
def full_after(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Party(threading.Thread):
    def __init__(self, home: Path, name: str, router: MemoryRouter, nonce: bytes) -> None:
        super().__init__(daemon=True)
        self.home, self.party, self.router, self.nonce = home / name, name, router, nonce
        self.error: BaseException | None = None
        self.totals: list[int] = []

    def run(self) -> None:
        try:
            session = Session(
                self.nonce, KEYS[self.party], PINNED, self.router.endpoint(self.party),
                self.home, timeout=20,
            )  # fmt: skip
        except BaseException as error:
            self.error = error
            self.router.endpoint(self.party).close()
            return
        try:
            session.connect()
            for number in range(6):
                step = f"step/{number}"
                role = Exchange(session.context(step), session.peers)
                self.totals.append(session.run(step, role))
            session.finish()
        except BaseException as error:
            self.error = error
            session.abort(error)


def job(home: Path, nonce: bytes) -> list[Party]:
    router = MemoryRouter(NAMES)
    parties = [Party(home, name, router, nonce) for name in NAMES]
    for party in parties:
        party.start()
    for party in parties:
        party.join(30)
        assert not party.is_alive()
    return parties


@pytest.mark.parametrize("size", [0, 300, 900, 1500, 2500, 4000, 5000, 6000])
def test_a_full_disk_is_told_and_the_job_goes_on_later(tmp_path: Path, size: int) -> None:
    nonce = secrets.token_bytes(32)
    with full_after(size):
        parties = job(tmp_path, nonce)
    met = [party.error for party in parties]
    told = [e for e in met if isinstance(e, EnvironmentFailed) and not isinstance(e, PeerGone)]
    assert told, met
    assert all(isinstance(error, FedprofileError) for error in met if error is not None)
    for error in told:
        assert re.search("File too large|No space left", error.message)
        assert "make room" in error.hint
    if any(not (tmp_path / name / "journal" / "point").exists() for name in NAMES):
        return  # no point yet to go on from: the job is proposed again
    parties = job(tmp_path, nonce)
    assert [party.error for party in parties] == [None, None]
    for party in parties:
        assert party.totals == [1] * 6
        assert verify_ledger(party.home / "ledger.jsonl", KEYS[party.party].identity) > 6
