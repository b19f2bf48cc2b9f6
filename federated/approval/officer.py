"""The decider of a node: policy first, then a rule, then this party's officer.

The policy is read anew for every question, so that a change needs no restart and one made between
draft and signature counts. What waits for an officer lies in the inbox, and so does the answer: it
can be given while the node is down.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from federated.approval.decision import NOBODY, Call, Decision, Request, Undecided
from federated.approval.inbox import Inbox
from federated.approval.policy import Policy
from federated.approval.policy_file import load_policy
from federated.approval.quota import Quota
from federated.approval.released import released_parts
from federated.approval.rules import RULE_DAYS, Rule
from federated.approval.series import (
    agree,
    by_rule,
    ended,
    promised_before,
    series_of,
    spent_by,
)
from federated.approval.words import Waiting, Word, user_name
from federated.contract.terms import Contract, SeriesTold
from federated.keys.officers import OfficerList, Person, check_word, load_officers
from federated.keys.peers import Peers
from federated.releases.series import Spent
from federated.scoring.release import Release
from federated.store.files import locked
from federated.tables.source import Source
from psi.protocol import Declined, FedprofileError, Refused

__all__ = ["Counts", "NodeDecider", "counts"]

_POLL = 0.5
_log = logging.getLogger("fedprofile.desk")


@dataclass(frozen=True)
class Counts:
    """Whose word counts under a policy, by the keys of `listed` officers where anybody is listed.

    Four eyes are two users, or two keys: that of whoever had the job proposed, if he signed that,
    and his who approves; otherwise those of two who approve.
    """

    policy: Policy
    listed: OfficerList | None = None

    def __call__(self, word: Word, entry: Waiting) -> bool:
        """Whether this word on this request counts."""
        officers = self.policy.officers
        if self.listed is not None:
            try:
                person = check_word(word.signed, self.listed)
            except Refused:
                return False
            alone = entry.own and officers.four_eyes
            right = word.signed["party"] == entry.request.me
            return right and not (alone and entry.asker and entry.asker.key == person.key)
        named = not officers.users or user_name(word.user) in officers.users
        return named and not (entry.own and officers.four_eyes and word.user == entry.user)

    def needed(self, entry: Waiting) -> int:
        """How many officers must approve."""
        officers = self.policy.officers
        unsigned = self.listed is not None and entry.asker is None
        pair = entry.own and officers.four_eyes and unsigned
        return max(officers.approvals, 2 if pair else 1)


def counts(policy: Policy, listed: OfficerList | None = None) -> Counts:
    """Whose word counts under a policy: `Inbox`'s `counting`."""
    return Counts(policy, listed)


class _Watched:
    """The last policy that could be read: a bad save does not end what waits."""

    def __init__(self, file: Path, policy: Policy) -> None:
        self._file, self.policy = file, policy
        self._text, self._wrong = _text(file), False

    def changed(self) -> Policy | None:
        """A policy that was saved since, once; None where there is none, or none that is right."""
        text = _text(self._file)
        if text == self._text:
            return None
        try:
            self.policy = load_policy(self._file)
        except FedprofileError as error:
            if not self._wrong:
                _log.error("%s; until it is mended the policy before holds for what waits", error)
            self._wrong = True
            return None
        self._text, self._wrong = text, False
        return self.policy


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


@dataclass(frozen=True, kw_only=True)
class NodeDecider:
    """A party's policy and officers. `home` is the node's folder.

    `tell` is called with the request and why it waits, once, when it begins to wait; `asker` is who
    has this party propose, if he signed that with a key of his own.
    """

    name: str
    home: Path
    source: Source
    tell: Callable[[Request, str], None] = lambda request, why: None
    clock: Callable[[], float] = time.time
    grace: float = 0.0
    asker: Person | None = None

    def policy(self) -> Policy:
        """This party's policy as it is now; raises `Declined`, and logs what is wrong with it.

        A file that is wrong is read again for `grace` seconds: somebody is saving it.
        """
        end = time.monotonic() + self.grace
        while True:
            try:
                return load_policy(self.home / "policy.toml")
            except FedprofileError as error:
                if time.monotonic() < end:
                    time.sleep(_POLL)
                    continue
                _log.error("%s", error)
                raise Declined(
                    "this party's policy cannot be read", hint="fedprofile node policy check"
                ) from None

    def inbox(self, policy: Policy) -> Inbox:
        """The requests and words on file, those that count under `policy`."""
        return Inbox(self.home / "desk", counts(policy, self.listed()), self.clock)

    def listed(self) -> OfficerList | None:
        """This party's officers, if they have keys of their own. Raises `Declined`."""
        try:
            return load_officers(self.home)
        except FedprofileError as error:
            _log.error("%s", error)
            raise Declined("this party's list of officers cannot be read") from None

    def admit(self, call: Call) -> Decision:
        """Yes, unless paused, at a wrong hour, by a wrong party, or too many wait already."""
        try:
            policy = self.policy()
            inbox = self.inbox(policy)
            if inbox.paused is not None:
                raise Declined("this party takes no new jobs at present")
            now = dt.datetime.fromtimestamp(self.clock())
            policy.admit(call.proposer, call.parties, now)
            waiting = [
                entry
                for entry in inbox.all()
                if entry.state(self.clock()) == "waiting"
                and entry.request.contract.proposer == call.proposer
                and entry.request.session != call.session
            ]
            if len(waiting) >= policy.proposals.open:
                raise Declined(f"{len(waiting)} of your proposals wait for this party's officer")
        except Declined as no:
            return Decision(False, "policy", no.message)
        return Decision(True, "policy")

    def decide(self, request: Request, stop: threading.Event) -> Decision:
        """By policy, by rule, or by an officer, however long that takes."""
        decision, releases = self._decision(request, stop), tuple[Release, ...]()
        if decision.approved:
            try:
                releases = self._releases(request.contract, self.policy())
            except Declined as no:  # withdrawn while an officer was asked
                return Decision(False, "policy", no.message)
        noted: dict[str, Any] = {"releases": list(releases)} if releases else {}
        noted |= {"asker": asdict(self.asker)} if self.asker else {}
        listed = self._plain_list() if decision.words or releases else None
        return replace(decision, listed=listed, noted=noted)

    def _decision(self, request: Request, stop: threading.Event) -> Decision:
        contract = request.contract
        me, own = contract.party(self.name), contract.proposer == self.name
        try:
            policy = self.policy()
            self.listed()
            if own and self.inbox(policy).paused is not None:
                raise Declined("this party is paused", hint="fedprofile node unpause")
            self._check_peers(contract)
            policy.approve(contract, me, self.source)
            self._releases(contract, policy)
            self._told_in_series(contract, policy)
            Quota(self.home / "quota.json", self.clock).foresee(contract, policy)
        except Declined as no:
            return Decision(False, "policy", no.message)
        request = self.inbox(policy).first(request)  # a restart does not begin it anew
        with locked(self.home / "quota.lock"):  # a rule's jobs are counted and put on file together
            by, rule = "", None
            if not own or self.asker is not None:
                keys, lasts = self.source.keys(me.table), self._lasts(policy, request)
                rule = policy.rule(contract, me, keys, lasts)
            if own and not policy.officers.four_eyes:
                by = f"proposer {user_name(os.geteuid())}"
            elif rule is not None:
                by = by_rule(rule)
            if rule is not None and rule.counted:
                series = series_of(self.home, policy.releases, self.clock)
                series.note(rule.name, contract, self.name, RULE_DAYS)
            if by:  # on file, so that officers see what ran without them
                self.inbox(policy).put(request, self._until(request, policy), by)
                return Decision(True, by)
        return self._wait(request, policy, stop)

    def _lasts(self, policy: Policy, request: Request) -> Callable[[Rule], bool]:
        """Whether a rule has not ended: by its day, by its jobs, by what these tell together."""
        contract, inbox = request.contract, self.inbox(policy)

        def lasts(rule: Rule) -> bool:
            spent = Spent()
            limits = policy.releases
            try:
                if contract.series and series_of(self.home, limits, self.clock).may_lack:
                    return False  # an older copy was put back: its officer knows what was agreed
                if rule.counted:
                    spent = spent_by(self.home, rule, limits, self.clock, contract.nonce)
            except FedprofileError as error:  # what cannot be counted is no count of nothing
                _log.error("%s", error)
                return False
            return not ended(rule, spent, inbox, contract, self.name, self.clock())

        return lasts

    def allows(self, contract: Contract) -> None:
        """The policy's word on a contract, with nothing counted. Raises `Declined`."""
        self.policy().approve(contract, contract.party(self.name), self.source)

    def check(self, contract: Contract) -> None:
        """The policy once more, with row counts, the approval, and the day's counts.

        The approval is spent. It is looked up on file: a node that came back since the draft has
        no memory of it, and signs on no other. Raises `Declined`.
        """
        policy, me = self.policy(), contract.party(self.name)
        self._check_peers(contract)
        policy.approve(contract, me, self.source)
        self._releases(contract, policy)
        with locked(self.home / "quota.lock"):  # of two at once the second sees the first
            self._told_in_series(contract, policy)
            agree(self.home, contract, self.name, policy.releases, self.clock)
        if not self.inbox(policy).spend(bytes.fromhex(contract.nonce)):
            raise Declined("no approval counts for this session: it is spent on another, or gone")
        Quota(self.home / "quota.json", self.clock).take(contract, policy, me.rows)

    def told_in_series(self, contract: Contract) -> tuple[SeriesTold, ...]:
        """What earlier contracts of its series tell at most. Raises `Declined`."""
        return self._told_in_series(contract, self.policy()) if contract.series else ()

    def _told_in_series(self, contract: Contract, policy: Policy) -> tuple[SeriesTold, ...]:
        limits = policy.releases
        return promised_before(self.home, contract, self.name, limits, self.clock)

    def _releases(self, contract: Contract, policy: Policy) -> tuple[Release, ...]:
        """Those of the models a contract scores by, where they have to be. Raises `Declined`."""
        if not (policy.models.released and contract.score):
            return ()
        me = contract.party(self.name)
        return released_parts(self.home, contract, me, self.listed(), self.clock())

    def _check_peers(self, contract: Contract) -> None:
        """Raise `Declined` unless the key of every other party is confirmed here, now."""
        confirmed = Peers(self.home).confirmed()
        for terms in contract.parties:
            if terms.name != self.name and confirmed.get(terms.name) != terms.identity:
                raise Declined(f"the key of {terms.name} is not confirmed at this party")

    def _plain_list(self) -> dict[str, Any] | None:
        listed = self.listed()
        return None if listed is None else listed.plain()

    def _until(self, request: Request, policy: Policy) -> float:
        patience = request.received + policy.officers.wait_hours * 3600
        return min(float(request.contract.expires), patience)

    def _wait(self, request: Request, policy: Policy, stop: threading.Event) -> Decision:
        inbox = self.inbox(policy)
        ends = self._until(request, policy)
        inbox.put(request, ends, asker=self.asker)
        watched = _Watched(self.home / "policy.toml", policy)
        told = False
        while self.clock() < ends:
            if (changed := watched.changed()) is not None:
                try:
                    changed.approve(
                        request.contract, request.contract.party(self.name), self.source
                    )
                except Declined as no:
                    return Decision(False, "policy", no.message)
            try:
                inbox = self.inbox(watched.policy)
                found = inbox.verdict(request)
            except Declined:  # the list of officers is another's: nobody's word counts meanwhile
                found = None
            if found is not None:
                decision, session = found[0].decision, found[1]
                if not decision.approved:  # an approval is spent by the signature, in `check`
                    inbox.use(session, request.session)
                return decision
            if not told:
                told = True
                eyes = (
                    "another person's" if request.contract.proposer == self.name else "an officer's"
                )
                self.tell(request, f"waits for {eyes} word")
            if stop.wait(_POLL):
                raise Undecided(
                    "nobody has decided yet", hint="the proposal waits, and so does the answer"
                )
        return Decision(False, NOBODY, "no officer has decided in time")
