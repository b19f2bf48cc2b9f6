"""What a column was taken for holds from job to job: a change stops the next one, by name."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.node.home import NodeHome, frozen_columns
from federated.tables.frozen import FrozenColumns, kinds_of
from profiles.cli import app
from psi.protocol import InputError

MAY = pa.table(
    {
        "amount": [1.5, 2.0, None], "city": ["a", "b", "a"], "codes": ["1", "2", "3"],
        "flag": [True, False, None], "born": pa.array([0, 1, 2], pa.date32()), "gone": [1, 2, 3],
    }
)  # fmt: skip
JUNE = MAY.set_column(0, "amount", pa.array(["1,234.50", "2", None])).set_column(
    5, "gone", pa.nulls(3, pa.int64())
)


DAYS = itertools.count(1_790_000_000, 86_400)


def frozen(path: Path, *, accept: bool = False) -> FrozenColumns:
    """As on a day of its own."""
    day = float(next(DAYS))
    return FrozenColumns(path, lambda: day, accept=accept, how="--accept-columns takes them")


def job(path: Path, table: pa.Table, *, accept: bool = False) -> None:
    held = frozen(path, accept=accept)
    held.check("bank.t", table, ["amount", "codes"])
    held.note()


def test_what_columns_are_taken_for() -> None:
    assert kinds_of(MAY, MAY.column_names, ["amount", "city", "codes"]) == {
        "amount": "numbers", "city": "categories", "codes": "categories", "flag": "boolean",
        "born": "date", "gone": "numbers",
    }  # fmt: skip
    spelled = pa.table({"x": [f"{i}.5" for i in range(300)]})
    assert kinds_of(spelled, ["x"], ["x"]) == {"x": "numbers"}
    zoned = pa.table({"t": pa.array([0], pa.timestamp("s", "Asia/Shanghai"))})
    assert kinds_of(zoned, ["t"], []) == {"t": "timestamp, zone Asia/Shanghai"}


def test_a_change_stops_the_next_job_with_what_it_was_and_is(tmp_path: Path) -> None:
    file = tmp_path / "job.columns.json"
    job(file, MAY)
    job(file, MAY)
    with pytest.raises(InputError) as caught:
        job(file, JUNE)
    text = str(caught.value)
    assert "bank.t: taken for something else than in the job of 2" in text
    assert "'amount' was numbers, is text" in text or "'amount' was numbers, is cat" in text
    assert "'gone' was numbers, is empty" in text
    assert "--accept-columns" in caught.value.hint
    assert "1,234" not in text
    job(file, MAY)  # a job that was stopped changes nothing
    job(file, JUNE, accept=True)
    job(file, JUNE)
    assert file.stat().st_mode & 0o777 == 0o600


def test_on_one_day_tables_are_still_mended(tmp_path: Path) -> None:
    held = FrozenColumns(tmp_path / "f.json", lambda: 1_790_000_000.0)
    for table in (MAY, JUNE):
        held = FrozenColumns(tmp_path / "f.json", lambda: 1_790_000_000.0)
        held.check("bank.t", table, ["amount"])
        assert held.note()
    with pytest.raises(InputError, match="'amount' was"):
        FrozenColumns(tmp_path / "f.json", lambda: 1_791_000_000.0).check("bank.t", MAY, ["amount"])


def test_a_job_that_fails_later_freezes_nothing(tmp_path: Path) -> None:
    held = frozen(tmp_path / "f.json")
    held.check("bank.t", JUNE, ["amount"])
    job(tmp_path / "f.json", MAY)


def test_more_columns_are_added_and_other_tables_stay(tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    job(file, MAY.select(["amount", "codes"]))
    held = frozen(file)
    held.check("bureau.t", MAY.select(["city"]))
    held.note()
    job(file, MAY)
    known = json.loads(file.read_text())["tables"]
    assert set(known) == {"bank.t", "bureau.t"}
    assert set(known["bank.t"]["columns"]) == set(MAY.column_names)


def test_where_nobody_can_write_a_job_ends_all_the_same(tmp_path: Path) -> None:
    place = tmp_path / "gone"
    held = frozen(place / "job.columns.json")
    held.check("bank.t", MAY, ["amount"])
    place.touch()  # a file where the folder was
    assert not held.note()


def test_an_altered_file_is_refused_and_may_be_accepted_anew(tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    job(file, MAY)
    file.write_text(file.read_text().replace("numbers", "categories"))
    with pytest.raises(InputError, match=r"f\.json was altered"):
        job(file, MAY)
    job(file, MAY, accept=True)
    job(file, MAY)


def test_a_node_accepts_by_table(tmp_path: Path) -> None:
    home = NodeHome.create(tmp_path / "node", "bureau", "127.0.0.1:1")
    held = frozen(home.columns)
    held.check("bureau.people", MAY, ["amount"])
    held.note()
    with pytest.raises(InputError, match="'amount' was numbers") as caught:
        frozen_columns(home).check("bureau.people", JUNE, ["amount"])
    assert "fedprofile node table accept" in caught.value.hint
    done = CliRunner().invoke(app, ["node", "table", "accept", "people", "--home", str(home.path)])
    assert done.exit_code == 0
    assert "is forgotten" in done.output
    frozen_columns(home).check("bureau.people", JUNE, ["amount"])
    home.columns.write_text("{}")
    with pytest.raises(InputError, match="was altered"):
        frozen_columns(home).check("bureau.people", MAY, ["amount"])
    CliRunner().invoke(app, ["node", "table", "accept", "people", "--home", str(home.path)])
    frozen_columns(home).check("bureau.people", MAY, ["amount"])
