"""A minimum that protects the sender: it counts the shared records before anything else is told.

One `cardinality` run goes first, in which the sender plays the receiver. With one level of keys it
learns how many items match. With several it counts records:

    sender    the keys of each record as a group of blinded points, all groups of one size,
              filled up with points of random items                          ──►   receiver
              ◄──  the points evaluated, groups shuffled, and shuffled within each; tags of its own
                   keys of all levels, each with its record's number sealed under the key's value

The sender sees a graph without names: which of its groups share a key with which numbers. A
connected part of it holds at least one pair, in whatever order records are paired, and nearly
always exactly one; the number of parts is the count. It is never more than the pairs that the
alignment then finds, and less only where records share keys crosswise. A record collapsed from
rows with many later keys may need several groups; all that are more than one are taken off the
count, and groups are made larger until they matter little.

The sender learns the graph: how many records are shared and by how many keys, but neither which
nor by which. The receiver learns the number of groups and their size. Adversary as in `ecdh`: a
receiver that lies about its records can pretend to share more.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import pyarrow as pa

from psi.align.levels import distinct_keys
from psi.align.protocols import PROTOCOLS
from psi.align.waterfall import Records, enough
from psi.ecdh import LARGEST, Matches
from psi.protocol import Context, Role

__all__ = ["let_count", "take_count"]

MOST = 16
"""How many times the number of levels a group may be."""
LITTLE = 20
"""Groups that are too many are this part of the minimum at most, if groups may grow so far."""

Run = Generator[tuple[str, Callable[[Context], Role[Any]]], Matches, None]


def let_count(peer: str, keys: Sequence[pa.Array], protocol: str, largest: int) -> Run:
    """The receiver's part."""
    role, terms = PROTOCOLS[protocol].sender, _terms(keys, largest)
    if len(keys) == 1:
        items = distinct_keys(keys[0]).items
        yield "count", lambda context: role(context, peer, items, **terms)
        return
    mine = Records.of(keys)
    terms |= {"records": mine.record, "groups": True}
    yield "count", lambda context: role(context, peer, mine.items, **terms)


def take_count(
    peer: str, keys: Sequence[pa.Array], protocol: str, largest: int, minimum: int
) -> Run:
    """The sender's part; raises `Refused` if fewer than `minimum` records are shared."""
    role, terms = PROTOCOLS[protocol].receiver, _terms(keys, largest)
    if len(keys) == 1:
        items = distinct_keys(keys[0]).items
        yield "count", lambda context: role(context, peer, items, minimum=minimum, **terms)
        return
    mine = Records.of(keys)
    size = len(keys)
    while size < MOST * len(keys) and mine.splits(size) * LITTLE > minimum:
        size *= 2
    terms |= {"records": True, "group": size, "minimum": 0}
    build = lambda context: role(  # noqa: E731
        context, peer, mine.grouped(size, context.random), **terms
    )
    found = yield "count", build
    enough(max(0, found.count - mine.splits(size)), minimum)


def _terms(keys: Sequence[pa.Array], largest: int) -> dict[str, Any]:
    return {"reveal": "cardinality", "largest": min(LARGEST, largest * MOST * len(keys))}
