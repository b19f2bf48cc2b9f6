"""A campaign's control group: by person, by a secret, the same in every list until it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from profiles.campaign.control import ControlGroup
from profiles.campaign.people import LISTED, campaign_table, held_back
from profiles.specs import CampaignSpec
from profiles.ties import Draw
from psi.protocol.errors import InputError, JobError

SPRING = CampaignSpec("spring 2026", 0.1, 90)
MARCH = date(2026, 3, 1)
PEOPLE = pa.array([f"{n:07d}" for n in range(50_000)])


def kept(folder: Path, asked: CampaignSpec = SPRING, today: date = MARCH) -> ControlGroup:
    return ControlGroup.kept(folder, asked, today, "job.toml")


def test_a_tenth_is_held_back_and_the_same_people_in_every_list(tmp_path: Path) -> None:
    first = kept(tmp_path).holds_back(PEOPLE)
    assert abs(first.mean() - 0.1) < 6 * np.sqrt(0.1 * 0.9 / len(PEOPLE))
    later = kept(tmp_path, today=date(2026, 5, 29)).holds_back(PEOPLE[::-1].cast(pa.string()))
    assert (first == later[::-1]).all()
    padded = pa.array([f" {name} " for name in PEOPLE.to_pylist()])
    assert (kept(tmp_path).holds_back(padded) == first).all()


def test_another_campaign_or_folder_draws_others(tmp_path: Path) -> None:
    first = kept(tmp_path).holds_back(PEOPLE)
    for other in (kept(tmp_path, replace(SPRING, name="summer")), kept(tmp_path / "elsewhere")):
        both = (first & other.holds_back(PEOPLE)).mean()
        assert abs(both - 0.01) < 6 * np.sqrt(0.01 * 0.99 / len(PEOPLE))


def test_the_key_is_the_owners_and_in_no_repr(tmp_path: Path) -> None:
    group = kept(tmp_path)
    (file,) = tmp_path.glob("*.json")
    assert file.stat().st_mode & 0o077 == 0
    assert group.key not in repr(group)
    assert not kept(tmp_path).holds_back(pa.array([None, None], pa.string())).any()
    assert len(kept(tmp_path).holds_back(pa.array([], pa.string()))) == 0


@pytest.mark.parametrize(
    ("asked", "today", "said"),
    [
        (replace(SPRING, control=0.2), MARCH, "it began with 0.1 and 90"),
        (replace(SPRING, days=30), MARCH, "days = 30 found"),
        (SPRING, date(2026, 5, 30), "has ended on 2026-05-30"),
        (replace(SPRING, name="spring, 2026"), MARCH, "'spring 2026' has its file"),
    ],
)
def test_a_group_that_would_change_on_the_way_is_refused(
    tmp_path: Path, asked: CampaignSpec, today: date, said: str
) -> None:
    before = kept(tmp_path)
    with pytest.raises(JobError, match=said):
        kept(tmp_path, asked, today)
    assert kept(tmp_path) == before


def test_a_job_that_began_within_the_campaign_has_its_lists(tmp_path: Path) -> None:
    group, late = kept(tmp_path), date(2026, 6, 20)
    assert ControlGroup.kept(tmp_path, SPRING, late, "job.toml", begun=True) == group


@pytest.mark.parametrize("text", ["", "{}", '{"name": "spring 2026"}', "null"])
def test_a_damaged_key_is_not_replaced_by_another(tmp_path: Path, text: str) -> None:
    kept(tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text(text)
    with pytest.raises(InputError, match="was altered"):
        kept(tmp_path)
    assert file.read_text() == text


def test_only_who_would_have_been_listed_counts_as_held_back(tmp_path: Path) -> None:
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5, np.nan])
    could = np.array([True, True, True, True, False, True])
    control = np.array([False, True, False, True, True, True])
    more = pa.array(list("abcdef")), Draw(b"", "x")
    assert held_back(score, could, control, np.array([0, 2]), 2, *more).tolist() == [1]
    assert held_back(score, could, control, np.array([0, 2]), 3, *more).tolist() == [1, 3]
    profiles = pa.table({"entity": list("abcdef"), "score_churn": score, "id": list("ABCDEF")})
    table = campaign_table(
        profiles, kept(tmp_path), [("x", "churn", np.array([0, 2]), np.array([1]), None)], ["id"]
    ).to_pydict()
    assert table["arm"] == [LISTED, LISTED, "control"]
    assert table["rank"] == [1, 2, None]
    assert table["id"] == ["A", "C", "B"]
    assert json.dumps(table["began"]) == json.dumps(["2026-03-01"] * 3)
