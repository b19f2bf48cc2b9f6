"""The suite `wire`: what hub and nodes cost, each figure with the bar it is held to.

    roundtrip   a message of 200 bytes from hub to node and back, beside as many bare fleet calls
    direct      the same from node to node without the hub, beside a bare TLS echo of as many bytes
    turns       the same in a session, beside two appends to a file that wait for the disk
    rounds      200 messages of training's size, one party mounted in the hub
    relay       bulk from node to node: MB/s, and the peak memory of hub and nodes
    align       set intersection over hub and two nodes, beside two processes over TCP
    demo        the whole demo job over hub and a node, beside all parties in one process

Every party and the hub are processes on this machine, with mutual TLS and node authentication on.
Cases of one kind follow each other, so that a ratio is of one and the same load.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.ours_wire import NAMES, SECRET, wait_for
from benchmarks.rows import Row, median_row
from psi.protocol import EnvironmentFailed, MisuseError

__all__ = ["BARS", "TASKS", "free_ports", "measure", "started_hub"]

Told = Callable[[str], None]
Run = dict[str, Any]

BARS = {
    "roundtrip": 1.3,
    "direct": 1.3,
    "turns": 2.0,
    "rounds": 50.0,
    "relay": 1000.0,
    "align": 1.8,
    "demo": 2.5,
}
"""The most that a task's `ratio` (rounds: seconds, relay: megabytes a process) should be."""

ROUND_BYTES = 64 << 10
FRAME = 32 << 20


def measure(
    task: str, *, items: Sequence[int], rounds: int, megabytes: int, runs: int, told: Told
) -> list[Row]:
    """Medians of `runs` runs of a task."""
    if task not in TASKS:
        raise MisuseError(f"task {task!r} found, {', '.join(TASKS)} allowed")
    rows = []
    for size in {"align": list(items), "relay": [megabytes], "demo": [0]}.get(task, [rounds]):
        found: dict[str, list[Run]] = {}
        for number in range(runs):
            told(f"{task}, {size:,}, run {number + 1} of {runs}" if size else task)
            for subject, run in TASKS[task](size).items():
                found.setdefault(subject, []).append(run)
        case = {"task": task, "size": size}
        rows += [median_row("wire", s, case, each, "loopback") for s, each in found.items()]
    return rows


def _row(seconds: float, **figures: Any) -> Run:
    return {"version": version("fedprofile"), "wall_s": seconds, **figures}


def _roundtrip(rounds: int) -> dict[str, Run]:
    found = _parties("mounted", "bare", 200, rounds)
    ours, bare = (statistics.median(found[n]["seconds"]) for n in NAMES)
    both = _parties("node", "echo", 200, rounds)["a"]["seconds"]
    return {
        "ours-hub-to-node": _row(ours, ratio=ours / bare),
        "bare-fleet-calls": _row(bare),
        "ours-node-to-node": _row(statistics.median(both)),
    }


def _direct(rounds: int) -> dict[str, Run]:
    found = _parties("direct", "tls", 200, rounds)["a"]
    ours, bare = statistics.median(found["seconds"]), statistics.median(found["bare"])
    return {"ours-direct": _row(ours, ratio=ours / bare), "bare-tls-echo": _row(bare)}


def _turns(rounds: int) -> dict[str, Run]:
    found = _parties("direct", "turns", 200, rounds)
    ours, bare = (statistics.median(found["a"][what]) for what in ("seconds", "bare"))
    cpu = [found[name]["cpu"] for name in NAMES]
    return {"ours-turn": _row(ours, ratio=ours / bare, cpu_s=cpu), "two-appends": _row(bare)}


def _rounds(rounds: int) -> dict[str, Run]:
    found = _parties("mounted", "echo", ROUND_BYTES, rounds)
    return {"ours-hub-to-node": _row(sum(found["a"]["seconds"]))}


def _relay(megabytes: int) -> dict[str, Run]:
    found = _parties("node", "relay", FRAME, max(1, (megabytes << 20) // FRAME))
    seconds = found["a"]["seconds"]
    peaks = [found["hub_mb"], *(found[n]["peak_mb"] for n in NAMES)]
    return {"ours-node-to-node": _row(seconds, mb_per_s=megabytes / seconds, peak_mb=peaks)}


def _align(items: int) -> dict[str, Run]:
    plain, hub = (_parties(kind, "align", items, 1) for kind in ("process", "node"))
    return {
        "ours-process": _aligned(plain),
        "ours-hub": _aligned(hub, ratio=hub["a"]["seconds"] / plain["a"]["seconds"]),
    }


def _aligned(found: Run, **figures: float) -> Run:
    cpu = [found[n]["cpu"] for n in NAMES]
    peaks = [found["hub_mb"], *(found[n]["peak_mb"] for n in NAMES)]
    return _row(found["a"]["seconds"], **figures, cpu_s=cpu, peak_mb=peaks)


def _demo(size: int) -> dict[str, Run]:
    """The demo's consumer job, both ways by its command, kernels compiled."""
    del size
    from tests.e2e.hub_world import World

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = World(folder / "world", party="bank")
        try:
            world.command("demo", "--write", str(folder / "demo"))
            world.start_hub()
            telecom = world.join("telecom")
            world.introduce(world.hub / "party", telecom)
            world.start_node("telecom", _bound_to(folder / "demo"))
            command = ["run", str(folder / "demo" / "job.toml"), "--quiet"]
            command += ["--tables", str(folder / "demo" / "tables.toml"), "--out"]
            world.command(*command, str(folder / "warm"))
            memory = _timed(lambda: world.command(*command, str(folder / "memory")))
            over = [*command, str(folder / "hub"), "--hub", str(world.hub)]
            hub = _timed(lambda: world.command(*over))
        finally:
            world.stop()
    return {"ours-memory": _row(memory), "ours-hub": _row(hub, ratio=hub / memory)}


def _bound_to(demo: Path) -> str:
    """The demo's bindings as a node elsewhere needs them."""
    text = (demo / "tables.toml").read_text("utf-8")
    return text.replace('path = "', f'path = "{demo}/')


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


TASKS = {
    "roundtrip": _roundtrip, "direct": _direct, "turns": _turns, "rounds": _rounds, "relay": _relay,
    "align": _align, "demo": _demo,
}  # fmt: skip


# two parties and what is between them


def _parties(kind: str, task: str, size: int, rounds: int) -> Run:
    """One task at both parties; what each measured, and the hub's peak memory in MB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hub = None
        if kind in ("process", "direct"):
            (folder / "ports").write_text(json.dumps(dict(zip(NAMES, free_ports(2), strict=True))))
        else:
            hub = started_hub(folder, NAMES[kind == "mounted" :])
        kinds = {"a": kind, "b": "node" if kind == "mounted" else kind}
        command = [sys.executable, "-m", "benchmarks.ours_wire"]
        parties = [
            subprocess.Popen([*command, kinds[n], n, task, name, str(size), str(rounds)])
            for n in NAMES
        ]
        try:
            for party in parties:
                if party.wait(1200):
                    raise EnvironmentFailed(f"a party has failed in {task} over {kind}")
            found: Run = {n: json.loads((folder / f"{n}.result").read_text()) for n in NAMES}
            found["hub_mb"] = _peak(hub) if hub else 0
        finally:
            for process in (*parties, hub):
                if process is not None and process.poll() is None:
                    process.terminate()
                    process.wait(20)
        return found


def started_hub(folder: Path, nodes: Sequence[str]) -> subprocess.Popen[bytes]:
    """A running hub, and a certificate for each node."""
    from federated.wire.certificates import make_key, write_key
    from federated.wire.enrolment import enrol
    from federated.wire.hub_home import HubHome

    (port,) = free_ports(1)
    home = HubHome.create(folder / "hub", ["localhost"], port, "127.0.0.1")
    command = [sys.executable, "-m", "profiles", "hub", "start", "--home", str(home.path)]
    hub = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(home.socket)
    (folder / "address").write_text(home.address)
    for name in nodes:
        invite, key = home.invite(name), make_key()
        (folder / f"{name}.crt").write_bytes(enrol(invite, key))
        (folder / f"{name}.key").write_bytes(write_key(key, SECRET))
        (folder / f"{name}.ca").write_text(invite.authority)
    return hub


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens at."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in held]
    for s in held:
        s.close()
    return ports


def _peak(process: subprocess.Popen[bytes]) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines()
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM")), 0)
