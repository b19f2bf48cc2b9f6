"""What a job will tell whom and what it will cost, before any contact: data, for any screen.

`plan_text` says it in words; those on the contract are `federated.contract.summary`, which another
party's officer reads.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from federated.contract.cost import Estimate
from federated.contract.disclosures import disclosures
from federated.contract.instead import sums_instead
from federated.contract.kinds import KINDS
from federated.contract.kinds.align import chosen_protocol, tagging
from federated.contract.terms import Contract
from federated.releases.holdings import Holdings
from federated.releases.label_bits import LabelBits, label_bits
from federated.releases.limits import NEW_LABEL_BITS, ReleaseLimits
from federated.releases.row_bits import RowBits, row_bits
from federated.steps.facts import asked_of_bases
from federated.store.plain import to_plain
from federated.tables.admitted import AdmittedTables
from federated.tables.basis import Admission
from federated.tables.column_report import ColumnTaken, columns_taken
from federated.tables.frozen import FrozenColumns
from federated.tables.source import FileSource, Source
from profiles.at_branch import at_branch
from profiles.exclusion.left_out import Reason
from profiles.exclusion.nobody import Nobody, nobody_metrics, nobody_of
from profiles.fits import unnamed_branches, with_categories
from profiles.held_columns import check_held
from profiles.job import Job
from profiles.leaks import with_leaks
from profiles.own_table import check_own, entity_column, sieved
from profiles.preconditions import own_terms, signed
from profiles.proposal import nameless_draft
from profiles.rates import MeasuredRates
from profiles.repeated import persons_of
from profiles.roles import roles_of
from profiles.ruled import RuleCount, rule_counts, rules_metrics
from profiles.several_lists import may_be_on_several
from psi.kernels.montgomery import best_path

__all__ = ["Plan", "TableTaken", "estimate", "planned"]

STARTING = 1.0
"""Seconds for keys, handshake, contract and ledger heads."""
KEPT = "while the partner keeps its tags and its records stay the same"
PATHS = {"wide": "AVX-512 IFMA", "vector": "AVX2", "portable": "portable"}


@dataclass(frozen=True)
class TableTaken:
    """A table of the job, its rows, and what each column that the job names is taken for.

    `repeats` are rows whose key an earlier row has, which stands for them."""

    table: str
    rows: int
    taken: tuple[ColumnTaken, ...]
    repeats: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A job before anybody is asked.

    `contract` is the one that would be signed, under keys that are thrown away. `protocol` of set
    intersection was chosen for `why`; both "" where there is nothing to choose. `told` are bits of
    a row, by partner, `labels` those of labels. `cost` is that of all steps with all parties on
    this machine, by the kernels of `path`; `kept` the seconds of it that kept tags save later, None
    without; `instead` what its statistics cost now and by private sums; `open` whether they are
    encrypted where the job leaves it open and a hub may propose private sums. `tables` are what was
    looked at; those of the parties that are `elsewhere` were not, and are taken to have `rows` and
    numbers in all columns. `left_out` counts rows without a lawful basis, by table and reason;
    `lists` say of each list how many may be on it and why others may not, where the receiver's
    table is at hand (of a horizontal job the lists that it may make of its own rows), and `control`
    which share of them is held back later: `held` are (listed, held back) of each list, about;
    `several` may be on more than one list; `capacities` are tables of managers whose capacity is
    of several lists together; `unnamed` by which columns leads could go to managers, where the job
    names none; `origins` in which file each key stands, where there are several; `rules` how many
    rows each rule of segments and stages has.
    """

    job: str
    purpose: str
    entity: str
    contract: Contract
    protocol: str
    why: str
    told: tuple[RowBits, ...]
    labels: tuple[LabelBits, ...]
    cost: Estimate
    path: str
    kept: float | None
    instead: tuple[Estimate, Estimate] | None
    open: bool
    tables: tuple[TableTaken, ...]
    rows: int | None
    elsewhere: tuple[str, ...] = ()
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    lists: tuple[tuple[str, int, tuple[Reason, ...]], ...] = ()
    control: float = 0.0
    held: dict[str, tuple[int, int]] = field(default_factory=dict)
    several: int = 0
    capacities: tuple[str, ...] = ()
    unnamed: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    rules: tuple[RuleCount, ...] = ()
    nobody: tuple[Nobody, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data: dicts, lists, texts and numbers."""
        return {
            "job": self.job,
            "purpose": self.purpose,
            "entity": self.entity,
            "contract": to_plain(self.contract),
            "protocol": self.protocol,
            "why": self.why,
            "told": [asdict(row) for row in self.told],
            "labels": [asdict(one) for one in self.labels],
            "cost": asdict(self.cost),
            "path": self.path,
            "kept": self.kept,
            "instead": [asdict(one) for one in self.instead or ()],
            "open": self.open,
            "tables": {
                one.table: {
                    "rows": one.rows,
                    "repeats": one.repeats,
                    "taken": [column.as_dict() for column in one.taken],
                }
                for one in self.tables
            },
            "rows": self.rows,
            "elsewhere": list(self.elsewhere),
            "left_out": self.left_out,
            "origins": self.origins,
            "unnamed": self.unnamed,
            "control": self.control,
            "held": {product: list(sizes) for product, sizes in self.held.items()},
            "several": self.several,
            "capacities": list(self.capacities),
            "rules": rules_metrics(self.rules),
            "nobody": nobody_metrics(self.nobody),
            "lists": [
                {"product": product, "may": may, "not": [asdict(reason) for reason in reasons]}
                for product, may, reasons in self.lists
            ],
        }


def planned(
    job: Job,
    source: Source | None,
    rows: int = 0,
    frozen: Sequence[FrozenColumns] = (),
    allowed: float = NEW_LABEL_BITS,
) -> Plan:
    """What a job will tell whom, and what it costs, before anybody is asked.

    Args:
        job: from `Job.load`.
        source: the parties' tables, from `open_tables`, of one party at least; None: nothing is
            looked at.
        rows: what a table that is not looked at counts; 0: as many as the largest that is, or
            100,000 where none is.
        frozen: what columns were taken for in the last run, to which the next will be held.
        allowed: bits of a label that the receiver's policy lets be told; a new node's.

    Raises:
        FedprofileError: what the contract or a table does not allow.
    """
    elsewhere = _elsewhere(job, source)
    seen = None if source is None else admitted(job, source)
    source = seen
    lister = at_branch(job, job.receiver) if job.horizontal and job.profile.facts else job
    own = None if job.receiver in elsewhere or lister.horizontal else seen
    if own is not None:
        check_own(lister, own)
    if seen is not None:
        check_held(job, (p.name for p in job.parties if p.name not in elsewhere), seen, frozen)
    contract = _contract(job, source, elsewhere, rows)
    protocol, why = chosen_protocol(replace(contract, align=nameless_draft(job).align))
    why = why if protocol else ""
    contract = replace(contract, disclosures=disclosures(contract))
    taken = max((contract.party(name).rows for name in elsewhere), default=0)
    keeps = any(align.keep_tags_days for align in contract.align)
    lists, several = ((), 0) if own is None else _lists(lister, own)
    control = job.campaign.control if job.campaign else 0.0
    listed = zip(lister.targets, lists, strict=False) if control else ()
    return Plan(
        job=job.name,
        purpose=job.purpose,
        entity=job.entity,
        contract=contract,
        protocol=protocol,
        why=why,
        told=_told(contract, source, elsewhere),
        labels=label_bits(contract, allowed=allowed),
        cost=estimate(contract),
        path=best_path(),
        kept=tagging(contract, MeasuredRates()) if keeps else None,
        instead=sums_instead(contract, MeasuredRates()),
        open=job.encrypts_unasked,
        tables=() if source is None else _tables(job, source, elsewhere),
        origins=dict(job.origins) if len(set(job.origins.values())) > 1 else {},
        lists=lists,
        control=control,
        held={t.product: _sizes(may, t.top, control) for t, (_, may, _) in listed},
        several=several,
        capacities=() if own is None else _capacities(lister, own),
        rules=() if own is None else tuple(rule_counts(lister, own, dt.date.today())),
        nobody=() if own is None else tuple(nobody_of(lister, own, entity_column(lister))),
        unnamed={} if own is None else unnamed_branches(lister, own),
        left_out={} if seen is None else {t: a.left_out for t, a in seen.found.items()},
        rows=taken if elsewhere else None,
        elsewhere=elsewhere,
    )


def _lists(
    job: Job, seen: AdmittedTables
) -> tuple[tuple[tuple[str, int, tuple[Reason, ...]], ...], int]:
    """Who may be on each list today, and why others may not; how many may be on several."""
    if not job.targets:
        return (), 0
    table = job.party(job.receiver).table
    here = seen.found.get(table)
    if here is not None:  # the rows of these tables are those that are in
        flags = {name: flag[here.rows] for name, flag in here.channels.items()}
        here = Admission(here.rows[here.rows], here.left_out, flags)
    found = sieved(job, seen, here)
    products = [t.product for t in job.targets]
    after = [[products.index(name) for name in t.after] for t in job.targets]
    told = zip(products, found, strict=True)
    return (
        tuple((product, int(may.rows.sum()), may.reasons) for product, may in told),
        may_be_on_several([may.rows for may in found], after),
    )


def _capacities(job: Job, seen: AdmittedTables) -> tuple[str, ...]:
    """Tables of managers with a capacity that several lists share."""
    many = Counter(target.managers for target in job.targets if target.managers)
    capacity = {
        t.managers: dict(t.managers_columns).get("capacity", "capacity") for t in job.targets
    }
    return tuple(t for t, n in many.items() if n > 1 and capacity[t] in seen.columns(t))


def _sizes(may: int, top: int, control: float) -> tuple[int, int]:
    """How many will be listed, and held back from the list, of those who may be on it; about."""
    listed = min(float(top), may * (1 - control))
    return round(listed), round(listed * control / (1 - control))


def _elsewhere(job: Job, source: Source | None) -> tuple[str, ...]:
    """Parties of which no table is at hand: a node's file binds its own only."""
    names = [party.name for party in job.parties]
    if source is None:
        return tuple(names)
    here = source.parties() if isinstance(source, FileSource) else names
    return tuple(name for name in names if name not in here) if set(here) & set(names) else ()


def admitted(job: Job, source: Source) -> AdmittedTables:
    """The tables as the job would see them today."""
    contract = nameless_draft(job)
    owner = {party.table: party.name for party in job.parties}
    return AdmittedTables(
        source,
        lambda table: asked_of_bases(contract, owner.get(table, job.receiver), dt.date.today()),
    )


def _tables(job: Job, source: Source, elsewhere: tuple[str, ...]) -> tuple[TableTaken, ...]:
    """What every column that the job names is taken for."""
    found, draft = list[TableTaken](), nameless_draft(job)
    for party in (party for party in job.parties if party.name not in elsewhere):
        roles = roles_of(job, party.name)
        keys = [column for level in party.keys for column in level]
        table = source.load(party.table, list(roles), keys=keys)
        taken = with_leaks(job, party.name, table, columns_taken(table, roles))
        taken = with_categories(job, party.name, table, taken)
        persons = persons_of(draft, party.name, table)
        repeats = 0 if persons is None else persons.repeats
        found.append(TableTaken(party.table, table.num_rows, tuple(taken), repeats))
    return tuple(found)


def _told(
    contract: Contract, source: Source | None, elsewhere: tuple[str, ...]
) -> tuple[RowBits, ...]:
    """Bits of a row, of each partner; where its table is at hand what a row holds, and what a new
    node would let be told of it.
    """
    found = []
    for name in contract.partners():
        row = row_bits(contract, name)
        if row is not None and source is not None and name not in elsewhere:
            holds = Holdings(source, contract.party(name))
            row = row_bits(contract, name, held=holds(row.columns), limits=ReleaseLimits())
        found += [row] if row is not None else []
    return tuple(found)


def estimate(contract: Contract) -> Estimate:
    """The cost of all steps together."""
    costs = (cost for kind in KINDS for cost in kind.cost(contract, MeasuredRates()))
    return sum(costs, start=Estimate(STARTING, 0, 0))


def _contract(job: Job, source: Source | None, elsewhere: tuple[str, ...], rows: int) -> Contract:
    """The contract, under keys that are thrown away, with what tables are and are taken to be."""
    draft, known = nameless_draft(job), {}
    for terms in draft.parties:
        if source is not None and terms.name not in elsewhere:
            known[terms.name] = own_terms(draft, terms.name, source)
    return signed(draft, known, source, rows)
