"""A disk that takes no more, at many moments of a job: a message, nothing half, and it goes on.

The limit on the size of files stands in for the disk: what is written beyond it fails in the
kernel, as on a full one.
"""

from __future__ import annotations

import contextlib
import re
import resource
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.keys.party_keys import PartyKeys
from federated.ledger.account import verify_ledger
from federated.node.copies import backup, restore
from federated.node.home import NodeHome
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.store.files import check_room
from federated.wire.hub_home import Invite, write_invite
from profiles.cli import app
from profiles.export import export
from profiles.flows.export import write_duckdb, write_parquet
from psi.protocol import EnvironmentFailed, FedprofileError, PeerGone
from tests.unit.test_session import Exchange

NAMES = ["a", "b"]
KEYS = {name: PartyKeys.generate(name) for name in NAMES}
PINNED = {name: keys.identity for name, keys in KEYS.items()}


@contextlib.contextmanager
def full_after(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Party(threading.Thread):
    def __init__(self, home: Path, name: str, router: MemoryRouter, nonce: bytes) -> None:
        super().__init__(daemon=True)
        self.home, self.party, self.router, self.nonce = home / name, name, router, nonce
        self.error: BaseException | None = None
        self.totals: list[int] = []

    def run(self) -> None:
        try:
            session = Session(
                self.nonce, KEYS[self.party], PINNED, self.router.endpoint(self.party),
                self.home, timeout=20,
            )  # fmt: skip
        except BaseException as error:
            self.error = error
            self.router.endpoint(self.party).close()
            return
        try:
            session.connect()
            for number in range(6):
                step = f"step/{number}"
                role = Exchange(session.context(step), session.peers)
                self.totals.append(session.run(step, role))
            session.finish()
        except BaseException as error:
            self.error = error
            session.abort(error)


def job(home: Path, nonce: bytes) -> list[Party]:
    router = MemoryRouter(NAMES)
    parties = [Party(home, name, router, nonce) for name in NAMES]
    for party in parties:
        party.start()
    for party in parties:
        party.join(30)
        assert not party.is_alive()
    return parties


@pytest.mark.parametrize("size", [0, 300, 900, 1500, 2500, 4000, 5000, 6000])
def test_a_full_disk_is_told_and_the_job_goes_on_later(tmp_path: Path, size: int) -> None:
    nonce = secrets.token_bytes(32)
    with full_after(size):
        parties = job(tmp_path, nonce)
    met = [party.error for party in parties]
    told = [e for e in met if isinstance(e, EnvironmentFailed) and not isinstance(e, PeerGone)]
    assert told, met
    assert all(isinstance(error, FedprofileError) for error in met if error is not None)
    for error in told:
        assert re.search("File too large|No space left", error.message)
        assert "make room" in error.hint
    if any(not (tmp_path / name / "journal" / "point").exists() for name in NAMES):
        return  # no point yet to go on from: the job is proposed again
    parties = job(tmp_path, nonce)
    assert [party.error for party in parties] == [None, None]
    for party in parties:
        assert party.totals == [1] * 6
        assert verify_ledger(party.home / "ledger.jsonl", KEYS[party.party].identity) > 6


def test_room_is_looked_for_and_nothing_is_left(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    with (
        full_after(1000),
        pytest.raises(EnvironmentFailed, match=r"into .*/a/b: File"),
    ):
        check_room(place, 2000)
    check_room(place, 2000)
    assert not list(tmp_path.iterdir())
    place.mkdir(parents=True)
    check_room(place, 2000)
    assert not list(place.iterdir())


def test_an_invite_is_not_used_up_where_a_node_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was spent, and the hub's owner had to revoke the party before he could invite it again."""
    invite, secret = tmp_path / "bureau.invite", tmp_path / "passphrase"
    write_invite(invite, Invite("127.0.0.1:1", "bureau", "pem", "token", 2**40))
    secret.write_text("eight or more")
    secret.chmod(0o600)
    used = list[object]()
    monkeypatch.setattr("federated.wire.enrolment.enrol", lambda *asked: used.append(asked))
    words = ["node", "init", str(invite), "--home", str(tmp_path / "node")]
    with full_after(100_000):
        found = CliRunner().invoke(app, [*words, "--passphrase-file", str(secret)])
    assert isinstance(found.exception, EnvironmentFailed)
    assert not used
    assert not (tmp_path / "node").exists()


@pytest.fixture
def run_out(tmp_path: Path) -> Path:
    """A run's folder with a table of about 600 kB."""
    rng = np.random.default_rng(1)
    entity = [f"x{value}" for value in rng.integers(0, 10**12, size=20_000)]
    folder = tmp_path / "out"
    folder.mkdir()
    table = pa.table({"entity": entity, "score": rng.normal(size=len(entity))})
    pq.write_table(table, folder / "profiles.parquet")
    return folder


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of zipfile
@pytest.mark.parametrize("size", [0, 4096, 20_000, 300_000])
@pytest.mark.parametrize("ending", ["duckdb", "xlsx"])
def test_an_export_is_whole_or_not_there(
    run_out: Path, tmp_path: Path, ending: str, size: int
) -> None:
    """DuckDB's own text came with a traceback, and its second file, full of rows, stayed."""
    pytest.importorskip("xlsxwriter")
    file, before = tmp_path / f"run.{ending}", names(tmp_path)
    with full_after(size), pytest.raises(EnvironmentFailed) as met:
        export(run_out, str(file))
    assert re.search("File too large|No space left", met.value.message)
    assert "make room" in met.value.hint
    assert names(tmp_path) == before
    export(run_out, str(file))
    held = file.read_bytes()
    with full_after(size), pytest.raises(EnvironmentFailed):
        export(run_out, str(file), overwrite=True)
    assert file.read_bytes() == held
    assert names(tmp_path) == before | {file.name, "out/copies.json"}


def test_a_duckdb_file_that_closing_could_not_end_is_not_taken_for_whole(
    run_out: Path, tmp_path: Path
) -> None:
    """Rows fit into DuckDB's journal and not into its file: half of it was left, with exit 0."""
    file = tmp_path / "run.duckdb"
    export(run_out, str(file))
    whole = file.stat().st_size
    for size in range(whole - 300_000, whole, 60_000):
        with full_after(size), pytest.raises(EnvironmentFailed):
            export(run_out, str(tmp_path / "other.duckdb"))
        assert names(tmp_path) == {"out", "out/profiles.parquet", "out/copies.json", file.name}


@pytest.mark.parametrize("ending", ["duckdb", "parquet"])
def test_flows_are_written_whole_or_not_at_all(tmp_path: Path, ending: str) -> None:
    table = ibis.memtable(pa.table({"id": np.random.default_rng(2).normal(size=50_000)}))
    file = tmp_path / f"flows.{ending}"
    write: dict[str, Callable[[], object]] = {
        "duckdb": lambda: write_duckdb({"f": table}, file),
        "parquet": lambda: write_parquet(table, file),
    }
    with full_after(100_000), pytest.raises(EnvironmentFailed, match="File too large"):
        write[ending]()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 50, 5000, 200_000])
def test_a_copy_of_a_node_is_whole_or_not_there(tmp_path: Path, size: int) -> None:
    place = NodeHome.create(tmp_path / "node", "bureau", "hub:1")
    (place.jobs / "big").mkdir(parents=True)
    (place.jobs / "big" / "table-1").write_bytes(secrets.token_bytes(300_000))
    copy, before = tmp_path / "copy.tar.gz", names(tmp_path)
    with full_after(size), pytest.raises(EnvironmentFailed, match="File too large") as met:
        backup(place.path, copy, "bureau", running=False)
    assert "make room" in met.value.hint
    assert names(tmp_path) == before
    backup(place.path, copy, "bureau", running=False)
    with full_after(size), pytest.raises(EnvironmentFailed, match="File too large"):
        restore(copy, tmp_path / "new")
    assert names(tmp_path) == before | {copy.name}
