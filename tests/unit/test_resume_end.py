"""Who is killed at a job's end, or comes back after it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from federated.ledger.account import verify_ledger
from federated.ledger.lines import read_ledger
from federated.session.frames import FINISH
from federated.session.routers import Endpoint, MemoryRouter
from federated.session.sealing import frame_step
from federated.session.session import Session
from psi.protocol import (
    PeerGone,
)
from tests.unit.test_resume import KEYS, PINNED, Killed, Party
from tests.unit.test_session import NAMES, Exchange


class _LastWord:
    """The endpoint of a party that is killed once it has said that it is done."""

    def __init__(self, inner: Endpoint) -> None:
        self.inner, self.name, self.said = inner, inner.name, 0
        self.close = inner.close

    def send(self, receiver: str, frame: bytes) -> None:
        self.inner.send(receiver, frame)
        self.said += frame_step(frame) == FINISH

    def receive(self, timeout: float) -> tuple[str, bytes]:
        if self.said == len(NAMES) - 1:
            raise Killed
        return self.inner.receive(timeout)


class _Nobody:
    """The endpoint of a party that is told, before it says a word, that the job has ended there."""

    name = "c"

    def send(self, receiver: str, frame: bytes) -> None:
        del frame
        raise PeerGone(f"{receiver}: the job has ended there")

    def receive(self, timeout: float) -> tuple[str, bytes]:
        del timeout
        raise PeerGone("a: the job has ended there")

    def close(self) -> None:
        pass


def test_who_comes_back_after_the_end_has_its_results(tmp_path: Path) -> None:
    """However early it hears that the others are gone: its node says so on the first sign of it."""
    router, nonce = MemoryRouter(list(NAMES)), secrets.token_bytes(32)
    others = [Party(tmp_path, name, router, nonce, 0) for name in NAMES if name != "c"]
    for party in others:
        party.start()

    def play(endpoint: Endpoint) -> tuple[int, Session]:
        session = Session(nonce, KEYS["c"], PINNED, endpoint, tmp_path / "c", timeout=3)
        try:
            session.connect()
            total = sum(
                session.run(step, Exchange(session.context(step), session.peers))
                for step in ("one", "two", "three")
            )
            session.finish()
        finally:
            session.ledger.close()
        return total, session

    with pytest.raises(Killed):
        play(_LastWord(router.endpoint("c")))
    for party in others:
        party.join(30)
        assert (party.error, party.total) == (None, 6)
    total, session = play(_Nobody())
    assert (total, session.resumed) == (6, True)
    assert not (tmp_path / "c" / "journal").exists()
    verify_ledger(tmp_path / "c" / "ledger.jsonl", PINNED["c"])


class _Ways:
    """Ways beside the hub, of which each life has carried more."""

    def __init__(self, carried: int) -> None:
        self.carried = carried

    def begin(self, tell: Callable[[str, bytes], None]) -> None:
        del tell

    def heard(self, peer: str, data: bytes) -> None:
        del peer, data

    def figures(self) -> dict[str, dict[str, int]]:
        return {"a": {"direct": self.carried, "hub": 0}}

    def close(self) -> None:
        pass


class _Unswept(Session):
    """Killed when its end is noted, before its journal goes."""

    def forget(self) -> None:
        raise Killed


def test_who_is_killed_after_its_end_says_nothing_more_of_it(tmp_path: Path) -> None:
    """What its next life has carried is no part of the job, and its ledger stays whole."""
    router, nonce = MemoryRouter(list(NAMES)), secrets.token_bytes(32)
    others = [Party(tmp_path, name, router, nonce, 0) for name in NAMES if name != "c"]
    for party in others:
        party.start()

    def play(kind: type[Session], endpoint: Endpoint, carried: int) -> None:
        ways = _Ways(carried)
        session = kind(nonce, KEYS["c"], PINNED, endpoint, tmp_path / "c", timeout=3, beside=ways)
        try:
            session.connect()
            for step in ("one", "two", "three"):
                session.run(step, Exchange(session.context(step), session.peers))
            session.finish()
        finally:
            session.ledger.close()

    with pytest.raises(Killed):
        play(_Unswept, router.endpoint("c"), 5)
    for party in others:
        party.join(30)
        assert party.error is None
    play(Session, _Nobody(), 7)
    ledger = tmp_path / "c" / "ledger.jsonl"
    verify_ledger(ledger, PINNED["c"])
    assert [line["kind"] for line in read_ledger(ledger)][-3:] == ["ways", "finished", "resumed"]
    assert not (tmp_path / "c" / "journal").exists()
