"""A bureau's officer decides on a bank's job, over a hub and real processes."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from federated.ledger.lines import read_ledger
from tests.e2e.conftest import shortened
from tests.e2e.hub_world import World

TABLES = """
[bureau.people]
path = "{folder}/bureau.csv"
keys = ["id_no"]
permissions = {{ loans = "feature", overdue = "feature", usage = "feature", queries = "feature" }}
"""
CONSENTS = """
[bank.consents]
path = "consents.csv"
[bank.consumers.basis]
table = "bank.consents"
of = "id"
purpose = "purpose"
recipient = "given_to"
channel = "channel"
from = "since"
until = "until"
withdrawn = "withdrawn"
"""
BEFORE = f"{dt.datetime.now(dt.UTC) - dt.timedelta(days=2):%Y-%m-%d}"
LISTS = 'top = 300\nchannel = "sms"\n[[target]]\nproduct = "talk"\ntop = 300\nchannel = "call"\n'
POLICY = '[releases]\nrow_share = 100.0\nlabel_bits = 1000.0\n[columns]\nunlisted = "never"\n'


@pytest.fixture
def world(small: Path) -> Iterator[World]:
    world = World(shortened(small) / "world", party="bank")
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


def with_consents(small: Path) -> list[str]:
    """The bank's rows need a basis: A to G of its customers, who are all at the bureau too."""
    bank = pd.read_csv(small / "bank.csv")
    shared = bank.id.isin(pd.read_csv(small / "bureau.csv").id_no)
    _, b, c, d, e, f, _ = seven = bank.id[shared & (bank.churned == 0)].tolist()[:7]
    rows = [(name, "retention", "", "", "") for name in bank.id if name not in (b, c, d, e, f)]
    rows += [(b, "retention", "", "", BEFORE), (c, "fraud", "", "", "")]
    rows += [(d, "retention", "", BEFORE, ""), (f, "retention", "sms", "", BEFORE)]
    rows += [(f, "retention", "call", "", "")]
    frame = pd.DataFrame(rows, columns=["id", "purpose", "channel", "until", "withdrawn"])
    frame.assign(given_to="bureau", since="2025-01-01").to_csv(small / "consents.csv", index=False)
    tables, job = small / "tables.toml", small / "job.toml"
    tables.write_text(tables.read_text() + CONSENTS)
    job.write_text(job.read_text().replace("top = 20\n", LISTS))
    return seven


def withdraw(small: Path, name: str) -> None:
    consents = pd.read_csv(small / "consents.csv", dtype=str)
    consents.loc[consents.id == name, "withdrawn"] = BEFORE
    consents.to_csv(small / "consents.csv", index=False)


def check_consents(world: World, small: Path, job: Path, seven: list[str]) -> None:
    """Who is aligned, profiled and listed; the reasons stand at the bank and nowhere else."""
    out, (a, *gone, f, g) = small / "out", seven
    profiles = set(pq.read_table(out / "profiles.parquet")["entity"].to_pylist())
    assert len(profiles) == 255
    assert {a, f} <= profiles
    assert not {*gone, g} & profiles
    lists = pq.read_table(out / "targets.parquet").to_pandas().groupby("product").entity
    assert {name: set(rows) & set(seven) for name, rows in lists} == {"offer": {a}, "talk": {a, f}}
    mine = read_ledger(out / "parties" / "bank" / "ledger.jsonl")
    left = {"no basis": 1, "for another purpose": 1, "expired": 1, "withdrawn": 1}
    assert [line["body"] for line in mine if line["kind"] == "admitted"] == [
        {"table": "bank.consumers", "rows": 256, "left_out": left},
        {"table": "bank.consumers", "expired": 1},
    ]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["basis"] == {"admitted": 255, "left_out": left, "lost_since": 1}
    report = (out / "report.html").read_text()
    assert "left out for want of a basis: 5 (" in report
    assert "lost since the job was agreed on: 1)" in report
    theirs = (job / "ledger.jsonl").read_text()
    assert not {line["kind"] for line in read_ledger(job / "ledger.jsonl")} & {"admitted"}
    for word in ("left_out", "withdrawn", "for another purpose", *seven):
        assert word not in theirs + world.log("bureau")


@pytest.mark.slow
def test_an_officer_reads_denies_and_approves(small: Path, world: World) -> None:
    """Meanwhile one of the bank's customers withdraws: after the approval, before the run."""
    seven = with_consents(small)
    first = waits(world, small, "denied")
    shown = node(world, "show", first)
    assert 'job "small churn", purpose "retention"' in shown
    assert "for training: loans, overdue, usage, queries" in shown
    assert "bank learns which of its own records bureau has" in shown
    assert "fingerprint compared by the test" in shown
    assert "only rows with a basis for 'retention' towards the parties that learn of" in shown
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
    withdraw(small, seven[-1])
    world.start_node("bureau", TABLES.format(folder=small))
    assert world.processes["out"].wait(120) == 0
    assert (small / "out" / "report.html").exists()
    (job,) = (f.parent for f in (world.node("bureau") / "jobs").glob("*/ledger.jsonl")
              if any(line["kind"] == "disclosure" for line in read_ledger(f)))  # fmt: skip
    (line,) = (line for line in read_ledger(job / "ledger.jsonl") if line["kind"] == "approved")
    assert line["body"]["by"]
    check_consents(world, small, job, seven)
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
