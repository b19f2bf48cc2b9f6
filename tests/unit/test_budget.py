"""Budgets over a contract and all before it: bits of a row, thresholds, epsilon."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from math import e, log2
from pathlib import Path

import numpy as np
import pytest

from federated.contract.release import Release
from federated.contract.terms import Contract
from federated.regression import told_bits
from federated.releases.book import MICRO, Book, read_book
from federated.releases.budget import OverBudget, allowed_bits
from federated.releases.limits import ReleaseLimits, load_release_limits
from federated.releases.memory import Releases
from federated.store.plain import canonical
from federated.store.vault import Vault
from psi.protocol import EnvironmentFailed, JobError, MisuseError, Refused
from tests.unit.test_releases import DAY, PEOPLE, Clock, by_id, contract

HOLDS = {"a": 4.0, "b": 5.0, "c": 6.0}
"""Independent columns, so that several hold the sum."""


def holds(columns: frozenset[str]) -> float:
    return sum(HOLDS[column] for column in columns)


def train(*columns: str, vectors: int = 1, score_bits: int = 1, task: str = "t") -> Release:
    bits = vectors * told_bits(score_bits)
    return Release(step=f"train/{task}", columns=columns, bits=bits, vectors=vectors)


def bits(amount: float, *columns: str) -> Release:
    return Release(step="train/t", columns=columns, bits=amount)


class Bureau:
    """Answers jobs about people by its book, and says what it refuses them with."""

    def __init__(self, folder: Path, **limits: object) -> None:
        self.clock, self.told = Clock(), ""
        # what a row holds is little here: the share alone
        given = {"row_share": 0.6, "row_left": 0.0} | limits
        found = replace(ReleaseLimits(), **given)  # type: ignore[arg-type]
        self.book = Releases(folder, found, secrets.token_bytes, self.clock)

    def asked(
        self,
        people: Sequence[str],
        *releases: Release,
        job: Contract | None = None,
        known: bool = True,
    ) -> bool:
        job = job or contract()
        me, joined = job.party("bureau"), by_id(people) if known else None
        try:
            for number, release in enumerate(releases):
                self.book.reserve(job, me, release, joined, releases[number + 1 :], holds)
        except Refused as error:
            self.told = error.message
            return False
        return True


def months(count: int) -> list[list[str]]:
    """The same people but for some who come and some who go."""
    return [[f"p{i:05d}" for i in range(20 * month, 1000 + 20 * month)] for month in range(count)]


def test_one_contract_may_tell_its_share_and_no_more(tmp_path: Path) -> None:
    for part, amount, answered in (("x", 2.4, True), ("y", 2.5, False)):
        assert Bureau(tmp_path / part).asked(PEOPLE, bits(amount, "a")) is answered
    trainings = [train("a", task=str(number)) for number in range(3)]  # 1.2 bits each
    bureau = Bureau(tmp_path / "z")
    assert not bureau.asked(PEOPLE, *trainings)
    assert bureau.book.lines() == []  # before the first of them
    assert len(bureau.told) <= 200  # what a farewell carries
    assert bureau.told == (
        "3.5 bits of a row of bureau.people asked, 0.0 told before, 2.4 allowed: "
        "a row holds 4.0 in 1 columns; nothing would pass"
    )


@pytest.mark.parametrize(
    ("held", "allowed"), [(14.3, 5.7), (11.0, 4.0), (7.5, 0.5), (7.0, 0.0), (4.0, 0.0)]
)
def test_a_share_may_be_told_and_some_bits_are_left(held: float, allowed: float) -> None:
    """A new node's: within them an insider decodes at most 5 points of rows more than by guessing,
    on the sets of `benchmarks attack` (docs/ATTACKS.md)."""
    limits = load_release_limits(Path("no such file"))
    assert allowed_bits(limits, held) / MICRO == pytest.approx(allowed)
    assert allowed_bits(replace(limits, row_share=1.0), held) / MICRO == pytest.approx(held)


def test_bits_of_a_record_are_summed_over_jobs_and_other_records_are_free(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    asked = train("a", "b", vectors=2, score_bits=2)  # 4.1 of 5.4 bits
    assert bureau.asked(PEOPLE[:600], asked)
    assert not bureau.asked(PEOPLE[400:], asked)  # 200 of them twice
    assert bureau.told == (
        "4.1 bits of a row of bureau.people asked, 4.1 told before, 5.4 allowed: "
        "a row holds 9.0 in 2 columns; 400 of 600 records or the same in 400 days would pass"
    )
    assert bureau.asked(PEOPLE[600:], asked)
    coarse = train("a", "b", vectors=1, score_bits=1)
    assert bureau.asked(PEOPLE[100:800], coarse)  # 1.2 bits more
    assert not bureau.asked(PEOPLE[100:150], coarse)
    bureau.clock.now += 401 * DAY
    assert bureau.asked(PEOPLE[400:], asked)


def test_the_refusal_says_which_score_bits_would_pass(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    assert not bureau.asked(PEOPLE, train("a", "b", vectors=2, score_bits=6))
    assert bureau.told.endswith("a row holds 9.0 in 2 columns; score_bits = 2 would pass")
    assert bureau.asked(PEOPLE, train("a", "b", vectors=2, score_bits=2))
    two = [train("a", "b", vectors=2, score_bits=4, task=task) for task in ("one", "other")]
    other = Bureau(tmp_path / "other")
    assert not other.asked(PEOPLE, *two)  # 4 numbers of 1.2 bits pass
    assert other.told.endswith("score_bits = 1 would pass")


def test_asking_for_parts_first_or_after_gains_nothing(tmp_path: Path) -> None:
    parts = Bureau(tmp_path / "parts")
    assert parts.asked(PEOPLE, bits(2.4, "a"))
    assert parts.asked(PEOPLE, bits(3.0, "b"))
    assert not parts.asked(months(1)[0], bits(1.0, "a"), known=False)
    assert not parts.asked(PEOPLE[:500], bits(0.1, "a", "b"))  # 5.4 of 5.4 are told
    assert "5.4 told before, 5.4 allowed" in parts.told
    whole = Bureau(tmp_path / "whole")
    assert whole.asked(PEOPLE, bits(5.4, "a", "b"))
    for name in "ab":
        assert not whole.asked(PEOPLE[:500], bits(0.1, name))


def test_all_columns_together_are_bounded_as_well(tmp_path: Path) -> None:
    """Columns that say the same: each passes for itself, all of them hold no more than one."""
    bureau = Bureau(tmp_path)

    def copies(columns: frozenset[str]) -> float:
        return 4.0

    def ask(name: str) -> None:
        job = contract()
        me, asked = job.party("bureau"), bits(1.5, name)
        bureau.book.reserve(job, me, asked, by_id(PEOPLE), (), copies)

    ask("a")
    with pytest.raises(OverBudget, match=r"1\.5 told before, 2\.4 allowed: .* 4\.0 in 2 columns"):
        ask("b")


def test_columns_that_are_gone_still_count_for_what_they_held(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    assert bureau.asked(PEOPLE, bits(5.0, "a", "b"))

    def left(columns: frozenset[str]) -> float:
        return holds(columns - {"a", "b"})

    def ask(amount: float) -> None:
        job = contract()
        me, asked = job.party("bureau"), bits(amount, "c")
        bureau.book.reserve(job, me, asked, by_id(PEOPLE[:500]), (), left)

    with pytest.raises(OverBudget, match=r"5\.0 told before, 5\.4 allowed: .* 9\.0 in 3 columns"):
        ask(0.5)  # of 9 bits as they were, not of 6 as they are
    ask(0.4)


def test_records_that_nobody_knows_count_for_all(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    assert bureau.asked([], bits(2.0, "a"), known=False)
    assert not bureau.asked(PEOPLE, bits(1.0, "a"))
    assert not bureau.asked([], bits(1.0, "a"), known=False)


def test_other_receivers_and_tables_have_budgets_of_their_own(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    assert bureau.asked(PEOPLE, bits(2.4, "a"))
    assert bureau.asked(PEOPLE, bits(2.4, "a"), job=contract("telecom"))
    assert bureau.asked(PEOPLE, bits(2.4, "a"), job=contract(table="bureau.firms"))
    job = contract(purpose="marketing")  # a purpose is a word, not another receiver
    renamed = replace(job.party("bank"), table="bank.other_people")
    assert not bureau.asked(PEOPLE[:500], bits(0.1, "a"), job=job.with_party(renamed))


def test_a_job_that_goes_on_pays_once(tmp_path: Path) -> None:
    bureau, job = Bureau(tmp_path), contract()
    for _ in range(3):
        assert bureau.asked(PEOPLE, bits(2.4, "a"), job=job)
    assert len(bureau.book.lines()) == 1
    assert not bureau.asked(PEOPLE[:500], bits(0.1, "a"))


def test_a_variance_of_a_column_is_told_once(tmp_path: Path) -> None:
    """Of two a receiver that moves records between groups reads values: tests/attacks."""

    def asked(number: int, *squares: str) -> Release:
        step = f"aggregate/{number}/bureau"
        return Release(step=step, columns=("a", "b"), thresholds=((), ()), squares=squares)

    bureau, samples = Bureau(tmp_path), months(6)
    assert not bureau.asked(samples[0], asked(0, "a"), asked(1, "a", "b"))
    assert "'a' of bureau.people: a variance asked 2 times within 400 days" in bureau.told
    assert bureau.asked(samples[0], asked(0, "a"), asked(1, "b"))
    assert bureau.asked(samples[1], asked(0))  # sums go on
    assert not bureau.asked(samples[2], asked(0, "b"))
    assert "ask its mean alone, or the variance of a column of this period" in bureau.told
    old = json.loads(bureau.book._files.book(0).to_bytes()) | {"version": 3}
    for entry in (entry for job in old["jobs"] for entry in job["entries"]):
        del entry["squares"]
    found = read_book(canonical(old))  # each sum by segment may have been one
    assert {entry.squares for job in found.jobs for entry in job.entries} == {("a", "b")}
    easy = Bureau(tmp_path / "easy", minimum_difference=0)  # it compares no answers either
    assert easy.asked(samples[0], asked(0, "a"), asked(1, "a"))


def test_what_needs_no_record_is_refused_before_one_is_known(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path, releases_per_column=2)

    def foreseen(*releases: Release) -> None:
        job = contract()
        bureau.book.foresee(job, job.party("bureau"), releases, holds)

    foreseen(bits(2.4, "a"))
    with pytest.raises(OverBudget, match=r"2\.5 bits of a row of bureau\.people asked"):
        foreseen(bits(2.5, "a"))
    assert bureau.asked(PEOPLE, bits(2.4, "a"))
    foreseen(bits(2.4, "a"))  # other records may be joined this time
    assert bureau.asked([], bits(1.0, "b"), known=False)
    with pytest.raises(OverBudget, match=r"1\.0 told before, 3\.0 allowed"):
        foreseen(bits(2.1, "b"))
    foreseen(bits(2.0, "b"))
    with pytest.raises(OverBudget, match=r"'a' of bureau.people: 3 releases asked within 400 days"):
        foreseen(
            Release(step="aggregate/0/bureau", columns=("a",)),
            Release(step="aggregate/1/bureau", columns=("a",)),
        )
    assert len(bureau.book.lines()) == 2


def test_thresholds_are_counted_once_each_over_sections_and_jobs(tmp_path: Path) -> None:
    def asked(number: int, *edges: int) -> Release:
        found = tuple(repr(float(edge)) for edge in edges)
        return Release(step=f"aggregate/{number}/bureau", columns=("a",), thresholds=(found,))

    bureau, samples = Bureau(tmp_path, thresholds_per_column=4), months(6)
    assert not bureau.asked(samples[0], asked(0, 1, 2), asked(1, 3, 4, 5))
    assert bureau.asked(samples[0], asked(0, 1, 2), asked(1, 2, 3))
    assert bureau.asked(samples[1], asked(0, 1, 2, 3))  # month after month
    assert not bureau.asked(samples[2], asked(0, 4, 5))
    assert "'a' of bureau.people: 5 thresholds asked in all, 4 allowed by policy" in bureau.told
    assert bureau.asked(samples[3], asked(0, 4))
    assert bureau.asked(
        samples[4], Release(step="aggregate/0/bureau", columns=("a",), thresholds=((),))
    )


def test_epsilon_is_summed_over_a_contract_and_the_book(tmp_path: Path) -> None:
    def table(epsilon: float, number: int = 0) -> Release:
        told = epsilon * log2(e)
        return Release(step=f"category/{number}/bureau", columns=("a",), epsilon=epsilon, bits=told)

    bureau, samples = Bureau(tmp_path, epsilon_per_column=1.0), months(4)
    assert not bureau.asked(samples[0], *(table(1.0, number) for number in range(24)))
    assert "epsilon 24 asked in all, 1 allowed by policy" in bureau.told
    assert bureau.asked(samples[0], table(0.6))
    assert not bureau.asked(samples[1], table(0.5))
    assert not bureau.asked(samples[1], table(0.5), job=contract(purpose="marketing"))
    assert bureau.asked(samples[1], table(0.4))
    assert not bureau.asked(samples[2], bits(1.0, "a"))  # 1.4 of 2.4 bits are told
    assert bureau.asked(samples[2], bits(0.9, "a"))
    named = Bureau(tmp_path / "n", epsilon_per_column=1.0, purposes=("retention", "marketing"))
    assert named.asked(samples[0], table(1.0))
    assert named.asked(samples[1], table(1.0), job=contract(purpose="marketing"))
    assert not named.asked(samples[2], table(1.0), job=contract(purpose="something else"))


def test_a_table_without_noise_is_for_the_policy_to_allow_and_counts_later(tmp_path: Path) -> None:
    whole = Release(step="category/0/bureau", columns=("a",), bits=3.0, whole=True)
    bureau = Bureau(tmp_path)
    assert bureau.asked(PEOPLE, whole)
    assert not bureau.asked(PEOPLE[:500], bits(0.1, "a"))
    assert "3.0 told before" in bureau.told


def test_bits_without_a_measure_are_a_mistake_of_ours(tmp_path: Path) -> None:
    bureau, job = Bureau(tmp_path), contract()
    with pytest.raises(MisuseError, match="no table says what they hold"):
        bureau.book.reserve(job, job.party("bureau"), bits(1.0, "a"), by_id(PEOPLE))


def test_what_was_told_of_a_row_at_most(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path, row_share=1.0)
    assert bureau.book.told("bureau.people", "bank") == 0
    assert bureau.asked(PEOPLE[:600], bits(2.0, "a"))
    assert bureau.asked(PEOPLE[400:], bits(1.5, "a", "b"))
    assert bureau.asked([], bits(0.25, "b"), known=False)
    assert bureau.book.told("bureau.people", "bank") == 3.75
    assert bureau.book.told("bureau.people", "bank", frozenset("b")) == 1.75
    assert bureau.book.told("bureau.people", "telecom") == 0


# the book of a version before


def earlier_book(folder: Path, *steps: tuple[str, int], expires: int = 2 * 10**9) -> None:
    """A book as version 1 wrote it, with the tags of a thousand people."""
    entries = [{"columns": ["a"], "micro": micro, "step": step} for step, micro in steps]
    job = {
        "compared": False, "contract": "0" * 64, "entries": entries, "expires": expires,
        "made": 0, "purpose": "retention", "receiver": "bank", "session": "1" * 64,
        "table": "bureau.people",
    }  # fmt: skip
    book = {"jobs": [job], "names": [], "tag_key": "ab" * 32}
    vault = Vault(folder, "key", b"fedprofile releases v1", secrets.token_bytes)
    vault.write("book", canonical(book))


def test_a_training_of_the_version_before_told_everything(tmp_path: Path) -> None:
    earlier_book(tmp_path, ("train/t", 0))
    bureau = Bureau(tmp_path)
    assert not bureau.asked(PEOPLE, bits(0.1, "a"))
    assert bureau.asked(
        PEOPLE, Release(step="aggregate/0/bureau", columns=("a",), thresholds=(("1.0",),))
    )
    assert [line["step"] for line in bureau.book.lines()] == ["train/t", "aggregate/0/bureau"]
    bureau.clock.now = 2e9 + 1
    assert bureau.asked(PEOPLE, bits(0.1, "a"))


def test_sums_of_the_version_before_had_thresholds_that_nobody_counted(tmp_path: Path) -> None:
    earlier_book(tmp_path, ("aggregate/0/bureau", 0))
    bureau = Bureau(tmp_path)
    asked = Release(step="aggregate/0/bureau", columns=("a",), thresholds=(("1.0",),))
    assert not bureau.asked(PEOPLE, asked)
    assert "an earlier version has told nobody knows how many" in bureau.told
    assert bureau.asked(PEOPLE, replace(asked, thresholds=()))
    assert bureau.asked(PEOPLE[:500], bits(2.4, "a"))


def test_categories_of_the_version_before_told_their_epsilon_or_all(tmp_path: Path) -> None:
    earlier_book(tmp_path, ("category/0/bureau", 500_000))
    bureau = Bureau(tmp_path)
    assert not bureau.asked(PEOPLE, bits(1.7, "a"))
    assert "0.72 told before, 2.40 allowed" in bureau.told
    earlier_book(tmp_path / "exact", ("category/0/bureau", 0))
    assert not Bureau(tmp_path / "exact").asked(PEOPLE, bits(0.1, "a"))


def test_a_book_of_a_later_version_is_refused(tmp_path: Path) -> None:
    plain = json.loads(Book().to_bytes()) | {"version": 5, "more": []}
    with pytest.raises(EnvironmentFailed, match="of version 5, 4 and before are read here"):
        read_book(canonical(plain))
    assert read_book(Book().to_bytes()) == Book()
    with pytest.raises(EnvironmentFailed, match="of version None"):
        read_book(b"[]")


def test_budgets_come_from_the_policy_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("[releases]\nrow_share = 0.3\nepsilon_per_column = 2\n")
    assert load_release_limits(file) == ReleaseLimits(row_share=0.3, epsilon_per_column=2.0)
    file.write_text('[proposals]\npurposes = ["fraud"]\n[releases]\nthresholds_per_column = 5\n')
    assert load_release_limits(file) == ReleaseLimits(thresholds_per_column=5, purposes=("fraud",))
    file.write_text('[proposals]\npurposes = ["*"]\n')
    assert load_release_limits(file) == ReleaseLimits()
    file.write_text("[releases]\nrow_left = 3\n")
    assert load_release_limits(file) == ReleaseLimits(row_left=3.0)
    for wrong in (
        "row_share = -1",
        "row_left = -1",
        "row_share = nan",
        "thresholds_per_column = 1.5",
    ):
        file.write_text(f"[releases]\n{wrong}\n")
        with pytest.raises(JobError, match=r"policy.toml: \[releases\]"):
            load_release_limits(file)


def test_many_jobs_on_many_records_add_up(tmp_path: Path) -> None:
    people = np.char.add("p", np.arange(4000).astype(str)).tolist()
    bureau = Bureau(tmp_path, row_share=1.0)
    for number in range(6):
        assert bureau.asked(people[number * 100 :], bits(0.3, "a"))
    assert bureau.book.told("bureau.people", "bank") == pytest.approx(1.8)


def test_the_refusal_says_which_row_bits_of_trees_would_pass(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    trees = Release(step="train/churn", columns=("a", "b"), bits=8.0)
    assert not bureau.asked(PEOPLE, trees)
    assert bureau.told.endswith("a row holds 9.0 in 2 columns; row_bits = 5 would pass")
    assert bureau.asked(PEOPLE, replace(trees, bits=5.0))
