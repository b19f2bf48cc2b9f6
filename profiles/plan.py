"""`plan`: a job in plain words, before any contact.

The words are `federated.contract.summary`, those that another party's officer reads.
"""

from __future__ import annotations

from dataclasses import replace

from federated.contract.completion import complete
from federated.contract.cost import Estimate
from federated.contract.disclosures import disclosures
from federated.contract.instead import sums_instead
from federated.contract.kinds import KINDS
from federated.contract.kinds.align import chosen_protocol, tagging
from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.releases.holdings import Holdings
from federated.releases.row_bits import row_bits, row_words
from federated.steps.runner import facts_of
from federated.tables.column_report import columns_taken, in_lines
from federated.tables.source import Source
from federated.text import plain
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

__all__ = ["describe", "estimate"]

STARTING = 1.0
"""Seconds for keys, handshake, contract and ledger heads."""
KEPT = "while the partner keeps its tags and its records stay the same"
PATHS = {"wide": "AVX-512 IFMA", "vector": "AVX2", "portable": "portable"}


def describe(job: Job, source: Source | None, rows: int) -> str:
    """What a job will tell whom, and what it costs, before anybody is asked: the plan as text.

    Args:
        job: from `Job.load`.
        source: every party's tables, from `open_tables`; None: nothing is looked at.
        rows: what every table counts where `source` is None.

    Raises:
        FedprofileError: what the contract or a table does not allow.
    """
    if source is not None:
        check_own(job, source)
    contract, taken = _contract(job, source, rows)
    lines = [f"{job.name}", f"purpose: {job.purpose}; about: {job.entity}", "", *in_words(contract)]
    lines += _told(contract, source)
    cost = estimate(contract)
    lines += ["", taken] if taken else []
    lines += [
        "",
        f"Expected with all parties on this machine, as it is now ({PATHS[best_path()]} kernels)",
        f"  about {_seconds(cost.seconds)}, {cost.memory / 1e6 + 400:.0f} MB of memory a party, "
        f"{cost.wire / 1e6:.0f} MB on the wire",
    ]
    lines += _sums_instead(contract)
    if any(align.keep_tags_days for align in contract.align):
        lines.append(
            f"  of which {_seconds(tagging(contract, MeasuredRates()))} are not spent again {KEPT}"
        )
    lines += _too_many(contract)
    if source is not None:
        lines += _columns(job, source)
    if source is None:
        lines.append(f"  taking {rows:,} rows a table; give --tables to use the real ones")
    return "\n".join(lines)


def _sums_instead(contract: Contract) -> list[str]:
    """What private sums would save, where statistics are encrypted."""
    found = sums_instead(contract, MeasuredRates())
    if found is None:
        return []
    now, then = found
    return [
        f"  of which statistics {_seconds(now.seconds)} and {now.wire / 1e6:.0f} MB; by "
        f'private sums (protocol = "sums", where all policies name it) {_seconds(then.seconds)} '
        f"and {then.wire / 1e6:.0f} MB"
    ]


def _too_many(contract: Contract) -> list[str]:
    """Where more rows may be shared than a training can take.

    How many are is known after they are found only: so it is said before. Raises `Refused` where
    the fewest that the contract allows are too many already.
    """
    lines = []
    for train in (train for train in contract.train if train.split == "vertical"):
        names = [contract.receiver, *train.partners]
        own = contract.party(contract.receiver).design_columns
        most = most_rows(own, train.key_bits)
        least = max((a.minimum_overlap for a in contract.align), default=0)
        if least > most:
            raise Refused(
                f"[align] minimum_overlap: {least:,} found, training '{train.task}' takes {most:,} "
                f"rows at most with {own} own columns and {train.key_bits}-bit keys",
                hint="train on a sample of the rows",
            )
        if min(contract.party(name).rows for name in names) > most:
            lines.append(
                f"  training '{plain(train.task)}' takes {most:,} joined rows at most: where more "
                "are shared, the job ends after they are found; bring a sample, or smaller keys"
            )
    return lines


def _columns(job: Job, source: Source) -> list[str]:
    """What every column that the job names is taken for."""
    lines = ["", "What the columns are taken for"]
    for party in job.parties:
        roles = roles_of(job, party.name)
        keys = [column for level in party.keys for column in level]
        table = source.load(party.table, list(roles), keys=keys)
        lines.append(f"  {party.table}, {table.num_rows:,} rows")
        taken = with_leaks(job, party.name, table, columns_taken(table, roles))
        lines += [f"    {plain(line, 1000)}" for line in in_lines(taken)]
    return lines


def _told(contract: Contract, source: Source | None) -> list[str]:
    """Bits of a row, of each partner; what a row holds where its table is at hand."""
    lines = list[str]()
    for name in contract.partners():
        row = row_bits(contract, name)
        if row is not None and source is not None:
            holds = Holdings(source, contract.party(name))
            row = row_bits(contract, name, held=holds(row.columns))
        lines += row_words(row) if row is not None else []
    if not lines:
        return []
    if source is None:
        lines.append("how many a row holds is known with --tables, and to the partner")
    return ["", "Bits of a row", *(f"  {plain(line, 2000)}" for line in lines)]


def estimate(contract: Contract) -> Estimate:
    """The cost of all steps together."""
    costs = (cost for kind in KINDS for cost in kind.cost(contract, MeasuredRates()))
    return sum(costs, start=Estimate(STARTING, 0, 0))


def _contract(job: Job, source: Source | None, rows: int) -> tuple[Contract, str]:
    """The contract as it would be, with keys that are thrown away; which protocol, and why.

    What the parties' policies say is not known here: they are taken to accept every protocol.
    """
    contract = nameless_draft(job)
    for terms in contract.parties:
        if source is not None:
            contract = contract.with_party(facts_of(terms, source, b"", contract))
        else:
            width = len(terms.features)
            contract = contract.with_party(replace(terms, rows=rows, design_columns=width))
    accepting = tuple(replace(p, protocols=tuple(PROTOCOLS)) for p in contract.parties)
    contract = replace(contract, parties=accepting)
    name, why = chosen_protocol(contract)
    taken = f"set intersection by {name}: {why}" if name else ""
    contract = complete(contract)
    return replace(contract, disclosures=disclosures(contract)), taken


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value < 90 else f"{value / 60:.0f} min"
