"""What a subject of the suite `paillier` needs, with nothing but Python.

A subject is started with `--case JSON` of `bits`, `cores` and `values`, and prints one JSON
object: `version`, and `figures`, one for each `operation` and `packed`, in µs a value.
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

    def __init__(self, version: str) -> None:
        self._version = version
        self._figures: list[dict[str, Any]] = []

    def add(
        self, operation: str, values: int, run: Callable[[], Any], *, packed: bool = False
    ) -> Any:
        """Time one call of `run`, which works on so many values; returns what it returns."""
        started = time.perf_counter()
        result = run()
        spent = time.perf_counter() - started
        figure = {"operation": operation, "packed": packed, "per_value_us": spent / values * 1e6}
        self._figures.append(figure)
        return result

    def report(self) -> None:
        """Print what was timed."""
        print(json.dumps({"version": self._version, "figures": self._figures}), flush=True)
