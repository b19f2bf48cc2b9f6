"""What to write into `tables.toml` so that a column of text is read as the numbers that it spells.

Advice is found by trying: a form is named only if it reads the column. No value is shown, only
counts, and of what stands for nothing what is on a public list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.dates import days_in, patterns_of
from federated.readers.fillers import FILLERS
from federated.readers.numbers import CURRENCIES, Spelling, currencies, fitting, spelled
from psi.identifiers.texts import among

__all__ = ["how_dated", "how_to_read", "listed_nulls", "quoted_name", "to_declare"]


def how_to_read(text: pa.ChunkedArray | pa.Array, name: str, *, category: bool = True) -> str:
    """A sentence for a column of text that should be numbers.

    `category`: whether it may also be taken as categories.
    """
    distinct = pc.unique(text).drop_null()
    stand_ins = among(pc.utf8_trim_whitespace(distinct), _FILLERS)
    found = fitting(distinct.filter(pc.invert(stand_ins)))
    as_text = f'types = {{ {quoted_name(name)} = "string" }}'
    if found and found[0][0].kind == "money" and len(currencies(distinct)) > 1:
        return CURRENCIES
    if not found:
        other = f", or take the column as categories: {as_text} in tables.toml"
        return f"clean them{other}" if category else "clean them, or name a column of numbers"
    ways = []
    for form, _ in found[:2]:
        rest = _rest(distinct, form)
        if rest is not None:
            declared = ", ".join(to_declare(name, form, rest))
            ways.append(declared + _meaning(form) * (len(found) > 1))
    if ways:
        told = f"in tables.toml set {' or '.join(ways)}"
        return f"{told}; to take it as categories, {as_text}" if category else told
    form = found[0][0]
    _, wrong = spelled(pa.chunked_array([distinct]), form)
    others = f"clean its {int(wrong.sum()):,} different values that are no numbers"
    if form != Spelling():
        others += f" (the others are, with {', '.join(to_declare(name, form, None))})"
    return f"{others}; to take it as categories, {as_text} in tables.toml" if category else others


def how_dated(text: pa.ChunkedArray | pa.Array, name: str, *, declared: bool = False) -> str:
    """What to do about a column of text that should be days.

    `declared`: whether it was read by `dates` already; another pattern would take its place.
    """
    days = days_in(text)
    wrong = text.filter(pc.and_(pc.is_valid(text), pc.is_null(days)))
    known = declared and days.null_count < len(text)
    if found := () if known else patterns_of(wrong):
        key = quoted_name(name)
        ways = " or ".join(f'dates = {{ {key} = "{pattern}" }}' for pattern in found)
        which = ", by what stands first, the day or the month" * (len(found) > 1)
        return f"in tables.toml set {ways}{which}"
    return "they are written in several ways, or some are no days: write all as 2026-07-31"


def listed_nulls(texts: Sequence[str], gone: Sequence[str]) -> str:
    """The list that `nulls` of a column is to have, which stands in place of any other list.

    `gone` are texts that are taken as missing already.
    """
    every = list(dict.fromkeys((*texts, *gone)))
    return f"[{', '.join(json.dumps(one, ensure_ascii=False) for one in every)}]"


_FILLERS = frozenset(FILLERS)


def to_declare(name: str, form: Spelling, fillers: list[str] | None) -> list[str]:
    """Keys of `tables.toml` for a column: `thousands = { amount = "," }` and the like."""
    key, found = quoted_name(name), []
    if form.kind != "number":
        found.append(f'types = {{ {key} = "{form.kind}" }}')
    if form.decimal != ".":
        found.append(f'decimal = {{ {key} = "{form.decimal}" }}')
    if form.thousands:
        found.append(f'thousands = {{ {key} = "{form.thousands}" }}')
    if not found and not fillers:
        found.append(f'types = {{ {key} = "number" }}')
    if fillers:
        found.append(f"nulls = {{ {key} = {listed_nulls(fillers, ())} }}")
    return found


def quoted_name(name: str) -> str:
    """A column's name as a key of TOML."""
    bare = re.fullmatch(r"[A-Za-z0-9_-]+", name)
    return name if bare else json.dumps(name, ensure_ascii=False)


def _rest(distinct: pa.Array, form: Spelling) -> list[str] | None:
    """What a form does not read, if all of it stands for nothing; None where other text does."""
    _, wrong = spelled(pa.chunked_array([distinct]), form)
    texts = sorted({str(t).strip() for t in distinct.filter(pa.array(wrong)).to_pylist()})
    return texts if set(texts) <= set(FILLERS) else None


def _meaning(form: Spelling) -> str:
    """What a form makes of an example, where two forms fit."""
    example = {",": "1,234 is 1234", ".": "1.234 is 1234"}.get(form.thousands, "")
    if not example and form.decimal == ",":
        example = "1,234 is 1.234"
    return f" ({example})" if example else ""
