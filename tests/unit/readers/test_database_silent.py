"""A database server that says nothing any more ends in words within a bounded time."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.readers import database, postgres_watch
from federated.readers.postgres_watch import within
from profiles.export import export
from psi.protocol import InputError
from tests.unit.readers.test_database_refuses import bound

pytestmark = pytest.mark.postgres
SOON = 0.4
GONE = "has ended the connection, or cannot be reached"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, cluster: str) -> None:
    ibis.connect(f"postgres://postgres@/postgres?host={cluster}")  # to import takes a second
    for module in (postgres_watch, database):
        monkeypatch.setattr(module, "PATIENCE", SOON)


@pytest.fixture
def server(cluster: str) -> Iterator[Any]:
    import psycopg

    with psycopg.connect(
        host=cluster, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("create table if not exists silent as select generate_series(1, 9) id")
        yield connection
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
        wait_until(lambda: not asleep(connection))


def processes(cluster: str) -> list[int]:
    """The server's, the first of them the one that takes connections."""
    first = int((Path(cluster) / "data" / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return [first, *map(int, children)]


class Frozen:
    """The whole server is stopped, as a machine that hangs is, while the block runs."""

    def __init__(self, cluster: str) -> None:
        self.stopped = processes(cluster)

    def __enter__(self) -> None:
        for process in self.stopped:
            os.kill(process, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        for process in self.stopped:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def wait_until(there: Callable[[], object]) -> None:
    for _ in range(1000):
        if there():
            return
        time.sleep(0.02)
    raise AssertionError


def asleep(server: Any) -> object:
    """Whether somebody's query is at work."""
    return server.execute("select 1 from pg_stat_activity where wait_event = 'PgSleep'").fetchone()


def timed(work: Callable[[], object], message: str) -> float:
    begun = time.monotonic()
    with pytest.raises(InputError, match=message) as met:
        work()
    assert met.value.hint
    return time.monotonic() - begun


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_frozen_before_it_is_asked(
    tmp_path: Path, cluster: str, server: Any
) -> None:
    del server
    table = bound(tmp_path, f"postgres://postgres@/postgres?host={cluster}", "silent")
    with Frozen(cluster):
        assert timed(table.load, GONE) < 10


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_frozen_while_it_works(tmp_path: Path, cluster: str, server: Any) -> None:
    """Its bytes are confirmed by the system, so that no keepalive ended the wait."""
    server.execute("create or replace view slow as select id, pg_sleep(30)::text from silent")
    table = bound(tmp_path, f"postgres://postgres@/postgres?host={cluster}", "slow")
    met: list[float] = []
    asking = threading.Thread(target=lambda: met.append(timed(table.load, GONE)))
    asking.start()
    wait_until(lambda: asleep(server))
    with Frozen(cluster):
        asking.join(20)
    assert met
    assert met[0] < 20


@pytest.mark.usefixtures("impatient")
def test_a_slow_query_of_a_server_that_is_there_is_waited_for(
    tmp_path: Path, cluster: str, server: Any
) -> None:
    server.execute("create or replace view late as select 1 id, pg_sleep(2.5)::text")
    table = bound(tmp_path, f"postgres://postgres@/postgres?host={cluster}", "late")
    assert table.load().num_rows == 1


class Swallowing(threading.Thread):
    """A proxy to a socket in a folder: what passes is dropped once `still` is set."""

    def __init__(self, to: Path) -> None:
        super().__init__(daemon=True)
        self.to, self.still = to, threading.Event()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        self.start()

    def run(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.door.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self.to))
                for one, other in ((near, far), (far, near)):
                    given = (one, other, self.still)
                    threading.Thread(target=pumped, args=given, daemon=True).start()


def pumped(one: socket.socket, other: socket.socket, still: threading.Event) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            if not still.is_set():
                other.sendall(data)


@pytest.fixture
def proxy(cluster: str) -> Iterator[Swallowing]:
    found = Swallowing(next(Path(cluster).glob(".s.PGSQL.*[0-9]")))
    yield found
    found.door.close()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("new", ["too", "answered"])
def test_a_proxy_that_swallows_what_the_server_says(
    tmp_path: Path, server: Any, proxy: Swallowing, new: str
) -> None:
    """New connections are swallowed too; or only the one, and the server says it is done."""
    server.execute("create or replace view late as select 1 id, pg_sleep(1)::text")
    table = bound(tmp_path, f"postgres://postgres@127.0.0.1:{proxy.port}/postgres", "late")
    met: list[float] = []
    asking = threading.Thread(target=lambda: met.append(timed(table.load, GONE)))
    asking.start()
    wait_until(lambda: asleep(server))
    proxy.still.set()
    if new == "answered":
        proxy.still = threading.Event()  # of connections to come
    asking.join(20)
    assert met
    assert met[0] < 20


@pytest.mark.usefixtures("impatient")
def test_an_export_to_a_server_that_falls_silent(tmp_path: Path, cluster: str, server: Any) -> None:
    """It waited for a lock, or for a server that was gone, for ever."""
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "silent.parquet")
    address = f"postgresql://postgres@/postgres?host={cluster}"
    server.execute("begin; lock table silent in access exclusive mode")
    met: list[float] = []

    def copied() -> None:
        met.append(timed(lambda: export(tmp_path, address, overwrite=True), GONE))

    asking = threading.Thread(target=copied)
    asking.start()
    waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
    with type(server).connect(host=cluster, user="postgres", autocommit=True) as other:
        wait_until(lambda: other.execute(waiting).fetchone())
    with Frozen(cluster):
        asking.join(20)
    server.execute("rollback")
    assert met
    assert met[0] < 20


@pytest.mark.usefixtures("impatient")
def test_an_export_over_a_table_that_is_locked(
    tmp_path: Path, cluster: str, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_watch, "LOCKED_FOR", 1)
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "silent.parquet")
    address = f"postgresql://postgres@/postgres?host={cluster}"
    server.execute("begin; lock table silent in access exclusive mode")
    said = "another transaction holds a lock on it: nothing was written"
    assert timed(lambda: export(tmp_path, address, overwrite=True), said) < 10
    server.execute("rollback")
    assert server.execute("select count(*) from silent").fetchone() == (9,)


def test_what_is_waited_for_within_a_time_gives_or_raises_what_it_does() -> None:
    assert within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)
    with pytest.raises(TimeoutError):
        within(0.01, lambda: time.sleep(1))
