"""What a node's lasting process and the one for its jobs tell each other of errors; how much."""

from __future__ import annotations

from federated.session.reasons import ShutOut
from psi import protocol
from psi.protocol import FedprofileError

__all__ = ["LARGEST", "error_from", "error_of"]

LARGEST = 17 << 20
"""Bytes of a parcel, or of a request, between both processes."""

_OTHERS = {ShutOut.__name__: ShutOut}


def error_of(error: FedprofileError) -> dict[str, str]:
    """An error for the other process."""
    return {"class": type(error).__name__, "message": error.message, "hint": error.hint}


def error_from(data: dict[str, str]) -> FedprofileError:
    """The error that the other process sent, of its class where that is one of ours."""
    found = _OTHERS.get(data["class"]) or getattr(protocol, data["class"], None)
    if isinstance(found, type) and issubclass(found, FedprofileError):
        return found(data["message"], hint=data["hint"])
    return FedprofileError(data["message"], hint=data["hint"])
