"""A node behind a cable that is cut: the job goes on when it is mended."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import shortened
from tests.e2e.hub_network import Network, netns
from tests.e2e.hub_world import World
from tests.e2e.test_hub_faults import end_of, jobs_of, running

pytestmark = [*netns, pytest.mark.slow]

SECONDS = float(os.environ.get("FEDPROFILE_CUT_SECONDS", "12"))
"""How long the cable is cut; 120 is the promise, 12 what there is time for."""


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


def test_a_cut_network_is_waited_for(small: Path, network: Network) -> None:
    world = World(shortened(small) / "world", party="bank", hosts=[network.hub], listen=network.hub)
    try:
        world.start_hub()
        world.inside["bureau"] = network.inside
        bureau = world.join("bureau")
        world.introduce(world.hub / "party", bureau)
        world.start_node("bureau", f'[bureau.people]\npath = "{small}/bureau.csv"\n')
        run = world.spawn(
            "run", "run", str(small / "job.toml"), "--tables", str(small / "tables.toml"),
            "--out", str(small / "out"), "--quiet", "--hub", str(world.hub),
        )  # fmt: skip
        world.wait(
            lambda: any(running(job) for job in jobs_of(world, "bureau")), "the job does not run"
        )
        network.cut()
        time.sleep(SECONDS)
        assert run.poll() is None, world.log("run")
        if SECONDS > 60:
            listed = world.command("job", "ls", "--json", "--hub", str(world.hub)).stdout
            assert json.loads(listed)[0]["waits_for"] == ["bureau to connect to the hub"]
        network.mend()
        assert end_of(world, run, "run") == 0, world.log("run")
        assert json.loads((small / "out" / "metrics.json").read_text())["run"]
        for name in ("hub", "bureau"):
            assert "Traceback" not in world.log(name)
    finally:
        world.stop()
