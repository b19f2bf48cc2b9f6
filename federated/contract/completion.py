"""From a draft with everyone's facts to the final terms: what row and column counts decide."""

from __future__ import annotations

from dataclasses import replace

from federated.contract.kinds import KINDS
from federated.contract.terms import Contract, suites_for

__all__ = ["complete"]


def complete(contract: Contract) -> Contract:
    """Fix by the parties' row and column counts what the draft leaves open.

    That is the number of training steps, and the protocol of set intersection. Raises `JobError`
    without a usable column, `Refused` where every number of steps would disclose too much.
    """
    for kind in KINDS:
        contract = kind.completed(contract)
    return replace(contract, suites=suites_for(contract.align, contract.summed, contract.train))
