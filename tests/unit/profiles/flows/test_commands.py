"""`fedprofile flows` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from profiles.cli import app
from psi.protocol.errors import InputError
from tests.unit.profiles.flows.made import tables_file

ROWS = "1,A,2024-01-31,5,D,CNY,BANK FEE\n2,A,2024-02-01,7,D,CNY,zzz\n3,A,2024-02-01,0,D,CNY,z\n"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    app([*words], standalone_mode=False)
    return capsys.readouterr().out


def test_check_type_and_explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tables_file(tmp_path, ROWS))
    found = json.loads(said(capsys, "flows", "check", "--tables", file, "--json"))
    assert (found["rows"], found["read"]) == (3, 2)
    out = tmp_path / "typed.parquet"
    said(capsys, "flows", "type", "--tables", file, "--out", str(out))
    assert pq.read_table(out)["type"].to_pylist() == ["C.fee", ""]
    assert out.stat().st_mode & 0o077 == 0
    text = said(capsys, "flows", "explain", "1", "--tables", file)
    assert "C.fee rule 'text', priority 30, by text  <- this one decides" in text
    with pytest.raises(InputError, match="no readable row has this id"):
        said(capsys, "flows", "explain", "3", "--tables", file)


def test_taxonomy_lists_and_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "C.salary" in said(capsys, "flows", "taxonomy")
    layer = tmp_path / "bank.toml"
    layer.write_text('version = "b-1"\ndrop = ["C.lottery"]\n')
    assert said(capsys, "flows", "taxonomy", "--diff", str(layer)) == "- C.lottery\n"
