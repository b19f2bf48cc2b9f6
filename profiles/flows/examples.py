"""`flows taxonomy check`: each type's own examples, played through the typing itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from federated.readers import arrow_expression, duckdb_connection
from profiles.flows.base import Base
from profiles.flows.classify import classify
from profiles.flows.rules import Rule
from profiles.flows.settings import FlowSettings
from profiles.flows.taxonomy import Taxonomy

__all__ = ["Findings", "check_taxonomy", "types_of_texts"]

_COLUMNS = (
    "source", "currency", "counterparty_account", "counterparty_name", "counterparty_bank",
    "counterparty_kind", "channel", "code", "merchant_code", "branch", "owner", "refused", "unread",
)  # fmt: skip


@dataclass(frozen=True)
class Findings:
    """What a taxonomy's check found: sentences, none where all is well."""

    texts: int
    rules: int
    wrong: tuple[str, ...]


def check_taxonomy(taxonomy: Taxonomy) -> Findings:
    """Match and near texts, and rules that can never fire.

    A text of `match` has to get its type where nothing but the text is known, one of `near` must
    not. A rule can never fire where each of its patterns holds another's that is tried before it
    and has no exception, where it excludes its own patterns, or where no merchant code is left.
    """
    asked, wrong = list[tuple[str, str, str, str, bool]](), list[str]()
    for one in taxonomy:
        if any("text" in rule.asked for rule in one.rules):
            asked += [(one.kind, one.ways[0], t, one.code, True) for t in one.match]
        asked += [(one.kind, one.ways[0], t, one.code, False) for t in one.near]
    found = types_of_texts(taxonomy, [(kind, way, text) for kind, way, text, _, _ in asked])
    for (_, _, text, code, match), got in zip(asked, found, strict=True):
        if match and got != code:
            wrong.append(f"{code}: {text!r} should match, it is {got or 'untyped'}")
        if not match and got == code:
            wrong.append(f"{code}: {text!r} is a near miss, it matches")
    wrong += _never(taxonomy)
    return Findings(len(asked), len(taxonomy.rules), tuple(wrong))


def types_of_texts(taxonomy: Taxonomy, texts: list[tuple[str, str, str]]) -> list[str]:
    """The type of each (kind, way, text) of which nothing else is known."""
    count = len(texts)
    none = pa.nulls(count, pa.date32())
    table = pa.table(
        {
            "id": [f"{i:09d}" for i in range(count)],
            "account": [f"account {i}" for i in range(count)],
            "entity": [f"entity {i}" for i in range(count)],
            "kind": [kind for kind, _, _ in texts],
            "way": [way for _, way, _ in texts],
            "text": [text for _, _, text in texts],
            "minor": pa.array([123_457] * count, pa.int64()),
            "day": pa.array([19_000] * count, pa.int32()).cast(pa.date32()),
            "second": pa.array([0] * count, pa.int32()),
            "born": none,
            **{name: [""] * count for name in _COLUMNS},
        }
    )
    rows = arrow_expression(duckdb_connection(), "texts", table)
    settings = FlowSettings(
        name="texts", file=Path("texts"), currency="CNY", zone="UTC", sources=()
    )
    typed: Any = classify(Base(settings, rows, None, None), taxonomy)
    said = typed.select("id", "type").order_by("id").to_pyarrow()
    return [str(code) for code in said["type"].to_pylist()]


def _never(taxonomy: Taxonomy) -> list[str]:
    return [
        f"{rule.type}: rule {rule.id!r} can never fire: {why}"
        for rule in taxonomy.rules
        if (why := _why_never(rule, taxonomy.rules))
    ]


def _why_never(rule: Rule, rules: tuple[Rule, ...]) -> str:
    for what in ("text", "name"):
        patterns = getattr(rule, what)
        if not patterns:
            continue
        if all(any(one in pattern for one in rule.without) for pattern in patterns):
            return f"its exceptions exclude each of its patterns of {what}"
        before = [
            r
            for r in rules
            if r.rank < rule.rank
            and r.only(what)
            and not r.without
            and r.kind == rule.kind
            and set(rule.ways) <= set(r.ways)
        ]
        covered = {
            pattern: r for pattern in patterns for r in before
            for one in getattr(r, what) if one in pattern
        }  # fmt: skip
        if len(covered) == len(patterns):
            other = covered[patterns[0]]
            return f"{other.type} ({other.id}) takes each of its patterns before it"
    if rule.only("mcc"):
        earlier = [
            pair
            for r in rules
            if r.rank < rule.rank and r.only("mcc") and r.kind == rule.kind
            and set(rule.ways) <= set(r.ways)
            for pair in r.mcc or ()
        ]  # fmt: skip
        if all(any(a <= low and high <= b for a, b in earlier) for low, high in rule.mcc or ()):
            return "its merchant codes are taken before it"
    return ""
