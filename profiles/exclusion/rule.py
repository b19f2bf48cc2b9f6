"""One `[[exclude]]` of a job file: a small condition, and what it means for lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federated.toml_sections import TomlSection

__all__ = ["STAGES", "ExcludeSpec", "read_exclude"]

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
    numbers = {key: section.bound(key, -1e15, 1e15) for key in _NUMBERS}
    days = {key: section.bound(key, 0, _LONGEST) for key in _DAYS}
    found = ExcludeSpec(
        reason=section.text("reason"),
        stage=section.text("stage", STAGES[0], STAGES),
        lists=section.names("lists", (), products),
        column=section.text("column", ""),
        equal=section.scalars("is"),
        unequal=section.scalars("is_not"),
        missing=section.flag("missing", False),
        table=table,
        of=section.text("of", ""),
        entity=section.text("entity", ""),
        product=section.text("product", ""),
        below=numbers["below"],
        above=numbers["above"],
        within_days=_whole(section, "within_days", days["within_days"]),
        before_days=_whole(section, "before_days", days["before_days"]),
    )
    section.done()
    _check(section, found)
    return found


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
