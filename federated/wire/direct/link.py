"""One direct way: a connection with a tunnel over it, which carries the parcels of one job.

What comes is taken only if it is a part of this very job from this very peer; anything else ends
the way, and the job goes on over the hub. A small parcel is written by whoever sends it, and read
by whoever waits for it (`Watch`); what does not fit into the connection at once waits for a thread,
so that no reader waits for a writer.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable

from federated.wire.direct.tunnel import Tunnel
from federated.wire.parcels import PART, Kind, Parcel, read_parcel
from federated.wire.watch import Watch
from psi.protocol import PeerError

__all__ = ["SHAKE_WITHIN", "Link", "shake"]

SHAKE_WITHIN = 10.0
"""Seconds for the handshake, from the connection on."""

DEAD_AFTER = 12
"""Seconds without an answer of the other machine's network after which a way is lost."""

_HEAD = struct.Struct("<Q")
_READY = _HEAD.pack(0)
_LARGEST = PART + (1 << 12)
_MOST_WAITING = 128 << 20
_MOST_ANSWERS = 1 << 16
"""Bytes of answers of TLS itself that wait for a peer: who asks for more does not read them."""
STUCK_AFTER = 30.0
"""Seconds after which a way that takes nothing is left."""
_READ = 1 << 18
_SMALL = 1 << 14
"""Bytes up to which a parcel is copied, to be one record with its head."""

_log = logging.getLogger("fedprofile.direct")


def shake(link: socket.socket, tunnel: Tunnel, *, hears: bool) -> None:
    """The handshake over a connection, to its end: both know that the other took it.

    Raises `PeerError` on another certificate, `OSError` where the connection ends or is slow.
    """
    end = time.monotonic() + SHAKE_WITHIN
    done = tunnel.shake() if not hears else False
    while not done:
        link.sendall(tunnel.outgoing())
        done = tunnel.shake(_some(link, end))
    if hears:
        tunnel.seal(_READY)
        link.sendall(tunnel.outgoing())
        return
    link.sendall(tunnel.outgoing())
    ready = b""
    while len(ready) < len(_READY):
        try:
            ready += tunnel.open(_some(link, end))
        except EOFError:
            raise PeerError("the other end did not take this end's certificate") from None
    if ready != _READY:  # what follows comes only after this end has said something
        raise PeerError("an unexpected beginning of a direct way")


def _some(link: socket.socket, end: float) -> bytes:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    link.settimeout(left)
    data = link.recv(_READ)
    if not data:
        raise ConnectionError
    return data


class Link:
    """A way to `peer`, the handshake behind it.

    `on_parcel` hears each parcel, on the thread that reads; `on_end` is called once, at its end.
    """

    def __init__(
        self,
        link: socket.socket,
        tunnel: Tunnel,
        names: tuple[bytes, str, str],
        on_parcel: Callable[[Parcel], None],
        on_end: Callable[[Link], None],
    ) -> None:
        self._link, self._tunnel = link, tunnel
        self._job, self._me, self.peer = names
        self._on_parcel, self._on_end = on_parcel, on_end
        self._tls, self._sending = threading.Lock(), threading.Condition()
        self._pending: deque[memoryview] = deque()
        self._waiting, self._answers, self._over = 0, 0, False
        self._came, self._handle = bytearray(), link.fileno()
        self._room = bytearray(_READ)  # made once: it costs more to make than to read a message
        self._watch: Watch | None = None
        link.settimeout(None)
        for level, option, value in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_AFTER // 2),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, DEAD_AFTER // 4),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2),
        ):
            with contextlib.suppress(OSError):
                link.setsockopt(level, option, value)

    def __repr__(self) -> str:
        return f"<direct way to {self.peer}>"

    def start(self, watch: Watch) -> None:
        """Carry parcels from now on."""
        threading.Thread(target=self._write, daemon=True, name="direct").start()
        self._watch = watch
        watch.add(self._handle, self._read)

    def put(self, parcel: Parcel) -> bool:
        """Send a parcel; False where the way is over, and it has to go another."""
        head, data = parcel.head(), parcel.data
        size = _HEAD.pack(len(head) + len(data))
        with self._sending:
            self._sending.wait_for(
                lambda: self._over or self._waiting <= _MOST_WAITING, STUCK_AFTER
            )
            stuck = not self._over and self._waiting > _MOST_WAITING
        if stuck:
            self._end()
        with self._sending:
            if self._over:
                return False
            with self._tls:
                if len(data) < _SMALL:
                    self._tunnel.seal(size + head + data)
                else:
                    self._tunnel.seal(size + head)
                    self._tunnel.seal(data)
                sealed = self._tunnel.outgoing()
            self._hand_over(sealed)
        return True

    def close(self, patience: float = 2.0) -> None:
        """Send what waits, and end."""
        with self._sending:
            self._sending.wait_for(lambda: self._over or not self._pending, patience)
        self._end()

    def _hand_over(self, data: bytes) -> None:
        """To the connection, as far as it takes it at once; the rest to the thread."""
        view = memoryview(data)
        if not self._pending:
            try:
                view = view[self._link.send(view, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                pass
            except OSError:
                return  # whoever reads sees it too
        if view:
            self._pending.append(view)
            self._waiting += len(view)
            self._sending.notify_all()

    def _write(self) -> None:
        while True:
            with self._sending:
                self._sending.wait_for(lambda: self._over or bool(self._pending))
                if self._over:
                    return
                first = self._pending[0]
            try:
                self._link.sendall(first)  # it stays the first: whoever sends queues behind it
            except OSError:
                self._end()
                return
            with self._sending:
                self._pending.popleft()
                self._waiting -= len(first)
                self._sending.notify_all()

    def _read(self) -> None:
        """What is there, without waiting for more."""
        try:
            size = self._link.recv_into(self._room, 0, socket.MSG_DONTWAIT)
            if not size:
                raise EOFError
            with self._tls, memoryview(self._room) as room:
                self._came += self._tunnel.open(room[:size])
                asked = self._tunnel.asks
            if asked:
                self._answer()
            self._take(self._came)
        except BlockingIOError:
            return
        except (OSError, EOFError):
            self._end()
        except PeerError as error:
            _log.warning("the direct way to %s ends: %s", self.peer, error.message)
            self._end()
        except Exception as error:  # a mistake of ours: the job goes on over the hub
            _log.error("the direct way to %s ends: %s", self.peer, type(error).__name__)
            self._end()

    def _answer(self) -> None:
        """What TLS itself has to say."""
        with self._sending, self._tls:
            data = self._tunnel.outgoing()
            self._answers = self._answers + len(data) if self._pending else 0
            if self._answers > _MOST_ANSWERS:
                raise PeerError("it asks on and on, and takes no answer")
            if data:
                self._hand_over(data)

    def _take(self, came: bytearray) -> None:
        """Every whole parcel in what came."""
        at = 0
        while len(came) - at >= _HEAD.size:
            (size,) = _HEAD.unpack_from(came, at)
            if size > _LARGEST:
                raise PeerError(f"{size} bytes found, at most {_LARGEST} allowed")
            if len(came) - at - _HEAD.size < size:
                break
            begin = at + _HEAD.size
            at = begin + size
            with memoryview(came) as view, view[begin:at] as one:
                parcel = read_parcel(one)
            whose = (parcel.job, parcel.sender, parcel.receiver)
            if parcel.kind > Kind.BYE or whose != (self._job, self.peer, self._me):
                raise PeerError("a parcel that is no part of this job from this party")
            self._on_parcel(parcel)
        del came[:at]

    def _end(self) -> None:
        with self._sending:
            if self._over:
                return
            self._over = True
            self._sending.notify_all()
        if self._watch is not None:
            self._watch.remove(self._handle)
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._link.close()
        self._on_end(self)
