"""Who a label could not be made for: counts by cut-off and reason, of the receiver's own table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from federated.tables.source import Source
from profiles.label_section import COUNTS
from psi.protocol.errors import InputError

if TYPE_CHECKING:
    from profiles.job import Job

__all__ = ["check_counted", "counted", "counted_words"]


def counted(job: Job, source: Source) -> dict[str, dict[str, int]]:
    """Entities by cut-off and what they are: "label 1", "label 0", or why they have none.

    Raises:
        InputError: no such table or column, or a count that is none.
    """
    if job.label is None:
        return {}
    table = source.load(job.label.counted, COUNTS)
    if not pa.types.is_integer(table["entities"].type):
        raise InputError(
            f"{job.file}: [label] counted: {job.label.counted} entities: whole numbers needed"
        )
    found: dict[str, dict[str, int]] = {}
    for day, what, entities in zip(*(table[n].to_pylist() for n in COUNTS), strict=True):
        found.setdefault(str(day), {})[str(what)] = int(entities)
    return found


def check_counted(job: Job, source: Source) -> None:
    """The counts are of the job's cut-offs: the table was made by this [label]. `InputError`."""
    found = counted(job, source)
    days = [] if job.label is None else [day.isoformat() for day in job.label.cut_offs]
    if sorted(found) != days:
        raise InputError(
            f"{job.file}: [label] cut_offs: the job has {', '.join(days)}, the counts "
            f"{', '.join(sorted(found))}",
            hint="make the table again: fedprofile flows labels",
        )


def counted_words(job: Job, source: Source) -> list[str]:
    """A sentence a cut-off, for the report."""
    return [f"Label as of {day}: {_words(whats)}." for day, whats in counted(job, source).items()]


def _words(whats: dict[str, Any]) -> str:
    order = sorted(whats, key=lambda what: (not what.startswith("label"), what))
    return ", ".join(f"{whats[what]:,} {what}" for what in order)
