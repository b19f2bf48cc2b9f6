"""Who learns what: one pure function from a contract's steps to its list of disclosures.

Every party derives the list again and refuses a contract whose list differs, so the words an
officer reads are the words that the steps imply.
"""

from __future__ import annotations

from federated.contract.kinds import KINDS
from federated.contract.terms import Contract, Disclosure
from psi.protocol import PeerError

__all__ = ["check_disclosures", "disclosures", "parties_of"]


def disclosures(contract: Contract) -> tuple[Disclosure, ...]:
    """All that any party learns of another's data by design, in the order of the steps."""
    return tuple(entry for kind in KINDS for entry in kind.disclosures(contract))


def check_disclosures(contract: Contract) -> None:
    """Raise `PeerError` if the contract's list is not the one its steps imply."""
    if contract.disclosures != disclosures(contract):
        raise PeerError("the contract's list of disclosures is not what its steps imply")


def parties_of(contract: Contract, step: str) -> set[str]:
    """Who takes part in a step, by its name in the list of disclosures ("align bureau")."""
    every = {terms.name for terms in contract.parties}
    kind, _, what = step.partition(" ")
    for train in contract.train:
        if kind == "train" and what == train.task and train.split == "vertical":
            return {contract.receiver, *train.partners}
    for score in contract.score:
        if kind == "score" and what == score.task:
            return {contract.receiver, *score.partners}
    return {contract.receiver, what} if kind != "train" and what in every else every
