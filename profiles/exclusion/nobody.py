"""Values of rules' tables that name nobody here, and would but for how they are written.

A list of sanctions may name no customer at all. One that names somebody in other case or without
leading zeros leaves them on the lists: that is told from the first such value on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.source import Source
from federated.tables.spelled import ALIKE, nearly
from profiles.routing import compared

if TYPE_CHECKING:
    from profiles.job import Job

__all__ = ["Nobody", "nobody_metrics", "nobody_of", "values_met"]


@dataclass(frozen=True)
class Nobody:
    """Of one column of a rules' table: different values, those that are nobody in the receiver's
    table `own`, and those of them that would be but for how they are written."""

    table: str
    column: str
    own: str
    values: int
    nobody: int
    alike: int

    def words(self) -> str:
        """A sentence where a value would be somebody, else ""."""
        if not self.alike:
            return ""
        return (
            f"[[exclude]] {self.table}: {self.nobody:,} of {self.values:,} values of "
            f"{self.column!r} are nobody in {self.own}; {self.alike:,} of them would be {ALIKE}: "
            "no rule leaves these out. Write both tables alike."
        )


def values_met(theirs: pa.ChunkedArray, own: pa.Array) -> tuple[int, int, int]:
    """Different values of a column: all, those that `own` has, and those that it has otherwise
    written only. Raises `InputError` for a type that is not compared."""
    names = pc.unique(compared(theirs)).drop_null()
    known = pc.is_in(names, value_set=own)
    lost = names.filter(pc.invert(known))
    near = nearly(lost, own.drop_null()) if len(lost) else 0
    return len(names), len(names) - len(lost), near


def nobody_of(job: Job, tables: Source, entity: str) -> list[Nobody]:
    """Of each table that rules name; `entity` is the receiver's column that names an entity.

    Raises:
        InputError: as the rules themselves do.
    """
    own = job.party(job.receiver).table
    found = dict[tuple[str, str, str], Nobody]()
    for rule in (rule for rule in job.excludes if rule.table):
        of = rule.of or entity
        key = (rule.table, rule.entity or of, of)
        if key not in found:
            theirs = tables.load(rule.table, [key[1]], keys=[key[1]]).column(key[1])
            mine = compared(tables.load(own, [of]).column(of))
            values, met, alike = values_met(theirs, mine)
            found[key] = Nobody(rule.table, key[1], own, values, values - met, alike)
    return list(found.values())


def nobody_metrics(found: Sequence[Nobody]) -> list[dict[str, str | int]]:
    """Counts by table and column, for metrics and plans."""
    return [
        {"table": n.table, "column": n.column, "values": n.values, "nobody": n.nobody,
         "alike": n.alike}
        for n in found
    ]  # fmt: skip
