"""Kinds without a check digit, as Arrow expressions: email, name, birth date, free text.

Each function takes a large_string array and returns `(values, failed)`: the clean values,
null where unusable, and a uint8 state a row that says why (0: not said).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.identifiers import codes
from psi.protocol.errors import InputError

__all__ = ["Parsed", "date", "email", "free_text", "name", "name_birth_date"]

States = np.ndarray[Any, np.dtype[np.uint8]]
Parsed = tuple[pa.Array, States]

_PLACEHOLDERS = pa.array(
    ["null", "none", "nan", "n a", "nil", "unknown", "未知", "无", "暂无", "不详", "空", "test"],
    type=pa.large_string(),
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
    """Invisible marks out, NFKC, lower case. Twice: lower-casing can undo the normal form."""
    values = pc.replace_substring_regex(values, r"\p{Cf}+", "")
    for _ in range(2):
        values = pc.utf8_lower(_guarded(values, "NFKC"))
    return _spaces(_guarded(values, "NFKC"))


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
    failed[_bools(pc.is_in(values, value_set=_PLACEHOLDERS))] = codes.PLACEHOLDER
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


def _name(values: pa.Array) -> pa.Array:
    values = _guarded(_plain(values), "NFKD")
    values = _guarded(pc.replace_substring_regex(values, "[\u0300-\u036f]+", ""), "NFKC")
    values = pc.replace_substring_regex(values, r"['’‘ʼ`]+", "")
    values = _spaces(pc.replace_substring_regex(values, r"[\p{P}\p{S}]+", " "))
    chinese = pc.match_substring_regex(values, r"\p{Han}")
    return pc.if_else(chinese, pc.replace_substring(values, " ", ""), values)


def name(values: pa.Array) -> Parsed:
    """Name of a person or company: lower case, accents and punctuation gone.

    Names with Chinese characters lose all spaces and middle dots, others keep single spaces.
    """
    masked = _bools(pc.match_substring_regex(values, "[*＊]"))
    values = _name(values)
    failed = _vet(values)
    failed[masked] = codes.MASKED
    return _drop(values, failed)


_DATE = (
    r"(?:(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"
    r"|(?P<y2>\d{4})[ ]?[\-/.年][ ]?(?P<m2>\d{1,2})[ ]?[\-/.月][ ]?(?P<d2>\d{1,2})[ ]?日?)"
    r"(?:[ t]+0{1,2}:00(?::00(?:\.0+)?)?)?"
)
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)


def _digits(parts: pa.Array, names: tuple[str, str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """One named group out of its two places, as int64; 0 where there is no match."""
    first, second = (pc.struct_field(parts, key) for key in names)
    found = pc.if_else(pc.equal(first, ""), second, first)
    found = pc.fill_null(found, "0")
    return np.asarray(pc.cast(found, pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)


def _dates(parts: pa.Array, failed: States) -> pa.Array:
    """yyyymmdd of a parsed struct array; marks what is no calendar date in `failed`."""
    year, month, day = (_digits(parts, (key, f"{key}2")) for key in "ymd")
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    sane = (year >= 1800) & (year <= 2099) & (month >= 1) & (month <= 12) & (day >= 1)
    last = _MONTH_DAYS[np.where(sane, month, 0)] - ((month == 2) & ~leap)
    failed[~(sane & (day <= last)) & (failed == 0)] = codes.WRONG_DATE
    packed = pa.array(year * 10000 + month * 100 + day)
    return packed.cast(pa.large_string())


def date(values: pa.Array) -> Parsed:
    """Calendar date, year first (2001-2-3, 2001/02/03, 20010203, 2001年2月3日), to yyyymmdd."""
    values = _plain(values)
    parts = pc.extract_regex(values, f"^{_DATE}$")
    failed = np.zeros(len(values), dtype=np.uint8)
    failed[~_bools(pc.is_valid(parts))] = codes.WRONG_FORMAT
    failed[_bools(pc.equal(values, ""))] = codes.EMPTY
    return _drop(_dates(parts, failed), failed)


def name_birth_date(values: pa.Array) -> Parsed:
    """Name with a birth date behind it in one column, to `name|yyyymmdd`."""
    masked = _bools(pc.match_substring_regex(values, "[*＊]"))
    values = _plain(values)
    parts = pc.extract_regex(values, rf"^(?P<name>.*?[^\d])[\s,;|/_\-(]*{_DATE}[\s)]*$")
    failed = np.zeros(len(values), dtype=np.uint8)
    failed[~_bools(pc.is_valid(parts))] = codes.WRONG_FORMAT
    failed[_bools(pc.equal(values, ""))] = codes.EMPTY
    born = _dates(parts, failed)
    found, unusable = name(pc.struct_field(parts, "name"))
    failed = np.where((failed == 0) & (unusable != 0), unusable, failed).astype(np.uint8)
    failed[masked] = codes.MASKED
    bar = pa.scalar("|", type=pa.large_string())
    return _drop(pc.binary_join_element_wise(found, born, bar), failed)
