"""Two organisations, from nothing to a first job, by the commands of docs/DEPLOYMENT.md.

The one that asks is not the bank: a registry proposes and receives. The bank runs the hub, is
mounted in it, and its officer approves by the same commands as at a node. Officers have keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from federated.approval.policy_file import NEW_POLICY
from federated.keys.identity_file import read_identity
from federated.ledger.lines import read_ledger
from profiles.demo.people import credit_codes
from tests.e2e.hub_world import World

JOB = Path(__file__).parents[2] / "examples" / "registry_asks" / "job.toml"
INDUSTRIES = ("farming", "mining", "retail")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "world", party="bank")
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
    places = {"bank": world.hub / "party", "registry": world.node("registry")}
    homes = {name: str(place) for name, place in places.items()}
    (places["bank"] / "policy.toml").write_text(NEW_POLICY)
    world.start_hub()
    invite = str(tmp_path / "registry.invite")
    world.command("hub", "invite", "registry", "--home", str(world.hub), "--out", invite)
    world.command("node", "init", invite, "--home", homes["registry"])
    for one, other in (("bank", "registry"), ("registry", "bank")):
        handed = places[other] / "identity.json"
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
        for person in ("ann", "ben"):
            _officer(world, tmp_path / name / person, person, home)
    world.spawn("registry", "node", "start", "--home", homes["registry"])
    world.wait(lambda: world.online("registry"), "registry does not connect")
    world.command("node", "doctor", "--home", homes["registry"])
    assert "bank                     mounted  can be called" in world.command(
        "hub", "status", "--home", str(world.hub)
    ).stdout  # fmt: skip
    world.spawn(
        "run", "run", str(JOB), "--tables", homes["registry"] + "/tables.toml", "--quiet",
        "--out", str(tmp_path / "out"), "--hub", homes["registry"],
    )  # fmt: skip
    _four_eyes(world, tmp_path / "registry", homes["registry"])
    asked = _waiting(world, homes["bank"])
    shown = world.command("node", "show", asked, "--home", homes["bank"]).stdout
    assert "registry proposes" in shown
    assert "for aggregates: balance" in shown
    assert "fingerprint compared by" in shown
    _approve(world, asked, tmp_path / "bank" / "ann", homes["bank"])
    assert world.processes["run"].wait(180) == 0, world.log("run")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    joined = registry.merge(bank, left_on="credit_code", right_on="code")
    means = joined.groupby("industry").balance.mean()
    table = metrics["aggregates"][0]["table"]
    assert table["group"] == list(INDUSTRIES)
    assert table["balance:mean"] == pytest.approx(means.to_list())
    said = {"bank": ["ann"], "registry": ["ann", "ben"]}
    for name, place in places.items():
        (ledger,) = place.glob("jobs/*/ledger.jsonl")
        lines = read_ledger(ledger)
        (approved,) = (line["body"] for line in lines if line["kind"] == "approved")
        assert [word["officer"] for word in approved["words"]] == said[name]
        assert "disclosure" in {line["kind"] for line in lines}
        verified = world.command("node", "ledger", "verify", "--home", homes[name]).stdout
        assert f"signed by {name}" in verified


def _waiting(world: World, home: str) -> str:
    def ids() -> list[str]:
        rows = json.loads(world.command("node", "jobs", "--json", "--home", home).stdout)
        return [row["id"] for row in rows if row["state"] == "waiting"]

    world.wait(ids, "nothing waits")
    return ids()[0]


def _officer(world: World, folder: Path, person: str, home: str) -> None:
    """A person makes a key on his own account, and the party lists it."""
    folder.mkdir(parents=True)
    own = folder / "passphrase"
    own.write_text(f"the passphrase of {person}")
    own.chmod(0o600)
    said = world.command(
        "node", "officers", "key", person, "--out", str(folder / "key"),
        "--passphrase-file", str(own),
    ).stdout  # fmt: skip
    read_out = next(line for line in said.splitlines() if "fingerprint" in line).split(": ")[1]
    card = str(folder / f"{person}.card.json")
    world.command("node", "officers", "add", card, *read_out.split(), "--home", home)


def _approve(world: World, asked: str, folder: Path, home: str) -> str:
    return world.command(
        "node", "approve", asked, "--home", home, "--key", str(folder / "key"),
        "--passphrase-file", str(folder / "passphrase"),
    ).stderr  # fmt: skip


def _four_eyes(world: World, people: Path, home: str) -> None:
    """Nobody has signed for the proposal, so two officers approve it."""
    asked = _waiting(world, home)
    assert f"approve {asked}" in world.log("run")
    done = world.command("node", "approve", asked, "--home", home, check=False)
    assert done.returncode == 2
    assert "sign with keys of their own" in done.stderr
    assert "waits for 1 more" in _approve(world, asked, people / "ann", home)
    _approve(world, asked, people / "ben", home)
