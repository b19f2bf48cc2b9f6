"""One person out of what was copied from outputs: exports, histories of leads, rows of flows."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.persons.naming import Person
from profiles.assignment.history import load_leads
from profiles.copies import FILE, MAP, ROWS, carry_copies, copies_in, note_copy
from profiles.export import export
from profiles.run import _replace
from profiles.taken_out import take_out_of_copies
from profiles.without_person import names_in, take_out
from psi.protocol.errors import InputError

PERSON = Person("word", {"bank.people": pa.table({"customer": ["C2"], "id_no": ["X"]})})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    out.mkdir()
    names = ["C1", "C2", "C3"]
    pq.write_table(pa.table({"entity": names, "x": [1, 2, 3]}), out / "profiles.parquet")
    leads = {"product": ["offer"] * 3, "entity": names, "manager": ["M1", "M2", "M1"]}
    pq.write_table(pa.table(leads), out / "targets.parquet")
    said = {"entity": {"table": "bank.people", "column": "customer"}}
    (out / "metrics.json").write_text(json.dumps(said))
    return out


def forget(folder: Path, *, dry: bool = False) -> tuple[set[str], list[str]]:
    named, written = names_in(folder, PERSON), take_out(folder, PERSON, dry=dry)
    done, beyond = take_out_of_copies(folder, named, changed=bool(written), dry=dry)
    return {Path(name).name for name in done}, beyond


def in_duckdb(path: Path) -> list[str]:
    with duckdb.connect(str(path), read_only=True) as file:
        return [row[0] for row in file.sql("SELECT entity FROM profiles ORDER BY 1").fetchall()]


def test_exports_and_histories_are_without_the_person(run: Path, tmp_path: Path) -> None:
    base, book = tmp_path / "bank.duckdb", tmp_path / "bank.xlsx"
    export(run, str(base))
    export(run, str(book))
    contacts, history = tmp_path / "contacts.csv", tmp_path / "history.parquet"
    contacts.write_text("entity,manager,contacted\nC1,M1,\nC2,M2,2026-07-02\nC3,M1,2026-07-03\n")
    load_leads(run / "targets.parquet", contacts, date(2026, 7, 1), history)
    before = history.stat().st_mode
    every = {"bank.duckdb", "bank.xlsx", "history.parquet"}
    assert forget(run, dry=True) == (every, [])
    assert in_duckdb(base) == ["C1", "C2", "C3"]
    assert forget(run) == (every, [])
    assert in_duckdb(base) == ["C1", "C3"]
    assert b"C2" not in base.read_bytes()
    assert pq.read_table(history).column("entity").to_pylist() == ["C1", "C3"]
    assert pq.read_table(history).column("days").to_pylist() == [None, 2.0]
    assert history.stat().st_mode == before
    assert forget(run) == (set(), [])  # said twice it changes nothing


def test_an_export_that_a_kill_left_behind_is_made_anew(run: Path, tmp_path: Path) -> None:
    base = tmp_path / "bank.duckdb"
    export(run, str(base))
    assert take_out(run, PERSON)
    assert forget(run) == ({"bank.duckdb"}, [])
    assert in_duckdb(base) == ["C1", "C3"]


def test_what_is_out_of_reach_is_named(run: Path, tmp_path: Path) -> None:
    base = tmp_path / "bank.duckdb"
    export(run, str(base))
    with duckdb.connect(str(base)) as file:
        file.sql("CREATE TABLE mine AS SELECT 1 AS x")
    note_copy(run, "export", "postgresql://me:secret@db.example:5432/bank?sslmode=require")
    note_copy(run, MAP, tmp_path / "map.duckdb")
    (tmp_path / "map.duckdb").write_bytes(b"")
    done, beyond = forget(run)
    assert done == set()
    assert "bank.duckdb: changed since it was exported" in beyond[0]
    assert beyond[1].startswith("postgresql://db.example/bank: a database")
    assert "map.duckdb: remove it, and run fedprofile flows map again" in beyond[2]
    assert "secret" not in (run / FILE).read_text()


def test_a_run_in_anothers_folder_remembers_where_that_one_was_copied_to(
    run: Path, tmp_path: Path
) -> None:
    base, history = tmp_path / "bank.duckdb", tmp_path / "history.parquet"
    export(run, str(base))
    pq.write_table(pa.table({"entity": ["C1", "C2"]}), history)
    note_copy(run, ROWS, history)
    staging = tmp_path / "staging"
    staging.mkdir()
    pq.write_table(pa.table({"entity": ["C1", "C2"]}), staging / "profiles.parquet")
    (run / "metrics.json").rename(staging / "metrics.json")
    _replace(staging, run)
    assert forget(run) == (
        {"history.parquet"},
        [f"{base}: of outputs that a later run has replaced; remove it"],
    )
    assert in_duckdb(base) == ["C1", "C2", "C3"]  # another run's rows are not put into it
    assert pq.read_table(history).column("entity").to_pylist() == ["C1"]
    export(run, str(base), overwrite=True)
    assert forget(run) == (set(), [])
    (run / FILE).write_text("{")
    staging.mkdir()
    carry_copies(run, staging)
    assert (staging / FILE).read_text() == "{"


def test_a_large_file_of_rows_is_written_in_batches_with_all_else_kept(tmp_path: Path) -> None:
    rows, path = 200_000, tmp_path / "typed.parquet"
    table = pa.table({"entity": pa.array([i % 1000 for i in range(rows)]), "x": range(rows)})
    pq.write_table(table.replace_schema_metadata({"view": "kept"}), path)
    note_copy(tmp_path, ROWS, path)
    note_copy(tmp_path, ROWS, path)
    assert len(copies_in(tmp_path)) == 1
    done, _ = take_out_of_copies(tmp_path, {"7"})
    left = pq.read_table(path)
    assert list(done) == [str(path)]
    assert left.num_rows == rows - 200
    assert left.schema.metadata[b"view"] == b"kept"
    assert take_out_of_copies(tmp_path, {"7"}) == ({}, [])
    (tmp_path / FILE).write_text("{")
    with pytest.raises(InputError, match="malformed"):
        copies_in(tmp_path)
