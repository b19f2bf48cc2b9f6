"""Types for transactions, as Ibis expressions: the first rule in the taxonomy's order that holds.

    texts, names    each distinct value is held against the patterns once (`_looked_up`)
    merchants       the rules by merchant code alone, as a table of codes (`_by_merchant`)
    rows            the other conditions, and those that go with a text
    type            the least rank of the four; no rule, no type

Each typed row keeps the rule and the taxonomy's version. A reversal cancels its pair: the latest
flow of the same account and amount the other way within 30 days before, which becomes one too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import and_, or_
from typing import Any

import ibis

from profiles.flows.base import Base
from profiles.flows.engine import Keep, as_it_is
from profiles.flows.evidence import with_evidence
from profiles.flows.rules import Rule
from profiles.flows.taxonomy import Taxonomy
from profiles.flows.values import BARE, searched_text

__all__ = [
    "BACK_DAYS",
    "PAIRED",
    "TOLD",
    "classify",
    "holding",
    "pairs_of",
    "ranked",
    "told",
    "with_pairs",
]

BACK_DAYS = 30
PAIRED = "pair of a reversal"
_NONE, _PAIR = 1_000_000, 2_000_000
_SHORT = ("text", "name")
_BLOCK, _BLOCKS = 90, 20
"""Patterns that are looked for together; how many such blocks there are, about, at most."""

TOLD = ("type", "rule", "share", "known", "purpose", "version")
"""What typing adds to a row."""

Looked = Callable[[Rule, str], Any]


def classify(base: Base, taxonomy: Taxonomy) -> Any:
    """The readable rows with `type`, `rule`, `version`, `share`, `known` and `purpose`.

    `type` is "" where no rule holds; `share` is how probable the type is where a rule says less
    than certain; `known` is "purpose", "mechanism" or ""; `purpose` the purpose group.
    """
    rows = ranked(base, taxonomy)
    return told(with_pairs(rows, pairs_of(rows, taxonomy)), taxonomy)


def ranked(base: Base, taxonomy: Taxonomy, keep: Keep = as_it_is) -> Any:
    """The readable rows with `rank`, the place of the first rule that holds: one pass over them.

    Reversals have not met their pairs yet. That looks at the rows once more, so a caller that keeps
    rows on the engine keeps these first (`Flows.kept`).

    Args:
        keep: computes a small table once, such as `Flows.stored`: what texts and names say. Without
            it an engine may hold all rows back until the last text is known.
    """
    rows = base.good
    names = list(rows.columns)
    mixed = [r for r in taxonomy.rules if not any(r.only(what) for what in (*_SHORT, "mcc"))]
    asked = {key for rule in mixed for key in rule.asked}
    with_text = [r for r in mixed if "text" in r.asked]
    with_name = [r for r in mixed if "name" in r.asked]
    rows = rows.mutate(on=_on(rows))
    # every text is looked at, refused rows' as well: what refuses a row is not needed for that
    said = base.rows.mutate(on=_on(base.rows))
    rows = _looked_up(rows, said, "text", taxonomy.rules, with_text, keep)
    if any(r.only("name") for r in taxonomy.rules) or with_name:
        rows = _looked_up(rows, said, "counterparty_name", taxonomy.rules, with_name, keep)
    else:
        rows = rows.mutate(by_name=ibis.literal(_NONE))
    rows = _by_merchant(rows, [r for r in taxonomy.rules if r.only("mcc")], keep)
    rows = with_evidence(base, rows, asked)

    def looked(rule: Rule, what: str) -> Any:
        return rows[f"{what}_{rule.rank}"]

    by_row = _least(mixed, rows, lambda rule: _condition(rule, rows, looked))
    rank = ibis.least(rows.by_text, rows.by_name, rows.by_merchant, by_row).cast("int32")
    return rows.select(*names, rank=rank)


def holding(base: Base, taxonomy: Taxonomy, number: str) -> tuple[dict[str, Any], list[Rule]]:
    """One readable row by its id, and the rules that hold for it, in their order.

    An empty dict where there is no such row.
    """
    one = base.good.filter(base.good.id == number).select("kind", "way", "account")
    sides = one.to_pyarrow().to_pylist()
    if not sides:
        return {}, []
    kind, way = sides[0]["kind"], sides[0]["way"]
    # regularity is seen in the account's other rows
    rows = base.good.filter(base.good.account == sides[0]["account"])
    rules = [rule for rule in taxonomy.rules if rule.kind == kind and way in rule.ways]
    rows = rows.mutate(
        plain=searched_text(rows.text),
        plain_name=searched_text(rows.counterparty_name),
        on=_on(rows),
    )
    rows = with_evidence(base, rows, {key for rule in rules for key in rule.asked})

    def looked(rule: Rule, what: str) -> Any:
        return _patterns(rule, what, rows.plain if what == "text" else rows.plain_name)

    rows = rows.filter(rows.id == number)
    flags = {f"holds_{rule.rank}": _condition(rule, rows, looked) for rule in rules}
    found = rows.mutate(**flags).to_pyarrow().to_pylist()
    hits = [rule for rule in rules if found[0][f"holds_{rule.rank}"]]
    return {k: v for k, v in found[0].items() if not k.startswith("holds_")}, hits


def _looked_up(
    rows: Any, said: Any, column: str, rules: Iterable[Rule], mixed: Iterable[Rule], keep: Keep
) -> Any:
    """What a text column says of each row: the first rule by it alone, and the others' parts.

    `said` has all values of the column beside `on`.
    """
    what = "text" if column == "text" else "name"
    distinct = said.select("on", column).distinct()
    # kept before patterns are looked for: PostgreSQL writes the plain text out again a pattern
    looked = keep(distinct.mutate(plain=searched_text(distinct[column])), f"plain_{what}")
    pure = [rule for rule in rules if rule.only(what)]
    apart = ibis.get_backend(said).name == "postgres"
    first = {f"by_{what}": _first_by(pure, what, looked, apart)}
    parts = {
        f"{what}_{r.rank}": _sided(r, looked) & _patterns(r, what, looked.plain, apart)
        for r in mixed
    }
    looked = looked.select(at_on="on", at_text=column, **first, **parts)
    looked = keep(looked, what)
    if what == "name":  # most say nothing: a small side of the join is looked up sooner
        says = reduce(or_, (looked[name] for name in parts), looked[f"by_{what}"] < _NONE)
        looked = keep(looked.filter(says), "said")
    same = [rows[column] == looked.at_text, rows.on == looked.at_on]
    found = rows.left_join(looked, same).drop("at_on", "at_text")
    none = {name: found[name].fill_null(_NONE) for name in first}
    return found.mutate(**none, **{name: found[name].fill_null(False) for name in parts})


def _by_merchant(rows: Any, rules: Iterable[Rule], keep: Keep) -> Any:
    """`by_merchant`, the first rule by the merchant code alone.

    A table of the codes and a join cost a row less than all their comparisons.
    """
    first: dict[tuple[int, str], int] = {}
    for rule in sorted(rules, key=lambda rule: rule.rank):
        for low, high in rule.mcc or ():
            for code in range(int(low), int(high) + 1):
                for way in rule.ways:
                    side = _SIDES.index((rule.kind, way))
                    first.setdefault((side, f"{code:04d}"), rule.rank)
    if not first:
        return rows.mutate(by_merchant=ibis.literal(_NONE))
    told = {
        "at_on": [on for on, _ in first], "at_code": [code for _, code in first],
        "by_merchant": list(first.values()),
    }  # fmt: skip
    schema = {"at_on": "int8", "at_code": "string", "by_merchant": "int32"}
    codes = keep(ibis.memtable(told, schema=schema), "merchants")
    same = [rows.merchant_code == codes.at_code, rows.on == codes.at_on]
    found = rows.left_join(codes, same).drop("at_on", "at_code")
    return found.mutate(by_merchant=found.by_merchant.fill_null(_NONE))


_SIDES = tuple((kind, way) for kind in ("C", "B", "G") for way in ("in", "out"))


def _on(rows: Any) -> Any:
    """Kind and way as one small number: cheaper to join and compare than two texts."""
    low = ibis.cases((rows.kind == "C", 0), (rows.kind == "B", 2), else_=4)
    return (low + ibis.ifelse(rows.way == "in", 0, 1)).cast("int8")


def _first_by(rules: Iterable[Rule], what: str, table: Any, apart: bool) -> Any:
    """The rank of the first rule of patterns alone that holds for a value in `plain`.

    A block of rules is tried only where one expression of all its patterns finds something: most
    values meet one block, many none. A larger taxonomy has larger blocks, not more of them.
    """
    ordered = sorted(rules, key=lambda rule: rule.rank)
    size = max(_BLOCK, sum(len(getattr(rule, what)) for rule in ordered) // _BLOCKS)
    sides = []
    for on, (kind, way) in enumerate(_SIDES):
        blocks, full = list[list[Rule]](), size
        for rule in ordered:
            if rule.kind == kind and way in rule.ways:
                if full >= size:
                    blocks.append([])
                    full = 0
                blocks[-1].append(rule)
                full += len(getattr(rule, what))
        found = [_in_block(block, what, table.plain, apart) for block in blocks]
        if found:
            sides.append((table.on == on, ibis.coalesce(*found, _NONE)))
    return ibis.cases(*sides, else_=_NONE) if sides else ibis.literal(_NONE)


def _in_block(block: list[Rule], what: str, plain: Any, apart: bool) -> Any:
    """The rank of the first rule of a block that holds, null where none does."""
    some = _any_of((one for rule in block for one in getattr(rule, what)), plain, False)
    first = ibis.cases(*((_patterns(r, what, plain, apart), r.rank) for r in block))
    return ibis.ifelse(some, first, ibis.null("int64"))


def _least(rules: Iterable[Rule], table: Any, condition: Callable[[Rule], Any]) -> Any:
    """The rank of the first rule that holds: rules of one kind and way are tried apart."""
    ordered = sorted(rules, key=lambda rule: rule.rank)
    sides = []
    for on, (kind, way) in enumerate(_SIDES):
        mine = [r for r in ordered if r.kind == kind and way in r.ways]
        if mine:
            inner = ibis.cases(*((condition(r), r.rank) for r in mine), else_=_NONE)
            sides.append((table.on == on, inner))
    return ibis.cases(*sides, else_=_NONE) if sides else ibis.literal(_NONE)


def _patterns(rule: Rule, what: str, plain: Any, apart: bool = False) -> Any:
    """Whether a plain text holds one of the rule's patterns and none of its exceptions."""
    found = _any_of(getattr(rule, what), plain, apart)
    if rule.bare and what == "text":
        found = found & plain.re_search(BARE)
    return found & ~_any_of(rule.without, plain, apart) if rule.without else found


def _any_of(patterns: Iterable[str], plain: Any, apart: bool) -> Any:
    """Whether one of the patterns is in a plain text.

    One expression of all: queries stay short, and it is faster than one pattern after the other.
    PostgreSQL keeps 32 compiled expressions and makes any other anew for each row, so there only
    blocks have one, and their rules look for each pattern `apart`.
    """
    # what `needle` leaves has no marks, so nothing in a pattern means more than itself
    if apart:
        return reduce(or_, (plain.contains(one) for one in patterns))
    return plain.re_search("|".join(dict.fromkeys(patterns)))


def _sided(rule: Rule, table: Any) -> Any:
    return table.on.isin([_SIDES.index((rule.kind, way)) for way in rule.ways])


def _condition(rule: Rule, rows: Any, looked: Looked) -> Any:
    """All that a rule asks of a row of its kind and way."""
    parts = [looked(rule, what) for what in _SHORT if what in rule.asked]
    if rule.code is not None:
        parts.append(rows.code.isin(list(rule.code)))
    if rule.channel is not None:
        parts.append(rows.channel.isin(list(rule.channel)))
    if rule.mcc is not None:
        parts.append(
            reduce(
                or_,
                (
                    rows.merchant_code == low
                    if low == high
                    else (rows.merchant_code.length() == 4)
                    & (rows.merchant_code >= low)
                    & (rows.merchant_code <= high)
                    for low, high in rule.mcc
                ),
            )
        )
    if rule.counterparty_kind is not None:
        parts.append(rows.side.isin(list(rule.counterparty_kind)))
    if rule.order is not None:
        parts.append(rows.order_category.isin(list(rule.order)))
    if rule.amounts is not None:
        parts.append(rows.minor.isin(list(rule.amounts)))
    for bounds, name in (
        (rule.amount, "minor"),
        (rule.age, "age"),
        (rule.days, "day_of_month"),
        (rule.hours, "hour"),
    ):
        if bounds is not None:
            parts.append(rows[name].between(*bounds))
    if rule.month_end is not None:
        parts.append(rows.last_day == rule.month_end)
    if rule.regular is not None:
        parts.append(rows.months >= rule.regular)
    if rule.own == "known":
        parts.append(rows.own_here)
    elif rule.own == "name":
        parts.append(rows.own_name & ~rows.own_here)
    return reduce(and_, parts)


def told(rows: Any, taxonomy: Taxonomy, keep: Keep = as_it_is) -> Any:
    """Rows with what their rank stands for in place of it.

    Args:
        keep: computes a small table once, such as `Flows.stored`. Of a table that it holds an
            engine knows the size: of one that is handed in DuckDB takes the join for a few rows,
            and later joins then hold all rows in memory instead of the smaller side.
    """
    meaning = keep(_meaning(taxonomy), "meaning")
    found = rows.inner_join(meaning, rows["rank"] == meaning.of).drop("rank", "of")
    return found.mutate(version=ibis.literal(taxonomy.version))


def _meaning(taxonomy: Taxonomy) -> Any:
    """What each rank stands for, as a table: a rule, a rule whose row undoes this one, or none."""
    kinds = {one.code: one for one in taxonomy}
    lines = [
        (r.rank, r.type, r.id, r.share, kinds[r.type].known, kinds[r.type].group)
        for r in taxonomy.rules
    ]
    lines += [
        (_PAIR + r.rank, r.type, PAIRED, 1.0, "mechanism", "unknown")
        for r in taxonomy.rules
        if kinds[r.type].reversal
    ]
    lines.append((_NONE, "", "", 0.0, "", "unknown"))
    names = ("of", "type", "rule", "share", "known", "purpose")
    schema = {"of": "int32", "share": "float64"}
    columns = dict(zip(names, map(list, zip(*lines, strict=True)), strict=True))
    return ibis.memtable(columns, schema={n: schema.get(n, "string") for n in names})


def pairs_of(rows: Any, taxonomy: Taxonomy, keep: Keep = as_it_is) -> Any:
    """What reversals undo: id (`undone`) and the rank that it then has (`undone_as`).

    Args:
        keep: computes the few reversals once, so that an engine knows that they are few.
    """
    reversals = [r.rank for r in taxonomy.rules if taxonomy[r.type].reversal]
    backs = rows.filter(rows["rank"].isin(reversals)).select(
        back="id", back_account="account", back_way="way", back_minor="minor", back_day="day",
        undone_as=(rows["rank"] + _PAIR).cast("int32"),
    )  # fmt: skip
    backs = keep(backs, "backs")
    other = rows.filter(~rows["rank"].isin(reversals))
    other = other.select("id", "account", "way", "minor", "day")
    near = other.inner_join(
        backs,
        [
            other.account == backs.back_account,
            other.minor == backs.back_minor,
            other.way != backs.back_way,
            other.day <= backs.back_day,
            other.day >= backs.back_day - ibis.interval(days=BACK_DAYS),
        ],
    )
    latest = ibis.window(group_by="back", order_by=[ibis.desc("day"), ibis.desc("id")])
    near = near.mutate(place=ibis.row_number().over(latest))
    near = near.filter(near.place == 0).drop("place")
    first = ibis.window(group_by="id", order_by=["back_day", "back"])
    near = near.mutate(place=ibis.row_number().over(first))
    return near.filter(near.place == 0).select(undone="id", undone_as="undone_as")


def with_pairs(rows: Any, pairs: Any) -> Any:
    """Rows whose rank says that a reversal undoes them, where one does."""
    found = rows.left_join(pairs, rows.id == pairs.undone)
    rank = ibis.coalesce(found.undone_as, found["rank"]).cast("int32")
    return found.mutate(rank=rank).drop("undone", "undone_as")
