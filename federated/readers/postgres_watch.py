"""A PostgreSQL server that falls silent: waited for as long as it is there, and no longer.

A server whose machine is frozen, or whose packets a proxy swallows, still has its bytes confirmed
by the system that holds its socket: no keepalive ends the wait. So while a query is waited for, the
server is asked over a second connection, time and again, whether it is there and at work on it. A
query may take hours; a server that says nothing twice over has its connection cut, and the query
ends as one whose server has gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

__all__ = ["LOCKED_FOR", "PATIENCE", "patient", "watch", "within"]

_Found = TypeVar("_Found")

LOCKED_FOR = 30
"""Seconds that a table may be locked by somebody before it is an error."""
PATIENCE = 30.0
"""Seconds of a wait before the server is asked, and for its answer."""
_MISSES = 2
_LAST_CAME = 52
"""Where `struct tcp_info` has how many milliseconds ago bytes came, four of them."""
_IDLE = """
    SELECT state LIKE 'idle%%' AND clock_timestamp() - state_change > %s * interval '1 second'
    FROM pg_catalog.pg_stat_activity WHERE pid = %s
"""
_KEPT_UP = {
    "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6,
    "tcp_user_timeout": 90_000,
}  # fmt: skip


def patient(address: str) -> dict[str, int]:
    """What PostgreSQL's library is told beside an address, which goes before it."""
    given = {"connect_timeout": int(PATIENCE) or 1} | _KEPT_UP
    return {key: number for key, number in given.items() if f"{key}=" not in address}


def within(seconds: float, work: Callable[[], _Found]) -> _Found:
    """What `work` gives, or raises; `TimeoutError` where it does neither in so many seconds."""
    found: list[_Found] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)

    # a thread that waits in a driver cannot be ended, and must not hold the process
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError("timeout: no answer")
    return found[0]


def watch(connection: Any) -> None:
    """Cut a psycopg connection when its server falls silent in a query; locks are not waited for.

    Ends with the connection. Asking takes a connection more, a moment every `PATIENCE` seconds, and
    only while a query takes longer.
    """
    with contextlib.suppress(
        Exception
    ):  # a database that only speaks like PostgreSQL may have none
        within(PATIENCE, lambda: connection.execute(f"SET lock_timeout = '{LOCKED_FOR}s'"))
    held = weakref.ref(connection)
    threading.Thread(target=_watching, args=(held,), daemon=True, name="postgres-watch").start()


def _watching(held: weakref.ref[Any]) -> None:
    misses = 0
    while _waits(held) is not None:
        time.sleep(PATIENCE)
        misses = misses + 1 if _waits(held) and not _hears(held) and not _asked(held) else 0
        if misses == _MISSES:
            _cut(held)


def _waits(held: weakref.ref[Any]) -> bool | None:
    """Whether a query is waited for; None where there is no connection any more."""
    from psycopg.pq import TransactionStatus

    connection = held()
    if connection is None or connection.closed:
        return None
    return bool(connection.pgconn.transaction_status == TransactionStatus.ACTIVE)


def _hears(held: weakref.ref[Any]) -> bool:
    """Whether bytes have come of late: the system counts them for a TCP connection."""
    try:
        with _socket(held) as end:
            told = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_CAME + 4)
    except OSError:  # a socket in a folder
        return False
    return int.from_bytes(told[_LAST_CAME:], sys.byteorder) < 1000 * PATIENCE


def _asked(held: weakref.ref[Any]) -> bool:
    """Whether the server answers another connection, and does not say that it has nothing to do."""
    try:
        return within(PATIENCE, lambda: _at_work(held))
    except Exception as error:
        return bool(getattr(error, "sqlstate", None))  # too many connections, say: it is there


def _at_work(held: weakref.ref[Any]) -> bool:
    import psycopg

    connection = held()
    if connection is None:
        return True
    info = connection.info
    given = info.get_parameters() | {"connect_timeout": int(PATIENCE) or 1}
    with psycopg.connect(**given, password=info.password or None, autocommit=True) as other:
        row = other.execute(_IDLE, (PATIENCE / 2, info.backend_pid)).fetchone()
    # behind a pooler it has another number: that somebody answers has to do
    return row is None or not row[0]


def _cut(held: weakref.ref[Any]) -> None:
    with contextlib.suppress(OSError), _socket(held) as end:
        end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _socket(held: weakref.ref[Any]) -> Iterator[socket.socket]:
    """The connection's own; it stays the library's to close. Raises `OSError` without one."""
    connection = held()
    if connection is None or connection.closed:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    end = socket.socket(fileno=connection.fileno())
    try:
        yield end
    finally:
        end.detach()
