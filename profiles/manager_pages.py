"""A page for each manager, to print: whom to approach, why, until when, and what it is worth.

    managers/NAME.html   one file that opens without a network: this manager's leads and no others

A first contact within ten days makes a lead right, so that is until when. Reasons are those that
speak for the call: what raises the score, without its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.store.files import write_atomic
from profiles.assignment.history import DAYS
from profiles.folder_names import MANAGERS, folder_names
from profiles.job import Job
from profiles.language import language
from profiles.report import ReportData
from profiles.report.render import page_of

__all__ = ["ManagerPage", "write_manager_pages"]


@dataclass(frozen=True, kw_only=True)
class Lead:
    """One customer to approach. `more` are what the job's `columns` say, `left` the value less the
    cost of the offer, None without one."""

    entity: str
    name: str
    more: tuple[str, ...]
    reasons: tuple[str, ...]
    offer: str
    left: float | None


@dataclass(frozen=True, kw_only=True)
class ManagerPage:
    """One manager's page: by product the heads of further columns, and leads, the best first."""

    manager: str
    until: date | None
    lists: tuple[tuple[str, tuple[str, ...], tuple[Lead, ...]], ...]


def write_manager_pages(job: Job, folder: Path, targets: pa.Table, report: ReportData) -> list[str]:
    """Write them all into `folder`/managers; the folder's name, nothing where no lead has one.

    Args:
        job: as it was loaded.
        folder: of its outputs.
        targets: all lists.
        report: whose head pages have.
    """
    held = targets.filter(pc.is_valid(targets.column("manager")))
    if not held.num_rows:
        return []
    ids = held.column("manager").combine_chunks().dictionary_encode()
    names, code = ids.dictionary.to_pylist(), np.asarray(ids.indices.to_numpy(), np.int64)
    order = np.argsort(code, kind="stable")
    places = np.split(order, np.searchsorted(code[order], np.arange(1, len(names))))
    files, t = folder_names(names), language(job.lang)
    columns = {spec.product: spec.columns for spec in job.targets}
    for name, mine in zip(names, places, strict=True):
        page = ManagerPage(
            manager=name,
            until=_until(report.created),
            lists=tuple(_lists(held.take(pa.array(mine)), columns)),
        )
        text = page_of(t, "manager.html.j2", page=page, data=report)
        # the folder is put in place as a whole: nobody waits for each page to be on the disk
        write_atomic(folder / MANAGERS / f"{files[name]}.html", text, sync=False)
    return [MANAGERS]


def _until(created: date | str) -> date | None:
    """The last day on which a first contact is in time."""
    day = created.date() if isinstance(created, datetime) else created
    return day + timedelta(DAYS) if isinstance(day, date) else None


def _lists(
    leads: pa.Table, columns: Mapping[str, Sequence[str]]
) -> list[tuple[str, tuple[str, ...], tuple[Lead, ...]]]:
    found: dict[str, list[Lead]] = {}
    for row in leads.to_pylist():
        found.setdefault(row["product"], []).append(_lead(row, columns[row["product"]]))
    return [(p, tuple(columns[p]), tuple(found[p])) for p in columns if p in found]


def _lead(row: Mapping[str, Any], columns: Sequence[str]) -> Lead:
    def text(name: str) -> str:
        return "" if row.get(name) is None else str(row[name])

    return Lead(
        entity=text("entity"),
        name=text("name"),
        more=tuple(text(column) for column in columns),
        reasons=tuple(row.get("reasons") or ()),
        offer=text("offer"),
        left=row.get("offer_left"),
    )
