"""Series: what an entity gets from, or pays to, one counterparty month after month.

The counterparty is its account, else its name, else the type. Names are compared in half width and
lower case, without the end that says a company's form, which core systems cut. Where it is a wallet
the merchant stands in the text. A series has one type, that of most of its typed rows, so that an
oddly typed row, or one without a type, ends nothing.

A row of no series that has its amount, its day of the month and its type, or none, in a month in
which the series has no row, belongs to it: a text that says nothing, a name in pinyin.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

import ibis

from profiles.flows.engine import Keep, as_it_is
from profiles.flows.taxonomy import Taxonomy
from profiles.flows.values import plain_text

__all__ = ["KEYS", "series_of"]

KEYS = ["entity", "kind", "way", "who"]
WALLETS = (
    "支付宝",
    "财付通",
    "微信",
    "alipay",
    "tenpay",
    "wechat",
    "weixin",
    "caifutong",
    "zhifubao",
)
"""What the name of a wallet holds: it pays for others, so it is not the counterparty."""
_FORM = "(股份|有限|责任|集团|公司|公|有|责)+$"
_NOT_A_MERCHANT = "[0-9]+|快捷|扫码|消费|收款|付款|转账|支付|商户|自动|代扣"
_MERCHANT = 4
"""Characters of a merchant that are compared: what follows is cut at times, or a branch."""
_SEVERAL = 3
"""Days from which on a counterparty has a series that takes in stray rows."""
_SHARE = 4
"""One of so many rows of a counterparty, at least, has the type of its series."""
_NEAR, _NEARER = 7, 3
"""Days of the month around the usual one; after the last row of a series."""


def series_of(
    typed: Any, taxonomy: Taxonomy, keep: Keep = as_it_is, *, lasting: bool = False
) -> Any:
    """A row a day of each series: the keys, series_type, day, minor, account, typical.

    Only types that the taxonomy calls series. `typical` is the lower median of the series' days, in
    minor units. A merchant behind a wallet is seen only where `typed` has texts; without them such
    a row's counterparty is its type.

    Args:
        typed: the typed rows.
        taxonomy: what they were typed by.
        keep: computes a small table once, such as `Flows.stored`: names, keys, rows of series.
        lasting: only entities that have a series of three days or more the same way: all that can
            break, and who may have come in its place.
    """
    codes = taxonomy.codes("series")
    names = keep(_names(typed), "names")
    # most rows have a counterparty that brings no such type: they are met once, and ordered never
    some = _named(typed.filter(typed.type.isin(codes)), names).select(*KEYS).distinct()
    rows = keep(_named(typed, names).semi_join(keep(some, "keys"), KEYS), "series")
    if lasting:
        several = rows.group_by(KEYS).agg(rows=rows.count())
        several = several.filter(several["rows"] >= _SEVERAL).select("entity", "way").distinct()
        several = keep(several, "lasting")
        rows = keep(rows.semi_join(several, ["entity", "way"]), "series")
        typed = typed.semi_join(several, ["entity", "way"])
    days = keep(_sized(_days(rows, codes)), "days")
    alone = _named(typed.filter(typed.type.isin(["", *codes])), names)
    found = days.drop("days")
    return found.union(_strays(alone, days).select(*found.columns))


def _names(typed: Any) -> Any:
    """Each counterparty's name, what it is compared by, and whether it is a wallet."""
    names = typed.select("counterparty_name").distinct()
    plain = plain_text(names.counterparty_name)
    short = plain.replace(" ", "")
    core = short.re_replace(_FORM, "")
    return names.select(
        n_name="counterparty_name",
        n_who=ibis.ifelse(core != "", core, short),
        wallet=reduce(or_, (plain.contains(one) for one in WALLETS)),
    )


def _named(typed: Any, names: Any) -> Any:
    """The rows with `who`; "" where neither counterparty nor type is known."""
    rows = typed.left_join(names, [("counterparty_name", "n_name")])
    wallet = rows.wallet.fill_null(False)
    merchant: Any = ibis.literal("")
    if "text" in typed.columns:
        rows = rows.mutate(paid_by_wallet=ibis.ifelse(wallet, rows.text, ""))
        texts = rows.filter(wallet).select("paid_by_wallet").distinct()
        texts = texts.select(t_text="paid_by_wallet", merchant=_merchant(texts.paid_by_wallet))
        rows = rows.left_join(texts, [("paid_by_wallet", "t_text")])
        wallet, merchant = rows.wallet.fill_null(False), rows.merchant.fill_null("")
    who = ibis.cases(
        (wallet & (merchant != ""), merchant),
        (wallet, rows.type),
        (rows.counterparty_account != "", rows.counterparty_account),
        (rows.n_who.fill_null("") != "", rows.n_who),
        else_=rows.type,
    )
    # a selection straight from a join would be a join still, which the next one would extend
    return rows.mutate(who=who).select("id", *KEYS, "type", "day", "minor", "account")


def _merchant(text: Any) -> Any:
    """The first word of a wallet's line that is neither the wallet nor a way of paying.

    What stands before the wallet, such as a channel's mark, is looked at only if nothing follows.
    """
    plain, wallets = plain_text(text), "|".join(WALLETS)
    behind = _first_word(plain.re_replace(f"^.*({wallets})", " "))
    return ibis.ifelse(behind != "", behind, _first_word(plain.re_replace(wallets, " ")))


def _first_word(plain: Any) -> Any:
    plain = plain.re_replace(_NOT_A_MERCHANT, " ").strip()
    return plain.re_replace(" .*$", "").substr(0, _MERCHANT)


def _days(rows: Any, codes: list[str]) -> Any:
    """A row a day of each counterparty with which the entity has a series, and its type."""
    counts = rows.group_by([*KEYS, "type"]).agg(rows=rows.count())
    counts = counts.mutate(untyped=ibis.ifelse(counts.type == "", 1, 0))
    most = ibis.window(group_by=KEYS, order_by=["untyped", ibis.desc("rows"), "type"])
    whole = ibis.window(group_by=KEYS)
    counts = counts.mutate(place=ibis.row_number().over(most), all=counts.rows.sum().over(whole))
    kinds = counts.filter(
        (counts.place == 0) & counts.type.isin(codes) & (counts.rows * _SHARE >= counts["all"])
    )
    kinds = kinds.select(*(kinds[k].name(f"k_{k}") for k in KEYS), series_type="type")
    days = rows.group_by([*KEYS, "day"]).agg(minor=rows.minor.sum(), account=rows.account.max())
    days = days.mutate(minor=days.minor.cast("int64"))
    found = days.inner_join(kinds, [(k, f"k_{k}") for k in KEYS])
    return found.drop(*(f"k_{k}" for k in KEYS))


def _sized(days: Any) -> Any:
    """With `typical`, the lower median of the series' amounts, and `days`, how many there are."""
    whole = ibis.window(group_by=KEYS)
    order = ibis.window(group_by=KEYS, order_by=["minor", "day"])
    days = days.mutate(place=ibis.row_number().over(order), days=days.count().over(whole))
    middle = ibis.ifelse(days.place == (days.days - 1) // 2, days.minor, ibis.null("int64"))
    days = days.mutate(middle=middle)
    typical = days.middle.max().over(whole).cast("int64")
    return days.mutate(typical=typical).drop("place", "middle")


def _month(day: Any) -> Any:
    return (day.year() * 12 + day.month() - 1).cast("int64")


def _strays(alone: Any, days: Any) -> Any:
    """Days of rows of no series, of a series' type or none, that belong to one."""
    main = days.filter(days.days >= _SEVERAL)
    taken = main.mutate(month=_month(main.day)).select(*KEYS, "month").distinct()
    taken = taken.rename({f"t_{k}": k for k in [*KEYS, "month"]})
    main = main.group_by([*KEYS, "series_type", "typical"]).agg(
        first=main.day.min(), final=main.day.max(), least=main.minor.min(), most=main.minor.max(),
        usual=(main.day.day().sum() // main.count()).cast("int64"),
    )  # fmt: skip
    heads = main.rename({f"s_{k}": k for k in KEYS})
    alone = alone.mutate(named=alone.who != alone.type)
    alone = alone.anti_join(main, KEYS)
    near = alone.inner_join(
        heads,
        [
            alone.entity == heads.s_entity,
            alone.kind == heads.s_kind,
            alone.way == heads.s_way,
            (alone.type == heads.series_type) | (alone.type == ""),
            alone.minor * 10 >= heads.least * 9,
            alone.minor * 10 <= heads.most * 11,
            alone.day > heads["first"],
            # another payer may follow a series that ended: only who is not named goes on with it
            (alone.day < heads.final) | ~alone.named,
        ],
    )
    apart = (near.day.day() - near.usual).abs()
    apart = ibis.least(apart, 31 - apart)
    # what comes after the last row tells when a series ended: a stranger would move the month
    after = (apart <= _NEARER) & ((near.minor - near.typical).abs() * 4 <= near.typical)
    near = near.filter((apart <= _NEAR) & ((near.day < near.final) | after))
    near = near.mutate(month=_month(near.day))
    same = [*((f"s_{k}", f"t_{k}") for k in KEYS), ("month", "t_month")]
    near = near.left_join(taken, same)
    near = near.filter(near.t_month.isnull())
    near = near.mutate(beside=(near.minor - near.typical).abs())
    order = ibis.window(group_by="id", order_by=["beside", "s_who"])
    near = near.mutate(place=ibis.row_number().over(order))
    near = near.filter(near.place == 0).drop("who").rename(who="s_who")
    found = near.group_by([*KEYS, "series_type", "day", "typical"]).agg(
        minor=near.minor.sum(), account=near.account.max()
    )
    return found.mutate(minor=found.minor.cast("int64"))
