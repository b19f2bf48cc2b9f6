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
    return Refused(
        f"no row of {table} has a basis for this job's purpose and parties",
        hint=f"the bases stand in {basis.table}: see whether they name the purpose as the job does",
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
    columns = basis.columns
    found = tables.load(basis.table, list(columns.values()), keys=[columns["entity"]])
    named = _text(found.column(columns["entity"])).combine_chunks().dictionary_encode()
    known = named.dictionary
    code = named.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    place = pc.index_in(_text(names), value_set=known).fill_null(-1).to_numpy()
    best = np.full(len(known) + 1, _VALID, np.int8)
    reach = {channel: np.ones(len(known) + 1, bool) for channel in _channels(found, columns)}
    for recipient in asked.recipients or ("",):
        far = _far(basis, found, asked, recipient)
        one = np.zeros(len(known) + 1, np.int8)
        np.maximum.at(one, code, far)
        one[-1] = 0
        best = np.minimum(best, one)
        for channel, rows in _channels(found, columns).items():
            open_to = np.zeros(len(known) + 1, bool)
            open_to[code[rows & (far == _VALID)]] = True
            open_to[-1] = False
            reach[channel] &= open_to
    best[-1] = 0
    rows = best[place] == _VALID
    reasons = np.bincount(best[place][~rows], minlength=len(REASONS))
    left_out = {REASONS[r]: int(count) for r, count in enumerate(reasons) if count}
    return Admission(rows, left_out, {c: open_to[place] & rows for c, open_to in reach.items()})


def _far(basis: Basis, found: pa.Table, asked: BasisAsked, recipient: str) -> np.ndarray:
    """How far each basis comes towards being valid: an index of `REASONS`, or `_VALID`."""
    columns = basis.columns
    far = np.full(found.num_rows, _VALID, np.int8)
    day = pa.scalar(asked.day, pa.date32())
    # the last one that holds is told: from the nearest to valid to the furthest
    if "withdrawn" in columns:
        far[_true(pc.less_equal(_days(basis, found, "withdrawn"), day))] = 5
    if "until" in columns:
        far[_true(pc.less(_days(basis, found, "until"), day))] = 4
    if "from" in columns:
        far[_true(pc.greater(_days(basis, found, "from"), day))] = 3
    if "recipient" in columns:
        text = _text(found.column(columns["recipient"]))
        far[~_true(pc.is_null(text)) & ~_true(pc.equal(text, recipient))] = 2
    purpose = _text(found.column(columns["purpose"]))
    far[~_true(pc.equal(purpose, asked.purpose.strip()))] = 1
    return far


def _channels(found: pa.Table, columns: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The bases of each channel, bool[bases]; those without one count for each, and as `ANY`."""
    if "channel" not in columns:
        return {ANY: np.ones(found.num_rows, bool)}
    text = _text(found.column(columns["channel"]))
    blank = _true(pc.is_null(text))
    named = [name for name in pc.unique(text).to_pylist() if name is not None]
    rows = {name: blank | _true(pc.equal(text, name)) for name in sorted(named)}
    return rows | ({ANY: blank} if blank.any() else {})


def _text(column: Any) -> pa.ChunkedArray:
    """As text without blanks around; null where nothing is left."""
    text = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)


def _days(basis: Basis, found: pa.Table, key: str) -> pa.ChunkedArray:
    name = basis.columns[key]
    column = found.column(name)
    try:
        if pa.types.is_null(column.type):
            return column.cast(pa.date32())
        if not pa.types.is_temporal(column.type):
            column = pc.utf8_slice_codeunits(_text(column), 0, 10)
        return column.cast(pa.date32())
    except pa.ArrowInvalid:
        raise InputError(
            f"{basis.table}: column {name!r} holds values that are no days",
            hint="a day is written 2026-06-01; declare others with dates in tables.toml",
        ) from None


def _true(flags: Any) -> np.ndarray:
    """bool[n], false where it is null."""
    return np.asarray(flags.fill_null(False).to_numpy(zero_copy_only=False), bool)
