"""Whoever carries frames alters them or adds its own: no job ends with it, and no journal goes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from federated.ledger.account import verify_ledger
from federated.ledger.lines import read_ledger
from federated.session import arrivals
from federated.session.again import Again
from federated.session.frames import FINISH
from federated.session.handshakes import Plain
from federated.session.journal import can_resume
from federated.session.progress import NOTES
from federated.session.routers import FAREWELL, GOODBYE, Endpoint, MemoryRouter, Silence
from federated.session.sealing import ASIDE, SealedFrame
from federated.session.session import Session
from federated.steps.byte_limits import BEFORE_CONTRACT
from federated.wire.incoming import SMALL_STEPS
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


Junk = Callable[[bytes, SealedFrame], list[bytes]]


def outside(**changes: object) -> Junk:
    """A frame with something else on its outside, before the true one."""
    return lambda data, true: [encode(replace(true, **changes)), data]  # type: ignore[arg-type]


def asked(sender: str, receiver: str, received: int) -> bytes:
    return encode(Again(sender, receiver, received, 0))


JUNK: dict[str, Junk] = {
    "no message": lambda data, true: [junk()],
    "cut": lambda data, true: [data[:50]],
    "more than a message": lambda data, true: [data + b"x", data],
    "in another's name": outside(sender="c"),
    "to another": outside(receiver="c"),
    "of another session": outside(session=bytes(32)),
    "a question in another's name": lambda data, true: [asked("c", "a", 0), data],
    "a question that is none": lambda data, true: [asked("b", "a", 0) + b"x", data],
    "a handshake that is none": lambda data, true: [encode(Plain("b", "a", junk())), data],
    "a handshake in another's name": lambda data, true: [encode(Plain("c", "a", b"")), data],
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


def spoilt(
    router: MemoryRouter, make: Junk, first: bool = False, times: int = 1
) -> Callable[[str], Endpoint]:
    """What `a` receives of b's frames of step "two", or of its first ones."""

    def endpoint(name: str) -> Endpoint:
        inner = router.endpoint(name)
        if name != "a":
            return inner
        receive, left, ready = inner.receive, times, list[tuple[str, bytes]]()

        def take(timeout: float) -> tuple[str, bytes]:
            nonlocal left
            if ready:
                return ready.pop(0)
            sender, data = receive(timeout)
            if sender == "b" and left and peek(data) is SealedFrame:
                frame = decode(data, SealedFrame)
                if (first or frame.step == "two") and frame.counter != ASIDE:
                    left -= 1
                    ready.extend((sender, one) for one in make(data, frame))
                    return ready.pop(0)
            return sender, data

        inner.receive = take  # type: ignore[method-assign]
        return inner

    return endpoint


@pytest.mark.parametrize("what", JUNK)
def test_bytes_that_no_key_has_made_end_nothing(tmp_path: Path, what: str) -> None:
    made = sessions(tmp_path, spoilt(MemoryRouter(list(NAMES)), JUNK[what]), 5.0)
    workers = run(made, dict.fromkeys(NAMES, signed))
    assert [worker.error for worker in workers.values()] == [None] * 3
    assert [worker.result for worker in workers.values()] == [6, 6, 6]
    lines = read_ledger(tmp_path / "a" / "ledger.jsonl")
    assert [one["body"]["peer"] for one in lines if one["kind"] == "unopened"] == ["b"]


def test_a_claim_to_have_more_than_was_said_leaves_the_job_at_rest(tmp_path: Path) -> None:
    """Nobody signed it; but if it is true, to go on would seal two texts under one number."""
    claim: Junk = lambda data, true: [asked("b", "a", 1000), data]  # noqa: E731
    workers = run(sessions(tmp_path, spoilt(MemoryRouter(list(NAMES)), claim), 5.0), {})
    assert isinstance(workers["a"].error, EnvironmentFailed)
    assert "which has not sealed it" in str(workers["a"].error)
    assert all(can_resume(tmp_path / name) for name in NAMES)


@pytest.mark.parametrize("step", [FAREWELL, FINISH])
def test_an_end_before_anything_was_said_ends_nothing(tmp_path: Path, step: str) -> None:
    """Nobody has a channel to a party that has not spoken."""
    router = MemoryRouter(list(NAMES))
    made = sessions(tmp_path, router.endpoint, 5.0)
    frame = SealedFrame(
        session=made[2].id, step=step, sender="a", receiver="c", sequence=0, counter=ASIDE,
        sealed=junk(), head=junk(),
    )  # fmt: skip
    router.deliver("a", "c", encode(frame))
    workers = run(made, dict.fromkeys(NAMES, signed))
    assert [worker.error for worker in workers.values()] == [None] * 3


@pytest.mark.parametrize("step", ["two", "nothing", FINISH])
def test_before_a_contract_a_false_frame_keeps_no_place(tmp_path: Path, step: str) -> None:
    """It named a step that never comes, and what b had to say waited behind it for ever."""

    def ahead(data: bytes, true: SealedFrame) -> list[bytes]:
        return [encode(replace(true, step=step, sealed=junk())), data]

    def agreed(session: Session) -> object:
        session.connect()
        total = session.run("one", Exchange(session.context("one"), session.peers))
        session._frames.bind(b"c" * 32)
        for one in ("two", "three"):
            total += session.run(one, Exchange(session.context(one), session.peers))
        session.finish()
        return total

    made = sessions(tmp_path, spoilt(MemoryRouter(list(NAMES)), ahead, first=True), 5.0)
    workers = run(made, dict.fromkeys(NAMES, agreed))
    assert [worker.error for worker in workers.values()] == [None] * 3
    assert [worker.result for worker in workers.values()] == [6, 6, 6]


def test_a_frame_under_a_contract_that_is_not_known_yet_waits_for_it(tmp_path: Path) -> None:
    """As where another has all signatures before this party: no frame is asked for again."""

    def works(session: Session) -> object:
        session.connect()
        total = session.run("one", Exchange(session.context("one"), session.peers))
        if session.name == "a":
            session._frames._arrive(*session._endpoint.receive(5))
        session._frames.bind(b"c" * 32)
        total += session.run("two", Exchange(session.context("two"), session.peers))
        session.finish()
        return total

    made = sessions(tmp_path, MemoryRouter(list(NAMES)).endpoint, 5.0)
    workers = run(made, dict.fromkeys(NAMES, works))
    assert [worker.error for worker in workers.values()] == [None] * 3
    lines = read_ledger(tmp_path / "a" / "ledger.jsonl")
    assert not [one for one in lines if one["kind"] == "unopened"]


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


Stall = Callable[[list[bytes], SealedFrame], tuple[str, bytes]]


def notes(kept: list[bytes], last: SealedFrame) -> tuple[str, bytes]:
    return "b", encode(replace(last, step=NOTES, counter=ASIDE, sealed=junk()))


STALLS: dict[str, Stall] = {
    "notes that nobody sealed": notes,
    "a note in the count": lambda kept, last: ("b", encode(replace(last, step=NOTES))),
    "a frame again": lambda kept, last: ("b", kept[-1]),
    "a handshake again": lambda kept, last: ("b", kept[0]),
    "a stranger": lambda kept, last: ("z", junk()),
    "a stranger's end": lambda kept, last: ("z", GOODBYE),
}


def held(router: MemoryRouter, junk_of: Stall, gap: float) -> Callable[[str], Endpoint]:
    """b's frames of step "two" never come to `a`; every `gap` seconds comes junk instead."""

    def endpoint(name: str) -> Endpoint:
        inner = router.endpoint(name)
        return stalled(inner) if name == "a" else inner

    def stalled(inner: Endpoint) -> Endpoint:
        receive, kept, last = inner.receive, list[bytes](), list[SealedFrame]()

        def take(timeout: float) -> tuple[str, bytes]:
            while not last:
                sender, data = receive(timeout)
                if sender == "b" and peek(data) is SealedFrame:
                    frame = decode(data, SealedFrame)
                    if frame.step == "two":
                        last.append(frame)
                        break
                if sender == "b":
                    kept.append(data)
                return sender, data
            time.sleep(gap)
            return junk_of(kept, last[0])

        inner.receive = take  # type: ignore[method-assign]
        return inner

    return endpoint


@pytest.mark.parametrize("what", STALLS)
@pytest.mark.parametrize("gap", [0.001, 0.2])
def test_no_junk_holds_a_job(tmp_path: Path, what: str, gap: float) -> None:
    """Each made the wait begin anew, and none was in the ledger."""
    made = sessions(tmp_path, held(MemoryRouter(list(NAMES)), STALLS[what], gap), 1.0)
    workers = run(made, dict.fromkeys(NAMES, signed))
    error = workers["a"].error
    if gap < 0.1:
        assert isinstance(error, EnvironmentFailed)
        assert "do not open" in str(error)
    else:
        assert isinstance(error, Silence)
        assert "nothing received for 1 s that is new" in str(error)
    assert all(can_resume(tmp_path / name) for name in NAMES)
    lines = read_ledger(tmp_path / "a" / "ledger.jsonl")
    peer = "" if "stranger" in what else "b"
    assert [one["body"]["peer"] for one in lines if one["kind"] == "unopened"] == [peer]
    verify_ledger(tmp_path / "a" / "ledger.jsonl", made[0].keys.identity)


def test_before_a_contract_no_more_waits_than_parcels_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that came was kept on the disk, however much it was."""
    assert arrivals.MOST_DOUBTED == SMALL_STEPS * BEFORE_CONTRACT
    monkeypatch.setattr(arrivals, "MOST_DOUBTED", 1 << 16)

    def much(data: bytes, true: SealedFrame) -> list[bytes]:
        ahead = [
            replace(true, step="x", counter=true.counter + n, sealed=bytes(1 << 14))
            for n in range(1, 30)
        ]
        return [*map(encode, ahead), data]

    made = sessions(tmp_path, spoilt(MemoryRouter(list(NAMES)), much, first=True), 2.0)
    workers = run(made, {})
    assert isinstance(workers["a"].error, EnvironmentFailed)
    assert "more came than waits for a contract" in str(workers["a"].error)
    lines = read_ledger(tmp_path / "a" / "ledger.jsonl")
    assert [one["body"]["peer"] for one in lines if one["kind"] == "unopened"] == ["b"]
