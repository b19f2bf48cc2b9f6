"""The door of a direct way: who may come."""

from __future__ import annotations

import os
import socket
import sys
import threading

import pytest

from federated.wire.direct import door as door_module
from federated.wire.direct.door import Door
from federated.wire.direct.offer import KNOCK
from tests.unit.direct.world import call, until


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
