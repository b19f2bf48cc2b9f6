"""Templates as a new user tries them: three commands to a report, and the answer of the tables."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from federated.approval.policy_file import NEW_POLICY, load_policy
from federated.contract.purposes import class_of
from federated.releases.holdings import Holdings
from federated.releases.row_bits import row_bits
from federated.steps.runner import facts_of
from federated.tables.bindings import TablesFile
from federated.tables.source import FileSource
from profiles.cli import app
from profiles.job import Job
from profiles.proposal import nameless_draft
from profiles.templates import TEMPLATES, write_template
from profiles.templates.world import records
from psi.protocol.errors import Declined, MisuseError

PARTIES = ("bank", "telecom", "bureau", "fund", "treasury", "buyer", "acquirer")
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
    run = ["run", folder / "job.toml", *tables, "--out", folder / "out", "--quiet"]
    called(*run, *(["--every", "month"] if name == "government-unit" else []))
    if name == "government-unit":
        assert "this month's run is done" in called(*run, "--every", "month")
        (month,) = (folder / "out").glob("20*")
        month.rename(folder / "month")
        shutil.rmtree(folder / "out")
        (folder / "month").rename(folder / "out")
    assert (folder / "out" / "report.html").stat().st_size > 10_000
    found = json.loads((folder / "out" / "metrics.json").read_text())
    assert isinstance(found, dict)
    return found


def check_branches(out: Path) -> None:
    """Each branch has its own, all together have everybody; the ledger names none of them."""
    whole = pd.read_parquet(out / "profiles.parquet").set_index("entity")
    parts = [pd.read_parquet(home / "profiles.parquet") for home in out.glob("branches/*")]
    assert [part.branch.nunique() for part in parts] == [1, 1, 1]
    assert sorted(pd.concat(parts).entity) == sorted(whole.index)
    assert {page.name for page in out.glob("managers/*")} == {
        f"{branch} desk.html" for branch in set(whole.branch)
    }
    noted = json.loads((out / "parties" / "bank" / "ledger.jsonl").read_text().splitlines()[-1])
    assert {"branches", "managers", "report.html"} < set(noted["body"]["files"])
    assert "Harbour" not in json.dumps(noted)


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in TEMPLATES]
)
def test_a_template_gives_the_answer_of_its_tables(name: str, tmp_path: Path) -> None:
    metrics = tried(name, tmp_path / name)
    answer = json.loads((tmp_path / name / "answer.json").read_text())
    assert metrics["entities"] == answer["entities"]
    assert metrics["synthetic"]
    assert "Synthetic data." in (tmp_path / name / "out" / "report.html").read_text()
    assert metrics["matched_entities"] == answer["matched_entities"]
    if name == "consumer-churn":
        assert (
            "states no lawful basis, so nobody" in (tmp_path / name / "out/report.html").read_text()
        )
    if name == "merchant-fee-relief":
        check_branches(tmp_path / name / "out")
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


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("new", [True, False], ids=["a new node", "its own policy"])
def test_a_template_asks_what_a_policy_allows(name: str, new: bool, tmp_path: Path) -> None:
    """All but a basis for persons, which an invented table has none of."""
    write_template(name, tmp_path / "new")
    job = Job.load(tmp_path / "new" / "job.toml")
    tables = FileSource(TablesFile.load(tmp_path / "new" / "tables.toml"))
    policy = load_policy(tmp_path / "new" / "policy.toml")
    if new:
        (tmp_path / "policy.toml").write_text(NEW_POLICY)
        policy = replace(load_policy(tmp_path / "policy.toml"), columns=policy.columns)
    contract = nameless_draft(job)
    for party in contract.parties:
        contract = contract.with_party(facts_of(party, tables, b"", contract))
    partner = contract.party(job.parties[1].name)
    if job.entity == "consumer":
        with pytest.raises(Declined, match="no lawful basis"):
            policy.approve(contract, partner, tables)
        policy = replace(policy, limits=replace(policy.limits, basis="none"))
    policy.approve(contract, partner, tables)
    held = Holdings(tables, partner)(partner.features)
    row = row_bits(contract, partner.name, told=0.0, held=held, limits=policy.releases)
    assert (row is None) == (not job.trains)
    if row is not None:
        assert row.allowed is not None
        assert 1.5 < row.asked <= row.allowed


CHINESE = re.compile("[\u4e00-\u9fff]")
WORDS = re.compile(r"[A-Za-z]{3,}")
KNOWN = {"fedprofile", "UTC", "AUC", "ROC", "Brier", "Kolmogorov", "Smirnov", "DeLong", "PSI"}
KNOWN |= {"JavaScript", "targets", "csv", "Paillier", "ECDH", "IFMA"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_in_chinese_is_the_same_job(name: str, tmp_path: Path) -> None:
    for lang in ("en", "zh"):
        write_template(name, tmp_path / lang, lang)
    english, chinese = (Job.load(tmp_path / lang / "job.toml") for lang in ("en", "zh"))
    assert (chinese.lang, english.lang) == ("zh", "en")
    for part in ("parties", "align", "trains", "profile", "aggregates"):
        assert getattr(chinese, part) == getattr(english, part)
    assert class_of(chinese.purpose) == class_of(english.purpose)
    called = {"name", "product", "reason", "purpose", "unit"}
    for line in (tmp_path / "zh" / "job.toml").read_text().splitlines():
        key, _, value = line.partition(" = ")
        if "#" in line:
            assert CHINESE.search(line.partition("#")[2]), line
        if key in called and value not in ('"name"', '"product"') and value[1:-1] not in PARTIES:
            assert CHINESE.search(value), line
    features = {column for party in chinese.parties for column in party.features}
    assert features | {party.name for party in chinese.parties} <= chinese.titles.keys()
    page = (tmp_path / "zh" / "README.md").read_text()
    assert page.startswith(f"# {chinese.name}\n")
    assert f"--template {name} --lang zh" in page
    frames = [pd.read_csv(one / "bank_customers.csv") for one in (tmp_path / "en", tmp_path / "zh")]
    same = [c for c in frames[0] if c not in ("name", "branch", "segment")]
    pd.testing.assert_frame_equal(frames[0][same], frames[1][same])
    assert frames[1]["branch"].map(lambda text: bool(CHINESE.search(text))).all()


@pytest.mark.slow
def test_a_report_of_a_template_in_chinese_is_in_chinese(tmp_path: Path) -> None:
    """All of it that people read before the protocol's own words."""
    folder = tmp_path / "churn"
    called("new", "job", "--template", "consumer-churn", "--lang", "zh", "--out", folder)
    tables = ["--tables", folder / "tables.toml"]
    called("run", folder / "job.toml", *tables, "--out", folder / "out", "--quiet")
    (sheet, *_) = (folder / "out" / "managers").iterdir()
    report = (folder / "out" / "report.html").read_text().split('<section id="match"')[0]
    for page in (report, sheet.read_text()):
        text = re.sub(r"<(style|script|code)[^>]*>.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
        assert set(WORDS.findall(text)) <= KNOWN


def test_days_to_pay_are_days() -> None:
    days = records("company", ["days_to_pay"], np.random.default_rng(3)).days_to_pay
    assert days.min() >= 10
    assert days.max() <= 90
    assert (days == days.round()).all()
    assert days.nunique() > 40


def test_a_template_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="no template 'churn'") as caught:
        write_template("churn", tmp_path / "new")
    assert "consumer-churn" in caught.value.hint
