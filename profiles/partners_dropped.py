"""Partners' columns that a training left out: how many at least, as the receiver can tell.

A partner drops a column of its own in which fewer than 20 records differ, or whose bins say nothing
of the label, and names it to nobody. But how many columns it has come to is told by every training,
and a column that is taken in comes to one at least.
"""

from __future__ import annotations

from federated.contract.terms import Contract
from federated.steps.outcome import Trained

__all__ = ["partners_dropped"]


def partners_dropped(contract: Contract, trained: Trained) -> tuple[str, ...]:
    """A sentence where partners have fewer columns in a training than the job asked of them."""
    names = trained.terms.partners
    asked = sum(len(contract.features(trained.terms, name)) for name in names)
    if trained.partner_columns >= asked:
        return ()
    whose, left = " and ".join(names), asked - trained.partner_columns
    return (f"{whose}: dropped, at least {left} of {asked} columns; only their owner knows which",)
