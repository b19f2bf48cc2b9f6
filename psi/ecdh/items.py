"""What goes into an intersection and what comes out of it, and how items become tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from psi import oprf
from psi.kernels.hashing import tag_hash
from psi.kernels.strings import take_strings

__all__ = ["Held", "Items", "Matches", "Prepared", "own_tags", "tags_of"]

Index = np.ndarray[Any, np.dtype[np.signedinteger[Any]]]
_TAG, _KEPT_TAG = b"fedprofile psi tag v1", b"fedprofile psi kept tag v1"


@dataclass(frozen=True)
class Items:
    """Distinct items as an Arrow buffer: `data: uint8[]`, `offsets: int64[n + 1]`."""

    data: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"<{len(self)} items>"

    def part(self, start: int, stop: int) -> Items:
        """Items `start` to `stop`, without a copy."""
        return Items(self.data, self.offsets[start : stop + 1])

    @classmethod
    def joined(cls, parts: Sequence[Items]) -> Items:
        """All items of several sets, one set after the other."""
        ends = np.cumsum([0, *(part.offsets[-1] - part.offsets[0] for part in parts)])
        offsets = [
            part.offsets[:-1] - part.offsets[0] + end
            for part, end in zip(parts, ends[:-1], strict=True)
        ]
        data = [part.data[part.offsets[0] : part.offsets[-1]] for part in parts]
        last = np.array([ends[-1]], np.int64)
        return cls(np.concatenate(data), np.concatenate([*offsets, last]).astype(np.int64))

    def take(self, rows: Index) -> Items:
        """These items, in this order."""
        return Items(*take_strings(self.data, self.offsets, rows))


@dataclass(frozen=True)
class Matches:
    """What one side learns: pairs of own item and the peer's position, or only a count.

    At the receiver `own` are its items in their order and `peer` the sender's shuffled
    positions; at the sender `own` are its items in the order of the receiver's report. With
    `places` the receiver's `own` is empty, `peer` ascends, and the sender's `own` is its item at
    every place. Where the sender numbers records, `record` is the number with each match at the
    receiver, and the sender's `own` is its item at every place. Where it numbers records for
    `places`, these are numbers of records, and the sender's `record` is the number of each.

    Attributes:
        size_peer: how many items the other side has.
    """

    count: int
    size_peer: int
    own: Index
    peer: Index
    record: Index = field(default_factory=lambda: np.empty(0, np.uint32))


@dataclass(frozen=True)
class Prepared:
    """A sender's tags for one receiver, made ahead (see `prepared`): `tags: uint64[n, 2]`.

    Attributes:
        name: bytes that name the set of tags.
        key: the secret scalar, 32 bytes.
        tag_order: the secret seed that the order of the tags comes from.
    """

    name: bytes
    key: bytes
    tag_order: bytes
    tags: np.ndarray

    def __repr__(self) -> str:
        return f"<{len(self.tags)} prepared tags>"


@dataclass(frozen=True)
class Held:
    """Those tags at the receiver.

    Attributes:
        name: 16 bytes that name the set of tags.
        tags: `uint64[n, 2]`, ascending.
    """

    name: bytes
    tags: np.ndarray

    def __repr__(self) -> str:
        return f"<{len(self.tags)} tags held>"


def tags_of(
    bound: bytes, items: Items | None, points: np.ndarray, *, kept: bool, pads: bool = False
) -> np.ndarray:
    """Tags of values, bound to the session or, `kept`, to a prepared set; and to the item.

    `uint64[n, 2]`; with `pads` a third word, which only who has the value knows.
    """
    prefix = (_KEPT_TAG if kept else _TAG) + bound
    if items is None:
        return tag_hash(prefix, None, None, points, width=2 + pads)
    return tag_hash(prefix, items.data, items.offsets, points, width=2 + pads)


def own_tags(
    bound: bytes, items: Items, key: int, *, kept: bool, plain: bool = False, pads: bool = False
) -> np.ndarray:
    """The sender's tags of its own items; `plain` leaves the item out of the hash."""
    values = oprf.own(oprf.encode(items.data, items.offsets), key)
    return tags_of(bound, None if plain else items, values, kept=kept, pads=pads)
