"""Typing: which rule decides, what a pattern is, reversals, own accounts, and what has no type."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from profiles.flows.classify import PAIRED, holding
from profiles.flows.flows import Flows
from profiles.flows.rules import needle
from profiles.flows.summary import shares, type_table, untyped
from tests.unit.profiles.flows.made import flows_of, rows_of

DAY = dt.date(2026, 3, 31)


def row(number: int, amount: float, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{number:02d}",
        "account": "A",
        "time": DAY,
        "amount": amount,
        "text": "",
        **more,
    }


@pytest.fixture(scope="module")
def flows() -> Flows:
    rows = [
        row(1, 9000, text="代发工资 3月"),
        row(2, -30, text="COFFEE HOUSE"),
        row(3, -30, text="ＡＮＮＵＡＬ　ＦＥＥ"),
        row(4, -80, text="", merchant_code="5812"),
        row(5, -80, text="whatever", merchant_code="5411"),
        row(6, -500, text="", counterparty_account="B"),
        row(7, -500, text="", counterparty_account="X1", counterparty_name="ann lee"),
        row(8, -77, text="POS消费"),
        row(9, 77, text="POS消费 冲正", time=dt.date(2026, 4, 2)),
        row(10, -77, text="POS消费", time=dt.date(2026, 4, 3)),
        row(11, -1, text="zzz"),
        row(12, 100, account="C1", text="货款 合同7"),
        row(13, 100, text="货款 合同7"),
    ]
    accounts = pa.table({
        "account": ["A", "B", "C1"],
        "entity": ["ann", "ann", "firm"],
        "kind": ["C", "C", "B"],
        "name": ["Ann Lee", "Ann Lee", "Firm Ltd"],
    })  # fmt: skip
    return flows_of(rows, accounts=accounts)


@pytest.fixture(scope="module")
def typed(flows: Flows) -> Any:
    return flows.stored(flows.typed(), "typed")


def test_each_row_has_a_type_and_the_rule_that_gave_it(flows: Flows, typed: Any) -> None:
    found = rows_of(typed, "id", "type", "rule", "share")
    assert found == [
        ("01", "C.salary", "text", 1.0),
        ("02", "C.dining", "text", 1.0),
        ("03", "C.fee", "text", 1.0),
        ("04", "C.dining", "mcc", 1.0),
        ("05", "C.groceries", "mcc", 1.0),
        ("06", "C.own_here_out", "known", 1.0),
        ("07", "C.own_elsewhere_out", "same name", 0.8),
        ("08", "C.reversal", PAIRED, 1.0),
        ("09", "C.reversal", "text", 1.0),
        ("10", "C.card_purchase", "text", 1.0),
        ("11", "", "", 0.0),
        ("12", "B.sales", "text", 1.0),
        ("13", "C.own_business", "text", 1.0),
    ]
    (version,) = {one for (one,) in rows_of(typed, "version")}
    assert version == flows.taxonomy.version


def test_explain_names_the_rules_that_hold_in_their_order(flows: Flows) -> None:
    told, rules = holding(flows.base, flows.taxonomy, "05")
    assert told["merchant_code"] == "5411"
    assert [rule.type for rule in rules] == ["C.groceries"]
    assert holding(flows.base, flows.taxonomy, "99") == ({}, [])


def test_totals_and_shares_are_of_all_rows(typed: Any) -> None:
    table = type_table(typed).to_pandas()
    assert table.rows.sum() == 13
    assert table.minor.sum() == 1_065_200
    told = shares(typed)
    # neither cash nor "card purchase" says what was bought; zzz is not known at all
    assert told["mechanism known, rows"] == pytest.approx(12 / 13)
    assert told["purpose known, rows"] == pytest.approx(9 / 13)


def test_a_shop_is_known_by_its_name_where_the_text_says_only_how_it_was_paid() -> None:
    said = [
        ("消费", "永辉超市股份有限公司", "C.groceries"),
        ("", "国网四川省电力公司", "C.utilities"),
        ("转账", "成都恒泰建材有限公司", "C.transfer_out"),  # a trade, not a shop
        ("房租", "万达酒店管理有限公司", "C.rent_paid"),  # what the text says comes first
        ("消费", "支付宝（中国）网络技术有限公司", "C.card_purchase"),
    ]
    rows = [row(i, -50, text=t, counterparty_name=n) for i, (t, n, _) in enumerate(said)]
    assert [t for (t,) in rows_of(flows_of(rows).typed(), "type")] == [t for *_, t in said]


def test_an_unknown_shop_stays_without_a_type() -> None:
    said = [
        ("消费", True),
        ("POS消费 8812", True),
        ("财付通-快捷支付 TX88", True),
        ("扫二维码付款/", True),
    ]
    said += [("消费 望溪阁", False), ("PURCHASE BLUEBARN", False), ("快捷支付-某某堂", False)]
    rows = [row(i, -5, text=t) for i, (t, _) in enumerate(said)]
    types = [t for (t,) in rows_of(flows_of(rows).typed(), "type")]
    assert types == ["C.card_purchase" if bare else "" for _, bare in said]


def test_a_word_of_latin_letters_is_found_within_chinese_ones() -> None:
    said = [
        ("高速ETC代扣", "C.parking_toll"),
        ("消费 宽窄KTV店", "C.entertainment"),
        ("ＫＴＶ３号", ""),
    ]
    said += [("某petco某", ""), ("某BETCH某", "")]
    rows = [row(i, -5, text=t) for i, (t, _) in enumerate(said)]
    assert rows_of(flows_of(rows).typed(), "type") == [(t,) for _, t in said]


def test_the_first_rule_decides_across_blocks_of_patterns(tmp_path: Path) -> None:
    few = "".join(
        f"""
[C.t{i}]
names = ["T{i}", "型{i}"]
way = "out"
group = "spending"
priority = 1
text = ["mark{i}", "shared", {", ".join(f'"w{i}x{j}"' for j in range(50))}]
not = ["never{i}"]
match = ["MARK{i}", "MARK{i} A", "MARK{i} B"]
near = ["MARKED", "MARKER"]
"""
        for i in range(5)
    )
    layer = tmp_path / "many.toml"
    layer.write_text(f'version = "many"\n{few}', "utf-8")
    texts = ["mark4", "mark3 mark1", "shared", "shared never0", "shared never0 never1", "w4x49"]
    rows = [row(i, -5, text=t) for i, t in enumerate(texts)]
    typed = flows_of(rows, taxonomy=(layer,)).typed()
    found = [t for (t,) in rows_of(typed, "type")]
    assert found == ["C.t4", "C.t1", "C.t0", "C.t1", "C.t2", "C.t4"]


def test_no_mark_is_left_in_a_pattern_so_that_alternatives_are_literals() -> None:
    marks = "".join(chr(i) for i in range(33, 127) if not chr(i).isalnum())
    assert needle(f"a{marks}b") == " a b "
    assert needle(f"甲{marks}乙") == "甲 乙"


def test_untyped_texts_are_shown_where_five_entities_have_them() -> None:
    rows = [row(i, -10, account=f"A{i}", text="parkng p2") for i in range(5)]
    rows += [row(i, -99, account=f"A{i % 4}", text="mr smith") for i in range(10, 20)]
    flows = flows_of(rows)
    (found,) = untyped(flows.typed(), flows.taxonomy)
    assert (found.text, found.rows, found.minor) == ("parkng p2", 5, 5000)
    assert "C.parking_toll" in found.near


@pytest.mark.parametrize(
    ("pattern", "looked_for"),
    [("Fee", " fee "), ("gongzi*", " gongzi"), ("工资", "工资"), ("ＡＴＭ", " atm "),
     ("trip.com", " trip com "), ("T3出行", "t3出行"), ("费（手", "费 手")],
)  # fmt: skip
def test_latin_patterns_are_words_chinese_ones_are_anywhere(pattern: str, looked_for: str) -> None:
    assert needle(pattern) == looked_for


LAYER = """version = "t-1"
[[C.rent_paid.rule]]
id = "same payee, month after month, on the first days"
regular = 3
days = [1, 3]
amount = [100000, 900000]
[[C.gift_given.rule]]
id = "young, at night"
age = [0, 17]
hours = [22, 23]
[[C.taxi.rule]]
id = "by name"
name = ["night cabs"]
[[C.health.rule]]
id = "to a clinic"
counterparty_kind = ["clinic"]
text = ["visit"]
"""


def test_rules_look_at_calendar_age_regularity_name_and_kind(tmp_path: Path) -> None:
    (tmp_path / "l.toml").write_text(LAYER, "utf-8")
    late = dt.datetime(2026, 3, 5, 22, 30)
    rows = [
        *(row(i, -2000, time=dt.datetime(2026, i, 2), counterparty_account="L") for i in (1, 2, 3)),
        row(4, -2000, time=dt.datetime(2026, 3, 9), counterparty_account="L"),
        row(5, -5, time=late),
        row(6, -5, time=late, account="old"),
        row(7, -5, time=late, account="old", counterparty_name="NIGHT CABS 7"),
        row(8, -5, time=late, account="old", counterparty_kind="clinic", text="visit"),
        row(9, -5, time=late, account="old", counterparty_kind="shop", text="visit"),
    ]
    accounts = pa.table({"account": ["A", "old"], "born": ["2008-03-06", "1950-01-01"]})
    flows = flows_of(rows, accounts=accounts, taxonomy=(tmp_path / "l.toml",))
    assert [one for (one,) in rows_of(flows.typed(), "type")] == [
        *["C.rent_paid"] * 3, "", "C.gift_given", "", "C.taxi", "C.health", "",
    ]  # fmt: skip
