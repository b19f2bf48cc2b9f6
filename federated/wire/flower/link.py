"""How a node reaches the others, and what hears from there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from federated.wire.parcels import Parcel
from psi.protocol import FedprofileError

__all__ = ["Link", "Through", "reach"]


class Link(Protocol):
    """How a node reaches the others: its connection to the hub, or its lasting process."""

    connected: threading.Event

    lost_since: float
    """When the hub was reached last, in seconds since 1970, while it is not reached."""

    trouble: str
    """Why it is not reached, where that is known."""

    @property
    def waiting(self) -> int:
        """Bytes that are still to be sent."""

    def start(self) -> None:
        """Take part from now on."""

    def put(self, parcel: Parcel) -> None:
        """Send a parcel."""

    def close(self) -> None:
        """Take part no more."""


@dataclass(frozen=True)
class Through:
    """What a link is made with: who hears parcels, that it is back, and that it is over."""

    arrived: Callable[[Parcel], None]
    back: Callable[[], None]
    ended: Callable[[FedprofileError], None]


def reach(link: Link) -> dict[str, Any]:
    """What a status says of the hub: whether it is reached, else since when not, and why."""
    if link.connected.is_set():
        return {"connected": True, "away_since": 0, "away_why": ""}
    return {"connected": False, "away_since": int(link.lost_since), "away_why": link.trouble}
