"""Values that stand for others: -999 among amounts, one key of everybody who gave none."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from federated.tables.bindings import TablesFile
from federated.tables.column_report import columns_taken
from federated.tables.preflight import preflight
from psi.protocol import InputError

AMOUNTS = np.random.default_rng(5).normal(1000, 250, size=400).round(2)
SCORES = np.arange(400) % 60 / 10


def with_code(values: np.ndarray, code: float, rows: int = 40) -> np.ndarray:
    found = values.astype(np.float64)
    found[:rows] = code
    return found


def said(values: Any) -> str:
    table = pa.table({"z": values})
    (found,) = columns_taken(table, {"z": ["feature"]})
    return "; ".join(found.wrong)


@pytest.mark.parametrize(
    ("values", "code"),
    [(SCORES, -999), (SCORES, 9999), (AMOUNTS, -9999), (SCORES, -1), (SCORES * 10, 999)],
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_number_for_nothing_is_told_and_the_advice_takes_it_out(
    tmp_path: Path, values: np.ndarray, code: int, ending: str
) -> None:
    """A model took 40 rows of -999 for the lowest balances of all, without a word."""
    held = pa.table({"id": range(len(values)), "z": with_code(values, code)})
    file = tmp_path / f"t.{ending}"
    pa_csv.write_csv(held, file) if ending == "csv" else pq.write_table(held, file)
    lines = f'[bank.t]\npath = "{file.name}"\n'
    (tmp_path / "tables.toml").write_text(lines)
    told = said(TablesFile.load(tmp_path / "tables.toml")["bank.t"].load(["z"]).column("z"))
    assert told.startswith(f"40 rows hold {code}, apart from all others")
    (advice,) = re.findall(r"set (nulls = \{.*?\}) in tables.toml", told)
    (tmp_path / "tables.toml").write_text(lines + advice)
    mended = TablesFile.load(tmp_path / "tables.toml")["bank.t"].load(["z"]).column("z")
    assert mended.null_count == 40
    assert not said(mended)


@pytest.mark.parametrize(
    "values",
    [
        with_code(AMOUNTS - 1000, -1),  # one of many negative ones
        with_code(SCORES * 20, 99),  # within the others
        with_code(SCORES, -999, rows=1),  # once: an error, told as one far away
        np.arange(400) % 4 - 1,  # codes of an order, -1 to 2
        np.arange(9_700, 10_100) % 10_000,
    ],
)
def test_numbers_that_may_be_what_they_say_are_left(values: np.ndarray) -> None:
    assert "apart from all others" not in said(values)


def of_key(ids: list[str], **more: Any) -> str:
    return "; ".join(preflight(pa.table({"id": ids}), [["id"]], {"id": "text"}, **more).suggestions)


def test_a_key_of_everybody_who_gave_none_is_told() -> None:
    """Thirty customers with the telephone 0 matched the partner's with 0, as one person."""
    ids = [f"k{i}" for i in range(400)]
    told = of_key(["0"] * 30 + ids)
    assert "30 rows have one and the same value" in told
    assert "one and the same" not in of_key(ids)
    several = [f"k{i % 40}" for i in range(400)] + ["k1"] * 20  # loans by customer
    assert "one and the same" not in of_key(several)


def test_times_of_a_zone_are_told_where_they_are_keys() -> None:
    """The same moments of two zones matched an hour off: 299 of 300 rows with another's."""
    hours = [dt.datetime(2026, 1, 1, 10) + dt.timedelta(hours=n) for n in range(30)]
    berlin = pa.table({"id": pa.array(hours, pa.timestamp("us", "Europe/Berlin"))})
    told = "; ".join(preflight(berlin, [["id"]], {"id": "text"}).suggestions)
    assert "as clocks in Europe/Berlin show them" in told


ROWS = "".join(f"{i},{i}.5\n" for i in range(40))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('"id", "z"\n' + "".join(f'"{i}", "{i}"\n' for i in range(40)), "without blanks behind"),
        (f"id,z,y\n{ROWS}   \n".replace(".5", ".5,1"), "nothing but blanks"),
        (f"id,z,y\n{ROWS}\n(40 rows affected)\n".replace(".5", ".5,1"), "a note below the table"),
        (f"id;z;y\n{ROWS}", "set delimiter = ';'"),
    ],
)
def test_a_line_that_is_no_record_is_told_as_what_it_is(
    tmp_path: Path, text: str, hint: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "tables.toml").write_text('[bank.t]\npath = "t.csv"\n')
    with pytest.raises(InputError) as met:
        TablesFile.load(tmp_path / "tables.toml")["bank.t"].load(["id", "z"])
    assert hint in met.value.hint
