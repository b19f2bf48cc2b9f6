"""The demo: its world, its jobs against the truth behind them, and the two ways to run it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.keys.identity_file import read_identity
from federated.ledger.account import read_account
from federated.ledger.compare import compare
from federated.tables.source import MemorySource
from profiles.cli import app
from profiles.demo import World, build
from profiles.demo.jobs import JOBS
from profiles.federation import Federation, federate
from profiles.job import Job
from psi.identifiers import clean

CORES = 2  # the promise is for two free ones
Kinds = dict[str, tuple[str, str]]
"""By kind of identifier: the bank's column and the partner's."""


def fedprofile(*arguments: str | Path, **env: str) -> str:
    """Standard output of the command line, which must succeed."""
    command = [sys.executable, "-m", "profiles", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=480, env=os.environ | env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_process(*arguments: str | Path) -> str:
    """The same, by a command in this process: it need not load everything anew."""
    done = CliRunner().invoke(app, [str(word) for word in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def world() -> World:
    return build()


def aligned(world: World, name: str, folder: Path) -> Federation:
    """The job as far as its alignment: the same parties, keys and kinds."""
    text = JOBS[name]
    align = text[text.index("[align]") :].split("\n\n")[0]
    path = folder / "job.toml"
    path.write_text(text[: text.index("[align]")] + align, encoding="utf-8")
    job, source = Job.load(path), MemorySource(world.tables)
    return federate(job, {party.name: source for party in job.parties}, folder / "parties")


def joined(bank: pd.DataFrame, partner: pd.DataFrame, levels: list[Kinds]) -> pd.DataFrame:
    """What a plain join on the cleaned keys finds, level by level, first rows standing for all."""
    left, right = (pd.DataFrame({"row": np.arange(len(side))}) for side in (bank, partner))
    found = []
    for grade, kinds in enumerate(levels):
        names = list(kinds)
        for kind, columns in kinds.items():
            left[kind] = clean(_column(bank, columns[0]), kind).values.to_pandas()
            right[kind] = clean(_column(partner, columns[1]), kind).values.to_pandas()
        firsts = [side.dropna(subset=names).drop_duplicates(names) for side in (left, right)]
        both = firsts[0].merge(firsts[1], on=names)
        found.append(both[["row_x", "row_y"]].assign(grade=grade))
        keys = pd.MultiIndex.from_frame(both[names])
        left = left[~pd.MultiIndex.from_frame(left[names]).isin(keys)]
        right = right[~pd.MultiIndex.from_frame(right[names]).isin(keys)]
    every: pd.DataFrame = pd.concat(found)
    return every.sort_values("row_x", ignore_index=True)


def _column(frame: pd.DataFrame, name: str) -> pa.Array:
    return pa.array(frame[name], pa.large_string())


@pytest.mark.parametrize(
    ("job", "bank", "partner", "levels"),
    [
        (
            "churn",
            "bank.consumers",
            "telecom.usage",
            [
                {"identity_number": ("identity_number", "id_no")},
                {"phone": ("phone", "mobile"), "name": ("name", "full_name")},
            ],
        ),
        (
            "companies",
            "bank.companies",
            "registry.companies",
            [{"credit_code": ("credit_code", "uscc")}],
        ),
        (
            "governments",
            "bank.governments",
            "registry.public_bodies",
            [{"credit_code": ("credit_code", "uscc")}],
        ),
    ],
)
def test_alignment_is_the_plain_join(
    world: World, tmp_path: Path, job: str, bank: str, partner: str, levels: list[Kinds]
) -> None:
    federation = aligned(world, job, tmp_path)
    (mine,) = federation.outcome.alignments.values()
    name = partner.split(".", maxsplit=1)[0]
    theirs = federation.outcomes[name].alignments["bank"]
    expected = joined(world.tables[bank].to_pandas(), world.tables[partner].to_pandas(), levels)
    places = {party: tmp_path / "parties" / party for party in ("bank", name)}
    accounts = [
        read_account(place / "ledger.jsonl", read_identity(place / "identity.json"), party)
        for party, place in places.items()
    ]
    assert compare(*accounts) == []
    assert mine.rows.tolist() == expected.row_x.tolist()
    assert theirs.rows.tolist() == expected.row_y.tolist()
    assert mine.grade.tolist() == expected.grade.tolist()
    truth = {"churn": world.people, "companies": world.firms, "governments": world.bodies}[job]
    assert (truth["bank"][mine.rows] == truth[name][theirs.rows]).all()
    shared = np.isin(truth["bank"], truth[name])
    assert len(np.unique(truth["bank"][mine.rows])) > 0.95 * len(np.unique(truth["bank"][shared]))


def test_the_world_is_the_same_every_time(world: World) -> None:
    again = build()
    assert all(world.tables[name].equals(again.tables[name]) for name in world.tables)


def test_identifiers_are_messy(world: World) -> None:
    raw = world.tables["bank.consumers"].column("identity_number")
    texts = [text for text in raw.to_pylist() if text is not None]
    assert len(texts) < len(raw)
    assert len(set(texts)) < len(texts)
    assert any("\uff10" <= c <= "\uff19" for text in texts for c in text)
    assert any(" " in text.strip() for text in texts)
    assert clean(raw, "identity_number").invalid > 0


def test_the_written_world_plans_and_runs(tmp_path: Path) -> None:
    world, out = tmp_path / "world", tmp_path / "out"
    said = in_process("demo", "--write", world, "--out", out, "--lang", "zh")
    assert f"--out {out} --lang zh" in said
    assert "no job is run" in said
    job, tables = world / "governments.toml", world / "tables.toml"
    text = in_process("plan", job, "--tables", tables)
    assert "registry learns how many shared records each segment of bank has" in text
    assert "Expected with all parties on this machine" in text
    assert "usable" in in_process("preflight", job, "--tables", tables)
    assert "left out 0" in in_process("flows", "check", "--tables", tables)
    summary = fedprofile("run", job, "--tables", tables, "--out", out)
    assert "entities matched" in summary
    assert "which of its own records bank has" in " ".join(summary.split())
    assert {path.stem for path in out.iterdir()} >= {"profiles", "metrics", "report", "parties"}
    assert json.loads((out / "metrics.json").read_text())["matched"] > 100
    for name in JOBS.keys() - {"churn"}:
        Job.load(world / f"{name}.toml")


def processor_time() -> float:
    """Of commands that have ended, in seconds: what else runs beside them hardly counts."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("FEDPROFILE_COLD_START"),
    reason="a minute of compiling; a small job starts cold on Python 3.13 in .ci/run",
)
def test_the_demo_from_a_cold_start(tmp_path: Path) -> None:
    started = processor_time()
    summary = fedprofile(
        "demo", "--quiet", "--out", tmp_path / "out", XDG_CACHE_HOME=str(tmp_path / "cache")
    )
    assert processor_time() - started < CORES * 60.0
    assert summary.count("synthetic data") == len(JOBS)
    for name in JOBS:
        assert (tmp_path / "out" / name / "report.html").stat().st_size > 10**4
    for name in ("churn", "default", "companies"):
        metrics = json.loads((tmp_path / "out" / name / "metrics.json").read_text())
        assert metrics["synthetic"]
        (model,) = metrics["models"].values()
        scores = model["scores"]
        assert scores["joined"]["mean_auc"] > scores["bank alone"]["mean_auc"] + 0.1
