"""A whole job's ways beside the hub: met, cut, met again."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from federated.approval.direct import Direct
from federated.wire.direct import meeting as meeting_module
from federated.wire.direct.door import Door
from federated.wire.direct.link import Link, shake
from federated.wire.direct.meeting import Call
from federated.wire.direct.offer import KNOCK, Offer, read_offer
from federated.wire.direct.tunnel import Tunnel, make_pass
from federated.wire.direct.ways import DirectWays
from federated.wire.parcels import Parcel, read_parcel
from federated.wire.post import PostEndpoint
from psi.protocol import PeerError
from tests.unit.direct.world import JOB, call, until


class Party:
    """An endpoint over a pretended hub, and its direct ways."""

    def __init__(self, name: str, hub: dict[str, Party], allowed: Direct, door: Door | None):
        self.name, self.hub_on, self.by_hub = name, True, 0
        self.hub = hub
        hub[name] = self

        def carry(parcel: Parcel) -> None:
            if self.hub_on:
                self.by_hub += 1
                self.hub[parcel.receiver].end.deliver(read_parcel(parcel.to_bytes()))

        self.end = PostEndpoint(name, JOB, ["a", "b"], carry, lambda step: 1 << 40)
        self.ways = DirectWays(
            self.end, ["a", "b"], allowed, door.wait if door else lambda knock, within: None
        )


def two(door: Door, tell: Callable[[bytes], bytes] = lambda data: data) -> tuple[Party, Party]:
    hub: dict[str, Party] = {}
    place = f"{door.host}:{door.port}"
    a = Party("a", hub, Direct(dial={"b": place}), None)
    b = Party("b", hub, Direct(place, place), door)
    for one in (a, b):
        one.ways.begin(
            lambda peer, data, me=one: me.hub[peer].ways.heard(me.name, tell(data))  # type: ignore[misc]
        )
    return a, b


def exchange(a: Party, b: Party, count: int = 5) -> None:
    for one, other in [(a, b), (b, a)] * count:
        data = os.urandom(100)
        one.end.send(other.name, data)
        assert other.end.receive(20.0) == (one.name, data)


def cut(party: Party, peer: str) -> None:
    """A firewall cuts the way, with frames in it; it may be over already."""
    with contextlib.suppress(KeyError, OSError):
        party.ways._links[peer]._link.shutdown(socket.SHUT_RDWR)


def test_frames_take_the_direct_way_and_the_hub_when_it_is_lost(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way that is cut in the middle costs nothing, and comes back by itself."""
    monkeypatch.setattr(meeting_module, "FIRST_PAUSE", 0.2)
    a, b = two(door)
    exchange(a, b)
    until(lambda: bool(a.end.beside and b.end.beside), "no direct way")
    before, a.hub_on, b.hub_on = a.by_hub, False, False
    exchange(a, b)  # while the hub is away, too
    assert a.by_hub == before
    a.hub_on = b.hub_on = True
    for _ in range(2):
        cut(a, "b")
        exchange(a, b)
        until(lambda: bool(a.end.beside and b.end.beside), "it does not come back")
    exchange(a, b)
    ways = a.ways.figures()["b"]
    assert ways["direct"] > 0
    a.ways.close()
    b.ways.close()
    exchange(a, b)
    assert a.by_hub > before


def test_frames_under_way_when_it_is_cut_all_arrive_once(door: Door) -> None:
    a, b = two(door)
    until(lambda: bool(a.end.beside and b.end.beside), "no direct way")
    frames = [os.urandom(50_000) for _ in range(100)]

    def send() -> None:
        for number, frame in enumerate(frames):
            a.end.send("b", frame)
            if number in (20, 60):
                cut(a, "b")

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    got = [b.end.receive(20.0)[1] for _ in frames]
    thread.join(10)
    assert got == frames
    a.ways.close()
    b.ways.close()


def test_nobody_is_called_before_the_contract_is_signed() -> None:
    """A peer may make an offer as soon as there is a channel: an officer may still say no."""
    hub: dict[str, Party] = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        here = f"127.0.0.1:{listener.getsockname()[1]}"
        a = Party("a", hub, Direct(dial={"b": here}), None)
        offer = Offer(make_pass().certificate, here, bytes(KNOCK))
        a.ways.heard("b", offer.to_bytes())
        with pytest.raises(TimeoutError):
            listener.accept()
        told: list[str] = []
        a.ways.begin(lambda peer, data: told.append(peer))
        listener.settimeout(10.0)
        link, _ = listener.accept()
        assert link.recv(KNOCK) == bytes(KNOCK)
        link.close()
    until(lambda: told == ["b"], "nothing is told")
    a.ways.close()


def test_a_party_that_was_restarted_is_met_again(door: Door) -> None:
    a, b = two(door)
    until(lambda: bool(a.end.beside and b.end.beside), "no direct way")
    first = b.ways._links["a"]
    a.ways._stop.set()  # it was killed, and its connection hangs
    a.hub_on = False
    again = Party("a", b.hub, Direct(dial={"b": f"{door.host}:{door.port}"}), None)
    again.ways.begin(lambda peer, data: b.ways.heard("a", data))
    until(lambda: bool(again.end.beside), "it is not met again")
    until(lambda: b.ways._links.get("a") not in (None, first), "the old way is kept")
    exchange(again, b)
    assert again.ways.figures()["b"]["direct"] > 0
    for one in (a, again, b):
        one.ways.close()


def test_who_steals_a_knock_gets_no_way_and_breaks_no_job(door: Door) -> None:
    """An eavesdropper that is faster: TLS shows that it is not the peer."""
    thief = make_pass()

    def steal(data: bytes) -> bytes:
        offer = read_offer(data)
        if offer.knock:
            link = call(door, offer.knock)
            with pytest.raises((PeerError, OSError)):
                shake(link, Tunnel(thief, offer.certificate, hears=False), hears=False)
            link.close()
        return data

    a, b = two(door, steal)
    exchange(a, b)
    assert not a.end.beside
    assert not b.end.beside
    a.ways.close()
    b.ways.close()


def test_two_that_call_each_other_at_a_time_leave_no_connection(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have two ways then, and may send by different ones; one may be lost."""
    made = list[Link]()
    start = Link.start

    def noted(link: Link, watch: Any) -> None:
        made.append(link)
        start(link, watch)

    monkeypatch.setattr(Link, "start", noted)
    a, b = two(door)
    until(lambda: len(made) == 2, "no direct way")
    knock = os.urandom(KNOCK)
    call_it = Call(f"{door.host}:{door.port}", knock, b.ways._pass.certificate, 0.0)
    b.ways._thread(b.ways._hear, b.ways._meetings["a"], knock)
    a.ways._meetings["b"].met = False  # as where the other's call was under way
    a.ways._call(a.ways._meetings["b"], call_it)
    until(lambda: len(made) == 4, "no second way")
    until(lambda: bool(a.end.beside and b.end.beside), "no direct way")
    exchange(a, b)
    newest = a.ways._links["b"]
    newest._link.shutdown(socket.SHUT_RDWR)
    until(lambda: a.ways._links.get("b") not in (None, newest), "the other way is forgotten")
    by_hub, a.hub_on, b.hub_on = a.by_hub, False, False
    exchange(a, b)
    assert a.by_hub == by_hub
    a.ways.close()
    b.ways.close()
    assert all(link._over for link in made)
