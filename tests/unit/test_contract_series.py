"""A series that contracts name: what all parties have signed holds, whoever approves a job."""

from __future__ import annotations

import datetime as dt
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from federated.approval.decision import Undecided
from federated.approval.inbox import Inbox
from federated.approval.policy_file import load_policy
from federated.approval.series import ended, forget_counts, series_lines, spent_by
from federated.contract.release import Release
from federated.contract.series import SeriesTerms, SeriesTold, over_total
from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.keys.officers import ANALYST, Person
from federated.releases.book import MICRO, Entry
from federated.releases.series import told_at_most, told_by
from profiles.job import Job
from psi.protocol import Declined, JobError, PeerError
from tests.e2e.conftest import JOB
from tests.unit.test_officer import desk, request
from tests.unit.test_series import AN_OFFICER, BITS, LIMITS, MONTH, Year, scoring

GONE = threading.Event()
GONE.set()
TERMS = SeriesTerms(name="churn 2026", jobs=3, row_bits=round(20 * BITS))
RULE = 'jobs = 99\nseries = ["churn 2026"]'


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

    def ends(self, number: int, *more: tuple[str, str]) -> None:
        """A job's ledger says that it was signed and ended; `more` lines: kind and step."""
        contract = [("opened", ""), ("sent", "contract"), ("contract", "")]
        lines = [*contract, *more, ("farewell", ""), ("ended", "")]
        folder = self.folder / "jobs" / f"{number:064x}"
        folder.mkdir(parents=True)
        text = "".join(
            json.dumps(
                {"body": {"step": step, "terms": {}, "error": "PeerGone"}, "kind": kind, "time": 1},
                separators=(",", ":"),
            )
            + "\n"
            for kind, step in lines
        )
        (folder / "ledger.jsonl").write_text(text)


def test_totals_hold_for_all_jobs_and_what_is_left_is_stated(tmp_path: Path) -> None:
    year = Agreed(tmp_path, RULE)
    assert year.month_of() == SeriesTold()
    (first,) = told_at_most(scoring(), "bureau")
    assert year.month_of() == SeriesTold(jobs=1, row_bits=first.bits, releases=1)
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
    assert "2 jobs" in str(year.month_of(few)), "a ledger that is gone cannot say so"
    year.ends(1)
    assert year.month_of(few) == SeriesTold()
    assert "2 jobs" in str(year.month_of(few))


@pytest.mark.parametrize(
    "told",
    [
        ("received", "align/bureau/0"),
        ("sent", "align/bureau/0"),
        ("disclosure", "align bureau"),
        ("reserved", "train/t0"),
    ],
)
def test_a_job_that_came_to_a_step_counts_however_it_ended(
    tmp_path: Path, told: tuple[str, str]
) -> None:
    """An alignment is in no book: who left behind it, or was out of budget, had all jobs free."""
    year = Agreed(tmp_path, RULE)
    few = SeriesTerms(name="churn 2026", jobs=1)
    assert year.month_of(few, told=False) == SeriesTold()
    year.ends(1, told)
    assert "2 jobs in all, 1 agreed" in str(year.month_of(few))


def test_a_series_outlasts_book_and_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What policy lets a party forget earlier takes no job out of a series."""
    monkeypatch.setattr("tests.unit.test_series.LIMITS", replace(LIMITS, keep_days=30))
    year = Agreed(tmp_path, RULE)
    policy = tmp_path / "policy.toml"
    policy.write_text(policy.read_text() + "\n[releases]\nkeep_days = 30\n")
    few = SeriesTerms(name="churn 2026", jobs=1)
    assert year.month_of(few) == SeriesTold()
    year.ends(1, ("sent", "align/bureau/0"))
    year.now += 2 * MONTH
    assert "2 jobs" in str(year.month_of(few))
    (tmp_path / "jobs" / f"{1:064x}" / "ledger.jsonl").unlink()
    assert "2 jobs" in str(year.month_of(few))


def test_totals_of_a_name_stay_whatever_became_of_its_jobs(tmp_path: Path) -> None:
    year = Agreed(tmp_path, RULE)
    assert year.month_of(told=False) == SeriesTold()
    year.ends(1)
    assert "other totals" in str(year.month_of(replace(TERMS, jobs=500)))
    assert year.month_of() == SeriesTold(), "with the same ones it was free"


def test_small_parts_add_up() -> None:
    """.049 bits a job were 0 of a tenth; 5.049 were 5.0, so that twelve of them passed as 60."""

    def after(jobs: int, bits: float, terms: SeriesTerms) -> str:
        one = Release(step="s", columns=("c",), epsilon=0, bits=bits, known=False, whole=False)
        told = SeriesTold()
        for _ in range(jobs):
            told += told_by((Entry.of(one),))
        return over_total(terms, told)

    tenth = SeriesTerms(name="x", jobs=1000, row_bits=1)
    assert not after(2, 0.049, tenth)
    assert after(1000, 0.049, tenth) == "49 bits of a row in all, 0.1 agreed"
    sixty = SeriesTerms(name="x", jobs=12, row_bits=600)
    assert after(12, 5.049, sixty) == "60.6 bits of a row in all, 60 agreed"
    assert not after(12, 5.0007, sixty), "what a scoring of 5 bits tells: 60 of them, as said"


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


def test_a_last_day_is_within_what_is_remembered(tmp_path: Path) -> None:
    year = Agreed(tmp_path, RULE)
    day = dt.datetime.fromtimestamp(year.now).date()
    late = replace(TERMS, until=str(day + dt.timedelta(365)))
    assert "in 365 days: its jobs are counted for 365" in str(year.month_of(late))
    assert year.month_of(replace(TERMS, until=str(day + dt.timedelta(364)))) == SeriesTold()


def test_no_name_lets_a_series_begin_anew_after_a_restore(tmp_path: Path) -> None:
    """Nobody knows what was agreed since: an officer decides, and is not told otherwise."""
    year = Agreed(tmp_path, RULE)
    policy = load_policy(tmp_path / "policy.toml")
    forget_counts(tmp_path, policy, int(year.now), lambda: year.now)
    asked = replace(year.job(), series=(TERMS,))
    assert year.asks(asked) == AN_OFFICER
    inbox = Inbox(tmp_path / "desk")
    (entry,) = inbox.all()
    (line,) = series_lines(tmp_path, policy, lambda: year.now, entry)
    assert "no rule approves it, of whatever name" in line
    spent = spent_by(tmp_path, policy.rules[0], LIMITS, lambda: year.now)
    assert "another name" in ended(policy.rules[0], spent, inbox, year.job(), "bureau", year.now)
    assert "another name" not in ended(policy.rules[0], spent, inbox, asked, "bureau", year.now)


def test_a_rule_of_a_series_approves_no_other_job(tmp_path: Path) -> None:
    year = Agreed(tmp_path, RULE)
    assert year.asks(year.job()) == AN_OFFICER
    assert year.asks(replace(year.job(), series=(replace(TERMS, name="x"),))) == AN_OFFICER


def test_a_rule_approves_no_larger_series_than_its_own(tmp_path: Path) -> None:
    """One that names a series alone let the proposer write 1000 jobs and 6000 bits."""
    year = Agreed(tmp_path, 'jobs = 12\nrow_bits = 60\nseries = ["churn 2026"]')

    def asked(terms: SeriesTerms) -> str:
        return year.asks(replace(year.job(), series=(terms,)))

    most = SeriesTerms(name="churn 2026", jobs=12, row_bits=600)
    assert asked(replace(most, jobs=13)) == AN_OFFICER
    assert asked(replace(most, row_bits=601)) == AN_OFFICER
    assert asked(replace(most, row_bits=0)) == AN_OFFICER, "no total is larger than any"
    assert asked(most) == "rule monthly"
    year.writes('epsilon = 1\nreleases = 5\nseries = ["churn 2026"]')
    told = replace(most, jobs=1000, epsilon=1000, releases=5)
    assert asked(replace(told, epsilon=1001)) == AN_OFFICER
    assert asked(replace(told, releases=6)) == AN_OFFICER
    assert asked(told) == "rule monthly"


@pytest.mark.parametrize("more", ["", 'until = "2099-01-01"', "largest_set = 5"])
def test_a_rule_of_a_series_has_totals_of_its_own(tmp_path: Path, more: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'[[approve]]\nname = "monthly"\nseries = ["churn 2026"]\n{more}\n')
    with pytest.raises(JobError, match="the proposer chooses the totals"):
        load_policy(file)


def test_after_an_older_copy_an_officer_is_asked(tmp_path: Path) -> None:
    year = Agreed(tmp_path, RULE)
    assert year.month_of() == SeriesTold()
    policy = load_policy(tmp_path / "policy.toml")
    assert forget_counts(tmp_path, policy, int(year.now) - 9, lambda: year.now) == ("monthly",)
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

    two = replace(TERMS, jobs=2)
    assert by(ben, replace(year.job(), series=(TERMS,))) == AN_OFFICER, "three jobs are more"
    jobs = [replace(year.job(), series=(two,)) for _ in range(4)]
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
    bureau = replace(made.party("bureau"), series=(SeriesTold(jobs=2, row_bits=10 * MICRO),))
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
