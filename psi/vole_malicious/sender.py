"""The sender: answers rows it has checked, and proves its trees before it gives a tag."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, cast

import numpy as np

from psi import vole
from psi.ecdh.items import Matches
from psi.protocol import Length, PeerError, Turn, message
from psi.vole import extension
from psi.vole.base_ot import BaseTransfers
from psi.vole.correlation import helper_leaves
from psi.vole.extension import BASE
from psi.vole.messages import AHEAD, Encoded, Extension, More, Opening, Report, Size
from psi.vole.parameters import Vector, parts_of
from psi.vole.secrets import KEY as HASH
from psi.vole.secrets import Session
from psi.vole.sender import Sending, Waiting, Words
from psi.vole_malicious import base_ot, checks, parameters
from psi.vole_malicious.messages import Challenge, Hash, Proof, Rows

__all__ = ["Sender"]

_SECRET = BASE // 8
_ELEMENT = 16


@message(0x6C)
@dataclass(frozen=True)
class Proving(Sending):
    """Sender: also the proof of rows to come, and the trees' values so far with their number.

    `products` are those of the trees' check in chunks that wait for their challenge.
    """

    sums: Annotated[bytes, Length(2 * checks.HASHES * _ELEMENT)] = b""
    digest: Hash = b""
    products: Annotated[bytes, Length(AHEAD * _ELEMENT)] = b""
    trees: Hash = b""
    challenged: Size = 0


class Sender(vole.Sender):
    """Holds the secret Δ; learns sizes, and in `both` what the receiver reports."""

    transitions: ClassVar = {
        (Waiting, Opening): "on_opening",
        (Proving, Rows): "on_rows",
        (Proving, Extension): "on_extension",
        (Proving, Challenge): "on_challenge",
        (Proving, Encoded): "on_encoded",
        (Proving, More): "on_more",
        (Proving, Report): "on_report",
    }
    sending = Proving
    transfers: ClassVar[BaseTransfers] = base_ot
    name = "vole-malicious"

    def _correlation(self, state: Sending, chunk: int) -> Vector:
        return parameters.correlation(self._shape(state), chunk)

    def _width(self, state: Sending) -> int:
        del state
        return parameters.TAG

    def _inputs(self, vector: Vector) -> tuple[int, int]:
        return parameters.inputs(vector)

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
        rows, secrets = (chosen, helped), (state.secrets[:_SECRET], state.secrets[_SECRET:])
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
        room = helper_leaves(state.seed, session, chunk, vector)[0]
        weighing = checks.tree_weights(challenge.seed, vector)
        product = np.frombuffer(state.products[:_ELEMENT], "<u8").astype(np.uint64)
        value = checks.leaves_value(room, weighing, product)
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
