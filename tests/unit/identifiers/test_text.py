"""Kernels for plain text and dates against the same by Unicode tables and expressions."""

from __future__ import annotations

import datetime as dt
import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi.identifiers import clean, text
from psi.identifiers.folding import NAME, PLAIN, folded
from psi.protocol.errors import InputError

# Space, mark, or character of a date; what a name may hold beside it.
PIECES = [
    "2000", "1999", "19990229", "20000229", "1", "02", "12", "31", "0", "-", "/", ".", "年", "月",
    "日", " ", "  ", "t", "00:00", "0:00", ":00", ".000", ")", "(", ",", "a", "张", "é", "123",
]  # fmt: skip
DATE = re.compile(
    r"(?:(\d{4})(\d{2})(\d{2})|(\d{4}) ?[-/.年] ?(\d{1,2}) ?[-/.月] ?(\d{1,2}) ?日?)"
    r"(?:[ t]+0{1,2}:00(?::00(?:\.0+)?)?)?",
    re.ASCII,
)
NAMED = re.compile(rf"(.*?[^\d])[\s,;|/_\-(]*{DATE.pattern}[\s)]*", re.ASCII)


def column(rows: list[str]) -> pa.Array:
    return pa.array(rows, pa.large_string())


def untouched(values: pa.Array) -> pa.Array:
    """Rows that the kernel leaves to others stay what they are."""
    return values


@pytest.mark.parametrize("name", [False, True])
def test_plain_characters_fold_as_unicode_says(name: bool) -> None:
    """Every character of ASCII beside every other, and every Chinese one of the kernel's."""
    signs = [chr(point) for point in range(128)]
    rows = [f"a{x}{y}b{y}{x}" for x in signs for y in signs]
    rows += [f" {chr(point)} - {chr(point)}A" for point in range(0x4DF0, 0x9FB0)]
    rows += ["", " ", "'", "张' a", "Ａ", "\u4e00\u0301"]
    table, others = (NAME, text._name_unicode) if name else (PLAIN, text._plain_unicode)
    found = folded(column(rows), table, others, joined=name)
    assert found.equals(others(column(rows)))
    left = folded(column(rows[: 128 * 128]), table, untouched, joined=name)
    assert left.equals(found[: 128 * 128])


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), max_size=12))
def test_dates_are_those_of_the_grammar(rows: list[str]) -> None:
    expected: list[list[str | None]] = [[], []]
    plain = text._plain_unicode(column(rows)).to_pylist()
    for row in plain:
        whole, named = DATE.fullmatch(row), NAMED.fullmatch(row)
        expected[0].append(packed(whole.groups()) if whole else None)
        born = packed(named.groups()[1:]) if named else None
        front = clean(column([named[1] if named else ""]), "name").values[0].as_py()
        expected[1].append(f"{front}|{born}" if front and born else None)
    for kind, wanted in zip(("date", "name_birth_date"), expected, strict=True):
        assert clean(column(rows), kind).values.to_pylist() == wanted


def packed(parts: tuple[str | None, ...]) -> str | None:
    year, month, day = (int(part) for part in parts if part)
    try:
        return f"{dt.date(year, month, day):%Y%m%d}" if 1800 <= year <= 2099 else None
    except ValueError:
        return None


@pytest.mark.parametrize("kind", ["name", "name_birth_date", "text", "date", "email"])
def test_broken_text_is_an_error_that_says_so(kind: str) -> None:
    for broken in (b"\xff", b"\xe5\xbc", b"\xe5\xbc\x20", b"a\xe4\xb8"):
        given = pa.array([b"fine", broken]).cast(pa.large_binary())
        wrong = pa.Array.from_buffers(pa.large_string(), 2, given.buffers())
        with pytest.raises(InputError, match="not valid utf-8"):
            clean(wrong, kind)
