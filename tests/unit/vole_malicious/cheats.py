"""Parties that cheat, one strategy each, for the plain protocol and for the checked one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import pyarrow as pa

from psi import vole, vole_malicious
from psi.ecdh import Items, Matches
from psi.identifiers import key_buffer
from psi.kernels.curve25519 import multiply_each
from psi.kernels.scalars import random_scalar
from psi.protocol import Context, Envelope, Pair, Role, decode, encode
from psi.protocol.codec import _BY_TYPE
from psi.vole import base_ot
from psi.vole.correlation import Noise, owner_noise
from psi.vole.extension import BASE, owner_rows
from psi.vole.messages import Report
from psi.vole.own_set import OwnSet
from psi.vole.parameters import store_for
from psi.vole.suite import PLAIN, Suite
from psi.vole_malicious import base_ot as checked_ot
from psi.vole_malicious.parameters import CHECKED

SIZE = 40


def items(values: Iterable[int]) -> Items:
    return Items(*key_buffer(pa.array([str(v) for v in values], pa.large_string())))


def context(party: str) -> Context:
    return Context(bytes(32), "x", party, secrets.token_bytes)


R = TypeVar("R", bound=vole.Receiver)
S = TypeVar("S", bound=vole.Sender)


def roles(
    receiver: type[R], sender: type[S], count: int = SIZE, reveal: str = "both"
) -> tuple[R, S]:
    """Both roles, of the same items."""
    both = items(range(count))
    return (
        receiver(context("r"), "s", both, reveal=reveal, minimum=0, largest=10**6),
        sender(context("s"), "r", both, reveal=reveal, largest=10**6),
    )


def run(
    *both: Role[Matches],
    change: dict[type, Callable[[Any], Any]] | None = None,
    left_out: type | None = None,
) -> int:
    """How many items match where messages are changed on the way, or left out."""
    sent: dict[str, int] = {}

    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        kind = _BY_TYPE[envelope.payload[1]]
        if kind is left_out:
            return
        at = sent.get(envelope.sender, 0)
        sent[envelope.sender] = at + 1
        if change and kind in change:
            changed = change[kind](decode(envelope.payload, kind))
            envelope = replace(envelope, payload=encode(changed))
        yield encode(replace(envelope, sequence=at))

    found: dict[str, Matches] = Pair(*both, wire=wire).run()
    assert found["s"].count in (-1, found["r"].count)
    return found["r"].count


class _Open:
    """Keeps what the test asks for: the sender's secrets, the receiver's seed."""

    secrets: np.ndarray
    seed: bytes

    def on_opening(self, *args: Any) -> Any:
        turn = super().on_opening(*args)  # type: ignore[misc]
        self.secrets = np.unpackbits(
            np.frombuffer(turn.state.secrets, np.uint8), bitorder="little"
        ).reshape(2, BASE)
        return turn

    def on_answer(self, *args: Any) -> Any:
        turn = super().on_answer(*args)  # type: ignore[misc]
        self.seed = turn.state.seed
        return turn

    def noise(self) -> Noise:
        """The receiver's noise of its only chunk."""
        return owner_noise(self.seed, 0, self._correlation(0))  # type: ignore[attr-defined]


class _UnevenRows(_Open):
    """A receiver that hides another input in some rows, in the place of one tree.

    That tree lies where about every second element of the correlation depends on it.
    """

    uneven: tuple[int, ...] = ()
    which = 0

    def _spoil(self, messages: tuple[np.ndarray, np.ndarray]) -> None:
        vector = self._correlation(0)  # type: ignore[attr-defined]
        tree = vector.trees * 11 // 20
        if self.which == 0:
            bit = tree * vector.depth
            messages[0][list(self.uneven), bit // 64] ^= np.uint64(1 << bit % 64)
        else:
            messages[1][list(self.uneven), 2 * tree] ^= np.uint64(1)


class UnevenPlain(_UnevenRows, vole.Receiver):
    def _own(self, state: Any, chunk: int) -> Any:
        messages = super()._own(state, chunk)
        self._spoil(messages)
        return messages


class UnevenChecked(_UnevenRows, vole_malicious.Receiver):
    def _rows(self, state: Any, chunk: int) -> Any:
        messages, *rest = super()._rows(state, chunk)
        self._spoil(messages)
        return messages, *rest


class _Overfull:
    """A receiver that puts more items into its store than it states: `SIZE`."""

    _items: Items

    def begin(self) -> Any:
        self._shape = store_for(SIZE)
        self._set = OwnSet(self._items, self._shape)
        return self._stating(super().begin)  # type: ignore[misc]

    def on_answer(self, *args: Any) -> Any:
        return self._stating(lambda: super(_Overfull, self).on_answer(*args))  # type: ignore[misc]

    def _stating(self, turn: Callable[[], Any]) -> Any:
        real, self._items = self._items, items(range(SIZE))
        try:
            return turn()
        finally:
            self._items = real


class OverfullPlain(_Overfull, vole.Receiver):
    pass


class OverfullChecked(_Overfull, vole_malicious.Receiver):
    pass


class OpenReceiver(_Open, vole.Receiver):
    """Follows the protocol."""


class OpenCheckedReceiver(_Open, vole_malicious.Receiver):
    """Follows the protocol."""


class OpenSender(_Open, vole.Sender):
    """Follows the protocol."""


class OpenCheckedSender(_Open, vole_malicious.Sender):
    """Follows the protocol."""


class BothLogarithms:
    """A chooser that knows the logarithms of both points it sends."""

    def __init__(self) -> None:
        self.both = np.empty((0, 2, base_ot.KEY), np.uint8)

    offer, give = staticmethod(base_ot.offer), staticmethod(base_ot.give)

    def choose(self, point: bytes, bits: Any, session: bytes, random: Any) -> Any:
        count = 2 * len(bits)
        scalars = np.frombuffer(
            b"".join((8 * random_scalar(random)).to_bytes(32, "little") for _ in range(count)),
            np.uint8,
        ).reshape(count, 32)
        points = multiply_each(base_ot._generator(count), scalars)
        given = np.frombuffer(point, np.uint8).reshape(1, 32)
        shared = multiply_each(np.repeat(given, count, axis=0), scalars)
        keys = b"".join(
            base_ot._hash(session, i, point, points[i], shared[i]) for i in range(count)
        )
        self.both = np.frombuffer(keys, np.uint8).reshape(-1, 2, base_ot.KEY)
        return points, self.both[np.arange(len(bits)), bits]


class BothLogarithmsChecked(BothLogarithms):
    """The same where the giver adds hashes to the points: it has the keys of what it sent."""

    give = staticmethod(checked_ot.give)

    def choose(self, point: bytes, bits: Any, session: bytes, random: Any) -> Any:
        points, _ = super().choose(point, bits, session, random)
        numbers = np.arange(len(points))
        pairs = np.repeat(points.reshape(-1, 2, 32), 2, axis=0)
        # the Diffie-Hellman values of the points without their hashes: all it can have
        keys = checked_ot._keys(numbers, point, pairs, points, session)
        self.both = keys.reshape(-1, 2, base_ot.KEY)
        return points, self.both[np.arange(len(bits)), bits]


class _Reader:
    """A sender that takes the difference of both streams off each extension."""

    read: list[np.ndarray]

    def on_extension(self, state: Any, part: Any, peer: str) -> Any:
        both = self.suite.transfers.both  # type: ignore[attr-defined]
        self.read = [
            owner_rows(keys, part.chunk, np.zeros(message.shape[1], np.uint64))[0] ^ message
            for keys, message in (
                (both[:BASE], part.transfers),
                (both[BASE:], part.products),
            )
        ]
        return super().on_extension(state, part, peer)  # type: ignore[misc]


class ReaderPlain(_Reader, vole.Sender):
    suite: ClassVar[Suite] = replace(PLAIN, transfers=BothLogarithms())


class ReaderChecked(_Reader, vole_malicious.Sender):
    suite: ClassVar[Suite] = replace(CHECKED, transfers=BothLogarithmsChecked())


class _Boaster:
    """A receiver that reports tags of items that it does not hold."""

    lies: int = 1

    def _told(self, own: Any, peer: Any) -> list[Any]:
        others = np.setdiff1d(np.arange(SIZE), peer)[: self.lies]
        *first, report = super()._told(own, peer)  # type: ignore[misc]
        places = np.concatenate([report.places, others.astype(np.uint32)])
        return [*first, Report(len(places), 0, places)]


class BoasterPlain(_Boaster, vole.Receiver):
    pass


class BoasterChecked(_Boaster, vole_malicious.Receiver):
    pass
