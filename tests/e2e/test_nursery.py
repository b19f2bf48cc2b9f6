"""Tests that are killed leave no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAY = """
import sys
from pathlib import Path
from tests.e2e.hub_world import World
for kind in (False, True):
    world = World(Path(sys.argv[1]) / str(kind), anew=kind)
    process = world.spawn("hub", "hub", "start", "--home", str(world.hub))
    print(process.pid, flush=True)
sys.stdin.read()
"""


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_hubs_and_nodes_end_with_the_tests_that_began_them(tmp_path: Path) -> None:
    tests = subprocess.Popen(
        [sys.executable, "-c", PLAY, str(tmp_path)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert tests.stdout is not None
    pids = [int(tests.stdout.readline()) for _ in range(2)]
    assert all(running(pid) for pid in pids)
    os.kill(tests.pid, signal.SIGKILL)
    tests.wait()
    until = time.monotonic() + 20
    while any(running(pid) for pid in pids):
        assert time.monotonic() < until, "a process outlives its tests"
        time.sleep(0.05)
