"""Both sides of an alignment as generators: which protocol to run next, and what it all means."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from psi.align.counting import let_count, take_count
from psi.align.levels import Book, Index
from psi.align.order import OrderReceiver, OrderSender
from psi.align.protocols import PROTOCOLS
from psi.align.waterfall import ChosenReceiver, ChosenSender, Records, enough, paired
from psi.ecdh import (
    LARGEST,
    SHUFFLED,
    Held,
    Items,
    Matches,
    Prepared,
    Receiver,
    Sender,
    TagReceiver,
    TagSender,
)
from psi.protocol import Context, Role

__all__ = ["AlignSettings", "Alignment", "Runs", "TagKeeper", "in_one_run", "receive", "send"]

Build = Callable[[Context], Role[Any]]
Runs = Generator[tuple[str, Build], Any, "Alignment"]


@dataclass(frozen=True)
class AlignSettings:
    """The terms both sides agreed on.

    Args:
        protocol: a name in `PROTOCOLS`.
        reveal: who learns what: "both" the shared rows, "receiver" that side alone, "cardinality"
            the receiver how many, "places" the receiver places in a secret order of the sender's.
        duplicates: "collapse" lets the first row of a key stand for all, "join" gives all pairs.
        minimum_overlap: fewer shared records end the run.
        minimum_checked_by: "receiver" (a promise), or "partner", which counts first.
        largest_set: the most keys either side may bring.
    """

    protocol: str = "ecdh"
    reveal: str = "both"
    duplicates: str = "collapse"
    minimum_overlap: int = 0
    minimum_checked_by: str = "receiver"
    largest_set: int = LARGEST


@dataclass(frozen=True, kw_only=True, repr=False)
class Alignment:
    """One side's row number for every aligned pair, in the receiver's row order.

    `size_receiver` and `size_sender` are how many rows have a key, `nulls` and `duplicates` how
    many of this side's have none or repeat one.
    `grade[i]` is the key level that matched pair i. `rows` is empty at a side that does not
    learn them; `matched` is -1 where even the count stays hidden. Sizes are rows with a key.
    With `reveal = "places"` the sender's distinct keys, or its records where keys have several
    levels, have places in a secret order: `places` are those that match, ascending, at the
    receiver, whose `size_sender` is as many as there are keys; and at the sender the place of each
    of its rows (-1: no key). `entry[i]` says which of the receiver's aligned rows pair i is of,
    rising from 0, where pairs are told; `most` is how many pairs one match has at most.
    """

    rows: Index
    grade: np.ndarray
    matched: int
    size_receiver: int
    size_sender: int
    nulls: int
    duplicates: int
    places: Index = field(default_factory=lambda: np.empty(0, np.int64))
    entry: Index = field(default_factory=lambda: np.empty(0, np.int64))
    most: int = 1

    def __repr__(self) -> str:
        sizes = f"{self.size_receiver} and {self.size_sender} rows with a key"
        return f"<Alignment of {sizes}, {self.matched} matched>"


class TagKeeper(Protocol):
    """Keeps tags from one run to the next: the receiver those it holds, the sender its own."""

    def held(self) -> Held | None:
        """The receiver's: what an earlier run left."""

    def keep(self, held: Held) -> None:
        """The receiver's: keep these for the next run."""

    def prepared(self, items: Items) -> Prepared:
        """The sender's: tags of these items, from before if they are still good."""

    def spend(self, items: int) -> None:
        """The sender's: count items asked under the present key, or raise `Refused`."""


def in_one_run(settings: AlignSettings, levels: int) -> bool:
    """Whether keys of several levels go together (see `waterfall`), or a level at a time.

    Args:
        settings: the run's settings: its protocol, and what it reveals.
        levels: how many levels of keys each party has.
    """
    single = settings.reveal in SHUFFLED or settings.duplicates == "collapse"
    return levels > 1 and single and PROTOCOLS[settings.protocol].records


def receive(
    peer: str, keys: Sequence[pa.Array], settings: AlignSettings, keeper: TagKeeper | None = None
) -> Runs:
    """The receiver's side of an alignment, run by run: yields a name and a role's builder each.

    Args:
        peer: the sender's name.
        keys: one array of strings a level, of one length; null where a row has no key.
        settings: what both agreed on.
        keeper: of the sender's tags from earlier jobs; None: none are kept.

    Returns:
        What this side learns, once the last run's result was sent in.

    Raises:
        Refused: fewer shared records than `settings.minimum_overlap`.
    """
    if settings.minimum_checked_by == "partner":
        yield from let_count(peer, keys, settings.protocol, settings.largest_set)
    if in_one_run(settings, len(keys)):
        return (yield from _receive_records(peer, keys, settings))
    book, join = Book.open(keys), settings.duplicates == "join"
    for number in range(len(keys)):
        level = book.next_level()
        held = None
        if keeper is not None:
            held = yield "tags", _tag_receiver(peer, keeper.held(), settings)
            keeper.keep(held)
        last_chance = number == len(keys) - 1
        taken = sum(len(own) for own in book.matched)
        minimum = max(0, settings.minimum_overlap - taken) if last_chance else 0
        build = _receiver(peer, level.items, settings, minimum, held)
        found: Matches = yield f"{number}", build
        if settings.reveal in SHUFFLED:
            return _counted_receiver(book, found)
        book.close_level(found)
    size_sender = max(book.sizes, default=0)
    order = book.match_of_row() if join else book.match_of_first_row()
    rows = np.flatnonzero(order >= 0)
    counts = np.ones(len(book.first_rows()), np.int64)
    if settings.reveal == "both":
        counts = yield "order", _order_receiver(peer, order[rows], len(counts), join)
    pairs = np.repeat(np.arange(len(rows)), counts[order[rows]])
    grade = book.grades()[order[rows]][pairs]
    return Alignment(
        rows=rows[pairs],
        grade=grade,
        matched=len(counts),
        size_receiver=book.keyed,
        size_sender=size_sender,
        nulls=len(book.free) - book.keyed,
        duplicates=book.repeats,
        entry=pairs,
        most=_most(order[rows], counts),
    )


def send(
    peer: str, keys: Sequence[pa.Array], settings: AlignSettings, keeper: TagKeeper | None = None
) -> Runs:
    """The sender's side of an alignment, run by run; arguments as in `receive`.

    Args:
        peer: the receiver's name.
        keys: one array of strings a level, of one length; null where a row has no key.
        settings: what both agreed on.
        keeper: of this side's own tags; None: fresh ones for this job.

    Returns:
        What this side learns, once the last run's result was sent in.

    Raises:
        Refused: fewer shared records than `settings.minimum_overlap`, where this side counts first.
    """
    if settings.minimum_checked_by == "partner":
        least = settings.minimum_overlap
        yield from take_count(peer, keys, settings.protocol, settings.largest_set, least)
    if in_one_run(settings, len(keys)):
        return (yield from _send_records(peer, keys, settings))
    book, join = Book.open(keys), settings.duplicates == "join"
    for number in range(len(keys)):
        level = book.next_level()
        prepared = None
        if keeper is not None:
            prepared = keeper.prepared(level.items)
            yield "tags", _tag_sender(peer, prepared)
        build = _sender(peer, level.items, settings, prepared, keeper)
        found: Matches = yield f"{number}", build
        if settings.reveal in SHUFFLED:
            return _counted_sender(book, found, places=settings.reveal == "places")
        book.close_level(found)
    size_receiver = max(book.sizes, default=0)
    if settings.reveal != "both":
        hidden = _without_rows(
            matched=-1,
            size_receiver=size_receiver,
            size_sender=book.keyed,
            nulls=0,
            duplicates=0,
        )
        return hidden
    of_row = book.match_of_row() if join else book.match_of_first_row()
    holders = np.argsort(np.where(of_row < 0, len(of_row), of_row), kind="stable")
    counts = np.bincount(of_row[of_row >= 0], minlength=len(book.first_rows()))
    matches = yield "order", _order_sender(peer, counts.astype(np.int64), join)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    repeats = counts[matches]
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    rows = holders[np.repeat(starts[matches], repeats) + within]
    grade = np.repeat(book.grades()[matches], repeats)
    return Alignment(
        rows=rows,
        grade=grade,
        matched=len(counts),
        size_receiver=size_receiver,
        size_sender=book.keyed,
        nulls=len(book.free) - book.keyed,
        duplicates=book.repeats,
        entry=np.repeat(np.arange(len(matches)), repeats),
        most=_most(matches, counts),
    )


def _most(matches: Index, counts: Index) -> int:
    """The most pairs of one match: how often the receiver has it times how often the sender has."""
    return int((np.bincount(matches, minlength=len(counts)) * counts).max(initial=1))


def _receive_records(peer: str, keys: Sequence[pa.Array], settings: AlignSettings) -> Runs:
    """The receiver's side of all levels in one run."""
    mine = Records.of(keys)
    least, terms = settings.minimum_overlap, _record_terms(settings, len(keys))
    terms |= {"records": True, "minimum": least if settings.reveal in SHUFFLED else 0}
    role = PROTOCOLS[settings.protocol].receiver
    found: Matches = yield "0", lambda context: role(context, peer, mine.items, **terms)
    if settings.reveal in SHUFFLED:
        return _without_rows(
            matched=found.count,
            size_receiver=mine.keyed,
            size_sender=found.size_peer,
            nulls=mine.nulls,
            duplicates=mine.repeats,
            places=found.peer,
        )
    chosen = paired(mine, found)
    if settings.reveal == "both":
        places = found.peer[chosen]
        yield "order", lambda context: ChosenReceiver(context, peer, places, least)
    else:
        enough(len(chosen), least)
    item = found.own[chosen]
    rows = mine.row[mine.record[item]]
    return Alignment(
        rows=rows,
        grade=mine.level[item],
        matched=len(chosen),
        size_receiver=mine.keyed,
        size_sender=found.size_peer,
        nulls=mine.nulls,
        duplicates=mine.repeats,
        entry=np.arange(len(rows)),
    )


def _send_records(peer: str, keys: Sequence[pa.Array], settings: AlignSettings) -> Runs:
    """The sender's side of all levels in one run."""
    mine = Records.of(keys)
    terms = _record_terms(settings, len(keys)) | {"records": mine.record}
    role = PROTOCOLS[settings.protocol].sender
    found: Matches = yield "0", lambda context: role(context, peer, mine.items, **terms)
    none = np.empty(0, np.int64)
    if settings.reveal != "both":
        placed = settings.reveal == "places"
        of_row = np.append(found.record, -1)[mine.of_row] if placed else none
        return _without_rows(
            matched=-1,
            size_receiver=found.size_peer,
            size_sender=mine.keyed,
            nulls=0,
            duplicates=0,
            places=of_row,
        )
    places = yield "order", lambda context: ChosenSender(context, mine.record[found.own])
    item = found.own[places]
    rows = mine.row[mine.record[item]]
    return Alignment(
        rows=rows,
        grade=mine.level[item],
        matched=len(rows),
        size_receiver=found.size_peer,
        size_sender=mine.keyed,
        nulls=mine.nulls,
        duplicates=mine.repeats,
        entry=np.arange(len(rows)),
    )


def _record_terms(settings: AlignSettings, levels: int) -> dict[str, Any]:
    reveal = settings.reveal if settings.reveal in SHUFFLED else "receiver"
    return {"reveal": reveal, "largest": min(LARGEST, settings.largest_set * levels)}


def _without_rows(**told: Any) -> Alignment:
    """An alignment of which this side learns counts or places only."""
    none = np.empty(0, np.int64)
    return Alignment(rows=none, grade=none.astype(np.uint8), **told)


def _counted_receiver(book: Book, found: Matches) -> Alignment:
    return _without_rows(
        matched=found.count,
        size_receiver=book.keyed,
        size_sender=found.size_peer,
        nulls=len(book.free) - book.keyed,
        duplicates=book.repeats,
        places=found.peer,
    )


def _counted_sender(book: Book, found: Matches, *, places: bool) -> Alignment:
    none = np.empty(0, np.int64)
    place = np.full(len(found.own) + 1, -1, np.int64)
    place[found.own] = np.arange(len(found.own))
    of_row = place[book.levels[-1].code] if places else none
    return _without_rows(
        matched=found.count,
        size_receiver=found.size_peer,
        size_sender=book.keyed,
        nulls=len(book.free) - book.keyed,
        duplicates=book.repeats,
        places=of_row,
    )


def _receiver(
    peer: str, items: Items, settings: AlignSettings, minimum: int, held: Held | None
) -> Build:
    terms: dict[str, Any] = {"reveal": settings.reveal, "largest": settings.largest_set}
    if held is not None:
        return lambda context: Receiver(context, peer, items, minimum=minimum, held=held, **terms)
    role = PROTOCOLS[settings.protocol].receiver
    return lambda context: role(context, peer, items, minimum=minimum, **terms)


def _sender(
    peer: str,
    items: Items,
    settings: AlignSettings,
    prepared: Prepared | None = None,
    keeper: TagKeeper | None = None,
) -> Build:
    terms: dict[str, Any] = {"reveal": settings.reveal, "largest": settings.largest_set}
    if prepared is not None and keeper is not None:
        kept: dict[str, Any] = {"prepared": prepared, "spend": keeper.spend}
        return lambda context: Sender(context, peer, items, **terms, **kept)
    role = PROTOCOLS[settings.protocol].sender
    return lambda context: role(context, peer, items, **terms)


def _tag_receiver(peer: str, held: Held | None, settings: AlignSettings) -> Build:
    return lambda context: TagReceiver(context, peer, held, largest=settings.largest_set)


def _tag_sender(peer: str, prepared: Prepared) -> Build:
    return lambda context: TagSender(context, peer, prepared)


def _order_receiver(peer: str, matches: Index, size: int, join: bool) -> Build:
    return lambda context: OrderReceiver(context, peer, matches, size, join)


def _order_sender(peer: str, counts: Index, join: bool) -> Build:
    return lambda context: OrderSender(context, peer, counts, join)
