"""The one port of a node where other parties' jobs come in, while a job waits for somebody there.

A job's process says which knock it waits for; whoever shows these 32 bytes is handed to it, with
the connection, and the knock is void. Whoever shows others, or is slow, is hung up on, and is told
nothing: not a byte is sent, no TLS begun. While no job waits, nobody gets further than that. Who it
is shows in the job's process, by the certificate.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import selectors
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from federated.approval.direct import load_direct, read_address
from federated.wire.direct.offer import KNOCK
from psi.protocol import EnvironmentFailed, MisuseError

__all__ = ["Door", "open_door"]

SHOW_WITHIN = 5.0
"""Seconds in which whoever comes shows what he has."""

MOST_GUESTS = 64
"""Who is at the door at a time. When another comes one goes: the first of the network with most.

A flood from one place turns away its own, and nobody from elsewhere who is about to knock.
"""

MOST_WAITING = 256
"""Knocks that jobs wait for."""

_log = logging.getLogger("fedprofile.direct")


@dataclass
class _Guest:
    """Who has come: until when he may stay, from which network, and what he has shown."""

    until: float
    network: str
    shown: bytearray


_Guests = dict[socket.socket, _Guest]


class Door:
    """Hears at `address` (host:port) once `start` was called. Raises `InputError` on no address."""

    def __init__(self, address: str) -> None:
        self.host, self.port = read_address(address)
        self._waiting: dict[bytes, tuple[threading.Event, list[socket.socket]]] = {}
        self._lock = threading.Lock()
        self._stop = False
        self.strangers = 0

    def __repr__(self) -> str:
        return f"<door at {self.host}:{self.port}>"

    def start(self) -> None:
        """Raises `EnvironmentFailed` where the port is taken, or the address is not here."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            self._server = socket.create_server((self.host, self.port), family=family, backlog=32)
        except OSError as error:
            raise EnvironmentFailed(
                f"cannot listen for other nodes at {self.host}:{self.port}: {error.strerror}",
                hint="policy.toml, [direct] listen",
            ) from None
        self._server.setblocking(False)
        threading.Thread(target=self._work, daemon=True, name="door").start()

    def close(self) -> None:
        """Hear nobody any more."""
        self._stop = True

    def wait(self, knock: bytes, within: float) -> socket.socket | None:
        """Who comes with this knock in so many seconds; None for nobody. It is void afterwards."""
        if len(knock) != KNOCK:
            raise MisuseError(f"a knock has {KNOCK} bytes")
        came: tuple[threading.Event, list[socket.socket]] = (threading.Event(), [])
        with self._lock:
            if len(self._waiting) >= MOST_WAITING or knock in self._waiting:
                return None
            self._waiting[knock] = came
        came[0].wait(within)
        with self._lock:
            self._waiting.pop(knock, None)
            return came[1][0] if came[1] else None

    def _work(self) -> None:
        guests: _Guests = {}
        with selectors.DefaultSelector() as seen, self._server:
            seen.register(self._server, selectors.EVENT_READ)
            while not self._stop:
                for key, _ in seen.select(0.5):
                    if key.fileobj is self._server:
                        self._greet(seen, guests)
                    else:
                        self._hear(seen, guests, key.fileobj)  # type: ignore[arg-type]
                now = time.monotonic()
                for guest in [g for g, each in guests.items() if each.until < now]:
                    self._leave(seen, guests, guest)
            for guest in list(guests):
                self._leave(seen, guests, guest)

    def _greet(
        self,
        seen: selectors.BaseSelector,
        guests: _Guests,
    ) -> None:
        try:
            guest, address = self._server.accept()
        except OSError:
            return
        guest.setblocking(False)
        if len(guests) >= MOST_GUESTS:
            self._leave(seen, guests, _one_of_most(guests))
        until = time.monotonic() + SHOW_WITHIN
        guests[guest] = _Guest(until, _network(address[0]), bytearray())
        seen.register(guest, selectors.EVENT_READ)

    def _hear(
        self,
        seen: selectors.BaseSelector,
        guests: _Guests,
        guest: socket.socket,
    ) -> None:
        if guest not in guests:
            return
        shown = guests[guest].shown
        try:
            data = guest.recv(KNOCK - len(shown))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        shown += data
        if data and len(shown) < KNOCK:
            return
        with self._lock:
            came = self._waiting.pop(bytes(shown), None)
            if came is not None:
                seen.unregister(guest)
                del guests[guest]
                guest.setblocking(True)
                came[1].append(guest)
                came[0].set()
                return
        self._leave(seen, guests, guest)

    def _leave(
        self,
        seen: selectors.BaseSelector,
        guests: _Guests,
        guest: socket.socket,
    ) -> None:
        self.strangers += 1
        if self.strangers & (self.strangers - 1) == 0:  # the 1st, 2nd, 4th, 8th …
            _log.warning("%s came to the door of jobs without a knock that counts", self.strangers)
        with contextlib.suppress(KeyError, ValueError):
            seen.unregister(guest)
        guests.pop(guest, None)
        guest.close()


def _network(host: str) -> str:
    """An address; of IPv6, of which one place has many, its first 64 bits."""
    if ":" not in host:
        return host
    return str(ipaddress.IPv6Network((host.partition("%")[0], 64), strict=False))


def _one_of_most(guests: _Guests) -> socket.socket:
    """The guest who came first from the network that most came from."""
    (network, _), *_ = Counter(each.network for each in guests.values()).most_common(1)
    return next(guest for guest, each in guests.items() if each.network == network)


def open_door(policy: Path) -> Door | None:
    """The door that a policy asks for; None for none. Raises `EnvironmentFailed` if it is taken."""
    allowed = load_direct(policy)
    if not allowed.listen:
        return None
    door = Door(allowed.listen)
    door.start()
    _log.info("other parties' jobs may come in at %s", allowed.listen)
    return door
