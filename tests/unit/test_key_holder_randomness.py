"""Whatever goes back to a key holder carries r^n for a fresh uniform r, on every protocol's path.

A short exponent would do against anybody else. The key holder can take discrete logarithms where
its p-1 is smooth, and would read from it which rows were added up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from federated.aggregate import (
    Amount,
    AmountParty,
    CategoryParty,
    Grouping,
    MeasureParty,
    MeasureSlots,
    RowsReceiver,
    RowsSender,
    Section,
    SegmentParty,
    Statistic,
)
from federated.aggregate.history import followed, history_of
from federated.join_sum import SumReceiver, SumSender, place_values
from federated.paillier import EncryptedVector, PrivateKey
from psi.kernels.montgomery_words import from_words
from psi.protocol import Context, Pair, Role
from psi.protocol.codec import _BY_TYPE, decode
from tests.unit.paillier.keys import stream, toy_key

Roles = list[Role[Any]]


def context(party: str, protocol: str) -> Context:
    return Context(b"session", protocol, party, stream(f"{protocol} {party}"))


def aggregate(key: PrivateKey) -> tuple[str, Roles]:
    values = np.arange(24.0).reshape(12, 2)
    asked = (("a", Statistic.parse("mean")), ("b", Statistic.parse("sum")))
    section, grouping = Section(asked, 3), Grouping([*"xyz"], np.arange(12) % 3)
    slots, history = (
        MeasureSlots([section], 12, key.bits),
        history_of(np.arange(1, 13, dtype=np.uint64), (), 0),
    )
    counted = followed(history, np.isfinite(values), (), 3)
    added = Pair(
        RowsReceiver(context("bank", "rows"), [section], [grouping], key_bits=key.bits),
        RowsSender(context("bureau", "rows"), "bank", key, slots, values, [counted]),
    ).run()["bank"]
    bank = SegmentParty(
        context("bank", "aggregate"), "bureau", [section], 0, grouping, added,
        key_bits=key.bits,
    )  # fmt: skip
    bureau = MeasureParty(context("bureau", "aggregate"), key, slots.of(0), counted, history)
    return "bureau", [bank, bureau]


def category(key: PrivateKey) -> tuple[str, Roles]:
    values, codes = np.arange(12.0)[:, None], np.arange(12) % 3
    amounts = [Amount("a", 0, 100)]
    bank = AmountParty(
        context("bank", "category"), "bureau", key, amounts, values, [*"xyz"],
        epsilon=1000, segments=[*"uv"], codes=np.arange(12) % 2,
    )  # fmt: skip
    bureau = CategoryParty(
        context("bureau", "category"), codes, 3, amounts, epsilon=1000, minimum_group=3,
        parts=2, key_bits=key.bits, noise=lambda scales: [1] * len(scales),
    )  # fmt: skip
    return "bank", [bank, bureau]


def join_sum(key: PrivateKey) -> tuple[str, Roles]:
    values, places = np.arange(24.0).reshape(12, 2), np.arange(12)
    bank = SumReceiver(
        context("bank", "join_sum"), "bureau", places[:5], 12, ["a", "b"], [("a", "sum")],
        key_bits=key.bits,
    )  # fmt: skip
    placed = place_values(values, places, ["a", "b"])
    return "bureau", [bank, SumSender(context("bureau", "join_sum"), "bank", key, placed, 3)]


def ciphertexts(message: Any, size: int) -> Iterator[bytes]:
    """Every run of bytes in a message that is a vector of ciphertexts, one by one."""
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        for data in value.values() if isinstance(value, dict) else [value]:
            if isinstance(data, bytes) and len(data) % size == 0:
                yield from (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("protocol", [aggregate, category, join_sum])
def test_nothing_returns_with_a_short_exponent(
    protocol: Callable[[PrivateKey], tuple[str, Roles]], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = toy_key(768)
    public, ring = key.public, key.public.ring
    n, square, size = public.n, public.n**2, public.ciphertext_bytes
    drawn: list[list[int]] = []
    hidden: set[bytes] = set()
    power, plain = type(ring).power_shared, EncryptedVector.rerandomise

    def power_shared(self: Any, a: Any, exponent: int, **options: bool) -> Any:
        if self.modulus == n == exponent:
            drawn.append([int(r) for r in from_words(self.dump(a))])
        return power(self, a, exponent, **options)

    def rerandomise(self: EncryptedVector, **options: Any) -> EncryptedVector:
        drawn.clear()
        fresh = plain(self, **options)
        if options["for_key_holder"] and len(self):
            (roots,) = drawn
            before, after = self.to_bytes(), fresh.to_bytes()
            for place, r in enumerate(roots):
                part = slice(place * size, (place + 1) * size)
                old, new = (int.from_bytes(data[part], "little") for data in (before, after))
                # the factor is exactly r^n, and r as wide as n
                assert new == old * pow(r, n, square) % square
                assert r >> (public.bits - 64)
                hidden.add(after[part])
        return fresh

    monkeypatch.setattr(type(ring), "power_shared", power_shared)
    monkeypatch.setattr(EncryptedVector, "rerandomise", rerandomise)
    holder, roles = protocol(key)
    link = Pair(*roles)
    link.run()
    returned = [
        one
        for envelope in link.sent
        if envelope.receiver == holder
        for one in ciphertexts(decode(envelope.payload, *_BY_TYPE.values()), size)
    ]
    assert returned
    assert set(returned) <= hidden
    assert len(set(returned)) == len(returned)
