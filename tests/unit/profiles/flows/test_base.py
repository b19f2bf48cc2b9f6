"""The base model: a bank's own columns, and what cannot be read, counted."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from profiles.flows.check import check_flows
from profiles.flows.flows import Flows
from profiles.language.recognised import recognised
from psi.protocol.errors import FedprofileError, InputError, JobError
from tests.unit.profiles.flows.made import flows_of, rows_of, tables_file

BAD = """1,A,2024-01-31,"1,234.50",C,CNY,x
2,A,2024-02-30,5,C,CNY,x
3,B,2024-02-29,0.00,D,USD,x
4,B,2024-02-29,10.005,D,USD,y
4,B,2024-02-29,10.005,D,USD,y
5,B,2024-01-01,abc,D,CNY,y
6,B,2024-01-01,7,X,CNY,y
7,A,2024-01-01,7,D,EUR,
8,A,2019-12-31,7,D,CNY,
9,B,2024-07-01,7,D,CNY,
10,Z,2024-01-01,7,D,CNY,
11,A,2024-01-01,-7,D,CNY,
12,D,2024-04-01,1,D,CNY,
"""


def test_what_cannot_be_read_is_counted_and_nothing_else(tmp_path: Path) -> None:
    flows = Flows.load(tables_file(tmp_path, BAD))
    found = check_flows(flows)
    assert flows.left_out == found.refused["bank.tx"]
    assert all(recognised(why, "flow_reason") for why in flows.left_out)
    assert found.refused == {
        "bank.tx": {
            "after the account was closed": 1,
            "an unknown code of direction": 1,
            "before the account was opened": 1,
            "no amount, or none that can be read": 1,
            "no day, or none that can be read": 1,
            "no rate for the currency": 1,
            "the account is not in the table of accounts": 1,
            "the amount is negative beside a direction": 1,
            "the amount is zero": 1,
            "this row came before": 1,
        }
    }
    assert (found.rows, found.read) == (13, 3)
    assert found.inward == 123_450
    assert found.outward == 7_107 + 100  # 10.01 dollars at 7.1
    assert found.empty_months == ("2024-03",)
    assert found.entities == {"B": 2, "C": 1}
    assert any("1 entities are of two kinds" in note for note in found.notes)


def test_a_code_of_direction_is_shown_where_it_is_common_only(tmp_path: Path) -> None:
    rows = "".join(f"{i},A,2024-01-01,5,H,CNY,\n" for i in range(10)) + "99,A,2024-01-01,5,S,CNY,\n"
    (note,) = check_flows(Flows.load(tables_file(tmp_path, rows))).notes
    assert note.endswith("'H' 10; 1 more on 1 rows, 1 at most each, written 'a' 1")
    assert "'S'" not in note


def test_rates_hold_from_their_day_on(tmp_path: Path) -> None:
    rows = "1,A,2024-02-29,1,C,USD,\n2,A,2024-03-01,1,C,USD,\n3,A,2023-12-31,1,C,USD,\n"
    base = Flows.load(tables_file(tmp_path, rows)).base
    assert rows_of(base.good, "id", "minor") == [("1", 710), ("2", 720)]


BESIDE = """
[bank.bal]
path = "bal.csv"
types = { amt = "string", day = "string" }
[flows.f.balances]
table = "bank.bal"
account = "acct"
day = "day"
amount = "amt"
product = "prod"
[bank.ord]
path = "ord.csv"
types = { amt = "string" }
[flows.f.orders]
table = "bank.ord"
account = "acct"
counterparty_account = "acct"
amount = "amt"
category = "cat"
"""


def test_what_tables_beside_hold_that_cannot_be_used_is_counted(tmp_path: Path) -> None:
    file = tables_file(tmp_path, "1,A,2024-02-29,1,C,USD,\n2,A,2024-02-29,1,C,GBP,\n", BESIDE)
    for name, lines in {
        "rates": "ccy,rate,since\nUSD,8,2024-01-01\nUSD,7,2024-01-01\nGBP,n/a,2024-01-01\n"
        "GBP,9,2024-13-01\n",
        "acc": "acct,cust,kind,opened,closed\nA,1,P,2020-01-01,\n"
        + "".join(f"Q{i},1,Q,,0000-00-00\n" for i in range(10))
        + "C,3,P,2024-05-01,2024-01-01\n",
        "bal": "acct,day,amt,prod\nA,2024-02-30,1,deposit\nA,2024-02-01,x,deposit\n"
        "A,2024-02-01,1,bond\nZ,2024-02-01,1,deposit\n",
        "ord": "acct,amt,cat\nA,x,HOUSEHOLD\nA,5,nothing\n",
    }.items():
        (tmp_path / f"{name}.csv").write_text(lines, "utf-8")
    flows = Flows.load(file)
    assert rows_of(flows.base.good, "id", "minor") == [("1", 700)]
    rule = '[[C.fee.rule]]\norder = ["nothing", "card"]\n'
    (tmp_path / "bank.toml").write_text(f'version = "b"\n{rule}', "utf-8")
    (note,) = (
        n for n in check_flows(flows.with_taxonomy(tmp_path / "bank.toml")).notes if "cat" in n
    )
    assert note.endswith(
        "category: 1 orders of one that no rule asks for: "
        "1 codes on 1 rows, 1 at most each, written 'a' 1"
    )
    rate, *notes = check_flows(flows).notes
    assert all(recognised(note, "flow_note") for note in (rate, *notes))
    assert "no rate on their day for 'GBP' 1" in rate
    assert tuple(note.removeprefix("tables.toml: [flows.f.") for note in notes) == (
        "accounts] kind: 10 accounts of no known kind are taken for consumers: 'Q' 10",
        "accounts] closed: 10 days cannot be read: taken for none",
        "accounts] closed: 1 accounts before they were opened: no row of them is read",
        "rates] rate: 1 are no number above zero: left out",
        "rates] since: 1 days cannot be read: left out",
        "rates]: 1 times two rates of a currency hold from one day: the lower is taken",
        "balances] day: 1 days cannot be read: left out",
        "balances] amount: 1 cannot be read: left out; they are written 'a' 1",
        "balances] product: 1 levels of no known product are left out: "
        "1 codes on 1 rows, 1 at most each, written 'a' 1",
        "balances] account: 1 levels of accounts that are not in theirs: left out",
        "orders] amount: 1 cannot be read: no payment is known by them; they are written 'a' 1",
        "orders]: no rule asks for an order's category, so they say nothing yet",
    )


ZONES = (
    "Z", "z", "-05:00", "+0000", "+08", " +08:00", " UTC", "GMT+8", "+08:00[Asia/Shanghai]",
    " EST", " UTC+8", "America/New_York", " GMT+0800 (China Standard Time)", " (CST)",
    " 北京时间", " PM EST", "＋08:00", "\uff0d05:00", "\u221205:00", "\u201305:00", " Ｚ",
    " ＥＳＴ", " ＵＴＣ＋８", "東京", " 美东", "（纽约）",
    " 星洲时间", " 周口", " 礼仪之邦", " 星期六 东京", " 周六 UTC",
)  # fmt: skip
CLOCKS = ("T20:30:00", " 20:30", "T20:30:00.123456", "T203000", " 20.30.00", "T20")
BARE = (
    "",
    "T20:30:00",
    " 08:30 PM",
    " 下午08:30",
    " Tuesday",
    " 20:30",
    "-20.30.00",
    "日 20:30",
    " 00:00:00",
    "T00:00",
    "T203000",
    " 20:30 星期六",
    " 20:30:00 礼拜天",
    " 20:30 （周末）",
    " 20:30整",
    " 20:30 早上",
    " 夜里08:30",
)


def test_a_text_that_carries_a_zone_is_refused_and_not_read_as_another_zones_hour() -> None:
    zoned = [f"2026-06-30{clock}{zone}" for clock in CLOCKS for zone in ZONES]
    times = [*zoned, *(f"2026-06-30{clock}" for clock in BARE), "2026-06-31T10:00:00"]
    rows = [{"id": str(i), "account": "A", "time": t, "amount": 1.0} for i, t in enumerate(times)]
    flows = flows_of(rows)
    found = check_flows(flows)
    assert found.refused == {
        "given.transactions": {
            "the time is a text that carries a zone": len(zoned),
            "no day, or none that can be read": 1,
        }
    }
    assert found.first == found.last == "2026-06-30"
    _, carried, dropped = found.notes
    assert f" time: {len(zoned)} times carry a zone: store them as timestamps" in carried
    assert " dates: 14 times have a time of day for which 'yyyy-mm-dd' has no place" in dropped


@pytest.mark.parametrize(
    ("form", "text", "second"),
    [
        ("yyyy-mm-ddThh:mi:ss", "2026-06-30T20:30:00", 73800),
        ("hh:mi dd-mm-yyyy", "20:30 30-06-2026", 73800),
        ("dd.mm.yy-hh:mi", "30.06.26-10:30", 37800),
        ("yyyy-mm-dd-hh:mi", "2026-06-30-10:30", 37800),
        ("yyyymmddhhmi", "202606302030", 73800),
        ("yyyy-mm-ddThh:mi:ss", "2026-06-30T20:30:00-05:00", None),
        ("yyyymmddhhmiss", "20260630203000+0800", None),
        ("yyyy-mm-dd hh:mi:ss", "2026-06-30 20:30:00 EST", None),
        ("yyyy-mm-dd hh:mi", "2026-06-30 20:30:00.000 UTC+8", None),
        ("hh:mi dd-mm-yyyy", "20:30 30-06-2026 CST", None),
        ("yyyy年mm月dd日 hh时mi分ss秒", "2026年06月30日 20时30分00秒", 73800),
        ("yyyy年mm月dd日 hh时mi分", "2026年06月30日 20时30分00秒 北京时间", None),
        ("yyyy-mm-dd hh:mi", "2026-06-30 08:30 PM", None),
        ("yyyy-mm-dd hh:mi", "2026-06-30 下午08:30", None),
        ("yyyy-mm-dd hh:mi", "2026-06-30 20:30:15.123", 73800),
        ("yyyy-mm-dd hh:mi", "2026-06-30 20:30 星期二", 73800),
        ("yyyy-mm-dd hh:mi", "2026-06-30 08:30 ＰＭ", None),
        ("yyyy-mm-dd hh:mi:ss", "2026-06-30 20:30:00 ＵＴＣ＋８", None),
        ("yyyy-mm-dd hh:mi:ss", "2026-06-30 20:30:00东京", None),
        ("yyyy-mm-dd hh:mi", "2026-06-30 20:30 礼拜二", 73800),
        ("yyyy-mm-dd hh:mi", "2026-06-30 20:30整", 73800),
        ("yyyy-mm-dd hh:mi", "2026-06-30 20:30 星洲", None),
        ("yyyy-mm-dd hh:mi", "2026-06-30 20:30 周二 东京", None),
        ("yyyy-mm-dd hh:mi", "2026-06-30 夜里08:30", None),
        ("yyyy-mm-dd hh:mi", "2026-06-30 08:30 傍晚", None),
    ],
)
def test_what_a_form_has_a_place_for_is_no_zone(form: str, text: str, second: int | None) -> None:
    given = flows_of([{"id": "1", "account": "A", "time": text, "amount": 1.0}])
    (source,) = given.settings.sources
    flows = Flows(replace(given.settings, sources=(replace(source, dates=form),)), given.engine)
    day = dt.date(2026, 6, 30)
    assert rows_of(flows.base.good, "day", "second") == ([(day, second)] if second else [])
    notes = check_flows(flows).notes
    assert len(notes) == (0 if second else 1)
    assert all("carry a zone" in one or "clock of twelve" in one for one in notes)


def test_a_day_beside_that_carries_a_zone_is_said_to(tmp_path: Path) -> None:
    file = tables_file(tmp_path, "1,A,2024-02-29,1,C,USD,\n")
    (tmp_path / "rates.csv").write_text(
        "ccy,rate,since\nUSD,8,2024-01-01\nUSD,9,2024-01-31T20:00Z\n"
    )
    flows = Flows.load(file)
    assert rows_of(flows.base.good, "id", "minor") == [("1", 800)]
    assert any(
        "since: 1 days cannot be read (1 carry a zone): left" in n for n in check_flows(flows).notes
    )


@pytest.mark.parametrize(
    ("key", "line", "said"),
    [
        ("id", 'id = "nr"', "no column 'nr'"),
        ("out", 'out = ["D", "C"]', "'C' found in both"),
        ("amount", "", "amount: missing"),
        ("amount", 'amount = { is = "5" }', "amount: missing"),
        ("thousands", 'thousands = "."', "two marks needed"),
        ("text", 'txt = "text"', "did you mean text"),
        ("time", 'time = "day"\ndates = "dd/mm"', "yyyy"),
        ("time", 'time = "day"\nstored_zone = "Mars"', "zone"),
    ],
)
def test_a_wrong_section_names_file_and_key(tmp_path: Path, key: str, line: str, said: str) -> None:
    file = tables_file(tmp_path, BAD, **{key: line})
    with pytest.raises(FedprofileError) as caught:
        _ = Flows.load(file).base
    assert "tables.toml" in str(caught.value)
    assert said in str(caught.value)


def test_a_table_that_is_not_there_and_two_flows(tmp_path: Path) -> None:
    file = tables_file(tmp_path, BAD, table='table = "bank.t"')
    with pytest.raises(JobError, match=r"bank\.t"):
        Flows.load(file)
    more = '[flows.g]\n[[flows.g.source]]\ntable="bank.tx"\nid="id"\naccount="acct"\n'
    more += 'time="day"\namount="amt"\n'
    file = tables_file(tmp_path, BAD, more)
    with pytest.raises(JobError, match="several flows"):
        Flows.load(file)
    assert Flows.load(file, "g").settings.accounts is None
    (tmp_path / "tx.csv").unlink()
    with pytest.raises(InputError, match=r"tx\.csv"):
        Flows.load(file, "g")


@pytest.mark.parametrize(
    ("text", "minor"),
    [("1,234.56", 123_456), ("(5.00)", -500), ("5.00-", -500), ("￥7", 700), ("-0.01", -1),
     ("1.005", 101), ("1e3", None), ("", None), ("1.2.3", None), ("12345678901234", None),
     ("12,34", None), ("1.234,50", None), ("1234,567", None), ("-1,234,567.8", -123_456_780),
     ("１，２３４．５０", 123_450), ("－￥７", -700), ("\u22125", -500), ("５ 元", None),
     (" 7\t", 700),
     ("12 34", None), ("1-2", None), ("2024-01-31", None), (" - 5 ", -500), ("( 5.00 )", -500)],
)  # fmt: skip
def test_amounts_in_text_are_exact_or_refused(text: str, minor: int | None) -> None:
    import ibis

    from profiles.flows.values import add_minor

    table = ibis.memtable({"a": [text], "digits": [2]}, schema={"a": "string", "digits": "int64"})
    found = add_minor(table, "a", "minor", thousands=",").to_pyarrow()
    assert found["minor"].to_pylist() == [minor]


def test_a_blank_parts_thousands_where_it_is_declared() -> None:
    import ibis

    from profiles.flows.values import add_minor

    texts = ["1 234,50", "12 34", "- 1 234,5"]
    table = ibis.memtable(
        {"a": texts, "digits": [2] * 3}, schema={"a": "string", "digits": "int64"}
    )
    found = add_minor(table, "a", "minor", decimal=",", thousands=" ").to_pyarrow()
    assert found["minor"].to_pylist() == [123_450, None, -123_450]


def test_days_are_counted_in_the_zone_through_a_change_of_clocks() -> None:
    utc = [
        dt.datetime(2024, 3, 30, 23, 30),  # 00:30 in Prague, winter
        dt.datetime(2024, 3, 31, 22, 30),  # 00:30, summer
        dt.datetime(2024, 10, 27, 22, 30),  # 23:30, winter again
    ]
    table = pa.table({
        "id": ["1", "2", "3"],
        "account": ["A"] * 3,
        "amount": [1.0] * 3,
        "time": pa.array(utc, pa.timestamp("us", "UTC")),
    })  # fmt: skip
    good = Flows.of(table, zone="Europe/Prague").base.good
    assert rows_of(good, "day", "second") == [
        (dt.date(2024, 3, 31), 1800),
        (dt.date(2024, 4, 1), 1800),
        (dt.date(2024, 10, 27), 84_600),
    ]


def test_days_without_a_century_and_leap_days() -> None:
    rows = [
        {"id": i, "account": "A", "amount": 1.0, "time": t}
        for i, t in enumerate(["000229", "990229", "301231", "29-1-1", "930101"])
    ]
    flows = flows_of(rows)
    source = flows.settings.sources[0]
    from dataclasses import replace

    settings = replace(flows.settings, sources=(replace(source, dates="yymmdd"),))
    found = rows_of(Flows(settings, flows.engine).base.rows, "day")
    assert found == [
        (dt.date(2000, 2, 29),), (None,), (dt.date(1930, 12, 31),), (None,),
        (dt.date(1993, 1, 1),),
    ]  # fmt: skip


def test_ids_of_two_tables_may_be_the_same(tmp_path: Path) -> None:
    more = """
[bank.cards]
path = "cards.csv"
[[flows.f.source]]
table = "bank.cards"
id = "n"
account = "acct"
time = "day"
amount = "amt"
positive = "out"
channel = { is = "card" }
"""
    (tmp_path / "cards.csv").write_text("n,acct,day,amt\n1,A,2024-01-01,5\n2,A,2024-01-01,-2\n")
    base = Flows.load(tables_file(tmp_path, "1,A,2024-01-31,1,C,CNY,x\n", more)).base
    assert rows_of(base.good, "id", "way", "minor", "channel") == [
        ("bank.cards/1", "out", 500, "card"),
        ("bank.cards/2", "in", 200, "card"),
        ("bank.tx/1", "in", 100, ""),
    ]
