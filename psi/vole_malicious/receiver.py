"""The receiver: proves its rows, holds the sender to its trees, shows that it holds its matches."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from psi import vole
from psi.ecdh.items import Matches
from psi.protocol import PeerError, Turn, message
from psi.vole import extension
from psi.vole.base_ot import KEY
from psi.vole.correlation import owner_noise
from psi.vole.extension import BASE
from psi.vole.messages import Answer, Extension, Tags, Trees
from psi.vole.receiver import Words
from psi.vole.secrets import Session, derive, words
from psi.vole.states import Opened, Receiving
from psi.vole_malicious import checks
from psi.vole_malicious.evidence import held
from psi.vole_malicious.messages import Challenge, Evidence, Hash, Proof, Rows
from psi.vole_malicious.parameters import CHECKED

__all__ = ["Receiver"]


@message(0x13)
@dataclass(frozen=True)
class Checking(Receiving):
    """Receiver: also the hash of all trees' values so far; once the sender's fits it, `proven`."""

    trees: Hash = b""
    proven: bool = False


class Receiver(vole.Receiver):
    """Learns which of its items the sender has.

    Args:
        context: session, step, this party's name, its randomness and its store.
        peer: the name of the other party.
        items: this party's, each once.
        reveal: "receiver" or "both": who learns what; both sides say the same.
        minimum: fewest matches that are told; below it the run is refused.
        largest: most items that the other party may have; more are refused.
    """

    transitions: ClassVar = {
        (Opened, Answer): "on_answer",
        (Checking, Trees): "on_trees",
        (Checking, Proof): "on_proof",
        (Checking, Tags): "on_tags",
    }
    receiving = Checking
    suite = CHECKED

    def _extend(self, state: Receiving, chunk: int, coin: bytes) -> list[Any]:
        session = Session(state.coin)
        messages, inputs, rows = self._rows(state, chunk)
        sums, digest = checks.prove(session, chunk, messages, inputs, rows)
        return [Rows(chunk, sums, digest), Extension(chunk, coin, *messages)]

    def _own(self, state: Receiving, chunk: int) -> tuple[Words, Words]:
        return self._rows(state, chunk)[0]

    def _rows(
        self, state: Receiving, chunk: int
    ) -> tuple[tuple[Words, Words], tuple[Words, Words], tuple[Words, Words]]:
        """Messages, inputs and own rows, of transfers and products each."""
        session, vector = Session(state.coin), self._correlation(chunk)
        keys = np.frombuffer(state.keys, np.uint8).reshape(2, BASE, 2, KEY)
        noise = owner_noise(state.seed, chunk, vector)
        count = len(noise.bits)
        total = checks.checksum(noise, self._weights(state, chunk))
        ends = words(derive(state.seed, "row ends"), chunk, 4 * checks.HASHES).reshape(2, -1)
        bits, values = extension.bit_row(noise.bits), noise.values.reshape(-1)
        inputs = np.concatenate([bits, ends[0]]), np.concatenate([values, total, ends[1]])
        transfers, chosen = extension.owner_rows(keys[0], chunk, inputs[0])
        products, helped = extension.owner_rows(keys[1], chunk, inputs[1])
        known = extension.owner_keys(chosen, chunk, count, session.key("transfers"))
        self._owned[chunk] = noise, known, extension.products(helped)
        return (transfers, products), inputs, (chosen, helped)

    def _weights(self, state: Receiving, chunk: int) -> tuple[Words, Words]:
        return checks.tree_weights(checks.tree_seed(state.seed, chunk), self._correlation(chunk))

    def _planted(self, state: Receiving, room: Words, own: Words) -> Turn[Matches]:
        state = cast(Checking, state)
        chunk, vector = state.chunk, self._correlation(state.chunk)
        value = checks.leaves_value(room, self._weights(state, chunk), own[vector.trees])
        digest = checks.tree_digest(Session(state.coin), state.trees, chunk, value)
        turn = super()._planted(replace(state, trees=digest), room, own)
        challenge = Challenge(chunk, checks.tree_seed(state.seed, chunk))
        return replace(turn, messages=[(self._peer, challenge), *turn.messages])

    def on_proof(self, state: Checking, proof: Proof, peer: str) -> Turn[Matches]:
        del peer
        if state.proven or state.chunk < self._shape.chunks:
            raise PeerError("a proof that is not due")
        if not hmac.compare_digest(proof.digest, state.trees):
            raise PeerError("trees that are not those of the sender's correlation")
        return Turn(replace(state, proven=True))

    def on_tags(self, state: Receiving, part: Tags, peer: str) -> Turn[Matches]:
        if not cast(Checking, state).proven:
            raise PeerError("tags before the proof of the trees")
        return super().on_tags(state, part, peer)

    def _told(self, own: np.ndarray, peer: np.ndarray) -> list[Any]:
        total = held(self.context.store, self._shape.chunks, own, len(self._items))
        return [Evidence(total), *super()._told(own, peer)]
