"""A database that says no, or goes away, is told as what it is, without a word of its driver's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federated.readers import postgres_watch
from federated.readers.database_errors import reason
from federated.tables.bindings import Table, TablesFile
from psi.protocol import InputError


class Said(Exception):
    sqlstate: str | None = None


@pytest.mark.parametrize(
    ("state", "text", "told"),
    [
        ("42501", "permission denied for table secret_rows", "no right to read"),
        ("28P01", "password authentication failed", "does not let this user in"),
        ("57P01", "terminating connection", "has ended the connection"),
        ("08006", "", "has ended the connection"),
        ("57014", "canceling statement", "has stopped the query"),
        ("55P03", "canceling statement due to lock timeout", "holds a lock"),
        ("53300", "sorry", "takes no more connections"),
        (None, 'FATAL: database "x" does not exist', "no such database"),
        (None, 'FATAL: role "x" does not exist', "does not let this user in"),
        (None, "connection to server at 10.0.0.1 failed: Connection refused", "cannot be reached"),
        (None, "server closed the connection unexpectedly", "has ended the connection"),
        ("22003", "value 13800138000 out of range", ""),
    ],
)
def test_what_a_driver_says_is_told_in_our_words(state: str | None, text: str, told: str) -> None:
    inner = Said(text)
    inner.sqlstate = state
    for error in (inner, ValueError("around it")):
        error.__cause__ = None if error is inner else inner
        why, hint = reason(error)
        assert told in why
        assert bool(why) is bool(told) is bool(hint)
        assert "secret" not in why + hint
        assert "10.0.0.1" not in why + hint


def bound(folder: Path, url: str, table: str = "refused") -> Table:
    section = f'[bank.t]\nconnection = "{url}"\ntable = "{table}"\n'
    (folder / "tables.toml").write_text(section)
    return TablesFile.load(folder / "tables.toml")["bank.t"]


@pytest.fixture
def server(cluster: str) -> Iterator[Any]:
    import psycopg

    with psycopg.connect(
        host=cluster, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("create table if not exists refused as select 1 id")
        connection.execute("drop role if exists ann; create role ann login")
        yield connection


@pytest.mark.postgres
def test_each_way_in_which_postgresql_refuses(tmp_path: Path, cluster: str, server: Any) -> None:
    del server
    for who, told in {
        "ann@/postgres": "'refused' cannot be read: this user has no right",
        "nobody@/postgres": "cannot connect to postgres: the server does not let this user in",
        "postgres@/nowhere": "cannot connect to postgres: there is no such database",
        "postgres@127.0.0.1:1/postgres": "cannot connect to postgres: the server has ended",
    }.items():
        where = "" if ":1/" in who else f"?host={cluster}"
        with pytest.raises(InputError, match=told) as caught:
            bound(tmp_path, f"postgres://{who}{where}").load()
        assert caught.value.hint


@pytest.mark.postgres
@pytest.mark.parametrize("goes", [False, True])
def test_a_locked_table_ends_and_so_does_a_connection_that_is_cut(
    tmp_path: Path, cluster: str, server: Any, monkeypatch: pytest.MonkeyPatch, goes: bool
) -> None:
    """A table that somebody had locked held `plan` for ever, without a word."""
    monkeypatch.setattr(postgres_watch, "LOCKED_FOR", 20 if goes else 1)
    waiting = "select pid from pg_stat_activity where wait_event_type = 'Lock'"

    def cut() -> None:
        with type(server).connect(host=cluster, user="postgres", autocommit=True) as other:
            while not (found := other.execute(waiting).fetchall()):
                time.sleep(0.02)
            other.execute("select pg_terminate_backend(%s)", found[0])

    server.execute("begin; lock table refused in access exclusive mode")
    thread = threading.Thread(target=cut)
    if goes:
        thread.start()
    told = "the server has ended the connection" if goes else "another transaction holds a lock"
    with pytest.raises(InputError, match=told):
        bound(tmp_path, f"postgres://postgres@/postgres?host={cluster}").load()
    if goes:
        thread.join(10)
    server.execute("rollback")
