"""Who reads the connections of a job: the thread that waits for a message, else one that is spare.

A thread that waits reads by itself, so that a message is not handed from thread to thread before it
is taken. While nobody waits, for a party computes or waits for room to send, the spare thread
reads: peers are answered, and a lost way is noticed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable

__all__ = ["Watch"]

_log = logging.getLogger("fedprofile.direct")


class _Bell:
    """Wakes who waits for connections."""

    def __init__(self) -> None:
        self.handle = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __del__(self) -> None:
        os.close(self.handle)


class Watch:
    """Connections by their file descriptors, each with what reads it without waiting."""

    def __init__(self) -> None:
        self._read: dict[int, Callable[[], None]] = {}
        self._reading, self._waiting = threading.Lock(), threading.Lock()
        self._waiter, self._over = 0, False
        self._bell, self._ready, self._spare = _Bell(), select.epoll(), select.epoll()
        self._ready.register(self._bell.handle, select.EPOLLIN)
        self._spare.register(self._ready, select.EPOLLIN)
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<watch of {len(self._read)} connections>"

    def add(self, handle: int, read: Callable[[], None]) -> None:
        """From now on `read` is called, by one thread at a time, when there is something there.

        A connection whose `read` raises is read no more.
        """
        self._read[handle] = read
        self._ready.register(handle, select.EPOLLIN)
        with self._reading:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="direct")
                self._thread.start()

    def remove(self, handle: int) -> None:
        """Before a connection is closed."""
        self._read.pop(handle, None)
        with contextlib.suppress(OSError, ValueError):
            self._ready.unregister(handle)

    def wait(self, come: Callable[[], bool], within: float) -> bool:
        """Read what comes until `come`, or for `within` seconds; whether it is so."""
        if come():
            return True
        end = time.monotonic() + within
        if not self._waiting.acquire(timeout=within):
            return come()
        try:
            self._waiter = threading.get_ident()
            self._spare.modify(self._ready, 0)
            while not come():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._look(self._ready.poll(left))
            return True
        finally:
            self._waiter = 0
            self._spare.modify(self._ready, select.EPOLLIN)
            if self._over:  # the last bell was for the spare thread too
                self._ring()
            self._waiting.release()

    def ring(self) -> None:
        """Something has come another way: whoever waits looks again."""
        if self._waiter not in (0, threading.get_ident()):
            self._ring()

    def close(self) -> None:
        """The spare thread ends; who waits still hears the bell."""
        self._over = True
        self._ring()

    def _ring(self) -> None:
        os.eventfd_write(self._bell.handle, 1)

    def _work(self) -> None:
        while not self._over:
            self._spare.poll()
            if not self._waiter:
                self._look(self._ready.poll(0))

    def _look(self, found: list[tuple[int, int]]) -> None:
        for handle, _ in found:
            if handle == self._bell.handle:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(handle)
                self.ring()  # heard by the spare thread while another began to wait
                continue
            with self._reading:
                read = self._read.get(handle)
                try:
                    if read is not None:
                        read()
                except Exception as error:  # the other connections are read all the same
                    _log.error("a connection is read no more: %s", type(error).__name__)
                    self.remove(handle)
