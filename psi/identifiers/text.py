"""Kinds without a check digit: email, name, birth date, free text.

Text that needs no Unicode tables goes through kernels (`folding`, `dates`), the rest is Arrow
expressions over distinct values.

Each function takes a large_string array and returns `(values, failed)`: the clean values,
null where unusable, and a uint8 state a row that says why (0: not said).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.identifiers import codes
from psi.identifiers.dates import BEHIND, FRONT, WHOLE, dated
from psi.identifiers.folding import NAME, PLAIN, folded
from psi.identifiers.rows import States, run_rows
from psi.identifiers.texts import among
from psi.protocol.errors import InputError

__all__ = ["Parsed", "date", "email", "free_text", "name", "name_birth_date"]

Parsed = tuple[pa.Array, States]

_PLACEHOLDERS = frozenset(
    ["null", "none", "nan", "n a", "nil", "unknown", "未知", "无", "暂无", "不详", "空", "test"]
)


def _guarded(values: pa.Array, form: str) -> pa.Array:
    try:
        return pc.utf8_normalize(values, form=form)
    except pa.ArrowInvalid:
        raise InputError(
            "found text that is not valid utf-8", hint="name the file's encoding in tables.toml"
        ) from None


def _spaces(values: pa.Array) -> pa.Array:
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(values, r"[\s\p{Z}\p{Cc}]+", " "))


def _plain(values: pa.Array) -> pa.Array:
    """Invisible marks out, NFKC, lower case, single spaces."""
    return folded(values, PLAIN, _plain_unicode)


def _plain_unicode(values: pa.Array) -> pa.Array:
    """The same of any text. Lower-casing can undo the normal form: then both are done again."""
    values = pc.replace_substring_regex(values, r"\p{Cf}+", "")
    lowered = pc.utf8_lower(_guarded(values, "NFKC"))
    values = _guarded(lowered, "NFKC")
    if not values.equals(lowered):
        values = _guarded(pc.utf8_lower(values), "NFKC")
    return _spaces(values)


def _bools(values: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _drop(values: pa.Array, failed: States) -> Parsed:
    """Null where a row failed."""
    if not failed.any():
        return values, failed
    keep = pa.array(failed == 0)
    return pc.if_else(keep, values, pa.scalar(None, type=pa.large_string())), failed


def _vet(values: pa.Array) -> States:
    """States of what is empty or a word for 'nothing'."""
    failed = np.zeros(len(values), dtype=np.uint8)
    failed[_bools(among(values, _PLACEHOLDERS))] = codes.PLACEHOLDER
    failed[_bools(pc.equal(values, ""))] = codes.EMPTY
    return failed


def free_text(values: pa.Array) -> Parsed:
    """Free text: NFKC, lower case, single spaces; empty is unusable."""
    values = _plain(values)
    failed = np.zeros(len(values), dtype=np.uint8)
    failed[_bools(pc.equal(values, ""))] = codes.EMPTY
    return _drop(values, failed)


_EMAIL = (
    r"^[a-z0-9!#$%&'+/=?^_{|}~\-]+(?:\.[a-z0-9!#$%&'+/=?^_{|}~\-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9\-]{0,61}[a-z0-9])$"
)


def email(values: pa.Array) -> Parsed:
    """Mail address (RFC 5321 dot-string and host name, ASCII), lower case, `mailto:` gone."""
    values = pc.replace_substring_regex(_plain(values), r"^(?:mailto:\s*|<)+|>$", "")
    values = pc.utf8_trim_whitespace(values)
    failed = np.zeros(len(values), dtype=np.uint8)
    failed[~_bools(pc.match_substring_regex(values, _EMAIL))] = codes.WRONG_FORMAT
    local = pc.find_substring(values, "@")
    long = pc.or_(pc.greater(local, 64), pc.greater(pc.binary_length(values), 254))
    failed[_bools(long)] = codes.WRONG_LENGTH
    failed[_bools(pc.match_substring(values, "*"))] = codes.MASKED
    failed[_bools(pc.equal(values, ""))] = codes.EMPTY
    return _drop(values, failed)


def _masked(values: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows have an asterisk, of either width."""
    return _bools(pc.or_(pc.match_substring(values, "*"), pc.match_substring(values, "＊")))


# Letters that no normal form takes apart, as passports and telegrams spell them (ICAO 9303-3).
_LETTERS = {
    "ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ŧ": "t", "ŋ": "n", "ĸ": "k",
    "ƀ": "b", "ɨ": "i", "ß": "ss", "æ": "ae", "œ": "oe", "þ": "th",
}  # fmt: skip


def _name_unicode(values: pa.Array) -> pa.Array:
    values = _guarded(_plain_unicode(values), "NFKD")
    values = _guarded(pc.replace_substring_regex(values, "[\u0300-\u036f]+", ""), "NFKC")
    for letter, spelled in _LETTERS.items():
        values = pc.replace_substring(values, letter, spelled)
    return folded(values, NAME, _name_marks, joined=True)  # without accents many are plain


def _name_marks(values: pa.Array) -> pa.Array:
    values = pc.replace_substring_regex(values, r"['’‘ʼ`]+", "")
    values = _spaces(pc.replace_substring_regex(values, r"[\p{P}\p{S}]+", " "))
    chinese = pc.match_substring_regex(values, r"\p{Han}")
    return pc.if_else(chinese, pc.replace_substring(values, " ", ""), values)


def name(values: pa.Array) -> Parsed:
    """Name of a person or company: lower case, accents and punctuation gone, ł l, ø o, ß ss, æ ae.

    Names with Chinese characters lose all spaces and middle dots, others keep single spaces.
    """
    masked = _masked(values)
    values = folded(values, NAME, _name_unicode, joined=True)
    failed = _vet(values)
    failed[masked] = codes.MASKED
    return _drop(values, failed)


def date(values: pa.Array) -> Parsed:
    """Calendar date, year first (2001-2-3, 2001/02/03, 20010203, 2001年2月3日), to yyyymmdd."""
    return run_rows(partial(dated, WHOLE), _plain(values))


def name_birth_date(values: pa.Array) -> Parsed:
    """Name with a birth date behind it in one column, to `name|yyyymmdd`."""
    masked = _masked(values)
    values = _plain(values)
    born, failed = run_rows(partial(dated, BEHIND), values)
    front, _ = run_rows(partial(dated, FRONT), values)
    found, unusable = name(front)
    failed = np.where((failed == 0) & (unusable != 0), unusable, failed).astype(np.uint8)
    failed[masked] = codes.MASKED
    bar = pa.scalar("|", type=pa.large_string())
    return _drop(pc.binary_join_element_wise(found, born, bar), failed)
