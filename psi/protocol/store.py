"""Where a role keeps what is too large for its state: numbered parts of named row arrays.

A role writes a part once for each chunk and reads parts back when it needs them; what it has
written is in its state as counts only, so that a save stays small. A part that is written
again replaces the first, as happens when a restored role does a chunk over. Writing is not IO
to the role: whoever owns the disk passes a store in.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from psi.protocol.errors import MisuseError

__all__ = ["MemoryStore", "NamedStore", "Store", "gathered"]

Rows = np.ndarray[Any, Any]


class Store(Protocol):
    """Parts of arrays by name and number."""

    def put(self, name: str, part: int, rows: Rows) -> None:
        """Keep `rows`, in place of what was kept as this part."""

    def get(self, name: str, part: int) -> Rows:
        """What was kept. Raises `MisuseError` if nothing was."""

    def clear(self) -> None:
        """Forget everything."""


class MemoryStore:
    """A store that lives as long as the process."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], Rows] = {}

    def __repr__(self) -> str:
        return f"<store of {len(self._parts)} parts>"

    def put(self, name: str, part: int, rows: Rows) -> None:
        self._parts[name, part] = rows

    def get(self, name: str, part: int) -> Rows:
        try:
            return self._parts[name, part]
        except KeyError:
            raise MisuseError(f"part {part} of {name} is not in the store") from None

    def clear(self) -> None:
        self._parts.clear()


class NamedStore:
    """The part of a store that one of a role's links has: its names begin with the link's."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    def put(self, name: str, part: int, rows: Rows) -> None:
        self._store.put(f"{self._name}-{name}", part, rows)

    def get(self, name: str, part: int) -> Rows:
        return self._store.get(f"{self._name}-{name}", part)

    def clear(self) -> None:
        self._store.clear()


def gathered(store: Store, name: str, parts: int, like: Rows) -> Rows:
    """All parts of `name` in one array; of the shape of `like` where there are none.

    Args:
        store: where the parts lie.
    """
    return np.concatenate([store.get(name, part) for part in range(parts)] or [like])
