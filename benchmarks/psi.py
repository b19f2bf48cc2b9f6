"""The suite `psi`: two processes, sets of equal size (or --mode unbalanced ones), half shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.race import race
from benchmarks.rows import Row, median_row
from benchmarks.subjects import Subject, find
from psi.protocol import FedprofileError

__all__ = ["measure"]

Told = Callable[[str], None]


def measure(
    sizes: Sequence[tuple[int, int]],
    names: Sequence[str],
    *,
    mode: str,
    source: str,
    runs: int,
    told: Told,
    timeout: float = 300.0,
) -> list[Row]:
    """Medians of `runs` interleaved runs of every subject on every pair of sizes.

    A subject that failed once on a case is not run on it again; the medians are of its good runs.
    """
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
                    found[name].append(race(subject, case, timeout))
        for name in names:
            good = [run for run in found[name] if "error" not in run] or found[name]
            rows.append(median_row("psi", name, case, good, "loopback"))
    return rows
