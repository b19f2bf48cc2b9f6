"""What became of leads: a list, and what its managers did, put together for the next assignment.

A lead is *right* where its first manager kept it and made contact within ten days. No other figure
is called so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.days import days_of
from federated.tables.matrix import numeric_matrix
from federated.tables.plain_file import plain_file, without_tables_file
from federated.tables.spelled import ALIKE, nearly
from profiles.copies import ROWS, note_copy
from profiles.profile import write_parquet_atomic
from profiles.routing import compared
from psi.protocol.errors import InputError

__all__ = ["DAYS", "Loaded", "load_leads"]

DAYS = 10
"""Within which a first contact makes a lead right."""
_KEY = ("product", "entity", "listed")
_PLACE = ("product", "entity", "rank", "score")
"""What two lists share for all of their leads only where they are one."""
_SAME = ("product", "entity", "rank", "manager")
"""The same of lists of one day. A score may have lost digits in a CSV; a lead keeps its manager."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What was loaded: leads in all, those without a manager, kept by the first one, right, with an
    outcome; and what was left out, rows by reason.

    Attributes:
        unassigned: without a manager.
        outcomes: whose outcome is 1.
        left_out: rows, by reason.
        history: leads that are known now.
        notes: what was read, but may be meant otherwise.
    """

    leads: int
    unassigned: int
    kept: int
    right: int
    outcomes: int
    left_out: dict[str, int]
    history: int
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Right ones of all leads, assigned or not; NaN of none."""
        return self.right / self.leads if self.leads else float("nan")


def load_leads(
    targets: Path, contacts: Path, listed: date, history: Path, today: date | None = None
) -> Loaded:
    """Add a list's leads, and what became of them, to a history.

    Args:
        targets: `targets.parquet` of a run.
        contacts: CSV or Parquet with a row a lead: `entity`, `manager` (who has it at the end),
            `contacted` (a day, or nothing); optionally `product`, and `outcome` (0 or 1). A lead
            with a manager and without a row is left out and counted: nobody says what became of it;
            so is one that was contacted before the list, or whose outcome is blank.
        listed: the day on which managers got the list.
        history: a Parquet file, made if it is not there. Leads of this list that it has already are
            replaced; another list of the same product and day is refused.
        today: contacts of later days are counted and taken for none; by default no day is late.

    Raises:
        InputError: a file, a column or a value that does not fit, contacts none of which is
            about the list, a list that the history has under another day, or another list of
            the same product under this day.
    """
    with without_tables_file():
        return _load(targets, contacts, listed, history, today)


def _load(targets: Path, contacts: Path, listed: date, history: Path, today: date | None) -> Loaded:
    leads = listing = _read(targets, ["product", "entity", "manager"])
    met = _read(contacts, ["entity", "manager", "contacted"])
    lost: dict[str, int] = {}
    keys = ["product", "entity"] if "product" in met.column_names else ["entity"]
    place = _places(leads, met, keys, contacts, lost)
    notes = _nearly_on_list(leads, met, keys)
    managed = pc.is_valid(compared(leads.column("manager"))).to_numpy(zero_copy_only=False)
    untold = (place < 0) & managed
    if many := int(np.count_nonzero(untold)):
        lost["leads with a manager, of which the contacts have no row"] = many
        leads, place = leads.filter(pa.array(~untold)), place[~untold]
    unknown = _unknown(leads, met, place, listed, contacts, lost)
    leads, place = leads.filter(pa.array(~unknown)), place[~unknown]
    known = place >= 0
    of = pa.array(np.where(known, place, 0), mask=~known)
    mine, theirs = compared(leads.column("manager")), compared(met.column("manager").take(of))
    notes += _managers(listing, met, contacts)
    kept = pc.fill_null(pc.equal(mine, theirs), False).to_numpy(zero_copy_only=False)
    days = days_of(met, "contacted", contacts.name)[np.where(known, place, 0)]
    after = (days - np.datetime64(listed, "D")).astype("timedelta64[D]").astype(np.float64)
    after = np.where(known & ~np.isnat(days), after, np.nan)
    ahead = np.inf if today is None else float((today - listed).days)
    if late := int(np.count_nonzero(after > ahead)):
        lost["contacts in the future"] = late
        after = np.where(after > ahead, np.nan, after)
    right = kept & (after <= DAYS)
    came = right
    if "outcome" in met.column_names:
        told = numeric_matrix(met, ["outcome"], where=contacts.name)[:, 0]
        wrong = int(np.count_nonzero(~np.isin(told[np.isfinite(told)], (0.0, 1.0))))
        if wrong:
            raise InputError(f"{contacts.name}: {wrong:,} outcomes are neither 0 nor 1")
        came = kept & (after >= 0) & (told[np.where(known, place, 0)] == 1.0)
    table = leads
    for name, values in (
        ("listed", pa.repeat(pa.scalar(listed.isoformat()), leads.num_rows)),
        ("kept", pa.array(kept)),
        ("days", pa.array(after, mask=np.isnan(after))),
        ("right", pa.array(right)),
        ("outcome", pa.array(came.astype(np.int64))),
    ):
        if name in table.column_names:
            table = table.drop_columns(name)
        table = table.append_column(name, values)
    whole = _merged(table, history, targets, listing)
    write_parquet_atomic(whole, history)
    note_copy(targets.parent, ROWS, history)
    return Loaded(
        leads=leads.num_rows,
        unassigned=mine.null_count,
        kept=int(kept.sum()),
        right=int(right.sum()),
        outcomes=int(came.sum()),
        left_out=lost,
        history=whole.num_rows,
        notes=tuple(notes),
    )


def _read(path: Path, needed: list[str]) -> pa.Table:
    table = plain_file(path)
    columns = table.columns()
    missing = [name for name in needed if name not in columns]
    if missing:
        raise InputError(
            f"{path.name}: no column {missing[0]!r}; {', '.join(needed)} are needed, found "
            f"{', '.join(columns[:12])}"
        )
    keys = [name for name in columns if name in ("product", "entity", "manager")]
    found = table.load(columns, keys=keys)
    for name in keys if path.suffix == ".csv" else ():
        # a CSV of a run keeps zeros in front by a mark, which is no part of the name
        text = pc.replace_substring_regex(found.column(name).cast(pa.string()), "^'", "")
        found = found.set_column(found.column_names.index(name), name, text)
    return found


def _places(
    leads: pa.Table, met: pa.Table, keys: list[str], contacts: Path, lost: dict[str, int]
) -> np.ndarray:
    """`int64[leads]`: each lead's row of the contacts, -1 for none."""
    mine, theirs = (
        pc.binary_join_element_wise(*(compared(t.column(k)) for k in keys), "\x1f")
        for t in (leads, met)
    )
    named = theirs.drop_null()
    if twice := len(named) - int(pc.count_distinct(named).as_py()):
        raise InputError(
            f"{contacts.name}: {twice:,} rows repeat a lead",
            hint="one row a lead: who has it now, and when it was contacted first",
        )
    others = pc.invert(pc.is_in(theirs, value_set=mine.drop_null()))
    if many := int(pc.sum(others).as_py() or 0):
        lost["contacts with nobody on the list"] = many
    if met.num_rows and not bool(pc.any(pc.invert(others)).as_py()):
        raise InputError(
            f"{contacts.name}: none of {met.num_rows:,} rows is about one of {leads.num_rows:,} "
            f"leads of the list, by {' and '.join(keys)}",
            hint="are they written alike in both? spreadsheets drop zeros in front; letters count "
            "as they are",
        )
    found = pc.index_in(mine, value_set=theirs, skip_nulls=True).fill_null(-1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def _unknown(
    leads: pa.Table,
    met: pa.Table,
    place: np.ndarray,
    listed: date,
    contacts: Path,
    lost: dict[str, int],
) -> np.ndarray:
    """`bool[leads]`: of which the contacts do not say what became of them: no failures."""
    known = place >= 0
    at = np.where(known, place, 0)
    if not met.num_rows:
        return np.zeros(len(place), bool)
    days = days_of(met, "contacted", contacts.name)[at]
    early = known & (days < np.datetime64(listed, "D"))
    if many := int(np.count_nonzero(early)):
        lost["contacts from before the list"] = many
    if "outcome" not in met.column_names:
        return np.asarray(early, bool)
    told = numeric_matrix(met, ["outcome"], where=contacts.name)[at, 0]
    theirs = compared(met.column("manager").take(pa.array(at)))
    kept = pc.fill_null(pc.equal(compared(leads.column("manager")), theirs), False)
    open_ = known & kept.to_numpy(zero_copy_only=False) & ~early
    blank = open_ & ~np.isnat(days) & np.isnan(told)
    if many := int(np.count_nonzero(blank)):
        lost["contacted leads whose outcome is blank"] = many
    dayless = open_ & np.isnat(days) & (told == 1.0)
    if many := int(np.count_nonzero(dayless)):
        lost["leads with outcome 1 and no day of contact"] = many
    return np.asarray(early | blank | dayless, bool)


def _nearly_on_list(leads: pa.Table, met: pa.Table, keys: list[str]) -> list[str]:
    """A word on contacts with nobody on the list who would be on it but for how they are written,
    or under another product."""
    mine, theirs = (
        pc.binary_join_element_wise(*(compared(t.column(k)) for k in keys), "\x1f")
        for t in (leads, met)
    )
    lost = pc.invert(pc.is_in(theirs, value_set=mine.drop_null()))
    names = compared(met.column("entity")).filter(lost).drop_null()
    known = compared(leads.column("entity")).drop_null()
    there = pc.is_in(names, value_set=known)
    found = []
    if other := int(pc.sum(there).as_py() or 0):
        found.append(f"{other:,} contacts name somebody whom the list has under another product")
    rest = names.filter(pc.invert(there))
    if near := nearly(rest, known) if len(rest) else 0:
        found.append(
            f"{near:,} contacts with nobody on the list name a lead of it {ALIKE}: write entities "
            "as the list does"
        )
    return found


def _managers(leads: pa.Table, met: pa.Table, contacts: Path) -> list[str]:
    """A word on contacts by managers whom the list does not name: their leads count as given away.

    Raises:
        InputError: most are managers of the list in another spelling.
    """
    known = pc.unique(compared(leads.column("manager"))).drop_null()
    theirs = compared(met.column("manager")).drop_null()
    there = pc.is_in(theirs, value_set=known)
    others, named = theirs.filter(pc.invert(there)), int(pc.sum(there).as_py() or 0)
    near = nearly(others, known) if len(others) else 0
    if near > named:
        raise InputError(
            f"{contacts.name}: {near:,} rows have a manager of the list {ALIKE}, {named:,} as it "
            "is written",
            hint="write managers as the list does: every lead would count as given away",
        )
    if not len(others):
        return []
    said = f", {near:,} of them it names {ALIKE}" if near else ""
    return [
        f"{len(others):,} rows have a manager whom the list does not name{said}: not kept by their "
        "first manager"
    ]


def _once_only(listing: pa.Table, before: pa.Table, day: str, history: Path) -> None:
    """Refuse a list that the history has under another day: each lead would count twice."""
    if not {*_PLACE} <= set(listing.column_names) & set(before.column_names):
        return
    days = compared(before.column("listed"))
    mine, theirs = (
        pc.binary_join_element_wise(*(compared(t.column(k)) for k in _PLACE), "\x1f")
        for t in (listing, before)
    )
    there = pc.fill_null(pc.is_in(theirs, value_set=mine.drop_null()), False)
    products = pc.is_in(
        compared(before.column("product")), value_set=pc.unique(compared(listing.column("product")))
    )
    for other in sorted(set(pc.unique(days).drop_null().to_pylist()) - {day}):
        rows = pc.and_(pc.equal(days, other), products)
        held = int(pc.sum(rows).as_py() or 0)
        if held and held == int(pc.sum(pc.and_(rows, there)).as_py() or 0):
            raise InputError(
                f"{history.name}: has this list under --listed {other} already: {held:,} leads of "
                "the same product, entity, rank and score",
                hint=f"--listed {other} replaces them; or leave that day's rows out of the history",
            )


def _one_a_day(listing: pa.Table, before: pa.Table, day: str, history: Path, targets: Path) -> None:
    """Refuse another list of a product under a day that has one: it would take leads' places."""
    keys = [name for name in _SAME if name in listing.column_names and name in before.column_names]
    products = pc.unique(compared(listing.column("product")))
    of_day = pc.and_(
        pc.equal(compared(before.column("listed")), day),
        pc.is_in(compared(before.column("product")), value_set=products),
    )
    held = before.filter(pc.fill_null(of_day, False))
    mine, theirs = (
        pc.binary_join_element_wise(
            *(pc.fill_null(compared(t.column(k)), "") for k in keys), "\x1f"
        )
        for t in (listing, held)
    )
    if others := held.num_rows - int(pc.sum(pc.is_in(theirs, value_set=mine)).as_py() or 0):
        raise InputError(
            f"{history.name}: --listed {day} is another list's day: {others:,} of its "
            f"{held.num_rows:,} leads of the same product stand otherwise in {targets.name}, or "
            "not at all; nothing was changed",
            hint="give the day on which managers got this list; one that is to take the other's "
            "place: leave that day's rows out of the history first",
        )


def _merged(table: pa.Table, history: Path, targets: Path, listing: pa.Table) -> pa.Table:
    """The history with these leads in place of what it had of the same list."""
    table = _learnable(table)
    if not history.exists():
        return table
    before = _learnable(_read(history, [*_KEY, "manager", "outcome"]))
    if table.num_rows:
        day = table.column("listed")[0].as_py()
        _once_only(listing, before, day, history)
        _one_a_day(listing, before, day, history, targets)
    mine = pc.binary_join_element_wise(*(compared(table.column(k)) for k in _KEY), "\x1f")
    theirs = pc.binary_join_element_wise(*(compared(before.column(k)) for k in _KEY), "\x1f")
    others = before.filter(pc.invert(pc.is_in(theirs, value_set=mine)))
    for name in set(table.column_names) & set(others.column_names):
        both = others.column(name), table.column(name)
        try:
            alike = _alike(*both)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            was, now = (_type(column.type) for column in both)
            raise InputError(
                f"{targets.name}: column {name!r} is {now}, in {history.name} it is {was}",
                hint="targets.parquet of a run keeps the types that its profiles have",
            ) from None
        others, table = (
            t.set_column(t.column_names.index(name), name, values)
            for t, values in zip((others, table), alike, strict=True)
        )
    return pa.concat_tables([others, table], promote_options="permissive")


def _learnable(table: pa.Table) -> pa.Table:
    """Without what nothing is learned of: reasons, a list in Parquet and one text in CSV."""
    lists = [f.name for f in table.schema if pa.types.is_nested(f.type) or f.name == "reasons"]
    return table.drop_columns(lists)


def _alike(was: pa.ChunkedArray, now: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Both as one type. A CSV says nothing of types: there a yes or no, and a day, are texts, and a
    column without a value is of any type. Raises what Arrow raises."""
    kinds = [_type(column.type) for column in (was, now)]
    if kinds[0] == kinds[1]:
        return was, now
    for one, other in ((was, now), (now, was)):
        if one.null_count == len(one):
            empty = pa.chunked_array([pa.nulls(len(one), other.type)])
            return (empty, other) if one is was else (other, empty)
    if "a number" in kinds or "text" not in kinds:
        raise pa.ArrowInvalid("other types")
    return (was.cast(now.type), now) if kinds[0] == "text" else (was, now.cast(was.type))


def _type(kind: pa.DataType) -> str:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    return "a number" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else str(kind)
