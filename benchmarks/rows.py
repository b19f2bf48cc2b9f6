"""The one schema of all benchmarks: a JSON list of rows.

    {"suite": "psi", "subject": "ours-ecdh", "version": "0.1.0",
     "case": {"size_a": 100000, "size_b": 100000, "mode": "receiver", "source": "memory"},
     "metrics": {"wall_s": 0.6, "cpu_s": [0.5, 0.4], "wire_bytes": 6800000, "peak_mb": [210, 205]},
     "cores": 2, "network": "loopback", "machine": "…"}

A subject that could not run has `metrics` of one entry, `error`: why.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from federated.store.files import write_atomic
from psi.kernels.montgomery import best_path
from psi.protocol import InputError

__all__ = ["Row", "interleaved", "load", "machine", "median_row", "merged", "save"]

_KINDS = {
    "suite": str, "subject": str, "version": str, "case": dict, "metrics": dict,
    "cores": int, "network": str, "machine": str,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement of one subject on one case."""

    suite: str
    subject: str
    version: str
    case: dict[str, Any]
    metrics: dict[str, Any]
    cores: int
    network: str
    machine: str

    @property
    def error(self) -> str:
        """Why there is no figure; empty if there is."""
        return str(self.metrics.get("error", ""))


def machine() -> str:
    """The processor's name, from /proc/cpuinfo where there is one, and what our lanes run on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    lanes = {"wide": "AVX-512 IFMA", "vector": "AVX2", "portable": "no lanes"}[best_path()]
    return f"{name} ({lanes}), {_cores()} cores"


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def interleaved(
    names: Sequence[str],
    runs: int,
    told: Callable[[str], None],
    what: str,
    run: Callable[[str], dict[str, Any]],
) -> dict[str, list[dict[str, Any]]]:
    """What `run` gives for each subject, one run of each after the other.

    A subject that failed is not run again; of one that has good runs these alone count.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(runs):
        for name in names:
            if found[name] and "error" in found[name][-1]:
                continue
            told(f"{name}, {what}, run {number + 1} of {runs}")
            found[name].append(run(name))
    return {
        name: [each for each in every if "error" not in each] or every
        for name, every in found.items()
    }


def median_row(
    suite: str, subject: str, case: dict[str, Any], runs: Sequence[dict[str, Any]], network: str
) -> Row:
    """The medians of several runs, number by number; `version` is taken out of the metrics."""
    version = str(runs[0].get("version", "")) if runs else ""
    cores = int(runs[0].get("cores", _cores())) if runs else _cores()
    failed = next((run for run in runs if "error" in run), None)
    if failed is not None:
        metrics: dict[str, Any] = {"error": str(failed["error"])}
    else:
        names = [name for name in runs[0] if name not in ("version", "cores")]
        metrics = {name: _median([run[name] for run in runs]) for name in names}
        metrics["runs"] = len(runs)
    return Row(
        suite=suite,
        subject=subject,
        version=version,
        case=case,
        metrics=metrics,
        cores=cores,
        network=network,
        machine=machine(),
    )


def _median(values: list[Any]) -> Any:
    if isinstance(values[0], list):
        return [_median(list(column)) for column in zip(*values, strict=True)]
    return statistics.median(values)


def save(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows."""
    write_atomic(path, json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def merged(before: Sequence[Row], found: Sequence[Row]) -> list[Row]:
    """Earlier rows, but those that were measured again, and what was found."""

    def name(row: Row) -> tuple[object, ...]:
        return row.suite, row.subject, row.network, sorted(row.case.items())

    again = [name(row) for row in found]
    return [row for row in before if name(row) not in again] + list(found)


def load(path: Path) -> list[Row]:
    """Read and check rows. Raises `InputError` naming file, row and key."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(found, list):
        raise InputError(f"{path}: {type(found).__name__} found, a list of rows allowed")
    return [_row(path, number, entry) for number, entry in enumerate(found)]


def _row(path: Path, number: int, entry: Any) -> Row:
    if not isinstance(entry, dict) or entry.keys() != _KINDS.keys():
        raise InputError(f"{path}: row {number}: the keys {', '.join(_KINDS)} are allowed")
    for key, kind in _KINDS.items():
        if not isinstance(entry[key], kind):
            found = type(entry[key]).__name__
            raise InputError(f"{path}: row {number}: {key}: {found} found, {kind.__name__} allowed")
    return Row(**entry)
