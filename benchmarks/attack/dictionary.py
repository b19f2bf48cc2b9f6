"""A receiver that lies in one set intersection tests any identifier offline: the dictionary.

Under plain `vole` the receiver's message may be uneven: it flips one bit of a row at one tree of
its own, for groups of a dozen of the sender's 128 secret bits. A shared record whose tag depends
on one group only is then a test of that group's bits: 2^12 tries each. With all 128 the receiver
computes the sender's tag of any identifier, and looks it up among those that it was sent.

The sender is the product's unmodified role; whether a node would run plain `vole` at all is for its
policy, so whole jobs are played beside it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.attack.data import Bound, bound
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.world import World, heading, why
from psi import vole
from psi.align import PROTOCOLS, choose
from psi.ecdh import Items
from psi.identifiers import key_buffer
from psi.kernels.gf128 import add_products
from psi.kernels.tag_lists import unpack_tags
from psi.protocol import Context, FedprofileError, Pair
from psi.vole.correlation import Rooms, owner_vectors
from psi.vole.items import Binned, tags_of
from psi.vole.parameters import chunk_of
from psi.vole.secrets import Session

__all__ = ["intersection"]

GROUP = 12
GROUPS = tuple(range(at, min(128, at + GROUP)) for at in range(0, 128, GROUP))
ROWS = 500
# shared records enough that some depend on one group alone, and the sender's that nobody asked for
SHARED, HIDDEN, TESTED = 2000, 3000, 20_000


def intersection(scale: Scale) -> Iterator[Finding]:
    """Plain vole against a liar; and whether a new node would run it."""
    who, what = "receiver, lies: uneven rows", "of the sender's records it never asked for, named"
    try:
        share = _played(SHARED, HIDDEN, TESTED if scale.full else 2 * (SHARED + HIDDEN))
        yield Finding(
            attack="",
            protocol="set intersection, vole",
            data=f"invented, {SHARED + HIDDEN:,} records",
            who=who,
            what=what,
            figure=share,
            baseline=0.0,
        )
    except FedprofileError as error:
        yield Finding(
            attack="",
            protocol="set intersection, vole",
            data="invented",
            who=who,
            what=what,
            figure=None,
            baseline=0.0,
            refused=why(error),
        )
    for name in scale.sets[:1]:
        found = bound(name)
        found = found.take(np.arange(min(ROWS, len(found.own))))
        allowed, refusals = set[str](), list[str]()
        for protocol in PROTOCOLS:
            try:
                _job(found, protocol)
                allowed.add(protocol)
            except FedprofileError as error:
                refusals.append(why(error))
        taken, _ = choose([(10**6, 10**6)], allowed)
        yield Finding(
            attack="",
            protocol="set intersection, whole jobs",
            data=f"{name}, {len(found.own):,} rows",
            who="receiver",
            what='plain vole under the default policy: 1 if "auto" takes it for 10^6 '
            "records a side",
            figure=float(taken == "vole"),
            baseline=0.0,
            bar=0.0,
            more={"auto": taken, "allowed": sorted(allowed), "refusals": refusals},
        )


def _job(found: Bound, protocol: str) -> None:
    """One job that names the protocol, at a new node."""
    column = found.features[1][0]
    world = World(found.partner.select(["id", column]), {column: "aggregate"})
    job = (
        heading(align=f'protocol = "{protocol}"')
        + f"""
[[aggregate]]
by = "bank.segment"
measures = ["partner.{column}:count"]
minimum_group = 20
"""
    )
    bank = pa.table({"id": found.own.column("id"), "segment": ["all"] * len(found.own)})
    world.run(job, bank)


class _Liar(vole.Receiver):
    """Flips one bit of the rows of each group at one tree; keeps what it sees."""

    def places(self, vector: Any) -> list[int]:
        """A tree of its own for each group."""
        return [vector.trees * 11 // 20 + 3 * number for number in range(len(GROUPS))]

    def _own(self, state: Any, chunk: Any) -> Any:
        first, rows = super()._own(state, chunk)
        for group, tree in zip(GROUPS, self.places(self._correlation(0)), strict=True):
            for bit in group:
                rows[bit, 2 * tree] ^= np.uint64(1)
        return first, rows

    def _leaves(self, state: Any, chunk: Any, sums: Any, totals: Any) -> Any:
        self.noise = self._owned[chunk][0]
        return super()._leaves(state, chunk, sums, totals)

    def _vectors(self, state: Any, room: Any, chunk: Any) -> Any:
        both: Any = super()._vectors(state, room, chunk)
        self.both = both.copy()
        return both

    def on_tags(self, state: Any, part: Any, peer: str) -> Any:
        found: Any = unpack_tags(part.first, part.steps, part.rests, self._form(state).leading)
        self.tags = [*getattr(self, "tags", []), found.copy()]
        self.last = state
        return super().on_tags(state, part, peer)


def _played(shared: int, hidden: int, tested: int) -> float:
    """Share of the sender's unshared records that the liar names out of a dictionary."""
    names = [f"{number:018d}" for number in range(tested)]
    order = np.random.default_rng(11).permutation(tested)
    common = [names[at] for at in order[:shared]]
    only = [names[at] for at in order[shared : shared + hidden]]
    liar = _Liar(_context("r"), "s", _items(common), reveal="receiver", minimum=0, largest=10**7)
    sender = vole.Sender(
        _context("s"), "r", _items(sorted(common + only)), reveal="receiver", largest=10**7
    )
    sent: list[Any] = []
    masked = liar._set.masked

    def keep(session: Any, chunk: Any, both: Any) -> Any:
        found, rest = masked(session, chunk, both)
        sent.append(found ^ liar.both[: len(found), :2])
        return found, rest

    liar._set.masked = keep  # type: ignore[method-assign]
    Pair(liar, sender).run()
    member = _tested(liar, _items(common), _items(names), sent[0])
    if member is None:
        return 0.0
    found = {names[at] for at in member}
    return len(found & set(only)) / hidden


def _tested(liar: _Liar, own: Items, every: Items, products: Any) -> np.ndarray | None:
    """Which of `every` the sender holds, by the secret found from the spoiled tags."""
    session, shape = Session(liar.last.coin), liar._shape
    form, vector, whole = liar._form(liar.last), liar._correlation(0), chunk_of(shape, 0)
    told = {(int(a), int(b)) for a, b in np.concatenate(liar.tags)}
    digests, starts = Binned(own, session, shape).part(whole)
    plain = liar.both[: whole.high, 2:].copy()

    def tags(values: Any, of: Any = digests, at: Any = starts, secret: Any = None) -> Any:
        more = () if secret is None else (secret,)
        return tags_of(of, at, shape, np.ascontiguousarray(values), session, form, *more)[0]

    hit, touched = [], []
    before = tags(plain)
    for tree in liar.places(vector):
        room = Rooms(2).take(vector)
        room[:] = 0
        room[(tree << vector.depth) + liar.noise.places[tree], 2] = 1
        hit.append(owner_vectors(room, session, 0, vector)[: whole.high, 2].copy() != 0)
        other = plain.copy()
        other[hit[-1], 0] ^= np.uint64(0x9E3779B97F4A7C15)
        touched.append((tags(other) != before).any(axis=1))
    depends = np.array(touched)
    left, secret, fixed = set(range(len(GROUPS))), np.zeros(2, np.uint64), plain.copy()
    while left:
        alone = np.flatnonzero(depends[sorted(left)].sum(axis=0) == 1)
        word = next(
            (w for item in alone.tolist() if (w := _bits(
                item, left, depends, hit, fixed, starts, digests, told, tags)) is not None),
            None,
        )  # fmt: skip
        if word is None:
            return None
        group, bits = word
        fixed[hit[group]] ^= bits
        secret |= bits
        left.discard(group)
    keys = fixed.copy()
    add_products(keys, np.ascontiguousarray(products), secret)
    wide = Binned(every, session, shape)
    digests, starts = wide.part(whole)
    found = tags(keys, digests, starts, secret)
    return np.asarray(wide.index[[(int(a), int(b)) in told for a, b in found]])


def _bits(
    item: int, left: set[int], depends: Any, hit: Any, fixed: Any, starts: Any, digests: Any,
    told: set[tuple[int, int]], tags: Any,
) -> tuple[int, Any] | None:  # fmt: skip
    """The bits of the one unknown group that this item's tag depends on."""
    group = next(k for k in left if depends[k, item])
    bin_of = int(np.searchsorted(starts, item, side="right") - 1)
    alone = np.zeros_like(starts)
    alone[bin_of + 1 :] = 1
    for guess in range(1 << len(GROUPS[group])):
        word = np.zeros(2, np.uint64)
        for place, bit in enumerate(GROUPS[group]):
            if guess >> place & 1:
                word[bit // 64] |= np.uint64(1) << np.uint64(bit % 64)
        values = fixed.copy()
        values[hit[group]] ^= word
        one = tags(values, digests[item : item + 1], alone)[0]
        if (int(one[0]), int(one[1])) in told:
            return group, word
    return None


def _items(values: list[str]) -> Items:
    return Items(*key_buffer(pa.array(values, pa.large_string())))


def _context(party: str) -> Context:
    return Context(bytes(32), "align/x/0", party, secrets.token_bytes)
