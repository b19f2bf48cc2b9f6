"""Tables for people are in the report's language; columns, numbers and own texts stay."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from profiles.dictionary import campaign_notes, dictionary, list_notes, noted, profile_notes
from profiles.held_out import held_out_notes
from profiles.job import Job
from profiles.said_tables import lang_of, said_list, said_notes, said_profiles
from tests.unit.test_kinds import JOBS

LISTED = pa.table(
    {
        "entity": ["c1", "c2", "c3"],
        "segment_name": [
            "age low, mostly city is north",
            "close to the average in everything",
            None,
        ],
        "reasons": pa.array(
            [["age very low (+0.42)", "partner bureau (-1.20)"], [], None], pa.list_(pa.string())
        ),
        "assigned_by": ["relationship", "branch and language, by results", None],
        "unassigned": [None, None, "all managers are at capacity"],
        "note": ["age low", "capacity", "relationship"],
    }
)


def test_sentences_are_said_in_chinese_and_nothing_else_is() -> None:
    said = said_list(LISTED, "zh").to_pydict()
    assert list(said) == LISTED.column_names
    assert said["segment_name"] == ["age 低、多数 city 为 north", "各方面均接近平均", None]
    assert said["reasons"] == [["age 很低 (+0.42)", "合作方 bureau (-1.20)"], [], None]
    assert said["assigned_by"] == ["按既有关系", "按 branch 和 language 及以往成效", None]
    assert said["unassigned"] == [None, None, "所有客户经理均已满额"]
    assert (said["note"], said["entity"]) == (LISTED["note"].to_pylist(), ["c1", "c2", "c3"])
    assert said_list(LISTED, "en") is LISTED


def test_chunks_slices_and_empty_lists() -> None:
    whole = pa.concat_tables([LISTED, LISTED.slice(1)])
    twice = said_list(whole, "zh")
    once = said_list(LISTED, "zh")
    assert twice.equals(pa.concat_tables([once, once.slice(1)]))
    assert said_list(LISTED.slice(0, 0), "zh").num_rows == 0


def test_profiles_have_own_columns_of_any_name() -> None:
    """A fact may be called as a list's column is: it is the receiver's, word for word."""
    own = pa.table({"assigned_by": ["capacity"], "segment_name": ["age low"]})
    assert said_profiles(own, "zh").to_pydict() == {
        "assigned_by": ["capacity"],
        "segment_name": ["age 低"],
    }


@pytest.mark.parametrize("name", sorted(JOBS.keys() - {"pooled"}))
def test_every_note_on_a_column_has_its_chinese(name: str) -> None:
    job = Job.load(JOBS[name])
    of_column = f"of {job.party(job.receiver).table}, as it was read"
    notes = [profile_notes(job), list_notes(job), campaign_notes(job), held_out_notes(job)]
    tables = [
        noted(pa.table({column: [""] for column in [*each, "mine"]}), each, of_column)
        for each in notes
    ]
    found = dictionary((f"{place}.parquet", table) for place, table in enumerate(tables))
    said = said_notes(found, "zh")
    both = zip(found["description"].to_pylist(), said["description"].to_pylist(), strict=True)
    for english, chinese in both:
        assert re.search("[\u4e00-\u9fff]", chinese), english
        assert not re.search("[a-z]{3,} [a-z]{3,} [a-z]{3,}", chinese), chinese


def test_the_language_of_outputs_is_read_from_their_metrics(tmp_path: Path) -> None:
    for text, lang in (
        ("", "en"),
        ("{", "en"),
        ("{}", "en"),
        ('{"lang": "fr"}', "en"),
        ('{"lang": "zh"}', "zh"),
    ):
        if text:
            (tmp_path / "metrics.json").write_text(text)
        assert lang_of(tmp_path) == lang
