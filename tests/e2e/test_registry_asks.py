"""Two organisations, from nothing to a first job, by the commands of docs/DEPLOYMENT.md.

The one that asks is not the bank: a registry proposes and receives, the bank's officer approves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from federated.keys.identity_file import read_identity
from federated.ledger.lines import read_ledger
from profiles.demo.people import credit_codes
from tests.e2e.hub_world import World

JOB = Path(__file__).parents[2] / "examples" / "registry_asks" / "job.toml"
INDUSTRIES = ("farming", "mining", "retail")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "world")
    try:
        yield world
    finally:
        world.stop()


def companies(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The registry's companies with their industry, and the bank's with their balance."""
    rng = np.random.default_rng(3)
    codes = credit_codes(rng, 300)
    registry = pd.DataFrame({"credit_code": codes, "industry": rng.choice(INDUSTRIES, 300)})
    bank = pd.DataFrame({"code": codes[60:], "balance": rng.normal(100, 20, 240).round(2)})
    registry.to_csv(folder / "registry.csv", index=False)
    bank.sample(frac=1, random_state=1).to_csv(folder / "bank.csv", index=False)
    return registry, bank


@pytest.mark.slow
def test_a_registry_asks_a_bank(tmp_path: Path, world: World) -> None:
    registry, bank = companies(tmp_path)
    homes = {name: str(world.node(name)) for name in ("bank", "registry")}
    world.start_hub()
    for name, home in homes.items():
        invite = str(tmp_path / f"{name}.invite")
        world.command("hub", "invite", name, "--home", str(world.hub), "--out", invite)
        world.command("node", "init", invite, "--home", home)
    for one, other in (("bank", "registry"), ("registry", "bank")):
        handed = world.node(other) / "identity.json"
        world.command("node", "peers", "add", str(handed), "--home", homes[one])
        read_out = read_identity(handed).fingerprint.split()
        world.command("node", "peers", "confirm", other, *read_out, "--home", homes[one])
    world.command(
        "node", "table", "add", "companies", "--path", str(tmp_path / "bank.csv"),
        "--key", "code", "--column", "balance=aggregate", "--entity", "company",
        "--home", homes["bank"],
    )  # fmt: skip
    world.command(
        "node", "table", "add", "companies", "--path", str(tmp_path / "registry.csv"),
        "--key", "credit_code", "--column", "industry=aggregate", "--entity", "company",
        "--home", homes["registry"],
    )  # fmt: skip
    for name, home in homes.items():
        world.command("node", "policy", "check", "--home", home)
        world.spawn(name, "node", "start", "--home", home)
        world.wait(lambda: world.online(name), f"{name} does not connect")  # noqa: B023
        world.command("node", "doctor", "--home", home)
    world.spawn(
        "run", "run", str(JOB), "--tables", homes["registry"] + "/tables.toml", "--quiet",
        "--out", str(tmp_path / "out"), "--hub", homes["registry"],
    )  # fmt: skip
    _four_eyes(world, homes["registry"])
    asked = _waiting(world, homes["bank"])
    shown = world.command("node", "show", asked, "--home", homes["bank"]).stdout
    assert "registry proposes" in shown
    assert "for aggregates: balance" in shown
    assert "fingerprint compared by" in shown
    world.command("node", "approve", asked, "--home", homes["bank"])
    assert world.processes["run"].wait(180) == 0, world.log("run")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    joined = registry.merge(bank, left_on="credit_code", right_on="code")
    means = joined.groupby("industry").balance.mean()
    table = metrics["aggregates"][0]["table"]
    assert table["group"] == list(INDUSTRIES)
    assert table["balance:mean"] == pytest.approx(means.to_list())
    (ledger,) = world.node("bank").glob("jobs/*/ledger.jsonl")
    kinds = [line["kind"] for line in read_ledger(ledger)]
    assert kinds.count("approved") == 1
    assert "disclosure" in kinds


def _waiting(world: World, home: str) -> str:
    def ids() -> list[str]:
        rows = json.loads(world.command("node", "jobs", "--json", "--home", home).stdout)
        return [row["id"] for row in rows if row["state"] == "waiting"]

    world.wait(ids, "nothing waits")
    return ids()[0]


def _four_eyes(world: World, home: str) -> None:
    """Who proposes may not approve; here the policy is changed, for there is one user only."""
    asked = _waiting(world, home)
    assert f"approve {asked}" in world.log("run")
    done = world.command("node", "approve", asked, "--home", home, check=False)
    assert done.returncode == 6
    assert "does not count here" in done.stderr
    policy = Path(home) / "policy.toml"
    policy.write_text(policy.read_text().replace("four_eyes = true", "four_eyes = false"))
    world.command("node", "approve", asked, "--home", home)
