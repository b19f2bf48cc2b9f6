"""Templates as a new user tries them: three commands to a report, and the answer of the tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from federated.approval.policy_file import load_policy
from profiles.cli import app
from profiles.templates import TEMPLATES, write_template
from psi.protocol.errors import MisuseError

QUICK = ("merchant-fee-relief", "government-unit")
"""The others are of the same kinds."""


def called(*words: object) -> str:
    shown = CliRunner().invoke(app, [str(word) for word in words])
    assert shown.exit_code == 0, shown.output
    return shown.output


def tried(name: str, folder: Path) -> dict[str, Any]:
    """The three commands; the run's metrics."""
    called("new", "job", "--template", name, "--out", folder)
    tables = ["--tables", folder / "tables.toml"]
    plan = called("plan", folder / "job.toml", *tables)
    if "[[target]]" in (folder / "job.toml").read_text():
        assert "Who may be on a list" in plan
    called("run", folder / "job.toml", *tables, "--out", folder / "out", "--quiet")
    assert (folder / "out" / "report.html").stat().st_size > 10_000
    found = json.loads((folder / "out" / "metrics.json").read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in TEMPLATES]
)
def test_a_template_gives_the_answer_of_its_tables(name: str, tmp_path: Path) -> None:
    metrics = tried(name, tmp_path / name)
    answer = json.loads((tmp_path / name / "answer.json").read_text())
    assert metrics["entities"] == answer["entities"]
    assert metrics["matched_entities"] == answer["matched_entities"]
    for product, stages in answer.get("left_out", {}).items():
        told = metrics["left_out"][product]
        assert {stage: told[stage] for stage in stages} == stages
        counted = sum(people for reasons in told.values() for people in reasons.values())
        assert counted + metrics["targets"][product] == metrics["entities"]
    for product, money in answer.get("money", {}).items():
        told = metrics["money"][product]
        assert dict(told["offers"]) == money.pop("offers")
        assert {key: told[key] for key in money} == pytest.approx(money)
    for asked, told in zip(answer.get("aggregates", []), metrics["aggregates"], strict=True):
        for measure, groups in asked.items():
            means = dict(zip(told["table"]["group"], told["table"][measure], strict=True))
            assert means == pytest.approx(groups, abs=1e-4)
    for model in metrics["models"].values():
        alone, joined = (score["mean_auc"] for score in model["scores"].values())
        assert joined - alone > answer["gain_at_least"]
    if name == "merchant-fee-relief":
        listed = pd.read_parquet(tmp_path / name / "out" / "targets.parquet")
        first = listed[listed.entity == "C00000"].iloc[0]
        assert (first.offer, first.offer_value) == ("half the margin", 180.0)
        assert (first.offer_cost, first.offer_left) == (80.0, 100.0)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_whole(name: str, tmp_path: Path) -> None:
    write_template(name, tmp_path / "new")
    policy = load_policy(tmp_path / "new" / "policy.toml")
    assert policy.unlisted == "never"
    page = (tmp_path / "new" / "README.md").read_text()
    assert f"--template {name}" in page
    with pytest.raises(MisuseError, match="exists"):
        write_template(name, tmp_path / "new")


def test_a_template_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="no template 'churn'") as caught:
        write_template("churn", tmp_path / "new")
    assert "consumer-churn" in caught.value.hint
