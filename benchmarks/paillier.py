"""The suite `paillier`: microseconds a value, one process a subject and key size.

`per_value_us` is by the clock, `cpu_us` the processor's time of all cores; `floor_us` is what the
multiply-adds of our own lanes take one core that does nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.rows import Row, interleaved, median_row
from benchmarks.subjects import Subject, find
from psi.protocol import FedprofileError

__all__ = ["measure"]

Told = Callable[[str], None]
Runs = list[dict[str, Any]]


def measure(
    sizes: Sequence[int],
    names: Sequence[str],
    *,
    cores: int,
    values: int,
    runs: int,
    told: Told,
    timeout: float = 600.0,
) -> list[Row]:
    """Medians of `runs` interleaved runs of every subject at every key size, in bits."""
    rows: list[Row] = []
    for bits in sizes:
        case = {"bits": bits, "cores": cores, "values": values}
        found = interleaved(
            names, runs, told, f"{bits} bits", partial(_run, case=case, timeout=timeout)
        )
        for name, every in found.items():
            rows += _rows(name, bits, cores, every)
    return rows


def _run(name: str, case: dict[str, Any], timeout: float) -> dict[str, Any]:
    """What one process of a subject reports, or `error`."""
    try:
        subject: Subject = find(name, "paillier")
        done = subprocess.run(
            (*subject.command, "--case", json.dumps(case)),
            env=os.environ | subject.environment,
            capture_output=True, text=True, check=False, timeout=timeout,
        )  # fmt: skip
    except FedprofileError as error:
        return {"error": error.message}
    except subprocess.TimeoutExpired:
        return {"error": f"no result within {timeout:.0f} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"error": f"exit code {done.returncode}: {last}"[:300]}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _rows(name: str, bits: int, cores: int, runs: Runs) -> list[Row]:
    if "error" in runs[0]:
        case = {"operation": "", "bits": bits, "packed": False, "cores": cores}
        return [median_row("paillier", name, case, runs, "none")]
    rows = []
    for place, figure in enumerate(runs[0]["figures"]):
        case = {
            "operation": figure["operation"], "bits": bits,
            "packed": figure["packed"], "cores": cores,
        }  # fmt: skip
        timed = [
            {"version": run["version"], "cores": cores, **run["figures"][place]["metrics"]}
            for run in runs
        ]
        rows.append(median_row("paillier", name, case, timed, "none"))
    return sorted(rows, key=lambda row: row.case["packed"])
