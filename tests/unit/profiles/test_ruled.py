"""Segments and stages by rules: the first whose conditions all hold, in profiles and report."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.tables.basis import ANY, Admission
from federated.tables.source import MemorySource
from profiles.exclusion.consent import channels_of
from profiles.job import Job
from profiles.language.recognised import recognised
from profiles.own_table import check_own
from profiles.plan import planned
from profiles.plan_text import in_text
from profiles.ruled import ruled_segments, stages
from profiles.run import run_job
from psi.protocol.errors import InputError, JobError
from tools.profile_page import PAGE, page

TODAY = date(2026, 7, 1)
IDS = [f"c{i}" for i in range(60)]
BANK = pa.table(
    {
        "id": IDS,
        "age": pa.array([20.0, 20, 50, 50, None, 70] * 10),
        "deposit": pa.array([5.0, 50, 5, 50, 50, 50] * 10),
        "opened": ["2026-06-01", "2020-01-01", "2020-01-01", "", "2019-01-01", "2018-01-01"] * 10,
    }
)
YOUNG = {
    "name": "young savers",
    "where": [{"column": "age", "below": 30}, {"column": "deposit", "above": 10}],
}
SAVERS = {"name": "savers", "where": [{"column": "deposit", "above": 10}]}
NEW = {"name": "new", "where": [{"column": "opened", "within_days": 90}]}


def job(**more: Any) -> Job:
    parties = [
        {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["age", "deposit"]},
        {"name": "shop", "table": "shop.t", "keys": [["id"]]},
    ]
    head = {
        "job": {"name": "j", "purpose": "p"},
        "party": parties,
        "align": {"minimum_overlap": 20},
    }
    return Job.load(head | more)


def source() -> MemorySource:
    return MemorySource({"bank.t": BANK, "shop.t": pa.table({"id": IDS[:50]})})


def test_a_row_is_in_the_first_rule_that_holds_whole() -> None:
    asked = job(segment=[YOUNG, SAVERS], stage=[NEW, {"name": "settled"}])
    found = ruled_segments(asked, source(), TODAY)
    assert found is not None
    assert found.number[:6].tolist() == [3, 1, 3, 2, 2, 2]
    assert found.descriptions == ("young savers", "savers", "no rule")
    assert found.sizes == (10, 30, 20)
    of = stages(asked, source(), TODAY)
    assert of is not None
    assert of[:6].to_pylist() == ["new", *["settled"] * 5]
    assert stages(job(stage=[NEW]), source(), TODAY)[:2].to_pylist() == ["new", None]  # type: ignore[index]
    rest = ruled_segments(job(segment=[YOUNG, {"name": "others"}]), source(), TODAY)
    assert rest is not None
    assert rest.descriptions == ("young savers", "others")
    assert (ruled_segments(job(), source(), TODAY), stages(job(), source(), TODAY)) == (None, None)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ([YOUNG, YOUNG], "another name than other rules"),
        ([{"name": "no rule"}], "another name than other rules"),
        ([{"name": "all"}, YOUNG], "no rule after 'all', which has no where"),
        ([{"name": "a", "where": [{"column": "age"}]}], "a condition"),
        ([{"name": "a", "where": [{"column": "age", "is_": 3}]}], "is_: unknown key"),
        ([{"name": "a", "where": [{"below": 3}]}], "the column that the condition is on"),
    ],
)
def test_what_a_rule_may_not_be(sections: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(JobError, match=said):
        job(segment=sections)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (
            {"column": "ages", "below": 3},
            r"\[\[segment\]\] or \[\[stage\]\] where: bank.t has no column 'ages'",
        ),
        (
            {"column": "id", "below": 3},
            r"\[\[stage\]\] 'a': 'id' holds large_string, and the rule numbers",
        ),
    ],
)
def test_columns_are_looked_at_before_anything_is_sent(
    condition: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        check_own(job(stage=[{"name": "a", "where": [condition]}]), source())


OLD = {"name": "old", "where": [{"column": "age", "above": 99}]}
RICH = {"name": "rich", "where": [{"column": "deposit", "above": 20}]}


def test_rules_without_a_row_are_told(tmp_path: Path) -> None:
    grown = {"name": "grown", "where": [{"column": "age", "above": 17}]}
    asked = job(segment=[SAVERS, RICH, OLD], stage=[grown], profile={"facts": ["id"]})
    earlier = "[[segment]] 'rich': the 40 rows of bank.t that fulfil it are in earlier ones."
    none = "[[segment]] 'old': no row of bank.t fulfils it."
    assert all(recognised(said, "note") for said in (earlier, none))
    result = run_job(asked, source(), tmp_path / "out")
    assert [said for said in result.outputs.report.notes if "[[" in said] == [earlier, none]
    counts = {"segment": {"savers": 40, "rich": 0, "old": 0}, "stage": {"grown": 50}}
    assert result.metrics["rules"] == counts
    plan = planned(asked, source())
    assert plan.as_dict()["rules"] == counts
    text = in_text(plan)
    assert "Rows by rules, as the table is today\n  segment savers: 40\n  segment rich: 0" in text
    assert f"- {none}" in text


def test_profiles_have_them_and_say_what_they_are(tmp_path: Path) -> None:
    asked = job(segment=[YOUNG, SAVERS], stage=[NEW], profile={"facts": ["id"]})
    run_job(asked, source(), tmp_path / "out")
    found = pq.read_table(tmp_path / "out" / "profiles.parquet")
    assert found.column("segment_name")[:2].to_pylist() == ["no rule", "young savers"]
    assert "opened" not in found.column_names, "a rule's column is not shown"
    assert "channels" not in found.column_names, "no basis says by which"
    assert set(found.column("as_of").to_pylist()) == {date.today()}
    notes = {f.name: {k.decode(): v.decode() for k, v in f.metadata.items()} for f in found.schema}
    assert notes["age"] == {
        "description": "age of bank.t, as it was read", "source": "bank.t", "party": "bank"
    }  # fmt: skip
    assert notes["match_grade"]["party"] == "bank, shop"
    assert notes["stage"]["description"].startswith("stage of the life cycle")
    report = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "young savers" in report
    assert "each is in the first whose conditions hold" in report
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["entities"] == 60


def test_channels_of_a_basis() -> None:
    rows = np.array([True, True, False])
    channels = {"call": np.array([True, False, False]), "sms": np.array([True, True, False])}
    told = channels_of(Admission(rows, {}, channels | {ANY: np.zeros(3, bool)}))
    assert told is not None
    assert told.to_pylist() == [["call", "sms"], ["sms"], []]
    assert channels_of(Admission(rows, {}, {ANY: rows})) is None
    assert channels_of(None) is None


def test_the_page_of_the_profiles_is_that_of_the_code() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tools.profile_page"
