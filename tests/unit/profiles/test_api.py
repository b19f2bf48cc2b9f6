"""The package as a notebook sees it: jobs, tables and results of the kinds that are at hand."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from federated.keys.identity_file import read_identity
from federated.ledger.account import verify_ledger
from federated.readers import arrow_expression, duckdb_connection
from profiles import Job, JobResult, describe, open_tables, run_job
from psi.protocol import InputError, JobError, MisuseError
from tests.seeded import outputs, seed_sessions

JOB = """
[job]
name = "groups"
purpose = "test"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
features = ["balance"]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]

[align]
minimum_overlap = 20

[[aggregate]]
by = "bank.segment"
measures = ["bureau.loans:mean"]
minimum_group = 5

[profile]
segments = 2
"""


def frames() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(4)
    ids = [f"p{i:03d}" for i in rng.permutation(80)]
    segment = rng.choice(["a", "b"], 80)
    bank = pd.DataFrame({"id": ids, "segment": segment, "balance": rng.normal(size=80)})
    bureau = pd.DataFrame({"id": ids[::-1][:60], "loans": rng.integers(0, 9, 60)})
    return {"bank.people": bank, "bureau.people": bureau}


def made(kind: str) -> dict[str, Any]:
    """The same tables of another kind."""
    found = frames()
    if kind == "frame with an index":
        return {name: frame.set_index("id") for name, frame in found.items()}
    if kind == "arrow":
        return {name: pa.Table.from_pandas(frame) for name, frame in found.items()}
    if kind == "ibis":
        place = duckdb_connection()
        given = {n: pa.Table.from_pandas(frame) for n, frame in found.items()}
        return {n: arrow_expression(place, n[:4], table) for n, table in given.items()}
    return dict(found)


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    seed_sessions(monkeypatch)


@pytest.mark.usefixtures("seeded")
def test_paths_may_be_texts(tmp_path: Path) -> None:
    given = {name: str(tmp_path / name) for name in ("frozen", "models", "segments", "campaigns")}
    found = run_job(Job.load(JOB), frames(), str(tmp_path / "out"), **given)  # type: ignore[arg-type]
    assert found.segments_noted
    assert found.columns_noted
    assert (tmp_path / "segments").is_file()
    assert (tmp_path / "frozen").is_file()
    given["earlier"] = str(tmp_path / "out")
    run_job(Job.load(JOB), frames(), str(tmp_path / "again"), **given)  # type: ignore[arg-type]
    bank = tmp_path / "again" / "parties" / "bank"
    lines = verify_ledger(str(bank / "ledger.jsonl"), str(bank / "identity.json"))
    assert lines == verify_ledger(bank / "ledger.jsonl", read_identity(bank / "identity.json"))
    with pytest.raises(InputError, match=r"bureau.json: No such file"):
        verify_ledger(str(bank / "ledger.jsonl"), "bureau.json")


@pytest.mark.usefixtures("seeded")
def test_a_job_of_tables_at_hand(tmp_path: Path) -> None:
    results = {
        kind: run_job(Job.load(JOB), open_tables(made(kind)), str(tmp_path / kind))
        for kind in ("frame", "frame with an index", "arrow", "ibis")
    }
    results["by name"] = run_job(Job.load(JOB), made("frame"), tmp_path / "by name")
    with pytest.raises(MisuseError, match="no tables for the party 'bank': found none"):
        run_job(Job.load(JOB), {}, tmp_path / "nothing")
    first = results["frame"]
    assert isinstance(first, JobResult)
    assert isinstance(first.profiles, pd.DataFrame)
    assert first.profiles.entity.tolist() == frames()["bank.people"].id.tolist()
    assert first.profiles.matched.sum() == first.metrics["matched"] == 60
    assert first.targets is None
    assert first.report().read_text("utf-8").startswith("<!doctype html>")
    assert "<th>matched</th><td>60</td>" in first._repr_html_()
    for whole in (first, first.outputs, first.federation, *first.federation.outcomes.values()):
        assert "array" not in repr(whole)
        assert len(repr(whole)) < 600
    assert "matched: 60" in repr(first)
    with pytest.raises(MisuseError) as again:
        run_job(Job.load(JOB), open_tables(frames()), first.out)
    assert "overwrite=True" in again.value.hint
    assert all(outputs(r.out) == outputs(first.out) for r in results.values())


def test_a_job_is_a_path_a_text_or_a_dict(tmp_path: Path) -> None:
    file = tmp_path / "job.toml"
    file.write_text(JOB)
    jobs = [Job.load(given) for given in (file, str(file), JOB, tomllib.loads(JOB))]
    assert len({(job.name, job.parties, job.aggregates) for job in jobs}) == 1
    assert [job.file for job in jobs] == [str(file), str(file), "job", "job"]
    assert "bureau" in describe(jobs[3], open_tables(frames()), 0)
    for wrong in (JOB.replace("purpose", "porpoise"), tomllib.loads(JOB) | {"jbo": {}}):
        with pytest.raises(JobError, match=r"^job: "):
            Job.load(wrong)
    with pytest.raises(JobError, match="not TOML"):
        Job.load(JOB + "[[")
    with pytest.raises(JobError, match="no such file"):
        Job.load("nothing.toml")


def test_what_is_no_table_is_refused_without_a_cell() -> None:
    with pytest.raises(MisuseError, match=r"p\.t: found list"):
        open_tables({"p.t": [1, 2]})
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    mixed = pd.DataFrame({"a": [1, "planted"], "b": [1, 2]})
    tables = open_tables({"p.twice": twice, "p.mixed": mixed, "p.none": mixed[:0]})
    with pytest.raises(InputError, match="column 'a' is there twice"):
        tables.columns("p.twice")
    with pytest.raises(InputError, match="values of several types") as error:
        tables.load("p.mixed", ["a"])
    assert "planted" not in str(error.value) + error.value.hint
    assert tables.load("p.mixed", ["b"]).column("b").to_pylist() == [1, 2]
    for table, column, told in (
        ("p.mixed", "c", "no column 'c'"),
        ("p.none", "b", "empty"),
        ("p.other", "b", "no table 'p.other'"),
    ):
        with pytest.raises(InputError, match=told):
            tables.load(table, [column])
