"""What one party's tables show to be in the way of a job's steps, before any contact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from federated.approval.policy import ONE_PROCESS
from federated.contract.few_rows import check_brought
from federated.contract.terms import Contract
from federated.steps.runner import facts_of
from federated.tables.frozen import FrozenColumns
from federated.tables.source import Source
from profiles.held_columns import check_held
from profiles.job import Job
from profiles.own_table import check_own
from profiles.proposal import nameless_draft
from profiles.specs import PartySpec
from psi.protocol import EnvironmentFailed, FedprofileError

__all__ = ["in_the_way"]


def in_the_way(
    job: Job, party: PartySpec, source: Source, frozen: Sequence[FrozenColumns] = ()
) -> list[str]:
    """Why a job would end before this party signs, as far as its own tables show: a sentence each.

    The same checks as in a job: those of every step, of what the receiver's outputs need, and of
    what columns were taken for before (`frozen`). Raises `EnvironmentFailed` for a missing package.
    """
    contract, found = nameless_draft(job), list[str]()
    for check in ("held", "columns", "steps", "outputs"):
        try:
            if check == "held":
                check_held(job, [party.name], source, frozen)
            elif check == "columns":
                ONE_PROCESS.check_columns(contract, contract.party(party.name), source)
            elif check == "steps":
                own = facts_of(contract.party(party.name), source, b"", contract)
                _check_brought(contract.with_party(own), party.name)
            elif party.name == job.receiver:
                check_own(job, source)
        except EnvironmentFailed:  # the machine's, not the tables'
            raise
        except FedprofileError as error:
            here = error.hint.startswith("fedprofile preflight")  # which is what says it
            hint = f": {error.hint}" if error.hint and not here else ""
            found.append(f"{error.message}{hint}")
    return found


def _check_brought(contract: Contract, party: str) -> None:
    """Raise `JobError` where this partner has no column to train on."""
    for terms in contract.train:
        if party in terms.partners:
            check_brought(contract, replace(terms, partners=(party,)))
