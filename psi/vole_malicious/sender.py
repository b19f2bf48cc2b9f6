"""The sender: answers rows it has checked, proves its trees, believes matches that are held."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, cast

import numpy as np

from psi import vole
from psi.ecdh.items import Matches
from psi.protocol import Length, PeerError, Turn, message
from psi.vole import extension
from psi.vole.correlation import helper_leaves
from psi.vole.messages import AHEAD, Encoded, Extension, More, Opening, Report, Size
from psi.vole.parameters import parts_of
from psi.vole.secrets import KEY as HASH
from psi.vole.secrets import Session
from psi.vole.sender import Rows as Places
from psi.vole.sender import Words
from psi.vole.states import SECRET, Sending, Waiting
from psi.vole_malicious import checks
from psi.vole_malicious.evidence import reported
from psi.vole_malicious.messages import Challenge, Evidence, Half, Hash, Proof, Rows
from psi.vole_malicious.parameters import CHECKED

__all__ = ["Sender"]

_ELEMENT = 16


@message(0x14)
@dataclass(frozen=True)
class Proving(Sending):
    """Sender: also the proof of rows to come, and the trees' values so far with their number.

    `products` are those of the trees' check in chunks that wait for their challenge; `evidence` is
    for the report.
    """

    sums: Annotated[bytes, Length(2 * checks.HASHES * _ELEMENT)] = b""
    digest: Hash = b""
    products: Annotated[bytes, Length(AHEAD * _ELEMENT)] = b""
    trees: Hash = b""
    challenged: Size = 0
    evidence: Half = b""


class Sender(vole.Sender):
    """Holds the secret Δ; learns sizes, and in `both` what the receiver reports.

    Args:
        context: session, step, this party's name, its randomness and its store.
        peer: the name of the other party.
        items: this party's, each once.
        reveal: "receiver" or "both": who learns what; both sides say the same.
        largest: most items that the other party may have; more are refused.
    """

    transitions: ClassVar = {
        (Waiting, Opening): "on_opening",
        (Proving, Rows): "on_rows",
        (Proving, Extension): "on_extension",
        (Proving, Challenge): "on_challenge",
        (Proving, Encoded): "on_encoded",
        (Proving, More): "on_more",
        (Proving, Evidence): "on_evidence",
        (Proving, Report): "on_report",
    }
    sending = Proving
    suite = CHECKED

    def on_rows(self, state: Proving, rows: Rows, peer: str) -> Turn[Matches]:
        del peer
        if state.digest or rows.chunk != state.extended:
            raise PeerError("a proof of rows that is not due")
        if len(rows.sums) != 2 * checks.HASHES or len(rows.digest) != HASH:
            raise PeerError("a proof of rows of another form than the protocol's")
        sums = rows.sums.astype("<u8").tobytes()
        return Turn(replace(state, sums=sums, digest=rows.digest))

    def _checked(self, state: Sending, part: Extension, chosen: Words, helped: Words) -> Sending:
        state = cast(Proving, state)
        if not state.digest or state.extended >= state.challenged + AHEAD:
            raise PeerError("an extension without the proof of its rows, or ahead of its time")
        rows, secrets = (chosen, helped), (state.secrets[:SECRET], state.secrets[SECRET:])
        sums = np.frombuffer(state.sums, "<u8").reshape(-1, 2)
        if not checks.verify(
            Session(state.coin),
            part.chunk,
            (part.transfers, part.products),
            rows,
            secrets,
            sums,
            state.digest,
        ):
            raise PeerError("rows of an extension that hide different inputs")
        place = 2 * self._correlation(state, part.chunk).trees
        product = extension.products(np.ascontiguousarray(helped[:, place : place + 2]))
        kept = state.products + product.astype("<u8").tobytes()
        return replace(state, sums=b"", digest=b"", products=kept)

    def on_challenge(self, state: Proving, challenge: Challenge, peer: str) -> Turn[Matches]:
        """The value of a chunk's trees; made again from the seed, for the vector has their room."""
        del peer
        chunk = challenge.chunk
        if chunk != state.challenged or chunk >= state.extended:
            raise PeerError("a challenge that is not due")
        if len(challenge.seed) != HASH:
            raise PeerError("a challenge of another form than the protocol's")
        session, vector = Session(state.coin), self._correlation(state, chunk)
        room = self._rooms.take(vector)
        helper_leaves(state.seed, session, chunk, vector, room)
        weighing = checks.tree_weights(challenge.seed, vector)
        product = np.frombuffer(state.products[:_ELEMENT], "<u8").astype(np.uint64)
        value = checks.leaves_value(room, weighing, product)
        self._rooms.give(room)
        digest = checks.tree_digest(session, state.trees, chunk, value)
        kept = state.products[_ELEMENT:]
        return Turn(replace(state, products=kept, trees=digest, challenged=chunk + 1))

    def on_encoded(self, state: Sending, part: Encoded, peer: str) -> Turn[Matches]:
        parts, challenged = parts_of(self._shape(state)), cast(Proving, state).challenged
        if part.part >= len(parts) or parts[part.part].chunk >= challenged:
            raise PeerError("a part of the store before the challenge of its trees")
        return super().on_encoded(state, part, peer)

    def _give(self, state: Sending) -> Turn[Matches]:
        turn = super()._give(state)
        if state.tagged:
            return turn
        return replace(
            turn, messages=[(self._peer, Proof(cast(Proving, state).trees)), *turn.messages]
        )

    def on_evidence(self, state: Proving, shown: Evidence, peer: str) -> Turn[Matches]:
        del peer
        if state.evidence or not self._all_given(state):
            raise PeerError("evidence that is not due")
        if len(shown.total) != _ELEMENT:
            raise PeerError("evidence of another form than the protocol's")
        return Turn(replace(state, evidence=shown.total))

    def on_report(self, state: Sending, report: Report, peer: str) -> Turn[Matches]:
        if not cast(Proving, state).evidence:
            raise PeerError("a report before its evidence")
        return super().on_report(state, report, peer)

    def _believe(self, state: Sending, places: Places) -> None:
        parts = len(parts_of(self._shape(state)))
        total = reported(self.context.store, parts, places, len(self._items))
        if not hmac.compare_digest(total, cast(Proving, state).evidence):
            raise PeerError("a report of items that the receiver does not hold")
