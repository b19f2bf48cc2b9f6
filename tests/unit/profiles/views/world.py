"""A small bank with every table that views look at, and rows of any of them after a day."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from profiles.flows.taxonomy import Taxonomy

__all__ = ["CUT", "PLANTS", "write"]

CUT = dt.date(2026, 7, 1)
_TABLES = """
[bank.tx]
path = "tx.csv"
[bank.rates]
path = "rates.csv"
[bank.acc]
path = "acc.csv"
[bank.orders]
path = "orders.csv"
[bank.levels]
path = "levels.csv"
[flows.f]
taxonomy = ["more.toml"]
[flows.f.accounts]
table = "bank.acc"
account = "acct"
entity = "cust"
kind = "kind"
name = "name"
opened = "opened"
closed = "closed"
died = "died"
born = "born"
[flows.f.rates]
table = "bank.rates"
currency = "ccy"
rate = "rate"
since = "since"
[flows.f.orders]
table = "bank.orders"
account = "acct"
amount = "amount"
counterparty_account = "to"
category = "category"
since = "since"
[flows.f.balances]
table = "bank.levels"
account = "acct"
day = "day"
amount = "amount"
product = "product"
[flows.f.contribution]
fee = 0.0038
scheme = 0.003
terminal = 20
deposit = 0.012
[[flows.f.source]]
table = "bank.tx"
id = "id"
account = "acct"
time = "day"
amount = "amt"
currency = "ccy"
counterparty_account = "to"
text = "text"
"""
# rules by what only other rows, or other tables, can say
_MORE = """
version = "t1"
drop = DROPPED
[C.scholarship]
"rule+" = [{ id = "months", regular = 4, amount = [100, 100000], priority = 1 }]
[C.household]
"rule+" = [{ id = "order", order = ["rent"], priority = 1 }]
"""
USED = (
    "C.salary", "C.rent_paid", "C.own_elsewhere_out", "C.reversal", "C.card_purchase", "C.dining",
    "C.scholarship", "C.household", "B.payroll", "B.card_takings", "B.sales", "B.supplier",
    "G.budget_grant", "G.procurement",
)  # fmt: skip
HEADS = {
    "tx": "id,acct,day,amt,ccy,to,text",
    "rates": "ccy,rate,since",
    "acc": "acct,cust,kind,name,opened,closed,died,born",
    "orders": "acct,amount,to,category,since",
    "levels": "acct,day,amount,product",
}


def _rows() -> dict[str, list[str]]:
    tx, acc = list[str](), list[str]()
    for i in range(5):
        acc.append(f"P{i},p{i},C,Ann {i},2024-01-0{i + 1},,,1990-07-0{i}" if i else
                   "P0,p0,C,Ann 0,2024-01-01,,,1980-06-30")  # fmt: skip
        tx += [f"w{i}{m},P{i},2026-{m:02d}-10,9000,,F1,代发工资" for m in range(1, 7)]
        tx += [f"r{i}{m},P{i},2026-{m:02d}-12,-3000,,X{i},房租" for m in range(1, 6)]
        tx.append(f"o{i},P{i},2026-06-12,-4000,,Y,本人他行转出")
        tx += [f"f{i}{m},F1,2026-{m:02d}-10,-9000,,P{i},代发工资" for m in range(1, 7)]
    tx += [f"s{m},P0,2026-{m:02d}-20,50,,E9,abc" for m in (3, 4, 5)]
    tx += ["u1,P1,2026-06-05,-10,USD,,COFFEE HOUSE", "u2,P2,2026-06-06,-33,,L7,xyz"]
    tx += ["t1,F1,2026-06-15,200000,,,银联商务 收单结算", "t2,F1,2026-06-20,-800,,F2,货款"]
    tx += ["g1,G1,2026-06-01,5000,,,预算拨款", "g2,G1,2026-06-11,-700,,F1,采购款"]
    tx += ["v1,P3,2026-06-20,-70,,Q,POS消费", "z,F2,2026-12-31,1,,,zzz"]
    acc += ["F1,firm,B,Firm,2023-01-01,,,", "F2,other,B,Other,2023-01-01,,,"]
    acc += ["G1,town,G,Town,2020-01-01,,,", "P5,p0,C,Ann 0,2020-02-02,2026-05-05,,1980-06-30"]
    levels = ["F1,2026-01-01,40000,deposit", "P0,2026-01-01,100,deposit", "G1,2025-01-01,5,deposit"]
    levels += ["P0,2026-06-01,300,wealth", "P1,2026-05-01,900,loan", "P0,2026-05-01,700,deposit"]
    return {
        "tx": tx,
        "rates": ["USD,7.1,2024-01-01"],
        "acc": acc,
        "orders": ["P1,-1,Z,rent,2024-01-01"],
        "levels": levels,
    }


PLANTS = {
    "tx": [
        # a fourth month of a counterparty, a reversal, a series that goes on, an id of before
        "p1,P0,2026-07-01,50,,E9,abc", "p2,P3,2026-07-02,70,,Q,POS消费 冲正",
        "p3,P4,2026-07-01,99999,,F1,代发工资", "p4,P4,2026-07-03,-60000,,Y,本人他行转出",
        "p5,F1,2026-07-04,500000,,P1,银联商务 收单结算", "p6,G1,2026-07-01,7000,,F1,预算拨款",
        "t1,F1,2026-07-05,1,,,zzz", "p7,P2,2026-07-01,-33,,L7,xyz",
        "p8,F1,2026-07-01,-9,,P9,代发工资",
    ],
    "rates": ["USD,9.9,2026-07-01"],
    "acc": ["P9,p0,C,Ann 0,2026-07-01,,,1900-01-01", "E9,p0,C,Ann 0,2026-07-02,,,",
            "P1,a0,B,Ann,2026-07-01,,,", "N1,new,C,New,2026-08-01,,,"],
    "orders": ["P2,-33,L7,rent,2026-07-01"],
    "levels": ["P0,2026-07-01,1,deposit", "F1,2026-07-02,9,deposit", "G1,2026-07-01,77,deposit"],
}  # fmt: skip
"""Rows of the cut-off's day and later, each of which would say something if it were looked at."""


def write(folder: Path, planted: bool) -> Path:
    """The bank in a folder; its tables file. `planted`: with rows after the cut-off."""
    folder.mkdir(exist_ok=True)
    for name, plain in _rows().items():
        rows = plain
        # first, so that whatever takes the first of several would take them
        more = PLANTS[name] if planted else []
        if planted and name == "acc":  # and ends that lie after it
            alive = "P3,p3,C,Ann 3,2024-01-04,"
            rows = [row.replace(f"{alive},,", f"{alive}2026-07-09,2026-07-08,") for row in rows]
        lines = [HEADS[name], *more, *rows]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    # few types, so that what an engine is asked stays short
    dropped = [code for code in Taxonomy.load().types if code not in USED]
    (folder / "more.toml").write_text(_MORE.replace("DROPPED", json.dumps(dropped)), "utf-8")
    (folder / "tables.toml").write_text(_TABLES, "utf-8")
    return folder / "tables.toml"
