"""The socket file of hub and daemon: commands, mounted parties, what it refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federated.session.last_word import FINISH, keep_last_word
from federated.session.routers import GOODBYE
from federated.session.sealing import SealedFrame
from federated.wire.local import LocalMount, LocalServer, ask
from federated.wire.parcels import Kind, Parcel
from psi.protocol import EnvironmentFailed, PeerError, PeerGone, Refused, encode

JOB = bytes(32)


class Switchboard:
    """Joins mounted parties of one process."""

    def __init__(self) -> None:
        self.parties: dict[str, Any] = {}
        self.seen: list[Parcel] = []

    def mount(self, job: bytes, name: str, party: Any) -> None:
        if name == "nobody":
            raise Refused("nobody has no place here", hint="be somebody")
        if party is None:
            self.parties.pop(name, None)
        else:
            self.parties[name] = party

    def route(self, parcel: Parcel, sender: str) -> None:
        self.seen.append(parcel)
        if parcel.receiver in self.parties:
            self.parties[parcel.receiver].put(parcel)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[tuple[Switchboard, Path]]:
    deep = tmp_path / ("x" * 90) / ("y" * 60)  # longer than a socket's name may be
    deep.mkdir(parents=True)
    switch = Switchboard()
    answer = lambda request: {"echo": request["op"]}  # noqa: E731
    server = LocalServer(deep / "hub.sock", switch, answer, deep / "jobs")
    yield switch, deep / "hub.sock"
    server.close()
    assert not (deep / "hub.sock").exists()


def mount(path: Path, name: str) -> LocalMount:
    return LocalMount(path, name, JOB, ["a", "b"], lambda step: 1 << 40)


def test_commands_and_their_errors(board: tuple[Switchboard, Path], tmp_path: Path) -> None:
    _, path = board
    assert path.stat().st_mode & 0o777 == 0o600
    assert ask(path, op="status") == {"echo": "status"}
    with pytest.raises(EnvironmentFailed, match="KeyError"):
        ask(path, nothing="here")
    with pytest.raises(EnvironmentFailed, match="nothing runs in"):
        ask(tmp_path / "hub.sock", op="status")
    with pytest.raises(EnvironmentFailed, match="no place here"):
        mount(path, "nobody")


def test_frames_between_mounted_parties(board: tuple[Switchboard, Path]) -> None:
    switch, path = board
    a, b = mount(path, "a"), mount(path, "b")
    a.call(b"come", every=0.05)
    a.endpoint.send("b", bytes(1 << 20))
    b.endpoint.greet()
    assert b.endpoint.receive(5) == ("a", bytes(1 << 20))
    b.endpoint.send("a", b"yes")
    assert a.endpoint.receive(5) == ("b", b"yes")
    assert any(parcel.kind == Kind.CALL for parcel in switch.seen)
    assert a.endpoint.traffic == {("a", "b"): 1 << 20, ("b", "a"): 3}
    a.close()
    assert b.endpoint.receive(5) == ("a", b"")
    b.close()


def test_a_party_that_dies_without_a_word(board: tuple[Switchboard, Path]) -> None:
    _, path = board
    a, b = mount(path, "a"), mount(path, "b")
    a.endpoint.send("b", b"x")
    assert b.endpoint.receive(5)[1] == b"x"
    a._stop.set()
    a._link.shutdown(2)
    with pytest.raises(PeerGone, match="a: its process has ended"):
        b.endpoint.receive(10)
    b.close()


def test_a_party_whose_last_frame_a_hub_took_along(board: tuple[Switchboard, Path]) -> None:
    """Its process is gone, and had ended: the other gets what it has left, which it can check."""
    _, path = board
    a, b = mount(path, "a"), mount(path, "b")
    a.endpoint.send("b", b"x")
    assert b.endpoint.receive(5)[1] == b"x"
    frame = encode(
        SealedFrame(
            session=JOB, step=FINISH, sender="a", receiver="b", sequence=0, counter=7, sealed=b"x"
        )
    )
    keep_last_word(path.parent / "jobs" / JOB.hex(), "b", frame)
    a._stop.set()
    a._link.shutdown(2)
    assert b.endpoint.receive(10) == ("a", frame)
    assert b.endpoint.receive(10) == ("a", GOODBYE)
    assert not b.endpoint.failed
    b.close()


def test_a_hub_that_dies(board: tuple[Switchboard, Path]) -> None:
    a = mount(board[1], "a")
    a._link.shutdown(2)
    with pytest.raises(PeerGone, match="has gone") as error:
        a.endpoint.receive(10)
    assert "fedprofile job resume" in error.value.hint  # a new run would be a second answer
    a.close()


def test_a_mounted_party_speaks_for_itself_only(board: tuple[Switchboard, Path]) -> None:
    before = threading.active_count()
    switch, path = board
    a, b = mount(path, "a"), mount(path, "b")
    forged = Parcel(
        kind=Kind.PART,
        job=JOB,
        sender="b",
        receiver="a",
        step="s",
        stream=bytes(8),
        number=0,
        taken_stream=bytes(8),
        taken=0,
        size=1,
        offset=0,
        data=b"x",
    )
    a.carry(forged)
    with pytest.raises((PeerGone, PeerError)):
        a.endpoint.receive(10)
    end = time.monotonic() + 5
    while "a" in switch.parties and time.monotonic() < end:
        time.sleep(0.02)
    assert "a" not in switch.parties
    assert forged not in switch.seen
    b.close()
    assert threading.active_count() < before + 8
