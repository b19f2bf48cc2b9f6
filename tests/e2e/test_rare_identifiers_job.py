"""A whole job whose keys are of kinds that python-stdnum and phonenumbers check."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from profiles.cli import app
from profiles.job import Job
from profiles.run import run_job, steps_of
from profiles.tables import open_tables
from psi.protocol import EnvironmentFailed, Share

JOB = """
[job]
name = "taxpayers we share"
purpose = "count"

[[party]]
name = "bank"
table = "bank.clients"
keys = [["tax"], ["tel", "name"]]

[[party]]
name = "office"
table = "office.people"
keys = [["idnr"], ["phone", "full_name"]]

[align]
kinds = [["stdnum:de.idnr"], ["phone:DE", "name"]]
minimum_overlap = 2
"""
TABLES = """
[bank.clients]
path = "bank.csv"
[office.people]
path = "office.csv"
"""
BANK = """tax,tel,name
36 574 261 809,,Anna
,030 123456,Bert Braun
36574261808,0171 2345678,Carl
,,Dora
36574261809,,Anna again
"""
OFFICE = """idnr,phone,full_name
,+49 30 123456,BERT BRAUN
36-574-261-809,,A. N. Other
,0049 171 2345678,Carl
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"job.toml": JOB, "tables.toml": TABLES}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "bank.csv").write_text(BANK)
    (tmp_path / "office.csv").write_text(OFFICE)
    return tmp_path


def test_spellings_meet_and_progress_is_told(folder: Path) -> None:
    told: list[tuple[str, str, float]] = []
    job, tables = Job.load(folder / "job.toml"), open_tables(folder / "tables.toml")
    assert steps_of(job)[:2] == ["contract", "keys"]
    watched = nullcontext(lambda *share: told.append(share))
    found = run_job(job, tables, folder / "out", progress=watched).federation.outcome
    assert found.rows.tolist() == [0, 1, 2]
    assert found.grades.tolist() == [0, 1, 1]
    assert len(pd.read_parquet(folder / "out" / "profiles.parquet")) == 5
    keys = [share for party, step, share in told if (party, step) == ("bank", "keys")]
    assert {share.items for share in keys if isinstance(share, Share)} == {2, 3}, (
        "distinct values of tel and tax"
    )
    report = (folder / "out" / "metrics.json").read_text()
    assert "36574261809" not in report


def test_preflight_tells_what_is_wrong_with_them(folder: Path) -> None:
    words = ["preflight", str(folder / "job.toml"), "--tables", str(folder / "tables.toml")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "tax (stdnum:de.idnr): 2 usable" in done.output
    assert "wrong checksum 1" in done.output
    assert "tel (phone:DE): 2 usable" in done.output
    assert "36574261" not in done.output


def test_a_missing_package_ends_the_job_before_it_is_signed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, tables = Job.load(folder / "job.toml"), open_tables(folder / "tables.toml")
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(EnvironmentFailed, match="phonenumbers, which is not installed") as caught:
        run_job(job, tables, folder / "out")
    assert "fedprofile[identifiers]" in str(caught.value)
    assert not (folder / "out").exists()
    words = ["plan", str(folder / "job.toml"), "--tables", str(folder / "tables.toml")]
    assert isinstance(CliRunner().invoke(app, words).exception, EnvironmentFailed)
