"""A bureau's officer decides on a bank's job, over a hub and real processes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from federated.ledger.lines import read_ledger
from tests.e2e.hub_world import World

TABLES = """
[bureau.people]
path = "{folder}/bureau.csv"
keys = ["id_no"]
permissions = {{ loans = "feature", overdue = "feature", usage = "feature", queries = "feature" }}
"""
POLICY = '[releases]\nrow_share = 100.0\n[columns]\nunlisted = "never"\n'


@pytest.fixture
def world(small: Path) -> Iterator[World]:
    world = World(small / "world", party="bank")
    try:
        world.start_hub()
        bureau = world.join("bureau")
        (bureau / "policy.toml").write_text(POLICY)
        world.introduce(world.hub / "party", bureau)
        world.start_node("bureau", TABLES.format(folder=small))
        yield world
    finally:
        world.stop()


def node(world: World, *words: str, check: bool = True) -> str:
    done = world.command("node", *words, "--home", str(world.node("bureau")), check=check)
    return done.stdout + done.stderr


def live(world: World) -> list[str]:
    """The proposals that the running node waits with."""
    rows = json.loads(node(world, "jobs", "--json"))
    return [str(row["id"]) for row in rows if row["state"] == "waiting" and row["live"]]


def waits(world: World, small: Path, out: str) -> str:
    """The bank proposes; the digits of the proposal that then waits at the bureau."""
    world.spawn(
        out, "run", str(small / "job.toml"), "--tables", str(small / "tables.toml"), "--quiet",
        "--out", str(small / out), "--hub", str(world.hub),
    )  # fmt: skip

    world.wait(lambda: live(world), "nothing waits")
    return live(world)[0]


@pytest.mark.slow
def test_an_officer_reads_denies_and_approves(small: Path, world: World) -> None:
    first = waits(world, small, "denied")
    shown = node(world, "show", first)
    assert 'job "small churn", purpose "retention"' in shown
    assert "for training: loans, overdue, usage, queries" in shown
    assert "bank learns which of its own records bureau has" in shown
    assert "fingerprint compared by the test" in shown
    assert json.loads(node(world, "show", first, "--json"))["contract"]["purpose"] == "retention"
    node(world, "deny", first, "--why", "not without a contract of ours")
    assert world.processes["denied"].wait(60) == 6
    assert "bureau says no: not without a contract of ours" in world.log("denied")
    assert not (small / "denied").exists()

    second = waits(world, small, "out")
    (jobs,) = world.workers("bureau")
    os.kill(jobs, signal.SIGKILL)  # no memory was left: the node starts another process for jobs
    world.wait(lambda: "jobs go on" in world.log("bureau"), "nothing is said")
    world.wait(lambda: second in live(world), "it waits no more")
    world.kill("bureau", signal.SIGTERM)  # systemctl restart: nobody has said no
    assert f"{second}  waiting" in node(world, "jobs")
    world.start_node("bureau", TABLES.format(folder=small))
    world.wait(lambda: second in live(world), "it waits no more")
    world.kill("bureau")  # what was asked stays on file, and so does the answer
    assert f"{second}  waiting" in node(world, "jobs")
    assert "the word counts once it does" in node(world, "approve", second)
    world.start_node("bureau", TABLES.format(folder=small))
    assert world.processes["out"].wait(120) == 0
    assert (small / "out" / "report.html").exists()
    (job,) = (f.parent for f in (world.node("bureau") / "jobs").glob("*/ledger.jsonl")
              if any(line["kind"] == "disclosure" for line in read_ledger(f)))  # fmt: skip
    (line,) = (line for line in read_ledger(job / "ledger.jsonl") if line["kind"] == "approved")
    assert line["body"]["by"]
    assert "done" in node(world, "jobs")

    run = ("run", str(small / "job.toml"), "--tables", str(small / "tables.toml"), "--quiet")
    (world.node("bureau") / "policy.toml").write_text(
        POLICY + '"bureau.people" = { usage = "never" }\n'
    )
    done = world.command(
        *run, "--out", str(small / "no"), "--hub", str(world.hub), check=False
    )  # fmt: skip
    assert done.returncode == 6
    assert "column 'usage' of bureau.people asked as" in done.stderr
    assert "columns that nothing is said about: never" in node(world, "policy", "check")
    node(world, "pause", "--why", "audit")
    done = world.command(*run, "--out", str(small / "p"), "--hub", str(world.hub), check=False)
    assert "it opens no session; its officer can tell why" in done.stderr
    assert "takes no new jobs at present" not in done.stderr
    assert "takes no new jobs at present" in world.log("bureau")
    assert "paused by" in node(world, "jobs")
    node(world, "unpause")
    assert "NOT CONFIRMED" not in node(world, "peers")
    assert "Traceback" not in world.log("bureau")
