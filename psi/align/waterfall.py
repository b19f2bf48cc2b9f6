"""Keys of several levels in one run: each record matched once, by its best key.

Each side first collapses its rows: the first row with a key stands for all with that key, and
rows that share their best key are one record. All keys of all levels, with the level in front,
are the items of one set intersection; with each tag goes the number of the sender's record, in
a secret order and sealed under the key's own value, so that only who has the key reads it.
The receiver then sees which of the keys it shares belong together, and pairs records:

- a key of an earlier level comes before those of later ones;
- within a level the receiver's earlier row comes first;
- who is paired already is passed over, on either side.

With `reveal = "both"` it tells the sender the pairs, as places of the sender's tags in the
receiver's row order:

    receiver  Chosen           ──►   the key by which each aligned record was found

The receiver learns, beside its own matched records: by which of its keys, and which matched
keys belong to one record of the sender. The sender learns the pairs and their keys, and nothing
of keys that matched and were passed over. Adversary as in `ecdh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.align.levels import Index, distinct_keys
from psi.ecdh import LARGEST, Items, Matches
from psi.kernels.pairing import first_come
from psi.protocol import (
    Array,
    Context,
    Done,
    PeerError,
    Random,
    Range,
    Refused,
    Role,
    Turn,
    message,
)

__all__ = ["ChosenReceiver", "ChosenSender", "Records", "enough", "paired"]

_FILLER = 32
"""Bytes of a random item, which nobody has."""


@dataclass(frozen=True, kw_only=True)
class Records:
    """One side's records: the items of all levels, each item's level and record, and their rows.

    `level: uint8[n]`, `record: int64[n]` for n items; `row[r]` stands for record r; `first[i]`
    is the first row that holds item i; `of_row[j]` is the record of row j, by its best key (-1:
    no key).

    Attributes:
        keyed: how many rows have a key.
    """

    items: Items
    level: np.ndarray
    record: Index
    row: Index
    first: Index
    of_row: Index
    keyed: int

    @classmethod
    def of(cls, keys: Sequence[pa.Array]) -> Records:
        """Collapse rows with these keys, best level first (strings, null: no key)."""
        rows = len(keys[0])
        stands, keyed = np.arange(rows), np.zeros(rows, bool)
        levels = [distinct_keys(_marked(part, level)) for level, part in enumerate(keys)]
        for found in reversed(levels):
            has = found.code >= 0
            stands[has] = found.first[found.code[has]]
            keyed |= has
        for _ in levels:  # the row that stands for a row may have a better key of its own
            stands = stands[stands]
        first = np.concatenate([found.first for found in levels])
        row, record = np.unique(stands[first], return_inverse=True)
        widths = [len(found.first) for found in levels]
        level = np.repeat(np.arange(len(levels), dtype=np.uint8), widths)
        items = Items.joined([found.items for found in levels])
        of_row = np.where(keyed, np.searchsorted(row, stands), -1)
        return cls(
            items=items,
            level=level,
            record=record,
            row=row,
            first=first,
            of_row=of_row,
            keyed=int(keyed.sum()),
        )

    def grouped(self, size: int, random: Random) -> Items:
        """The items in groups of `size`, each of one record, filled up with random items.

        A record with more than that takes several groups (`splits` counts those that are too many).
        """
        order = np.argsort(self.record, kind="stable")
        held = np.bincount(self.record, minlength=len(self.row))
        groups = -(-held // size)
        within = np.arange(len(order)) - np.repeat(np.cumsum(held) - held, held)
        slot = np.full(int(groups.sum()) * size, -1, np.int64)
        slot[np.repeat((np.cumsum(groups) - groups) * size, held) + within] = order
        blank = slot < 0
        slot[blank] = len(order) + np.arange(int(blank.sum()))
        made = np.frombuffer(random(_FILLER * int(blank.sum())), np.uint8)
        filler = Items(made, np.arange(0, len(made) + 1, _FILLER, dtype=np.int64))
        return Items.joined([self.items, filler]).take(slot)

    def splits(self, size: int) -> int:
        """By how much the groups of `size` are more than the records."""
        held = np.bincount(self.record, minlength=len(self.row))
        return int((-(-held // size)).sum()) - len(self.row)

    @property
    def nulls(self) -> int:
        """Rows without any key."""
        return len(self.of_row) - self.keyed

    @property
    def repeats(self) -> int:
        """Rows for which another one stands."""
        return self.keyed - len(self.row)


def _marked(keys: pa.Array, level: int) -> pa.Array:
    """The keys of a level with the level in front, so that no other level has the same."""
    kind = pa.large_string()
    front, nothing = pa.scalar(f"{level}:", kind), pa.scalar("", kind)
    return pc.binary_join_element_wise(front, keys.cast(kind), nothing)


def paired(mine: Records, found: Matches) -> Index:
    """Which matches are the pairs, in the order of the receiver's rows."""
    level, first = mine.level[found.own], mine.first[found.own]
    order = np.lexsort((first, level))
    _, theirs = np.unique(found.record, return_inverse=True)
    chosen = order[first_come(mine.record[found.own][order], theirs[order])]
    rows = mine.row[mine.record[found.own[chosen]]]
    return np.asarray(chosen[np.argsort(rows, kind="stable")], np.int64)


@message(0x26)
@dataclass(frozen=True)
class Chosen:
    """For each pair, in the receiver's row order, the place of the key's tag."""

    places: Annotated[np.ndarray, Array("uint32", most=LARGEST)]


@message(0x27)
@dataclass(frozen=True)
class Choosing:
    """Waiting for the pairs; so many records."""

    records: Annotated[int, Range(0, LARGEST)]


class ChosenReceiver(Role[bool]):
    """Tells the sender the pairs, if there are enough."""

    def __init__(self, context: Context, peer: str, places: Index, minimum: int) -> None:
        super().__init__(context)
        self._peer, self._places, self._minimum = peer, places, minimum

    def begin(self) -> Turn[bool]:
        enough(len(self._places), self._minimum)
        return Turn(Done(), [(self._peer, Chosen(self._places.astype(np.uint32)))], True)


class ChosenSender(Role[Index]):
    """Learns the pairs: places of its tags, of as many records."""

    transitions = {(Choosing, Chosen): "on_chosen"}  # noqa: RUF012

    def __init__(self, context: Context, record_of_place: Index) -> None:
        super().__init__(context)
        self._record_of_place = record_of_place

    def begin(self) -> Turn[Index]:
        return Turn(Choosing(len(self._record_of_place)))

    def on_chosen(self, state: Choosing, sent: Chosen, peer: str) -> Turn[Index]:
        del peer
        places = sent.places.astype(np.int64)
        if len(places) and int(places.max()) >= state.records:
            raise PeerError("pairs of tags that do not exist")
        records = self._record_of_place[places]
        if len(np.unique(records)) != len(records):
            raise PeerError("a record that is in two pairs")
        return Turn(Done(), result=places)


def enough(count: int, minimum: int) -> None:
    """Raise `Refused` if there are fewer shared records than the contract asks for."""
    if count < minimum:
        raise Refused(
            f"{count} shared records found, at least {minimum} needed",
            hint="check key columns and kinds with fedprofile preflight",
        )
