"""`reveal = "both"`: the places of the sender's tags that matched, told in parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.protocol import PeerError, Store, gathered
from psi.vole.messages import TAGS, Report

__all__ = ["all_told", "reports", "take_report"]

Places = np.ndarray[Any, np.dtype[np.int64]]


def reports(places: Places) -> list[Report]:
    """The receiver's messages: at least one."""
    told = places.astype(np.uint32)
    return [
        Report(len(told), start, told[start : start + TAGS])
        for start in range(0, max(len(told), 1), TAGS)
    ]


def take_report(store: Store, report: Report, reported: int, most: int, total: int) -> None:
    """Keep a part; so many places came before it, of `most` at most, below `total`.

    Raises `PeerError` on one that is malformed or not the next.
    """
    places = report.places
    if report.total > most or report.offset != reported:
        raise PeerError("a report with too many places, or out of order")
    if len(places) != min(TAGS, report.total - reported):
        raise PeerError("a report of another length than announced")
    if len(places) and int(places.max()) >= total:
        raise PeerError("a report of places that do not exist")
    store.put("report", report.offset // TAGS, places)


def all_told(store: Store, count: int, total: int) -> Places:
    """All places of a whole report of `count`. Raises `PeerError` if one repeats."""
    parts, nothing = max(1, -(-count // TAGS)), np.empty(0, np.uint32)
    told = gathered(store, "report", parts, nothing).astype(np.int64)
    seen = np.zeros(total, bool)
    seen[told] = True
    if int(seen.sum()) != len(told):
        raise PeerError("a report with repeated places")
    return told
