"""What typing found: shares by count and amount, types, and the largest texts that have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis

from federated.text import plain
from profiles.flows.classify import PAIRED
from profiles.flows.rules import needle
from profiles.flows.taxonomy import Taxonomy

__all__ = ["Reversals", "Untyped", "nearest", "reversals", "shares", "type_table", "untyped"]

FEW = 5
"""An untyped text is shown where so many entities have it: what is rarer may name a person."""


@dataclass(frozen=True)
class Untyped:
    """A text that no rule takes: rows and minor units, and the types whose texts are most alike."""

    kind: str
    way: str
    text: str
    rows: int
    minor: int
    near: tuple[str, ...]


@dataclass(frozen=True)
class Reversals:
    """Rows that undo another, how many of them found none to cancel, and those ones' minor units:
    a part of an amount, what is undone before it was booked or more than 30 days later."""

    rows: int
    alone: int
    minor: int


def reversals(typed: Any, taxonomy: Taxonomy) -> Reversals:
    """Reversals, and what of them is not cancelled. A pair has one amount, so sums tell.

    Args:
        typed: with type, rule and minor.
    """
    back = typed.filter(typed.type.isin([one.code for one in taxonomy if one.reversal]))
    (found,) = back.agg(
        all=back.count(),
        pairs=back.count(where=back.rule == PAIRED),
        minor=back.minor.sum().fill_null(0),
        undone=back.minor.sum(where=back.rule == PAIRED).fill_null(0),
    ).to_pyarrow().to_pylist()  # fmt: skip
    rows = int(found["all"]) - int(found["pairs"])
    alone = rows - int(found["pairs"])
    return Reversals(rows, alone, int(found["minor"]) - 2 * int(found["undone"]))


def shares(typed: Any) -> dict[str, float]:
    """The shares of rows and of money of which mechanism, and purpose, are known; 0 to 1."""
    purpose = typed.known == "purpose"
    some = typed.known != ""
    found = typed.agg(
        rows=typed.count(),
        money=typed.minor.sum().fill_null(0),
        some_rows=some.sum().fill_null(0),
        some_money=typed.minor.sum(where=some).fill_null(0),
        purpose_rows=purpose.sum().fill_null(0),
        purpose_money=typed.minor.sum(where=purpose).fill_null(0),
    ).to_pyarrow().to_pylist()[0]  # fmt: skip
    rows, money = max(int(found["rows"]), 1), max(int(found["money"]), 1)
    return {
        "rows": float(found["rows"]),
        "mechanism known, rows": float(found["some_rows"]) / rows,
        "mechanism known, money": float(found["some_money"]) / money,
        "purpose known, rows": float(found["purpose_rows"]) / rows,
        "purpose known, money": float(found["purpose_money"]) / money,
    }


def type_table(typed: Any) -> Any:
    """A row a kind, type and way: rows, entities, minor units; largest first."""
    keys = ["kind", "type", "way"]
    each = typed.group_by([*keys, "entity"]).agg(rows=typed.count(), minor=typed.minor.sum())
    found = each.group_by(keys).agg(
        rows=each.rows.sum().cast("int64"),
        minor=each.minor.sum().cast("int64"),
        entities=each.count(),
    )
    return found.order_by(ibis.desc("minor"), "kind", "type", "way")


def untyped(typed: Any, taxonomy: Taxonomy, count: int = 20) -> list[Untyped]:
    """The largest untyped texts that at least five entities have, with the nearest types."""
    rows = typed.filter((typed.type == "") & (typed.text != ""))
    keys = ["kind", "way", "text"]
    one = rows.group_by(keys).agg(rows=rows.count(), minor=rows.minor.sum())
    pairs = rows.select(*keys, "entity").distinct()
    other = pairs.group_by(keys).agg(entities=pairs.count())
    other = other.rename(k="kind", w="way", t="text").filter(lambda t: t.entities >= FEW)
    found = one.join(other, [one.kind == other.k, one.way == other.w, one.text == other.t])
    found = found.order_by(ibis.desc("minor"), "text").limit(count)
    return [
        Untyped(
            row["kind"], row["way"], plain(row["text"], 60), int(row["rows"]), int(row["minor"]),
            tuple(nearest(taxonomy, row["kind"], row["way"], row["text"])),
        )
        for row in found.to_pyarrow().to_pylist()
    ]  # fmt: skip


def nearest(taxonomy: Taxonomy, kind: str, way: str, text: str, count: int = 2) -> list[str]:
    """The types of a kind and way whose examples share most pairs of characters with a text."""
    asked = _pairs(needle(text[:200]))
    scored = []
    for one in taxonomy:
        if one.kind == kind and way in one.ways:
            own = [_pairs(needle(example)) for example in one.match]
            best = max(len(asked & pairs) / max(len(asked | pairs), 1) for pairs in own)
            scored.append((-best, one.code))
    return [code for score, code in sorted(scored)[:count] if score < 0]


def _pairs(text: str) -> set[str]:
    text = text.strip()
    return {text[i : i + 2] for i in range(max(len(text) - 1, 1))}
