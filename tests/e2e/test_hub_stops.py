"""Three parties, two jobs at once, one node stopped and started again at every step of them.

Promised: outputs are those of runs that nobody disturbed, and all parties' ledgers agree.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from federated.keys.identity_file import read_identity
from federated.ledger.account import read_account
from federated.ledger.compare import compare
from federated.ledger.lines import read_ledger
from tests.e2e.alike import assert_metrics_alike
from tests.e2e.hub_world import Running, World, free_port
from tests.e2e.test_hub_faults import end_of
from tests.e2e.test_hub_kill_matrix import direct_bytes, ledgers

pytestmark = pytest.mark.slow

PARTIES = ["bank", "east", "west"]
JOBS = {
    "columns": """
[train]
task = "churn"
label = "bank.y"
folds = 0
evaluations = 2

[profile]
segments = 2
""",
    "sums": """
[[aggregate]]
by = "bank.place"
measures = ["east.x1:mean", "west.x2:share>0"]
minimum_group = 10
""",
}
JOB = """
[job]
name = "{name}"
purpose = "retention"
key_bits = 2048
{parties}
[align]
minimum_overlap = 50
{rest}"""
PARTY = """
[[party]]
name = "{name}"
table = "{name}.clients"
keys = [["id"]]
features = [{features}]
"""
PHASES = ["contract", "align", "aggregate", "train", "finish"]
EVERY = bool(os.environ.get("FEDPROFILE_EVERY_KILL"))
HOW = [
    pytest.param(how, way, id=f"{how.name}-{way}")
    for how in (signal.SIGKILL, signal.SIGTERM)
    for way in ("direct", "hub")
    if EVERY or (how, way) == (signal.SIGKILL, "direct")
]


def table(folder: Path, name: str) -> str:
    return f'[{name}.clients]\npath = "{folder}/{name}.csv"\n'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A neutral hub, three nodes, two job files."""
    rng = np.random.default_rng(11)
    for number, name in enumerate(PARTIES):
        n = 300
        x = pd.DataFrame(rng.normal(size=(n, 3)).round(4), columns=["x0", "x1", "x2"])
        x.insert(0, "id", [f"id{i:05d}" for i in rng.permutation(n)])
        if number == 0:
            x["place"] = rng.choice(["town", "country"], n)
            x["y"] = (rng.random(n) < 1 / (1 + np.exp(-x["x0"]))).astype(int)
        x.to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "tables.toml").write_text(table(tmp_path, "bank"))
    parties = "".join(
        PARTY.format(name=name, features='"x0"' if name == "bank" else '"x1", "x2"')
        for name in PARTIES
    )
    for name, rest in JOBS.items():
        (tmp_path / f"{name}.toml").write_text(JOB.format(name=name, parties=parties, rest=rest))
    world = World(tmp_path / "world")
    try:
        world.start_hub()
        world.introduce(*[world.join(name) for name in PARTIES])
        for name in PARTIES:
            policy = world.node(name) / "policy.toml"
            repeating = "[releases]\nminimum_difference = 0\n"  # each job is run twice
            policy.write_text(policy.read_text().replace("[releases]\n", repeating))
        yield world
    finally:
        world.stop()


def start(tmp_path: Path, world: World, name: str) -> None:
    world.start_node(name, table(tmp_path, name))


def go_direct(world: World) -> None:
    """Each hears, and calls the two others."""
    places = {name: f"127.0.0.1:{free_port()}" for name in PARTIES}
    for name in PARTIES:
        dial = ", ".join(f'{n} = "{p}"' for n, p in places.items() if n != name)
        with (world.node(name) / "policy.toml").open("a") as policy:
            policy.write(f'[direct]\nlisten = "{places[name]}"\nadvertise = "{places[name]}"\n')
            policy.write(f"dial = {{ {dial} }}\n")


def both(tmp_path: Path, world: World, out: str) -> dict[str, Running]:
    return {
        job: world.spawn(
            f"{job}-{out}",
            "run",
            str(tmp_path / f"{job}.toml"),
            "--quiet",
            "--tables",
            str(tmp_path / "tables.toml"),
            "--out",
            str(tmp_path / f"{job}-{out}"),
            "--hub",
            str(world.node("bank")),
        )
        for job in JOBS
    }


@pytest.mark.parametrize(("how", "way"), HOW)
def test_a_node_is_stopped_at_every_step(
    tmp_path: Path, world: World, how: signal.Signals, way: str
) -> None:
    if way == "direct":
        go_direct(world)
    for name in PARTIES:
        start(tmp_path, world, name)
    for job, run in both(tmp_path, world, "calm").items():
        assert end_of(world, run, f"{job}-calm") == 0, world.log(f"{job}-calm")
    known = ledgers(world, "east")
    runs = both(tmp_path, world, "stopped")
    stops = 0
    for phase in PHASES:
        if reached(world, known, phase, runs):
            world.kill("east", how)
            start(tmp_path, world, "east")
            stops += 1
    assert stops >= len(PHASES) - 1, "the jobs were over before they were stopped"
    for job, run in runs.items():
        assert end_of(world, run, f"{job}-stopped") == 0, world.log(f"{job}-stopped")
        calm, stopped = (told(tmp_path / f"{job}-{out}") for out in ("calm", "stopped"))
        assert_metrics_alike(calm, stopped)
    agree(world)
    sessions = [file.parent.name for file in ledgers(world, "east") - known]
    kinds = [
        [line["kind"] for line in read_ledger(world.node("east") / "jobs" / s / "ledger.jsonl")]
        for s in sessions
    ]
    assert len(kinds) == len(JOBS)
    assert sum(each.count("resumed") for each in kinds) >= stops
    assert (way == "direct") == any(direct_bytes(file) for file in ledgers(world, "bank"))


def reached(world: World, known: set[Path], phase: str, runs: dict[str, Running]) -> bool:
    """Whether a job that runs has come to this phase at the node; else they are over."""
    mark = f'"step":"{phase}'
    end = time.monotonic() + 240
    while any(run.poll() is None for run in runs.values()):
        assert time.monotonic() < end, f"{phase} is not reached"
        texts = [file.read_text("utf-8") for file in ledgers(world, "east") - known]
        if any(mark in text for text in texts if '"kind":"finished"' not in text):
            return True
        time.sleep(0.005)
    return False


def told(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "metrics.json").read_text("utf-8"))
    del found["run"], found["leakage"]  # runs before are in it
    return found


def agree(world: World) -> None:
    """Every two parties' ledgers of every job, and nothing is left of it.

    Who comes back after the others have ended lacks the frames in which they said so, and says so.
    """
    here = [world.node(name) for name in PARTIES]
    world.wait(lambda: not any(list(h.rglob("journal")) for h in here), "a journal is left", 60)
    known = {name: read_identity(world.node(name) / "identity.json") for name in PARTIES}
    for file in ledgers(world, "bank"):
        accounts = [
            read_account(world.node(n) / "jobs" / file.parent.name / file.name, known[n], n)
            for n in PARTIES
        ]
        late = any(account.unheard for account in accounts)
        for one, other in itertools.combinations(accounts, 2):
            found = compare(one, other)
            assert all(finding.open for finding in found), found
            assert late or not found
    for name in PARTIES:
        assert "Traceback" not in world.log(name)
