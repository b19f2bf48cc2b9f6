"""A page for each manager, to print: whom to approach, why, until when, and what it is worth.

    managers/NAME.html   one file that opens without a network: this manager's leads and no others

A first contact within ten days makes a lead right, so that is until when. Reasons are those that
speak for the call: what raises the score, without its size.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
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
from profiles.report import ReportData
from profiles.report.render import page_of
from profiles.several_lists import Also, also_on
from profiles.specs import TargetSpec

__all__ = ["ManagerPage", "write_manager_pages"]

# a Chinese mobile number, however it is spaced
_MOBILE = re.compile(r"(?:\+?86)?1\d{10}")


@dataclass(frozen=True, kw_only=True)
class Lead:
    """One customer to approach. `more` are what the job's `columns` say, `left` the value less the
    cost of the offer, None without one; `also` are (list, manager) of others that the customer is
    on, "" for nobody."""

    entity: str
    name: str
    more: tuple[str, ...]
    reasons: tuple[str, ...]
    offer: str
    left: float | None
    also: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ManagerList:
    """A manager's part of one list: heads of further columns, and leads, the best first. `left` is
    what the offers of all leave together, None without offers, in a `unit`."""

    product: str
    heads: tuple[str, ...]
    leads: tuple[Lead, ...]
    left: float | None
    unit: str


@dataclass(frozen=True, kw_only=True)
class ManagerPage:
    """One manager's page, and until when a first contact is in time."""

    manager: str
    until: date | None
    lists: tuple[ManagerList, ...]


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
    files, t = folder_names(names), job.spoken
    also = also_on(targets)
    for name, mine in zip(names, places, strict=True):
        page = ManagerPage(
            manager=name,
            until=_until(report.created),
            lists=tuple(_lists(held.take(pa.array(mine)), job.targets, also)),
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
    leads: pa.Table, targets: Sequence[TargetSpec], also: Mapping[str, Also]
) -> Iterator[ManagerList]:
    rows = leads.to_pylist()
    for spec in targets:
        mine = [_lead(row, spec, also) for row in rows if row["product"] == spec.product]
        left = [one.left for one in mine if one.left is not None]
        if mine:
            yield ManagerList(
                product=spec.product,
                heads=spec.columns,
                leads=tuple(mine),
                left=sum(left) if left else None,
                unit=spec.unit,
            )


def _lead(row: Mapping[str, Any], spec: TargetSpec, also: Mapping[str, Also]) -> Lead:
    def text(name: str) -> str:
        return "" if row.get(name) is None else str(row[name])

    others = also.get(row["entity"], ())
    return Lead(
        entity=text("entity"),
        name=text("name"),
        more=tuple(_plain(text(column)) for column in spec.columns),
        reasons=tuple(row.get("reasons") or ()),
        offer=text("offer"),
        left=row.get("offer_left"),
        also=tuple(one for one in others if one[0] != spec.product),
    )


def _plain(text: str) -> str:
    """A cell as people dial it: a mobile number without blanks and full-width digits."""
    closed = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text))
    return closed if _MOBILE.fullmatch(closed) else text
