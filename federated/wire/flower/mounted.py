"""A party mounted in its hub: the node's own daemon, without a connection of its own.

What the relay has for the party goes through a queue to a thread here, so that the relay never
waits for the party, nor holds its lock while the party holds one.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from federated.wire.parcels import Parcel

if TYPE_CHECKING:
    from federated.wire.flower.relay import Relay

__all__ = ["MountedLink"]


class MountedLink:
    """Stands for a node's connection: parcels go to the relay of this process and come from it."""

    def __init__(
        self, relay: Relay, name: str, arrived: Callable[[Parcel], None], back: Callable[[], None]
    ) -> None:
        self._relay, self._name, self._arrived, self._back = relay, name, arrived, back
        self._queue: queue.SimpleQueue[Parcel | None] = queue.SimpleQueue()
        self.connected, self.lost_since, self.trouble = threading.Event(), 0.0, ""

    def __repr__(self) -> str:
        return f"<{self._name}, mounted>"

    @property
    def waiting(self) -> int:
        """Nothing waits: the relay is in this process."""
        return 0

    def start(self) -> None:
        """From now on the party can be called. Raises `MisuseError` if a node has its name."""
        self._relay.host(self._name, _Taker(self._queue))
        threading.Thread(target=self._work, daemon=True, name="mounted").start()
        self.connected.set()
        self._back()

    def put(self, parcel: Parcel) -> None:
        """Hand a parcel of this party to the relay."""
        if self.connected.is_set():
            self._relay.route(parcel, self._name)

    def close(self) -> None:
        """The party takes part no more."""
        self.connected.clear()
        self._relay.host(self._name, None)
        self._queue.put(None)

    def _work(self) -> None:
        while (parcel := self._queue.get()) is not None:
            self._arrived(parcel)


class _Taker:
    """What the relay hands parcels to."""

    def __init__(self, into: queue.SimpleQueue[Parcel | None]) -> None:
        self._into = into

    def put(self, parcel: Parcel) -> None:
        self._into.put(parcel)
