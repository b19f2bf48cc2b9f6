"""Jobs that ask where the receiver's money sits by a partner's category."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from federated.aggregate import OTHER
from federated.approval.policy import Limits, Policy
from federated.ledger.lines import read_ledger
from profiles.federation import Federation, federate
from profiles.job import Job
from profiles.plan_text import describe
from profiles.run import run_job
from profiles.tables import open_tables
from psi.protocol import JobError, Refused
from tests.e2e.ledgers import assert_agree

SECTION = """
[[aggregate]]
by = "bureau.trade"
categories = ["retail", "transport"]
measures = ["bank.balance:sum[0,50]"]
"""
TWO_WAY = SECTION.replace('by = "bureau.trade"', 'by = ["bank.segment", "bureau.trade"]')


def prepare(folder: Path, sections: str) -> Path:
    bureau = pd.read_csv(folder / "bureau.csv")
    rng = np.random.default_rng(6)
    bureau["trade"] = rng.choice(["retail", "transport", "mining", ""], len(bureau))
    bureau.to_csv(folder / "bureau.csv", index=False)
    bank = pd.read_csv(folder / "bank.csv")
    bank["balance"] = (bank.balance * 20).round(1)
    bank.to_csv(folder / "bank.csv", index=False)
    head = (folder / "job.toml").read_text().split("[[aggregate]]")[0]
    (folder / "job.toml").write_text(
        head.replace('features = ["loans", "overdue", "usage", "queries"]', "") + sections
    )
    return folder / "job.toml"


def wanted(folder: Path) -> pd.DataFrame:
    bank, bureau = pd.read_csv(folder / "bank.csv"), pd.read_csv(folder / "bureau.csv")
    joined = bank.merge(bureau, left_on="id", right_on="id_no")
    joined["trade"] = joined.trade.where(joined.trade.isin(["retail", "transport"]), OTHER)
    joined["balance"] = joined.balance.round().clip(0, 50)
    return joined


def test_noised_sums_in_outputs_plan_and_ledgers(small: Path) -> None:
    path = prepare(small, SECTION + TWO_WAY + "epsilon = 2.5\n")
    job, tables = Job.load(path), open_tables(small / "tables.toml")
    text = describe(job, tables, 1000)
    assert "bureau's noise moves a count by up to 12, a sum of balance by up to 600, in 95" in text
    result = run_job(job, tables, small / "out")
    assert_agree(small / "out")
    (_, one_way), (_, two_way) = result.federation.outcome.categories
    groups = wanted(small).groupby("trade")
    order = ["retail", "transport", OTHER]
    exact = groups.balance.sum()[order].to_numpy()
    assert one_way.scales == [4, 200]
    assert (np.abs(one_way.sums[0][:, 0] - exact) < 20 * 200).all()
    assert (np.abs(one_way.counts[:, 0] - groups.size()[order].to_numpy()) < 20 * 4).all()
    assert two_way.counts.shape == (3, 2)
    assert two_way.segments == ["basic", "gold"]
    metrics = json.loads((small / "out" / "metrics.json").read_text())
    assert metrics["run"]["categories"][0]["table"]["category"] == order
    html = (small / "out" / "report.html").read_text()
    assert "By partners" in html
    assert "and segment" in html
    lines = read_ledger(small / "out" / "parties" / "bureau" / "ledger.jsonl")
    told = [line["body"] for line in lines if line["kind"] == "disclosure"]
    told = [entry for entry in told if entry["step"] == "category bureau"]
    assert "each with noise of its own (discrete Laplace, epsilon 1 in all)" in told[0]["learns"]
    assert "how many segments bank has" in [entry["learns"] for entry in told]


def bare(small: Path, policy: Policy) -> Federation:
    job = Job.load(prepare(small, SECTION + 'noise = "none"\n'))
    source = open_tables(small / "tables.toml")
    return federate(
        job, dict.fromkeys(["bank", "bureau"], source), small, policies={"bureau": policy}
    )


def test_without_noise_policy_refuses_unless_it_says_otherwise(small: Path) -> None:
    with pytest.raises(Refused, match="asked without noise, not allowed by policy"):
        bare(small, Policy())


def test_without_noise_sums_are_exact_and_the_disclosure_says_what_that_means(small: Path) -> None:
    found = bare(small, Policy(limits=Limits(unnoised_categories=True)))
    (_, result) = found.outcome.categories[0]
    groups = wanted(small).groupby("trade")
    assert result.counts[:, 0].tolist() == groups.size()[["retail", "transport", OTHER]].tolist()
    sums = groups.balance.sum()[["retail", "transport", OTHER]]
    assert result.sums[0][:, 0].tolist() == sums.tolist()
    told = [entry.learns for entry in found.contract.disclosures]
    assert any("category membership of entities of bank's choosing" in text for text in told)


def test_a_weak_noise_is_refused(small: Path) -> None:
    job = Job.load(prepare(small, SECTION + "epsilon = 11\n"))
    source = open_tables(small / "tables.toml")
    with pytest.raises(Refused, match="epsilon 11 asked, at most 10 allowed"):
        federate(job, dict.fromkeys(["bank", "bureau"], source), small)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"bureau.trade"', '"other.trade"', "by: 'other.trade' found"),
        ('"bureau.trade"', '["bureau.a", "bureau.b"]', "by: 'bureau.a, bureau.b' found"),
        ('["retail", "transport"]', '["(other)"]', r"1 to 1000 names; \(other\) is always there"),
        ('categories = ["retail", "transport"]\n', "", "categories: missing"),
        (
            "bank.balance:sum[0,50]",
            "bureau.x:sum[0,50]",
            r"bank.COLUMN:sum\[LOW",
        ),
        ("sum[0,50]", "mean", r"sum\[LOW,HIGH\]"),
        ("measures", 'noise = "gauss"\nmeasures', "'gauss' found, laplace or none"),
        ("measures", "epsilon = 0\nmeasures", "epsilon: 0 found, 0.01 to 20 allowed"),
        ("measures", 'noise = "none"\nepsilon = 1\nmeasures', "epsilon: unknown key"),
    ],
)
def test_mistakes_name_the_key(small: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(JobError, match=told):
        Job.load(prepare(small, SECTION.replace(old, new)))


def test_a_two_way_table_without_noise_is_refused(small: Path) -> None:
    with pytest.raises(JobError, match="'none' found, laplace with two columns allowed"):
        Job.load(prepare(small, TWO_WAY + 'noise = "none"\n'))
