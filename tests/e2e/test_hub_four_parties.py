"""Three partners at once, two jobs in parallel: a vertical and a horizontal one, and a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from federated.ledger.lines import read_ledger
from tests.e2e.alike import assert_alike, assert_metrics_alike
from tests.e2e.hub_world import World
from tests.e2e.test_hub_faults import end_of, jobs_of

pytestmark = pytest.mark.slow

PARTNERS = ["east", "north", "west"]
VERTICAL = """
[job]
name = "columns"
purpose = "retention"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.clients"
keys = [["id"]]
features = ["x0"]
{partners}
[align]
minimum_overlap = 50

[train]
task = "churn"
label = "bank.y"
folds = 0
evaluations = 2

[profile]
segments = 2
"""
PARTNER = """
[[party]]
name = "{name}"
table = "{name}.clients"
keys = [["id"]]
features = ["x1", "x2"]
"""
ROWS = """
[[party]]
name = "{name}"
table = "{name}.rows"
features = ["x0", "x1", "x2", "x3"]
"""
HORIZONTAL = """
[job]
name = "rows"
purpose = "credit risk"
{parties}
[train]
task = "default"
split = "horizontal"
label = "y"
folds = 2
steps = 4
"""


def write_world(folder: Path) -> None:
    rng = np.random.default_rng(11)
    texts = {}
    for name in ["bank", *PARTNERS]:
        n = 300
        x = pd.DataFrame(rng.normal(size=(n, 4)).round(4), columns=["x0", "x1", "x2", "x3"])
        x["y"] = (rng.random(n) < 1 / (1 + np.exp(-x["x0"] + x["x1"]))).astype(int)
        x.insert(0, "id", [f"id{i:05d}" for i in rng.permutation(n)])
        x.to_csv(folder / f"{name}.csv", index=False)
        texts[name] = "".join(
            f'[{name}.{table}]\npath = "{folder}/{name}.csv"\n' for table in ("clients", "rows")
        )
        (folder / f"{name}.toml").write_text(texts[name])
    (folder / "tables.toml").write_text("".join(texts.values()))
    partners = "".join(PARTNER.format(name=name) for name in PARTNERS)
    (folder / "columns.toml").write_text(VERTICAL.format(partners=partners))
    parties = "".join(ROWS.format(name=name) for name in ["bank", *PARTNERS])
    (folder / "rows.toml").write_text(HORIZONTAL.format(parties=parties))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    write_world(tmp_path)
    world = World(tmp_path / "world", party="bank")
    try:
        world.start_hub()
        homes = [world.join(name) for name in PARTNERS]
        world.introduce(world.hub / "party", *homes)
        for name in PARTNERS:
            world.start_node(name, (tmp_path / f"{name}.toml").read_text(), wait=False)
        world.wait(lambda: all(world.online(name) for name in PARTNERS), "a node does not connect")
        yield world
    finally:
        world.stop()


def test_two_jobs_of_four_parties_at_once(tmp_path: Path, world: World) -> None:
    def words(job: str, tables: str, out: str) -> list[str]:
        files = [str(tmp_path / f"{job}.toml"), "--tables", str(tmp_path / tables)]
        return ["run", *files, "--out", str(tmp_path / out), "--quiet"]

    jobs = ("columns", "rows")
    runs = {
        job: world.spawn(job, *words(job, "bank.toml", f"hub-{job}"), "--hub", str(world.hub))
        for job in jobs
    }

    def halfway() -> bool:
        steps = [str(job["step"]) for job in jobs_of(world, "north") if job["job"] == "rows"]
        return any(step.startswith(("train/default", "finish")) for step in steps)

    world.wait(halfway, "the horizontal job does not run", 240)
    world.kill("north")  # in both jobs
    world.start_node("north", (tmp_path / "north.toml").read_text())
    assert [end_of(world, run, job) for job, run in runs.items()] == [0, 0]
    for job in jobs:
        world.command(*words(job, "tables.toml", f"memory-{job}"))
        found = [
            json.loads((tmp_path / f"{place}-{job}" / "metrics.json").read_text())
            for place in ("memory", "hub")
        ]
        for metrics in found:
            metrics.pop("run")
            metrics.pop("leakage")  # what a row holds is known where all tables are
        assert found[0]["job"] == job
        if job == "rows":  # each run has noise of its own
            here, over = (
                metrics["models"]["default"]["scores"]["all parties"] for metrics in found
            )
            assert over["auc"] == pytest.approx(here["auc"], abs=0.05)
        else:
            assert_metrics_alike(*found)
    one, two = (
        pd.read_parquet(tmp_path / f"{place}-columns" / "profiles.parquet")
        for place in ("memory", "hub")
    )
    assert_alike(one, two, "churn")
    _no_cross_talk(world)


def _no_cross_talk(world: World) -> None:
    """Every partner has two ledgers, each of one job's steps only."""
    for name in PARTNERS:
        found = []
        for file in (world.node(name) / "jobs").glob("*/ledger.jsonl"):
            steps = {str(line["body"].get("step", "")).split("/")[0] for line in read_ledger(file)}
            found.append(steps & {"align", "select"})
        assert sorted(map(len, found)) == [0, 2]
        assert not list(world.node(name).rglob("journal"))
        assert "Traceback" not in world.log(name)
