"""Every process of a deployment killed in every phase of a job: it goes on, or ends clean.

    FEDPROFILE_KILL_MATRIX=full pytest -m slow tests/e2e/test_hub_kill_matrix.py \\
        -o log_cli=true --log-cli-level=INFO

runs all of it, over the hub and with direct ways; without the variable a sample with direct ways
(`test_hub_faults` kills over the hub alone). A process is killed (SIGKILL) as soon as its party's
ledger, or for the hub the partner's, has a line of the phase. Then it is started again, as a
supervisor or an analyst would. Promised: the outputs are those of a run that nobody disturbed,
both ledgers are whole, and no journal is left.
"""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

import pytest

from federated.keys.identity_file import read_identity
from federated.ledger.account import verify_ledger
from federated.ledger.lines import read_ledger
from tests.e2e.hub_world import Running, World, free_port
from tests.e2e.test_hub_faults import BANK, BUREAU, at, end_of, propose, runs, world

__all__ = ["world"]

pytestmark = pytest.mark.slow

_log = logging.getLogger("kill_matrix")

PHASES = ["opened", "contract", "align", "aggregate", "train", "finish", "outputs"]
PROCESSES = ["proposer", "bank", "bureau", "hub"]
FULL = os.environ.get("FEDPROFILE_KILL_MATRIX", "") == "full"
ROWS = {process: [(process, phase) for phase in PHASES] for process in PROCESSES}
SAMPLE = {"sample": [("bureau", "align"), ("proposer", "outputs")]}
CELLS = ROWS if FULL else SAMPLE
WAYS = ["hub", "direct"] if FULL else ["direct"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
def test_killed_in_every_phase(
    small: Path, world: World, cells: list[tuple[str, str]], way: str
) -> None:
    if way == "direct":
        go_direct(small, world)
    assert end_of(world, propose(small, world, "calm"), "calm") == 0
    expected = outputs(small / "calm")
    for process, phase in cells:
        what = kill(small, world, process, phase)
        out = small / f"{process}-{phase}"
        assert outputs(out) == expected, f"{process} killed in {phase}"
        whole(world, what)
        _log.info("%s killed in %s: the job %s", process, phase, what)
    assert (way == "direct") == any(direct_bytes(file) for file in ledgers(world, "bureau"))


def go_direct(small: Path, world: World) -> None:
    """The bureau hears, the bank calls there."""
    address = f"127.0.0.1:{free_port()}"
    told = {
        "bank": f'[direct]\ndial = {{ bureau = "{address}" }}\n',
        "bureau": f'[direct]\nlisten = "{address}"\nadvertise = "{address}"\n',
    }
    for name, text in told.items():
        with (world.node(name) / "policy.toml").open("a") as policy:
            policy.write(text)
    world.kill("bureau")  # a door is opened at the start
    world.start_node("bureau", BUREAU.format(folder=small))


def direct_bytes(ledger: Path) -> int:
    """Bytes of a job's frames that went beside the hub, as its ledger says."""
    ways = [line["body"]["bytes"] for line in read_ledger(ledger) if line["kind"] == "ways"]
    return sum(way["direct"] for bytes_ in ways for way in bytes_.values())


def kill(small: Path, world: World, process: str, phase: str) -> str:
    """Run a job, kill the process in this phase, start it again; what became of the job."""
    out = f"{process}-{phase}"
    known = ledgers(world, "bank") | ledgers(world, "bureau")
    run = propose(small, world, out)
    watched = "bank" if process in ("proposer", "bank") else "bureau"
    reached(world, watched, known, "finish" if phase == "outputs" else phase, run)
    if phase == "outputs":
        time.sleep(0.2)  # the ledger is done, the outputs are being made
    world.kill(out if process == "proposer" else process)
    if process == "hub":
        world.start_hub()
    if process == "bank":
        world.start_node("bank", BANK.format(folder=small))
    if process == "bureau":
        world.start_node("bureau", BUREAU.format(folder=small))
    if process != "proposer" and end_of(world, run, out) == 0:
        return "went on by itself"
    found = runs(world)[0]
    if found["state"] == "done":
        return "was done already"
    if found["resumable"]:
        name = f"{out}-again"
        again = world.spawn(name, "job", "resume", str(found["id"]), "--quiet", *at(world))
        assert end_of(world, again, name) == 0, world.log(name)
        return "went on by job resume"
    assert not (small / out).exists()
    assert end_of(world, propose(small, world, out), out) == 0, world.log(out)
    return "ended clean, was proposed again"


def reached(world: World, party: str, known: set[Path], phase: str, run: Running) -> None:
    """Return once the party's new ledger has a line of the phase."""
    mark = '"kind":"opened"' if phase == "opened" else f'"step":"{phase}'
    end = time.monotonic() + 240
    while run.poll() is None:
        assert time.monotonic() < end, f"{phase} is not reached"
        for file in ledgers(world, party) - known:
            if mark in file.read_text("utf-8"):
                return
        time.sleep(0.005)


def ledgers(world: World, party: str) -> set[Path]:
    return set((world.node(party) / "jobs").glob("*/ledger.jsonl"))


def journals(world: World) -> list[Path]:
    return [file for name in ("bank", "bureau") for file in world.node(name).rglob("journal")]


def outputs(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "metrics.json").read_text("utf-8"))
    found.pop("run")
    found.pop("leakage")  # runs before are in it
    models: dict[str, dict[str, object]] = json.loads(json.dumps(found.pop("models")))
    # each run tells scores under noise of its own: what of a model stays the same
    found["rows"] = {name: (model["rows"], model["positives"]) for name, model in models.items()}
    return found


def whole(world: World, what: str) -> None:
    world.wait(lambda: not journals(world), f"a journal is left ({what})", 60)
    for name in ("bank", "bureau"):
        owner = read_identity(world.node(name) / "identity.json")
        for file in ledgers(world, name):
            verify_ledger(file, owner)
        assert "Traceback" not in world.log(name)
