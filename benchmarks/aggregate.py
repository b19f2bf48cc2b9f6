"""The suite `aggregate`: statistics of a partner's columns, two processes over loopback.

Both parties hold their columns, aligned (or, for a join and sum, know their places); what is
timed begins there and ends with the receiver's statistics. The partner's key is made inside the
timing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.race import race
from benchmarks.rows import Row, median_row
from benchmarks.subjects import find

__all__ = ["DIRECTIONS", "PROTOCOLS", "SHARED", "measure"]

Told = Callable[[str], None]
DIRECTIONS = ("segment", "category", "join_sum")
"""What is asked: `segment`, the partner's measures by the receiver's private segment;
`category`, the receiver's amounts by the partner's private category; `join_sum`,
their sums over a half of the partner's records that neither side learns."""
PROTOCOLS = ("paillier", "sums")
SHARED = ("segment", "category", "join_sum")
"""Directions that private sums take."""


def measure(
    directions: Sequence[str],
    sizes: Sequence[int],
    *,
    rows: int,
    groups: int,
    measures: int,
    sections: int = 1,
    runs: int,
    told: Told,
    protocols: Sequence[str] = ("paillier",),
    subject: str = "ours",
    timeout: float = 900.0,
) -> list[Row]:
    """Medians of `runs` runs of each direction: by Paillier at each key size, in bits; by sums.

    `sections` are as many segments of the receiver's, each over the same measures.
    """
    ours, found = find(subject, "aggregate"), []
    wanted = [(bits, direction) for bits in sizes for direction in directions]
    wanted *= "paillier" in protocols
    wanted += [(0, d) for d in directions if d in SHARED] * ("sums" in protocols)
    for bits, direction in wanted:
        case: dict[str, Any] = {
            "direction": direction, "rows": rows, "measures": measures,
            "groups": groups if direction != "join_sum" else 1,
            "sections": sections if direction == "segment" else 1,
        }  # fmt: skip
        case |= {"bits": bits} if bits else {"protocol": "sums"}
        with_name = f"{bits} bits" if bits else "by sums"
        covered = {"matched": rows if direction != "join_sum" else rows // 2}
        done: list[dict[str, Any]] = []
        for number in range(runs):
            told(f"{subject}, {direction}, {with_name}, run {number + 1} of {runs}")
            done.append(race(ours, case | covered, timeout))
            if "error" in done[-1]:
                break
        found.append(median_row("aggregate", subject, case, done, "loopback"))
    return found
