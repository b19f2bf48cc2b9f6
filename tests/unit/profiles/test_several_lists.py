"""One customer on several lists: counted, told to both managers, and on one of them where asked."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated.tables.source import MemorySource
from profiles.campaign.control import ControlGroup
from profiles.campaign.effects import Sums, effect
from profiles.job import Job
from profiles.language import language
from profiles.lists import Lists, lists_of
from profiles.manager_pages import write_manager_pages
from profiles.managers import NO_CAPACITY
from profiles.offers.chosen import Money
from profiles.plan import planned
from profiles.plan_text import in_text
from profiles.report import render_report
from profiles.report.data import ReportData
from profiles.report_data import target_summaries
from profiles.several_lists import several_words
from psi.protocol.errors import JobError
from tests.unit.profiles.sample import smallest

PEOPLE, DAY = 4000, date(2026, 3, 1)
UNIT = "CNY a month"


def job(*after: str, **second: Any) -> Job:
    parties: list[dict[str, Any]] = [
        {"name": n, "table": f"{n}.t", "keys": [["id"]]} for n in ("bank", "shop")
    ]
    parties[1]["features"] = ["x"]
    managers = {"managers": "bank.m", "top": 500, "unit": UNIT, "leave_out": "none"}
    return Job.load(
        {
            "job": {"name": "n", "purpose": "retention"},
            "party": parties,
            "align": {},
            "train": {"task": "churn", "label": "bank.left"},
            "target": [
                {"product": "stay", **managers},
                {"product": "card", "after": list(after), **managers, **second},
            ],
            "offer": [{"name": "call", "cost": 3.333, "value_of": ["worth"]}],
            "campaign": {"name": "spring", "control": 0.2},
        }
    )


def tables(*capacity: int | None) -> MemorySource:
    rng = np.random.default_rng(4)
    names = [f"C{n:04d}" for n in range(PEOPLE)]
    own = {"id": names, "left": np.arange(PEOPLE) % 2, "worth": rng.gamma(2, 40, PEOPLE)}
    return MemorySource(
        {
            "bank.t": pa.table(own),
            "bank.m": pa.table({"manager": ["Ann", "Bo", "Cy"], "capacity": capacity or [400] * 3}),
            "bank.h": pa.table(
                {
                    "manager": ["Ann", "Bo", "Cy"] * 40,
                    "outcome": np.random.default_rng(2).integers(0, 2, 120),
                    "score": np.random.default_rng(3).random(120),
                }
            ),
            "bank.other": pa.table({"manager": ["Dee"]}),
            "shop.t": pa.table({"id": names, "x": rng.normal(size=PEOPLE)}),
        }
    )


def made(folder: Path, asked: Job, source: MemorySource | None = None) -> Lists:
    rng = np.random.default_rng(5)
    profiles = pa.table(
        {"entity": [f"C{n:04d}" for n in range(PEOPLE)], "score_churn": rng.random(PEOPLE)}
    )
    assert asked.campaign is not None
    group = ControlGroup.kept(folder, asked.campaign, DAY, "job.toml")
    return lists_of(asked, profiles, source or tables(), group, key=b"k")


def of(table: pa.Table | None, product: str, arm: str = "") -> set[str]:
    assert table is not None
    rows = [row for row in table.to_pylist() if row["product"] == product]
    return {row["entity"] for row in rows if not arm or row["arm"] == arm}


def test_whoever_is_on_two_lists_is_counted_and_both_managers_are_told(tmp_path: Path) -> None:
    asked = job(managers="bank.other")
    lists = made(tmp_path, asked)
    assert lists.targets is not None
    both = of(lists.targets, "stay") & of(lists.targets, "card")
    assert len(both) == 500
    said = several_words(lists.targets)
    assert said.startswith("500 customers are on several lists, most of them on 'stay' and 'card'")
    told = language("zh").told(said, "note")
    assert told.startswith(
        "500 名客户同时在多份名单上，其中最多的是“stay”与“card”（500 名）；500 名有两位"
    )
    write_manager_pages(asked, tmp_path, lists.targets, smallest())
    pages = "".join(page.read_text() for page in (tmp_path / "managers").iterdir())
    assert pages.count("also on the list card") == pages.count("also on the list stay") == 500
    assert pages.count("also on the list card, with Dee") == 500


def test_a_list_after_another_has_other_people_in_both_arms(tmp_path: Path) -> None:
    """Else its listed would lack whom the first list took, and its control group would not."""
    lists = made(tmp_path, job("stay"))
    assert lists.targets is not None
    assert several_words(lists.targets) == ""
    for arm in ("listed", "control"):
        first, second = (of(lists.campaign, product, arm) for product in ("stay", "card"))
        assert first
        assert second
        assert not first & second
    assert lists.campaign is not None
    rows = [row for row in lists.campaign.to_pylist() if row["product"] == "card"]
    listed, control = (
        [row["score"] for row in rows if row["arm"] == arm] for arm in ("listed", "control")
    )
    assert abs(np.mean(listed) - np.mean(control)) < 0.02
    reasons = {reason.stage: reason.people for reason in lists.left_out["card"]}
    assert reasons["other list"] == 500 + lists.held["stay"].people
    assert sum(reasons.values()) + 500 == PEOPLE


def test_a_managers_capacity_is_of_all_lists_together(tmp_path: Path) -> None:
    asked, source = job(), tables()
    lists = made(tmp_path, asked)  # 500 leads, then 500, of 1,200 places
    assert lists.targets is not None
    count = Counter(lists.targets.column("manager").to_pylist())
    assert set(count) == {"Ann", "Bo", "Cy"}
    assert max(count.values()) <= 400
    lists = made(tmp_path, asked, tables(200, 300, None))
    assert lists.targets is not None
    rows = lists.targets.to_pylist()
    count = Counter(row["manager"] for row in rows)
    assert count["Ann"] == 200
    assert count["Bo"] == 300
    assert count[None] == len([row for row in rows if row["unassigned"] == NO_CAPACITY])
    assert all(row["manager"] for row in rows if row["product"] == "stay")  # the first has them all
    said = "capacity in bank.m is of all lists together, earlier ones of the job file first"
    assert planned(asked, source).capacities == ("bank.m",)
    assert said in in_text(planned(asked, source))
    assert said not in in_text(planned(job(managers="bank.other"), source))


def test_a_list_says_that_results_do_not_tell_managers_apart(tmp_path: Path) -> None:
    asked, source = job(managers="bank.m", history="bank.h", learn_by=["score"]), tables()
    lists = made(tmp_path, asked, source)
    (said,) = lists.looks
    assert said.startswith("card: the results in bank.h do not tell its managers apart (all alike")
    assert "看不出客户经理之间的差别" in language("zh").told(said, "note")
    assert lists.targets is not None
    rows = [row for row in lists.targets.to_pylist() if row["product"] == "card"]
    assert {row["assigned_by"] for row in rows} == {"capacity"}
    count = Counter(row["manager"] for row in rows)
    assert max(count.values()) - min(count.values()) <= 1


@pytest.mark.parametrize("name", ["card", "loan"])
def test_a_list_comes_after_one_before_it(name: str) -> None:
    with pytest.raises(JobError, match=f"no list '{name}' before it, found: stay"):
        job(name)


def test_a_plan_says_how_many_may_be_on_several_and_what_each_list_shows(tmp_path: Path) -> None:
    plan = planned(job(), tables())
    assert plan.several == PEOPLE
    assert planned(job("stay"), tables()).several == 0
    said = in_text(plan)
    assert "4,000 may be on several of these" in said
    lists = made(tmp_path, job())
    listed, held = plan.held["stay"]
    assert (listed, held) == (500, 125)
    assert abs(lists.held["stay"].people - held) < 6 * np.sqrt(held)
    # what `uplift` then says: an effect of that size has an interval beside 0 in 80 of 100 cases
    least, rng = 0.14, np.random.default_rng(6)
    assert said.count("from 14.0 percentage points on where half have the outcome") == 2
    drawn = (
        (rng.binomial(listed, 0.5 + least / 2), rng.binomial(held, 0.5 - least / 2))
        for _ in range(1000)
    )
    seen = [effect(Sums(listed, a, a), Sums(held, b, b)).low > 0 for a, b in drawn]
    assert 0.72 < np.mean(seen) < 0.88  # of runs: .80 to .82


def test_the_net_adds_up_from_leads_to_branches_to_the_first_screen(tmp_path: Path) -> None:
    """To the cent, in the list's unit, with its condition, in tables and on pages."""
    asked = job()
    lists = made(tmp_path, asked)
    assert lists.targets is not None
    whole = lists.money["stay"]
    leads = [row for row in lists.targets.to_pylist() if row["product"] == "stay"]
    assert all(row["offer_left"] == round(row["offer_left"], 2) for row in leads)
    assert whole.left == pytest.approx(sum(row["offer_left"] for row in leads), abs=1e-6)
    assert whole.left == pytest.approx(whole.value - whole.cost, abs=1e-6)
    mine = target_summaries(asked, lists.targets, {}, money=lists.money)
    for lang, words in (("en", "Net, if every offer works: "), ("zh", "若所有方案都奏效，净额 ")):
        data: ReportData = ReportData(**{**vars(smallest()), "targets": mine[:1]})
        page = render_report(data, lang)
        assert f"{words}{whole.left:,.2f}" in page
        head = f"Net, if it works, {UNIT}" if lang == "en" else f"净额（若奏效，{UNIT}）"
        assert head in page
    write_manager_pages(asked, tmp_path, lists.targets, smallest())
    pages = [page.read_text() for page in (tmp_path / "managers").iterdir()]
    totals = [float(one.split("works: ")[1].split(" (")[0].replace(",", "")) for one in pages]
    assert sum(totals) == pytest.approx(whole.left, abs=1e-6)
    halves = [pa.Table.from_pylist(leads[n::2], lists.targets.schema) for n in range(2)]
    parts = [Money.of(half, whole) for half in halves]  # as branches have it
    for name in ("value", "cost", "left"):
        assert sum(getattr(p, name) for p in parts) == pytest.approx(getattr(whole, name))


def test_a_managers_page_has_mobile_numbers_to_dial_and_names_whole(tmp_path: Path) -> None:
    asked = job(columns=["phone"])
    targets = made(tmp_path, job()).targets
    assert targets is not None
    spelt = ["１３９０２６７２４１５", "138847 64059", "+86 138-0188-5604", "010 6655 4433 x2"]
    phones = pa.array([spelt[n % 4] for n in range(targets.num_rows)])
    write_manager_pages(asked, tmp_path, targets.append_column("phone", phones), smallest())
    pages = [page.read_text() for page in (tmp_path / "managers").iterdir()]
    for dialled in ("13902672415", "13884764059", "+8613801885604", spelt[3]):
        assert any(f">{dialled}</td>" in page for page in pages)
    assert not any(said in page for said in spelt[:3] for page in pages)
    assert all("tbody td:not(.why) { word-break: keep-all" in page for page in pages)
