"""The map: money between two customers here is one flow, whoever's statement shows it."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from profiles.flows.flows import Flows
from profiles.flows.map import by_month, flow_map


def test_money_between_two_customers_is_one_flow_from_the_payer_to_the_payee() -> None:
    rows = [
        ("1", "firm", -100.0, "p1"),  # seen by both
        ("2", "p1", 100.0, "firm"),
        ("3", "p2", 70.0, "firm"),  # by the payee alone: the firm paid a batch
        ("4", "p1", -5.0, "p2"),  # by the payer alone
        ("5", "p1", -9.0, "x"),  # to somebody elsewhere
        ("6", "p1", 8.0, ""),
        ("7", "firm", 30.0, "body"),
        ("8", "body", -30.0, "firm"),
    ]
    names = ("id", "account", "amount", "counterparty_account")
    given: dict[str, list[object]] = {
        name: [row[i] for row in rows] for i, name in enumerate(names)
    }
    given["time"] = [dt.date(2026, 3, 2)] * len(rows)
    given["text"] = ["zzz"] * len(rows)
    accounts = {
        "account": ["firm", "p1", "p2", "body"],
        "entity": ["f", "a", "b", "g"],
        "kind": ["B", "C", "C", "G"],
    }
    flows = Flows.of(pa.table(given), accounts=pa.table(accounts))
    found = by_month(flow_map(flows.kept(), flows.taxonomy, flows.base.accounts))
    told = {
        (row["source"], row["target"]): (row["rows"], row["minor"])
        for row in found.to_pyarrow().to_pylist()
    }
    assert told == {
        ("B", "C"): (2, 17_000),
        ("C", "C"): (1, 500),
        ("C", "outside"): (1, 900),
        ("outside", "C"): (1, 800),
        ("G", "B"): (1, 3_000),
    }
