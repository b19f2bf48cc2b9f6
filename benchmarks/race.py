"""Two parties of one subject as two processes, timed from their own clocks.

A party is started with `--role sender|receiver --case JSON --port P --hosts A,B`, loads what it
needs, meets the other on port P of the receiver's address A, may use P + 1 as well, and prints
one JSON object: `wall_s` from the moment both are there, `cpu_s` since then (all threads),
`wire_bytes` it sent, `peak_mb` of its process, `matched`, `version`, `offline_s` where it
prepared something for many runs, and figures of the suite, of which the receiver's are told. Where
a peer cannot tell what it sent, the device's counter stands in, headers included.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from typing import Any

from benchmarks.networks import Network
from benchmarks.party import ROLES
from benchmarks.subjects import Subject

__all__ = ["race"]

_KNOWN = ("version", "wall_s", "cpu_s", "wire_bytes", "peak_mb", "matched", "offline_s")


def race(
    subject: Subject, case: dict[str, Any], timeout: float, network: Network | None = None
) -> dict[str, Any]:
    """One run: the slower party's wall clock, the others' figures one a party."""
    network = network or Network()
    port, before = _free_ports(), network.carried()
    environment = os.environ | subject.environment
    given = ("--case", json.dumps(case), "--port", str(port), "--hosts", ",".join(network.hosts))
    parties = [
        subprocess.Popen(
            (*network.inside(role), *subject.command, "--role", role, *given),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for role in ROLES
    ]
    found = []
    try:
        for role, party in zip(ROLES, parties, strict=True):
            out, err = party.communicate(timeout=timeout)
            if party.returncode:
                last = (err.strip().splitlines() or ["no message"])[-1]
                return {"error": f"{role}: exit code {party.returncode}: {last}"[:300]}
            # peers log to their standard output, too
            told = [line for line in out.splitlines() if line.startswith('{"version"')]
            if not told:
                return {"error": f"{role}: no figures among what it printed"}
            found.append(json.loads(told[-1]))
    except subprocess.TimeoutExpired:
        return {"error": f"no result within {timeout:.0f} s"}
    finally:
        for party in parties:
            party.kill()
            party.wait()
    first = found[0]
    sent = [one["wire_bytes"] for one in found]
    run: dict[str, Any] = {
        "version": first["version"],
        "wall_s": max(one["wall_s"] for one in found),
        "cpu_s": [one["cpu_s"] for one in found],
        "wire_bytes": sum(sent) if None not in sent else network.carried() - before,
        "peak_mb": [one["peak_mb"] for one in found],
    }
    run |= {name: value for name, value in first.items() if name not in _KNOWN}
    prepared = [one["offline_s"] for one in found if "offline_s" in one]
    if prepared:
        run["offline_s"] = max(prepared)
    if first["matched"] != case.get("matched", first["matched"]):
        run = {"error": f"{first['matched']} matches found, {case['matched']} expected"}
    return run


def _free_ports() -> int:
    """A port that is free, and the next one too."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
