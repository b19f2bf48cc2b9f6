"""The suite `psi`: two processes, sets of equal size (or --mode unbalanced ones), half shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.race import race
from benchmarks.rows import Row, median_row
from benchmarks.subjects import Subject, find
from psi.protocol import FedprofileError

__all__ = ["measure"]

TIMEOUT = 3600.0
Told = Callable[[str], None]


def measure(
    sizes: Sequence[tuple[int, int]],
    names: Sequence[str],
    *,
    mode: str,
    source: str,
    runs: int,
    told: Told,
) -> list[Row]:
    """Medians of `runs` interleaved runs of every subject on every pair of sizes."""
    subjects: dict[str, Subject | str] = {}
    for name in names:
        try:
            subjects[name] = find(name, "psi")
        except FedprofileError as error:
            subjects[name] = str(error)
    rows = []
    for size_a, size_b in sizes:
        case = {
            "size_a": size_a, "size_b": size_b, "mode": mode, "source": source,
            "matched": min(size_a, size_b) // 2,
        }  # fmt: skip
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for number in range(runs):
            for name, subject in subjects.items():
                if found[name] and "error" in found[name][-1]:
                    continue
                told(f"{name}, {size_a:,} x {size_b:,}, run {number + 1} of {runs}")
                if isinstance(subject, str):
                    found[name].append({"error": subject})
                else:
                    found[name].append(race(subject, case, TIMEOUT))
        for name in names:
            good = [run for run in found[name] if "error" not in run] or found[name]
            rows.append(median_row("psi", name, case, good, "loopback"))
    return rows
