"""`plan`: a job in plain words, before any contact.

The sentences about disclosures are those of the contract itself: both come from
`federated.party.disclosures`.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from federated.party.contract import Contract
from federated.party.disclosures import disclosures
from federated.party.keys import PartyKeys
from federated.party.source import Source
from federated.party.steps import facts_of
from profiles.estimate import Estimate, aggregate_estimate, align_estimate, train_estimate
from profiles.job import Job
from profiles.proposal import complete, draft
from psi.kernels.montgomery import best_path

__all__ = ["describe", "estimate"]

PATHS = {"wide": "AVX-512 IFMA", "vector": "AVX2", "portable": "portable"}


def describe(job: Job, source: Source | None, rows: int) -> str:
    """The whole plan as text. `rows` stands for every table where `source` is None."""
    contract = _contract(job, source, rows)
    lines = [f"{job.name}", f"purpose: {job.purpose}; about: {job.entity}", ""]
    lines += ["Parties"] + [f"  {_party(contract, name)}" for name in _names(contract)]
    lines += ["", "Steps"] + [f"  {text}" for text in _steps(contract)]
    lines += ["", "What each party learns"]
    for entry in contract.disclosures:
        lines.append(f"  {entry.to} learns {entry.learns}  [{entry.line}]")
    lines += ["", "Guards"] + [f"  {text}" for text in _guards(contract)]
    cost = estimate(contract)
    lines += [
        "",
        f"Expected on two cores of this machine ({PATHS[best_path()]} kernels)",
        f"  about {_seconds(cost.seconds)}, {cost.memory / 1e6 + 400:.0f} MB of memory a party, "
        f"{cost.wire / 1e6:.0f} MB on the wire",
    ]
    if source is None:
        lines.append(f"  taking {rows} rows a table; give --tables to use the real ones")
    return "\n".join(lines)


def estimate(contract: Contract) -> Estimate:
    """The cost of all steps together."""
    path = best_path()
    rows = {party.name: party.rows for party in contract.parties}
    me = rows[contract.receiver]
    total = Estimate(1.5, 0, 0)
    for align in contract.align:
        total += align_estimate(me, rows[align.partner], path)
    for aggregate in contract.aggregate:
        shared = min(me, rows[aggregate.partner])
        total += aggregate_estimate(shared, 50, aggregate.key_bits, path)
    for train in contract.train:
        if train.split == "vertical":
            shared = min([me, *(rows[name] for name in train.partners)])
            own = contract.party(contract.receiver).design_columns + 1
            columns = sum(contract.party(name).design_columns for name in train.partners)
            passes = train.steps + train.folds * train.fold_steps
            total += train_estimate(shared, own, columns, passes, train.key_bits, path)
    return total


def _contract(job: Job, source: Source | None, rows: int) -> Contract:
    """The contract as it would be, with keys that are thrown away."""
    identities = {p.name: PartyKeys.generate(p.name).identity for p in job.parties}
    contract = draft(job, identities, secrets.token_bytes(32), time.time())
    for terms in contract.parties:
        if source is not None:
            contract = contract.with_party(facts_of(terms, source, b""))
        else:
            width = len(terms.features)
            contract = contract.with_party(replace(terms, rows=rows, design_columns=width))
    contract = complete(job, contract)
    return replace(contract, disclosures=disclosures(contract))


def _names(contract: Contract) -> list[str]:
    return [terms.name for terms in contract.parties]


def _party(contract: Contract, name: str) -> str:
    terms = contract.party(name)
    what = "receiver, " if name == contract.receiver else ""
    columns = f"{len(terms.features)} columns for training" if terms.features else "no features"
    measures = f", measures {', '.join(terms.measures)}" if terms.measures else ""
    return f"{name} ({what}{terms.table}, {terms.rows} rows): {columns}{measures}"


def _steps(contract: Contract) -> list[str]:
    me, lines = contract.receiver, []
    for align in contract.align:
        lines.append(
            f"{me} and {align.partner} find the records they share ({align.protocol}, "
            f"{contract.suites.align}); no identifier leaves either in the clear"
        )
    for aggregate in contract.aggregate:
        what = ", ".join(f"{m.statistic} of {m.column}" for m in aggregate.measures)
        lines.append(
            f"{aggregate.partner} sends its values encrypted under its own {aggregate.key_bits}"
            f"-bit key; {me} adds them up by {aggregate.by} without reading them: {what}"
        )
    for train in contract.train:
        if train.split == "horizontal":
            lines.append(
                f"all parties train '{train.task}' on their own rows; the coordinator sees masked "
                "sums only"
            )
        else:
            folds = f", and {train.fold_steps} in each of {train.folds} folds" * bool(train.folds)
            lines.append(
                f"{me} and {', '.join(train.partners)} fit '{train.task}': {train.steps} Newton "
                f"steps{folds}, on rows encrypted under {me}'s {train.key_bits}-bit key"
            )
    return lines


def _guards(contract: Contract) -> list[str]:
    lines = []
    for align in contract.align:
        who = (
            f"counted by {align.partner} before anything is told"
            if align.minimum_checked_by == "partner"
            else f"checked by {contract.receiver}, so a promise towards {align.partner}"
        )
        lines.append(
            f"{align.partner} refuses a set of more than {align.largest_set} records; fewer than "
            f"{align.minimum_overlap} shared records end the job ({who})"
        )
        if align.keep_tags_days:
            lines.append(
                f"{align.partner}'s tags serve all jobs of {align.keep_tags_days} days; it counts "
                f"what {contract.receiver} asks and refuses beyond {align.keep_tags_items} records"
            )
    for aggregate in contract.aggregate:
        lines.append(
            f"{aggregate.partner} opens no group of fewer than {aggregate.minimum_group} records"
        )
    for train in contract.train:
        if train.split == "vertical":
            total = sum(contract.party(name).design_columns for name in train.partners)
            lines.append(
                f"{', '.join(train.partners)} disclose at most {train.score_vectors} numbers a "
                f"record, fewer than their {total} columns, and count them"
            )
    return lines


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value < 90 else f"{value / 60:.0f} min"
