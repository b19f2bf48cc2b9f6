"""The suite `psi`: two processes, sets of equal size (or unbalanced ones), half shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.networks import LOOPBACK, Network, network
from benchmarks.race import race
from benchmarks.rows import Row, interleaved, median_row
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
    networks: Sequence[str] = (LOOPBACK,),
    largest: Mapping[str, int] | None = None,
) -> list[Row]:
    """Medians of `runs` interleaved runs of every subject on every pair of sizes and network.

    A subject that failed once on a case is not run on it again; the medians are of its good runs.
    Where `largest` names a subject it is left out of larger cases.
    """
    subjects: dict[str, Subject | str] = {}
    for name in names:
        try:
            subjects[name] = find(name, "psi")
        except FedprofileError as error:
            subjects[name] = str(error)
    rows = []
    for text in networks:
        with network(text) as over:
            for size_a, size_b in sizes:
                case = {
                    "size_a": size_a, "size_b": size_b, "mode": mode, "source": source,
                    "matched": min(size_a, size_b) // 2,
                }  # fmt: skip
                able = {
                    name: subject
                    for name, subject in subjects.items()
                    if max(size_a, size_b) <= (largest or {}).get(name, max(size_a, size_b))
                }
                rows += _measure_case(able, case, over, runs, told, timeout)
    return rows


def _measure_case(
    subjects: Mapping[str, Subject | str],
    case: dict[str, Any],
    over: Network,
    runs: int,
    told: Told,
    timeout: float,
) -> list[Row]:
    def run(name: str) -> dict[str, Any]:
        subject = subjects[name]
        if isinstance(subject, str):
            return {"error": subject}
        return race(subject, case, timeout, over)

    what = f"{case['size_a']:,} x {case['size_b']:,}, {over.name}"
    found = interleaved(list(subjects), runs, told, what, run)
    return [median_row("psi", name, case, every, over.name) for name, every in found.items()]
