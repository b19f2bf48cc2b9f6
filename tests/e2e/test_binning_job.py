"""Whole jobs that ask what a partner's columns are worth for the bank's label."""

from __future__ import annotations

import json
import math
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from federated.approval.policy import ONE_PROCESS, Limits, Policy
from federated.contract.completion import complete
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import read_ledger
from federated.node.participant import Participant
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.steps.outcome import Outcome
from federated.tables.source import MemorySource
from profiles.cli.summary import print_summary
from profiles.federation import federate
from profiles.job import Job
from profiles.plan_text import describe
from profiles.proposal import draft
from profiles.run import run_job
from profiles.tables import open_tables
from psi.protocol import Declined, InputError, JobError, Refused
from tests.e2e.ledgers import assert_agree
from tests.e2e.test_resume_job import play

SECTION = """
[[binning]]
label = "bank.churned"
columns = ["bank.balance", "bank.tenure", "bureau.loans", "bureau.usage", "bureau.place"]
bins = 4
"""
FINER = """
[[binning]]
label = "bank.churned"
columns = ["bureau.loans"]
bins = 8
"""
EXACT = SECTION + 'noise = "none"\n'
TRUSTS = Policy(limits=Limits(**{**vars(ONE_PROCESS.limits), "unnoised_labels": True}))


def prepare(folder: Path, section: str = SECTION) -> Path:
    """The small job with this section alone, some labels missing, and a category at the bureau."""
    bank, bureau = pd.read_csv(folder / "bank.csv"), pd.read_csv(folder / "bureau.csv")
    bank["churned"] = bank.churned.astype("Int64").mask(np.arange(len(bank)) % 11 == 3)
    bank.to_csv(folder / "bank.csv", index=False)
    kinds = np.where(bureau.loans > 0.5, "north", np.where(bureau.loans < -0.5, "south", "west"))
    bureau["place"] = np.where(np.arange(len(bureau)) % 13 == 2, "", kinds)
    bureau.to_csv(folder / "bureau.csv", index=False)
    head = (folder / "job.toml").read_text().split("[[aggregate]]")[0]
    head = head.replace('features = ["loans", "overdue", "usage", "queries"]', "")
    (folder / "job.toml").write_text(head.replace('features = ["balance", "tenure"]', "") + section)
    return folder / "job.toml"


def joined(folder: Path) -> pd.DataFrame:
    bank, bureau = pd.read_csv(folder / "bank.csv"), pd.read_csv(folder / "bureau.csv")
    return bank.merge(bureau, left_on="id", right_on="id_no")


def textbook(rows: pd.DataFrame, group: np.ndarray, floor: float) -> float:
    """Information value of the labelled rows, group by group; fewer of a class count as `floor`."""
    known = rows.churned.notna().to_numpy()
    label, group = rows.churned.to_numpy(float)[known], group[known]
    total = 0.0
    for place in np.unique(group):
        p = max(floor, (label[group == place] == 1).sum()) / (label == 1).sum()
        n = max(floor, (label[group == place] == 0).sum()) / (label == 0).sum()
        total += (p - n) * math.log(p / n)
    return total


def test_what_is_told_is_what_the_joined_table_says(small: Path) -> None:
    job, tables = Job.load(prepare(small, EXACT)), open_tables(small / "tables.toml")
    found = federate(
        job, dict.fromkeys(("bank", "bureau"), tables), small / "out", policies={"bank": TRUSTS}
    )
    rows, (binned,) = joined(small), found.outcome.binned
    (worths,) = found.outcomes["bureau"].worths
    for said, worth in zip(binned.told, worths, strict=True):
        values: Any = rows[worth.column].to_numpy()
        if worth.column == "place":
            values = pa.array(rows.place.where(rows.place.notna(), None), pa.large_string())
        group = np.array(worth.groups)[worth.bins.codes(values)]
        expected = textbook(rows, group, worth.floor)
        assert expected <= textbook(rows, group, 0.5)
        assert math.isclose(worth.value, expected, abs_tol=1e-9)
        assert 1 <= said.bins <= worth.bins.count  # under the owner's noise, as its value
        assert 0 <= said.value < 9
        assert worth.counts.min() >= 20 or worth.floor == 20
    assert {worth.column for worth in worths if worth.floor == 20} == {"place"}
    assert found.outcomes["bureau"].binned == []
    assert found.outcome.worths == []


def test_a_whole_job_its_plan_report_and_ledgers(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = prepare(small, SECTION + FINER)
    job, tables = Job.load(path), open_tables(small / "tables.toml")
    text = describe(job, tables, 1000)
    assert "bank's noise moves each count by up to 9 in 95 of 100 cases" in text
    assert "bureau puts loans, usage, place into at most 4 bins each" in text
    assert "is bureau's own word" in text
    result = run_job(job, tables, small / "out")
    assert_agree(small / "out")
    metrics = json.loads((small / "out" / "metrics.json").read_text())
    first, finer = metrics["run"]["binnings"]
    lines = first["columns"]
    assert {(line["party"], line["column"]) for line in lines} == {
        ("bank", "balance"), ("bank", "tenure"),
        ("bureau", "loans"), ("bureau", "usage"), ("bureau", "place"),
    }  # fmt: skip
    assert all(line["drift"] is None for line in lines)
    assert (first["apart"], finer["apart"]) == ({"bins": 4}, {"bins": 8})
    assert [(line["party"], line["column"]) for line in finer["columns"]] == [("bureau", "loans")]
    print_summary(result)
    shown = capsys.readouterr().out
    assert "information value churned (4 bins), bureau.loans" in shown
    assert "information value churned (8 bins), bureau.loans" in shown
    html = (small / "out" / "report.html").read_text()
    assert ", 4 bins at most</h3>" in html
    assert ", 8 bins at most</h3>" in html
    assert "What columns are worth" in html
    for name, line in (("bureau", "binning.epsilon"), ("bank", "binning.columns")):
        ledger = read_ledger(small / "out" / "parties" / name / "ledger.jsonl")
        learned = [entry["body"] for entry in ledger if entry["kind"] == "disclosure"]
        assert line in [entry["line"] for entry in learned if entry["to"] == name]
    frames = result.outputs.profiles
    assert frames is not None
    assert "tenure" not in frames.column_names, "what is only binned is not carried along"


def test_exact_counts_need_the_banks_own_policy(small: Path) -> None:
    job, tables = Job.load(prepare(small, EXACT)), open_tables(small / "tables.toml")
    with pytest.raises(Declined, match="counts of 'churned' by a partner's bins asked without"):
        federate(job, dict.fromkeys(("bank", "bureau"), tables), small / "out")


def test_a_label_of_too_few_is_told_before_anything(small: Path) -> None:
    job = prepare(small)
    bank = pd.read_csv(small / "bank.csv")
    bank["churned"] = (np.arange(len(bank)) < 19).astype(int)
    bank.to_csv(small / "bank.csv", index=False)
    with pytest.raises(Refused, match="19 rows of its rarer class, at least 20 are needed"):
        run_job(Job.load(job), open_tables(small / "tables.toml"), small / "out")
    assert not list((small / "out").glob("parties/*/ledger.jsonl")), "no step has begun"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"bank.churned"', '"bureau.loans"', "the receiver holds the label|allowed"),
        ('"bureau.place"', '"burau.place"', "PARTY.COLUMN"),
        ("bins = 4", "bins = 1", "bins"),
        ("bins = 4", 'noise = "none"\nepsilon = 1.0', "epsilon"),
        (', "bureau.loans", "bureau.usage", "bureau.place"', "", "no partner's"),
        ("bins = 4", "bins = 4\n[align]\nduplicates = 'join'", "collapse allowed with"),
    ],
)
def test_a_slip_in_the_section_names_its_key(small: Path, old: str, new: str, said: str) -> None:
    text = prepare(small).read_text()
    if "[align]" in new:
        text = text.replace("[align]\nminimum_overlap = 50\n", "")
    (small / "job.toml").write_text(text.replace(old, new))
    with pytest.raises(JobError, match=said):
        Job.load(small / "job.toml")


def test_a_column_of_the_banks_that_is_not_there_is_told_before(small: Path) -> None:
    path = prepare(small, SECTION.replace("bank.tenure", "bank.tenur"))
    with pytest.raises(InputError, match=r"bank.consumers has no column 'tenur'"):
        run_job(Job.load(path), open_tables(small / "tables.toml"), small / "out")


class Nodes:
    """Two parties with homes: books of releases, and files that outlive a job."""

    def __init__(self, folder: Path, limits: ReleaseLimits) -> None:
        self.folder, self.jobs = folder, 0
        self.keys = {name: PartyKeys.generate(name) for name in ("bank", "bureau")}
        self.books = {
            name: Releases(folder / f"book-{name}", limits, secrets.token_bytes, time.time)
            for name in self.keys
        }

    def play(
        self, job: Job, tables: dict[str, pa.Table], names: tuple[str, ...] = ("bank", "bureau")
    ) -> dict[str, Outcome | BaseException]:
        """One job of those parties that are there: what each comes away with, or its error."""
        self.jobs += 1
        pinned = {name: keys.identity for name, keys in self.keys.items()}
        router, nonce = MemoryRouter(list(pinned)), secrets.token_bytes(32)
        found: dict[str, Outcome | BaseException] = {}

        def party(name: str) -> None:
            home = self.folder / str(self.jobs) / name
            session = Session(
                nonce, self.keys[name], pinned, router.endpoint(name), home, timeout=60
            )
            source = MemorySource({job.party(name).table: tables[name]})
            kept = self.folder / f"kept-{name}"
            node = Participant(session, source, releases=self.books[name], kept=kept)
            try:
                if name == "bureau":
                    found[name] = node.join()[1]
                else:
                    asked = draft(job, pinned, nonce, time.time())
                    found[name] = node.propose(asked, complete)[1]
            except BaseException as error:
                found[name] = error

        threads = [threading.Thread(target=party, args=(name,), daemon=True) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive()
        return found


def test_drift_is_told_from_the_second_job_on_and_the_label_has_a_budget(small: Path) -> None:
    job = Job.load(prepare(small))
    tables = {
        "bank": pa.Table.from_pandas(pd.read_csv(small / "bank.csv", dtype={"id": str})),
        "bureau": pa.Table.from_pandas(pd.read_csv(small / "bureau.csv")),
    }
    nodes = Nodes(small / "nodes", ReleaseLimits(epsilon_per_column=2.0))
    first = nodes.play(job, tables)
    assert isinstance(first["bank"], Outcome), first
    assert [line.drift for line in first["bank"].binned[0].told] == [None] * 3
    (kept,) = (small / "nodes" / "kept-bureau").glob("bins-*.json")
    saved = json.loads(kept.read_text())
    assert [one["column"] for one in saved["columns"]] == ["loans", "usage", "place"]
    assert kept.stat().st_mode & 0o777 == 0o600
    moved = pd.read_csv(small / "bureau.csv")
    moved["loans"] += 1.0
    tables["bureau"] = pa.Table.from_pandas(moved)
    second = nodes.play(job, tables)
    assert isinstance(second["bank"], Outcome), second
    drifts = {line.column: line.drift for line in second["bank"].binned[0].told}
    assert drifts["usage"] is not None
    assert drifts["usage"] < 0.05
    assert drifts["loans"] is not None
    assert drifts["loans"] > 0.25
    third = nodes.play(job, tables, ("bank",))  # before it says a word to anybody
    assert isinstance(third["bank"], Refused)
    assert "epsilon 3 asked in all, 2 allowed" in third["bank"].message
    bank, path = tables["bank"], small / "job.toml"
    tables["bank"] = bank.append_column("gone", bank["churned"])  # the label by another name
    path.write_text(path.read_text().replace('"bank.churned"', '"bank.gone"'))
    other = nodes.play(Job.load(path), tables)
    assert isinstance(other["bank"], Refused), other
    assert "'churned', which say the same: epsilon 3" in other["bank"].message
    lines = [line for line in nodes.books["bank"].lines() if line["receiver"] == "bureau"]
    assert [line["columns"] for line in lines] == ["churned"] * 2
    assert sum(int(line["micro_epsilon"]) for line in lines) == 2_000_000


def test_a_job_goes_on_after_a_kill_and_both_sides_end_with_one_answer(
    small: Path, tmp_path: Path
) -> None:
    prepare(small)
    plain = play(small, tmp_path / "plain", {})
    for victim, part in (("bank", 0.8), ("bureau", 0.7)):
        fatal = {victim: int(plain[victim].frames * part)}
        parties = play(small, tmp_path / victim, fatal)
        assert parties[victim].lives == 2
        assert [party.error for party in parties.values()] == [None, None]
        mine, theirs = parties["bank"].outcome, parties["bureau"].outcome
        assert mine is not None
        assert theirs is not None
        columns = [worth.column for worth in theirs.worths[0]]
        assert [said.column for said in mine.binned[0].told] == columns
