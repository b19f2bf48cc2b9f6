"""Rows that a kept model of hidden trees scores, chunk by chunk, and names of the draws."""

from __future__ import annotations

from dataclasses import dataclass

from federated.sharing.chunks import name_of
from federated.sharing.trees import CHUNK
from psi.protocol import Context

__all__ = ["AHEAD", "ScoreRows", "name_of_transfers"]

_TRANSFERS = 1 << 21
"""Of a chunk, about: 32 MB of rows at either side."""
_FEWEST = 1 << 9
AHEAD = 2
"""Chunks whose choices are under way at a time."""


@dataclass(frozen=True)
class ScoreRows:
    """Rows in chunks; groups: of leaves, of all trees together."""

    rows: int
    groups: int

    @property
    def per(self) -> int:
        """Rows of a chunk."""
        return max(_FEWEST, min(CHUNK, _TRANSFERS // max(1, self.groups)))

    @property
    def chunks(self) -> int:
        """How many there are."""
        return -(-self.rows // self.per)

    def at(self, chunk: int) -> slice:
        """The rows of one."""
        return slice(chunk * self.per, min((chunk + 1) * self.per, self.rows))


def name_of_transfers(context: Context, rows: int) -> bytes:
    """32 bytes that name the transfers of one scoring."""
    return name_of(context.session, f"{context.step}/transfers", rows, ())
