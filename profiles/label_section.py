"""The `[label]` section of a job file: what a training foretells, by arithmetic over flows.

    [label]
    task = "churn"
    cut_offs = ["2026-01-01", "2026-04-01"]
    of = "bank.consumers"
    by = "cust_no"
    counted = "bank.training_counts"

    [[train]]
    task = "churn"
    label = "task:churn"

The label is a column of the receiver's table, named by what it means, so that the contract says it
and a table that was made by other numbers has no such column.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from federated.contract.kinds.train import is_day
from federated.toml_sections import TomlSection

__all__ = ["COUNTS", "CUT_OFF", "PREFIX", "LabelSpec", "read_label"]

PREFIX = "task:"
CUT_OFF = "cut_off"
"""The column that says as of which day a row is."""
COUNTS = ("cut_off", "what", "entities")
"""Columns of the counts: of each cut-off labels by class, and exclusions by reason."""
TASKS = ("churn", "default", "bought", "dropped", "payroll")
_PRODUCTS = ("deposit", "wealth", "loan")


@dataclass(frozen=True, kw_only=True)
class LabelSpec:
    """`[label]`, each as docs/JOB_FILE.md has it; `least` in whole units of the flow's currency."""

    task: str
    cut_offs: tuple[dt.date, ...]
    gap: int
    months: int
    least: int
    past_due: int
    product: str
    arrears: str
    of: str
    by: str
    fixed: tuple[str, ...]
    counted: str

    @property
    def column(self) -> str:
        """The label's name: what it means, with all numbers."""
        what = {
            "churn": f"assets of {self.least} or more halved",
            "default": f"{self.past_due} days past due",
            "bought": f"{self.product} bought",
            "dropped": f"{self.product} dropped",
            "payroll": "payroll moved",
        }[self.task]
        return f"{what} in months {self.gap + 1} to {self.gap + self.months}"


def read_label(section: TomlSection, receiver: str, entity: str) -> LabelSpec:
    """The section. Raises `JobError`."""
    task = section.text("task", None, TASKS)
    if task == "payroll" and entity != "consumer":
        raise section.fail("task", task, f"another where entity is {entity!r}", "persons are paid")
    days = section.texts("cut_offs")
    for day in days:
        if not is_day(day) or not day.endswith("-01"):
            raise section.fail("cut_offs", day, 'first days of months, such as "2026-01-01"')
    product = section.text("product", "")
    if product not in ("", *_PRODUCTS) or (task in ("bought", "dropped")) != bool(product):
        of_products = task in ("bought", "dropped")
        allowed = " or ".join(_PRODUCTS) if of_products else f"none with task = {task!r}"
        raise section.fail("product", product, allowed)
    arrears = section.text("arrears", "")
    if (task == "default") != bool(arrears):
        allowed = f'"{receiver}.TABLE"' if not arrears else f"none with task = {task!r}"
        raise section.fail("arrears", arrears, allowed, "a table with entity, day, past_due")
    found = LabelSpec(
        task=task,
        cut_offs=tuple(sorted(dt.date.fromisoformat(day) for day in days)),
        gap=section.integer("gap", 1, 0, 24),
        months=section.integer("months", 3, 1, 36),
        least=section.integer("least", 10_000, 0, 10**12),
        past_due=section.integer("past_due", 90, 1, 3650),
        product=product,
        arrears=arrears,
        of=section.text("of"),
        by=section.text("by"),
        fixed=section.texts("fixed", []),
        counted=section.text("counted"),
    )
    for key in ("of", "counted", "arrears"):
        table = getattr(found, key)
        if table and (table.split(".", 1)[0] != receiver or "." not in table):
            raise section.fail(key, table, f'"{receiver}.TABLE"', "the receiver makes the labels")
    if not days:
        raise section.fail("cut_offs", list(days), "one first day of a month or more")
    section.done()
    return found
