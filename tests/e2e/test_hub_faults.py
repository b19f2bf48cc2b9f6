"""Processes of a deployment are killed, restarted, or say no: jobs go on or end with a reason."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from federated.ledger.lines import read_ledger
from federated.wire.local import ask
from psi.protocol import EnvironmentFailed
from tests.e2e.conftest import shortened
from tests.e2e.hub_world import Running, World

BANK = '[bank.consumers]\npath = "{folder}/bank.csv"\n'
BUREAU = '[bureau.people]\npath = "{folder}/bureau.csv"\n'


@pytest.fixture
def world(small: Path) -> Iterator[World]:
    """A neutral hub; bank and bureau are nodes."""
    world = World(shortened(small) / "world")
    try:
        world.start_hub()
        homes = [world.join("bank"), world.join("bureau")]
        world.introduce(*homes)
        repeating = "[releases]\nminimum_difference = 0\n"  # jobs here repeat themselves
        policy = world.node("bureau") / "policy.toml"
        policy.write_text(policy.read_text().replace("[releases]\n", repeating))
        world.start_node("bank", BANK.format(folder=small), wait=False)
        world.start_node("bureau", BUREAU.format(folder=small))
        world.wait(lambda: world.online("bank"), "bank does not connect")
        yield world
    finally:
        world.stop()


def propose(small: Path, world: World, out: str, job: str = "job.toml") -> Running:
    return world.spawn(
        out, "run", str(small / job), "--tables", str(small / "tables.toml"),
        "--out", str(small / out), "--quiet", "--hub", str(world.node("bank")),
    )  # fmt: skip


def jobs_of(world: World, name: str) -> list[dict[str, object]]:
    try:
        return list(ask(world.node(name) / "node.sock", op="status")["jobs"])
    except EnvironmentFailed:
        return []


def running(job: dict[str, object]) -> bool:
    return job["state"] == "running" and str(job["step"]).startswith(("align", "train"))


def end_of(world: World, process: Running, name: str) -> int:
    try:
        return process.wait(300)
    except subprocess.TimeoutExpired:
        logs = "\n".join(f"--- {n}\n{world.log(n)}" for n in world.processes)
        raise AssertionError(f"{name} does not end\n{logs}") from None


def test_a_killed_proposer_is_noticed(small: Path, world: World) -> None:
    propose(small, world, "out")
    world.wait(lambda: bool(jobs_of(world, "bureau")), "the call does not arrive")
    world.kill("out")
    world.wait(
        lambda: jobs_of(world, "bureau")[0]["state"] in ("failed", "done"),
        "the partner does not notice",
        30,
    )


@pytest.mark.slow
def test_hub_and_partner_are_killed_and_the_partner_is_revoked(small: Path, world: World) -> None:
    _the_hub_is_killed_and_the_job_goes_on(small, world)
    _the_partner_is_killed_and_the_job_goes_on(small, world)
    _the_proposer_is_killed_and_goes_on(small, world)
    _a_run_is_stopped_whether_its_process_lives_or_not(small, world)
    _the_partner_is_revoked_and_told(world)


def _the_hub_is_killed_and_the_job_goes_on(small: Path, world: World) -> None:
    run = propose(small, world, "out")
    world.wait(lambda: bool(jobs_of(world, "bureau")), "the call does not arrive")
    world.kill("hub")
    time.sleep(1.0)
    world.start_hub()
    assert end_of(world, run, "out") == 0, world.log("out")
    world.wait(
        lambda: jobs_of(world, "bureau")[0]["state"] == "done", "the partner does not finish", 30
    )
    assert json.loads((small / "out" / "metrics.json").read_text())["run"]


def _the_partner_is_killed_and_the_job_goes_on(small: Path, world: World) -> None:
    run = propose(small, world, "cut")
    world.wait(
        lambda: any(running(job) for job in jobs_of(world, "bureau")), "the job does not run"
    )
    world.kill("bureau")
    world.start_node("bureau", BUREAU.format(folder=small))
    assert end_of(world, run, "cut") == 0, world.log("cut")
    assert json.loads((small / "cut" / "metrics.json").read_text())["run"]


def _the_proposer_is_killed_and_goes_on(small: Path, world: World) -> None:
    columns = small / "job.columns.json"
    columns.unlink(missing_ok=True)
    _propose_until_it_runs(small, world, "killed")
    world.kill("killed")
    (run,) = [run for run in runs(world) if run["state"] == "interrupted"]
    assert (run["error"], run["resumable"]) == ("its process has ended", True)
    again = world.spawn("resumed", "job", "resume", str(run["id"]), "--quiet", *at(world))
    assert end_of(world, again, "resumed") == 0, world.log("resumed")
    taken = json.loads(columns.read_text())["tables"]["bank.consumers"]["columns"]
    assert {"balance", "churned", "segment", "name"} <= set(taken)
    ledger = small / "killed" / "parties" / "bank" / "ledger.jsonl"
    assert "resumed" in [line["kind"] for line in read_ledger(ledger)]
    assert not list(world.node("bank").rglob("journal"))
    assert {run["state"] for run in runs(world)} == {"done"}
    assert "handshake" in world.command("job", "logs", str(run["id"]), *at(world)).stdout


def _a_run_is_stopped_whether_its_process_lives_or_not(small: Path, world: World) -> None:
    process = _propose_until_it_runs(small, world, "stopped")
    with _held(world, "bureau"):  # so that the job is not done before it is stopped
        (run,) = [run for run in runs(world) if run["state"] == "running"]
        assert "bureau" in world.command("job", "show", str(run["id"]), *at(world)).stdout
        world.command("job", "stop", str(run["id"]), *at(world))
    assert end_of(world, process, "stopped") == 6, world.log("stopped")
    assert "stopped by this party" in world.log("stopped")
    _propose_until_it_runs(small, world, "dropped")
    world.kill("dropped")
    (run,) = [run for run in runs(world) if run["resumable"]]
    world.command("job", "stop", str(run["id"]), *at(world))
    assert [run["state"] for run in runs(world)[:2]] == ["refused", "refused"]
    world.wait(
        lambda: not list(world.folder.rglob("journal")), "a journal of a stopped job is left", 30
    )
    # the process that runs the node's jobs may have ended and begun anew: its folder knows them all
    home = str(world.node("bureau"))
    kept = json.loads(world.command("node", "jobs", "--json", "--home", home).stdout)
    assert {str(job["state"]) for job in kept} >= {"done", "failed"}


def _propose_until_it_runs(small: Path, world: World, out: str) -> Running:
    process = propose(small, world, out)
    world.wait(
        lambda: any(running(job) for job in jobs_of(world, "bureau")), "the job does not run"
    )
    return process


@contextmanager
def _held(world: World, name: str) -> Iterator[None]:
    """The process stands still, and goes on afterwards."""
    process = world.processes[name]
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def at(world: World) -> tuple[str, str]:
    return "--hub", str(world.node("bank"))


def runs(world: World) -> list[dict[str, object]]:
    return list(json.loads(world.command("job", "ls", "--json", *at(world)).stdout))


def _the_partner_is_revoked_and_told(world: World) -> None:
    world.command("hub", "revoke", "bureau", "--home", str(world.hub))
    world.processes["bureau"].wait(60)
    assert "this node was revoked; ask for a new invite" in world.log("bureau")
    assert "revoked" in world.command("hub", "nodes", "--home", str(world.hub)).stdout
    doctor = ("node", "doctor", "--home", str(world.node("bureau")))
    found = world.command(*doctor, check=False)
    assert found.returncode != 0
    assert found.stdout.count("ok ") >= 6
    assert "BAD  the hub takes this node: this node was revoked" in found.stdout


@pytest.mark.slow
def test_two_jobs_at_once_and_a_party_that_nobody_confirmed(small: Path, world: World) -> None:
    text = (small / "job.toml").read_text()
    (small / "second.toml").write_text(text.replace("small churn", "second job"))
    runs = {
        "one": propose(small, world, "one"),
        "two": propose(small, world, "two", "second.toml"),
    }
    assert [end_of(world, run, name) for name, run in runs.items()] == [0, 0]
    names = {json.loads((small / out / "metrics.json").read_text())["job"] for out in runs}
    assert names == {"small churn", "second job"}
    # the bureau no longer knows the bank
    peers = world.node("bureau") / "peers"
    shutil.move(next(peers.glob("*.json")), small / "gone.json")
    assert end_of(world, propose(small, world, "three"), "three") == 8
    assert "it opens no session; its officer can tell why" in world.log("three")
    assert not (small / "three").exists()
