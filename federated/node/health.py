"""How a party's node is: numbers for a monitor, and what of them is wrong."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from federated.approval.policy_file import load_policy
from federated.keys.officers import load_officers
from federated.node.home import MOUNTED, NodeHome
from federated.node.lives import check_is_last
from federated.node.measures import DAYS, LEAST_DISK, Health, Measure, disk_measure, ends_in
from federated.node.own_runs import since_words
from federated.node.states import STATES
from psi.protocol import FedprofileError

__all__ = ["node_health"]


def node_health(
    place: NodeHome,
    rows: Iterable[Mapping[str, Any]],
    live: Mapping[str, Any] | None,
    expires: dt.datetime | None,
    now: float | None = None,
) -> Health:
    """The health of a node.

    Args:
        place: its folder.
        rows: its proposals and jobs, as `node jobs` lists them.
        live: what the running node says of itself, None where none runs.
        expires: when its certificate ends; None for a mounted party.
        now: seconds since 1970.
    """
    now = time.time() if now is None else now
    entries = list(rows)
    states = Counter(str(row["state"]) for row in entries)
    waits = [int(row["received"]) for row in entries if row["state"] == "waiting"]
    oldest = now - min(waits) if waits else 0.0
    connected = bool(live and live["connected"])
    found = [
        Measure("up", "whether the node runs", float(live is not None)),
        Measure("connected", "whether it is connected to the hub", float(connected)),
        Measure("oldest_waiting_seconds", "for how long a proposal has waited", round(oldest)),
        disk_measure(place.path),
    ]
    problems = []
    if live is None:
        problems.append("no node runs here")
    else:
        found.append(Measure("memory_bytes", "resident memory", live["memory"]))
        found.append(Measure("queue_bytes", "waiting to be sent to the hub", live["queue"]))
        if not connected:
            why = str(live.get("away_why", ""))
            since = since_words(int(live.get("away_since", 0)))
            problems.append(f"it is not connected to the hub{since}{f': {why}' if why else ''}")
    if place.hub != MOUNTED:
        days = _days(expires, now)
        found.append(Measure("certificate_days", "until the certificate ends", days))
        if days < DAYS:
            said = ends_in(days) if expires else "cannot be read"
            problems.append(f"its certificate {said}: ask for a new invite")
    found += [Measure("jobs", "by state", states[s], {"state": s}) for s in STATES]
    problems += _wrong(place)
    return Health(tuple(found), tuple(problems))


def _days(expires: dt.datetime | None, now: float) -> float:
    return round((expires.timestamp() - now) / 86400, 1) if expires else 0.0


def _wrong(place: NodeHome) -> list[str]:
    found = []
    for check in (
        lambda: check_is_last(place.path),
        lambda: load_policy(place.policy),
        lambda: load_officers(place.path),
    ):
        try:
            check()
        except FedprofileError as error:
            found.append(error.message)
    free = shutil.disk_usage(place.path).free
    if free < LEAST_DISK:
        found.append(f"{free >> 20} MB of disk are free, {LEAST_DISK >> 20} wanted")
    return found
