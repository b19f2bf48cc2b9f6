"""The base model: a bank's transactions under one set of names, and what could not be read.

One row a transaction, in Ibis, on the engine that holds the tables:

    id, source, account, entity, kind (C, B, G), branch, owner, born,
    way (in, out), minor (int64, above 0), day (date), second (of the day), currency,
    counterparty_account, counterparty_name, counterparty_bank, counterparty_kind,
    channel, code, merchant_code, text, refused, unread

Texts are "" where there is none. `refused` is "" or why the row is left out; nothing is left out
without being counted. `unread` is the amount, time, currency or code of direction for which it is.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

import ibis

from profiles.flows.currencies import DIGITS, code_of
from profiles.flows.engine import Engine
from profiles.flows.settings import PRODUCTS, Bound, FlowSettings, Source
from profiles.flows.times import add_day, carries_zone, half_days
from profiles.flows.values import add_minor, as_number, as_text

__all__ = [
    "ABSENT",
    "CONFLICT",
    "HALF_DAYS",
    "NO_AMOUNT",
    "NO_DAY",
    "NO_RATE",
    "UNKNOWN_CODE",
    "ZONED",
    "Base",
    "base_model",
    "source_text",
]

ABSENT = "the account is not in the table of accounts"
REPEATED = "this row came before"
CONFLICT = "this id came before, with another account, amount, direction or day"
NO_DAY = "no day, or none that can be read"
NO_AMOUNT = "no amount, or none that can be read"
NO_RATE = "no rate for the currency"
UNKNOWN_CODE = "an unknown code of direction"
ZONED = "the time is a text that carries a zone"
HALF_DAYS = "the time is by a clock of twelve hours (AM, PM)"
_TEXTS = (
    "counterparty_account",
    "counterparty_name",
    "counterparty_bank",
    "counterparty_kind",
    "channel",
    "code",
    "merchant_code",
    "text",
)


@dataclass(frozen=True)
class Base:
    """All rows, refused ones included, and the tables beside them.

    `accounts`: account, entity, kind, branch, owner, opened, closed, died, born. `orders`: account,
    counterparty_account, minor, category. `balances`: account, entity, kind, product, day, minor,
    the level from that day on. None where a flow binds none. `before`: nothing of that day or later
    is known here.
    """

    settings: FlowSettings
    rows: Any
    accounts: Any | None
    orders: Any | None
    balances: Any | None = None
    before: dt.date | None = None

    @property
    def good(self) -> Any:
        """The rows that could be read."""
        return self.rows.filter(self.rows.refused == "").drop("refused", "unread")


def base_model(settings: FlowSettings, engine: Engine, before: dt.date | None = None) -> Base:
    """The base model of a flow; only ids are read yet, to know whether one comes again.

    Args:
        before: what is of that day or later is not known: rows, accounts, their ends, balances,
            standing orders. Orders without a `since` are left out then, since nothing says when
            they were given.

    Raises:
        InputError: a column that is not there.
    """
    parts = [_source(settings, one, engine) for one in settings.sources]
    rows = parts[0] if len(parts) == 1 else reduce(lambda a, b: a.union(b), parts)
    if before is not None:  # before all else: an id that comes again later must not matter
        rows = rows.filter(rows.day < ibis.literal(before))
    rows = _rated(settings, rows, engine)
    accounts = _accounts(settings, engine, before)
    rows = _owned(rows, accounts)
    if _repeated(settings, engine):
        rows = _once(rows)
    orders = _orders(settings, engine, before)
    return Base(
        settings, rows, accounts, orders, _balances(settings, engine, accounts, before), before
    )


def _source(settings: FlowSettings, source: Source, engine: Engine) -> Any:
    table = engine.columns_of(source)
    said = source_text(table, source, "currency")
    table = table.select(
        id=source_text(table, source, "id"),
        account=source_text(table, source, "account"),
        currency=code_of(said, settings.currency, settings.currencies),
        blank=(said == "") if source.blank_currency == "refuse" else ibis.literal(False),
        side=source_text(table, source, "direction"),
        _amount=table[source.columns["amount"]],
        _time=table[source.columns["time"]],
        **{name: source_text(table, source, name) for name in _TEXTS},
    )
    odd = {n: [c for c, d in DIGITS.items() if d == n] for n in (0, 3)}
    digits = ibis.cases(*((table.currency.isin(odd[n]), n) for n in odd), else_=2).cast("int64")
    table = add_minor(
        table.mutate(digits=digits), "_amount", "signed",
        decimal=source.decimal, thousands=source.thousands, minor=source.minor,
    )  # fmt: skip
    table = add_day(table, "_time", "day", source.dates, source.stored_zone, settings.zone)
    below = ibis.literal(False)
    if source.inward or source.outward:
        table = table.mutate(way=_side(table.side, source))
        if source.negative == "reverse":
            turned = ibis.cases((table.way == "in", "out"), (table.way == "out", "in"), else_="")
            table = table.mutate(way=ibis.ifelse(table.signed < 0, turned, table.way))
        else:
            below = table.signed < 0
    else:
        other = "out" if source.positive == "in" else "in"
        table = table.mutate(way=ibis.ifelse(table.signed > 0, source.positive, other))
    timeless = table.day.isnull()
    refused = ibis.cases(
        (table.id == "", "no id"),
        (table.account == "", "no account"),
        (timeless & carries_zone(table._time, source.dates), ZONED),
        (timeless & half_days(table._time, source.dates), HALF_DAYS),
        (timeless, NO_DAY),
        (table.signed.isnull(), NO_AMOUNT),
        (table.signed == 0, "the amount is zero"),
        (below, "the amount is negative beside a direction"),
        (table.way == "", UNKNOWN_CODE),
        (table.blank, "no currency"),
        else_="",
    )
    table = table.mutate(refused=refused)
    why = table.refused
    unread = ibis.cases(
        (why == NO_AMOUNT, as_text(table._amount)), (why == NO_DAY, as_text(table._time)),
        (why == UNKNOWN_CODE, table.side), else_="",
    )  # fmt: skip
    number = table.id
    if len(settings.sources) > 1:  # ids of two tables may be the same
        number = ibis.literal(f"{source.table}/") + table.id
    return table.select(
        "account",
        "way",
        "digits",
        "day",
        "currency",
        *_TEXTS,
        id=number,
        source=ibis.literal(source.table),
        minor=table.signed.abs().fill_null(0),
        second=table.day_second,
        refused=why,
        unread=unread,
    )


def _side(code: Any, source: Source) -> Any:
    """ "in", "out", or "" for a code that is not declared; `*` stands for all others."""
    found, sides = [], (("in", source.inward), ("out", source.outward))
    for side, codes in sides:
        named = [one for one in codes if one != "*"]
        if named:
            found.append((code.isin(named), side))
    rest = next((side for side, codes in sides if "*" in codes), "")
    return ibis.cases(*found, else_=rest) if found else ibis.literal(rest)


def _rated(settings: FlowSettings, rows: Any, engine: Engine) -> Any:
    """Amounts in the currency of totals; rows whose currency has no rate on their day refused."""
    known = rows.currency == settings.currency
    if settings.rates is None:
        if all("currency" not in one.columns for one in settings.sources) and all(
            one.fixed.get("currency", settings.currency) == settings.currency
            for one in settings.sources
        ):
            return rows.drop("digits")
        return _unrated(rows, ~known).drop("digits")
    bound, table = settings.rates, engine.columns_of(settings.rates)
    since: Any = ibis.date(1, 1, 1)
    if "since" in bound.columns:
        table = _dated(settings, table, bound.columns["since"], "since_day")
        since = table.since_day
    rates = table.select(
        rated=code_of(source_text(table, bound, "currency"), "", settings.currencies),
        rate=as_number(table[bound.columns["rate"]]),
        since=since,
    )
    order = ibis.window(group_by="rated", order_by="since")
    far = ibis.date(9999, 12, 31)
    rates = rates.filter((rates.rate > 0) & rates.since.notnull())
    # two rates of one day: the lower, whatever order the rows have
    rates = rates.group_by(["rated", "since"]).agg(rate=rates.rate.min())
    rates = rates.mutate(until=rates.since.lead().over(order).fill_null(far))
    inside = (rows.currency == rates.rated) & (rows.day >= rates.since) & (rows.day < rates.until)
    joined = rows.left_join(rates, inside)
    scale = ibis.cases((joined.digits == 0, 1.0), (joined.digits == 3, 1000.0), else_=100.0)
    value = joined.minor.cast("float64") / scale * joined.rate * float(10**settings.digits)
    known = joined.currency == settings.currency
    minor = ibis.ifelse(known, joined.minor, (value.fill_null(0.0) + 0.5).floor().cast("int64"))
    joined = _unrated(joined.mutate(minor=minor), ~known & joined.rate.isnull())
    return joined.drop("digits", "rated", "rate", "since", "until")


def _unrated(rows: Any, without: Any) -> Any:
    """Rows without a rate refused, the code beside."""
    without = (rows.refused == "") & without
    unread = ibis.ifelse(without, rows.currency, rows.unread)
    return rows.mutate(refused=ibis.ifelse(without, NO_RATE, rows.refused), unread=unread)


def _accounts(settings: FlowSettings, engine: Engine, before: dt.date | None) -> Any | None:
    """One row an account; the first of several by their text, counted by `check`."""
    bound = settings.accounts
    if bound is None:
        return None
    table = engine.columns_of(bound)
    days: dict[str, Any] = {}
    for name in ("opened", "closed", "died", "born"):
        if name in bound.columns:
            table = _dated(settings, table, bound.columns[name], f"day_{name}")
        days[name] = f"day_{name}" if name in bound.columns else ibis.null("date")
    account = source_text(table, bound, "account")
    entity = source_text(table, bound, "entity") if "entity" in bound.columns else account
    kind = source_text(table, bound, "kind")
    if settings.account_kinds:
        kind = ibis.cases(*((kind == c, k) for c, k in settings.account_kinds.items()), else_="")
    kind = ibis.ifelse(kind.isin(["C", "B", "G"]), kind, "C") if "kind" in bound.columns else kind
    kind = kind if "kind" in {*bound.columns, *bound.fixed} else ibis.literal("C")
    found = table.select(
        account=account,
        entity=entity,
        kind=kind,
        branch=source_text(table, bound, "branch"),
        owner=source_text(table, bound, "name"),
        **{n: table[d] if isinstance(d, str) else d for n, d in days.items()},
    )
    if before is not None:
        cut = ibis.literal(before)
        found = found.filter(found.opened.isnull() | (found.opened < cut))
        ends = {n: found[n] for n in ("closed", "died")}
        none = ibis.null("date")
        found = found.mutate(**{n: ibis.ifelse(d < cut, d, none) for n, d in ends.items()})
    if not _twice(found.select("account")):
        return found.filter(found.account != "")
    first = ibis.window(group_by="account", order_by=["entity", "kind", "branch", "owner"])
    found = found.mutate(place=ibis.row_number().over(first))
    return found.filter((found.place == 0) & (found.account != "")).drop("place")


def _owned(rows: Any, accounts: Any | None) -> Any:
    """Each row with its account's owner; rows outside the account's life are refused."""
    if accounts is None:
        none = {"branch": ibis.literal(""), "owner": ibis.literal(""), "born": ibis.null("date")}
        return rows.mutate(entity=rows.account, kind=ibis.literal("C"), **none)
    held = accounts.rename(held="account")
    joined = rows.left_join(held, rows.account == held.held)
    early = joined.opened.notnull() & (joined.day < joined.opened)
    late = joined.closed.notnull() & (joined.day > joined.closed)
    fine = joined.refused == ""
    refused = ibis.cases(
        (fine & joined.held.isnull(), ABSENT),
        (fine & early, "before the account was opened"),
        (fine & late, "after the account was closed"),
        else_=joined.refused,
    )
    joined = joined.mutate(
        refused=refused,
        **{n: joined[n].fill_null("") for n in ("entity", "branch", "owner")},
        kind=joined.kind.fill_null("C"),
    )
    return joined.drop("held", "opened", "closed", "died")


def _repeated(settings: FlowSettings, engine: Engine) -> bool:
    """Whether an id comes twice in one source: most often none does, and nothing has to be done."""
    for source in settings.sources:
        table = engine.columns_of(source)
        number = source_text(table, source, "id")
        if "id" in source.columns and not table[source.columns["id"]].type().is_string():
            number = table[source.columns["id"]]  # as it is: no text has to be made of it
        if _twice(table.select(id=number)):
            return True
    return False


def _twice(table: Any) -> bool:
    """Whether a value of a table of one column comes again: most often none does."""
    name = table.columns[0]
    counts = table.group_by(name).agg(n=table.count())
    return bool(counts.filter(counts.n > 1).limit(1).count().to_pyarrow().as_py())


def _once(rows: Any) -> Any:
    """An id that comes again is refused: the first stays, by day, then by what else differs.

    What differs in account, amount, direction or day is no repeated row, and counted by another
    reason: the id does not name one transaction.
    """
    more = rows.group_by("id").agg(copies=rows.count())
    more = more.filter(more.copies > 1).select(again="id")
    marked = rows.left_join(more, rows.id == more.again)
    alone = marked.filter(marked.again.isnull()).drop("again")
    several = marked.filter(marked.again.notnull()).drop("again")
    order = ["refused", "day", "second", "account", "way", "minor", "text"]
    place = ibis.row_number().over(ibis.window(group_by="id", order_by=order))
    several = several.mutate(place=place)
    told = ("account", "way", "minor", "day", "currency")
    first = several.filter((several.place == 0) & (several.refused == ""))
    first = first.select(of="id", **{f"first_{name}": name for name in told})
    several = several.left_join(first, several.id == first.of)
    same = reduce(and_, (several[name] == several[f"first_{name}"] for name in told))
    later = (several.place > 0) & (several.refused == "")
    why = ibis.ifelse(same, REPEATED, CONFLICT)
    several = several.mutate(refused=ibis.ifelse(later, why, several.refused))
    return alone.union(several.select(*alone.columns))


def _orders(settings: FlowSettings, engine: Engine, before: dt.date | None) -> Any | None:
    bound = settings.orders
    if bound is None or (before is not None and "since" not in bound.columns):
        return None
    table = engine.columns_of(bound)
    if before is not None:
        table = _dated(settings, table, bound.columns["since"], "since_day")
        table = table.filter(table.since_day < ibis.literal(before))
    table = table.mutate(digits=ibis.literal(settings.digits, "int64"))
    table = add_minor(table, bound.columns["amount"], "signed")
    return table.select(
        account=source_text(table, bound, "account"),
        counterparty_account=source_text(table, bound, "counterparty_account"),
        minor=table.signed.abs(),
        category=source_text(table, bound, "category"),
    )


def _balances(
    settings: FlowSettings, engine: Engine, accounts: Any | None, before: dt.date | None
) -> Any | None:
    """The last level of a day of each account and product, with the account's owner."""
    bound = settings.balances
    if bound is None:
        return None
    table = engine.columns_of(bound)
    table = table.mutate(digits=ibis.literal(settings.digits, "int64"))
    table = add_minor(table, bound.columns["amount"], "signed")
    table = _dated(settings, table, bound.columns["day"], "level_day")
    product = source_text(table, bound, "product")
    given = "product" in {*bound.columns, *bound.fixed}
    if settings.balance_products:
        known = settings.balance_products.items()
        product = ibis.cases(*((product == c, p) for c, p in known), else_="")
    table = table.select(
        account=source_text(table, bound, "account"),
        product=product if given else ibis.literal("deposit"),
        day=table.level_day,
        minor=table.signed,
    )
    table = table.filter(table.day.notnull() & table.minor.notnull() & table.product.isin(PRODUCTS))
    if before is not None:
        table = table.filter(table.day < ibis.literal(before))
    keys = ["account", "product", "day"]
    # two levels of one day: the lower, whatever order the rows have
    table = table.group_by(keys).agg(minor=table.minor.min())
    if accounts is None:
        return table.mutate(entity=table.account, kind=ibis.literal("C"))
    held = accounts.select(held="account", entity="entity", kind="kind")
    return table.inner_join(held, table.account == held.held).drop("held")


def _dated(settings: FlowSettings, table: Any, column: str, made: str) -> Any:
    return add_day(table, column, made, "yyyy-mm-dd", settings.zone, settings.zone)


def source_text(table: Any, bound: Bound, name: str) -> Any:
    """What a section calls by this name, as text without outer blanks; "" where it is not bound."""
    if name in bound.fixed:
        return ibis.literal(bound.fixed[name])
    if name in bound.joined:
        first, *others = (as_text(table[column]) for column in bound.joined[name])
        return reduce(lambda text, more: text + "/" + more, others, first)
    return as_text(table[bound.columns[name]]) if name in bound.columns else ibis.literal("")
