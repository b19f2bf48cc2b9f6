"""A node is put back from a copy, with real processes: it forgets nothing, and jobs go on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from federated.ledger.lines import read_ledger
from federated.node.belongings import is_known
from tests.e2e.conftest import shortened
from tests.e2e.hub_world import World
from tests.e2e.test_hub_faults import BANK, BUREAU, end_of, jobs_of, propose, running

pytestmark = pytest.mark.slow


@pytest.fixture
def world(small: Path) -> Iterator[World]:
    world = World(shortened(small) / "world")
    try:
        world.start_hub()
        world.introduce(world.join("bank"), world.join("bureau"))
        world.start_node("bank", BANK.format(folder=small), wait=False)
        world.start_node("bureau", BUREAU.format(folder=small))
        world.wait(lambda: world.online("bank"), "bank does not connect")
        yield world
    finally:
        world.stop()


def node(world: World, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return world.command("node", *words, check=check)


def put_back(world: World, small: Path, copy: Path, *how: str) -> None:
    """The bureau's folder is lost, and made anew from a copy."""
    home = world.node("bureau")
    shutil.rmtree(home)
    node(world, "restore", str(copy), "--home", str(home))
    refused = node(world, "start", "--home", str(home), check=False)
    assert refused.returncode == 7
    assert "answers nothing" in refused.stderr
    node(world, "accept-copy", *how, "--home", str(home))
    world.start_node("bureau", BUREAU.format(folder=small))


def copied(world: World, small: Path, name: str) -> Path:
    out = small / f"{name}.tar.gz"
    node(world, "backup", str(out), "--home", str(world.node("bureau")))
    return out


def test_backup_and_restore(small: Path, world: World) -> None:
    assert end_of(world, propose(small, world, "first"), "first") == 0, world.log("first")
    for home in (world.node("bank"), world.node("bureau")):
        assert all(is_known(path.name) for path in home.iterdir())
    before = node(world, "releases", "--home", str(world.node("bureau"))).stdout
    world.kill("bureau", 15)
    put_back(world, small, copied(world, small, "a"), "--last")
    assert node(world, "releases", "--home", str(world.node("bureau"))).stdout == before

    # what the guard refuses it refuses after a restore: the same people, but for one
    rows = (small / "bank.csv").read_text().splitlines(keepends=True)
    (small / "bank.csv").write_text("".join(rows[:-1]))
    assert end_of(world, propose(small, world, "again"), "again") == 6
    why = "too few records apart from earlier answers"  # written after the other side has heard no
    world.wait(lambda: why in world.log("bureau"), "the partner does not say why")

    # a job that was interrupted goes on at the node that was put back
    policy = world.node("bureau") / "policy.toml"
    repeating = "[releases]\nminimum_difference = 0\n"
    policy.write_text(policy.read_text().replace("[releases]\n", repeating))
    run = propose(small, world, "cut")
    world.wait(lambda: any(map(running, jobs_of(world, "bureau"))), "the job does not run")
    world.kill("bureau", 15)
    assert list(world.node("bureau").rglob("journal"))
    last = copied(world, small, "b")
    put_back(world, small, last, "--last")
    assert end_of(world, run, "cut") == 0, world.log("cut")

    # the same copy once more is an older state by now: the hub knows, whatever is said here
    world.kill("bureau", 15)
    place = str(world.node("bureau"))
    shutil.rmtree(place)
    node(world, "restore", str(last), "--home", place)
    node(world, "accept-copy", "--last", "--home", place)
    world.spawn("bureau", "node", "start", "--home", place)
    assert world.processes.pop("bureau").wait(60) == 7
    assert "has met a later state" in world.log("bureau")
    assert node(world, "accept-copy", "--last", "--home", place, check=False).returncode == 2
    node(world, "accept-copy", "--may-have-forgotten", "--home", place)
    line = read_ledger(world.node("bureau") / "ledger.jsonl")[-1]
    assert line["body"]["last"] is False
    assert not list(world.node("bureau").rglob("journal"))
    for name in ("hub", "bank", "bureau"):
        assert "Traceback" not in world.log(name)
