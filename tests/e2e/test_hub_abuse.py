"""What the guard and the relay withstand: strangers, forgeries, floods, revoked nodes."""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from flwr.proto.fleet_pb2 import PullMessagesRequest, PushMessagesRequest
from flwr.proto.node_pb2 import Node

from federated.wire import post
from federated.wire.certificates import Authority, make_key, request_certificate
from federated.wire.enrolment import enrol
from federated.wire.flower import guard, relay
from federated.wire.flower.hub_calls import FleetKeys
from federated.wire.flower.packing import pack
from federated.wire.hub_home import HubHome, read_invite, write_invite
from federated.wire.parcels import Kind, Parcel
from psi.protocol import EnvironmentFailed, FedprofileError, InputError, MisuseError, Refused
from tests.e2e.hub_nodes import JOB, Cable, Place

VERSION = {"x-fedprofile-version": "1"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


def client(place: Place, keys: FleetKeys | None = None) -> httpx.Client:
    if keys is not None:
        return httpx.Client(verify=keys.context, headers=VERSION)
    context = ssl.create_default_context(cadata=place.home.authority.pem().decode())
    return httpx.Client(verify=context, headers=VERSION)


def url(place: Place, path: str) -> str:
    return f"https://{place.home.address}{path}"


def test_frames_go_both_ways(place: Place) -> None:
    a, b = place.member("a").start(), place.member("b").start()
    big = os.urandom(20 << 20)
    a.endpoint.send("b", b"small")
    a.endpoint.send("b", big)
    assert b.endpoint.receive(20)[1] == b"small"
    b.endpoint.send("a", b"back")
    assert a.endpoint.receive(20) == ("b", b"back")
    assert b.endpoint.receive(20)[1] == big
    assert not any(place.folder.glob("hub/*.db*"))


def test_only_fleet_calls_are_served(place: Place) -> None:
    keys = place.keys(place.home.invite("a"))
    paths = ["/", "/docs", "/openapi.json", "/health", "/v1/control/start-run", "/v1/fleet/get-fab"]
    paths += ["/v1/fleet/register-node", "/v1/fleet/get-run", "/v1/runtime/acquire-task"]
    paths += ["/v1/fleet/../control/start-run", "/v1/fleet//pull-messages"]
    with client(place, keys) as http:
        for path in paths:
            assert http.post(url(place, path), content=b"").status_code in (403, 404, 405), path
            assert http.get(url(place, path)).status_code == 405


def test_a_stranger_gets_nowhere(place: Place) -> None:
    with client(place) as http:  # no certificate
        answer = http.post(url(place, "/v1/fleet/pull-messages"), content=b"")
        assert (answer.status_code, answer.json()["code"]) == (401, "certificate")
    invite, key = place.home.invite("a"), make_key()
    other = Authority.create("another hub").node(request_certificate(key, "a"), "a")
    foreign = place.keys(invite, key, other)  # a certificate of another authority
    with client(place, foreign) as http, pytest.raises(httpx.TransportError):
        http.post(url(place, "/v1/fleet/pull-messages"), content=b"")
    ours = place.home.authority.node(request_certificate(key, "a"), "a")
    unknown = place.keys(invite, key, ours)  # our certificate, but never registered
    member = place.member("a", unknown).start()
    assert member.ended.wait(10)
    assert isinstance(member.error, Refused)
    assert "not registered" in member.error.message


def test_invites_are_used_once_by_one_name_and_in_time(tmp_path: Path, place: Place) -> None:
    invite = place.home.invite("a")
    path = tmp_path / "a.invite"
    write_invite(path, invite)
    assert read_invite(path) == invite
    assert "PRIVATE" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Refused, match="unknown or was used"):
        enrol(replace(invite, name="b"), make_key())
    with pytest.raises(Refused, match="unknown or was used"):
        enrol(replace(invite, token="guess"), make_key())
    enrol(invite, make_key())
    with pytest.raises(Refused, match="unknown or was used"):
        enrol(invite, make_key())
    late = HubHome(place.home.path, lambda: time.time() - 80 * 3600).invite("b")
    with pytest.raises(Refused, match="expired"):
        enrol(late, make_key())
    first = place.home.invite("c")
    place.home.invite("c")  # a second invite voids the first
    with pytest.raises(Refused, match="unknown or was used"):
        enrol(first, make_key())
    with pytest.raises(MisuseError, match="is registered"):
        place.home.invite("a")
    with pytest.raises(MisuseError, match="name has"):
        place.home.invite("../a\x1b[2J")
    assert invite.token not in (place.home.path / "invites.json").read_text()


def test_a_node_cannot_speak_for_another(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "HOLD", 0.5)
    a, b, c = (place.member(name).start() for name in "abc")
    forged = Parcel(
        kind=Kind.PART,
        job=JOB,
        sender="c",
        receiver="b",
        step="handshake",
        stream=bytes(8),
        number=0,
        taken_stream=bytes(8),
        taken=0,
        size=4,
        offset=0,
        data=b"evil",
    )
    a.fleet.put(forged)
    c.endpoint.send("b", b"true")
    assert b.endpoint.receive(20) == ("c", b"true")
    status = {node["name"]: node for node in place.hub._answer({"op": "status"})["nodes"]}
    assert status["a"]["foreign"] == 1
    theirs = c.fleet._node.node_id
    a.fleet._node = Node(node_id=theirs)  # asks for c's messages
    b.endpoint.send("a", b"wakes the call that waits")
    end = time.monotonic() + 30
    while "signature" not in a.fleet.trouble:  # it is turned away
        assert time.monotonic() < end
        time.sleep(0.01)
    while a.endpoint._arrived.empty():
        assert time.monotonic() < end
        b.endpoint.again()
        time.sleep(0.2)
    assert a.endpoint.receive(1)[1] == b"wakes the call that waits"  # its own, under its own name
    assert a.fleet._node.node_id != theirs
    assert c.endpoint._arrived.empty()


def test_forged_and_malformed_messages_are_refused(place: Place) -> None:
    keys = place.keys(place.home.invite("a"))
    b = place.member("b").start()
    a = place.member("a", keys).start()
    instance = {"x-fedprofile-instance": a.fleet._client._client.headers["x-fedprofile-instance"]}
    request = PushMessagesRequest(node=a.fleet._node)
    request.messages_list.add().metadata.src_node_id = b.fleet._node.node_id
    request.message_object_trees.add().object_id = "0" * 64
    with client(place, keys) as http:

        def post(call: str, body: bytes) -> Any:
            answer = http.post(url(place, f"/v1/fleet/{call}"), content=body, headers=instance)
            return answer.status_code, answer.json()["code"]

        assert post("push-messages", request.SerializeToString()) == (403, "foreign")
        assert post("push-messages", b"\xff\xff\xff") == (400, "malformed")
        assert post("push-object", bytes(7 << 20)) == (413, "size")
        assert post("pull-messages", bytes(5000)) == (413, "size")
        stale = PullMessagesRequest(node=a.fleet._node).SerializeToString()
        instance["x-fedprofile-instance"] = "another"
        assert post("pull-messages", stale) == (409, "replaced")
        old = {"x-fedprofile-version": "0"}
        answer = http.post(url(place, "/v1/fleet/pull-messages"), content=stale, headers=old)
        assert (answer.status_code, answer.json()["code"]) == (426, "version")
    a.endpoint.send("b", b"still here")
    assert b.endpoint.receive(20)[1] == b"still here"


def test_what_is_no_parcel_is_dropped(place: Place) -> None:
    a, b = place.member("a").start(), place.member("b").start()
    message = a.fleet._take_open()
    assert message is not None
    a.fleet._reply(message, [_Raw(b"not a parcel"), _Raw(bytes(1 << 20))])  # type: ignore[list-item]
    a.endpoint.send("b", b"true")
    assert b.endpoint.receive(20)[1] == b"true"
    assert len(pack([b"x"])) == 1


class _Raw:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def to_bytes(self) -> bytes:
        return self._data


def test_a_revoked_node_is_shut_out_at_once(place: Place) -> None:
    a, b = place.member("a").start(), place.member("b").start()
    a.endpoint.send("b", b"before")
    assert b.endpoint.receive(20)[1] == b"before"
    time.sleep(0.5)
    place.home.revoke("a")  # it asks for messages, and says nothing itself
    assert a.ended.wait(12), "a call is held for 25 s, and nobody ends it"
    assert isinstance(a.error, Refused)
    assert "revoked" in a.error.message
    b.endpoint.send("a", b"into the void")
    end = time.monotonic() + 20
    while not any(p.kind == Kind.AWAY for p in b.others) and time.monotonic() < end:
        time.sleep(0.1)
    assert any(p.kind == Kind.AWAY and p.sender == "a" for p in b.others)
    again = place.member("a").start()  # a new invite, a new key
    assert not again.ended.is_set()


def test_two_processes_with_the_same_keys(place: Place) -> None:
    keys = place.keys(place.home.invite("a"))
    first = place.member("a", keys).start()
    second = place.member("a", keys).start()
    first.endpoint.send("b", b"x")
    assert first.ended.wait(30)
    assert isinstance(first.error, EnvironmentFailed)
    assert "another process" in first.error.message
    assert not second.ended.is_set()


def test_frames_survive_a_restart_of_the_hub(place: Place) -> None:
    a, b = place.member("a").start(), place.member("b").start()
    a.endpoint.send("b", b"one")
    assert b.endpoint.receive(20)[1] == b"one"
    place.hub.stop()
    a.endpoint.send("b", b"two")
    a.endpoint.send("b", b"three")
    place.restart()
    assert b.endpoint.receive(40)[1] == b"two"
    assert b.endpoint.receive(40)[1] == b"three"
    b.endpoint.send("a", b"four")
    assert a.endpoint.receive(40)[1] == b"four"


def test_open_messages_are_renewed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "HOLD", 0.5)  # a node asks again at least so often
    a, b = place.member("a").start(), place.member("b").start()
    a.endpoint.send("b", b"one")
    assert b.endpoint.receive(20)[1] == b"one"
    peers = place.hub.guard.relay.peers()
    before = {}
    for peer in peers:
        before[peer.name] = set(peer.open)
        peer.open.update(dict.fromkeys(before[peer.name], time.monotonic() - relay.RENEW - 1))
    end = time.monotonic() + 40  # one that the node has not taken yet is replaced afterwards
    while any(before[peer.name] & set(peer.open) for peer in peers):
        assert time.monotonic() < end, "a message that is about to expire is still open"
        time.sleep(0.05)
    b.endpoint.send("a", b"two")  # at once, though the node still holds the expiring ones
    assert a.endpoint.receive(post.PATIENCE / 2)[1] == b"two"
    a.endpoint.send("b", b"three")
    assert b.endpoint.receive(post.PATIENCE / 2)[1] == b"three"
    assert all(0 < len(peer.open) <= 12 for peer in peers)


def test_frames_survive_a_cut_cable(place: Place) -> None:
    cable = Cable(place.home.port)
    a = place.member("a", through=f"localhost:{cable.port}").start()
    b = place.member("b").start()
    frames = [os.urandom(3 << 20) for _ in range(6)]
    for number, frame in enumerate(frames):
        if number in (1, 4):
            cable.cut()  # also in the middle of uploads
        a.endpoint.send("b", frame)
        if number in (2, 5):
            time.sleep(0.5)
            cable.mend()
    got = [b.endpoint.receive(60)[1] for _ in frames]
    assert got == frames


def test_who_waits_is_told_at_once_that_a_node_has_gone(place: Place) -> None:
    """It sends nothing meanwhile: a killed process is known by its connection, not by silence."""
    cable = Cable(place.home.port)
    a = place.member("a").start()
    b = place.member("b", through=f"localhost:{cable.port}").start()
    a.endpoint.send("b", b"one")
    assert b.endpoint.receive(10)[1] == b"one"
    (there,) = (peer for peer in place.hub.guard.relay.peers() if peer.name == "b")

    def becomes(online: bool, within: float) -> None:
        end = time.monotonic() + within
        while there.online(time.monotonic()) != online:
            assert time.monotonic() < end, f"online {online} is expected of b"
            time.sleep(0.02)

    becomes(True, 10)
    time.sleep(1.0)  # it has taken what came, and waits for more
    cable.cut()
    becomes(False, relay.HEARTBEAT / 3)
    end = time.monotonic() + 5
    while a.endpoint.missing().get("b") is not False:  # away, and not only unheard
        assert time.monotonic() < end, "nobody told a"
        time.sleep(0.02)
    cable.mend()
    becomes(True, 30)
    a.endpoint.send("b", b"two")
    assert b.endpoint.receive(30)[1] == b"two"
    end = time.monotonic() + 30
    while "b" in a.endpoint.missing():
        assert time.monotonic() < end, "b is back"
        time.sleep(0.02)


def test_private_files(tmp_path: Path, place: Place) -> None:
    home = place.home.path
    for name in ("authority.key", "server.key", "nodes.json", "invites.json", "hub.sock"):
        assert (home / name).stat().st_mode & 0o077 == 0, name
    (home / "server.key").chmod(0o644)
    with pytest.raises(EnvironmentFailed, match="others can read it"):
        place.home.check()
    with pytest.raises(MisuseError, match="holds a hub already"):
        HubHome.create(home, ["localhost"], 1, "127.0.0.1")
    bad = tmp_path / "bad.invite"
    bad.write_text(json.dumps({"hub": "x"}))
    with pytest.raises(InputError, match="not an invite"):
        read_invite(bad)
    with pytest.raises(FedprofileError):
        HubHome(tmp_path / "nowhere")
