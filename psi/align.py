"""Entity alignment: waterfall keys over set intersections, to rows in the receiver's order.

Each level of keys is one set intersection among the rows that no earlier level matched. With
`reveal = "both"` a last exchange puts both sides into the receiver's row order:

    receiver  Order            ──►   for each aligned row of the receiver: which match it is
              ◄──   Multiplicities   with duplicates = "join": how often the sender holds each

Both then hold the same list of pairs: ordered by the receiver's row, then by the sender's.
`collapse` lets the first row of a key stand for all with that key; `join` gives all pairs, as
SQL's inner join would. Rows whose key is null match nothing.

`receive` and `send` are generators: they yield (name, role builder) for each protocol run and
are sent its result, so they are as free of IO as the roles.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.ecdh import LARGEST, Items, Matches, Receiver, Sender
from psi.identifiers import key_buffer
from psi.kernels.distinct import distinct
from psi.protocol import Array, Context, Done, PeerError, Range, Role, Turn, message

__all__ = ["AlignSettings", "Alignment", "SelectReceiver", "SelectSender", "receive", "send"]

Index = np.ndarray[Any, np.dtype[np.int64]]
Build = Callable[[Context], Role[Any]]
Runs = Generator[tuple[str, Build], Any, "Alignment"]
Rows = Annotated[np.ndarray, Array("int32", most=LARGEST)]


@dataclass(frozen=True)
class AlignSettings:
    """The terms both sides agreed on."""

    reveal: str = "both"
    duplicates: str = "collapse"
    minimum_overlap: int = 0
    largest_set: int = LARGEST


@dataclass(frozen=True)
class Alignment:
    """One side's row number for every aligned pair, in the receiver's row order.

    `grade[i]` is the key level that matched pair i. `rows` is empty at a side that does not
    learn them; `matched` is -1 where even the count stays hidden. Sizes are rows with a key.
    """

    rows: Index
    grade: np.ndarray
    matched: int
    size_receiver: int
    size_sender: int
    nulls: int
    duplicates: int


@dataclass(frozen=True)
class _Level:
    """Distinct keys of one level: items, and each row's item (-1: none)."""

    items: Items
    code: Index
    first: Index


def _level(keys: pa.Array, free: np.ndarray) -> _Level:
    """The distinct keys of the rows that are still `free`."""
    known = pc.is_valid(keys).to_numpy(zero_copy_only=False).astype(bool)
    data, offsets = key_buffer(keys.fill_null("") if keys.null_count else keys)
    code, first = distinct(data, offsets, known & free, secrets.randbits(64))
    every = Items(data, offsets)
    return _Level(every if len(first) == len(code) else every.take(first), code, first)


@dataclass
class _Book:
    """What one side gathers over the levels: per match its level and its own rows."""

    keys: Sequence[pa.Array]
    free: np.ndarray
    levels: list[_Level]
    matched: list[Index]
    sizes: list[int]

    @classmethod
    def open(cls, keys: Sequence[pa.Array]) -> _Book:
        return cls(keys, np.ones(len(keys[0]), bool), [], [], [])

    def next_level(self) -> _Level:
        level = _level(self.keys[len(self.levels)], self.free)
        self.levels.append(level)
        return level

    def close_level(self, found: Matches) -> None:
        """Note the matches; all rows that hold a matched key are taken."""
        level = self.levels[-1]
        self.matched.append(found.own)
        self.sizes.append(found.size_peer)
        hit = np.zeros(len(level.first) + 1, bool)
        hit[found.own] = True
        self.free &= ~hit[level.code]

    def match_of_row(self) -> Index:
        """For each own row the number of its match, counted over all levels; -1: none."""
        result = np.full(len(self.free), -1, np.int64)
        base = 0
        for level, own in zip(self.levels, self.matched, strict=True):
            number = np.full(len(level.first) + 1, -1, np.int64)
            number[own] = base + np.arange(len(own))
            found = number[level.code]
            result = np.where(found >= 0, found, result)
            base += len(own)
        return result

    def first_rows(self) -> Index:
        """For each match the first own row with its key."""
        parts = [lv.first[own] for lv, own in zip(self.levels, self.matched, strict=True)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def grades(self) -> np.ndarray:
        """For each match its level."""
        counts = [len(own) for own in self.matched]
        return np.repeat(np.arange(len(counts), dtype=np.uint8), counts)

    @property
    def keyed(self) -> int:
        """Rows with a usable key of any level."""
        usable = np.zeros(len(self.free), bool)
        for keys in self.keys:
            usable |= pc.is_valid(keys).to_numpy(zero_copy_only=False).astype(bool)
        return int(usable.sum())

    @property
    def repeats(self) -> int:
        """Rows that share their key with an earlier row, at the level that takes them."""
        return sum(int((lv.code >= 0).sum()) - len(lv.first) for lv in self.levels)


@message(0x28)
@dataclass(frozen=True)
class Order:
    """For each aligned row of the receiver, in its order, the number of its match."""

    matches: Rows


@message(0x29)
@dataclass(frozen=True)
class Multiplicities:
    """How many rows the sender holds for each match, in the order of the matches."""

    counts: Rows


@message(0x2A)
@dataclass(frozen=True)
class Ordering:
    """Waiting for the other side's part of the order."""

    size: Annotated[int, Range(0, LARGEST)]


class OrderReceiver(Role[Index]):
    """Sends the order; the result are the sender's multiplicities (ones without `join`)."""

    transitions = {(Ordering, Multiplicities): "on_multiplicities"}  # noqa: RUF012

    def __init__(self, context: Context, peer: str, matches: Index, size: int, join: bool) -> None:
        super().__init__(context)
        self._peer, self._matches, self._size, self._join = peer, matches, size, join

    def begin(self) -> Turn[Index]:
        out = [(self._peer, Order(self._matches.astype(np.int32)))]
        if not self._join:
            return Turn(Done(), out, np.ones(self._size, np.int64))
        return Turn(Ordering(self._size), out)

    def on_multiplicities(self, state: Ordering, found: Multiplicities, peer: str) -> Turn[Index]:
        del peer
        good = len(found.counts) == state.size and (found.counts > 0).all()
        if not good or found.counts.sum(dtype=np.int64) > LARGEST:
            raise PeerError("malformed multiplicities")
        return Turn(Done(), result=found.counts.astype(np.int64))


class OrderSender(Role[Index]):
    """Receives the order; sends its multiplicities with `join`."""

    transitions = {(Ordering, Order): "on_order"}  # noqa: RUF012

    def __init__(self, context: Context, peer: str, counts: Index, join: bool) -> None:
        super().__init__(context)
        self._peer, self._counts, self._join = peer, counts, join

    def begin(self) -> Turn[Index]:
        return Turn(Ordering(len(self._counts)))

    def on_order(self, state: Ordering, order: Order, peer: str) -> Turn[Index]:
        matches = order.matches.astype(np.int64)
        seen = np.bincount(matches[matches >= 0], minlength=state.size)
        good = len(seen) == state.size and (seen > 0).all() and (matches >= 0).all()
        if not good or (not self._join and (seen > 1).any()):
            raise PeerError("an order that does not fit the matches")
        reply = [(peer, Multiplicities(self._counts.astype(np.int32)))] if self._join else []
        return Turn(Done(), reply, matches)


def receive(peer: str, keys: Sequence[pa.Array], settings: AlignSettings) -> Runs:
    """The receiver's side over all levels of `keys` (strings, null: no key)."""
    book, join = _Book.open(keys), settings.duplicates == "join"
    for number in range(len(keys)):
        level = book.next_level()
        last_chance = number == len(keys) - 1
        taken = sum(len(own) for own in book.matched)
        minimum = max(0, settings.minimum_overlap - taken) if last_chance else 0
        build = _receiver(peer, level.items, settings, minimum)
        found: Matches = yield f"{number}", build
        if settings.reveal == "cardinality":
            return _count_only(book, found)
        book.close_level(found)
    size_sender = max(book.sizes, default=0)
    order = book.match_of_row()
    if not join:
        order = _only(order, book.first_rows())
    rows = np.flatnonzero(order >= 0)
    counts = np.ones(len(book.first_rows()), np.int64)
    if settings.reveal == "both":
        counts = yield "order", _order_receiver(peer, order[rows], len(counts), join)
    pairs = np.repeat(np.arange(len(rows)), counts[order[rows]])
    grade = book.grades()[order[rows]][pairs]
    return Alignment(
        rows[pairs], grade, len(counts), book.keyed, size_sender,
        len(book.free) - book.keyed, book.repeats,
    )  # fmt: skip


def send(peer: str, keys: Sequence[pa.Array], settings: AlignSettings) -> Runs:
    """The sender's side over all levels of `keys`."""
    book, join = _Book.open(keys), settings.duplicates == "join"
    for number in range(len(keys)):
        level = book.next_level()
        found: Matches = yield f"{number}", _sender(peer, level.items, settings)
        if settings.reveal == "cardinality":
            return _count_only(book, found)
        book.close_level(found)
    size_receiver = max(book.sizes, default=0)
    none = np.empty(0, np.int64)
    if settings.reveal != "both":
        hidden = Alignment(none, none.astype(np.uint8), -1, size_receiver, book.keyed, 0, 0)
        return hidden
    of_row = book.match_of_row()
    if not join:
        of_row = _only(of_row, book.first_rows())
    holders = np.argsort(np.where(of_row < 0, len(of_row), of_row), kind="stable")
    counts = np.bincount(of_row[of_row >= 0], minlength=len(book.first_rows()))
    matches = yield "order", _order_sender(peer, counts.astype(np.int64), join)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    repeats = counts[matches]
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    rows = holders[np.repeat(starts[matches], repeats) + within]
    grade = np.repeat(book.grades()[matches], repeats)
    return Alignment(
        rows, grade, len(counts), size_receiver, book.keyed,
        len(book.free) - book.keyed, book.repeats,
    )  # fmt: skip


def _only(match_of_row: Index, first: Index) -> Index:
    """Keep the first row of each match."""
    kept = np.full_like(match_of_row, -1)
    kept[first] = match_of_row[first]
    return kept


def _count_only(book: _Book, found: Matches) -> Alignment:
    none = np.empty(0, np.int64)
    sizes = (book.keyed, found.size_peer)
    return Alignment(none, none.astype(np.uint8), found.count, *sizes, 0, book.repeats)


def _receiver(peer: str, items: Items, settings: AlignSettings, minimum: int) -> Build:
    return lambda context: Receiver(
        context,
        peer,
        items,
        reveal=settings.reveal,
        minimum=minimum,
        largest=settings.largest_set,
    )


def _sender(peer: str, items: Items, settings: AlignSettings) -> Build:
    return lambda context: Sender(
        context, peer, items, reveal=settings.reveal, largest=settings.largest_set
    )


def _order_receiver(peer: str, matches: Index, size: int, join: bool) -> Build:
    return lambda context: OrderReceiver(context, peer, matches, size, join)


def _order_sender(peer: str, counts: Index, join: bool) -> Build:
    return lambda context: OrderSender(context, peer, counts, join)


@message(0x2B)
@dataclass(frozen=True)
class Selection:
    """Which aligned pairs stay, by position: those that all partners share."""

    positions: Rows


@message(0x2C)
@dataclass(frozen=True)
class Selecting:
    """Waiting for the selection."""


class SelectReceiver(Role[bool]):
    """Tells each partner which of its aligned pairs stay."""

    def __init__(self, context: Context, keep: Mapping[str, Index]) -> None:
        super().__init__(context)
        self._keep = keep

    def begin(self) -> Turn[bool]:
        out = [(peer, Selection(rows.astype(np.int32))) for peer, rows in self._keep.items()]
        return Turn(Done(), out, True)


class SelectSender(Role[Index]):
    """Learns which of its aligned pairs stay, in the receiver's order."""

    transitions = {(Selecting, Selection): "on_selection"}  # noqa: RUF012

    def __init__(self, context: Context, size: int) -> None:
        super().__init__(context)
        self._size = size

    def begin(self) -> Turn[Index]:
        return Turn(Selecting())

    def on_selection(self, state: Selecting, found: Selection, peer: str) -> Turn[Index]:
        del state, peer
        keep = found.positions.astype(np.int64)
        ascending = (np.diff(keep) > 0).all()
        if not ascending or (len(keep) and not 0 <= keep[0] <= keep[-1] < self._size):
            raise PeerError("a selection of pairs that do not exist")
        return Turn(Done(), result=keep)
