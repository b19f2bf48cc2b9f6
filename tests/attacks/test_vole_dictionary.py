"""Plain VOLE and a receiver that lies in one run, unseen: it reads the sender's secret, and with it
the sender's set by dictionary.

The liar makes the rows of a group of the products' message uneven: one bit flipped at one tree of
its own (docs/protocols/vole_psi.md, "Adversary"). The tag of a shared item that depends on that
leaf is then off by the group's bits of the secret, which 2^width tries tell. The sender is the
unmodified role. `auto` never takes this protocol, and no policy allows it that does not name it;
the one with checks ends the run (tests/unit/vole_malicious/test_cheats.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated.approval.policy import ONE_PROCESS, Limits, Policy
from federated.approval.policy_file import load_policy
from federated.approval.policy_words import doubts
from federated.contract.kinds.align import chosen_protocol
from federated.contract.summary import in_words
from federated.contract.terms import suites_for
from federated.tables.source import MemorySource
from psi import vole
from psi.align import ALTERNATIVE, LARGE, PROTOCOLS, choose
from psi.ecdh import Items
from psi.identifiers import key_buffer
from psi.kernels.gf128 import add_products
from psi.kernels.tag_lists import unpack_tags
from psi.protocol import Context, Declined, Pair, PeerError
from psi.vole.correlation import Rooms, owner_vectors
from psi.vole.items import Binned, tags_of
from psi.vole.parameters import chunk_of
from psi.vole.secrets import Session
from tests.attacks.test_terms import JOB as ROWS_JOB
from tests.attacks.world import World, drafted

QUICK = [range(10)]
WHOLE = [range(a, min(128, a + 12)) for a in range(0, 128, 12)]


def items(values: Sequence[str]) -> Items:
    return Items(*key_buffer(pa.array(values, pa.large_string())))


def context(party: str) -> Context:
    return Context(b"\1" * 32, "align/x/0", party, secrets.token_bytes)


class Liar(vole.Receiver):
    """Spoils a tree of its own for each of `groups` of rows, and keeps all it sees."""

    groups: Sequence[range] = ()
    tags: list[np.ndarray]
    seen: Any = None
    noise: Any = None
    both: Any = None

    def trees(self) -> list[int]:
        """The tree that each group spoils."""
        return [self._correlation(0).trees * 11 // 20 + 3 * g for g in range(len(self.groups))]

    def _own(self, state: Any, chunk: int) -> Any:
        a, b = super()._own(state, chunk)
        for group, tree in zip(self.groups, self.trees(), strict=True):
            for row in group:
                b[row, 2 * tree] ^= np.uint64(1)
        return a, b

    def _leaves(self, state: Any, chunk: int, sums: Any, totals: Any) -> Any:
        self.noise = self._owned[chunk][0]
        return super()._leaves(state, chunk, sums, totals)

    def _vectors(self, state: Any, room: Any, chunk: Any) -> Any:
        both = super()._vectors(state, room, chunk)
        self.both = np.array(both)
        return both

    def on_tags(self, state: Any, part: Any, peer: str) -> Any:
        leading = self._form(state).leading
        found = np.array(unpack_tags(part.first, part.steps, part.rests, leading))
        self.seen, self.tags = state, [*getattr(self, "tags", []), found]
        return super().on_tags(state, part, peer)


class Played:
    """One run, and what the liar works out of it offline."""

    def __init__(self, mine: Sequence[str], theirs: Sequence[str], groups: Sequence[range]) -> None:
        sides: Any = {"minimum": 0, "largest": 10**7}
        self.liar = Liar(context("r"), "s", items(mine), reveal="receiver", **sides)
        self.liar.groups = groups
        self.sent: Any = None
        sender = vole.Sender(context("s"), "r", items(theirs), reveal="receiver", largest=10**7)
        self.secret, opening, masked = (
            np.zeros(2, np.uint64),
            sender.on_opening,
            self.liar._set.masked,
        )

        def spy(*given: Any) -> Any:  # the test's eye on the truth, nothing of the attack
            turn = opening(*given)
            self.secret = np.frombuffer(turn.state.secrets[16:], "<u8")
            return turn

        def keep(session: Any, chunk: Any, both: Any) -> Any:
            out, columns = masked(session, chunk, both)
            self.sent = out ^ self.liar.both[: len(out), :2]
            return out, columns

        setattr(sender, "on_opening", spy)  # noqa: B010
        setattr(self.liar._set, "masked", keep)  # noqa: B010
        Pair(self.liar, sender).run()  # ends well at both
        self.session = Session(self.liar.seen.coin)
        self.shape, self.form = self.liar._shape, self.liar._form(self.liar.seen)
        self.vector, self.chunk = self.liar._correlation(0), chunk_of(self.liar._shape, 0)
        self.known = {(int(a), int(b)) for a, b in np.concatenate(self.liar.tags)}
        self.own = self.liar.both[: self.chunk.high, 2:].copy()
        self.digests, self.starts = Binned(items(mine), self.session, self.shape).part(self.chunk)

    def tag(self, values: np.ndarray, digests: Any = None, starts: Any = None) -> np.ndarray:
        one = self.digests if digests is None else digests
        begins = self.starts if starts is None else starts
        values = np.ascontiguousarray(values)
        return tags_of(one, begins, self.shape, values, self.session, self.form)[0]

    def spoiled(self, group: int) -> np.ndarray:
        """`bool[outputs]`: which depend on the group's leaf."""
        room, tree = Rooms(2).take(self.vector), self.liar.trees()[group]
        room[:] = 0
        room[(tree << self.vector.depth) + self.liar.noise.places[tree], 2] = 1
        made = owner_vectors(room, self.session, 0, self.vector)
        return np.asarray(made[: self.chunk.high, 2] != 0)

    def read_secret(self) -> np.ndarray:
        """The groups' bits of the sender's secret: all are tried, on an item of one group alone."""
        groups, marks = self.liar.groups, []
        plain, hit = self.tag(self.own), [self.spoiled(g) for g in range(len(self.liar.groups))]
        for outputs in hit:
            values = self.own.copy()
            values[outputs, 0] ^= np.uint64(0x9E3779B97F4A7C15)
            marks.append((self.tag(values) != plain).any(axis=1))
        touched, left = np.array(marks), set(range(len(groups)))
        found = np.zeros(2, np.uint64)
        while left:
            alone = np.flatnonzero(touched[sorted(left)].sum(axis=0) == 1)
            words = (self._by_item(int(item), hit, touched, left) for item in alone)
            group, word = next(both for both in words if both is not None)
            found |= word
            self.own[hit[group]] ^= word
            left.discard(group)
        return found

    def _by_item(self, item: int, hit: Any, touched: Any, left: set[int]) -> Any:
        group = next(g for g in left if touched[g, item])
        ends = np.zeros_like(self.starts)
        ends[int(np.searchsorted(self.starts, item, side="right")) :] = 1
        for guess in range(1 << len(self.liar.groups[group])):
            word = np.zeros(2, np.uint64)
            for place, row in enumerate(self.liar.groups[group]):
                word[row // 64] |= np.uint64((guess >> place & 1) << (row % 64))
            values = self.own.copy()
            values[hit[group]] ^= word
            one = self.tag(values, self.digests[item : item + 1], ends)[0]
            if (int(one[0]), int(one[1])) in self.known:
                return group, word
        return None

    def members(self, dictionary: Sequence[str], secret: np.ndarray) -> set[str]:
        """Which of a dictionary the sender has, by its own formula."""
        values = self.own.copy()
        add_products(values, np.ascontiguousarray(self.sent), secret)
        binned = Binned(items(dictionary), self.session, self.shape)
        digests, starts = binned.part(self.chunk)
        got = tags_of(digests, starts, self.shape, values, self.session, self.form, secret)[0]
        inside = np.array([(int(a), int(b)) in self.known for a, b in got])
        return {dictionary[place] for place in binned.index[inside]}


def sets(shared: int, hidden: int, size: int) -> tuple[list[str], list[str], list[str]]:
    rng = np.random.default_rng(secrets.randbits(64))
    dictionary = [f"{i:018d}" for i in range(size)]
    pick = [dictionary[i] for i in rng.permutation(size)[: shared + hidden]]
    return dictionary, pick[:shared], sorted(pick)


def test_a_lying_receiver_reads_bits_of_the_senders_secret_unseen() -> None:
    _, mine, theirs = sets(60, 20, 100)
    played = Played(mine, theirs, QUICK)
    assert played.read_secret()[0] == played.secret[0] & np.uint64(1023)


@pytest.mark.slow
def test_and_with_all_of_them_the_senders_set_by_dictionary() -> None:
    dictionary, mine, theirs = sets(1500, 300, 3000)
    played = Played(mine, theirs, WHOLE)
    secret = played.read_secret()
    assert (secret == played.secret).all()
    assert played.members(dictionary, secret) == set(theirs)


def test_auto_never_takes_it(tmp_path: Path) -> None:
    for size in (10, LARGE, 10**7):
        for allowed in (("vole",), ("ecdh", "vole"), tuple(PROTOCOLS)):
            assert choose([(size, size)], allowed)[0] != "vole"
    asked = drafted(tmp_path, ROWS_JOB.replace(', ["born"]', ""))
    assert (asked.align[0].protocol, asked.align[0].alternative) == ("ecdh", ALTERNATIVE)
    every = tuple(replace(p, rows=10**6, protocols=tuple(PROTOCOLS)) for p in asked.parties)
    assert chosen_protocol(replace(asked, parties=every))[0] == ALTERNATIVE
    for other in (
        replace(asked.align[0], alternative="vole"),
        replace(asked.align[0], protocol="vole"),
    ):
        bad = replace(asked, align=(other,), suites=suites_for((other,), asked.summed))
        with pytest.raises(PeerError, match="as alternative, vole-malicious to ecdh allowed"):
            bad.check()


def test_no_policy_allows_it_that_does_not_name_it(tmp_path: Path) -> None:
    asked = drafted(tmp_path, ROWS_JOB.replace("[align]", '[align]\nprotocol = "vole"'))
    asked.check()
    assert any("whole set by dictionary" in line for line in in_words(asked))
    table = pa.table({"id": ["1"], "born": ["1"], "loans": [1.0]})
    source, me = MemorySource({"bureau.people": table}), asked.party("bureau")
    new = World(tmp_path, table, {}).policy
    star = Policy(limits=Limits(protocols=("*",)))
    for policy in (Policy(), new, star, load_policy(tmp_path / "none.toml")):
        with pytest.raises(Declined, match="protocol 'vole' asked, ecdh or vole-malicious allowed"):
            policy.approve(asked, me, source)
    for named in (("vole",), ("*", "vole")):
        policy = Policy(limits=Limits(protocols=named))
        policy.approve(asked, me, source)
        assert any("can read the other's whole set" in line for line in doubts(policy, {}))
    ONE_PROCESS.approve(asked, me, source)  # a job that names it, with every table at hand
