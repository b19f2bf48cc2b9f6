"""A campaign: lists without its control group, the same people again, and what they changed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from profiles.cli import app
from profiles.job import Job
from profiles.run import run_job
from profiles.tables import open_tables
from psi.protocol import JobError, MisuseError

MORE = """
[[target]]
product = "loan"
top = 60
leave_out = "none"

[campaign]
name = "spring"
control = 0.3
"""
CALLED = """
[[exclude]]
reason = "called lately"
stage = "suppression"
table = "bank.calls"
entity = "who"
column = "day"
within_days = 30
"""
RULE = """
[[offer]]
name = "saver"
lists = ["offer"]
column = "balance"
from = 0
value_of = ["balance"]
share = 0.25
cost_of = ["balance"]
"""
VALUE = """
[[offer]]
name = "call"
lists = ["loan"]
channel = "call"
cost = 1
value = 100
"""


def called(*words: object) -> str:
    shown = CliRunner().invoke(app, [str(word) for word in words])
    assert shown.exit_code == 0, shown.output
    return shown.output


def test_lists_leave_out_the_control_group_and_their_effect_is_measured(small: Path) -> None:
    file, tables = small / "campaign.toml", small / "tables.toml"
    file.write_text((small / "job.toml").read_text() + MORE + CALLED + RULE)
    tables.write_text(tables.read_text() + '\n[bank.calls]\npath = "calls.csv"\n')
    (small / "calls.csv").write_text(f"who,day\nid00007,{date.today()}\nid00008,2020-01-01\n")
    for out, more in (("june", []), ("july", ["--since", small / "june"])):
        said = called("run", file, "--tables", tables, "--out", small / out, "--quiet", *more)
        assert "in the control group, on no list" in said
    since = json.loads((small / "july" / "metrics.json").read_text())["since"]
    assert (since["run"], since["came"], since["went"], since["moved"]) == ("june", 0, 0, 0)
    assert "Since june" in (small / "july" / "report.html").read_text()
    june, july = (pd.read_parquet(small / out / "campaign.parquet") for out in ("june", "july"))
    listed = pd.read_parquet(small / "june" / "targets.parquet")
    for product, top in (("offer", 20), ("loan", 60)):
        people = june[june["product"] == product]
        on = people[people.arm == "listed"]
        assert on.entity.tolist() == listed[listed["product"] == product].entity.tolist()
        assert on["rank"].tolist() == list(range(1, top + 1))
        assert people[people.arm == "control"].score.min() >= on.score.min()
    assert (june.arm == "control").any()  # 3 of 10: none of 80 once in 10^12 runs
    both = june.merge(july, on="entity")
    assert (both.arm_x == both.arm_y).all()
    assert june.groupby("entity").arm.nunique().max() == 1
    metrics = json.loads((small / "june" / "metrics.json").read_text())
    assert metrics["held_back"]["loan"] == int(
        ((june["product"] == "loan") & (june.arm == "control")).sum()
    )
    offers = listed[listed["product"] == "offer"]
    assert (offers.offer == "saver").all()
    quarter = pytest.approx(offers.offer_value.to_numpy() / 4, abs=0.0076)  # both in hundredths
    assert offers.offer_cost.to_numpy() == quarter
    money = metrics["money"]["offer"]
    assert (money["left"], money["by"]) == (pytest.approx(offers.offer_left.sum()), "rule")
    twice = set(listed[listed["product"] == "loan"].entity) & set(offers.entity)
    assert metrics["on_several_lists"] == len(twice)
    assert metrics["left_out"]["offer"]["offer"]["within no tier of an offer"] > 0
    reasons = metrics["left_out"]["loan"]
    counted = sum(count for stage in reasons.values() for count in stage.values())
    assert counted + metrics["targets"]["loan"] == metrics["entities"]
    assert reasons["suppression"] == {"called lately": 1}
    assert "id00007" not in set(june.entity)
    report = (small / "june" / "report.html").read_text("utf-8")
    assert "Which offer somebody on the list gets goes by rule, not by a score." in report
    assert "the campaign's control group" in report
    people = june[june["product"] == "loan"]
    rng = np.random.default_rng(2)
    bought = people.entity[(people.arm == "listed") & (rng.random(len(people)) < 0.9)]
    pd.DataFrame({"entity": bought, "bought": 1}).to_csv(small / "sales.csv", index=False)
    people.to_parquet(small / "loan.parquet")
    words = ["uplift", small / "loan.parquet", "--outcomes", small / "sales.csv"]
    said = called(*words, "--outcome", "bought", "--absent-is-zero")
    assert said.startswith("bought, listed: more; 9")


def test_the_next_list_goes_to_those_who_did_well(small: Path) -> None:
    file, tables, history = small / "campaign.toml", small / "tables.toml", small / "leads.parquet"
    text = (small / "job.toml").read_text() + MORE.partition("[campaign]")[0] + VALUE
    given = 'product = "loan"\nmanagers = "bank.managers"\nchoose = "value"'
    file.write_text(text.replace('product = "loan"', given))
    bound = '\n[bank.managers]\npath = "managers.csv"\n\n[bank.leads]\npath = "leads.parquet"\n'
    tables.write_text(tables.read_text() + bound)
    (small / "managers.csv").write_text("manager,capacity\nWu,40\nLi,40\n")
    called("run", file, "--tables", tables, "--out", small / "june", "--quiet")
    june = pd.read_parquet(small / "june" / "targets.parquet")
    loans = june[june["product"] == "loan"]
    assert set(loans.assigned_by) == {"capacity"}
    assert loans.expected.to_numpy() == pytest.approx(100 * loans.score.to_numpy() - 1, abs=0.0051)
    assert loans.score.is_monotonic_decreasing
    done = loans[["product", "entity", "manager"]].assign(contacted="2026-06-05")
    done["outcome"] = (done.manager == "Wu").astype(int)
    done.to_csv(small / "contacts.csv", index=False)
    loads = ["leads", "load", small / "june" / "targets.parquet", small / "contacts.csv"]
    said = called(*loads, "--listed", "2026-06-01", "--history", history, "--lang", "zh")
    assert "条由首位客户经理保留" in said
    file.write_text(file.read_text().replace(given, given + '\nhistory = "bank.leads"'))
    called("run", file, "--tables", tables, "--out", small / "july", "--quiet")
    july = pd.read_parquet(small / "july" / "targets.parquet")
    loans = july[july["product"] == "loan"]
    assert loans.assigned_by.value_counts().to_dict() == {
        "capacity, by results": 48,
        "capacity, to learn": 12,
    }
    assert loans.manager.value_counts()["Wu"] == 40


def test_a_campaign_that_cannot_keep_its_word_is_refused_before_a_step(small: Path) -> None:
    text, tables = (small / "job.toml").read_text() + MORE, open_tables(small / "tables.toml")
    with pytest.raises(MisuseError, match="a folder is needed"):
        run_job(Job.load(text), tables, small / "out")
    (small / "kept").mkdir()
    (small / "kept" / "spring.json").write_text("{}")
    with pytest.raises(Exception, match="was altered"):
        run_job(Job.load(text), tables, small / "out", campaigns=small / "kept")
    assert not (small / "out").exists()
    with pytest.raises(JobError, match="a campaign with a"):
        Job.load(text.partition("[[target]]")[0] + '[campaign]\nname = "spring"\n')
