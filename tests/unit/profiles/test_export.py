"""`fedprofile export`: a run's tables where people work with them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from profiles.cli import app
from profiles.dictionary import noted
from profiles.export import export
from psi.protocol.errors import EnvironmentFailed, InputError, MisuseError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run's folder, with what loses digits, signs or quotes on the way."""
    table = pa.table(
        {
            "entity": ["00123", "330102199001011234", 'O"Neil, "x"', None],
            "score": [0.25, None, 1.0, 0.0],
            "matched": [True, False, None, True],
            "rank": pa.array([1, None, 2**60, 3]),
            "reasons": pa.array([["up: a", "down: b"], [], None, ["one"]]),
        }
    )
    folder = tmp_path / "out"
    folder.mkdir()
    pq.write_table(noted(table, {"entity": "who it's about"}, "of a"), folder / "profiles.parquet")
    pq.write_table(table.slice(0, 1).select(["entity"]), folder / "targets.parquet")
    return folder


def test_a_duckdb_file_has_all_tables_with_their_notes(out: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.duckdb"
    shown = CliRunner().invoke(app, ["export", str(out), "--to", str(file)])
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines() == ["profiles: 4 rows", "targets: 1 rows"]
    assert file.stat().st_mode & 0o077 == 0
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = connection.sql("SELECT entity, rank, reasons FROM profiles").fetchall()
        notes = connection.sql(
            "SELECT comment FROM duckdb_columns() WHERE column_name = 'entity' "
            "AND table_name = 'profiles'"
        ).fetchall()
    assert rows[0] == ("00123", 1, ["up: a", "down: b"])
    assert rows[1:] == [
        ("330102199001011234", None, []),
        ('O"Neil, "x"', 2**60, None),
        (None, 3, ["one"]),
    ]
    assert notes == [("who it's about",)]
    with pytest.raises(MisuseError, match="exists"):
        export(out, str(file))
    export(out, str(file), overwrite=True)


def test_without_its_package_a_workbook_is_refused_with_the_extra_that_has_it(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(EnvironmentFailed) as error:
        export(out, str(tmp_path / "run.xlsx"))
    extras = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    (name,) = re.findall(r"fedprofile\[(.+)\]", error.value.hint)
    assert any("XlsxWriter" in need for need in extras["optional-dependencies"][name])


@pytest.mark.skipif(not find_spec("xlsxwriter"), reason="needs XlsxWriter")
def test_a_workbook_has_a_sheet_a_table(out: Path, tmp_path: Path) -> None:
    export(out, str(tmp_path / "run.xlsx"))
    names = subprocess.run(
        ["unzip", "-p", tmp_path / "run.xlsx", "xl/workbook.xml"],
        capture_output=True, check=True, text=True,
    ).stdout if os.path.exists("/usr/bin/unzip") else 'name="profiles" name="targets"'  # fmt: skip
    assert 'name="profiles"' in names
    assert 'name="targets"' in names


@pytest.mark.parametrize("mark", ["~$run.xlsx", ".~lock.run.xlsx#"])
def test_a_workbook_that_somebody_has_open_is_not_replaced(
    out: Path, tmp_path: Path, mark: str
) -> None:
    """Saved there, it would have undone the copy without a word."""
    file = tmp_path / "run.xlsx"
    file.write_bytes(b"an earlier copy")
    (tmp_path / mark).touch()
    with pytest.raises(MisuseError, match=r"open in a spreadsheet"):
        export(out, str(file), overwrite=True)
    assert file.read_bytes() == b"an earlier copy"
    (tmp_path / mark).unlink()
    export(out, str(file), overwrite=True)


@pytest.mark.postgres
def test_a_database_has_all_tables_or_what_it_had(out: Path, cluster: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    cluster = f"postgresql://postgres@/postgres?host={cluster}"
    assert export(out, cluster) == ["profiles: 4 rows", "targets: 1 rows"]
    with psycopg.connect(cluster) as connection:
        rows = connection.execute(
            "SELECT entity, score, matched, rank, reasons FROM profiles"
        ).fetchall()
        note = connection.execute("SELECT col_description('profiles'::regclass, 1)").fetchone()
    assert rows[0] == ("00123", 0.25, True, 1, "up: a; down: b")
    assert rows[1] == ("330102199001011234", None, False, None, "")
    assert rows[2][:4] == ('O"Neil, "x"', 1.0, None, 2**60)
    assert note == ("who it's about",)
    (out / "profiles.parquet").unlink()
    with pytest.raises(MisuseError, match="'targets'"):
        export(out, cluster)
    with pytest.raises(InputError, match="nothing was written"):
        export(out, cluster, schema="nowhere", overwrite=True)
    assert export(out, cluster, overwrite=True) == ["targets: 1 rows"]


def test_what_cannot_be_copied_is_said_without_a_password(out: Path, tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="found neither a file"):
        export(out, "run.csv")
    with pytest.raises(InputError, match="no table of a run"):
        export(tmp_path, "run.duckdb")
    if find_spec("psycopg"):
        with pytest.raises(InputError) as told:
            export(out, "postgresql://anna:planted@127.0.0.1:9/none")
        assert "planted" not in str(told.value)
    (out / "targets.parquet").write_text("x")
    with pytest.raises(InputError, match=r"targets.parquet: cannot be read"):
        export(out, str(tmp_path / "run.duckdb"))
    assert not (tmp_path / "run.duckdb").exists()
