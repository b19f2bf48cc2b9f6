"""What an installation can check of itself, for `fedprofile selftest`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from federated.keys.party_keys import PartyKeys
from federated.paillier import DEFAULT_BITS, MINIMUM_BITS
from federated.paillier import selfcheck as paillier
from federated.session.sealing import Handshake, SealedFrame
from psi.kernels import selfcheck as kernels
from psi.protocol import Envelope, PeerError, decode, encode

__all__ = ["checks"]

Check = tuple[str, bool, str]


def checks() -> Iterator[Check]:
    """Name, whether it holds, and what was found; runs for a few seconds."""
    yield from kernels.selfcheck()
    yield from paillier.selfcheck()
    bits = f"{DEFAULT_BITS} bits by default, {MINIMUM_BITS} at least"
    yield "Paillier key size", DEFAULT_BITS >= 3072 and MINIMUM_BITS >= 2048, bits
    yield _randomness()
    yield _sealing()


def _randomness() -> Check:
    """The operating system's generator answers, and not twice the same."""
    drawn = {secrets.token_bytes(32) for _ in range(64)}
    ones = sum(int.from_bytes(value, "big").bit_count() for value in drawn)
    good = len(drawn) == 64 and abs(ones - 64 * 128) < 6 * 64
    return "randomness from the operating system", good, "secrets.token_bytes"


def _sealing() -> Check:
    """A sealed frame opens at its receiver, and not once it was altered."""
    session, a, b = secrets.token_bytes(32), PartyKeys.generate("a"), PartyKeys.generate("b")
    first, second = Handshake(session, a, b.identity), Handshake(session, b, a.identity)
    answer, theirs = second.answer(first.hello())
    mine = first.finish(answer)
    frame = encode(mine.seal(Envelope(session, "selftest", "a", "b", 0, b"text")))
    altered = frame[:-1] + bytes([frame[-1] ^ 1])
    try:
        theirs.open(decode(altered, SealedFrame))
    except PeerError:
        opened = theirs.open(decode(frame, SealedFrame))
        good = opened is not None and opened.payload == b"text"
        return "sealed channels", good, "X25519 with ML-KEM-768, ChaCha20-Poly1305"
    return "sealed channels", False, "an altered frame was opened"
