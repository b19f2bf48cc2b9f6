"""How many bytes each step may bring from one peer: bounds from the contract, generous ones.

They are there so that a party that sends gigabytes where kilobytes are due is cut off at the
first part of the frame, not to measure anything. A step that the contract does not have may bring
nothing: each name that a party made up would have bytes of its own.
"""

from __future__ import annotations

from federated.contract.kinds import KINDS
from federated.contract.terms import Contract
from federated.session.progress import NOTES
from federated.session.routers import FAREWELL

__all__ = ["BEFORE_CONTRACT", "step_limit"]

BEFORE_CONTRACT = 8 << 20
"""Bytes of handshake, contract, finish and abort from one peer."""

_ALWAYS = ("handshake", "contract", "finish", FAREWELL, NOTES, "")


def step_limit(contract: Contract | None, step: str) -> int:
    """The most bytes that one peer may send in `step`; `contract` is None until it is signed."""
    if contract is None or step in _ALWAYS:
        return BEFORE_CONTRACT
    limits = (kind.limit(contract, step) for kind in KINDS)
    return next((limit for limit in limits if limit is not None), 0)
