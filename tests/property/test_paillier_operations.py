"""decrypt(any sequence of operations) equals the same operations on integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federated.paillier import EncryptedVector, Packing, Plaintexts, use_path
from psi.protocol.errors import MisuseError, PeerError
from tests.unit.paillier.keys import PATHS, toy_key

KEY = toy_key(256)
PUBLIC = KEY.public
HALF = PUBLIC.half

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
small = st.integers(-(2**40), 2**40)
edges = st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63) + 1])
values = st.lists(small | edges, min_size=1, max_size=12)


@pytest.mark.parametrize("path", PATHS)
@few
@given(data=st.data(), start=values, private=st.booleans())
def test_operations_equal_those_on_integers(
    path: str, data: st.DataObject, start: list[int], private: bool
) -> None:
    with use_path(path):
        key = KEY if private else PUBLIC
        plain = start
        vector = EncryptedVector.encrypt(key, Plaintexts.from_ints(plain, bound=2**63))
        for _ in range(data.draw(st.integers(1, 5))):
            name = data.draw(st.sampled_from(sorted(STEPS)))
            try:
                vector, plain = STEPS[name](data, vector, plain)
            except MisuseError:
                # refused because the declared bound could pass n/2; never a wrong result
                assert vector.bound > 2**100
            assert vector.decrypt(KEY).to_ints() == plain
            assert max(map(abs, plain)) <= vector.bound


def _add(data: Any, vector: EncryptedVector, plain: list[int]) -> Any:
    return vector.add(vector), [2 * value for value in plain]


def _subtract(data: Any, vector: EncryptedVector, plain: list[int]) -> Any:
    first = vector.take(np.zeros(len(plain), dtype=np.int64))
    return vector.subtract(first), [value - plain[0] for value in plain]


def _negate(data: Any, vector: EncryptedVector, plain: list[int]) -> Any:
    return vector.negate(), [-value for value in plain]


def _add_plain(data: Any, vector: EncryptedVector, plain: list[int]) -> Any:
    other = data.draw(st.lists(small, min_size=len(plain), max_size=len(plain)))
    added = vector.add_plain(Plaintexts.from_ints(other))
    return added, [x + y for x, y in zip(plain, other, strict=True)]


def _multiply(data: Any, vector: EncryptedVector, plain: list[int]) -> Any:
    factors = data.draw(st.lists(small | edges, min_size=len(plain), max_size=len(plain)))
    product = vector.multiply_plain(np.array(factors, dtype=np.int64))
    return product, [x * y for x, y in zip(plain, factors, strict=True)]


def _segments(data: Any, vector: EncryptedVector, plain: list[int]) -> Any:
    groups = data.draw(st.integers(1, 5))
    codes = data.draw(
        st.lists(st.integers(-1, groups - 1), min_size=len(plain), max_size=len(plain))
    )
    sums = [
        sum(value for value, code in zip(plain, codes, strict=True) if code == group)
        for group in range(groups)
    ]
    return vector.segment_sum(np.array(codes), groups), sums


def _weighted(data: Any, vector: EncryptedVector, plain: list[int]) -> Any:
    columns = data.draw(st.integers(1, 3))
    row = st.lists(small, min_size=columns, max_size=columns)
    weights = data.draw(st.lists(row, min_size=len(plain), max_size=len(plain)))
    sums = [
        sum(value * weight[column] for value, weight in zip(plain, weights, strict=True))
        for column in range(columns)
    ]
    return vector.weighted_sums(np.array(weights, dtype=np.int64)), sums


def _rerandomise(data: Any, vector: EncryptedVector, plain: list[int]) -> Any:
    return vector.rerandomise(for_key_holder=data.draw(st.booleans())), plain


def _wire(data: Any, vector: EncryptedVector, plain: list[int]) -> Any:
    again = EncryptedVector.from_bytes(
        PUBLIC, vector.to_bytes(), len(plain), bound_bits=vector.bound_bits
    )
    return again, plain


STEPS = {
    "add": _add,
    "add_plain": _add_plain,
    "multiply": _multiply,
    "negate": _negate,
    "rerandomise": _rerandomise,
    "segments": _segments,
    "subtract": _subtract,
    "weighted": _weighted,
    "wire": _wire,
}


@pytest.mark.parametrize("path", PATHS)
@few
@given(
    data=st.data(),
    slots=st.integers(1, 4),
    slot_bits=st.integers(8, 60),
    rows=st.integers(1, 9),
)
def test_packed_sums(path: str, data: st.DataObject, slots: int, slot_bits: int, rows: int) -> None:
    with use_path(path):
        packing = Packing(slots, slot_bits, value_bits=slot_bits - 5)
        most = 2 ** (slot_bits - 5) - 1
        row = st.lists(
            st.integers(-most, most) | st.sampled_from([most, -most]),
            min_size=slots,
            max_size=slots,
        )
        table = data.draw(st.lists(row, min_size=rows, max_size=rows))
        vector = EncryptedVector.encrypt(KEY, packing.pack(np.array(table, dtype=np.int64)))
        total = packing.unpack_int64(vector.sum().decrypt(KEY))
        assert total.tolist() == [[sum(column) for column in zip(*table, strict=True)]]


@few
@given(data=st.binary(max_size=200), count=st.integers(0, 3))
def test_any_bytes_are_read_or_refused(data: bytes, count: int) -> None:
    padded = (data + bytes(64 * count))[: 64 * count]
    for attempt in (data, padded):
        try:
            vector = EncryptedVector.from_bytes(PUBLIC, attempt, count)
        except PeerError:
            continue
        assert vector.to_bytes() == attempt
