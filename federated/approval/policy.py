"""What a party allows, whatever the proposer wants: floors, caps, columns, and rules that approve.

A `Policy` is plain data with three questions. `admit`: may this party call at all, now? `approve`:
does this contract stay within what the party allows? `rule`: does a named rule approve it, or is it
for an officer? All look at the contract and the clock only, never at a row. The defaults here are
the floors of this software; `policy_file` reads a party's own from `policy.toml`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from federated.approval.direct import Direct
from federated.approval.rules import ANY, STEPS, Rule
from federated.contract.columns import KEY, USES, columns_used
from federated.contract.kinds import KINDS
from federated.contract.kinds.align import DUPLICATES, REVEALS
from federated.contract.kinds.binning import BinningTerms
from federated.contract.kinds.by_category import CategoryTerms
from federated.contract.kinds.by_segment import AggregateTerms
from federated.contract.kinds.join_sum import JoinSumTerms
from federated.contract.kinds.train import AUTO, TrainTerms, private
from federated.contract.kinds.train_vertical import opened_to
from federated.contract.parts import ENTITIES
from federated.contract.purposes import classed
from federated.contract.release import given, planned
from federated.contract.rows import joined_rows
from federated.contract.summed import AGGREGATE_PROTOCOLS, TRUSTING
from federated.contract.terms import Contract, PartyTerms
from federated.keys.party_keys import Identity
from federated.regression import MANY_ROWS
from federated.releases.budget import check_counts
from federated.releases.limits import ReleaseLimits
from federated.store.plain import to_plain
from federated.tables.about import About
from federated.tables.source import Source
from psi.align import PROTOCOLS
from psi.protocol import Declined, JobError

__all__ = ["ANY", "DAYS", "ONE_PROCESS", "STEPS"]
__all__ += ["Limits", "Models", "Officers", "Policy", "Proposals", "Retention", "Rule"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
BASES = ("none", "persons", "own", "every")
_NAMED = 5
"""Columns that a refusal names one by one."""
_NEEDED = {"feature": "feature", "label": "label"}
"""What a use needs; every other one needs "aggregate"."""
_USES = {"never": 0, "aggregate": 1, "feature": 2, "label": 3}


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """Who may propose what, when and how often. `*` in a list is anyone or anything."""

    parties: tuple[str, ...] = ANY
    fingerprints: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ANY
    purpose_classes: tuple[str, ...] = ANY
    entities: tuple[str, ...] = ENTITIES
    receivers: tuple[str, ...] = ANY
    days: tuple[str, ...] = DAYS
    hours: tuple[int, int] = (0, 24 * 60)
    open: int = 16
    jobs_a_day: int = 1000
    rows_a_day: int = 10**12
    valid_hours: int = 24 * 366
    retention_days: int = 3650


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What every contract must keep to.

    `protocols` of any kind ("*") are those that hold against parties that lie; plain vole has to be
    named. `aggregate_protocols` are those that add statistics up; by Paillier a receiver that lies
    reads rows. `unnoised_categories` lets others add their amounts up by this party's categories
    without noise, `unnoised_join_sums` sum this party's columns over records that nobody learns;
    `unnoised_labels` lets partners read this party's labels by bins of theirs without noise;
    `largest_epsilon`, in thousandths, is the weakest noise allowed otherwise. `train_noise` is the
    least on sums that a training of columns opens, where it may have as many rows as bear
    any; `sums_a_row` is how many it may open to one side without noise, for each row. `basis` says
    whose rows have to be in a job by a lawful basis only: this party's about natural "persons", all
    of its "own", or those of "every" party.
    """

    reveal: tuple[str, ...] = REVEALS
    protocols: tuple[str, ...] = ANY
    suites: tuple[str, ...] = ANY
    minimum_overlap: int = 0
    minimum_checked_by: str = "receiver"
    minimum_group: int = 3
    largest_set: int = 10**9
    keep_tags_days: int = 366
    keep_tags_items: int = 10**9
    score_vectors: int = 1000
    train_noise: float = 0.0
    sums_a_row: float = 1e9
    unnoised_categories: bool = False
    unnoised_join_sums: bool = False
    unnoised_labels: bool = False
    largest_epsilon: int = 10_000
    key_bits: int = 2048
    duplicates: tuple[str, ...] = DUPLICATES
    aggregate_protocols: tuple[str, ...] = AGGREGATE_PROTOCOLS
    basis: str = "none"


@dataclass(frozen=True)
class Officers:
    """Who decides where no rule does. `users`: names of this machine's users; empty: anyone who
    may write to the desk; without a meaning where officers have keys of their own. `approvals`: how
    many officers must approve."""

    users: tuple[str, ...] = ()
    wait_hours: int = 72
    four_eyes: bool = True
    approvals: int = 1


@dataclass(frozen=True)
class Models:
    """Of models rows are scored by. `released`: only by those that officers of this party have
    released, others than who had them trained."""

    released: bool = False


@dataclass(frozen=True)
class Retention:
    """For how many days a node keeps requests with their decisions, folders of ended jobs, and who
    was in a job; `by_timer`: whether the node itself removes what is older, once an hour."""

    requests_days: int = 365
    jobs_days: int = 3650
    admitted_days: int = 1096
    by_timer: bool = True


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A party's own limits; the defaults are the floors of this software.

    `columns[table][column]` is the most that a column may be used for (never, aggregate, feature,
    label), on top of the permissions of `tables.toml`; `unlisted` is for columns named in neither.
    `data[class]` are the classes of purposes that data of this class may serve; any where none is.
    `direct`: where others of a job may be reached beside the hub.
    """

    proposals: Proposals = Proposals()
    limits: Limits = Limits()
    officers: Officers = Officers()
    models: Models = Models()
    retention: Retention = Retention()
    releases: ReleaseLimits = field(default_factory=ReleaseLimits)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unlisted: str = "label"
    data: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    direct: Direct = field(default_factory=Direct)
    rules: tuple[Rule, ...] = ()

    def admit(self, proposer: str, parties: Sequence[Identity], now: dt.datetime) -> None:
        """Raise `Declined` if this proposer may not call, at this local time, for these parties."""
        rules = self.proposals
        _one_of("proposer", proposer, rules.parties)
        day = DAYS[now.weekday()]
        begins, ends = rules.hours
        if day not in rules.days or not begins <= now.hour * 60 + now.minute < ends:
            raise Declined("proposals are not heard at this hour", hint="policy: [proposals]")
        if rules.fingerprints:
            allowed = {_bare(print_) for print_ in rules.fingerprints}
            for party in parties:
                if _bare(party.fingerprint) not in allowed:
                    raise Declined(f"the key of {party.name} is not one that policy accepts")

    def approve(self, contract: Contract, me: PartyTerms, source: Source) -> None:
        """Raise `Declined` with the rule that says no."""
        if contract.proposer != me.name:  # whoever called for the session may be another
            _one_of("proposer", contract.proposer, self.proposals.parties)
        self._check_proposal(contract)
        self._check_data(contract, me, source)
        self._check_basis(contract, me, source)
        self._check_align(contract)
        self._check_steps(contract, me)
        self.check_noise(contract, me)
        self._check_budgets(contract, me)
        self.check_columns(contract, me, source)

    def rule(
        self,
        contract: Contract,
        me: PartyTerms,
        named: Sequence[str] = (),
        still: Callable[[Rule], bool] = lambda rule: True,
    ) -> Rule | None:
        """The first rule that approves this contract, if one does; `named` as in `matches`, `still`
        says whether one that matches has not ended."""
        matching = (rule for rule in self.rules if rule.matches(contract, me, named))
        return next((rule for rule in matching if still(rule)), None)

    def permission(self, table: str, column: str, given: str, *, key: bool = False) -> str:
        """What a column may be used for at most; `given`: what tables.toml says, or "".

        A `key` of which nothing is said is for matching only, whatever holds for other columns.
        """
        own = self.columns.get(table, {})
        listed = [use for use in (given, own.get(column, own.get("*", ""))) if use]
        return min(listed or ["never" if key else self.unlisted], key=_USES.__getitem__)

    def _check_proposal(self, contract: Contract) -> None:
        rules = self.proposals
        _one_of("purpose", contract.purpose, rules.purposes)
        _one_of("class of purposes", contract.purpose_class or "none", rules.purpose_classes)
        _one_of("entity", contract.entity, rules.entities)
        _one_of("receiver", contract.receiver, rules.receivers)
        hours = (contract.expires - contract.not_before) // 3600
        _at_most("validity in hours", hours, rules.valid_hours)
        _at_most("retention in days", contract.retention_days, rules.retention_days)
        for name in filter(None, to_plain(contract.suites).values()):
            _one_of("suite", name, self.limits.suites)

    def _check_basis(self, contract: Contract, me: PartyTerms, source: Source) -> None:
        """Of others it is known with the facts of their tables; of this party's before."""
        if self.limits.basis == "none":
            return
        about = self._about(contract, me, source)
        spared = self.limits.basis == "persons" and not about.persons
        if not spared and source.basis(me.table) is None:
            raise Declined(
                f"table {me.table} states no lawful basis for its rows, one needed by policy",
                hint=f'tables.toml: [{me.table}] basis, or entity = "company" where it holds no '
                "natural persons; policy: [limits] basis",
            )
        for terms in contract.parties if self.limits.basis == "every" else ():
            if terms.rows and not terms.basis:
                raise Declined(
                    f"{terms.name} states no lawful basis for its rows, one needed by policy"
                )

    def _about(self, contract: Contract, me: PartyTerms, source: Source) -> About:
        """What this party says of its table. Raises `Declined` where the contract says otherwise:
        a proposer that calls persons companies would be spared the rule for persons."""
        try:
            about = source.about(me.table)
        except JobError:
            raise Declined(f"table {me.table!r} is not bound at this party") from None
        if about.entity not in ("", contract.entity):
            raise Declined(
                f"a job about {contract.entity} asked, {me.table} is about {about.entity}",
                hint=f"tables.toml: [{me.table}] entity",
            )
        return about

    def _check_data(self, contract: Contract, me: PartyTerms, source: Source) -> None:
        """Of this party's data it is known at once; others state theirs with their facts."""
        about = self._about(contract, me, source)
        used = columns_used(contract, me.name)
        own = about.data_classes(column for use in USES for column in used[use])
        stated = {terms.name: terms.data_classes for terms in contract.parties}
        for name, classes in (stated | {me.name: own}).items():
            for data in classes:
                allowed = self.data.get(data, ANY)
                if allowed != ANY and contract.purpose_class not in allowed:
                    purpose = classed(contract.purpose, contract.purpose_class)
                    raise Declined(
                        f"{data} data of {name} asked for {purpose}, "
                        f"{' or '.join(allowed) or 'no purpose'} allowed by policy",
                        hint=f"policy: [data] {data}; [job] purpose_class says what class it is",
                    )

    def _check_align(self, contract: Contract) -> None:
        limits = self.limits
        for align in contract.align:
            _one_of("reveal", align.reveal, limits.reveal)
            _one_of("duplicates", align.duplicates, limits.duplicates)
            if not align.alternative or not self._allows(align.alternative):
                self._check_protocol(align.protocol)
            _at_most("largest set", align.largest_set, limits.largest_set)
            _at_least("a minimum overlap", align.minimum_overlap, limits.minimum_overlap)
            if limits.minimum_checked_by == "partner" != align.minimum_checked_by:
                raise Declined("a minimum checked by the receiver asked, by the partner allowed")
            _at_most("days of kept tags", align.keep_tags_days, limits.keep_tags_days)
            _at_most("items under kept tags", align.keep_tags_items, limits.keep_tags_items)

    def _allows(self, protocol: str) -> bool:
        """Any protocol that holds against parties that lie, or what the policy names."""
        named = self.limits.protocols
        return protocol in named or (ANY[0] in named and not PROTOCOLS[protocol].trusting)

    def _check_protocol(self, protocol: str) -> None:
        if self._allows(protocol):
            return
        trusting = PROTOCOLS[protocol].trusting
        hint = "a party that lies can read the other's whole set by it; name it where none would"
        allowed = " or ".join(name for name in PROTOCOLS if self._allows(name)) or "none"
        raise Declined(
            f"protocol {protocol!r} asked, {allowed} allowed by policy", hint=hint * trusting
        )

    def _check_adding(self, protocol: str) -> None:
        allowed = self.limits.aggregate_protocols
        if protocol not in allowed:
            named = " or ".join(allowed) or "none"
            hint = "by it a receiver that lies reads rows; name it where none would"
            raise Declined(
                f"statistics by protocol {protocol!r} asked, {named} allowed by policy",
                hint=hint * (protocol in TRUSTING),
            )

    def _check_steps(self, contract: Contract, me: PartyTerms) -> None:
        for terms in (terms for kind in KINDS for terms in kind.terms(contract)):
            bits, least = getattr(terms, "key_bits", None), self.limits.key_bits
            keyless = False
            if isinstance(terms, AggregateTerms | BinningTerms | CategoryTerms | JoinSumTerms):
                self._check_adding(terms.protocol)
                keyless = terms.shared
            if isinstance(terms, TrainTerms) and private(terms):
                keyless = True
                self._check_sums(contract, terms)
            if bits is not None and bits < least and not keyless:
                raise Declined(f"key of {bits} bits asked, at least {least} allowed")
            group = getattr(terms, "minimum_group", None)
            if group is not None:
                _at_least("groups", group, self.limits.minimum_group)

    def _check_sums(self, contract: Contract, terms: TrainTerms) -> None:
        """Of a training by private sums: known once row counts are."""
        rows = joined_rows(contract, terms.partners)
        least = self.limits.train_noise if rows >= MANY_ROWS else 0.0
        noise = least if terms.noise == AUTO else float(terms.noise)
        if rows and noise < least:
            raise Declined(
                f"training '{terms.task}' with noise of {noise:g} asked, at least {least:g} "
                f"allowed by policy from {MANY_ROWS:,} rows on",
                hint="[train] noise; policy: [limits] train_noise",
            )
        allowed = math.floor(self.limits.sums_a_row * rows)
        each = [opened_to(contract, terms, name) for name in (contract.receiver, *terms.partners)]
        most = max((opened.gradients for opened in each if opened), default=0)
        if rows and not noise and most > allowed:
            raise Declined(
                f"training '{terms.task}' opens {most:,} sums without noise to one side, at most "
                f"{allowed:,} allowed by policy for {rows:,} rows",
                hint="fewer features, evaluations or folds, or [train] noise; policy: [limits] "
                "sums_a_row",
            )

    def _check_budgets(self, contract: Contract, me: PartyTerms) -> None:
        """What the whole contract tells of this party's columns, whatever was told before."""
        told = [release for release in planned(contract, me.name) if release.columns]
        vectors = sum(release.vectors for release in told)
        _at_most("score vectors of all trainings together", vectors, self.limits.score_vectors)
        check_counts(me.table, self.releases, told, contract.purpose)
        for partner in contract.partners() if me.name == contract.receiver else ():
            label = [release for name, release in given(contract) if name == partner]
            check_counts(me.table, self.releases, label, contract.purpose)

    def check_noise(self, contract: Contract, me: PartyTerms) -> None:
        """Raise `Declined` where a step asks for less noise than this policy wants."""
        most = self.limits.largest_epsilon
        for epsilon, exact in (each for kind in KINDS for each in kind.unnoised(contract, me.name)):
            if not epsilon and not getattr(self.limits, exact.limit):
                raise Declined(
                    f"{exact.asked} asked without noise, not allowed by policy", hint=exact.hint
                )
            if epsilon > most:
                raise Declined(
                    f"epsilon {epsilon / 1000:g} asked, at most {most / 1000:g} allowed by policy",
                    hint=f"epsilon of {exact.asked}; policy: [limits] largest_epsilon",
                )

    def check_columns(self, contract: Contract, me: PartyTerms, source: Source) -> None:
        """Raise `Declined` where a column is asked for more than its owner allows."""
        used = columns_used(contract, me.name)
        refused: dict[tuple[str, str], list[str]] = {}  # all at once, not one a proposal
        try:
            named = source.keys(me.table)
            keys = {*named, *used[KEY]}
            for use in USES:
                for column in used[use]:
                    given = source.permission(me.table, column)
                    if use == KEY:
                        never = self.permission(me.table, column, given) == "never"
                        if column not in named if named else never:
                            refused.setdefault((use, "no such key"), []).append(column)
                        continue
                    most = self.permission(me.table, column, given, key=column in keys)
                    if _USES[most] < _USES[_NEEDED.get(use, "aggregate")]:
                        refused.setdefault((use, most), []).append(column)
        except JobError:
            raise Declined(f"table {me.table!r} is not bound at this party") from None
        if refused:
            raise Declined("; ".join(_forbidden(me.table, *at) for at in refused.items()))


ONE_PROCESS = Policy(
    limits=Limits(
        protocols=tuple(PROTOCOLS), unnoised_join_sums=True, aggregate_protocols=AGGREGATE_PROTOCOLS
    )
)
"""For parties that run in one process, and so trust it: the floors, and what the job names."""


def _forbidden(table: str, asked: tuple[str, str], columns: list[str]) -> str:
    use, most = asked
    named = ", ".join(repr(column) for column in columns[:_NAMED])
    more = f" and {len(columns) - _NAMED} more" if len(columns) > _NAMED else ""
    what = "columns" if len(columns) > 1 else "column"
    return f"{what} {named}{more} of {table} asked as {use}, {most} allowed by its owner"


def _one_of(what: str, found: str, allowed: tuple[str, ...]) -> None:
    if allowed != ANY and found not in allowed:
        listed = " or ".join(allowed) or "none"
        raise Declined(f"{what} {found!r} asked, {listed} allowed by policy")


def _at_most(what: str, found: int, most: int) -> None:
    if found > most:
        raise Declined(f"{what}: {found} asked, at most {most} allowed by policy")


def _at_least(what: str, found: int, least: int) -> None:
    if found < least:
        raise Declined(f"{what} of {found} asked, at least {least} allowed by policy")


def _bare(fingerprint: str) -> str:
    return "".join(fingerprint.split()).lower()
