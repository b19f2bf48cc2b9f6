"""Amounts, currencies and accounts that are read, but may be meant otherwise: counted and told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from profiles.cli.flows import app
from profiles.flows.check import check_flows
from profiles.flows.currencies import ALIASES, DIGITS
from profiles.flows.flows import Flows
from profiles.flows.money import money_notes
from profiles.language.recognised import recognised
from psi.protocol.errors import JobError
from tests.unit.profiles.flows.made import tables_file

POINTS = [f"{i}.{i + 100}" for i in range(1, 25)]


def notes_of(amounts: list[object], **more: object) -> list[str]:
    rows = {
        "id": [str(i) for i in range(len(amounts))],
        "account": ["A"] * len(amounts),
        "time": ["2026-06-30"] * len(amounts),
        "amount": pa.array(amounts),
    }
    found = money_notes(Flows.of(pa.table(rows), **more))  # type: ignore[arg-type]
    assert all(recognised(note, "flow_note") for note in found)
    return [note.removeprefix("transactions ") for note in found]


@pytest.mark.parametrize("kind", [str, float, Decimal])
def test_points_that_may_part_thousands_are_told(kind: type) -> None:
    parted, finer = notes_of([kind(one) for one in [*POINTS, "950"]])
    assert parted == (
        "amount: 24 have points that may part thousands (1.234 beside 950), and are read as "
        "fractions; where they do: thousands = '.', decimal = ','"
    )
    assert "amount: 22 have more decimals than their currency, up to 3" in finer  # not .110, .120
    for other in ("12.5", "1234"):  # no thousands are written so
        assert not any("part" in note for note in notes_of([kind(one) for one in [*POINTS, other]]))
    assert not notes_of([kind(one) for one in [*POINTS, "950"]], currency="KWD")


def test_decimals_that_no_minor_unit_has_are_counted() -> None:
    (note,) = notes_of(["1.23456789", "1.239", "1.230", "1.2300", "5"])
    assert note.startswith("amount: 2 have more decimals than their currency, up to 8 or more")
    assert notes_of([1.239, 0.1 + 0.2, 1e6 + 0.07, None, float("nan")]) == [
        "amount: 1 have more decimals than their currency, up to 3, and are rounded"
    ]
    assert notes_of([1.5, 2.0], currency="JPY")
    assert not notes_of([100, 200], currency="JPY")


CURRENCIES = """1,A,2024-01-31,5,C,,x
2,A,2024-01-31,5,C,cny,x
3,A,2024-01-31,5,C,ＣＮＹ,x
4,A,2024-01-31,5,C,RMB,x
5,A,2024-01-31,5,C,人民币,x
6,A,2024-01-31,5,C,156,x
7,A,2024-01-31,5,C,usd,x
8,A,2024-01-31,5,C,840,x
9,A,2024-01-31,5,C,CNH,x
10,A,2024-01-31,5,C,美元,x
11,A,2024-01-31,5,C,NULL,x
"""


def test_a_code_is_read_in_each_of_its_spellings_and_others_are_named(tmp_path: Path) -> None:
    found = check_flows(Flows.load(tables_file(tmp_path, CURRENCIES)))
    assert (found.read, found.refused) == (8, {"bank.tx": {"no rate for the currency": 3}})
    assert found.inward == 6 * 500 + 2 * 3550
    assert all(recognised(note, "flow_note") for note in found.notes)
    rate, none, spelled = (note.partition(" currency: ")[2] for note in found.notes)
    assert rate.startswith("no rate on their day for 'CNH' 1, 'NULL' 1; 1 more on 1 rows")
    assert none.startswith("1 rows have none, CNY is taken; blank_currency")
    assert spelled == (
        "7 rows write a code in another way: '156' 1, '840' 1, 'RMB' 1, 'cny' 1, 'usd' 1, "
        "'人民币' 1, 'ＣＮＹ' 1"
    )


def test_a_bank_names_its_own_spellings_and_refuses_blank_ones(tmp_path: Path) -> None:
    file = tables_file(tmp_path, CURRENCIES, thousands='blank_currency = "refuse"')
    text = file.read_text("utf-8")
    named = '[flows.f]\ncurrencies = { "美元" = "USD", CNH = "CNY" }'
    file.write_text(text.replace("[flows.f]", named), "utf-8")
    found = check_flows(Flows.load(file))
    assert found.refused == {"bank.tx": {"no currency": 1, "no rate for the currency": 1}}
    assert not any("have none" in note for note in found.notes)
    for wrong in ("CNYX", "cny"):
        file.write_text(text.replace("[flows.f]", f'[flows.f]\ncurrencies = {{ X = "{wrong}" }}'))
        with pytest.raises(JobError, match=rf"currencies\.X: '{wrong}' found"):
            Flows.load(file)


def test_rates_are_found_by_the_same_spellings(tmp_path: Path) -> None:
    file = tables_file(tmp_path, "1,A,2024-01-31,5,C,USD,x\n")
    (tmp_path / "rates.csv").write_text("ccy,rate,since\nusd,7.1,2024-01-01\n840,7.2,2024-01-01\n")
    found = check_flows(Flows.load(file))
    assert found.inward == 3550  # the lower of two of one day
    assert any("1 times two rates of a currency" in note for note in found.notes)


def test_aliases_are_codes_and_no_alias() -> None:
    assert not set(ALIASES) & set(ALIASES.values())
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in ALIASES.values())
    assert set(DIGITS.values()) == {0, 3}
    assert "CNH" not in ALIASES


def test_type_says_it_too_and_in_chinese(tmp_path: Path) -> None:
    file = str(tables_file(tmp_path, CURRENCIES))
    told = CliRunner().invoke(app, ["type", "--tables", file, "--lang", "zh"])
    assert told.exit_code == 0, told.output
    assert "1 行没有币种" in told.stderr
    told = CliRunner().invoke(app, ["check", "--tables", file, "--json"])
    assert "rows write a code in another way" in told.stdout


def test_accounts_that_lost_their_zeros_are_told(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i},2024-01-31,5,C,CNY,x\n" for i in range(1, 4)) + "9,Z,2024-01-31,5,C,,x"
    more = (
        '[bank.levels]\npath = "levels.csv"\ntypes = { acct = "string" }\n[flows.f.balances]\n'
        'table = "bank.levels"\naccount = "acct"\nday = "day"\namount = "amount"\n'
    )
    file = tables_file(tmp_path, rows, more)
    text = file.read_text("utf-8")
    text = text.replace('path = "acc.csv"', 'path = "acc.csv"\ntypes = { acct = "string" }')
    file.write_text(text.replace('text = "text"', 'text = "text"\ncounterparty_account = "acct"'))
    (tmp_path / "acc.csv").write_text(
        "acct,cust,kind,opened,closed\n" + "".join(f"00{i},{i},P,,\n" for i in range(1, 9))
    )
    (tmp_path / "levels.csv").write_text("acct,day,amount\n7,2024-01-31,1\n8.0,2024-01-31,1\n")
    found = check_flows(Flows.load(file))
    assert all(recognised(note, "flow_note") for note in found.notes)
    said = [note for note in found.notes if "leading zeros" in note]
    assert [note.split("more", 1)[0].split("]] 1 ")[-1] for note in said[:2]] == [
        "account: 3 ", "counterparty_account: 3 "
    ]  # fmt: skip
    assert "2 of these accounts are there but for case, width, leading zeros" in said[2]
