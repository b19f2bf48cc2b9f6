"""How a node reaches the others, and what hears from there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from federated.wire.parcels import Parcel
from psi.protocol import FedprofileError

__all__ = ["Link", "Through"]


class Link(Protocol):
    """How a node reaches the others: its connection to the hub, or its lasting process."""

    connected: threading.Event

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
