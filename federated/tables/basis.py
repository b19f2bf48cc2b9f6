"""Which rows may be in a job: those with a lawful basis for its purpose and recipients on a day.

    [telecom.usage]
    path = "usage.csv"
    basis = { table = "telecom.consents", of = "subscriber", purpose = "purpose",
              recipient = "given_to", channel = "channel", from = "since", until = "until",
              withdrawn = "withdrawn", legal_entities = "admit" }

The other table has a row for each basis: about whom (`entity`, by default called as `of` is here),
for which purpose, towards whom, by which channel, from when until when, and when it was withdrawn.
A blank recipient or channel is any; a blank day is open. A row of the party's own table is admitted
if one of them is valid for each recipient. What is compared is text, without blanks around.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.column_roles import check_role
from federated.tables.spelled import spelled
from psi.protocol import InputError, JobError, Refused

__all__ = ["ANY", "REASONS", "Admission", "Basis", "BasisAsked"]
__all__ += ["admit", "left_out_words", "nobody_left", "read_basis"]

REASONS = (
    "no basis",
    "for another purpose",
    "towards another recipient",
    "not valid yet",
    "expired",
    "withdrawn",
)
"""Why a row is left out: how far the best of its bases comes."""
_VALID = len(REASONS)
_TEXTS = ("entity", "purpose", "recipient", "channel")
_DAYS = ("from", "until", "withdrawn")
_LEGAL = ("", "admit")
ANY = "any"
"""The channel of a basis that names none."""


@dataclass(frozen=True, kw_only=True)
class Basis:
    """Where a table's lawful bases stand. `columns` are those of `table`, by what they say."""

    table: str
    of: str
    columns: Mapping[str, str] = field(default_factory=dict)
    legal_entities: bool = False


@dataclass(frozen=True)
class BasisAsked:
    """What rows have to be valid for. `entity` is what the job is about."""

    purpose: str
    recipients: tuple[str, ...]
    entity: str
    day: dt.date


@dataclass(frozen=True)
class Admission:
    """`rows`, bool[n]: who is in. `left_out`: how many others, by reason.

    `channels`: by which channel each row may be reached, bool[n], all false for who is out.
    """

    rows: np.ndarray
    left_out: dict[str, int]
    channels: dict[str, np.ndarray]


class _Tables(Protocol):
    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table: ...


def read_basis(where: str, found: object) -> Basis | None:
    """The key `basis` of a section of `tables.toml`; None where there is none.

    Raises:
        JobError: names the key, what was found and what is allowed.
    """
    if found is None:
        return None
    known = ("table", "of", *_TEXTS, *_DAYS, "legal_entities")
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise JobError(f"{where} basis: a table of key = text is needed, keys: {', '.join(known)}")
    for key in found:
        if key not in known:
            raise JobError(f"{where} basis.{key}: unknown key", hint=f"keys: {', '.join(known)}")
    for key in ("table", "of", "purpose"):
        if not found.get(key):
            raise JobError(f"{where} basis.{key}: missing")
    legal = found.get("legal_entities", "")
    if legal not in _LEGAL:
        raise JobError(f"{where} basis.legal_entities: found {legal!r}, allowed: admit, or none")
    columns = {key: found[key] for key in (*_TEXTS, *_DAYS) if found.get(key)}
    columns.setdefault("entity", found["of"])
    return Basis(table=found["table"], of=found["of"], columns=columns, legal_entities=bool(legal))


def nobody_left(table: str, basis: Basis) -> Refused:
    """Why a job cannot begin; without a count, since other parties are told."""
    towards = " and, as recipient, the other parties" if "recipient" in basis.columns else ""
    return Refused(
        f"no row of {table} has a basis for this job's purpose and parties",
        hint=f"the bases stand in {basis.table}: see whether they name the purpose{towards} as the "
        "job does",
    )


def left_out_words(table: str, counts: Mapping[str, int]) -> str:
    """ "Rows of bank.people left out for want of a basis: 4 (expired: 1, withdrawn: 3)"."""
    why = f" ({', '.join(f'{reason}: {n:,}' for reason, n in counts.items())})" if counts else ""
    return f"Rows of {table} left out for want of a basis: {sum(counts.values()):,}{why}"


def admit(basis: Basis, tables: _Tables, names: pa.ChunkedArray, asked: BasisAsked) -> Admission:
    """Which rows are in: those of the entities `names` (text; null: nobody is named).

    Raises:
        InputError: no such table or column, or days that are none.
    """
    n = len(names)
    if basis.legal_entities and asked.entity in ("company", "government"):
        every = np.ones(n, bool)
        return Admission(every, {}, {ANY: every})
    columns, texts = basis.columns, spelled(names)
    found = tables.load(basis.table, list(columns.values()), keys=[columns["entity"]])
    for key, column in columns.items():
        check_role(found, column, "time" if key in _DAYS else "entity", where=basis.table)
    entities, channels = found.column(columns["entity"]), _channels(found, columns)
    far, serving = _far_without_recipient(basis, found, asked)
    # those for other purposes say nothing but that somebody has one: most rows are never encoded
    named = spelled(entities.filter(pa.array(serving))).dictionary_encode()
    known = len(named.dictionary)
    code = named.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    place = pc.index_in(texts, value_set=named.dictionary).fill_null(-1).to_numpy()
    best = np.full(known + 1, _VALID, np.int8)
    reach = {channel: np.ones(known + 1, bool) for channel in channels}
    for recipient in asked.recipients or ("",):
        so_far = _far(basis, found, recipient, far)[serving]
        one = np.zeros(known + 1, np.int8)
        np.maximum.at(one, code, so_far)
        best = np.minimum(best, one)
        for channel, rows in channels.items():
            open_to = np.zeros(known + 1, bool)
            open_to[code[rows[serving] & (so_far == _VALID)]] = True
            open_to[-1] = False
            reach[channel] &= open_to
    best[-1] = 0
    reached = best[place]
    reached[_elsewhere(texts, place, entities, ~serving)] = 1
    rows = reached == _VALID
    reasons = np.bincount(reached[~rows], minlength=len(REASONS))
    left_out = {REASONS[r]: int(count) for r, count in enumerate(reasons) if count}
    return Admission(rows, left_out, {c: open_to[place] & rows for c, open_to in reach.items()})


def _elsewhere(
    texts: pa.ChunkedArray, place: np.ndarray, entities: pa.ChunkedArray, others: np.ndarray
) -> np.ndarray:
    """Rows without a basis for the purpose (`place` -1) who have one among the `others`."""
    left = np.flatnonzero(place < 0)
    if not len(left) or not others.any():
        return left[:0]
    names, had = texts.take(pa.array(left)), spelled(entities.filter(pa.array(others)))
    found = _true(pc.and_(pc.is_valid(names), pc.is_in(names, value_set=had)))
    return np.asarray(left[found])


def _far_without_recipient(
    basis: Basis, found: pa.Table, asked: BasisAsked
) -> tuple[np.ndarray, np.ndarray]:
    """How far each basis comes towards being valid, whoever it is towards: an index of `REASONS`,
    or `_VALID`; and which of them are for the purpose, bool[bases]."""
    columns, day = basis.columns, pa.scalar(asked.day, pa.date32())
    far = np.full(found.num_rows, _VALID, np.int8)
    # the last one that holds is told: from the nearest to valid to the furthest
    for key, compare, reason in (
        ("withdrawn", pc.less_equal, 5),
        ("until", pc.less, 4),
        ("from", pc.greater, 3),
    ):
        if key in columns:
            days = _days(basis, found, key)
            far[_where(days, compare(days.dictionary, day))] = reason
    purpose = _encoded(found.column(columns["purpose"]))
    return far, _where(purpose, pc.equal(spelled(purpose.dictionary), asked.purpose.strip()))


def _far(basis: Basis, found: pa.Table, recipient: str, far: np.ndarray) -> np.ndarray:
    """The same towards one recipient."""
    if "recipient" not in basis.columns:
        return far
    given = _encoded(found.column(basis.columns["recipient"]))
    others = _where(given, pc.not_equal(spelled(given.dictionary), recipient))
    return np.asarray(np.where(others, np.int8(2), far), np.int8)


def _channels(found: pa.Table, columns: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The bases of each channel, bool[bases]; those without one count for each, and as `ANY`."""
    if "channel" not in columns:
        return {ANY: np.ones(found.num_rows, bool)}
    given = _encoded(found.column(columns["channel"]))
    texts = spelled(given.dictionary)
    blank = ~_where(given, pc.is_valid(texts))
    named = [name for name in pc.unique(texts).to_pylist() if name is not None]
    rows = {name: blank | _where(given, pc.equal(texts, name)) for name in sorted(named)}
    return rows | ({ANY: blank} if blank.any() else {})


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Each value once, and its place: few purposes, days and channels stand in many rows."""
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.DictionaryArray) else whole.dictionary_encode()


def _where(column: pa.DictionaryArray, holds: Any) -> np.ndarray:
    """bool[rows]: whether it `holds` (bool[values]) of the value there; false where none is."""
    of_values = np.append(_true(holds), False)
    places = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(of_values[places])


def _days(basis: Basis, found: pa.Table, key: str) -> pa.DictionaryArray:
    name = basis.columns[key]
    column = _encoded(found.column(name))
    days = column.dictionary
    try:
        if not pa.types.is_null(days.type) and not pa.types.is_temporal(days.type):
            days = pc.utf8_slice_codeunits(spelled(days), 0, 10)
        days = days.cast(pa.date32())
    except pa.ArrowInvalid:
        raise InputError(
            f"{basis.table}: column {name!r} holds values that are no days",
            hint="a day is written 2026-06-01; declare others with dates in tables.toml",
        ) from None
    return pa.DictionaryArray.from_arrays(column.indices, days)


def _true(flags: Any) -> np.ndarray:
    """bool[n], false where it is null."""
    return np.asarray(flags.fill_null(False).to_numpy(zero_copy_only=False), bool)
