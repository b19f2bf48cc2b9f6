"""The effect of a public mail campaign: by people in one place, and through a partner."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from profiles.campaign import Asked, Uplift, uplift_of
from profiles.campaign.by_aggregate import uplift_by_aggregate
from profiles.cli import app
from profiles.job import Job
from profiles.run import run_job
from profiles.tables import open_tables

HILLSTROM = Path(__file__).parents[2] / "examples" / "hillstrom"
NOBODY = "No E-Mail"
MEN, WOMEN = "Mens E-Mail", "Womens E-Mail"
PUBLISHED = {
    ("visit", MEN): (0.0766, 0.0700, 0.0832),
    ("visit", WOMEN): (0.0452, 0.0389, 0.0516),
    ("spend", MEN): (0.77, 0.49, 1.05),
    ("spend", WOMEN): (0.42, 0.17, 0.68),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.skipif(
        not os.environ.get("FEDPROFILE_DATA"),
        reason="needs the public data sets: see examples/README.md, then set FEDPROFILE_DATA",
    ),
]


def people() -> Path:
    return Path(os.environ["FEDPROFILE_DATA"]) / "hillstrom" / "hillstrom.csv.gz"


def check(found: Uplift) -> None:
    told = {(one.outcome, one.arm): one.effect for one in found.effects if not one.group}
    assert set(told) == set(PUBLISHED)
    for key, (effect, low, high) in PUBLISHED.items():
        digits = 4 if key[0] == "visit" else 2
        shown = [round(v, digits) for v in (told[key].difference, told[key].low, told[key].high)]
        assert shown == [effect, low, high]
    assert all(one.verdict == "more" for one in found.effects if not one.group)


def test_the_effect_of_the_mails_is_as_published_from_people_in_one_place() -> None:
    asked = Asked(outcomes=("visit", "spend"), arm="segment", control=NOBODY, by=("womens",))
    found = uplift_of(people(), None, asked)
    check(found)
    by = {one.group: one.effect.difference for one in found.effects if one.arm == WOMEN}
    assert by["womens 1"] == pytest.approx(0.544, abs=0.001)  # the last outcome: spend
    visits = [
        round(100 * one.effect.difference, 1)
        for one in found.effects
        if (one.outcome, one.arm) == ("visit", WOMEN) and one.group
    ]
    assert visits == [1.1, 7.3]


def test_the_effect_through_a_shop_that_learns_no_mail_is_the_same(tmp_path: Path) -> None:
    tables = open_tables(HILLSTROM / "tables.toml")
    run_job(Job.load(HILLSTROM / "job.toml"), tables, tmp_path / "out")
    found = uplift_by_aggregate(tmp_path / "out", ("visit", "spend"), arm="segment", control=NOBODY)
    check(found)
    words = ["uplift", str(tmp_path / "out"), "--by-aggregate", "--arm", "segment", "--json"]
    words += ["--control", NOBODY, "--outcome", "visit"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.output)["effects"][0]["verdict"] == "more"
