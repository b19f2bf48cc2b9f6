"""From a draft with everyone's facts to the final terms: what row and column counts decide."""

from __future__ import annotations

from dataclasses import replace

from federated.contract.disclosures import disclosures
from federated.contract.kinds import KINDS
from federated.contract.kinds.train import AUTO, TrainTerms, noise_text, private
from federated.contract.rows import joined_rows
from federated.contract.terms import Contract, suites_for
from federated.regression import MANY_ROWS

__all__ = ["complete", "foreseen"]

_UNKNOWN = 1 << 62
"""Rows that a party may have which has not told."""


def complete(contract: Contract) -> Contract:
    """Fix by the parties' row and column counts what the draft leaves open.

    That is the number of training steps, and the protocol of set intersection. Raises `JobError`
    without a usable column, `Refused` where every number of steps would disclose too much.
    """
    for kind in KINDS:
        contract = kind.completed(contract)
    steps = contract.align, contract.summed, contract.train, contract.score
    return replace(contract, suites=suites_for(*steps))


def foreseen(draft: Contract) -> Contract:
    """A draft with the noise that row counts settle already, and what it then discloses: to read.

    Where one party alone has too few rows for noise, no other's count brings it back. What is not
    settled yet stays open.

    Args:
        draft: of whose parties some have told their rows, or all, or none.
    """
    train = tuple(_settled(draft, t) if t.noise == AUTO and private(t) else t for t in draft.train)
    if train == draft.train:
        return draft
    settled = replace(draft, train=train)
    return replace(settled, disclosures=disclosures(settled))


def _settled(draft: Contract, terms: TrainTerms) -> TrainTerms:
    parties = tuple(replace(p, rows=p.rows or _UNKNOWN) for p in draft.parties)
    many = joined_rows(replace(draft, parties=parties), terms.partners) >= MANY_ROWS
    if many and joined_rows(draft, terms.partners) < MANY_ROWS:
        return terms
    return replace(terms, noise=noise_text(float(many)))
