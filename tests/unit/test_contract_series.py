"""A series that contracts name: what all parties have signed holds, whoever approves a job."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from federated.approval.decision import Undecided
from federated.approval.policy_file import load_policy
from federated.approval.series import forget_counts
from federated.contract.series import SeriesTerms, SeriesTold
from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.keys.officers import ANALYST, Person
from profiles.job import Job
from psi.protocol import Declined, JobError, PeerError
from tests.e2e.conftest import JOB
from tests.unit.test_officer import desk, request
from tests.unit.test_series import AN_OFFICER, BITS, MONTH, Year, scoring

GONE = threading.Event()
GONE.set()
TERMS = SeriesTerms(name="churn 2026", jobs=3, row_bits=round(20 * BITS))
RULE = 'series = ["churn 2026"]'


class Agreed(Year):
    """A year of jobs that name their series, from the draft to the signature."""

    def month_of(self, terms: SeriesTerms = TERMS, told: bool = True) -> SeriesTold | str:
        """What the party states of the series before this job; or why it says no."""
        made = replace(self.job(), series=(terms,))
        at = replace(self.at, clock=lambda: self.now)
        try:
            decision = at.decide(replace(request(made), received=self.now), GONE)
        except Undecided:
            return AN_OFFICER
        if not decision.approved:
            return decision.why
        (before,) = at.told_in_series(made)
        at.check(made)
        if told:
            self.tells(made)
        self.now += MONTH
        return before


def test_totals_hold_for_all_jobs_and_what_is_left_is_stated(tmp_path: Path) -> None:
    year = Agreed(tmp_path, RULE)
    bits = round(10 * BITS)
    assert year.month_of() == SeriesTold()
    assert year.month_of() == SeriesTold(jobs=1, row_bits=bits, releases=1)
    said = year.month_of()
    assert said == f"the series 'churn 2026' comes to {3 * BITS:g} bits of a row in all, 10 agreed"
    other = replace(TERMS, row_bits=1000)
    assert "agreed on with other totals" in str(year.month_of(other))
    assert year.month_of(replace(other, name="another")) == AN_OFFICER
    year.now += 13 * MONTH
    assert year.month_of() == SeriesTold(), "a year later"


def test_jobs_are_counted_and_one_that_told_nothing_is_free_when_it_cannot_start(
    tmp_path: Path,
) -> None:
    year = Agreed(tmp_path, RULE)
    few = SeriesTerms(name="churn 2026", jobs=1)
    assert year.month_of(few, told=False) == SeriesTold()
    year.now -= MONTH
    assert "2 jobs in all, 1 agreed" in str(year.month_of(few)), "it may tell still"
    year.now += MONTH
    assert year.month_of(few) == SeriesTold()
    assert "2 jobs" in str(year.month_of(few))


def test_an_officer_signs_no_more_than_the_series_has(tmp_path: Path) -> None:
    """Approved by hand, two at a time: the second is refused when the first was signed."""
    year = Agreed(tmp_path, RULE)
    few = SeriesTerms(name="churn 2026", jobs=1)
    at = replace(year.at, clock=lambda: year.now)
    both = [replace(year.job(), series=(few,)) for _ in range(2)]
    for made in both:
        assert at.decide(replace(request(made), received=year.now), GONE).approved
    at.check(both[0])
    with pytest.raises(Declined, match="comes to 2 jobs"):
        at.check(both[1])


def test_a_series_ends_on_its_day(tmp_path: Path) -> None:
    year = Agreed(tmp_path, RULE)
    day = dt.datetime.fromtimestamp(year.now).date()
    ending = replace(TERMS, until=str(day))
    assert year.month_of(ending) == SeriesTold()
    assert "ended on" in str(year.month_of(ending))


def test_a_rule_of_a_series_approves_no_other_job(tmp_path: Path) -> None:
    year = Agreed(tmp_path, RULE)
    assert year.asks(year.job()) == AN_OFFICER
    assert year.asks(replace(year.job(), series=(replace(TERMS, name="x"),))) == AN_OFFICER


def test_after_an_older_copy_an_officer_is_asked(tmp_path: Path) -> None:
    year = Agreed(tmp_path, RULE)
    assert year.month_of() == SeriesTold()
    policy = load_policy(tmp_path / "policy.toml")
    assert forget_counts(tmp_path, policy, int(year.now) - 9, lambda: year.now) == ()
    assert year.month_of() == AN_OFFICER


def test_own_jobs_pass_by_a_rule_where_an_analyst_asked(tmp_path: Path) -> None:
    rule = '[[approve]]\nname = "ours"\nown = true\njobs = 2\nseries = ["churn 2026"]\n'
    at = desk(tmp_path, rule, me="bank")
    ben = Person("ben", "00" * 32, ANALYST)
    (tmp_path / "bureau").mkdir()
    year = Year(tmp_path / "bureau", "")

    def by(asker: Person | None, made: Contract) -> str:
        asking = replace(at, asker=asker, clock=lambda: year.now)
        asked = replace(request(made, "bank"), received=year.now)
        try:
            return asking.decide(asked, GONE).by
        except Undecided:
            return AN_OFFICER

    jobs = [replace(year.job(), series=(TERMS,)) for _ in range(4)]
    assert by(None, jobs[0]) == AN_OFFICER, "who has folder and passphrase is no analyst"
    assert [by(ben, made) for made in jobs[1:]] == ["rule ours", "rule ours", AN_OFFICER]
    assert by(ben, year.job()) == AN_OFFICER, "of no series"
    (tmp_path / "policy.toml").write_text(rule.replace("jobs = 2\n", ""))
    with pytest.raises(JobError, match="own"):
        load_policy(tmp_path / "policy.toml")


def test_a_job_file_names_its_series_and_all_read_it() -> None:
    more = '\n[series]\nname = "churn 2026"\njobs = 12\nrow_bits = 60\nuntil = "2027-11-30"\n'
    job = Job.load(JOB + more)
    assert job.series == SeriesTerms(name="churn 2026", jobs=12, row_bits=600, until="2027-11-30")
    with pytest.raises(JobError, match="a day as"):
        Job.load(JOB + more.replace("2027-11-30", "soon"))
    made = replace(scoring(), series=(TERMS,))
    bureau = replace(made.party("bureau"), series=(SeriesTold(jobs=2, row_bits=100),))
    words = "\n".join(in_words(made.with_party(bureau)))
    assert "one of the series 'churn 2026': at most 3 jobs, 10 bits of a row in 365 days" in words
    assert "bureau: 2 earlier jobs, 10 bits of a row at most" in words
    assert made.asked != scoring().asked, "an approval of the one is none of the other"
    with pytest.raises(PeerError, match="does not name"):
        scoring().with_party(bureau).check()
    with pytest.raises(PeerError, match="several"):
        replace(made, series=(TERMS, replace(TERMS, name="y"))).check()
    with pytest.raises(PeerError, match="that is none"):
        replace(made, series=(replace(TERMS, jobs=0),)).check()
