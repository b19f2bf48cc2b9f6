"""A tunnel between two nodes, and the parcels that cross it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import cast

import pytest

from federated.wire.direct import link as link_module
from federated.wire.direct.link import Link, shake
from federated.wire.direct.tunnel import Pass, Tunnel, make_pass
from federated.wire.parcels import Kind, Parcel, notice
from federated.wire.watch import Watch
from psi.protocol import PeerError
from tests.unit.direct.world import JOB, until


def connection() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    return near, far


def shaken(near: Tunnel, far: Tunnel) -> tuple[socket.socket, socket.socket, list[Exception]]:
    ends, wrong = connection(), list[Exception]()

    def play(end: socket.socket, tunnel: Tunnel, hears: bool) -> None:
        try:
            shake(end, tunnel, hears=hears)
        except (OSError, PeerError) as error:
            wrong.append(error)
            end.close()

    other = threading.Thread(target=play, args=(ends[1], far, True))
    other.start()
    play(ends[0], near, False)
    other.join(10)
    return *ends, wrong


def test_another_certificate_than_was_told_is_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """At either end: neither the network nor the hub can sit in the middle."""
    monkeypatch.setattr(link_module, "SHAKE_WITHIN", 3.0)
    a, b, stranger = make_pass(), make_pass(), make_pass()
    pairs: list[tuple[tuple[Pass, Pass], tuple[Pass, Pass]]] = [
        ((a, stranger), (b, a)),
        ((a, b), (b, stranger)),
        ((stranger, b), (b, a)),
    ]
    for (mine, expected), (theirs, awaited) in pairs:
        near = Tunnel(mine, expected.certificate, hears=False)
        far = Tunnel(theirs, awaited.certificate, hears=True)
        *ends, wrong = shaken(near, far)
        assert wrong, "both took it"
        for end in ends:
            end.close()
    with pytest.raises(PeerError, match="no certificate"):
        Tunnel(a, b"nonsense", hears=True)


def part(data: bytes, sender: str = "a", receiver: str = "b", job: bytes = JOB) -> Parcel:
    one = notice(Kind.PART, job, sender, receiver, "step", data)
    return one


def linked(
    heard: Callable[[Parcel], None] = lambda parcel: None,
) -> tuple[Link, Link, list[str]]:
    one, other, over = make_pass(), make_pass(), list[str]()
    tunnels = (
        Tunnel(one, other.certificate, hears=False),
        Tunnel(other, one.certificate, hears=True),
    )
    near, far, wrong = shaken(*tunnels)
    assert not wrong
    a = Link(near, tunnels[0], (JOB, "a", "b"), heard, lambda link: over.append("a"))
    b = Link(far, tunnels[1], (JOB, "b", "a"), heard, lambda link: over.append("b"))
    a.start(Watch())
    b.start(Watch())
    return a, b, over


def test_parcels_of_all_sizes_cross() -> None:
    got: list[bytes] = []
    a, b, over = linked(lambda parcel: got.append(parcel.data))
    sizes = (0, 1, 1 << 14, (1 << 18) - 3, 5 << 20)
    sent = [os.urandom(size) for size in sizes]
    for data in sent:
        assert a.put(part(data))
    until(lambda: len(got) == len(sent), "not all came")
    assert got == sent
    a.close()
    until(lambda: len(over) == 2, "the other end does not notice")
    assert not b.put(part(b"", "b", "a"))


def test_a_small_parcel_is_read_without_much_memory() -> None:
    """Room for 256 KiB that was made anew for each cost more than to read and open it."""
    got: list[bytes] = []
    a, b, _ = linked(lambda parcel: got.append(parcel.data))
    assert a.put(part(b"the first"))
    until(lambda: len(got) == 1, "it does not come")
    tracemalloc.start()
    try:
        for count in range(2, 6):
            assert a.put(part(b"x"))
            until(lambda: len(got) == count, "it does not come")  # noqa: B023
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        a.close()
        b.close()
    assert peak < 1 << 17, "19 kB are found; one read asked for twice as much before"


@pytest.mark.parametrize(
    "lie",
    [
        part(b"x", job=bytes(32)),
        part(b"x", sender="c"),
        part(b"x", receiver="c"),
        notice(Kind.AWAY, JOB, "a", "b"),
        notice(Kind.REFUSED, JOB, "a", "b", "closed"),
        notice(Kind.CALL, JOB, "a", "b", "call", b"x"),
    ],
)
def test_a_peer_says_nothing_there_but_its_own_parts(lie: Parcel) -> None:
    got: list[Parcel] = []
    a, _, over = linked(got.append)
    a.put(lie)
    until(lambda: len(over) == 2, "the way goes on")
    assert not got


def test_a_mistake_of_ours_ends_the_way_as_lost() -> None:
    def mistaken(parcel: Parcel) -> None:
        raise RuntimeError(parcel.step)

    a, b, over = linked(mistaken)
    assert a.put(part(b"x"))
    until(lambda: len(over) == 2, "the way goes on")
    assert not a.put(part(b"x"))
    assert not b.put(part(b"x", "b", "a"))


class _Asked:
    """A tunnel whose other end asks for new keys with every byte."""

    asks = True

    def open(self, data: bytes) -> bytes:
        del data
        return b""

    def outgoing(self) -> bytes:
        return bytes(1 << 10)


def test_who_asks_on_and_takes_no_answer_is_left() -> None:
    """What TLS answers to new keys would fill the memory."""
    (near, far), over, tunnel = socket.socketpair(), list[str](), _Asked()
    link = Link(near, cast(Tunnel, tunnel), (JOB, "a", "b"), print, lambda link: over.append("a"))
    link.start(Watch())
    for _ in range(2000):
        if over:
            break
        with contextlib.suppress(OSError):
            far.send(b"x")
        time.sleep(0.001)
    assert over == ["a"]
    assert link._waiting < 1 << 20
    far.close()
