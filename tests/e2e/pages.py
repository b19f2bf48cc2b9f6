"""Every kind of page that the product writes, in one language, with all that it may hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from federated.approval.policy import Policy
from federated.assess.document import assessment
from federated.assess.render import to_html
from federated.evaluation import Interval
from federated.models import LINEAR
from profiles.flows.page import FlowPage, Leak, Stopped, write_flow_page
from profiles.flows.summary import Untyped
from profiles.goodness import goodness
from profiles.language import language
from profiles.manager_pages import Lead, ManagerList, ManagerPage
from profiles.report import ReportData, render_report
from profiles.report.card import Card, CardLine
from profiles.report.grouped import Binning, Valued
from profiles.report.measured import OutOfTime
from profiles.report.render import page_of
from tests.unit.profiles.sample import model
from tests.unit.profiles.test_language import whole
from tests.unit.test_kinds import CONTRACTS


def of_all(lang: str) -> str:
    """A report with all its chapters."""
    return render_report(_listed(), lang)


def _listed() -> ReportData:
    """Each list has a name of its own, as in a job."""
    data = whole()
    names = ("", " told", " told, own order")
    return replace(
        data,
        targets=tuple(
            replace(one, product=one.product + name)
            for one, name in zip(data.targets, names, strict=True)
        ),
    )


def of_a_branch(lang: str) -> str:
    """Its report: lists, segments and what to look at; no plot."""
    data = _listed()
    moved = (
        "churn is scored by model 0123456789abcdef: 1,200 shared records. Moved since its training "
        "(population stability of .25 or more): balance and score. Look before the scores are used."
    )
    return render_report(
        ReportData(
            job=data.job,
            purpose=data.purpose,
            entity=data.entity,
            receiver=data.receiver,
            created=data.created,
            parties=(),
            contract=data.contract,
            entities=data.entities,
            segments=data.segments,
            targets=data.targets,
            looks=(moved,),
            notes=("churn is scored by the common model of north and south, from 1,200 rows.",),
            branch="North-by-North-West, the office at the old market square",
        ),
        lang,
    )


def of_a_manager(lang: str) -> str:
    """Her page: leads with columns, reasons and offers."""
    reasons = ("balance trend falling fast (+0.42)", "channel is branch (-0.31)")
    lead = Lead(
        entity="c-000000000017",
        name="A. Customer",
        more=("+86 139 0000 0000", "north"),
        reasons=reasons,
        offer="",
        left=None,
    )
    offered = replace(lead, entity="c-000000000018", offer="fee relief for a year", left=1234.5)
    also = replace(lead, entity="c-000000000019", also=(("card", "Bo Wu"), ("loan", "")))
    mine = ManagerList(
        product="deposit renewal",
        heads=("phone", "branch"),
        leads=(lead, offered, also),
        left=1234.5,
        unit="CNY a year",
    )
    page = ManagerPage(manager="Zhang Wei-Li", until=date(2026, 12, 10), lists=(mine,))
    return page_of(language(lang), "manager.html.j2", page=page, data=whole())


def of_a_scorecard(lang: str) -> str:
    """A report with a card, columns in bins, a later period, and predicted numbers."""
    random = np.random.default_rng(5)
    truth = random.normal(size=400) * 900
    folds = np.arange(400) % 5
    both = tuple(
        goodness(name, LINEAR, truth, truth + random.normal(size=400) * size, folds)
        for name, size in (("bank alone", 700), ("joined", 500))
    )
    lines = (
        CardLine(column="age", bin="up to 30", rows=1200, woe=-0.31, points=-9),
        CardLine(column="age", bin="missing", rows=80, woe=0.12, points=4),
    )
    card = Card(
        base=512, points=600, odds=50, double=20, high="0", partners="bureau", low=-40, most=35,
        lines=lines,
    )  # fmt: skip
    churn = model()
    later = OutOfTime(
        column="cut_off", day="2026-07-01", rows=800, positives=90, scores=churn.scores
    )
    columns = tuple(
        Valued(
            party=party, column=name, value=value, step=0.01, chance=0.02, bins=8, drift=drift
        )
        for party, name, value, drift in (
            ("bureau", "open_loans", 0.41, 0.3), ("bank", "balance", 0.03, None)
        )
    )  # fmt: skip
    spent = replace(
        churn, task="spent", scores=(), numbers=both, mean=8953.1, importance=(),
        gain=Interval(0.1, 0.01, 0.08, 0.12, 5),
    )  # fmt: skip
    binning = Binning(
        label="churned", positives=900, negatives=5100, epsilon=(("bureau", 1.0),), columns=columns
    )
    data = replace(
        whole(),
        models=(replace(churn, card=card, out_of_time=later), spent),
        binnings=(binning,),
        targets=whole().targets[:1],
    )
    return render_report(data, lang)


def of_flows(lang: str, folder: Path) -> str:
    """A bank's money."""
    map_ = [
        {"month": 24_312 + month, "source": source, "target": target, "minor": minor * 100}
        for month in range(6)
        for source, target, minor in (
            ("outside", "C", 2_310_400), ("C", "outside", 1_930_050), ("B", "C", 870_000),
            ("G", "B", 410_000), ("C", "product", 99_000), ("B", "outside", 1_210_000),
        )
    ]  # fmt: skip
    page = FlowPage(
        flow="bank.transactions", currency="CNY", digits=2, version="1", map=map_, days=15,
        rows=123_456,
        shares={
            "purpose known, rows": 0.7, "purpose known, money": 0.8, "mechanism known, rows": 0.9
        },
        types=(("C", "salary", "in", 1200, 930_000_00), ("C", "", "out", 300, 120_000_00)),
        leaks=(Leak(type="salary", minor=930_000_00, left=120_000_00, by=""),),
        left={24_312: 50_000_00},
        unknown=10_000_00,
        stopped=(Stopped(type="salary", breaks=12, minor=90_000_00, changed=3),),
        untyped=(
            Untyped(
                kind="C", way="in", text="qwzzz<b>", rows=40, minor=4_000_00, near=("salary",)
            ),
        ),
        names={"salary": ("Salary", "工资")},
    )  # fmt: skip
    write_flow_page(page, folder / "flows.html", lang, synthetic=True)
    return (folder / "flows.html").read_text("utf-8")


def of_an_assessment(lang: str) -> str:
    """What a contract means for persons, to be filed."""
    return to_html(assessment(CONTRACTS["joined"], "bureau", Policy(), None, lang))
