"""One `[[exclude]]` of a job file: a small condition, and what it means for lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from federated.toml_sections import TomlSection

__all__ = ["STAGES", "ExcludeSpec", "read_condition", "read_exclude"]

STAGES = ("eligibility", "suppression")
"""Whom a product is not for; and whom nobody approaches now."""
_NUMBERS = ("below", "above")
_DAYS = ("within_days", "before_days")
_LONGEST = 36_600


@dataclass(frozen=True, kw_only=True)
class ExcludeSpec:
    """Who fulfils all conditions is on none of `lists`, or on no list where it names none.

    `reason` is what report and plan call it, `stage` one of `STAGES`. The conditions are on
    `column` of the receiver's own table; or of `table`, whose rows are about whom their column
    `entity` names as the receiver's `of` does, and about the list that `product` names.

    Attributes:
        equal: values of the column, any of which leaves out.
        unequal: values, all others of which leave out.
        below: numbers less than it leave out.
        above: numbers more than it leave out.
        within_days: dates of the last so many days leave out.
        before_days: dates before the last so many days leave out.
        missing: rows without a value are left out.
        section: of the job file, for errors.
    """

    reason: str
    stage: str = "eligibility"
    lists: tuple[str, ...] = ()
    column: str = ""
    equal: tuple[str | float | bool, ...] = ()
    unequal: tuple[str | float | bool, ...] = ()
    below: float | None = None
    above: float | None = None
    within_days: int | None = None
    before_days: int | None = None
    missing: bool = False
    section: str = "[[exclude]]"
    table: str = ""
    of: str = ""
    entity: str = ""
    product: str = ""

    @property
    def kinds(self) -> list[str]:
        """Which kinds of conditions it has: texts, numbers, days."""
        found = ["is and is_not"] if self.equal or self.unequal else []
        found += ["below and above"] if (self.below, self.above) != (None, None) else []
        days = (self.within_days, self.before_days)
        return found + (["within_days and before_days"] if days != (None, None) else [])


def read_exclude(section: TomlSection, products: Sequence[str], receiver: str) -> ExcludeSpec:
    """One section; raises `JobError` naming the key.

    Args:
        section: as it was parsed.
        products: those of the job's lists.
        receiver: whose tables may be named.
    """
    if not products:
        raise section.fail("reason", section.text("reason"), "a rule with a [[target]] section")
    table = section.text("table", "")
    if table and (table.split(".", 1)[0] != receiver or "." not in table):
        raise section.fail("table", table, f'"{receiver}.TABLE"')
    found = ExcludeSpec(
        reason=section.text("reason"),
        stage=section.text("stage", STAGES[0], STAGES),
        lists=section.names("lists", (), products),
        table=table,
        of=section.text("of", ""),
        entity=section.text("entity", ""),
        product=section.text("product", ""),
        **_condition(section),
    )
    section.done()
    _check(section, found)
    return found


def read_condition(section: TomlSection, name: str, of: str) -> ExcludeSpec:
    """A condition alone, on a column of the receiver's own table; raises as `read_exclude`.

    Args:
        section: as it was parsed.
        name: of what it is a condition of.
        of: the section of the job file that it is in.
    """
    found = ExcludeSpec(reason=name, section=of, **_condition(section))
    section.done()
    _check(section, found)
    return found


def _condition(section: TomlSection) -> dict[str, Any]:
    numbers = {key: section.bound(key, -1e15, 1e15) for key in _NUMBERS}
    days = {key: section.bound(key, 0, _LONGEST) for key in _DAYS}
    whole = {key: _whole(section, key, days[key]) for key in _DAYS}
    return {
        "column": section.text("column", ""),
        "equal": section.scalars("is"),
        "unequal": section.scalars("is_not"),
        "missing": section.flag("missing", False),
        **numbers,
        **whole,
    }


def _whole(section: TomlSection, key: str, value: float | None) -> int | None:
    if value is not None and value != int(value):
        raise section.fail(key, value, "a whole number of days")
    return None if value is None else int(value)


def _check(section: TomlSection, found: ExcludeSpec) -> None:
    """What goes together."""
    conditions = bool(found.kinds) or found.missing
    if conditions and not found.column:
        raise section.fail("column", "", "the column that the condition is on")
    if not conditions and (found.column or not found.table):
        raise section.fail(
            "column",
            found.column,
            "a condition (is, is_not, below, above, within_days, before_days, missing)",
            "only a rule with a table goes without one: then it is about all in that table",
        )
    if len(found.kinds) > 1:
        raise section.fail("column", found.column, "one kind of condition", _two(found.kinds))
    for key in ("of", "entity", "product"):
        if (given := getattr(found, key)) and not found.table:
            raise section.fail(key, given, "none without a table")


def _two(kinds: list[str]) -> str:
    return f"{' and '.join(kinds)} are of different types: write a rule for each"
