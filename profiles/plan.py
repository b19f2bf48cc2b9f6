"""What a job will tell whom and what it will cost, before any contact: data, for any screen.

`plan_text` says it in words; those on the contract are `federated.contract.summary`, which another
party's officer reads.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from federated.contract.completion import complete
from federated.contract.cost import Estimate
from federated.contract.disclosures import disclosures
from federated.contract.instead import sums_instead
from federated.contract.kinds import KINDS
from federated.contract.kinds.align import chosen_protocol, tagging
from federated.contract.terms import Contract
from federated.releases.holdings import Holdings
from federated.releases.row_bits import RowBits, row_bits
from federated.steps.facts import asked_of_bases
from federated.steps.runner import facts_of
from federated.store.plain import to_plain
from federated.tables.admitted import AdmittedTables
from federated.tables.column_report import ColumnTaken, columns_taken
from federated.tables.source import Source
from federated.vertical.size import most_rows
from profiles.job import Job
from profiles.leaks import with_leaks
from profiles.own_table import check_own
from profiles.proposal import nameless_draft
from profiles.rates import MeasuredRates
from profiles.roles import roles_of
from psi.align import PROTOCOLS
from psi.kernels.montgomery import best_path
from psi.protocol import Refused

__all__ = ["Plan", "TableTaken", "estimate", "planned"]

STARTING = 1.0
"""Seconds for keys, handshake, contract and ledger heads."""
KEPT = "while the partner keeps its tags and its records stay the same"
PATHS = {"wide": "AVX-512 IFMA", "vector": "AVX2", "portable": "portable"}


@dataclass(frozen=True)
class TableTaken:
    """A table of the job, its rows, and what each column that the job names is taken for."""

    table: str
    rows: int
    taken: tuple[ColumnTaken, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A job before anybody is asked.

    `contract` is the one that would be signed, under keys that are thrown away. `protocol` of set
    intersection was chosen for `why`; both "" where there is nothing to choose. `told` are bits of
    a row, by partner. `cost` is that of all steps with all parties on this machine, by the kernels
    of `path`; `kept` the seconds of it that kept tags save later, None without; `instead` what its
    statistics cost now and by private sums. `too_many` are trainings, and the most joined rows they
    take, that may find more. `tables` are what was looked at; where none was, `rows` is what every
    one is taken to have. `left_out` counts rows without a lawful basis, by table and reason.
    """

    job: str
    purpose: str
    entity: str
    contract: Contract
    protocol: str
    why: str
    told: tuple[RowBits, ...]
    cost: Estimate
    path: str
    kept: float | None
    instead: tuple[Estimate, Estimate] | None
    too_many: tuple[tuple[str, int], ...]
    tables: tuple[TableTaken, ...]
    rows: int | None
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)

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
            "cost": asdict(self.cost),
            "path": self.path,
            "kept": self.kept,
            "instead": [asdict(one) for one in self.instead or ()],
            "too_many": dict(self.too_many),
            "tables": {
                one.table: {"rows": one.rows, "taken": [column.as_dict() for column in one.taken]}
                for one in self.tables
            },
            "rows": self.rows,
            "left_out": self.left_out,
        }


def planned(job: Job, source: Source | None, rows: int) -> Plan:
    """What a job will tell whom, and what it costs, before anybody is asked.

    Args:
        job: from `Job.load`.
        source: every party's tables, from `open_tables`; None: nothing is looked at.
        rows: what every table counts where `source` is None.

    Raises:
        FedprofileError: what the contract or a table does not allow.
    """
    seen = None if source is None else admitted(job, source)
    source = seen
    if source is not None:
        check_own(job, source)
    contract, protocol, why = _contract(job, source, rows)
    keeps = any(align.keep_tags_days for align in contract.align)
    return Plan(
        job=job.name,
        purpose=job.purpose,
        entity=job.entity,
        contract=contract,
        protocol=protocol,
        why=why,
        told=_told(contract, source),
        cost=estimate(contract),
        path=best_path(),
        kept=tagging(contract, MeasuredRates()) if keeps else None,
        instead=sums_instead(contract, MeasuredRates()),
        too_many=_too_many(contract),
        tables=_tables(job, source) if source is not None else (),
        left_out={} if seen is None else {t: a.left_out for t, a in seen.found.items()},
        rows=rows if source is None else None,
    )


def admitted(job: Job, source: Source) -> AdmittedTables:
    """The tables as the job would see them today."""
    contract = nameless_draft(job)
    owner = {party.table: party.name for party in job.parties}
    return AdmittedTables(
        source,
        lambda table: asked_of_bases(contract, owner.get(table, job.receiver), dt.date.today()),
    )


def _too_many(contract: Contract) -> tuple[tuple[str, int], ...]:
    """Where more rows may be shared than a training can take.

    How many are is known after they are found only: so it is said before. Raises `Refused` where
    the fewest that the contract allows are too many already.
    """
    found = []
    for train in (train for train in contract.train if train.split == "vertical"):
        names = [contract.receiver, *train.partners]
        own = contract.design_columns(train, contract.receiver)
        most = most_rows(own, train.key_bits)
        least = max((a.minimum_overlap for a in contract.align), default=0)
        if least > most:
            raise Refused(
                f"[align] minimum_overlap: {least:,} found, training '{train.task}' takes {most:,} "
                f"rows at most with {own} own columns and {train.key_bits}-bit keys",
                hint="train on a sample of the rows",
            )
        if min(contract.party(name).rows for name in names) > most:
            found.append((train.task, most))
    return tuple(found)


def _tables(job: Job, source: Source) -> tuple[TableTaken, ...]:
    """What every column that the job names is taken for."""
    found = []
    for party in job.parties:
        roles = roles_of(job, party.name)
        keys = [column for level in party.keys for column in level]
        table = source.load(party.table, list(roles), keys=keys)
        taken = with_leaks(job, party.name, table, columns_taken(table, roles))
        found.append(TableTaken(party.table, table.num_rows, tuple(taken)))
    return tuple(found)


def _told(contract: Contract, source: Source | None) -> tuple[RowBits, ...]:
    """Bits of a row, of each partner; what a row holds where its table is at hand."""
    found = []
    for name in contract.partners():
        row = row_bits(contract, name)
        if row is not None and source is not None:
            holds = Holdings(source, contract.party(name))
            row = row_bits(contract, name, held=holds(row.columns))
        found += [row] if row is not None else []
    return tuple(found)


def estimate(contract: Contract) -> Estimate:
    """The cost of all steps together."""
    costs = (cost for kind in KINDS for cost in kind.cost(contract, MeasuredRates()))
    return sum(costs, start=Estimate(STARTING, 0, 0))


def _contract(job: Job, source: Source | None, rows: int) -> tuple[Contract, str, str]:
    """The contract as it would be, with keys that are thrown away; which protocol, and why.

    What the parties' policies say is not known here: they are taken to accept every protocol.
    """
    contract = nameless_draft(job)
    for terms in contract.parties:
        if source is not None:
            contract = contract.with_party(facts_of(terms, source, b"", contract))
        else:
            widths = tuple(len(contract.features(train, terms.name)) for train in contract.train)
            contract = contract.with_party(replace(terms, rows=rows, design_columns=widths))
    accepting = tuple(replace(p, protocols=tuple(PROTOCOLS)) for p in contract.parties)
    contract = replace(contract, parties=accepting)
    name, why = chosen_protocol(contract)
    contract = complete(contract)
    return replace(contract, disclosures=disclosures(contract)), name, why if name else ""
