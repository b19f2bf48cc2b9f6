"""A whole job whose statistics are added up by private sums: as under encryption, and refused."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from federated.aggregate import AggregateResult
from federated.approval.policy import ONE_PROCESS, Limits, Policy
from federated.approval.policy_file import NEW_POLICY, load_policy
from federated.contract.terms import Suites
from federated.ledger.account import verify_ledger
from federated.ledger.lines import read_ledger
from profiles.federation import federate
from profiles.job import Job
from profiles.plan_text import describe
from profiles.run import run_job
from profiles.tables import open_tables
from psi.protocol import Declined, JobError
from tests.e2e.ledgers import assert_agree
from tests.e2e.test_resume_job import NAMES, PINNED, Party, play

ENCRYPTED = Limits(aggregate_protocols=("paillier",))
EACH = 1 if os.environ.get("FEDPROFILE_EVERY_KILL") else 2
"""Kills are at every second message: of one party at odd ones, of the other at even ones."""
SUITES = tuple(name for name in vars(Suites()).values() if name)
MORE = """
[[aggregate]]
by = "bank.tenure"
measures = ["bureau.queries:sum", "bureau.loans:histogram[0,1]"]
minimum_group = 3
"""


def prepare(folder: Path, protocol: str, more: str = MORE) -> Path:
    """The small job without its training, its sections by this protocol."""
    text = (folder / "job.toml").read_text().split("[train]")[0]
    text = text.replace('features = ["loans", "overdue", "usage", "queries"]', "")
    text = text.replace('features = ["balance", "tenure"]', "")
    sections = (text + more).replace("minimum_group", f'protocol = "{protocol}"\nminimum_group')
    (folder / f"{protocol}.toml").write_text(sections)
    return folder / f"{protocol}.toml"


def told(found: Sequence[tuple[object, AggregateResult]]) -> list[dict[str, list[object]]]:
    return [json.loads(json.dumps(result.table())) for _, result in found]


def test_a_job_by_sums_tells_what_it_tells_under_encryption(small: Path) -> None:
    tables, found = open_tables(small / "tables.toml"), {}
    for protocol in ("auto", "sums"):
        job = Job.load(prepare(small, protocol))
        result = run_job(job, tables, small / protocol)
        assert_agree(small / protocol)
        found[protocol] = result.federation.outcome.aggregates
    assert [repr(a) for a in told(found["auto"])] == [repr(a) for a in told(found["sums"])]
    assert any(np.isfinite(v).any() for _, r in found["auto"] for v in r.values)
    assert [terms.protocol for terms, _ in found["auto"]] == ["paillier"] * 2
    plain = describe(Job.load(small / "auto.toml"), tables, 1000)
    assert 'MB; by private sums (protocol = "sums", where all policies name it)' in plain
    assert "does not hold bank to sums of whole groups" in plain
    text = describe(Job.load(small / "sums.toml"), tables, 1000)
    assert "does not hold bank" not in text
    assert "where all policies name it" not in text
    assert "under pads of which bank can take sums only (half-tree-sums-v3)" in text
    assert "whether some values do not count in its audit" in text
    html = (small / "sums" / "report.html").read_text()
    assert "private sums" in html
    lines = read_ledger(small / "sums" / "parties" / "bureau" / "ledger.jsonl")
    (signed,) = [line["body"]["terms"] for line in lines if line["kind"] == "contract"]
    assert signed["suites"]["sums"] == "half-tree-sums-v3"
    assert [section["protocol"] for section in signed["aggregate"]] == ["sums"] * 2
    learns = [line["body"]["line"] for line in lines if line["kind"] == "disclosure"]
    assert "aggregate.protocol" in learns


def test_a_policy_that_does_not_name_sums_refuses_them(small: Path) -> None:
    tables = open_tables(small / "tables.toml")
    job = Job.load(prepare(small, "sums"))
    for number, (limits, said) in enumerate(
        (
            (ENCRYPTED, "statistics by protocol 'sums' asked, paillier allowed by policy"),
            (replace(ONE_PROCESS.limits, suites=SUITES), "suite 'half-tree-sums-v3' asked"),
        )
    ):
        with pytest.raises(Declined, match=said):
            federate(
                job,
                dict.fromkeys(NAMES, tables),
                small / f"out-{number}",
                policies={"bureau": Policy(limits=limits)},
            )


def test_encryption_is_for_policies_that_name_it(small: Path) -> None:
    """By it a receiver that lies reads rows: a new node does not, and `auto` gives way to it."""
    tables = open_tables(small / "tables.toml")
    (small / "policy.toml").write_text(NEW_POLICY)
    limits = load_policy(small / "policy.toml").limits
    assert limits.aggregate_protocols == ("sums",)
    bureau = Policy(limits=replace(Limits(), aggregate_protocols=limits.aggregate_protocols))
    job = Job.load(prepare(small, "paillier"))
    said = "'paillier' asked, sums allowed by policy"
    with pytest.raises(Declined, match=said):
        federate(job, dict.fromkeys(NAMES, tables), small / "no", policies={"bureau": bureau})
    asked = Job.load(prepare(small, "auto"))
    assert {a.protocol for a in asked.aggregates} == {"paillier"}
    assert {a.protocol for a in asked.adding(("sums",)).aggregates} == {"sums"}
    assert asked.adding(("paillier", "sums")) == asked.adding(()) == asked


def test_sections_towards_one_partner_have_one_protocol(small: Path) -> None:
    path = prepare(small, "sums")
    path.write_text(path.read_text().replace('"sums"', '"paillier"', 1))
    with pytest.raises(JobError, match="one protocol"):
        Job.load(path)


def check(parties: dict[str, Party], plain: dict[str, Party], home: Path) -> None:
    for name, party in parties.items():
        assert party.error is None, [(p.party, p.error) for p in parties.values()]
        verify_ledger(home / name / "ledger.jsonl", PINNED[name])
    mine, theirs = parties["bank"].outcome, plain["bank"].outcome
    assert mine is not None
    assert theirs is not None
    assert [repr(a) for a in told(mine.aggregates)] == [repr(a) for a in told(theirs.aggregates)]


def test_a_job_by_sums_goes_on_after_a_kill(small: Path, tmp_path: Path) -> None:
    (small / "job.toml").write_text(prepare(small, "sums").read_text())
    plain = play(small, tmp_path / "plain", {})
    for victim, part in (("bank", 0.6), ("bureau", 0.75)):
        fatal = {victim: int(plain[victim].frames * part)}
        parties = play(small, tmp_path / victim, fatal)
        assert parties[victim].lives == 2
        check(parties, plain, tmp_path / victim)


@pytest.mark.slow
@pytest.mark.parametrize("victim", NAMES)
def test_a_job_by_sums_goes_on_wherever_it_is_killed(
    small: Path, tmp_path: Path, victim: str
) -> None:
    (small / "job.toml").write_text(prepare(small, "sums").read_text())
    plain = play(small, tmp_path / "plain", {})
    back = 0
    for fatal in range(1 + NAMES.index(victim), plain[victim].frames + 1, EACH):
        home = tmp_path / f"{victim}-{fatal}"
        parties = play(small, home, {victim: fatal})
        back += parties[victim].lives == 2
        check(parties, plain, home)
    assert back > 20 // EACH


CATEGORY = """
[[aggregate]]
by = "bureau.trade"
categories = ["retail", "transport"]
measures = ["bank.money:sum[0,50]"]
noise = "none"
minimum_group = 10

[[aggregate]]
by = ["bank.segment", "bureau.trade"]
categories = ["retail", "transport"]
measures = ["bank.money:sum[0,50]"]
epsilon = 10.0
minimum_group = 10
"""


def test_tables_by_a_category_by_sums(small: Path) -> None:
    rng = np.random.default_rng(6)
    bureau, bank = (pd.read_csv(small / f"{name}.csv") for name in NAMES[::-1])
    bureau["trade"] = rng.choice(["retail", "transport", "mining", ""], len(bureau))
    bank["money"] = (bank.balance * 20).round(1)
    bureau.to_csv(small / "bureau.csv", index=False)
    bank.to_csv(small / "bank.csv", index=False)
    tables, found = open_tables(small / "tables.toml"), {}
    limits = replace(ONE_PROCESS.limits, unnoised_categories=True)
    policies = dict.fromkeys(NAMES, replace(ONE_PROCESS, limits=limits))
    for protocol in ("paillier", "sums"):
        head = prepare(small, protocol, "").read_text().split("[[aggregate]]")[0]
        asked = (head + CATEGORY).replace(
            "minimum_group", f'protocol = "{protocol}"\nminimum_group'
        )
        job = Job.load(asked)
        ran = federate(job, dict.fromkeys(NAMES, tables), small / protocol, policies=policies)
        found[protocol] = ran.outcome.categories
        assert bool(ran.contract.suites.sums) == (protocol == "sums")
    (_, exact), (_, noised) = found["sums"]
    (_, wanted), (_, other) = found["paillier"]
    np.testing.assert_array_equal(exact.counts, wanted.counts)
    np.testing.assert_array_equal(exact.sums, wanted.sums)
    assert np.isfinite(exact.counts).all()
    assert noised.segments == other.segments
    assert noised.scales == other.scales
    for one, two, scale in zip(
        (noised.counts, *noised.sums), (other.counts, *other.sums), noised.scales, strict=True
    ):
        assert (np.abs(one - two) < 60 * scale).all()
    with pytest.raises(Declined, match="'sums' asked, paillier allowed"):
        federate(
            job, dict.fromkeys(NAMES, tables), small / "no",
            policies={"bureau": Policy(limits=replace(ENCRYPTED, unnoised_categories=True))},
        )  # fmt: skip


HIDDEN = """
[[join_sum]]
measures = ["bureau.loans:mean[0,9]", "bureau.queries:sum[0,20]", "bureau.usage:count"]
epsilon = 10.0

[[join_sum]]
measures = ["bureau.overdue:sum", "bureau.loans:mean"]
noise = "none"
"""


def test_a_join_and_sum_by_sums(small: Path) -> None:
    tables, found = open_tables(small / "tables.toml"), {}
    for protocol in ("paillier", "sums"):
        head = prepare(small, protocol, "").read_text().split("[[aggregate]]")[0]
        head = head.replace("[align]", '[align]\nreveal = "cardinality"')
        asked = HIDDEN.replace("[[join_sum]]", f'[[join_sum]]\nprotocol = "{protocol}"')
        job = Job.load(head + asked)
        ran = federate(job, dict.fromkeys(NAMES, tables), small / protocol)
        found[protocol] = ran.outcome.join_sums
    ((terms, noised), (_, exact)), ((_, other), (_, wanted)) = found["sums"], found["paillier"]
    np.testing.assert_array_equal(exact.values, wanted.values)
    np.testing.assert_array_equal(exact.counts, wanted.counts)
    assert np.isfinite(exact.values).all()
    assert noised.shared == other.shared == exact.shared
    # two draws of noise of scales 1 and 10
    assert (np.abs(noised.counts - other.counts) < 60).all()
    assert abs(noised.values[1] - other.values[1]) < 600
    assert terms.shared
    assert "no record is added up twice" in describe(job, tables, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("victim", NAMES)
def test_a_join_by_sums_goes_on_wherever_it_is_killed(
    small: Path, tmp_path: Path, victim: str
) -> None:
    head = prepare(small, "sums", "").read_text().split("[[aggregate]]")[0]
    job = small / "job.toml"
    exact = "[[join_sum]]" + HIDDEN.rpartition("[[join_sum]]")[2] + 'protocol = "sums"\n'
    job.write_text(head.replace("[align]", '[align]\nreveal = "cardinality"') + exact)
    plain = play(small, tmp_path / "plain", {})
    wanted = plain["bank"].outcome
    assert wanted is not None
    back = 0
    for fatal in range(1 + NAMES.index(victim), plain[victim].frames + 1, EACH):
        home = tmp_path / f"{victim}-{fatal}"
        parties = play(small, home, {victim: fatal})
        back += parties[victim].lives == 2
        found = parties["bank"].outcome
        assert found is not None, [(p.party, p.error) for p in parties.values()]
        ((_, mine),), ((_, theirs),) = found.join_sums, wanted.join_sums
        np.testing.assert_array_equal(mine.values, theirs.values)
        verify_ledger(home / victim / "ledger.jsonl", PINNED[victim])
    assert back > 10 // EACH
