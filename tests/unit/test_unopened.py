"""Whoever carries frames alters them or adds its own: no job ends with it, and no journal goes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from federated.ledger.lines import read_ledger
from federated.session.frames import FINISH
from federated.session.journal import can_resume
from federated.session.routers import FAREWELL, Endpoint, MemoryRouter
from federated.session.sealing import ASIDE, SealedFrame
from federated.session.session import Session
from psi.protocol import EnvironmentFailed, decode, encode
from psi.protocol.codec import peek
from tests.unit.test_session import NAMES, Exchange, run, sessions

Lie = Callable[[SealedFrame], list[SealedFrame]]


def junk() -> bytes:
    return secrets.token_bytes(80)


LIES: dict[str, Lie] = {
    "altered": lambda true: [replace(true, sealed=junk())],
    "its head altered": lambda true: [replace(true, head=junk())],
    "one before the true one": lambda true: [replace(true, sealed=junk()), true],
    "ahead of its turn": lambda true: [
        replace(true, counter=true.counter + 1, sealed=junk()),
        true,
    ],
    "the end, ahead": lambda true: [
        replace(true, step=FINISH, counter=true.counter + 5, sealed=junk()),
        true,
    ],
    "the end, in its place": lambda true: [replace(true, step=FINISH)],
    "a farewell": lambda true: [
        replace(true, step=FAREWELL, counter=ASIDE, sealed=junk(), head=junk()),
        true,
    ],
    "another of an old number": lambda true: [replace(true, counter=0, sealed=junk()), true],
    "none": lambda true: [],
}


def told(router: MemoryRouter, lie: Lie, times: int) -> Callable[[str], Endpoint]:
    """What `a` receives of b's frames of step "two", as many of them as lies are told."""

    def lies(receive: Callable[[float], tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        left, timeout = times, 5.0
        while True:
            sender, data = receive(timeout)
            if sender == "b" and left and peek(data) is SealedFrame:
                frame = decode(data, SealedFrame)
                if frame.step == "two" and frame.counter != ASIDE:
                    left -= 1
                    yield from ((sender, encode(one)) for one in lie(frame))
                    continue
            yield sender, data

    def endpoint(name: str) -> Endpoint:
        inner = router.endpoint(name)
        if name == "a":
            coming = lies(inner.receive)
            inner.receive = lambda timeout: next(coming)  # type: ignore[method-assign]
        return inner

    return endpoint


def signed(session: Session) -> object:
    """As `ordinary`, with a contract."""
    session.connect()
    session._frames.bind(b"c" * 32)
    total = 0
    for step in ("one", "two", "three"):
        total += session.run(step, Exchange(session.context(step), session.peers))
    session.finish()
    return total


@pytest.mark.parametrize("lie", LIES)
def test_a_frame_that_no_peer_has_sealed_ends_nothing(tmp_path: Path, lie: str) -> None:
    made = sessions(tmp_path, told(MemoryRouter(list(NAMES)), LIES[lie], 1), 5.0)
    workers = run(made, dict.fromkeys(NAMES, signed))
    assert [worker.error for worker in workers.values()] == [None] * 3
    assert [worker.result for worker in workers.values()] == [6, 6, 6]
    lines = read_ledger(tmp_path / "a" / "ledger.jsonl")
    assert [one["body"]["peer"] for one in lines if one["kind"] == "unopened"] == ["b"]


def test_a_flood_of_them_leaves_the_job_at_rest(tmp_path: Path) -> None:
    made = sessions(tmp_path, told(MemoryRouter(list(NAMES)), LIES["altered"], 1 << 20), 5.0)
    workers = run(made, {})
    assert isinstance(workers["a"].error, EnvironmentFailed)
    assert "do not open" in str(workers["a"].error)
    assert all(can_resume(tmp_path / name) for name in NAMES)
