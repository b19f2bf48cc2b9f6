"""Whoever is on several lists of a job: two managers may call, with two offers.

Nothing is wrong with that where products have nothing to do with each other. Where they do, a list
comes `after` others: whoever is on one of these is not on it, nor is whoever would be on one and is
held back, so that the listed and the control group of each list stay alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.text import plain

__all__ = ["Also", "also_on", "may_be_on_several", "several_words"]

Also = tuple[tuple[str, str], ...]
"""(list, manager) of a customer, "" for no manager."""


def also_on(targets: pa.Table) -> dict[str, Also]:
    """All lists of each customer who is on more than one, by the customer's name.

    Args:
        targets: all lists of a run, from `profiles.targets`.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for row in _several(targets).select(["entity", "product", "manager"]).to_pylist():
        found.setdefault(row["entity"], []).append((row["product"], row["manager"] or ""))
    return {entity: tuple(lists) for entity, lists in found.items()}


def several_words(targets: pa.Table) -> str:
    """A sentence on how many are on several lists, "" where nobody is.

    Args:
        targets: all lists of a run, from `profiles.targets`.
    """
    found = also_on(targets)
    if not found:
        return ""
    two = sum(len({manager for _, manager in lists if manager}) > 1 for lists in found.values())
    pairs = Counter(tuple(product for product, _ in lists[:2]) for lists in found.values())
    (first, second), most = min(pairs.items(), key=lambda one: (-one[1], one[0]))
    return (
        f"{len(found):,} customers are on several lists, most of them on "
        f"{plain(first, 100)!r} and {plain(second, 100)!r} ({most:,}); {two:,} have two managers. "
        'after = ["LIST"] in [[target]] leaves whoever is on LIST off the later list.'
    )


def may_be_on_several(may: Sequence[np.ndarray], after: Sequence[Sequence[int]]) -> int:
    """How many may be on several lists, as far as rules say.

    Args:
        may: bool[rows] of each list.
        after: of each list the places of those that it comes after.
    """
    found = np.zeros(len(may[0]) if may else 0, bool)
    for second, rows in enumerate(may):
        for first in (n for n in range(second) if n not in after[second]):
            found |= rows & may[first]
    return int(np.count_nonzero(found))


def _several(targets: pa.Table) -> pa.Table:
    """The rows of customers who have more than one."""
    targets = targets.filter(pc.is_valid(targets.column("entity")))
    counts = pc.value_counts(targets.column("entity"))
    more = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    return targets.filter(pc.is_in(targets.column("entity"), value_set=more))
