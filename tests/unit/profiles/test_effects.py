"""What being listed has changed, by group: whom an offer moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from typer.testing import CliRunner

from profiles.cli import app
from profiles.job import Job
from profiles.offers.chosen import offered
from profiles.offers.shown import COLUMNS, shown_effects, strange_groups
from profiles.ties import Draw
from psi.protocol.errors import InputError, JobError


def effects(*rows: tuple[str, float, float], **more: list[Any]) -> pa.Table:
    """Of group, effect, half of its interval."""
    table = {
        "outcome": ["bought"] * len(rows),
        "arm": ["listed"] * len(rows),
        "group": [name for name, _, _ in rows],
        "mean_listed": [0.2] * len(rows),
        "effect": [effect for _, effect, _ in rows],
        "low": [effect - half for _, effect, half in rows],
        "high": [effect + half for _, effect, half in rows],
    }
    return pa.table(table | more)


PEOPLE = pa.table({"segment": [1, 2, 3], "segment_name": ["young", "old", None]})


def test_groups_that_differ_surely_keep_their_own_and_others_that_of_all() -> None:
    table = effects(
        ("", 0.05, 0.005), ("segment_name young", 0.10, 0.002), ("segment_name old", -0.02, 0.002)
    )
    found = shown_effects(table, PEOPLE, "bank.effects")
    assert found == pytest.approx([0.10, -0.02, 0.05], abs=1e-3)
    chance = effects(
        ("", 0.05, 0.03), ("segment_name young", 0.06, 0.05), ("segment_name old", 0.04, 0.05)
    )
    assert shown_effects(chance, PEOPLE, "e").tolist() == [0.05, 0.05, 0.05]
    nothing = effects(("", 0.05, 0.03), ("segment_name young", np.nan, np.nan))
    assert shown_effects(nothing, PEOPLE, "e").tolist() == [0.05, 0.05, 0.05]
    assert shown_effects(effects(("", 0.05, 0.03)), PEOPLE, "e").tolist() == [0.05] * 3


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (effects(("", 0.1, 0.1), ("", 0.1, 0.1), outcome=["a", "b"]), "2 values of 'outcome'"),
        (effects(("", 9.0, 0.1), mean_listed=[40.0]), "is no share"),
        (effects(("segment_name old", 0.1, 0.1)), "no effect of everybody"),
        (effects(("", 0.1, 0.1), ("age 30", 0.1, 0.1)), "groups of no column"),
        (effects(("", 0.1, 0.1), ("segment 1", 0.1, 0.1), ("segment_name old", 0, 1)), "several"),
    ],
)
def test_a_table_that_says_something_else_is_refused(table: pa.Table, said: str) -> None:
    with pytest.raises(InputError, match=said):
        shown_effects(table, PEOPLE, "bank.effects")


def job(**target: Any) -> Job:
    parties: list[dict[str, Any]] = [
        {"name": n, "table": f"{n}.t", "keys": [["id"]]} for n in ("bank", "shop")
    ]
    parties[1]["features"] = ["x"]
    return Job.load(
        {
            "job": {"name": "n", "purpose": "retention"},
            "party": parties,
            "train": {"task": "churn", "label": "bank.left"},
            "target": [{"product": "call", "choose": "value", "effects": "bank.effects", **target}],
            "offer": [{"name": "call", "cost": 3, "value": 100}],
        }
    )


def test_value_goes_by_what_being_listed_changes_and_not_by_the_score() -> None:
    asked, rows = job(), np.ones(3, bool)
    by_group = np.array([0.10, -0.02, 0.05])
    made = offered(
        asked.targets[0],
        asked.offers,
        PEOPLE,
        np.array([0.01, 0.9, 0.9]),
        rows,
        ~rows,
        {},
        by_group,
        people=PEOPLE.column("segment_name"),
        draw=Draw(b"", "p"),
    )
    assert made is not None
    assert made.by == "uplift"
    assert made.offer.tolist() == [0, -1, 0]  # a sure thing whom a call drives away gets none
    assert made.expected[[0, 2]] == pytest.approx([7.0, 2.0])


def test_effects_want_offers_by_value_that_have_no_uplift_of_their_own() -> None:
    for wrong in ({"choose": "rule"}, {"effects": "shop.effects"}):
        with pytest.raises(JobError, match="effects"):
            job(**wrong)


def test_what_uplift_writes_is_read(tmp_path: Path) -> None:
    rng, many = np.random.default_rng(3), 8_000
    young, listed = rng.random(many) < 0.5, rng.random(many) < 0.7
    bought = rng.random(many) < 0.1 + 0.2 * (young & listed)
    campaign = pd.DataFrame(
        {"entity": [f"c{i}" for i in range(many)], "bought": bought.astype(int)}
    )
    campaign["segment_name"] = np.where(young, "young", "old")
    campaign["arm"] = np.where(listed, "listed", "control")
    campaign.to_parquet(tmp_path / "campaign.parquet")
    words = ["uplift", str(tmp_path / "campaign.parquet"), "--outcome", "bought"]
    words += ["--by", "segment_name", "--out", str(tmp_path / "effects.csv")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    table = pyarrow.csv.read_csv(tmp_path / "effects.csv").select(COLUMNS)
    found = shown_effects(table, PEOPLE, "bank.effects")
    assert found == pytest.approx([0.2, 0.0, 0.1], abs=0.07)
    assert found[0] > 0.15 > found[2] > 0.06 > found[1]


def test_groups_that_the_list_does_not_have_are_told() -> None:
    table = effects(
        ("", 0.05, 0.005), ("segment_name young", 0.1, 0.002), ("segment_name rich", 0.1, 0.002)
    )
    assert strange_groups(table, PEOPLE, "e") == (["segment_name rich"], 2)
    assert strange_groups(effects(("", 0.05, 0.005)), PEOPLE, "e") == ([], 0)
