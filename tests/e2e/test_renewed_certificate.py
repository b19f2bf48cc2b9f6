"""A node's certificate is made anew while a job is under way, with real processes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from federated.ledger.lines import read_ledger
from tests.e2e.hub_world import World
from tests.e2e.test_hub_faults import BUREAU, end_of, jobs_of, propose, running, world
from tests.e2e.test_hub_kill_matrix import go_direct, ledgers, whole

__all__ = ["world"]

pytestmark = pytest.mark.slow


def test_a_job_goes_on_under_the_new_certificate(small: Path, world: World) -> None:
    """The hub's owner revokes the name and invites it again while the node is stopped.

    Party keys stay, and with them the job's sealed channels; the hub knows the node by its name.
    """
    go_direct(small, world)
    run = propose(small, world, "out")
    world.wait(lambda: any(map(running, jobs_of(world, "bureau"))), "the job does not run")
    home = world.node("bureau")
    print_, certificate = (home / "identity.json").read_bytes(), (home / "node.crt").read_bytes()
    world.kill("bureau", signal.SIGTERM)
    invite = world.folder / "again.invite"
    world.command("hub", "revoke", "bureau", "--home", str(world.hub))
    world.command("hub", "invite", "bureau", "--home", str(world.hub), "--out", str(invite))
    world.command("node", "init", str(invite), "--renew", "--home", str(home))
    assert (home / "node.crt").read_bytes() != certificate
    assert (home / "identity.json").read_bytes() == print_
    assert "everything" in (home / "policy.toml").read_text(), "what the party allows stays"
    world.start_node("bureau", BUREAU.format(folder=small))
    assert end_of(world, run, "out") == 0, world.log("out")
    (ledger,) = ledgers(world, "bureau")
    assert "resumed" in [line["kind"] for line in read_ledger(ledger)]
    whole(world, "renewed")
