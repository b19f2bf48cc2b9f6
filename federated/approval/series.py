"""Whether the series of jobs that a rule approves goes on, and what is left of it, in words."""

from __future__ import annotations

import datetime as dt
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from federated.approval.inbox import Inbox
from federated.approval.policy import Policy
from federated.approval.rules import RULE_DAYS, Rule
from federated.approval.words import Waiting
from federated.contract.series import SERIES_DAYS, SeriesTold, over_total
from federated.contract.terms import Contract
from federated.ledger.ending import begun_in, told_in
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.releases.series import EVERY_SERIES, Approved, Series, Spent, promise, told_at_most
from federated.session.journal import can_resume
from psi.protocol import Declined, FedprofileError, MisuseError

__all__ = [
    "agree",
    "by_rule",
    "ended",
    "forget_counts",
    "left_words",
    "over_words",
    "promised_before",
    "rules_over",
    "series_lines",
    "series_of",
    "spent_by",
]

_DAY = 24 * 3600
_log = logging.getLogger("fedprofile.desk")


def by_rule(rule: Rule) -> str:
    """How a ledger and the desk name a rule."""
    return f"rule {rule.name}"


def series_of(home: Path, limits: ReleaseLimits, clock: Callable[[], float]) -> Series:
    """The series of the party whose folder this is."""
    folder = home / "releases"
    book = Releases(folder, limits, secrets.token_bytes, clock)
    return Series(folder, book, secrets.token_bytes, clock)


def forget_counts(
    home: Path, policy: Policy, since: int, clock: Callable[[], float]
) -> tuple[str, ...]:
    """The folder is a copy of then, and more may have been told: its rules that count approve no
    more under their names, which come back."""
    rules = tuple(rule.name for rule in policy.rules if rule.counted)
    series_of(home, policy.releases, clock).forget((*rules, EVERY_SERIES), since)
    return rules


def spent_by(
    home: Path, rule: Rule, limits: ReleaseLimits, clock: Callable[[], float], but: str = ""
) -> Spent:
    """What the jobs of a rule come to, but one session. Raises `FedprofileError`."""
    return series_of(home, limits, clock).spent(rule.name, RULE_DAYS, _over(home, clock), but)


def _over(home: Path, clock: Callable[[], float]) -> Callable[[Approved], bool]:
    """Whether a job tells nothing more."""

    def over(job: Approved) -> bool:
        folder = home / "jobs" / job.session
        told = told_in(folder / "ledger.jsonl")
        if told.finished:
            return True
        return not can_resume(folder) and (bool(told.ended) or clock() >= job.expires)

    return over


def _void(home: Path, clock: Callable[[], float]) -> Callable[[Approved], bool]:
    """Whether a job is over and came to no step: an alignment tells, and no book has it."""
    over = _over(home, clock)

    def void(job: Approved) -> bool:
        return over(job) and not begun_in(home / "jobs" / job.session / "ledger.jsonl")

    return void


def promised_before(
    home: Path,
    contract: Contract,
    party: str,
    limits: ReleaseLimits,
    clock: Callable[[], float],
) -> tuple[SeriesTold, ...]:
    """What a party's earlier contracts of a contract's series tell; () without a series.

    Raises:
        Declined: with this one they come to more than the contract says, or nobody can count.
    """
    for terms in contract.series:
        series = series_of(home, limits, clock)
        try:
            before = series.promised(contract, SERIES_DAYS, _void(home, clock))
        except MisuseError as error:
            raise Declined(error.message, hint="another series needs another name") from None
        except FedprofileError as error:
            _log.error("%s", error)
            raise Declined("this party cannot count the series") from None
        today = dt.datetime.fromtimestamp(clock()).date()
        left = (dt.date.fromisoformat(terms.until) - today).days if terms.until else 0
        if left < 0:
            raise Declined(f"the series '{terms.name}' ended on {terms.until}")
        if left >= SERIES_DAYS:  # the first of its jobs would be forgotten before its last day
            raise Declined(
                f"the series '{terms.name}' ends on {terms.until}, in {left} days: its jobs are "
                f"counted for {SERIES_DAYS}"
            )
        if over := over_total(terms, before + promise(contract, party)):
            raise Declined(f"the series '{terms.name}' comes to {over}")
        return (before,)
    return ()


def agree(
    home: Path,
    contract: Contract,
    party: str,
    limits: ReleaseLimits,
    clock: Callable[[], float],
) -> None:
    """Count a contract that is about to be signed in its series, where it is of one."""
    if contract.series:
        series_of(home, limits, clock).agreed(contract, party, SERIES_DAYS)


def ended(
    rule: Rule, spent: Spent, inbox: Inbox, contract: Contract, party: str, now: float
) -> str:
    """Why a rule approves this job no more; "" where it does.

    Args:
        spent: by its other jobs.
        inbox: the desk, whose requests count as jobs of the rule too.
        now: in seconds since 1970.
    """
    if why := over_words(rule, spent.forgotten, now, series=bool(contract.series)):
        return why
    jobs = {*_jobs(rule, spent, inbox, now), contract.nonce}
    if 0 < rule.jobs < len(jobs):
        return f"{len(jobs)} jobs asked in {RULE_DAYS} days, {rule.jobs} allowed"
    if not rule.totals:
        return ""
    if party == contract.receiver:
        return "this party receives, and the rule counts what others are told of its columns"
    table = contract.party(party).table
    after = spent.adding(table, told_at_most(contract, party))
    for found, most, words in _sums(rule, after, table):
        if found > most:
            return f"{words.format(f'{found:g}')} asked of all its jobs together, {most:g} allowed"
    return ""


def over_words(rule: Rule, forgotten: int | None, now: float, *, series: bool = False) -> str:
    """Why a rule approves no job any more, whatever is asked; "" where it does.

    Args:
        rule: of a policy.
        forgotten: since when its jobs are not all remembered; None where they are.
        now: in seconds since 1970.
        series: whether the job asked for is one of a series, which no other name helps.
    """
    if rule.counted and forgotten is not None:
        day = dt.datetime.fromtimestamp(forgotten, dt.UTC).date()
        anew = "" if series else ": another name lets it count anew"
        return (
            f"this node was put back to a copy of {day if forgotten else 'an unknown day'}, "
            f"and what the rule has approved since is forgotten{anew}"
        )
    if rule.until is not None and dt.datetime.fromtimestamp(now).date() > rule.until:
        return f"it ended on {rule.until}"
    return ""


def rules_over(
    home: Path, policy: Policy, clock: Callable[[], float] = time.time
) -> dict[str, str]:
    """Why rules approve no more, by name: those that do not, as far as this user may see."""
    try:
        lost = series_of(home, policy.releases, clock).forgotten()
    except (FedprofileError, OSError):
        lost = {}
    why = {rule.name: over_words(rule, lost.get(rule.name), clock()) for rule in policy.rules}
    return {name: text for name, text in why.items() if text}


def left_words(rule: Rule, spent: Spent, inbox: Inbox, now: float) -> str:
    """One line on a rule's series: what it comes to, of how much."""
    jobs = len(_jobs(rule, spent, inbox, now))
    said = [f"{jobs} of {rule.jobs} jobs"] if rule.jobs else [f"{jobs} jobs"]
    for table in spent.row_bits or {rule.tables[0] if rule.tables else "": 0.0}:
        sums = _sums(rule, spent, table)
        said += [words.format(f"{found:g} of {most:g}") for found, most, words in sums]
    said = list(dict.fromkeys(said))
    until = f"; until {rule.until}" if rule.until else ""
    more = (
        "; it was put back to a copy, and approves no more" if spent.forgotten is not None else ""
    )
    return f'series of rule "{rule.name}" in {RULE_DAYS} days: {", ".join(said)}{until}{more}'


def series_lines(
    home: Path,
    policy: Policy,
    clock: Callable[[], float] = time.time,
    entry: Waiting | None = None,
    named: Sequence[str] = (),
) -> list[str]:
    """What is left of the series of a party, or of those that speak for one proposal.

    Args:
        home: the party's folder.
        policy: its rules.
        clock: seconds since 1970.
        entry: of a proposal what its rule's series comes to; of one that waits why none that
            matches approves it.
        named: as `Rule.matches` takes them.
    """
    inbox, found = Inbox(home / "desk"), list[str]()
    waits = entry.request if entry and not entry.rule else None
    if waits and waits.contract.series and _lacks(home, policy, clock):
        return [
            "no rule approves it, of whatever name: this node was put back to a copy, and what it "
            f"has agreed to since in the series '{waits.contract.series[0].name}' is forgotten"
        ]
    for rule in policy.rules:
        if entry is not None and entry.own != rule.own:
            continue
        if not (rule.counted or rule.until or waits) or not _speaks(rule, entry, named):
            continue
        try:
            but = waits.contract.nonce if waits else ""
            spent = spent_by(home, rule, policy.releases, clock, but)
        except (FedprofileError, OSError):
            found.append(f'series of rule "{rule.name}": in a book that this user cannot read')
            continue
        if waits is None:
            found.append(left_words(rule, spent, inbox, clock()))
        elif why := ended(rule, spent, inbox, waits.contract, waits.me, clock()):
            found.append(f'rule "{rule.name}" does not approve it: {why}')
        elif entry and entry.word is None:
            found.append(
                f'rule "{rule.name}" approves the next job like it, not this one: rules are asked '
                "when a proposal comes, and this one waits for an officer"
            )
    return found


def _lacks(home: Path, policy: Policy, clock: Callable[[], float]) -> bool:
    """Whether a series may have been told more than this node knows, or nobody can say."""
    try:
        return series_of(home, policy.releases, clock).may_lack
    except (FedprofileError, OSError):
        return False  # this user cannot read it: each rule says so


def _speaks(rule: Rule, entry: Waiting | None, named: Sequence[str]) -> bool:
    """Whether it approved a proposal, or would have to if it went on; any rule for none."""
    if entry is None or entry.rule:
        return entry is None or entry.rule == by_rule(rule)
    contract = entry.request.contract
    return rule.matches(contract, contract.party(entry.request.me), named)


def _jobs(rule: Rule, spent: Spent, inbox: Inbox, now: float) -> set[str]:
    """The sessions of a rule, by the desk and by the file of series."""
    since, name = now - RULE_DAYS * _DAY, by_rule(rule)
    mine = (e.request for e in inbox.all() if e.rule == name)
    jobs = {r.session.hex() for r in mine if r.received >= since}
    # one that cannot be read may be of this rule
    return jobs | {*spent.sessions, *(file.stem for file in inbox.unread())}


def _sums(rule: Rule, spent: Spent, table: str) -> list[tuple[float, float, str]]:
    """What a rule has totals of: how much there is, how much may be, in what words.

    Bits in whole tenths, as they are said everywhere: twelve times 5.0 of them are 60.
    """
    of = f" of {table}" * bool(table)
    found = [
        (round(spent.row_bits.get(table, 0.0), 1), rule.row_bits, f"{{}} bits of a row{of}"),
        (round(spent.epsilon, 6), rule.epsilon, "epsilon {}"),
        (spent.releases, rule.releases, "{} releases"),
    ]
    return [(amount, most, words) for amount, most, words in found if most is not None]
