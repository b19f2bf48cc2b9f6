"""Ways between two nodes beside the hub: who may come, who is called, and what is left of a job."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federated.approval.direct import Direct, load_direct, read_address
from federated.approval.policy_file import NEW_POLICY, load_policy
from federated.wire.direct import door as door_module
from federated.wire.direct import link as link_module
from federated.wire.direct import meeting as meeting_module
from federated.wire.direct.door import Door
from federated.wire.direct.link import Link, shake
from federated.wire.direct.meeting import MOST_HEARD, MOST_OFFERS, Meeting
from federated.wire.direct.offer import KNOCK, Offer, read_offer
from federated.wire.direct.tunnel import Pass, Tunnel, make_pass
from federated.wire.direct.ways import DirectWays
from federated.wire.parcels import Kind, Parcel, notice, read_parcel
from federated.wire.post import PostEndpoint
from psi.protocol import InputError, JobError, PeerError

JOB = bytes(range(32))
PLACE = "127.0.0.1:9443"


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


# who is called


def meeting(me: str, peer: str, hears: str = "", dial: str = "") -> Meeting:
    return Meeting(me, peer, me.encode(), hears, dial, os.urandom)


def test_only_what_the_own_policy_has_is_called() -> None:
    """A peer that advertises somebody else's address has nobody connect there."""
    bank = meeting("bank", "telecom", dial="telecom.example:9443")
    for place in ("10.0.0.5:6379", "telecom.example:22", "TELECOM.example:9443", "localhost:9443"):
        assert bank.heard(Offer(b"t", place, bytes(KNOCK)), 0.0) is None
        assert bank.refused == place
    call = bank.heard(Offer(b"t", "telecom.example:9443", bytes(KNOCK)), 0.0)
    assert call is not None
    assert (call.address, call.certificate) == ("telecom.example:9443", b"t")
    nobody = meeting("bank", "telecom")
    assert nobody.heard(Offer(b"t", PLACE, bytes(KNOCK)), 0.0) is None


def test_offers_end_where_nobody_comes_and_begin_again_after_a_loss() -> None:
    telecom = meeting("telecom", "bank", hears=PLACE)
    now, knocks = 0.0, set()
    for _ in range(MOST_OFFERS):
        offer = telecom.offer(now)
        assert offer is not None
        knocks.add(offer.knock)
        assert telecom.offer(now + 1.0) is None, "not before a pause"
        now += 100.0
    assert telecom.offer(now) is None
    assert len(knocks) == MOST_OFFERS, "no knock twice"
    telecom.opened()
    assert telecom.met
    telecom.lost(now)
    assert telecom.offer(now + 1.0) is None
    assert telecom.offer(now + 3.0) is not None


def test_a_peer_that_was_restarted_is_told_anew() -> None:
    telecom = meeting("telecom", "bank", hears=PLACE)
    telecom.heard(Offer(b"first life", "", b""), 0.0)
    assert telecom.offer(0.0) is not None
    telecom.opened()
    assert telecom.offer(1000.0) is None
    telecom.heard(Offer(b"second life", "", b""), 1000.0)
    assert telecom.offer(1000.0) is not None


def test_an_offer_that_a_hub_brings_again_ends_no_way_and_is_not_called() -> None:
    """Offers stand outside of the count of frames: the hub may keep one and bring it any time."""
    bank = meeting("bank", "bureau", dial="b.example:1")
    old = Offer(b"first life", "b.example:1", b"o" * 32)
    new = Offer(b"second life", "b.example:1", b"n" * 32)
    assert bank.heard(old, 0.0)
    assert bank.heard(new, 1.0)
    bank.opened()
    for _ in range(2 * MOST_HEARD):
        assert bank.heard(old, 2.0) is None
        assert bank.heard(new, 2.0) is None
    assert (bank.met, bank.theirs) == (True, b"second life")
    bank.lost(3.0)
    assert bank.heard(Offer(b"second life", "b.example:1", b"m" * 32), 4.0)


def test_one_peer_cannot_make_this_party_call_for_ever() -> None:
    bank = meeting("bank", "telecom", dial=PLACE)
    knocks = [number.to_bytes(KNOCK, "little") for number in range(2 * MOST_HEARD)]
    calls = [bank.heard(Offer(b"t", PLACE, knock), 0.0) for knock in knocks]
    assert sum(call is not None for call in calls) == MOST_HEARD


@pytest.mark.parametrize(
    "offer",
    [
        Offer(b"", "", b""),
        Offer(b"c", PLACE, b"short"),
        Offer(b"c", "", bytes(KNOCK)),
        Offer(b"c", "no port", bytes(KNOCK)),
        Offer(b"c", "a:70000", bytes(KNOCK)),
        Offer(b"c", "a b:1", bytes(KNOCK)),
        Offer(b"c", "http://a:1", bytes(KNOCK)),
    ],
)
def test_malformed_offers_are_refused(offer: Offer) -> None:
    with pytest.raises(PeerError):
        read_offer(offer.to_bytes())


# the policy


def test_nothing_is_direct_until_the_policy_says_so(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    assert not load_direct(file).on
    file.write_text(NEW_POLICY)
    assert load_policy(file).direct == load_direct(file) == Direct()
    file.write_text('[direct]\ndial = { telecom = "telecom.example:9443" }\n')
    assert load_policy(file).direct == load_direct(file)
    assert load_direct(file).dial == {"telecom": "telecom.example:9443"}
    file.write_text("[direct\n")
    assert not load_direct(file).on


@pytest.mark.parametrize(
    "text", ['listen = "0.0.0.0:9443"', 'advertise = "a:1"', 'dial = { b = "c" }', "port = 1"]
)
def test_mistakes_in_the_section_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f"[direct]\n{text}\n")
    with pytest.raises(JobError, match=r"policy.toml: \[direct\]"):
        load_policy(file)


def test_addresses() -> None:
    assert read_address("[2001:db8::1]:9443") == ("2001:db8::1", 9443)
    with pytest.raises(InputError):
        read_address("a:0")


# the door


@pytest.fixture
def door() -> Iterator[Door]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    made = Door(f"127.0.0.1:{port}")
    made.start()
    yield made
    made.close()


def call(door: Door, data: bytes) -> socket.socket:
    link = socket.create_connection((door.host, door.port), timeout=10)
    link.sendall(data)
    return link


def said(link: socket.socket) -> bytes:
    """What comes before the other end hangs up, in whichever way."""
    try:
        return link.recv(100)
    except ConnectionResetError:
        return b""


def waiting(door: Door, knock: bytes) -> list[socket.socket | None]:
    got: list[socket.socket | None] = []
    threading.Thread(target=lambda: got.append(door.wait(knock, 10.0)), daemon=True).start()
    until(lambda: knock in door._waiting, "not waited for")
    return got


def test_a_knock_opens_once_and_strangers_hear_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "SHOW_WITHIN", 0.3)
    knock = os.urandom(KNOCK)
    got = waiting(door, knock)
    for shown in (os.urandom(KNOCK), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + bytes(9), knock[:-1]):
        with call(door, shown) as stranger:
            assert said(stranger) == b"", "hung up on, without a byte"
    assert not got
    first = call(door, knock + b"what follows")
    until(lambda: bool(got), "not let in")
    assert got[0] is not None
    assert got[0].recv(100) == b"what follows"
    with call(door, knock) as again:
        assert again.recv(100) == b""
    first.close()
    got[0].close()


def test_many_strangers_do_not_keep_a_guest_out(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "MOST_GUESTS", 4)
    idle = [socket.create_connection((door.host, door.port)) for _ in range(20)]
    knock = os.urandom(KNOCK)
    got = waiting(door, knock)
    call(door, knock)
    until(lambda: bool(got), "not let in")
    for one in idle:
        one.close()


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is here on Linux alone")
def test_a_flood_from_one_network_turns_away_nobody_from_another(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has connected and is about to knock, while strangers come in hundreds."""
    monkeypatch.setattr(door_module, "MOST_GUESTS", 4)
    knock = os.urandom(KNOCK)
    got = waiting(door, knock)
    guest = socket.create_connection((door.host, door.port), source_address=("127.0.0.2", 0))
    idle = [socket.create_connection((door.host, door.port)) for _ in range(20)]
    until(lambda: door.strangers >= 17, "strangers stayed")
    guest.sendall(knock)
    until(lambda: bool(got), "not let in")
    assert got[0] is not None
    for one in (*idle, guest):
        one.close()


def test_a_place_with_many_addresses_is_one_network() -> None:
    networks = {door_module._network(f"2001:db8:1:2::{n:x}%eth0") for n in range(9)}
    assert networks == {"2001:db8:1:2::/64"}
    assert door_module._network("192.0.2.7") == "192.0.2.7"


# the tunnel, and the way


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
    a.start()
    b.start()
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


# a whole job's ways


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
