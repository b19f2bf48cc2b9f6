"""Bad input gets a clear error with a number, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from federated.session.session import Session
from federated.tables.frozen import _text
from profiles.cli import app, main
from profiles.job import Job
from profiles.run import JobResult, run_job
from profiles.tables import open_tables
from psi.protocol import (
    EnvironmentFailed,
    FedprofileError,
    InputError,
    JobError,
    MisuseError,
    Refused,
)
from tests.e2e import nursery
from tests.e2e.conftest import shortened


def run(
    folder: Path, out: str = "out", overwrite: bool = False, models: Path | None = None
) -> JobResult:
    job, tables = Job.load(folder / "job.toml"), open_tables(folder / "tables.toml")
    return run_job(job, tables, folder / out, overwrite=overwrite, models=models)


def cli(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = ["run", "job.toml", "--tables", "tables.toml", "--out", "out", "--quiet", *more]
    return nursery.run(words, os.environ, 120, folder)


def edit(folder: Path, file: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(pd.read_csv(folder / file)).to_csv(folder / file, index=False)


def replace_in(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")


CASES: list[tuple[str, Callable[[Path], object], type[FedprofileError], str]] = [
    ("no file", lambda f: (f / "bureau.csv").unlink(), InputError, "no file"),
    ("no file at the receiver", lambda f: (f / "bank.csv").unlink(), InputError, "no file"),
    (
        "no column",
        lambda f: edit(f, "bureau.csv", lambda t: t.drop(columns="usage")),
        InputError,
        "usage",
    ),
    ("empty table", lambda f: edit(f, "bureau.csv", lambda t: t[:0]), InputError, "empty"),
    (
        "no match",
        lambda f: edit(f, "bureau.csv", lambda t: t.assign(id_no="x" + t.id_no)),
        Refused,
        "0 shared records found, at least 50 needed",
    ),
    (
        "fewer than the minimum",
        lambda f: replace_in(f, "job.toml", "minimum_overlap = 50", "minimum_overlap = 221"),
        Refused,
        "220 different usable keys in id_no, at least 221 needed",
    ),
    (
        "one class",
        lambda f: edit(f, "bank.csv", lambda t: t.assign(churned=1)),
        InputError,
        "1 classes, allowed: 2",
    ),
    (
        "no number",
        lambda f: edit(
            f,
            "bureau.csv",
            lambda t: t.assign(loans=["planted 7"] + [str(x) for x in t.loans[1:]]),
        ),
        InputError,
        "loans",
    ),
    (
        "no table",
        lambda f: replace_in(f, "tables.toml", "[bureau.people]", "[bureau.peple]"),
        JobError,
        "did you mean bureau.peple",
    ),
    (
        "permission",
        lambda f: (f / "tables.toml").write_text(
            (f / "tables.toml").read_text() + 'permissions = { queries = "never" }\n'
        ),
        Refused,
        "asked as feature, never allowed by its owner",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "error", "text"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_clear_error_and_earlier_outputs_whole(
    small: Path, spoil: Callable[[Path], object], error: type[FedprofileError], text: str
) -> None:
    earlier = small / "out"
    earlier.mkdir()
    (earlier / "report.html").write_text("earlier")
    spoil(small)
    with pytest.raises(error, match=text) as caught:
        run(small, overwrite=True)
    assert "planted" not in str(caught.value)
    assert (earlier / "report.html").read_text() == "earlier"
    leftovers = {p.name for p in small.iterdir() if p.name.startswith(".")}
    assert not leftovers
    for ledger in small.glob("out.failed/*/ledger.jsonl"):
        assert "planted" not in ledger.read_text()


def test_an_output_folder_that_exists_is_left_alone(small: Path) -> None:
    (small / "out").mkdir()
    (small / "out" / "mine.txt").write_text("mine")
    with pytest.raises(MisuseError, match="exists"):
        run(small)
    assert (small / "out" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk"])
def test_encodings_and_quoted_commas(small: Path, encoding: str) -> None:
    table = pd.read_csv(small / "bank.csv")
    table["name"] = "张三, 北京"
    table.to_csv(small / "bank.csv", index=False, encoding=encoding)
    declared = "gbk" if encoding == "gbk" else "utf-8"
    replace_in(small, "tables.toml", '"bank.csv"', f'"bank.csv"\nencoding = "{declared}"')
    replace_in(small, "job.toml", 'features = ["loans", "overdue", "usage", "queries"]', "")
    text = (small / "job.toml").read_text().split("[train]")[0]
    (small / "job.toml").write_text(text + '[profile]\nfacts = ["id", "name"]\n')
    run(small)
    found = pd.read_parquet(small / "out" / "profiles.parquet")
    assert set(found.name) == {"张三, 北京"}


def test_duplicate_and_null_keys_are_counted_and_the_first_row_stands(small: Path) -> None:
    def spoil(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[:4, "id"] = None
        return pd.concat([table, table[10:13]], ignore_index=True)

    edit(small, "bank.csv", spoil)
    text = (small / "job.toml").read_text().split("[train]")[0]
    (small / "job.toml").write_text(text)
    result = run(small)
    match = result.outputs.report.matches[0]
    assert dict(match.left_out) == {"no usable key": 5, "key held twice": 3}
    bank, bureau = pd.read_csv(small / "bank.csv"), pd.read_csv(small / "bureau.csv")
    assert match.matched == bank.dropna(subset="id").id.isin(bureau.id_no)[:-3].sum()


def test_a_full_disk_loses_nothing(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small / "out").mkdir()
    (small / "out" / "report.html").write_text("earlier")

    monkeypatch.setattr("federated.store.vault.write_atomic", _failing)
    with pytest.raises(EnvironmentFailed, match="No space left"):
        run(small, overwrite=True)
    assert (small / "out" / "report.html").read_text() == "earlier"


def test_a_model_that_cannot_be_kept_is_told_before_anything_else_is(small: Path) -> None:
    (small / "models").touch()
    with pytest.raises(EnvironmentFailed, match=r"cannot write into .*models/bank"):
        run(small, models=small / "models")
    for ledger in (small / "out.failed").glob("*/ledger.jsonl"):
        assert '"step"' not in ledger.read_text()
        assert "disclosed" not in ledger.read_text()


def test_what_the_system_refuses_is_one_line_with_the_file(small: Path) -> None:
    words = ["run", "job.toml", "--tables", "tables.toml", "--out", "o" * 300]
    done = nursery.run(words, os.environ, 60, small)
    assert done.returncode == EnvironmentFailed.exit_code
    assert done.stderr == f"error: {'o' * 300}: File name too long\n"


def _failing(path: Path, data: bytes | str, **options: bool) -> None:
    del data, options
    raise EnvironmentFailed(f"cannot write {path.name}: No space left on device")


def test_a_party_that_dies_in_a_step_ends_the_others(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary = Session.run

    def dying(self: Session, step: str, role: object, *peers: object) -> object:
        if self.name == "bureau" and step.startswith("train"):
            raise MemoryError
        return ordinary(self, step, role, *peers)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "run", dying)
    begun = time.monotonic()
    with pytest.raises(MemoryError):
        run(small)
    assert time.monotonic() - begun < 60
    ledger = (small / "out.failed" / "bank" / "ledger.jsonl").read_text().splitlines()
    assert '"ended"' in ledger[-1]
    assert "PeerGone" in ledger[-1]
    assert not (small / "out").exists()


def test_the_command_line_gives_numbers_and_one_line(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def code() -> object:
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    (small / "bureau.csv").unlink()
    done = cli(small)
    assert done.returncode == InputError.exit_code
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    replace_in(small, "job.toml", "[align]", "[aline]")
    monkeypatch.chdir(small)
    words = ["run", "job.toml", "--tables", "tables.toml", "--out", "out", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["fedprofile", *words])
    assert code() == JobError.exit_code
    (small / "out").mkdir()
    (small / "out" / "x").touch()
    replace_in(small, "job.toml", "[aline]", "[align]")
    assert code() == MisuseError.exit_code


def _under_way(small: Path) -> bool:
    """Whether the parties speak: the command has loaded what it needs and waits for them."""
    ledgers = small.glob(".out-*/parties/bank/ledger.jsonl")
    return any("handshake" in ledger.read_text("utf-8") for ledger in ledgers)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_with_130_and_leaves_nothing(small: Path) -> None:
    command = [sys.executable, "-m", "profiles", "run", "job.toml", "--tables", "tables.toml"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [*command, "--out", "out", "--quiet"],
        cwd=small, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        end = time.monotonic() + 60
        while not _under_way(small):
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert not (small / "out").exists()
    assert not list(small.glob(".out-*"))


def test_columns_that_changed_since_the_last_run_stop_the_next(small: Path) -> None:
    shortened(small)
    job, tables, out = (str(small / name) for name in ("job.toml", "tables.toml", "out"))
    asked = ["run", job, "--tables", tables, "--out", out, "--overwrite", "--quiet"]
    assert CliRunner().invoke(app, asked).exit_code == 0
    file = small / "job.columns.json"
    tables_then = json.loads(file.read_text())["tables"]
    for known in tables_then.values():  # as if it had run last month
        known["since"] = "2026-01-02"
    file.write_text(_text(tables_then))
    bureau = pd.read_csv(small / "bureau.csv")
    bureau["loans"] = np.where(bureau.index % 2, "many", "few")
    bureau.to_csv(small / "bureau.csv", index=False)
    job_text = (small / "job.toml").read_text()
    (small / "job.toml").write_text(
        "\n".join(line for line in job_text.splitlines() if "bureau.loans" not in line)
    )
    before = file.read_bytes()
    for words in (asked, ["plan", job, "--tables", tables]):
        stopped = CliRunner().invoke(app, words)
        assert isinstance(stopped.exception, InputError), stopped.output
        assert "'loans' was numbers, is categories" in str(stopped.exception)
        assert "--accept-columns" in stopped.exception.hint
    looked = CliRunner().invoke(app, ["preflight", job, "--tables", tables])
    assert looked.exit_code == 4
    assert "'loans' was numbers, is categories" in looked.output
    planned = CliRunner().invoke(app, ["plan", job, "--tables", tables, "--accept-columns"])
    assert planned.exit_code == 0, planned.output
    assert file.read_bytes() == before
    assert CliRunner().invoke(app, [*asked, "--accept-columns"]).exit_code == 0
    assert CliRunner().invoke(app, asked).exit_code == 0
