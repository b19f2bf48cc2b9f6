"""A socket file for processes of the same user: commands, and parties mounted in hub or daemon.

The file lies in a folder of mode 0700 and has mode 0600: whoever may open it may do everything
that its owner may. A connection begins with one JSON request; `mount` turns it into a stream of
parcels both ways, every other request gets one JSON answer.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from federated.session.last_word import last_word
from federated.wire.incoming import StepLimit
from federated.wire.parcels import PART, Kind, Parcel, Refusal, notice, read_parcel
from federated.wire.post import TAKEN_WITHIN, PostEndpoint, hand_on
from psi.protocol import EnvironmentFailed, FedprofileError, PeerError, PeerGone

__all__ = ["LocalMount", "LocalServer", "Switch", "ask", "guest_with", "read_block", "write_block"]

_HEAD = struct.Struct("<Q")
_LARGEST = PART + (1 << 12)
_REQUEST = 1 << 20

_log = logging.getLogger("fedprofile.local")


class DoorLike(Protocol):
    """Where other parties' nodes come in (`federated.wire.direct.door`)."""

    def wait(self, knock: bytes, within: float) -> socket.socket | None:
        """Who comes with this knock in so many seconds."""


class Switch(Protocol):
    """What a server hands parcels to."""

    def mount(self, job: bytes, name: str, party: Any) -> None:
        """A party of one job comes (an object with `put(parcel)`) or goes (None)."""

    def route(self, parcel: Parcel, sender: str) -> None:
        """Carry a parcel on."""


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of the socket that fits into the 108 bytes the kernel allows."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class LocalServer:
    """Serves a socket file. `answer(request)` is called for every request but `mount`.

    `jobs` holds the folders of jobs of the party that is mounted here, by session.
    """

    def __init__(
        self,
        path: Path,
        switch: Switch,
        answer: Callable[[dict[str, Any]], dict[str, Any]],
        jobs: Path,
    ) -> None:
        self._path, self._switch, self._answer, self._jobs = path, switch, answer, jobs
        self.door: DoorLike | None = None
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            with _short(path) as name:
                self._socket.bind(name)
        finally:
            os.umask(before)
        self._socket.listen(32)
        threading.Thread(target=self._accept, daemon=True, name="local").start()

    def close(self) -> None:
        """Stop listening and remove the file."""
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link:
            try:
                request = json.loads(read_block(link, _REQUEST))
                if request.get("op") == "mount":
                    self._mounted(link, bytes.fromhex(request["job"]), str(request["name"]))
                    return
                if request.get("op") == "door":
                    self._at_door(link, bytes.fromhex(request["knock"]), float(request["within"]))
                    return
                reply = {"ok": True, **self._answer(request)}
            except FedprofileError as error:
                reply = {"ok": False, "error": error.message, "hint": error.hint}
            except (OSError, ValueError, KeyError, AttributeError) as error:
                reply = {"ok": False, "error": type(error).__name__, "hint": ""}
            with contextlib.suppress(OSError):
                write_block(link, json.dumps(reply).encode())

    def _at_door(self, link: socket.socket, knock: bytes, within: float) -> None:
        """Hand the connection of whoever comes with this knock to the process that waits for it."""
        if self.door is None:
            raise EnvironmentFailed("this node hears nobody: [direct] listen counts at its start")
        guest = self.door.wait(knock, min(within, 600.0))
        write_block(link, json.dumps({"ok": True, "came": guest is not None}).encode())
        if guest is not None:
            with guest:
                socket.send_fds(link, [b"\0"], [guest.fileno()])

    def _mounted(self, link: socket.socket, job: bytes, name: str) -> None:
        party = _Guest(link)
        self._switch.mount(job, name, party)
        spoken_to: set[str] = set()
        try:
            write_block(link, b'{"ok": true}')
            party.start()
            while True:
                parcel = read_parcel(read_block(link, _LARGEST))
                if parcel.sender != name or parcel.job != job:
                    raise PeerError("a mounted party sent a parcel in another's name")
                spoken_to.add(parcel.receiver)
                if parcel.kind == Kind.BYE:
                    spoken_to.clear()
                self._switch.route(parcel, name)
        except (OSError, EOFError):
            pass
        finally:
            party.stop()
            for peer in spoken_to:  # no goodbye of it came by, or it said more afterwards
                word = last_word(self._jobs / job.hex(), peer)
                code = Refusal.ENDED if word else Refusal.GONE
                self._switch.route(notice(Kind.REFUSED, job, name, peer, code, word), name)
            self._switch.mount(job, name, None)


class _Guest:
    """The server's end of a mounted party: a queue, and a thread that writes it out."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._queue: queue.SimpleQueue[Parcel | None] = queue.SimpleQueue()

    def start(self) -> None:
        threading.Thread(target=self._write, daemon=True).start()

    def put(self, parcel: Parcel) -> None:
        self._queue.put(parcel)

    def stop(self) -> None:
        self._queue.put(None)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (parcel := self._queue.get()) is not None:
                write_block(self._link, parcel.to_bytes())


class LocalMount:
    """A party's endpoint in one job, mounted into a hub or daemon of this machine.

    `endpoint` is what a session speaks through; `call` asks the other parties to join.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        job: bytes,
        peers: list[str],
        limit: StepLimit,
        within: float = TAKEN_WITHIN,
    ) -> None:
        self._link = _connect(path)
        write_block(
            self._link, json.dumps({"op": "mount", "job": job.hex(), "name": name}).encode()
        )
        _granted(read_block(self._link, _REQUEST))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._peers = [peer for peer in peers if peer != name]
        self.endpoint = PostEndpoint(name, job, peers, self.carry, limit, within)
        threading.Thread(target=self._read_all, daemon=True).start()
        threading.Thread(target=self._tick, daemon=True).start()

    def carry(self, parcel: Parcel) -> None:
        """Hand a parcel to the hub or daemon."""
        try:
            with self._lock:
                write_block(self._link, parcel.to_bytes())
        except OSError:
            if not self._stop.is_set():
                self.endpoint.fail(_lost())

    def call(self, data: bytes, every: float = 2.0) -> None:
        """Ask all peers to join, again and again until each has answered."""
        threading.Thread(target=self._call, args=(data, every), daemon=True).start()

    def _call(self, data: bytes, every: float) -> None:
        name, job = self.endpoint.name, self.endpoint.job
        while not self._stop.wait(0.0):
            missing = [peer for peer in self._peers if not self.endpoint.answered(peer)]
            for peer in missing:
                self.carry(notice(Kind.CALL, job, name, peer, "call", data))
            if not missing or self._stop.wait(every):
                return

    def close(self) -> None:
        """Close endpoint and connection."""
        self.endpoint.close()
        self._stop.set()
        self._link.close()

    def _read_all(self) -> None:
        try:
            while True:
                parcel = read_parcel(read_block(self._link, _LARGEST))
                hand_on(self.endpoint, parcel)
        except (OSError, EOFError, PeerError):
            if not self._stop.is_set():
                self.endpoint.fail(_lost())

    def _tick(self) -> None:
        while not self._stop.wait(0.5):
            self.endpoint.tick()


def _lost() -> PeerGone:
    return PeerGone(
        "the hub or node of this machine has gone",
        hint="start it; a run that has begun goes on by fedprofile job resume (job ls has its id)",
    )


def ask(path: Path, **request: Any) -> dict[str, Any]:
    """One command to a running hub or daemon. Raises what it answered."""
    with _connect(path) as link:
        write_block(link, json.dumps(request).encode())
        try:
            return _granted(read_block(link, 1 << 26))
        except (OSError, EOFError):
            raise EnvironmentFailed("the connection was closed without an answer") from None


def guest_with(path: Path, knock: bytes, within: float) -> socket.socket | None:
    """The connection of another party that comes with this knock in so many seconds.

    Raises `EnvironmentFailed` where the node or hub at `path` hears nobody, or is gone.
    """
    with _connect(path) as link:
        request = {"op": "door", "knock": knock.hex(), "within": within}
        try:
            write_block(link, json.dumps(request).encode())
            if not _granted(read_block(link, _REQUEST))["came"]:
                return None
            _, found, _, _ = socket.recv_fds(link, 1, 1)
        except (OSError, EOFError):
            raise EnvironmentFailed("the node of this machine is gone") from None
        return socket.socket(fileno=found[0]) if found else None


def _granted(data: bytes) -> dict[str, Any]:
    reply: dict[str, Any] = json.loads(data)
    if not reply.pop("ok", False):
        raise EnvironmentFailed(str(reply.get("error")), hint=str(reply.get("hint", "")))
    return reply


def _connect(path: Path) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    try:
        with _short(path) as name:
            link.connect(name)
    except OSError:
        link.close()
        raise EnvironmentFailed(
            f"nothing runs in {path.parent}", hint="fedprofile hub start, or fedprofile node start"
        ) from None
    return link


def write_block(link: socket.socket, data: bytes) -> None:
    """Send bytes with their number before them."""
    link.sendall(_HEAD.pack(len(data)))
    link.sendall(data)


def read_block(link: socket.socket, most: int) -> bytes:
    """What `write_block` sent. Raises `EOFError` at the end, `PeerError` above `most` bytes."""
    (size,) = _HEAD.unpack(_exactly(link, _HEAD.size))
    if size > most:
        raise PeerError(f"{size} bytes found, at most {most} allowed")
    return bytes(_exactly(link, size))


def _exactly(link: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        count = link.recv_into(view[done:])
        if count == 0:
            raise EOFError
        done += count
    return data
