"""Tables for parties that are not there: keys by their kind, numbers, categories, labels.

A number of keys are copied from the rehearsing party's own rows, so that the two share records;
the others are made, well-formed for their kind. They never leave the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.contract.kinds.train import classes
from federated.contract.terms import Contract, PartyTerms
from psi.identifiers import clean, combine

__all__ = ["invented_table", "key_rows", "made"]

Rng = np.random.Generator
Digits = np.ndarray

SEGMENTS = ("segment one", "segment two", "segment three")
_REGION = (3, 1, 0, 1, 0, 4)
_FIRST_BIRTH = np.datetime64("1950-01-01")
_DAYS = 365 * 50
_IDENTITY = np.array([pow(2, 17 - i, 11) for i in range(17)])
_CREDIT = np.array([pow(3, i, 31) for i in range(17)])
_CREDIT_GLYPHS = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRTUWXY", np.uint8)
_LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)


def key_rows(terms: PartyTerms, table: pa.Table, most: int) -> np.ndarray:
    """int64[at most `most`]: rows of `table` with keys to match by, no two with the same one.

    Rows with a key of the first level come first.
    """
    found = list[np.ndarray]()
    for columns, kinds in zip(terms.keys, terms.kinds, strict=False):
        level = combine(
            [clean(table.column(c), kind) for c, kind in zip(columns, kinds, strict=True)]
        )
        usable = np.flatnonzero(pc.is_valid(level).to_numpy(zero_copy_only=False))
        codes = pc.dictionary_encode(level.take(pa.array(usable))).indices.to_numpy()
        found.append(usable[np.sort(np.unique(codes, return_index=True)[1])])
    every = np.concatenate([*found, np.zeros(0, np.int64)])
    return every[np.sort(np.unique(every, return_index=True)[1])][:most]


def invented_table(
    contract: Contract, name: str, me: str, shared: pa.Table, rows: int, rng: Rng
) -> pa.Table:
    """A table of `rows` for the party `name`; its first keys are those of `shared`.

    `shared` holds the key columns of the party `me`.
    """
    terms, mine = contract.party(name), contract.party(me)
    columns: dict[str, pa.Array] = {}
    for own, theirs, kinds in zip(mine.keys, terms.keys, terms.kinds, strict=False):
        for from_column, to_column, kind in zip(own, theirs, kinds, strict=False):
            if to_column not in columns:
                copied = shared.column(from_column).cast(pa.string()).combine_chunks()
                rest = made(kind, rows - len(copied), rng)
                columns[to_column] = pa.chunked_array([copied, rest]).combine_chunks()
    for column in terms.features:
        columns.setdefault(column, pa.array(rng.normal(size=rows).round(6)))
    for column in terms.measures:
        columns.setdefault(column, _measured(contract, name, column, rows, rng))
    for column in terms.segments:
        columns.setdefault(column, _chosen(SEGMENTS, rows, rng))
    for train in contract.train:
        if not classes(train) and train.label in terms.labels:
            columns.setdefault(train.label, pa.array(rng.poisson(2.0, rows)))
    labels = {train.label: train.positive for train in contract.train if classes(train)}
    for label, positive in (labels | {b.label: b.positive for b in contract.binning}).items():
        if label in terms.labels:
            columns[label] = _labels(positive, rows, rng)
    for column in terms.weights:
        columns.setdefault(column, pa.array(rng.uniform(0.5, 2.0, rows)))
    for train in contract.train:
        if train.time in terms.times:
            columns[train.time] = _around(train.validate_from, rows, rng)
    return pa.table(columns)


def _measured(contract: Contract, name: str, column: str, rows: int, rng: Rng) -> pa.Array:
    """A category of a partner's, an amount of the receiver's, or a number."""
    for terms in contract.category:
        if terms.partner == name and terms.category == column:
            return _chosen(terms.categories, rows, rng)
        for amount in terms.amounts if name == contract.receiver else ():
            if amount.column == column:
                return pa.array(rng.integers(amount.low, amount.high, rows, endpoint=True))
    return pa.array(rng.normal(size=rows).round(6))


def _labels(positive: str, rows: int, rng: Rng) -> pa.Array:
    if positive:
        return _chosen((positive, f"not {positive}"), rows, rng)
    return pa.array(rng.integers(0, 1, rows, endpoint=True))


def _around(day: str, rows: int, rng: Rng) -> pa.Array:
    """Days of two years, half of them from `day` on."""
    first = np.datetime64(day, "D") - 365
    return pa.array(first + rng.integers(0, 730, rows))


def _chosen(names: Sequence[str], rows: int, rng: Rng) -> pa.Array:
    codes = pa.array(rng.integers(0, len(names), rows).astype(np.int32))
    return pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string())).cast(pa.string())


def made(kind: str, rows: int, rng: Rng) -> pa.Array:
    """`rows` well-formed identifiers of one of `KINDS`, hardly two alike.

    Of a rarer kind, words that are none: such records have no key.
    """
    return _MAKERS.get(kind, _words)(rows, rng)


def _identity_numbers(rows: int, rng: Rng) -> pa.Array:
    digits = np.empty((rows, 18), np.int64)
    digits[:, :6] = _REGION
    digits[:, 6:14] = _dates(rows, rng)
    digits[:, 14:17] = rng.integers(0, 10, (rows, 3))
    check = (12 - digits[:, :17] @ _IDENTITY % 11) % 11
    text = _ascii(digits)
    text[:, 17] = np.where(check == 10, ord("X"), ord("0") + check)
    return _texts(text)


def _credit_codes(rows: int, rng: Rng) -> pa.Array:
    digits = rng.integers(0, 10, (rows, 18))
    digits[:, :2] = (9, 1)
    text = _ascii(digits)
    text[:, 17] = _CREDIT_GLYPHS[(31 - digits[:, :17] @ _CREDIT % 31) % 31]
    return _texts(text)


def _entity_codes(rows: int, rng: Rng) -> pa.Array:
    digits = rng.integers(0, 10, (rows, 20))
    rest = np.zeros(rows, np.int64)
    for place in range(18):
        rest = (rest * 10 + digits[:, place]) % 97
    check = 98 - rest * 100 % 97
    digits[:, 18], digits[:, 19] = check // 10, check % 10
    return _texts(_ascii(digits))


def _phones(rows: int, rng: Rng) -> pa.Array:
    digits = rng.integers(0, 10, (rows, 11))
    digits[:, :3] = (1, 3, 8)
    return _texts(_ascii(digits))


def _numbers(rows: int, rng: Rng) -> pa.Array:
    digits = rng.integers(0, 10, (rows, 12))
    digits[:, 0] = 7
    return _texts(_ascii(digits))


def _words(rows: int, rng: Rng, letters: int = 12) -> pa.Array:
    return _texts(_LETTERS[rng.integers(0, len(_LETTERS), (rows, letters))])


def _emails(rows: int, rng: Rng) -> pa.Array:
    return pc.binary_join_element_wise(_words(rows, rng), "example.org", "@")


def _birth_dates(rows: int, rng: Rng) -> pa.Array:
    return _texts(_ascii(_dates(rows, rng)))


def _names_with_dates(rows: int, rng: Rng) -> pa.Array:
    return pc.binary_join_element_wise(_words(rows, rng), _birth_dates(rows, rng), " ")


def _dates(rows: int, rng: Rng) -> Digits:
    """int64[rows, 8]: the digits of calendar dates."""
    days = (_FIRST_BIRTH + rng.integers(0, _DAYS, rows)).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    year = days.astype("datetime64[Y]").astype(np.int64) + 1970
    month = months.astype(np.int64) % 12 + 1
    day = (days - months).astype(np.int64) + 1
    whole = year * 10_000 + month * 100 + day
    return np.asarray(whole[:, None] // 10 ** np.arange(7, -1, -1) % 10)


def _ascii(digits: Digits) -> Digits:
    return (digits + ord("0")).astype(np.uint8)


def _texts(characters: Digits) -> pa.Array:
    """uint8[rows, width] of ASCII as an Arrow column of text."""
    rows, width = characters.shape
    data = pa.py_buffer(np.ascontiguousarray(characters))
    ends = pa.py_buffer((np.arange(rows + 1) * width).astype(np.int64))
    return pa.LargeStringArray.from_buffers(rows, ends, data).cast(pa.string())


_MAKERS: dict[str, Callable[[int, Rng], pa.Array]] = {
    "identity_number": _identity_numbers,
    "credit_code": _credit_codes,
    "lei": _entity_codes,
    "phone": _phones,
    "number": _numbers,
    "email": _emails,
    "name": _words,
    "name_birth_date": _names_with_dates,
    "date": _birth_dates,
    "text": _words,
}
