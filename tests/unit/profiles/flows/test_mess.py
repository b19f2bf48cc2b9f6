"""Types, leaks and breaks scored on texts that the taxonomy's words were not chosen by."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from tests.unit.profiles.flows.mess import make
from tests.unit.profiles.flows.test_commands import said

TABLES = """
[bank.tx]
path = "tx.csv"
[bank.accounts]
path = "accounts.csv"
[flows.f]
[flows.f.accounts]
table = "bank.accounts"
account = "account"
entity = "entity"
kind = "kind"
name = "name"
[[flows.f.source]]
table = "bank.tx"
id = "id"
account = "account"
time = "time"
amount = "amount"
counterparty_name = "counterparty_name"
text = "text"
"""


def table_of(pairs: list[tuple[str, str]], *names: str) -> pa.Table:
    return pa.table({name: [pair[i] for pair in pairs] for i, name in enumerate(names)})


def test_texts_kept_aside_are_typed_and_leaks_and_breaks_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mess = make(persons=80)
    months = [(entity, f"{m // 12}-{m % 12 + 1:02d}") for entity, m in sorted(mess.breaks)]
    tables = {
        "tx": mess.rows.drop_columns(["counterparty_account"]),
        "accounts": mess.accounts,
        "types": mess.types,
        "leaks": table_of(sorted(mess.leaks), "inflow", "outflow"),
        "breaks": table_of(months, "entity", "month"),
    }
    for name, table in tables.items():
        pa_csv.write_csv(table, tmp_path / f"{name}.csv")
    (tmp_path / "tables.toml").write_text(TABLES, "utf-8")
    files = {name: str(tmp_path / f"{name}.csv") for name in tables}
    text = said(
        capsys, "flows", "score", files["types"], "--tables", str(tmp_path / "tables.toml"),
        "--leaks", files["leaks"], "--breaks", files["breaks"],
    )  # fmt: skip

    def share(what: str) -> float:
        line = next(one for one in text.splitlines() if one.startswith(what))
        return float(line.split()[-1])

    assert share("mean F1 over types with 50 rows") >= 0.80
    assert share("precision of typed") >= 0.95
    assert share("undecidable rows left untyped") >= 0.90
    assert share("leaks from given") == 1.0
    assert share("leaks from own") >= 0.80
    assert share("breaks from given") >= 0.90
    assert share("breaks from own") >= 0.70
