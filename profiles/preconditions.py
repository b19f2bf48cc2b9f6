"""Whatever must hold of tables before a contract is signed: what `plan` and `preflight` go through.

One list for both, and it is the job's own: what the receiver's outputs need, what columns were
taken for before, each party's facts with the checks of every step, and then all of it together,
with the rows that can be shared and the policy of parties in one process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from federated.approval.policy import ONE_PROCESS
from federated.contract.completion import complete
from federated.contract.terms import Contract, PartyTerms
from federated.steps.runner import checks_of, facts_of
from federated.tables.frozen import FrozenColumns
from federated.tables.source import Source
from profiles.held_columns import check_held
from profiles.job import Job
from profiles.own_table import check_own
from profiles.proposal import nameless_draft
from psi.align import PROTOCOLS
from psi.protocol import EnvironmentFailed, FedprofileError

__all__ = ["ROWS", "in_the_way", "in_the_way_together", "own_terms", "signed"]

ROWS = 100_000
"""What a table is taken to have where none is looked at."""


def own_terms(draft: Contract, party: str, source: Source) -> PartyTerms:
    """A party's terms with what its table is. Raises what ends a job before the party signs."""
    ONE_PROCESS.check_columns(draft, draft.party(party), source)
    return facts_of(draft.party(party), source, b"", draft)


def signed(
    draft: Contract, known: Mapping[str, PartyTerms], source: Source | None, rows: int = 0
) -> Contract:
    """The contract that would be signed, with the terms of parties whose tables are known.

    Others' policies are taken to accept every protocol of set intersection, their tables to have
    `rows` of numbers; 0: as many as the largest known, or `ROWS`. Where none is elsewhere, each
    party's policy is that of parties in one process.

    Raises:
        FedprofileError: what the contract or that policy does not allow.
    """
    contract = draft
    for terms in known.values():
        contract = contract.with_party(terms)
    counted = rows or max((terms.rows for terms in known.values()), default=0) or ROWS
    elsewhere = [terms for terms in contract.parties if terms.name not in known]
    for terms in elsewhere:
        widths = tuple(len(contract.features(train, terms.name)) for train in contract.train)
        contract = contract.with_party(replace(terms, rows=counted, design_columns=widths))
    accepting = tuple(replace(p, protocols=tuple(PROTOCOLS)) for p in contract.parties)
    contract = complete(replace(contract, parties=accepting))
    if source is not None and not elsewhere:  # elsewhere a node's own policy says what it allows
        for terms in contract.parties:
            ONE_PROCESS.approve(contract, terms, source)
    return contract


def in_the_way(
    job: Job,
    party: str,
    source: Source,
    frozen: Sequence[FrozenColumns] = (),
    known: Sequence[str] = (),
) -> tuple[list[str], PartyTerms | None]:
    """Why a job would end before this party signs, as far as its own tables show: a sentence each.

    And its terms, None where they cannot be stated. One thing that is wrong hides no other: each
    check is asked by itself. What is `known` already, sentences that end the job, is not said
    again.
    Raises `EnvironmentFailed` for a missing package, which is the machine's and not the tables',
    where nothing else is in the way.
    """
    draft, own = nameless_draft(job), list[PartyTerms]()
    found = _sentence(lambda: check_held(job, [party], source, frozen))
    if not known:
        found += _sentence(lambda: own.append(own_terms(draft, party, source)))
    if not own:
        terms, checks = draft.party(party), list[Callable[[], object]]()
        found += _sentence(lambda: ONE_PROCESS.check_columns(draft, terms, source))
        found += _sentence(lambda: checks.extend(checks_of(terms, source, draft)))
        for check in checks:
            found += _sentence(check, machine=True)
    if party == job.receiver:
        found += _sentence(lambda: check_own(job, source), machine=bool(known or found))
    new = (text for text in dict.fromkeys(found) if not any(said in text for said in known))
    return list(new), own[0] if own else None


def in_the_way_together(
    job: Job, known: Mapping[str, PartyTerms], source: Source, elsewhere: Collection[str]
) -> list[str]:
    """Why a job of these terms would end before it is signed, by all that is known: a sentence.

    Rows of tables elsewhere are not known: what would pass with another number of them does not
    count.
    """
    draft = nameless_draft(job)
    found = _sentence(lambda: signed(draft, known, source))
    if found and elsewhere and not _sentence(lambda: signed(draft, known, source, ROWS)):
        return []
    return found


def _sentence(check: Callable[[], object], *, machine: bool = False) -> list[str]:
    """What a check raises, in words with what to do; nothing where it raises nothing.

    `machine`: also what it raises of the machine, as other things are in the way.
    """
    try:
        check()
    except FedprofileError as error:
        if isinstance(error, EnvironmentFailed) and not machine:
            raise
        here = error.hint.startswith("fedprofile preflight")  # which is what says it
        return [f"{error.message}: {error.hint}" if error.hint and not here else error.message]
    return []
