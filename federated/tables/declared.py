"""How a table of `tables.toml` is written: its CSV format, and the forms of its values.

Each of `nulls`, `decimal` and `thousands` is one value for the whole table, or a table of
column = value, in which "*" stands for all other columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from federated.readers.base import CsvFormat
from federated.readers.dates import check_pattern
from federated.readers.settle import TYPES, Declared
from psi.protocol.errors import JobError, MisuseError

__all__ = ["FORM_KEYS", "TYPES", "csv_format", "read_declared"]

FORM_KEYS = ("types", "nulls", "decimal", "thousands", "dates", "quote", "escape")
"""Keys of a section that are read here, beside `encoding` and `delimiter`."""

_DECIMAL = (".", ",")
_THOUSANDS = ("", ",", ".", " ", "'", "_")
_EVERY = "*"


def read_declared(where: str, entry: Mapping[str, Any]) -> Declared:
    """The forms that a section declares.

    Raises:
        JobError: names the key, what was found and what is allowed.
    """
    types = _by_column(where, "types", entry.get("types", {}), TYPES)
    decimal = _by_column(where, "decimal", entry.get("decimal", {}), _DECIMAL)
    thousands = _by_column(where, "thousands", entry.get("thousands", {}), _THOUSANDS)
    for column in {*decimal, *thousands}:
        mark = decimal.get(column, decimal.get("", "."))
        if mark == thousands.get(column, thousands.get("", "")):
            raise JobError(f"{where} decimal, thousands: both are {mark!r}, two marks needed")
    dates = _by_column(where, "dates", entry.get("dates", {}))
    for column, pattern in dates.items():
        try:
            check_pattern(pattern)
        except MisuseError as error:
            raise JobError(f"{where} dates.{column}: {error.message}", hint=error.hint) from None
    return Declared(types, _nulls(where, entry.get("nulls")), decimal, thousands, dates)


def csv_format(where: str, entry: Mapping[str, Any]) -> CsvFormat:
    """How the section's CSV files are written. Raises `JobError`."""
    encoding = entry.get("encoding") or "utf-8"
    try:
        "".encode(encoding)
    except LookupError:
        raise JobError(
            f"{where} encoding: found {encoding!r}, allowed: a Python codec such as utf-8, gbk"
        ) from None
    tabs = ".tsv" in str(entry.get("path", "")).lower()
    delimiter = entry.get("delimiter") or ("\t" if tabs else ",")
    found = {"delimiter": delimiter, "quote": entry.get("quote", '"')}
    found["escape"] = entry.get("escape", "")
    for key, mark in found.items():
        none = key != "delimiter" and mark == ""
        if not none and not (isinstance(mark, str) and re.fullmatch(r"[\t -/:-@\[-`{-~]", mark)):
            allowed = "one mark of ASCII, or a tab" + ', or "" for none' * (key != "delimiter")
            raise JobError(f"{where} {key}: found {mark!r}, allowed: {allowed}")
    if len({mark for mark in found.values() if mark}) < sum(map(bool, found.values())):
        raise JobError(f"{where} delimiter, quote, escape: two are the same character")
    return CsvFormat(encoding, **found)


def _nulls(where: str, found: object) -> dict[str, tuple[str, ...]]:
    if found is None:
        return {}
    every = found if isinstance(found, dict) else {_EVERY: found}
    result = {}
    for column, texts in every.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise JobError(
                f"{where} nulls: a list of strings is needed, or a table of column = list"
            )
        result["" if column == _EVERY else column] = tuple(texts)
    return result


def _by_column(
    where: str, key: str, found: object, allowed: tuple[str, ...] = ()
) -> dict[str, str]:
    """Values by column, of one string for all (not of types and dates) or a table."""
    one = key in ("decimal", "thousands")
    every = {_EVERY: found} if one and isinstance(found, str) else found
    if not isinstance(every, dict) or not all(isinstance(v, str) for v in every.values()):
        needed = "a string, or a table of column = string," if one else "a table of column = string"
        raise JobError(f"{where} {key}: {needed} is needed")
    for column, value in every.items():
        if allowed and value not in allowed:
            close = get_close_matches(value, allowed, n=1, cutoff=0.5)
            shown = ", ".join(entry or '""' for entry in allowed)
            if one:
                shown = ", ".join(f'"{entry}"' for entry in allowed)
            place = key if column == _EVERY and one else f"{key}.{column}"
            raise JobError(
                f"{where} {place}: found {value!r}, allowed: {shown}",
                hint=f"did you mean {close[0]}?" if close and not one else "",
            )
    return {"" if column == _EVERY and one else column: value for column, value in every.items()}
