"""The main job across real processes: hub, two nodes, and the bank's command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from federated.keys.identity_file import read_identity
from federated.ledger.account import verify_ledger
from federated.ledger.lines import read_ledger
from tests.e2e.alike import assert_alike, assert_metrics_alike
from tests.e2e.hub_world import World

BUREAU = '[bureau.people]\npath = "{folder}/bureau.csv"\n'


@pytest.fixture
def world(small: Path) -> Iterator[World]:
    world = World(small / "world", party="bank", anew=True)
    try:
        world.start_hub()
        bureau = world.join("bureau")
        world.introduce(world.hub / "party", bureau)
        world.start_node("bureau", BUREAU.format(folder=small))
        yield world
    finally:
        world.stop()


def test_the_job_over_processes_equals_the_job_in_memory(small: Path, world: World) -> None:
    tables = str(small / "tables.toml")
    job = str(small / "job.toml")
    with (small / "job.toml").open("a") as more:
        more.write('[[binning]]\nlabel = "bank.churned"\ncolumns = ["bureau.loans"]\n')
    world.command("run", job, "--tables", tables, "--out", str(small / "memory"), "--quiet")
    world.command(
        "run", job, "--tables", tables, "--out", str(small / "hub"), "--quiet",
        "--hub", str(world.hub),
    )  # fmt: skip
    first, second = small / "memory", small / "hub"
    one, two = (json.loads((place / "metrics.json").read_text()) for place in (first, second))
    for metrics in (one, two):
        metrics.pop("run"), metrics.pop("leakage")  # a hub's node keeps a book, a process none
    assert_metrics_alike(one, two)
    frames = [pd.read_parquet(place / "profiles.parquet") for place in (first, second)]
    assert_alike(frames[0], frames[1], "churn")
    lists = [pd.read_parquet(place / "targets.parquet") for place in (first, second)]
    assert len(lists[0]) == len(lists[1]) == 20
    # 15.4 (1.5) of twenty in sixty runs; chance alone has 1.5
    assert len(set(lists[0]["entity"]) & set(lists[1]["entity"])) >= 6
    _check_ledgers(world, second)
    # what this receiver's label has told is in its own book: the next job's bits add to it
    told = world.command("node", "releases", "--home", str(world.hub / "party")).stdout
    assert "churned" in told
    _nothing_left(world)


def _check_ledgers(world: World, out: Path) -> None:
    (job,) = (world.node("bureau") / "jobs").iterdir()
    theirs = job / "ledger.jsonl"
    bureau = read_identity(world.node("bureau") / "identity.json")
    assert verify_ledger(theirs, bureau) > 10
    mine = read_ledger(out / "parties" / "bank" / "ledger.jsonl")
    kept = mine[-2]["body"]["heads"]["bureau"]
    assert "profiles.parquet" in mine[-1]["body"]["files"]
    assert read_ledger(theirs)[kept[0]]["hash"] == kept[1]
    done = world.command(
        "node", "ledger", "verify", job.name, "--home", str(world.node("bureau")),
        "--against", str(out / "parties" / "bank" / "ledger.jsonl"),
    )  # fmt: skip
    assert "the two accounts agree" in done.stdout


def _nothing_left(world: World) -> None:
    """The hub has written no frame anywhere, and nothing of a job's secrets is left."""
    files = [path for path in world.hub.rglob("*") if path.is_file()]
    asked = {path for path in files if path.suffix == ".request"}
    asked |= {path for path in files if path.parent.name in ("asked", "persons", "models")}
    names = {path.name for path in set(files) - asked}
    assert names <= {
        "hub.toml", "authority.crt", "authority.key", "server.crt", "server.key", "nodes.json",
        "invites.json", "identity.json", "keys", "node.toml", "bureau.json", "world-bureau.json",
        "ledger.jsonl", "outputs.secret", "run.json", "job.toml", "lock", ".worker.lock",
        "last-bureau",
        "policy.toml", "confirmed.json", "quota.json", "quota.lock",
        "lives.json", "life",
        "folds", ".folds.lock", "learned.json", ".learned.json.lock",
        "book", "key", ".lock",
    }  # fmt: skip
    assert not list(world.node("bureau").rglob("journal"))
    for log in ("hub", "bureau"):
        assert "id00001" not in world.log(log)
        assert "Traceback" not in world.log(log)
