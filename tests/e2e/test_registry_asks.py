"""Two organisations, from nothing to a first job, by the commands of docs/DEPLOYMENT.md.

The one that asks is not the bank: a registry proposes and receives. The bank runs the hub, is
mounted in it, and its officer approves by the same commands as at a node. Officers and the analyst
have keys; the analyst has nothing of the registry's.
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
from federated.keys.officers import read_card
from federated.ledger.lines import read_ledger
from profiles.asks import asks_in
from profiles.demo.people import credit_codes
from tests.e2e.hub_world import World, free_port

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
    address = f"127.0.0.1:{free_port()}"
    hears = f'[direct]\nlisten = "{address}"\nadvertise = "{address}"\n'
    (places["bank"] / "policy.toml").write_text(NEW_POLICY + hears)
    world.start_hub()
    invite = str(tmp_path / "registry.invite")
    world.command("hub", "invite", "registry", "--home", str(world.hub), "--out", invite)
    world.command("node", "init", invite, "--home", homes["registry"])
    with (places["registry"] / "policy.toml").open("a") as file:
        file.write(f'[direct]\ndial = {{ bank = "{address}" }}\n')
    for one, other in (("bank", "registry"), ("registry", "bank")):
        handed = places[other] / "identity.json"
        world.here("node", "peers", "add", str(handed), "--home", homes[one])
        read_out = read_identity(handed).fingerprint.split()
        world.here("node", "peers", "confirm", other, *read_out, "--home", homes[one])
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
        world.here("node", "policy", "check", "--home", home)
        _lists(world, tmp_path / name / "ann", "officer", home)
    _lists(world, tmp_path / "registry" / "cy", "analyst", homes["registry"])
    world.spawn("registry", "node", "start", "--home", homes["registry"])
    world.wait(lambda: world.online("registry"), "registry does not connect")
    world.command("node", "doctor", "--home", homes["registry"])
    assert "bank                     mounted  can be called" in world.command(
        "hub", "status", "--home", str(world.hub)
    ).stdout  # fmt: skip
    asks = tmp_path / "asks"
    asks.mkdir()
    world.spawn("serve", "job", "serve", "--hub", homes["registry"], "--asks", str(asks))
    cy = _own(tmp_path / "registry" / "cy")
    world.command("job", "ask", str(JOB), "--asks", str(asks), *cy)
    own = _waiting(world, homes["registry"])
    done = world.command("node", "approve", own, "--home", homes["registry"], check=False)
    assert done.returncode == 2
    assert "sign with keys of their own" in done.stderr
    done = world.command("node", "approve", own, "--home", homes["registry"], *cy, check=False)
    assert done.returncode == 6  # who asks does not approve
    ann = _own(tmp_path / "registry" / "ann")
    world.command("node", "approve", own, "--home", homes["registry"], *ann)
    asked = _waiting(world, homes["bank"])
    shown = world.command("node", "show", asked, "--home", homes["bank"]).stdout
    assert "registry proposes" in shown
    assert "for aggregates: balance" in shown
    assert "fingerprint compared by" in shown
    ann = _own(tmp_path / "bank" / "ann")
    world.command("node", "approve", asked, "--home", homes["bank"], *ann)
    (ask,) = asks_in(asks)
    world.wait(lambda: ask.state["state"] in ("done", "failed"), "it does not end", 180)
    assert ask.state["state"] == "done", (ask.folder / "log").read_text()
    assert "done" in world.command("job", "asks", "--asks", str(asks)).stdout
    assert (ask.folder / "out" / "report.html").stat().st_mode & 0o777 == 0o640
    metrics = json.loads((ask.folder / "out" / "metrics.json").read_text())
    joined = registry.merge(bank, left_on="credit_code", right_on="code")
    means = joined.groupby("industry").balance.mean()
    table = metrics["aggregates"][0]["table"]
    assert table["group"] == list(INDUSTRIES)
    assert table["balance:mean"] == pytest.approx(means.to_list())
    for name, place in places.items():
        (ledger,) = place.glob("jobs/*/ledger.jsonl")
        lines = read_ledger(ledger)
        (approved,) = (line["body"] for line in lines if line["kind"] == "approved")
        assert [word["officer"] for word in approved["words"]] == ["ann"]
        (ways,) = (line["body"]["bytes"] for line in lines if line["kind"] == "ways")
        (figures,) = ways.values()
        assert figures["hub"] > 0, figures
        assert figures["direct"] > 0, figures  # 54,030 bytes of 77,340: all but the first steps'
        assert "disclosure" in {line["kind"] for line in lines}
        verified = world.command("node", "ledger", "verify", "--home", homes[name]).stdout
        assert f"signed by {name}" in verified
        rows = json.loads(world.command("node", "jobs", "--json", "--home", homes[name]).stdout)
        assert [row["state"] for row in rows] == ["done"]


def _waiting(world: World, home: str) -> str:
    def ids() -> list[str]:
        rows = json.loads(world.command("node", "jobs", "--json", "--home", home).stdout)
        return [row["id"] for row in rows if row["state"] == "waiting"]

    world.wait(ids, "nothing waits")
    return ids()[0]


def _lists(world: World, folder: Path, role: str, home: str) -> None:
    """A person makes a key on an account of his own, and the party lists it."""
    folder.mkdir(parents=True)
    own = folder / "passphrase"
    own.write_text(f"the passphrase of {folder.name}")
    own.chmod(0o600)
    words = ("node", "officers", "key", folder.name)
    world.here(*words, "--out", str(folder / "key"), "--passphrase-file", str(own))
    card = folder / f"{folder.name}.card.json"
    read_out = read_card(card).fingerprint.split()
    add = ("node", "officers", "add", str(card), *read_out, "--role", role)
    world.here(*add, "--home", home)


def _own(folder: Path) -> tuple[str, ...]:
    """With which key a person speaks."""
    return ("--key", str(folder / "key"), "--passphrase-file", str(folder / "passphrase"))
