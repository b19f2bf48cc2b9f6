"""A node's lasting process and the one for its jobs: what that one gets, when it comes and goes.

Real processes; the connection to the hub is played.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from typer.testing import CliRunner

from federated.approval.call import make_call
from federated.keys.identity_file import write_identity
from federated.keys.keyfile import save_keys
from federated.keys.party_keys import PartyKeys
from federated.node.home import NodeHome
from federated.node.lives import OlderCopy
from federated.store.files import locked
from federated.wire.certificates import make_key, write_key
from federated.wire.flower import fleet
from federated.wire.flower import front as fronts
from federated.wire.flower.between import error_from, error_of
from federated.wire.local import ask
from federated.wire.parcels import Kind, Parcel, Refusal, notice
from profiles.cli import app
from psi.protocol import EnvironmentFailed, FedprofileError, MisuseError, Refused

ROOT = Path(__file__).parents[2]
SECRET = b"correct horse battery"
KEYS = {name: PartyKeys.generate(name) for name in ("bank", "bureau")}
JOB = bytes(range(32))
TABLES = '[bureau.people]\npath = "people.csv"\n'


class Hub:
    """Stands for the connection: what the node sends is kept."""

    def __init__(self, *args: object) -> None:
        self.sent: list[Parcel] = []
        self.connected, self.waiting = type("Set", (), {"is_set": lambda self: True})(), 0

    def start(self) -> None:
        """Connected."""

    def put(self, parcel: Parcel) -> None:
        self.sent.append(parcel)

    def close(self) -> None:
        """Gone."""


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fronts.NodeFront]:
    home = NodeHome.create(tmp_path / "node", "bureau", "hub:1")
    save_keys(home.keys, KEYS["bureau"], SECRET, secrets.token_bytes)
    write_identity(home.path / "identity.json", KEYS["bureau"].identity)
    home.certificate_key.write_bytes(write_key(make_key(), SECRET))
    home.certificate_key.chmod(0o600)
    home.tables.write_text(TABLES)
    pa_csv.write_csv(pa.table({"id": ["1", "2"]}), home.path / "people.csv")
    monkeypatch.setattr(fleet, "Fleet", Hub)
    monkeypatch.setattr(fleet, "FleetKeys", lambda *args: None)
    monkeypatch.setenv("FEDPROFILE_PASSPHRASE_FILE", "/somewhere/passphrase")
    made = fronts.NodeFront(home, SECRET, linger=3600.0)
    yield made
    made.stop()


def until(true: Callable[[], object], what: str = "") -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def worker(front: fronts.NodeFront) -> int:
    until(lambda: front._worker and front._worker.ready.is_set(), "no process for jobs")
    assert front._worker is not None
    return front._worker.process.pid


def idle(front: fronts.NodeFront) -> bool:
    return front._worker is None


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def call(kind: Kind = Kind.CALL) -> Parcel:
    data = make_call(JOB, KEYS["bank"], {n: keys.identity for n, keys in KEYS.items()})
    return notice(kind, JOB, "bank", "bureau", data=data if kind == Kind.CALL else b"")


def test_the_hubs_last_word_ends_a_start_at_once(front: fronts.NodeFront) -> None:
    """An older copy is told so when it connects: it does not run until its worker is there."""
    front.fleet.start = lambda: front._ended(OlderCopy("a later state"))  # type: ignore[method-assign]
    with pytest.raises(OlderCopy):
        front.start()
    held = front._worker
    assert held is not None
    assert not held.ready.is_set()
    front.stop()
    until(lambda: not alive(held.process.pid), "its process for jobs runs on")
    assert not held.ready.is_set()


def test_it_comes_for_a_job_and_goes_without_one(
    front: fronts.NodeFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    trimmed: list[None] = []
    monkeypatch.setattr(fronts, "give_back", lambda: trimmed.append(None))
    front.start()
    first = worker(front)
    environment = Path(f"/proc/{first}/environ").read_bytes()
    words = Path(f"/proc/{first}/cmdline").read_bytes()
    assert b"PASSPHRASE" not in environment
    for secret in (SECRET, KEYS["bureau"].private_bytes().hex().encode()):
        assert secret not in environment + words
    assert ask(front.home.path / "node.sock", op="status")["jobs"] == []
    held = front._worker
    assert held is not None
    held.given += 1
    front._said(held, {"op": "idle", "taken": 0})
    assert not idle(front)  # something is on the way to it
    front._said(held, {"op": "idle", "taken": 1})
    until(lambda: idle(front) and not alive(first), "it stays")
    until(lambda: trimmed, "what parcels left in this process stays")
    trimmed.clear()
    front.mount(bytes(32), "bureau", None)  # a run of this party's own has ended
    assert trimmed

    front._config["linger"] = 0.3
    front._arrived(call(Kind.AWAY))
    assert idle(front)  # no news of a job that is here
    front._arrived(call())  # of somebody who is not confirmed
    woken = front._worker
    assert woken is not None
    second = woken.process.pid
    sent = front.fleet.sent  # type: ignore[union-attr]
    until(lambda: sent, "the call is not answered")
    assert (sent[0].kind, sent[0].step) == (Kind.REFUSED, Refusal.CLOSED)
    assert not ask(front.home.path / "node.sock", op="stop", job=JOB.hex())["stopped"]
    place = front.home.job(JOB)
    (place / "journal").mkdir(parents=True)

    def gone() -> bool:
        front._arrived(call(Kind.PART))
        return idle(front)

    until(gone, "what an old job says keeps it")
    until(lambda: not alive(second), "it stays")

    sent.clear()  # a run of this party's own, whose process is away: nobody is woken for it
    front._arrived(call(Kind.PART))
    (place / "journal" / "key").touch()
    (place / "journal" / "point").touch()
    front._arrived(call(Kind.PART))
    (place / "journal" / "point").unlink()
    (place / "ledger.jsonl").write_text('{"kind": "opened"}\n{"kind": "handshake"}\n')
    front._arrived(call(Kind.PART))
    assert [(p.kind, p.receiver) for p in sent] == [
        (Kind.AWAY, "bank"),
        (Kind.AWAY, "bank"),
        (Kind.REFUSED, "bank"),
    ]
    assert idle(front)


def test_one_that_is_killed_is_started_again_and_none_outlives_the_node(
    front: fronts.NodeFront, caplog: pytest.LogCaptureFixture
) -> None:
    front.start()
    first = worker(front)
    with caplog.at_level(logging.ERROR):
        os.kill(first, signal.SIGKILL)
        until(lambda: "has ended (signal 9); again in 1 s" in caplog.text, "nothing is said")
    os.kill(worker(front), signal.SIGTERM)  # systemd's, to all of a unit: the node says when
    second = worker(front)
    assert second != first
    assert front.failure is None
    assert front._worker is not None
    front._stop.set()  # what a killed node leaves: closed sockets
    front._worker.control.shutdown(socket.SHUT_RDWR)
    front._worker.parcels.shutdown(socket.SHUT_RDWR)
    until(lambda: not alive(second), "it outlives the node")


def test_a_mistake_ends_the_start_and_later_only_what_it_touches(front: fronts.NodeFront) -> None:
    front.home.tables.write_text("[bureau.people]\nfile = 1\n")
    with pytest.raises(MisuseError, match=r"tables\.toml"):
        front.start()
    front.stop()

    other = fronts.NodeFront(front.home, SECRET, linger=0.3)
    front.home.tables.write_text(TABLES)
    other.start()
    until(lambda: other._worker is None, "it stays")
    front.home.tables.write_text("[bureau.people]\nfile = 1\n")
    other._arrived(call())
    until(lambda: other._broken, "it starts")
    other._arrived(call())
    sent = other.fleet.sent  # type: ignore[union-attr]
    until(lambda: sent, "the call is not answered")
    assert (sent[0].kind, sent[0].step) == (Kind.REFUSED, Refusal.CLOSED)
    for name in ("key", "point"):  # a job that is at rest here is called again until all is mended
        (other.home.job(JOB) / "journal").mkdir(parents=True, exist_ok=True)
        (other.home.job(JOB) / "journal" / name).touch()
    sent.clear()
    other._arrived(call())
    until(lambda: sent, "the call is not answered")
    assert sent[0].kind == Kind.AWAY
    assert other.failure is None
    other.stop()


NODE = """
import sys
from federated.wire.flower import fleet
from profiles.cli import app
from tests.unit.test_node_front import Hub

fleet.Fleet, fleet.FleetKeys = Hub, lambda *args: None
app(["node", "start", "--home", sys.argv[1], "--passphrase-file", sys.argv[2]])
"""


def test_a_second_start_is_refused_and_leaves_the_first_as_it_is(
    front: fronts.NodeFront, tmp_path: Path
) -> None:
    home, secret = front.home.path, tmp_path / "passphrase"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    words = [str(home), str(secret)]
    command = ["node", "start", "--home", words[0], "--passphrase-file", words[1]]
    first = subprocess.Popen([sys.executable, "-c", NODE, *words], cwd=ROOT)
    try:
        until(lambda: answers(home), "no node")
        life = (home / "life").read_bytes()
        for _ in range(2):
            second = CliRunner().invoke(app, command)
            assert isinstance(second.exception, MisuseError)
            assert f"a node runs in {home} already" in second.exception.message
        assert (home / "life").read_bytes() == life
        assert answers(home)
    finally:
        first.kill()
        first.wait()
    with locked(home / ".node.lock", taken="a killed one holds it"):
        assert not answers(home)


def answers(home: Path) -> bool:
    try:
        return bool(ask(home / "node.sock", op="status")["name"] == "bureau")
    except FedprofileError:
        return False


def test_errors_come_through_as_what_they_are() -> None:
    for error in (Refused("no", hint="ask"), EnvironmentFailed("disk", hint="room")):
        found = error_from(error_of(error))
        assert (type(found), found.message, found.hint) == (type(error), error.message, error.hint)
    odd = error_from({"class": "encode", "message": "m", "hint": ""})
    assert type(odd).__name__ == "FedprofileError"
