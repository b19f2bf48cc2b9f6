"""A hub and connections to it in the test's own process, over real TLS on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from federated.wire.certificates import make_key, write_key
from federated.wire.enrolment import enrol
from federated.wire.flower.fleet import Fleet
from federated.wire.flower.hub import Hub
from federated.wire.flower.hub_calls import FleetKeys
from federated.wire.hub_home import HubHome, Invite
from federated.wire.parcels import Parcel
from federated.wire.post import PostEndpoint, hand_on
from psi.protocol import FedprofileError
from tests.e2e.hub_world import free_port

JOB = bytes(range(32))
SECRET = b"correct horse"


class Member:
    """One node's connection with an endpoint of one job."""

    def __init__(
        self, name: str, hub: str, keys: FleetKeys, peers: list[str], limit: int = 1 << 40
    ) -> None:
        self.name, self.ended = name, threading.Event()
        self.others: list[Parcel] = []
        self.error: FedprofileError | None = None
        self.fleet = Fleet(hub, keys, self._take, self._back, self._end)
        self.endpoint = PostEndpoint(name, JOB, peers, self.fleet.put, lambda step: limit)
        self._closed = threading.Event()
        threading.Thread(target=self._tick, daemon=True).start()

    def start(self) -> Member:
        self.fleet.start()
        end = time.monotonic() + 20
        while not (self.fleet.connected.is_set() or self.ended.is_set()):
            assert time.monotonic() < end, "neither connected nor turned away"
            time.sleep(0.01)
        return self

    def close(self) -> None:
        self._closed.set()
        self.fleet.close()

    def _take(self, parcel: Parcel) -> None:
        self.others.append(parcel)
        hand_on(self.endpoint, parcel)

    def _back(self) -> None:
        self.endpoint.again()

    def _end(self, error: FedprofileError) -> None:
        self.error = error
        self.ended.set()

    def _tick(self) -> None:
        while not self._closed.wait(0.3):
            self.endpoint.tick()


class Place:
    """A hub's folder, the hub, and what it takes to join it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = HubHome.create(
            folder / "hub", ["localhost", "127.0.0.1"], free_port(), "127.0.0.1"
        )
        self.hub = Hub(self.home)
        self.hub.start()
        self.members: list[Member] = []

    def keys(self, invite: Invite, key: Any = None, certificate: bytes | None = None) -> FleetKeys:
        key = key or make_key()
        name = f"{invite.name}-{time.monotonic_ns()}"
        cert, private, ca = (self.folder / f"{name}.{end}" for end in ("crt", "key", "ca"))
        cert.write_bytes(certificate or enrol(invite, key))
        private.write_bytes(write_key(key, SECRET))
        ca.write_text(invite.authority)
        return FleetKeys(cert, private, ca, SECRET)

    def member(
        self,
        name: str,
        keys: FleetKeys | None = None,
        through: str = "",
        peers: Sequence[str] = ("a", "b", "c"),
        limit: int = 1 << 40,
    ) -> Member:
        keys = keys or self.keys(self.home.invite(name))
        member = Member(name, through or self.home.address, keys, list(peers), limit)
        self.members.append(member)
        return member

    def restart(self) -> None:
        self.hub.stop()
        self.hub = Hub(self.home)
        self.hub.start()

    def close(self) -> None:
        for member in self.members:
            member.close()
        self.hub.stop()


class Cable:
    """A TCP proxy to the hub that can be cut: links are dropped, new ones refused."""

    def __init__(self, port: int) -> None:
        self._to, self._cut = port, False
        self._links: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._cut = True
        for link in self._links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()
        self._links.clear()

    def mend(self) -> None:
        self._cut = False

    def _accept(self) -> None:
        while True:
            near, _ = self._server.accept()
            if self._cut:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._to))
            self._links += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        for link in (one, other):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
