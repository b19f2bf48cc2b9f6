"""What `flows check` says of amounts and currencies that are read, but perhaps not as they were
meant: marks that may part thousands, more decimals than a currency has, codes written otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import ibis

from federated.readers.fillers import WORDS
from profiles.flows.base import source_text
from profiles.flows.currencies import ALIASES, DIGITS, code_of
from profiles.flows.flows import Flows
from profiles.flows.settings import Bound, FlowSettings, Source
from profiles.flows.shown import shown_codes
from profiles.flows.values import add_parts

__all__ = ["CODE_LIKE", "money_notes"]

_WORDS = "|".join(re.escape(word) for word in (*WORDS, *ALIASES))
CODE_LIKE = f"^[A-Za-zＡ-Ｚａ-ｚ]{{3}}$|^[0-9]{{3}}$|^({_WORDS})$"
"""What is shown as a code of a currency however few rows have it: three letters or figures, words
for nothing, names of the yuan."""
_PARTED = 20
"""Fewer amounts with three digits behind a mark are so by chance: features are told of as many."""
_MOST = 8
"""Decimals that are told apart."""


def money_notes(flows: Flows) -> list[str]:
    """A sentence for each thing in amounts and currencies that may be meant otherwise; a pass over
    the amounts of each table."""
    own, found = flows.settings, list[str]()
    for source in own.sources:
        table = flows.engine.columns_of(source)
        said = source_text(table, source, "currency")
        table = table.mutate(_said=said, _code=code_of(said, own.currency, own.currencies))
        found += [f"{source.where} {one}" for one in _currencies(table, source, own)]
        found += [f"{source.where} {one}" for one in _amounts(table, source)]
    for bound in (own.balances, own.orders):
        if bound is not None:
            table = flows.engine.columns_of(bound).mutate(_code=ibis.literal(own.currency))
            found += [f"{bound.where} {one}" for one in _amounts(table, bound)]
    return found


def _currencies(table: Any, source: Source, own: FlowSettings) -> Iterator[str]:
    if "currency" not in source.columns:
        return
    blank = table._said == ""
    other = ~blank & (table._said != table._code)
    none, otherwise = _counts(table, blank, other)
    if none and source.blank_currency == "own":
        yield (
            f"currency: {none:,} rows have none, {own.currency} is taken;"
            ' blank_currency = "refuse" leaves them out'
        )
    if otherwise:
        codes = shown_codes(table.filter(other), "_said", short=CODE_LIKE)
        yield f"currency: {otherwise:,} rows write a code in another way: {codes}"


def _amounts(table: Any, bound: Bound) -> Iterator[str]:
    """Of whole minor units in text there is nothing to say: no mark is read in them."""
    kind = table[bound.columns["amount"]].type()
    of = bound if isinstance(bound, Source) else Source(where="", table="", columns={})
    if kind.is_integer() or (of.minor and kind.is_string()):
        return
    digits = ibis.literal(0)
    if not of.minor:
        by_digits = {n: [c for c, d in DIGITS.items() if d == n] for n in (0, 3)}
        digits = ibis.cases(*((table._code.isin(c), n) for n, c in by_digits.items()), else_=2)
    table = table.mutate(_digits=digits)
    told = _written if kind.is_string() else _numbers
    table = told(table, bound.columns["amount"], of)
    fine = table._decimals > table._digits
    parted = table._three & (table._digits != 3)
    marked, parts, small, whole, more = _counts(
        table, table._decimals_said, parted, table._small, table._whole_said, fine
    )
    if parts == marked >= _PARTED and 0 < small == whole:
        point = of.decimal
        what, other = ("points", ",") if point == "." else ("commas", ".")
        yield (
            f"amount: {parts:,} have {what} that may part thousands (1{point}234 beside 950), and "
            f"are read as fractions; where they do: thousands = {point!r}, decimal = {other!r}"
        )
    if more:
        most = table.filter(fine)._decimals.max().to_pyarrow().as_py()
        said = f"{most} or more" if most == _MOST else f"{most}"
        yield (
            f"amount: {more:,} have more decimals than their currency, up to {said}, and are "
            "rounded"
        )


def _written(table: Any, column: str, of: Source) -> Any:
    """Text: what stands behind the mark, zeros at the end left out."""
    table = add_parts(table, column, decimal=of.decimal, thousands=of.thousands)
    marked = table._good & (table._at >= 0)
    decimals = table._back.re_replace("0+$", "").substr(0, _MOST).length()
    front = table._front.length()
    return table.mutate(
        _decimals_said=marked,
        _three=marked & (front <= 3) & ~table._front.startswith("0") & (table._back.length() == 3),
        _small=table._good & ~marked & (front <= 3),
        _whole_said=table._good & ~marked,
        _decimals=ibis.ifelse(marked, decimals, 0),
    )


def _numbers(table: Any, column: str, of: Source) -> Any:
    """Numbers: how many decimals say them, but for what floats lose."""
    value = table[column].cast("float64")
    fits = ~value.isnan() & (value.abs() < 1e13)
    table = table.mutate(_size=ibis.ifelse(fits, value.abs(), 0.0), _fits=fits)
    size = table._size
    steps = []
    for n in range(_MOST):
        off = (size * 10.0**n - (size * 10.0**n + 0.5).floor()).abs()
        steps.append((off <= 10.0**n * (1e-9 + size * 4e-16), n))
    table = table.mutate(_decimals=ibis.cases(*steps, else_=_MOST))
    fits = table._fits.fill_null(False)
    marked = fits & (table._decimals > 0)
    return table.mutate(
        _decimals_said=marked,
        _three=marked & (table._decimals <= 3) & (size >= 1) & (size < 1000),
        _small=fits & ~marked & (size < 1000),
        _whole_said=fits & ~marked,
    )


def _counts(table: Any, *where: Any) -> list[int]:
    asked = {f"n{i}": one.fill_null(False).sum().fill_null(0) for i, one in enumerate(where)}
    (row,) = table.agg(**asked).to_pyarrow().to_pylist()
    return [int(row[name]) for name in asked]
