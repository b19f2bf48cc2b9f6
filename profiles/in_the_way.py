"""What one party's tables show to be in the way of a job's steps, before any contact."""

from __future__ import annotations

from federated.steps.runner import facts_of
from federated.tables.source import Source
from profiles.job import Job
from profiles.own_table import check_own
from profiles.proposal import nameless_draft
from profiles.specs import PartySpec
from psi.protocol import FedprofileError

__all__ = ["in_the_way"]


def in_the_way(job: Job, party: PartySpec, source: Source) -> list[str]:
    """Why a job would end before this party signs, as far as its own tables show: a sentence each.

    The same checks as in a job: those of every step, and of what the receiver's outputs need.
    """
    contract, found = nameless_draft(job), list[str]()
    for check in ("steps", "outputs"):
        try:
            if check == "steps":
                facts_of(contract.party(party.name), source, b"", contract)
            elif party.name == job.receiver:
                check_own(job, source)
        except FedprofileError as error:
            found.append(f"{error.message}: {error.hint}" if error.hint else error.message)
    return found
