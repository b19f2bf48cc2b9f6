"""Tables for people are in the report's language; columns, numbers and own texts stay."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from profiles.dictionary import campaign_notes, dictionary, list_notes, noted, profile_notes
from profiles.held_out import held_out_notes
from profiles.job import Job
from profiles.language import language
from profiles.said_tables import said_list, said_notes, said_profiles, spoken_in
from tests.unit.test_kinds import JOBS

ZH = language("zh")
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
    said = said_list(LISTED, ZH).to_pydict()
    assert list(said) == LISTED.column_names
    assert said["segment_name"] == ["age 低、多数 city 为 north", "各方面均接近平均", None]
    assert said["reasons"] == [["age 很低 (+0.42)", "合作方 bureau (-1.20)"], [], None]
    assert said["assigned_by"] == ["按既有关系", "按 branch 和 language 及以往成效", None]
    assert said["unassigned"] == [None, None, "所有客户经理均已满额"]
    assert (said["note"], said["entity"]) == (LISTED["note"].to_pylist(), ["c1", "c2", "c3"])
    assert said_list(LISTED, language("en")) is LISTED


def test_chunks_slices_and_empty_lists() -> None:
    whole = pa.concat_tables([LISTED, LISTED.slice(1)])
    twice = said_list(whole, ZH)
    once = said_list(LISTED, ZH)
    assert twice.equals(pa.concat_tables([once, once.slice(1)]))
    assert said_list(LISTED.slice(0, 0), ZH).num_rows == 0


def test_profiles_have_own_columns_of_any_name() -> None:
    """A fact may be called as a list's column is: it is the receiver's, word for word."""
    own = pa.table({"assigned_by": ["capacity"], "segment_name": ["age low"]})
    assert said_profiles(own, ZH).to_pydict() == {
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
    said = said_notes(found, ZH)
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
        assert spoken_in(tmp_path).code == lang
    (tmp_path / "metrics.json").write_text('{"lang": "zh", "titles": {"late_bills": "迟缴账单"}}')
    assert spoken_in(tmp_path).told("late bills high", "level") == "迟缴账单高"


@pytest.mark.parametrize(("code", "words"), [("en", "Alter low"), ("zh", "Alter 低")])
def test_titles_stand_for_names_in_either_language(code: str, words: str) -> None:
    """In texts for people alone: columns keep their names, and what parties signed its words."""
    t = language(code, {"age": "Alter", "bureau": "Auskunftei", "branch": "Filiale"})
    said = said_list(LISTED, t).to_pydict()
    assert (
        said["reasons"][0][0] == f"{words.replace('low', 'very low').replace('低', '很低')} (+0.42)"
    )
    assert "Auskunftei" in said["reasons"][0][1]
    assert said["segment_name"][0].startswith(words)
    assert "Filiale" in said["assigned_by"][1]
    assert list(said) == LISTED.column_names
    assert said["note"] == LISTED["note"].to_pylist()
    assert t.say("match.pair", receiver="bank", partner="bureau").endswith("Auskunftei")
    signed = "how many records bureau brings"
    assert (language("en", {"bureau": "Auskunftei"}).told(signed, "learns")) == signed
