"""A coordinator that lies, and a partner that floods: what sessions over a hub make of them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from federated.keys.party_keys import PartyKeys
from federated.session.handshakes import Plain
from federated.session.journal import can_resume
from federated.session.sealing import Handshake
from federated.session.session import Session
from federated.wire import incoming, post
from federated.wire.parcels import Kind, Parcel
from psi.protocol import EnvironmentFailed, PeerGone, decode, encode
from tests.e2e.hub_nodes import JOB, Member, Place
from tests.unit.test_session import Exchange

KEYS = {name: PartyKeys.generate(name) for name in "ab"}
PINNED = {name: keys.identity for name, keys in KEYS.items()}
STEPS = 4
Route = Callable[[Parcel, str], None]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


class Party(threading.Thread):
    """One party's session over its node's connection."""

    def __init__(self, member: Member, home: Path) -> None:
        super().__init__(daemon=True)
        self.member, self.home = member, home / f"home-{member.name}"
        self.totals: list[int] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        name, end = self.member.name, self.member.endpoint
        session = Session(JOB, KEYS[name], PINNED, end, self.home, timeout=30)
        try:
            session.connect()
            for number in range(STEPS):
                step = f"step/{number}"
                self.totals.append(
                    session.run(step, Exchange(session.context(step), session.peers))
                )
            session.finish()
        except BaseException as error:
            self.error = error
            session.abort(error)


def job(
    place: Place, evil: Callable[[Route, Parcel, str], None], patience: float = 60.0
) -> list[Party]:
    relay = place.hub.guard.relay
    honest = relay.route
    relay.route = lambda parcel, sender: evil(honest, parcel, sender)  # type: ignore[method-assign]
    members = [place.member(name, peers=["a", "b"]).start() for name in "ab"]
    parties = [Party(member, place.folder) for member in members]
    for party in parties:
        party.start()
    for party in parties:
        party.join(patience)
        assert not party.is_alive()
    return parties


@pytest.mark.slow
def test_one_that_drops_repeats_and_reorders(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "PATIENCE", 1.0)
    monkeypatch.setattr(post, "QUIET", 0.3)
    rng, held, fates = random.Random(7), list[tuple[Parcel, str]](), set[str]()

    def evil(route: Route, parcel: Parcel, sender: str) -> None:
        fate = rng.choices(["drop", "hold", "repeat", "carry"], [1, 1, 2, 6])[0]
        fates.add(fate)
        if fate == "hold":
            held.append((parcel, sender))
        if fate in ("repeat", "carry"):
            route(parcel, sender)
        if fate == "repeat":
            route(parcel, sender)
            for late in held[::-1]:
                route(*late)
            held.clear()

    parties = job(place, evil, 120.0)
    assert [party.error for party in parties] == [None, None]
    assert all(party.totals == [1] * STEPS for party in parties)
    assert len(fates) == 4


def test_one_that_alters_a_frame_ends_no_job(place: Place) -> None:
    altered = list[str]()

    def evil(route: Route, parcel: Parcel, sender: str) -> None:
        if parcel.step == "step/3" and parcel.kind == Kind.PART and sender == "a" and not altered:
            altered.append(sender)
            data = parcel.data[:-1] + bytes([parcel.data[-1] ^ 1])
            parcel = replace(parcel, data=data)
        route(parcel, sender)

    parties = job(place, evil)
    assert altered
    assert [party.error for party in parties] == [None, None]
    assert all(party.totals == [1] * STEPS for party in parties)


def test_one_that_alters_a_frame_whenever_it_comes_leaves_the_job_at_rest(place: Place) -> None:
    def evil(route: Route, parcel: Parcel, sender: str) -> None:
        if parcel.step == "step/3" and parcel.kind == Kind.PART and sender == "a":
            data = parcel.data[:-1] + bytes([parcel.data[-1] ^ 1])
            parcel = replace(parcel, data=data)
        route(parcel, sender)

    a, b = job(place, evil)
    assert isinstance(b.error, EnvironmentFailed)
    assert "altered on their way" in b.error.message
    assert isinstance(a.error, PeerGone)
    assert b.totals == [1] * 3
    assert all(can_resume(party.home) for party in (a, b))


def test_one_that_calls_a_frame_by_another_step(place: Place) -> None:
    def evil(route: Route, parcel: Parcel, sender: str) -> None:
        if parcel.step == "step/3":
            parcel = replace(parcel, step="step/4")
        route(parcel, sender)

    parties = job(place, evil)
    assert all(isinstance(party.error, EnvironmentFailed | PeerGone) for party in parties)
    assert any("another step" in str(party.error) for party in parties)
    assert all(can_resume(party.home) for party in parties)


def test_one_that_puts_its_own_key_into_the_handshake(place: Place) -> None:
    mallory = PartyKeys.generate("a")

    def evil(route: Route, parcel: Parcel, sender: str) -> None:
        if parcel.step == "handshake" and sender == "a" and parcel.kind == Kind.PART:
            true = decode(parcel.data, Plain)
            forged = replace(true, data=Handshake(JOB, mallory, PINNED["b"]).hello())
            parcel = replace(parcel, data=encode(forged), size=len(encode(forged)))
        route(parcel, sender)

    a, b = job(place, evil)
    assert isinstance(b.error, EnvironmentFailed)
    assert "not signed by a" in b.error.message
    assert isinstance(a.error, PeerGone)


def test_megabytes_where_kilobytes_are_due(place: Place) -> None:
    a = place.member("a").start()
    b = place.member("b", limit=10 << 10).start()
    a.endpoint.send("b", bytes(9 << 10))
    assert len(b.endpoint.receive(20)[1]) == 9 << 10
    a.endpoint.send("b", bytes(40 << 20))
    with pytest.raises(EnvironmentFailed, match="at most 10240 allowed in this step"):
        b.endpoint.receive(20)
    way = b.endpoint._ways["a"]
    assert way.waiting + way.ahead_bytes <= 2 * incoming.WINDOW


def test_a_step_that_weighs_more_than_a_hub_carries(place: Place) -> None:
    place.hub.guard.relay._most_a_step = 4 << 20
    a, b = place.member("a").start(), place.member("b").start()
    a.endpoint.send("b", bytes(3 << 20))
    assert len(b.endpoint.receive(20)[1]) == 3 << 20
    a.endpoint.send("b", bytes(3 << 20))
    for member in (a, b):
        with pytest.raises(PeerGone, match="carries no more bytes of this step"):
            member.endpoint.receive(20)
    end = time.monotonic() + 10
    while not any(node["dropped"] for node in place.hub._answer({"op": "status"})["nodes"]):
        assert time.monotonic() < end
