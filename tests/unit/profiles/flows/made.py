"""Small made-up banks: tables in a folder, and flows over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from profiles.flows.flows import Flows
from profiles.flows.taxonomy import Taxonomy

__all__ = ["HEAD", "few_types", "flows_of", "opened_once", "rows_of", "tables_file"]

HEAD = "id,acct,day,amt,dc,ccy,text"
_TABLES = """
[bank.tx]
path = "tx.csv"
types = { amt = "string", day = "string" }
[bank.rates]
path = "rates.csv"
[bank.acc]
path = "acc.csv"
[flows.f]
[flows.f.accounts]
table = "bank.acc"
account = "acct"
entity = "cust"
kind = "kind"
kinds = { P = "C", E = "B" }
opened = "opened"
closed = "closed"
[flows.f.rates]
table = "bank.rates"
currency = "ccy"
rate = "rate"
since = "since"
[[flows.f.source]]
table = "bank.tx"
id = "id"
account = "acct"
time = "day"
amount = "amt"
thousands = ","
direction = "dc"
in = ["C"]
out = ["D"]
currency = "ccy"
text = "text"
"""


def few_types(folder: Path, *codes: str) -> Path:
    """A layer of the taxonomy that has these types alone: queries are short, and soon planned."""
    layer = folder / "few.toml"
    dropped = [code for code in Taxonomy.load().types if code not in codes]
    layer.write_text(f'version = "few"\ndrop = {json.dumps(dropped)}', "utf-8")
    return layer


def opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a command finds flows opened, and typed, where another has asked the same."""
    opened, load = dict[Any, Flows](), Flows.load

    def again(tables: str | Path, name: str = "", **more: Any) -> Flows:
        asked = Path(tables).read_text("utf-8"), str(tables), name, *sorted(more.items())
        if asked not in opened:
            opened[asked] = load(tables, name, **more)
        return opened[asked]

    monkeypatch.setattr(Flows, "load", again)


def tables_file(folder: Path, rows: str, more: str = "", **changed: str) -> Path:
    """A tables file in `folder` over these CSV rows; `changed` replaces lines of its source."""
    (folder / "tx.csv").write_text(f"{HEAD}\n{rows}", "utf-8")
    (folder / "rates.csv").write_text("ccy,rate,since\nUSD,7.1,2024-01-01\nUSD,7.2,2024-03-01\n")
    (folder / "acc.csv").write_text(
        "acct,cust,kind,opened,closed\nA,1,P,2020-01-01,\nB,2,E,2021-01-01,2024-06-30\nD,1,E,,\n"
    )
    text = _TABLES + more
    for key, line in changed.items():
        before = next(one for one in text.splitlines() if one.startswith(f"{key} = "))
        text = text.replace(f"\n{before}\n", f"\n{line}\n")
    (folder / "tables.toml").write_text(text, "utf-8")
    return folder / "tables.toml"


def flows_of(rows: list[dict[str, Any]], **more: Any) -> Flows:
    """Flows of rows at hand: id, account, time, amount (signed) and what else is given."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    for name, values in columns.items():
        if name not in ("amount", "time"):
            columns[name] = ["" if value is None else str(value) for value in values]
    return Flows.of(pa.table(columns), **more)


def rows_of(table: Any, *columns: str) -> list[tuple[Any, ...]]:
    """An Ibis table's rows as tuples, by id where there is one, else as they come."""
    table = table.order_by("id") if "id" in table.columns else table
    return [tuple(row[c] for c in columns) for row in table.to_pyarrow().to_pylist()]
