"""A series that one rule approves: twelve months under totals of its own, and the thirteenth."""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.approval.decision import Undecided
from federated.approval.inbox import Inbox
from federated.approval.officer import NodeDecider
from federated.approval.policy_file import load_policy
from federated.approval.rules import Rule
from federated.approval.series import ended, forget_counts, left_words, series_of, spent_by
from federated.contract.release import planned
from federated.contract.terms import Contract
from federated.releases.book import Level
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.toml_sections import parse_toml
from profiles.cli import app
from profiles.job import Job
from profiles.proposal import draft
from profiles.score_job import job_text
from psi.protocol import JobError
from tests.unit.scoring.parts import part
from tests.unit.test_officer import IDS, desk, request
from tests.unit.test_officer import contract as sums_contract

MONTH = 30 * 24 * 3600.0
BITS = 5.0
"""What a scoring at score_bits = 5 tells of a row, in tenths."""
ROWS = [f"row {n}" for n in range(40)]
LIMITS = ReleaseLimits(row_share=1.0)
AN_OFFICER = "an officer is asked"


@cache
def scoring() -> Contract:
    return draft(Job.load(parse_toml(job_text(part()), "job")), IDS, bytes(32), 1e9)


class Year:
    """A bureau that one rule lets the bank score by, month after month."""

    def __init__(self, folder: Path, rule: str) -> None:
        self.folder, self.now = folder, 1.8e9
        self.number = 0
        self.writes(rule)

    def writes(self, rule: str, name: str = "monthly") -> None:
        self.at: NodeDecider = desk(self.folder, f'[[approve]]\nname = "{name}"\n{rule}\n')

    def job(self, name: str = "score churn") -> Contract:
        self.number += 1
        begins = int(self.now)
        return replace(
            scoring(), nonce=f"{self.number:064x}", job=name, not_before=begins,
            expires=begins + 24 * 3600,
        )  # fmt: skip

    def asks(self, made: Contract) -> str:
        gone = threading.Event()
        gone.set()
        at = replace(self.at, clock=lambda: self.now)
        try:
            return at.decide(replace(request(made), received=self.now), gone).by
        except Undecided:
            return AN_OFFICER

    def tells(self, made: Contract, rows: Sequence[str] = ROWS) -> None:
        """The job's steps are booked, about these rows, as they would be in it."""
        book = Releases(self.folder / "releases", LIMITS, secrets.token_bytes, lambda: self.now)

        def joined(levels: Sequence[Level]) -> list[pa.Array]:
            return [pa.array(rows, pa.large_string()) for _ in levels]

        for release in planned(made, "bureau"):
            book.reserve(made, made.party("bureau"), release, joined, holds=lambda _: 1e6)

    def month(self, rows: Sequence[str] = ROWS, name: str = "score churn") -> str:
        made = self.job(name)
        said = self.asks(made)
        if said != AN_OFFICER:
            self.tells(made, rows)
        self.now += MONTH
        return said

    def spent(self) -> tuple[float, int]:
        rule = Rule(name="monthly")
        found = spent_by(self.folder, rule, LIMITS, lambda: self.now)
        return round(found.row_bits.get("bureau.t", 0.0), 1), found.releases


def test_twelve_months_and_a_thirteenth(tmp_path: Path) -> None:
    """The limits of the node itself would let more of them pass."""
    year = Year(tmp_path, f"row_bits = {12 * BITS}")
    assert {year.month() for _ in range(12)} == {"rule monthly"}
    assert year.spent() == (12 * BITS, 12)
    year.now -= 12 * MONTH - 24 * 3600
    assert year.month() == AN_OFFICER
    assert year.month(name="score churn, corrected") == AN_OFFICER, "by whatever name"
    year.now += 12 * MONTH
    assert year.month() == "rule monthly", "a year after the first"


def test_bits_are_of_the_row_of_which_most_was_told(tmp_path: Path) -> None:
    year = Year(tmp_path, f"row_bits = {2 * BITS + 1}")
    for n in range(3):
        assert year.month([f"row {n}{k}" for k in range(20)]) == "rule monthly", "other rows"
    assert year.spent() == (BITS, 3)
    assert year.month() == "rule monthly"
    assert year.month() == AN_OFFICER


def test_what_came_to_nothing_counts_until_its_contract_is_over(tmp_path: Path) -> None:
    year = Year(tmp_path, f"row_bits = {BITS + 1}")
    first, second = year.job(), year.job()
    assert year.asks(first) == "rule monthly"
    assert year.asks(first) == "rule monthly", "a node that came back asks again"
    assert year.asks(second) == AN_OFFICER, "the first may tell still"
    year.now = first.expires + 1
    point = tmp_path / "jobs" / first.nonce / "journal" / "point"
    point.parent.mkdir(parents=True)
    point.touch()
    point.with_name("key").touch()
    third = year.job()
    assert year.asks(third) == AN_OFFICER, "it can go on"
    point.unlink()
    assert year.asks(third) == "rule monthly"
    year.tells(third)
    assert year.spent() == (BITS, 1)


def test_releases_and_noise_are_summed_too(tmp_path: Path) -> None:
    year = Year(tmp_path, "releases = 2")
    assert [year.month() for _ in range(3)] == ["rule monthly", "rule monthly", AN_OFFICER]
    year.writes("epsilon = 1", "other")
    assert year.month() == "rule other", "another approval, whose jobs count from its first"
    year.writes("jobs = 20\nreleases = 20")
    kept = series_of(tmp_path, LIMITS, lambda: year.now).spent("monthly", 365, lambda job: True)
    assert (kept.releases, kept.epsilon) == (2, 0.0)


def test_a_job_that_this_party_receives_is_for_an_officer(tmp_path: Path) -> None:
    made = replace(sums_contract(tmp_path), proposer="bureau")
    for rule, by in (("jobs = 5", "rule monthly"), ("releases = 99", AN_OFFICER)):
        year = Year(tmp_path, rule)
        year.at = replace(desk(tmp_path, (tmp_path / "policy.toml").read_text(), "bank"))
        gone = threading.Event()
        gone.set()
        try:
            said = year.at.decide(request(made, "bank"), gone).by
        except Undecided:
            said = AN_OFFICER
        assert said == by


def test_an_older_desk_beside_the_book_forgets_nothing(tmp_path: Path) -> None:
    """The file lies with the book: what is copied and restored with it is as old as it."""
    year = Year(tmp_path, f"jobs = 3\nrow_bits = {3 * BITS + 1}")
    assert year.month() == "rule monthly"
    older, whole = tmp_path / "desk.older", tmp_path / "releases.older"
    shutil.copytree(tmp_path / "desk", older)
    shutil.copytree(tmp_path / "releases", whole)
    assert [year.month() for _ in range(3)] == ["rule monthly", "rule monthly", AN_OFFICER]
    shutil.rmtree(tmp_path / "desk")
    older.rename(tmp_path / "desk")
    assert year.month() == AN_OFFICER
    (tmp_path / "releases" / "series").write_bytes(b"x" * 99)
    assert year.month() == AN_OFFICER, "what cannot be read is no count of nothing"
    shutil.rmtree(tmp_path / "releases")
    whole.rename(tmp_path / "releases")
    assert year.spent()[1] == 1, "a whole copy knows what it knew, as of all releases"


def test_a_copy_that_was_put_back_does_not_begin_again(tmp_path: Path) -> None:
    """It knows half of what its rule has approved; twelve months became eighteen by it."""
    rule = f"row_bits = {12 * BITS}"
    (tmp_path / "lost").mkdir()
    year = Year(tmp_path / "lost", rule)
    assert {year.month() for _ in range(6)} == {"rule monthly"}
    shutil.copytree(year.folder, tmp_path / "back")
    made = int(year.now)
    assert {year.month() for _ in range(6)} == {"rule monthly"}
    back = Year(tmp_path / "back", rule)
    back.now, back.number = year.now, year.number
    policy = load_policy(back.folder / "policy.toml")
    assert forget_counts(back.folder, policy, made, lambda: back.now) == ("monthly",)
    asked = back.job()
    assert back.asks(asked) == AN_OFFICER
    spent = spent_by(back.folder, policy.rules[0], LIMITS, lambda: back.now)
    inbox = Inbox(back.folder / "desk")
    why = ended(policy.rules[0], spent, inbox, asked, "bureau", back.now)
    day = dt.datetime.fromtimestamp(made, dt.UTC).date()
    assert f"a copy of {day}, and what the rule has approved since is forgotten" in why
    assert "approves no more" in left_words(policy.rules[0], spent, inbox, back.now)
    back.writes(rule, "monthly, from the restore on")
    assert back.month() == "rule monthly, from the restore on", "an officer's word on the rest"
    back.writes("", "monthly")
    assert back.month() == "rule monthly", "one that counts nothing has forgotten nothing"


def test_a_job_whose_request_cannot_be_read_is_one_job(tmp_path: Path) -> None:
    """After an upgrade; it is in the file of series and on the desk."""
    year = Year(tmp_path, "jobs = 12")
    assert year.month() == "rule monthly"
    (file,) = (tmp_path / "desk").glob("*.request")
    file.write_text(file.read_text().replace("-v", "-v9"))
    (rule,) = load_policy(tmp_path / "policy.toml").rules
    inbox = Inbox(tmp_path / "desk")
    assert inbox.unread() == [file]
    spent = spent_by(tmp_path, rule, LIMITS, lambda: year.now)
    assert "1 of 12 jobs" in left_words(rule, spent, inbox, year.now)


def test_the_node_says_what_is_left(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "nowhere:1"\n')
    year = Year(tmp_path, f'jobs = 12\nuntil = "2099-11-30"\nrow_bits = {BITS + 1}\nreleases = 9')
    year.now = time.time()

    def node(*words: str) -> str:
        done = CliRunner().invoke(app, ["node", *words, "--home", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.output

    assert year.month() == "rule monthly"
    year.now -= MONTH
    left = (
        'series of rule "monthly" in 365 days: 1 of 12 jobs, 5 of 6 bits of a row of bureau.t, '
        "1 of 9 releases; until 2099-11-30"
    )
    assert left in node("releases")
    assert year.month() == AN_OFFICER
    assert left in node("show", f"{1:064x}")
    shown = node("show", f"{2:064x}")
    assert 'rule "monthly" does not approve it: 10 bits of a row of bureau.t asked of all' in shown
    assert "all its jobs together, 6 allowed" in shown
    policy = tmp_path / "policy.toml"  # a name anew, while it waits
    policy.write_text(policy.read_text().replace('"monthly"', '"monthly again"'))
    shown = node("show", f"{2:064x}")
    assert 'rule "monthly again" approves the next job like it, not this one' in shown


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("row_bits = -1", "row_bits"),
        ('epsilon = "much"', "a number"),
        ("releases = 1.5", "an integer"),
        ("releases = 1\n[releases]\nkeep_days = 30", "keep_days = 30 found, 365 needed"),
        ("epsilon = 1\n[retention]\njobs_days = 30", "jobs_days = 30 found, 365 needed"),
    ],
)
def test_totals_that_cannot_be_kept_are_refused(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'[[approve]]\nname = "monthly"\n{text}\n')
    with pytest.raises(JobError, match=why):
        load_policy(file)


def test_totals_in_words() -> None:
    rule = Rule(name="m", jobs=12, row_bits=30, epsilon=2.0, releases=24)
    assert rule.lasts == (
        "at most 12 jobs in 365 days, all of them at most 30 bits of a row and epsilon 2 and 24 "
        "releases"
    )
