from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from federated.contract.terms import OtherVersion
from federated.keys.party_keys import Identity, PartyKeys
from federated.ledger.account import verify_ledger
from federated.session.journal import can_resume
from federated.session.progress import NOTES
from federated.session.routers import Endpoint, MemoryRouter, SocketEndpoint
from federated.session.session import Session
from psi.protocol import (
    Context,
    Declined,
    EnvironmentFailed,
    FedprofileError,
    InputError,
    PeerError,
    PeerGone,
    Refused,
    Role,
    Turn,
    message,
)

NAMES = ("a", "b", "c")


@message(240)
@dataclass(frozen=True)
class Token:
    value: int


class Exchange(Role[int]):
    """Everybody sends a number to everybody and adds up what came."""

    transitions = {(Token, Token): "on_token"}  # noqa: RUF012

    def __init__(self, context: Context, peers: list[str]) -> None:
        super().__init__(context)
        self._peers = peers

    def begin(self) -> Turn[int]:
        return Turn(Token(0), [(peer, Token(1)) for peer in self._peers])

    def on_token(self, state: Token, token: Token, peer: str) -> Turn[int]:
        total = state.value + token.value
        return Turn(Token(total), result=total if total == len(self._peers) else None)


class Worker(threading.Thread):
    def __init__(self, session: Session, work: Callable[[Session], object]) -> None:
        super().__init__(daemon=True)
        self.session, self.work = session, work
        self.result: object = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.work(self.session)
        except BaseException as error:
            self.error = error
            self.session.abort(error)


def sessions(
    tmp_path: Path, endpoints: Callable[[str], Endpoint], timeout: float = 20.0, **pins: Identity
) -> list[Session]:
    keys = {name: PartyKeys.generate(name) for name in NAMES}
    pinned = {name: keys[name].identity for name in NAMES}
    nonce = secrets.token_bytes(32)
    made = []
    for name in NAMES:
        known = {**pinned, **(pins if name == "a" else {})}
        session = Session(
            nonce, keys[name], known, endpoints(name), tmp_path / name, timeout=timeout
        )
        made.append(session)
    return made


def run(made: list[Session], works: dict[str, Callable[[Session], object]]) -> dict[str, Worker]:
    workers = {s.name: Worker(s, works.get(s.name, ordinary)) for s in made}
    for worker in workers.values():
        worker.start()
    for worker in workers.values():
        worker.join(30)
        assert not worker.is_alive(), "a party hangs"
    return workers


def ordinary(session: Session) -> object:
    session.connect()
    total = 0
    for step in ("one", "two", "three"):
        total += session.run(step, Exchange(session.context(step), session.peers))
    session.finish()
    return total


def free_ports() -> dict[str, tuple[str, int]]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in NAMES]
    addresses = {n: ("127.0.0.1", s.getsockname()[1]) for n, s in zip(NAMES, held, strict=True)}
    for server in held:
        server.close()
    return addresses


@pytest.mark.parametrize("router", ["memory", "sockets"])
def test_three_parties_run_their_steps(tmp_path: Path, router: str) -> None:
    if router == "memory":
        made = sessions(tmp_path, MemoryRouter(list(NAMES)).endpoint)
    else:
        addresses = free_ports()
        made = sessions(tmp_path, lambda name: SocketEndpoint(name, addresses))
    workers = run(made, {})
    assert [worker.result for worker in workers.values()] == [6, 6, 6]
    for session in made:
        verify_ledger(tmp_path / session.name / "ledger.jsonl", session.keys.identity)
        assert not (tmp_path / session.name / "journal").exists()


@pytest.mark.parametrize("router", ["memory", "sockets"])
@pytest.mark.parametrize("where", ["before", "between"])
def test_the_death_of_one_ends_the_others_with_a_reason(
    tmp_path: Path, router: str, where: str
) -> None:
    def die(session: Session) -> object:
        session.connect()
        if where == "between":
            session.run("one", Exchange(session.context("one"), session.peers))
        raise InputError("planted-identifier in row 7")

    if router == "memory":
        made = sessions(tmp_path, MemoryRouter(list(NAMES)).endpoint)
    else:
        addresses = free_ports()
        made = sessions(tmp_path, lambda name: SocketEndpoint(name, addresses))
    workers = run(made, {"b": die})
    for name in ("a", "c"):
        error = workers[name].error
        assert isinstance(error, PeerGone)
        assert "planted" not in str(error)
    assert any("b ends it: its table does not hold" in str(w.error) for w in workers.values())
    for name in NAMES:
        assert "planted" not in (tmp_path / name / "ledger.jsonl").read_text()


@pytest.mark.parametrize(
    ("error", "kept"), [(PeerError("rows that differ"), False), (EnvironmentFailed("disk"), True)]
)
def test_a_party_that_was_cheated_cannot_be_made_to_go_on(
    tmp_path: Path, error: Exception, kept: bool
) -> None:
    """A second guess under the same secrets would be one: the journal goes with the first."""

    def die(session: Session) -> object:
        session.connect()
        session.run("one", Exchange(session.context("one"), session.peers))
        raise error

    made = sessions(tmp_path, MemoryRouter(list(NAMES)).endpoint)
    run(made, {"b": die})
    assert can_resume(tmp_path / "b") == kept


def test_a_wrong_pin_leaves_the_job_at_rest_in_its_handshake(tmp_path: Path) -> None:
    """A hub that answers in the peer's name looks the same, and ends nothing for good either."""
    stranger = PartyKeys.generate("b").identity
    made = sessions(tmp_path, MemoryRouter(list(NAMES)).endpoint, b=stranger)
    workers = run(made, {})
    assert isinstance(workers["a"].error, EnvironmentFailed)
    assert "handshake: not signed by b" in str(workers["a"].error)
    assert "compare the fingerprints" in str(workers["a"].error)
    assert isinstance(workers["b"].error, PeerGone)
    assert can_resume(tmp_path / "a")


def test_a_word_on_ways_is_heard_by_who_wants_it_and_harms_nobody(tmp_path: Path) -> None:
    """A party without direct ways, and one of an earlier version, drop what they do not know."""
    heard: list[tuple[str, bytes]] = []
    made = sessions(tmp_path, MemoryRouter(list(NAMES)).endpoint)
    made[1]._frames.on_aside = lambda peer, data: heard.append((peer, data))

    def says(session: Session) -> object:
        session.connect()
        for peer in ("b", "c"):
            for data in (b"", b"where I hear"):
                session._frames.send_aside(peer, NOTES, data)
        total = session.run("one", Exchange(session.context("one"), session.peers))
        total += session.run("two", Exchange(session.context("two"), session.peers))
        total += session.run("three", Exchange(session.context("three"), session.peers))
        session.finish()
        return total

    workers = run(made, {"a": says})
    assert [worker.result for worker in workers.values()] == [6, 6, 6]
    assert heard == [("a", b""), ("a", b"where I hear")]


def test_silence_ends_with_a_reason(tmp_path: Path) -> None:
    made = sessions(tmp_path, MemoryRouter(list(NAMES)).endpoint, timeout=0.5)

    def sleep(session: Session) -> object:
        session.connect()
        return 0

    workers = run(made, {"c": sleep})
    assert "nothing received" in str(workers["a"].error) + str(workers["b"].error)


def test_a_role_is_saved_before_its_messages_leave(tmp_path: Path) -> None:
    router = MemoryRouter(list(NAMES))
    made = sessions(tmp_path, router.endpoint)
    seen: list[bool] = []
    deliver = router.deliver

    def watch(sender: str, receiver: str, frame: bytes | None) -> None:
        if frame and b"one" in frame[:80]:
            seen.append((tmp_path / sender / "journal" / "point").exists())
        deliver(sender, receiver, frame)

    router.deliver = watch  # type: ignore[method-assign]
    run(made, {})
    assert seen
    assert all(seen)


def test_a_party_that_has_no_part_in_a_step_is_not_heard(tmp_path: Path) -> None:
    """Else it could be taken for the one that a step is with, and be answered in its place."""

    def alone(session: Session) -> object:
        session.connect()
        return session.run("one", Exchange(session.context("one"), ["b"]), ["b"])

    def intruder(session: Session) -> object:
        session.connect()
        return session.run("one", Exchange(session.context("one"), ["a"]))

    def silent(session: Session) -> object:
        session.connect()
        return session.run("two", Exchange(session.context("two"), session.peers))

    made = sessions(tmp_path, MemoryRouter(list(NAMES)).endpoint)
    workers = run(made, {"a": alone, "b": silent, "c": intruder})
    assert isinstance(workers["a"].error, PeerError)
    assert str(workers["a"].error) == "one: c has no part in this step"


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (Declined("purpose 'ads' asked"), "b says no: purpose 'ads' asked", "change the job"),
        (Refused("planted: 7 shared"), "b says no", "a second answer about the same columns"),
        (Refused("no part of planted"), "b says no", "a model of which it keeps no part"),
        (InputError("planted"), "its table does not hold", "node ledger there"),
        (OtherVersion("suite b-v2 is here"), "another version: suite b-v2", "the same suites"),
    ],
)
def test_the_end_of_another_says_what_can_be_done(
    tmp_path: Path, error: FedprofileError, said: str, hint: str
) -> None:
    def end(session: Session) -> object:
        session.connect()
        raise error

    made = sessions(tmp_path, MemoryRouter(list(NAMES)).endpoint)
    errors = [worker.error for worker in run(made, {"b": end}).values()]
    told = [e for e in errors if isinstance(e, PeerGone) and said in e.message and hint in e.hint]
    assert told
    assert not [e for e in told if "planted" in str(e)]
