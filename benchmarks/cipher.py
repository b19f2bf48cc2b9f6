"""What a subject of the suite `paillier` needs, with nothing but Python.

A subject is started with `--case JSON` of `bits`, `cores` and `values`, and prints one JSON
object: `version`, and `figures`, one for each `operation` and `packed`, in µs a value: by the
clock, by the processor's time, and where a subject knows it, the floor of what it does.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Figures", "case", "variant"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", type=json.loads, required=True)
    parser.add_argument("--variant", default="")
    return parser.parse_args()


def variant() -> str:
    """The subject's variant."""
    return str(_options().variant)


def case() -> dict[str, Any]:
    """The case; the process is kept to its number of cores first of all."""
    found: dict[str, Any] = _options().case
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: found["cores"]])
    return found


class Figures:
    """Times operations and prints them."""

    def __init__(self, version: str, floor: Any = None) -> None:
        """`floor` has `start`, `seconds` and `known` (see `benchmarks.floor`)."""
        self._version, self._floor = version, floor
        self._figures: list[dict[str, Any]] = []

    def add(
        self, operation: str, values: int, run: Callable[[], Any], *, packed: bool = False
    ) -> Any:
        """Time one call of `run`, which works on so many values; returns what it returns."""
        if self._floor is not None:
            self._floor.start()
        started, used = time.perf_counter(), time.process_time()
        result = run()
        spent, used = time.perf_counter() - started, time.process_time() - used
        metrics = {"per_value_us": spent / values * 1e6, "cpu_us": used / values * 1e6}
        if self._floor is not None and self._floor.known:
            metrics["floor_us"] = self._floor.seconds() / values * 1e6
        self._figures.append({"operation": operation, "packed": packed, "metrics": metrics})
        return result

    def report(self) -> None:
        """Print what was timed."""
        print(json.dumps({"version": self._version, "figures": self._figures}), flush=True)
