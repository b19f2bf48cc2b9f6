"""Routers move sealed frames between parties; they read names and sizes, nothing else.

`MemoryRouter` joins parties in one process (tests, the demo, `fedprofile run`).
`SocketEndpoint` joins processes over TCP on one machine (benchmarks).
"""

from __future__ import annotations

import queue
import socket
import struct
import threading
import time
from typing import Protocol

from psi.protocol import EnvironmentFailed, PeerGone
from psi.protocol.envelope import LARGEST_PAYLOAD

__all__ = ["FAREWELL", "GOODBYE", "Endpoint", "MemoryRouter", "Silence", "SocketEndpoint"]

GOODBYE = b""
"""What `receive` returns once a party has closed; no real frame is empty."""

FAREWELL = "abort"
"""The step of the frame in which a party says that it ends, and why."""

_HEAD = struct.Struct("<Q")
_LARGEST_FRAME = LARGEST_PAYLOAD + (1 << 16)


class Silence(PeerGone):
    """Nothing has come for as long as it was waited for."""


class Endpoint(Protocol):
    """One party's door to the others."""

    name: str

    def send(self, receiver: str, frame: bytes) -> None:
        """Hand over a frame; returns once it is on its way."""

    def receive(self, timeout: float) -> tuple[str, bytes]:
        """The next frame and who sent it, empty if that party has closed.

        Raises `Silence` after `timeout` seconds of silence.
        """

    def close(self) -> None:
        """Say goodbye; peers that still wait are told."""


class _Mailbox:
    """A queue of frames; a None frame says that its sender has closed."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[str, bytes | None]] = queue.Queue()

    def put(self, sender: str, frame: bytes | None) -> None:
        self._queue.put((sender, frame))

    def get(self, timeout: float) -> tuple[str, bytes]:
        try:
            sender, frame = self._queue.get(timeout=timeout)
        except queue.Empty:
            hint = "the other party may be down or still computing; run again to resume"
            raise Silence(f"nothing received for {timeout:.0f} s", hint=hint) from None
        return sender, frame or GOODBYE


class MemoryRouter:
    """Queues in one process. `bytes_sent[sender, receiver]` counts what went by."""

    def __init__(self, parties: list[str]) -> None:
        self._boxes = {name: _Mailbox() for name in parties}
        self.bytes_sent: dict[tuple[str, str], int] = {}

    def endpoint(self, name: str) -> Endpoint:
        """The door of the party `name`."""
        return _MemoryEndpoint(self, name)

    def deliver(self, sender: str, receiver: str, frame: bytes | None) -> None:
        """Put a frame into the receiver's mailbox."""
        if frame is not None:
            way = (sender, receiver)
            self.bytes_sent[way] = self.bytes_sent.get(way, 0) + len(frame)
        self._boxes[receiver].put(sender, frame)

    def take(self, name: str, timeout: float) -> tuple[str, bytes]:
        """The next frame for `name`."""
        return self._boxes[name].get(timeout)

    def others(self, name: str) -> list[str]:
        """All parties but one."""
        return [other for other in self._boxes if other != name]


class _MemoryEndpoint:
    def __init__(self, router: MemoryRouter, name: str) -> None:
        self._router, self.name = router, name

    def send(self, receiver: str, frame: bytes) -> None:
        self._router.deliver(self.name, receiver, frame)

    def receive(self, timeout: float) -> tuple[str, bytes]:
        return self._router.take(self.name, timeout)

    def close(self) -> None:
        for other in self._router.others(self.name):
            self._router.deliver(self.name, other, None)


class SocketEndpoint:
    """A TCP mesh on loopback: each party listens, and connects to whom it sends.

    `addresses` holds every party's (host, port); sealing authenticates, so a connection's
    first frame, which names its sender, is only a claim.
    """

    def __init__(self, name: str, addresses: dict[str, tuple[str, int]]) -> None:
        self.name, self._addresses = name, addresses
        self._box = _Mailbox()
        self._out: dict[str, socket.socket] = {}
        self._server = socket.create_server(addresses[name])
        self._closed = False
        self.bytes_sent = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def send(self, receiver: str, frame: bytes) -> None:
        try:
            link = self.connect(receiver)
            link.sendall(_HEAD.pack(len(frame)))
            link.sendall(frame)
        except OSError as error:
            raise PeerGone(f"cannot reach {receiver}: {error.strerror}") from None
        self.bytes_sent += len(frame) + _HEAD.size

    def receive(self, timeout: float) -> tuple[str, bytes]:
        return self._box.get(timeout)

    def connect(self, receiver: str) -> socket.socket:
        """The link to a party, made if there is none yet."""
        return self._out.get(receiver) or self._connect(receiver)

    def close(self) -> None:
        self._closed = True
        for link in (*self._out.values(), self._server):
            link.close()

    def _connect(self, receiver: str, patience: float = 30.0) -> socket.socket:
        end = time.monotonic() + patience
        while True:
            try:
                link = socket.create_connection(self._addresses[receiver], timeout=patience)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        link.settimeout(None)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = self.name.encode()
        link.sendall(_HEAD.pack(len(name)) + name)
        self._out[receiver] = link
        return link

    def _accept(self) -> None:
        while not self._closed:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(link,), daemon=True).start()

    def _read(self, link: socket.socket) -> None:
        sender = "a peer"
        try:
            sender = _read_frame(link, 64).decode("utf-8", "replace")
            while True:
                self._box.put(sender, _read_frame(link, _LARGEST_FRAME))
        except (OSError, EnvironmentFailed):
            if not self._closed:
                self._box.put(sender, None)
        finally:
            link.close()


def _read_frame(link: socket.socket, most: int) -> bytes:
    (size,) = _HEAD.unpack(_read_exactly(link, _HEAD.size))
    if size > most:
        raise EnvironmentFailed(f"frame of {size} bytes found, at most {most} allowed")
    return bytes(_read_exactly(link, size))


def _read_exactly(link: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    done = 0
    while done < size:
        count = link.recv_into(view[done:])
        if count == 0:
            raise EnvironmentFailed("connection closed")
        done += count
    return data
