"""Links between companies, bodies and persons: who supplies, grants, owns, pays wages."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from profiles.cli import app
from profiles.cli.flow_links import Kind
from profiles.flows.flows import Flows
from profiles.flows.ties import KINDS, links, neighbourhood
from psi.protocol.errors import InputError, MisuseError
from tests.unit.profiles.flows.made import few_types, flows_of, opened_once, rows_of
from tests.unit.profiles.flows.test_breaks import paid

JUNE = 2026 * 12 + 5
MONTHS = [(month, 10) for month in (3, 4, 5, 6)]
KEYS = ("link", "source", "target", "months", "minor")
OPEN = [
    ("grant", "town", "maker", 1, 700_00),
    ("payroll", "shop", "", 4, 2000_00),
    ("supplier", "maker", "mill", 2, 60_00),
    ("supplier", "shop", "maker", 4, 200_00),
]


def moved(payer: str, payee: str, amount: float, text: str, *days: Any, both: bool = True) -> Any:
    """Money between two accounts, on both sides of it."""
    rows = paid(payer, payee, -amount, *days, text=text)
    return [*rows, *(paid(payee, payer, amount, *days, text="货款") if both else [])]


def given() -> tuple[list[dict[str, Any]], pa.Table]:
    rows = [
        *moved("SHOP", "MAKER", 50, "采购款", *MONTHS),
        *moved("MAKER", "MILL", 30, "采购款", *MONTHS[:2]),
        *moved("MILL", "SHOP", 30, "采购款", MONTHS[0]),  # once is no supplier
        *moved("TOWN", "MAKER", 700, "稳岗返还", MONTHS[1], both=False),
        *moved("SHOP", "elsewhere", 9, "采购款", *MONTHS, both=False),
        *paid("SHOP", "P0", 5000, MONTHS[0], text="股东借款"),
    ]
    rows += [row for i in range(5) for row in paid(f"P{i}", "SHOP", 100, *MONTHS)]
    kinds = {"SHOP": "B", "MAKER": "B", "MILL": "B", "TOWN": "G"} | {f"P{i}": "C" for i in range(5)}
    accounts = pa.table({
        "account": list(kinds), "entity": [one.lower() for one in kinds],
        "kind": list(kinds.values()),
    })  # fmt: skip
    return rows, accounts


@pytest.fixture(scope="module")
def flows() -> Flows:
    rows, accounts = given()
    return flows_of(rows, accounts=accounts)


def test_companies_and_bodies_are_linked_by_what_they_pay(flows: Flows) -> None:
    found = links(flows, JUNE).order_by(KEYS)
    assert rows_of(found, *KEYS) == OPEN
    # nobody whose wages they are is named; what a link rests on is
    seen = ("persons", "rows", "first_day", "last_day")
    days = (dt.date(2026, 3, 10), dt.date(2026, 6, 10))
    assert rows_of(found, *seen)[1] == (5, 20, *days)
    assert rows_of(found, *seen)[3] == (0, 4, *days)
    # months before are not looked at
    assert rows_of(links(flows, JUNE, 1), *KEYS) == []


def test_links_of_persons_are_told_where_the_bank_says_so(flows: Flows) -> None:
    asked = Flows(replace(flows.settings, person_links=True), flows.engine)
    found = links(asked, JUNE).order_by(KEYS)
    told = rows_of(found, *KEYS)
    assert [one for one in told if one[0] == "payroll"] == [
        ("payroll", "shop", f"p{i}", 4, 400_00) for i in range(5)
    ]
    assert ("owner", "p0", "shop", 1, 5000_00) in told
    assert ("supplier", "shop", "elsewhere", 4, 36_00) in told
    assert {one for one in OPEN if one[2]} < set(told)
    near = neighbourhood(found, "mill")
    assert rows_of(near.order_by(KEYS), *KEYS) == [OPEN[2]]


TABLES = """
[bank.tx]
path = "tx.parquet"
[bank.acc]
path = "acc.parquet"
[flows.f]
taxonomy = ["few.toml"]
[flows.f.accounts]
table = "bank.acc"
account = "account"
entity = "entity"
kind = "kind"
[[flows.f.source]]
table = "bank.tx"
id = "id"
account = "account"
time = "time"
amount = "amount"
counterparty_account = "counterparty_account"
text = "text"
"""


def test_the_command_tells_sums_or_one_neighbourhood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened_once(monkeypatch)
    rows, accounts = given()
    names = ("id", "account", "time", "amount", "counterparty_account", "text")
    pq.write_table(
        pa.table({n: [row.get(n) for row in rows] for n in names}), tmp_path / "tx.parquet"
    )
    pq.write_table(accounts, tmp_path / "acc.parquet")
    few_types(tmp_path, "B.owner_in", "B.sales", "B.supplier", "C.salary", "G.grant_company")
    file = tmp_path / "tables.toml"
    file.write_text(TABLES, "utf-8")

    def said(*words: str) -> str:
        app(["flows", "links", "--tables", str(file), *words], standalone_mode=False)
        return capsys.readouterr().out

    text = said()
    assert ["supplier", "B", "->", "B", "2", "links", "6", "260.00"] in [
        line.split()[:8] for line in text.splitlines()
    ]
    assert "Links of natural persons are not told" in text
    assert not any(name in text for name in ("shop", "maker", "p0"))
    near = json.loads(said("shop", "--kind", "payroll", "--json"))
    assert [(one["source"], one["target"], one["persons"]) for one in near] == [("shop", "", 5)]
    text = said("mill", "--month", "2026-04")
    assert text.splitlines()[0].split()[:5] == ["supplier", "maker", "(B)", "->", "mill"]
    # a person here, and somebody nobody has heard of, get one answer
    assert said("p0") == said("nobody") == said("p0", "--kind", "owner")
    assert said("p0").startswith("no links: no company or government body here is called so")
    assert said("P0") == said("P0", "--kind", "grant") == said("nobody")
    assert "this entity is here, but in these months" in said("mill", "--month", "2026-03")
    assert "this is an account here" in said("MILL")
    assert said("shop", "--lang", "zh").splitlines()[0].split()[:3] == ["代发工资", "shop", "(B)"]
    with pytest.raises(MisuseError, match="the data end on 2026-06-10"):
        said("--month", "2026-07")
    out = tmp_path / "links.parquet"
    file.write_text(TABLES.replace("[flows.f]\n", "[flows.f]\nperson_links = true\n"), "utf-8")
    assert "rows name it as a counterparty" in said("elsewhere", "--kind", "grant")
    assert "this is an account here" in said("P0")
    with pytest.raises(InputError, match="ENTITY: no entity, account or counterparty") as error:
        said("nobody")
    assert "nobody" not in str(error.value)
    said("--out", str(out))
    assert {("payroll", "shop", f"p{i}") for i in range(5)} <= set(
        zip(*(pq.read_table(out)[n].to_pylist() for n in KEYS[:3]), strict=True)
    )
    assert out.stat().st_mode & 0o077 == 0


def test_the_command_knows_all_kinds_of_links() -> None:
    assert {one.value for one in Kind} == set(KINDS)
