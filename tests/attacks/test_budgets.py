"""Asking many times for what may be told once: in one contract, and month after month."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.contract.terms import Contract
from federated.ledger.lines import read_ledger
from federated.releases.budget import OverBudget
from federated.releases.memory import Releases
from psi.protocol import Refused
from tests.attacks.world import NEW_POLICY, Run, World
from tests.unit.test_budget import months, train
from tests.unit.test_releases import by_id, contract

HEAD = """
[job]
name = "months"
purpose = "retention"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
{own}

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]
{partner}

[align]
minimum_overlap = 100
"""
TRAIN = """
[train]
task = "t0"
label = "bank.y"
folds = 2
evaluations = 4
fold_evaluations = 1
score_bits = {score_bits}
"""
CATEGORIES = """
[[aggregate]]
by = "bureau.sector"
categories = ["public", "private"]
epsilon = {epsilon}
"""
POLICY = NEW_POLICY.replace("key_bits = 3072", "key_bits = 2048")
COLUMNS = [f"b{number}" for number in range(6)]
DAY = 24 * 3600.0


class Months(World):
    """A bureau of 20,000 people, and a bank that asks about 400 of them, others each month."""

    def __init__(self, folder: Path, policy: str = POLICY, people: int = 20_000) -> None:
        rng = np.random.default_rng(3)
        self.ids = np.array([f"id{number:05d}" for number in range(people)])
        columns = {name: rng.normal(size=people).round(4) for name in COLUMNS}
        sector = np.array(["public", "private", "none"])[rng.integers(0, 3, people)]
        table = pa.table({"id": self.ids, **columns, "sector": sector})
        allowed = dict.fromkeys(COLUMNS, "feature") | {"sector": "aggregate"}
        super().__init__(folder, table, allowed, policy=policy)
        self.now = 1.9e9
        self.releases = Releases(
            folder / "releases", self.policy.releases, secrets.token_bytes, lambda: self.now
        )

    def month(self, job: str, change: Callable[[Contract], Contract], number: int = 0) -> Run:
        rng = np.random.default_rng(number)
        ids = self.ids[20 * number : 20 * number + 400]  # 20 leave and 20 come
        own = {"a": rng.normal(size=400), "y": rng.integers(0, 2, 400), "seg": ids}
        return self.run(job, pa.table({"id": ids, **own}), change)

    def sent(self) -> set[str]:
        """The steps in which the bureau sent something in the last job."""
        lines = read_ledger(self.folder / str(self.jobs) / "bureau" / "ledger.jsonl")
        return {line["body"]["step"].split("/")[0] for line in lines if line["kind"] == "sent"}


def training(score_bits: int = 4) -> str:
    head = HEAD.format(own='features = ["a"]', partner=f"features = {COLUMNS}".replace("'", '"'))
    return head + TRAIN.format(score_bits=score_bits)


def tables(epsilon: float) -> str:
    return HEAD.format(own="", partner="") + CATEGORIES.format(epsilon=epsilon)


def once(contract: Contract) -> Contract:
    return contract


def trainings(count: int) -> Callable[[Contract], Contract]:
    """The same training `count` times, each under a name of its own."""
    return lambda made: replace(
        made, train=tuple(replace(made.train[0], task=f"t{n}") for n in range(count))
    )


def test_score_vectors_are_counted_over_all_trainings_of_a_contract(tmp_path: Path) -> None:
    world = Months(tmp_path, POLICY.replace("row_share = 0.4", "row_share = 0.6"))
    run = world.month(training(1), trainings(5))  # five numbers where policy says four
    assert run.outcome is None
    assert "score vectors of all trainings together: 5 asked, at most 4 allowed by policy" in str(
        run.errors["bureau"]
    )
    assert world.sent() <= {"contract"}
    assert world.releases.lines() == []


def test_bits_are_counted_over_all_trainings_of_a_contract(tmp_path: Path) -> None:
    world = Months(tmp_path, POLICY.replace("score_vectors = 4", "score_vectors = 100"))
    run = world.month(training(4), trainings(2))  # four bits each
    assert isinstance(run.errors["bureau"], OverBudget)
    assert run.errors["bureau"].message == (
        "8.0 bits of a row of bureau.people asked, 0.0 told before, 5.7 allowed: "
        "a row holds 14.3 in 6 columns; score_bits = 2 would pass"
    )
    assert "5.7 allowed" in str(run.errors["bank"])  # the analyst is told what would pass
    assert world.sent() <= {"contract"}  # before a record was looked for


def test_a_second_month_on_nearly_the_same_records_is_refused_and_other_records_are_not(
    tmp_path: Path,
) -> None:
    world = Months(tmp_path, people=1000)
    assert world.month(training(2), once).outcome is not None
    run = world.month(training(2), once, 1)
    assert run.outcome is None
    told = str(run.errors["bank"])
    assert "2.0 bits of a row of bureau.people asked, 2.0 told before, 2.9 allowed: a row" in told
    assert "20 of 400 records or the same in 400 days would pass" in told
    assert "train" not in world.sent()
    assert world.month(training(2), once, 20).outcome is not None  # 400 others
    assert world.releases.told("bureau.people", "bank") == pytest.approx(2.0437, abs=1e-4)


@pytest.mark.parametrize(("score_bits", "runs"), [(5, 1), (4, 1), (3, 1), (2, 2), (1, 4)])
def test_how_many_of_twelve_months_run(tmp_path: Path, score_bits: int, runs: int) -> None:
    """Of jobs on nearly the same records with one number a record, under a new node's policy, by
    the book alone: a row holds 14.3 bits, 5.7 of them may be told to one receiver in 400 days."""
    world, answered = Months(tmp_path, people=1000), 0
    for people in months(12):
        job, asked = contract(), train(*COLUMNS, score_bits=score_bits)
        try:
            world.releases.reserve(
                job, job.party("bureau"), asked, by_id(people), (), lambda columns: 14.3
            )
        except Refused:
            continue
        finally:
            world.now += 30 * DAY
        answered += 1
    assert answered == runs


def test_epsilon_is_counted_over_all_tables_of_a_contract(tmp_path: Path) -> None:
    world = Months(tmp_path, people=1000)

    def many(made: Contract) -> Contract:
        names = [("public", "private", f"other {number}") for number in range(24)]
        terms = [replace(made.category[0], categories=found) for found in names]
        return replace(made, category=tuple(terms))

    run = world.month(tables(1), many)
    assert run.outcome is None
    assert "column 'sector' of bureau.people: epsilon 24 asked in all" in str(run.errors["bank"])
    assert world.sent() <= {"contract"}
    run = world.month(tables(10), once)
    assert run.outcome is None
    assert "epsilon 10 asked, at most 1 allowed by policy" in str(run.errors["bank"])
    assert world.month(tables(1), once).outcome is not None
    run = world.month(tables(0.5), lambda made: replace(made, purpose="another"), 1)
    assert run.outcome is None
    assert "epsilon 1.5 asked in all, 1 allowed" in str(run.errors["bank"])
    assert world.sent() <= {"contract"}
