"""A person in several rows of the receiver's: known in all of them, and on a list once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.tables.source import MemorySource
from profiles.exclusion import Reason
from profiles.exclusion.left_out import WhoMay
from profiles.job import Job
from profiles.language.recognised import recognised
from profiles.plan import planned
from profiles.plan_text import in_text
from profiles.proposal import nameless_draft
from profiles.repeated import ANOTHER_ROW, Persons, persons_of, repeats_words
from profiles.run import JobResult, run_job

PEOPLE, AGAIN = 300, 40


def job(**more: Any) -> Job:
    bank: dict[str, Any] = {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["z"]}
    bureau = {"name": "bureau", "table": "bureau.t", "keys": [["id"]], "features": ["a"]}
    head: dict[str, Any] = {
        "job": {"name": "j", "purpose": "p"},
        "party": [bank, bureau],
        "align": {},
        "train": {"task": "t", "label": "bank.y", "folds": 0, "evaluations": 2},
        "profile": {"facts": ["row"]},
        "target": [{"product": "x", "task": "t", "top": 200, "leave_out": "none"}],
    }
    return Job.load(head | more)


def tables() -> dict[str, pa.Table]:
    """Each of the first people is there again, behind all others, with a value of its own."""
    rng = np.random.default_rng(4)
    ids = [f"c{i}" for i in range(PEOPLE)]
    own = [*ids, *ids[:AGAIN]]
    z, a = rng.normal(size=len(own)), rng.normal(size=PEOPLE)
    label = (rng.random(len(own)) < 1 / (1 + np.exp(-z))).astype(float)
    rows = [f"r{i}" for i in range(len(own))]
    shared = pa.table({"id": ids, "a": a}).slice(20)  # twenty people the bureau does not know
    return {"bank.t": pa.table({"row": rows, "id": own, "z": z, "y": label}), "bureau.t": shared}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    out = tmp_path_factory.mktemp("repeated") / "out"
    asked = job(campaign={"name": "c", "control": 0.2})
    return out, run_job(asked, tables(), out, campaigns=str(out.parent / "campaigns"))


def test_all_rows_of_a_person_are_known_and_have_one_score(done: tuple[Path, JobResult]) -> None:
    found = pq.read_table(done[0] / "profiles.parquet").to_pandas()
    first, later = found.iloc[20:AGAIN], found.iloc[PEOPLE + 20 :]
    assert later.matched.all()
    for name in ("score_t", "match_grade"):
        assert later[name].tolist() == first[name].tolist()
    assert [list(one) for one in later.reasons_t] == [list(one) for one in first.reasons_t]
    strangers = found.iloc[PEOPLE : PEOPLE + 20]  # nobody's aligned row stands for these
    assert not strangers.matched.any()
    assert (strangers.score_t.to_numpy() != found.score_t.iloc[:20].to_numpy()).all()


def test_a_list_names_a_person_once_and_holds_nobody_back_whom_it_names(
    done: tuple[Path, JobResult],
) -> None:
    people = dict(zip(*(tables()["bank.t"][n].to_pylist() for n in ("row", "id")), strict=True))
    campaign = pq.read_table(done[0] / "campaign.parquet")
    named = [people[row] for row in campaign["entity"].to_pylist()]
    assert len(set(named)) == len(named) > 200
    left = done[1].metrics["left_out"]["x"]["rank"]
    assert left[ANOTHER_ROW] == AGAIN


def test_repeats_are_told_in_plan_report_and_metrics(done: tuple[Path, JobResult]) -> None:
    out, result = done
    assert result.metrics["repeated_rows"] == AGAIN
    told = repeats_words("bank.t", AGAIN)
    assert told in result.outputs.report.notes
    assert told in (out / "report.html").read_text("utf-8")
    assert recognised(told, "note")
    plan = planned(job(), MemorySource(tables()))
    assert [one.repeats for one in plan.tables] == [AGAIN, 0]
    text = in_text(plan)
    assert "bank.t, 340 rows, 40 of which repeat a key: the first stands for all" in text
    assert "all rows of a person but one" in text


def test_a_person_is_who_shares_the_best_key() -> None:
    asked = job(
        party=[
            {"name": "bank", "table": "bank.t", "keys": [["id"], ["phone"]], "features": ["z"]},
            {"name": "bureau", "table": "bureau.t", "keys": [["id"], ["phone"]], "features": ["a"]},
        ],
        align={"kinds": [["text"], ["text"]]},
    )
    table = pa.table({"id": ["a", "b", "a", None, None], "phone": ["1", "1", "2", "1", None]})
    found = persons_of(nameless_draft(asked), "bank", table)
    assert found is not None
    assert found.of.tolist() == [0, 1, 0, 0, 4]  # without an id, the first with its phone
    assert found.repeats == 2
    joined = job(align={"duplicates": "join"})
    assert persons_of(nameless_draft(joined), "bank", table) is None


def test_the_best_row_that_may_be_listed_is_kept() -> None:
    persons = Persons(np.array([0, 0, 0, 3, 3, 5]))
    may = WhoMay(np.array([True, True, False, True, True, True]), (Reason("basis", "b", 1),))
    score = np.array([0.1, 0.2, 0.9, 0.5, 0.5, np.nan])
    found = persons.once(may, score)
    assert found.rows.tolist() == [False, True, False, True, False, True]
    assert found.reasons[1] == Reason("rank", ANOTHER_ROW, 2)
    assert Persons(np.arange(6)).once(may, score) is may


def test_the_aligned_row_stands_for_the_others() -> None:
    persons = Persons(np.array([0, 0, 0, 3, 3, 5]))
    stands = persons.stand_ins(np.array([1, 5]))
    assert stands is not None
    assert stands.tolist() == [1, 1, 1, 3, 4, 5]
    one = np.array([False, True, False, False, False, True])
    assert persons.whole(one).tolist() == [True, True, True, False, False, True]
    assert Persons(np.arange(3)).stand_ins(np.array([1])) is None
