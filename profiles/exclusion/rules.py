"""Holds a job's rules against the receiver's tables: which rows each of them leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.advice import quoted_name
from federated.readers.base import column_hint
from federated.tables.column_roles import check_role, kind_of
from federated.tables.days import days_of
from federated.tables.kept_tables import Extract
from federated.tables.source import Source
from federated.tables.spelled import ALIKE
from profiles.exclusion.nobody import values_met
from profiles.exclusion.rule import ExcludeSpec
from profiles.routing import compared
from psi.protocol.errors import InputError

if TYPE_CHECKING:
    from profiles.job import Job

__all__ = ["Rules", "own_columns_of", "rule_extracts"]

_VALUE = {str: ("text", "date"), bool: ("boolean",), float: ("number",)}
"""What columns a value can be held against."""
_WORD = {str: "texts", bool: "true or false", float: "numbers"}


class Rules:
    """A job's `[[exclude]]` sections on one day: its tables are read once."""

    def __init__(self, job: Job, tables: Source, entity: str, today: date) -> None:
        """`entity` is the receiver's column that names an entity, `today` the day of the lists.

        Raises:
            InputError: a table or column that is not there, or has values of another kind.
        """
        self._job, self._tables, self._entity, self._today = job, tables, entity, today
        self._own = job.party(job.receiver).table
        columns = own_columns_of(job, entity)
        self._table = tables.load(self._own, columns) if columns else pa.table({})
        self._found: dict[tuple[ExcludeSpec, str], np.ndarray] = {}

    def excluded(self, rule: ExcludeSpec, product: str) -> np.ndarray:
        """`bool[rows]`: who may not be on the list of this product, by one rule."""
        key = (rule, product if rule.product else "")
        if key not in self._found:
            self._found[key] = self._by_table(rule, product) if rule.table else self._by_own(rule)
        return self._found[key]

    def of(self, product: str, stage: str) -> Iterator[ExcludeSpec]:
        """The rules of one list and stage, in the order of the job file."""
        for rule in self._job.excludes:
            if rule.stage == stage and (not rule.lists or product in rule.lists):
                yield rule

    def _by_own(self, rule: ExcludeSpec) -> np.ndarray:
        return holds(rule, self._table, self._own, self._today)

    def _by_table(self, rule: ExcludeSpec, product: str) -> np.ndarray:
        of = rule.of or self._entity
        columns = _columns(rule, self._entity)
        known = self._tables.columns(rule.table)
        for column in columns:
            if column not in known:
                raise InputError(
                    f"{self._job.file}: [[exclude]] {rule.reason!r}: {rule.table} has no column "
                    f"{column!r}",
                    hint=column_hint(column, known),
                )
        found = self._tables.load(rule.table, columns, keys=columns[:1])
        check_role(found, columns[0], "entity", where=rule.table)
        check_role(self._table, of, "entity", where=self._own)
        own = compared(self._table.column(of))
        self._check_alike(rule, found, columns[0], of, own)
        if rule.column:
            found = found.filter(pa.array(holds(rule, found, rule.table, self._today)))
        if rule.product:
            check_role(found, rule.product, "segment", where=rule.table)
            same = pc.equal(compared(found.column(rule.product)), product.strip())
            found = found.filter(pc.fill_null(same, False))
        names = pc.unique(compared(found.column(columns[0]))).drop_null()
        out = pc.is_in(own, value_set=names)
        return np.asarray(out.to_numpy(zero_copy_only=False), bool)

    def _check_alike(
        self, rule: ExcludeSpec, found: pa.Table, theirs: str, mine: str, own: pa.Array
    ) -> None:
        """Refuse a table that names people as the receiver's does but for how it is written.

        A rule that finds nobody leaves nobody out: those on a list of objections would be listed.
        """
        _, met, written = values_met(found.column(theirs), own)
        if written > met:
            raise InputError(
                f"{self._job.file}: [[exclude]] {rule.reason!r}: {written:,} values of {theirs!r} "
                f"in {rule.table} are those of {mine!r} in {self._own} {ALIKE}, {met:,} as they "
                "are written",
                hint="the former would leave nobody out: write both alike; where a file still has "
                f'its leading zeros, types = {{ {quoted_name(theirs)} = "string" }} keeps them',
            )


def own_columns_of(job: Job, entity: str) -> list[str]:
    """The receiver's own columns that rules look at."""
    found = [rule.of or entity if rule.table else rule.column for rule in job.excludes]
    return list(dict.fromkeys(found))


def rule_extracts(job: Job, entity: str) -> list[Extract]:
    """What rules need of the receiver's tables, to be kept with the rest of the job's copy."""
    own = own_columns_of(job, entity)
    found = [Extract(job.party(job.receiver).table, tuple(own))] if own else []
    for rule in (rule for rule in job.excludes if rule.table):
        columns = _columns(rule, entity)
        found.append(Extract(rule.table, tuple(columns), tuple(columns[:1])))
    return found


def _columns(rule: ExcludeSpec, entity: str) -> list[str]:
    """Of the rule's table; the first names the entity."""
    named = rule.entity or rule.of or entity
    return list(dict.fromkeys(c for c in (named, rule.column, rule.product) if c))


def holds(rule: ExcludeSpec, table: pa.Table, where: str, today: date) -> np.ndarray:
    """`bool[rows]`: where all conditions of a rule hold; a missing value holds where it says so."""
    place, column = f"{where}, {rule.section} {rule.reason!r}", table.column(rule.column)
    if rule.within_days is not None or rule.before_days is not None:
        true, missing = _of_days(rule, table, place, today)
    elif rule.below is not None or rule.above is not None:
        true, missing = _of_numbers(rule, column, place)
    elif rule.equal or rule.unequal:
        true, missing = _of_values(rule, column, place)
    else:
        true = np.zeros(len(column), bool)
        missing = _flags(pc.is_null(compared(column) if kind_of(column.type) == "text" else column))
    return np.where(missing, rule.missing, true)


def _of_days(
    rule: ExcludeSpec, table: pa.Table, place: str, today: date
) -> tuple[np.ndarray, np.ndarray]:
    day = days_of(table, rule.column, place)
    true = np.ones(len(day), bool)
    if rule.within_days is not None:
        true &= day >= np.datetime64(today - timedelta(days=rule.within_days), "D")
    if rule.before_days is not None:
        true &= day < np.datetime64(today - timedelta(days=rule.before_days), "D")
    return true, np.isnat(day)


def _of_numbers(rule: ExcludeSpec, column: Any, place: str) -> tuple[np.ndarray, np.ndarray]:
    _check_kind(rule, column, float, place)
    number = column.cast(pa.float64(), safe=False).to_numpy()
    true = np.ones(len(number), bool)
    if rule.below is not None:
        true &= number < rule.below
    if rule.above is not None:
        true &= number > rule.above
    return true, np.isnan(number)


def _of_values(rule: ExcludeSpec, column: Any, place: str) -> tuple[np.ndarray, np.ndarray]:
    for value in (*rule.equal, *rule.unequal):
        _check_kind(rule, column, type(value), place)
    kind = type((*rule.equal, *rule.unequal)[0])
    values = (
        compared(column)
        if kind is str
        else column.cast(pa.bool_() if kind is bool else pa.float64(), safe=False)
    )
    true = np.ones(len(values), bool)
    for given, wanted in ((rule.equal, True), (rule.unequal, False)):
        if given:
            known = pa.array(given, values.type)
            true &= _flags(pc.is_in(values, value_set=known)) == wanted
    return true, _flags(pc.is_null(values))


def _check_kind(rule: ExcludeSpec, column: Any, value: type, place: str) -> None:
    kind = kind_of(column.type)
    if kind not in (*_VALUE[value], "nothing"):
        raise InputError(
            f"{place}: {rule.column!r} holds {column.type}, and the rule {_WORD[value]}",
            hint='a text is written "7", a number 7; types in tables.toml say what a column is',
        )


def _flags(found: Any) -> np.ndarray:
    return np.asarray(found.to_numpy(zero_copy_only=False), bool)
