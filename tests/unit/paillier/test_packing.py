from __future__ import annotations

import numpy as np
import pytest

from federated.paillier import Packing, Plaintexts, decode, encode
from psi.protocol.errors import CodecError, InputError, MisuseError, PeerError
from tests.unit.paillier.keys import stream, toy_key


def _reference(row: list[int], packing: Packing) -> int:
    return sum(value << (packing.slot_bits * slot) for slot, value in enumerate(row))


@pytest.mark.parametrize("slot_bits", [2, 13, 40, 63, 64, 65, 106, 128, 129, 200])
def test_pack_is_the_sum_of_shifted_values(slot_bits: int) -> None:
    packing = Packing(5, slot_bits)
    most = min(2 ** (slot_bits - 1) - 1, 2**63 - 1)
    rng = np.random.default_rng(3)
    values = rng.integers(-most, most, (17, 5), endpoint=True)
    values[0], values[1] = most, -most
    packed = packing.pack(values)
    assert packed.to_ints() == [_reference(row, packing) for row in values.tolist()]
    assert (packing.unpack_int64(packed) == values).all()
    assert (packing.unpack_objects(packed) == values).all()
    assert max(abs(number) for number in packed.to_ints()) <= packed.bound


def test_fewer_columns_leave_zeros() -> None:
    packing = Packing(4, 20)
    packed = packing.pack(np.array([[-5, 7]]))
    assert packing.unpack_int64(packed).tolist() == [[-5, 7, 0, 0]]


def test_fit_leaves_room_for_the_sum_and_the_mask() -> None:
    packing = Packing.fit(2048, 40, 10**6)
    assert packing.slot_bits == 40 + 20 + 1
    assert packing.slots == 2046 // 61
    assert packing.bound(2**40 - 1) * 10**6 <= packing.limit
    masked = Packing.fit(3072, 40, 10**6, mask_bits=40)
    assert masked.bound((2**40 - 1) * 10**6 + 2 ** (60 + 40) - 1) <= masked.limit
    assert Packing.fit(2048, 40, 1, slots=3).slots == 3
    with pytest.raises(MisuseError, match="do not fit"):
        Packing.fit(512, 40, 10**6, slots=9)


def test_sums_of_slots_wider_than_64_bits() -> None:
    packing = Packing(3, 100, value_bits=63)
    rows = [[2**62, -(2**62), -1]] * 50
    total = sum(_reference(row, packing) for row in rows)
    opened = Plaintexts.from_ints([total])
    assert packing.unpack_objects(opened).tolist() == [[50 * 2**62, -50 * 2**62, -50]]
    with pytest.raises(PeerError, match="exceed 64 bits"):
        packing.unpack_int64(opened)


def test_values_and_plaintexts_outside_are_refused() -> None:
    packing = Packing(2, 10, value_bits=8)
    with pytest.raises(MisuseError, match="1 of 2 values exceed 8 bits"):
        packing.pack(np.array([[0, 256]]))
    with pytest.raises(MisuseError, match="cannot pack"):
        packing.pack(np.zeros((1, 3), dtype=np.int64))
    with pytest.raises(MisuseError, match="cannot pack"):
        packing.pack(np.zeros((1, 2)))
    for outside in (packing.limit + packing.ones + 1, -(1 << 25), 1 << 200):
        with pytest.raises(PeerError, match="exceed their packing"):
            packing.unpack_int64(Plaintexts.from_ints([outside]))
    with pytest.raises(MisuseError):
        Packing(0, 10)
    with pytest.raises(MisuseError):
        Packing(3, 10, value_bits=10)


def test_fixed_point_is_exact_to_half_a_step() -> None:
    values = np.array([[0.0, 1.5, -2.25], [1e6, -1e6, 0.1]])
    encoded = encode(values, 20, 1e6)
    assert encoded.dtype == np.int64
    assert np.abs(decode(encoded, 20) - values).max() <= 2.0**-21
    assert decode(np.array([1 << 100], dtype=object), 99)[0] == 2.0


@pytest.mark.parametrize(
    ("wrong", "why"),
    [(np.nan, "missing"), (np.inf, "infinite"), (-np.inf, "infinite"), (1001.0, "beyond")],
)
def test_fixed_point_names_the_column_never_the_value(wrong: float, why: str) -> None:
    with pytest.raises(InputError, match=f"'turnover': 2 of 3 values are {why}") as caught:
        encode(np.array([1.0, wrong, wrong]), 10, 1000, column="turnover")
    assert "1001" not in str(caught.value)


def test_fixed_point_that_cannot_fit_is_misuse() -> None:
    with pytest.raises(MisuseError):
        encode(np.array([1.0]), 40, 1e9)


def test_plaintexts_round_trip() -> None:
    values = [0, 1, -1, 2**100, -(2**100)]
    plain = Plaintexts.from_ints(values)
    again = Plaintexts.from_bytes(plain.to_bytes(), 5, bound=plain.bound)
    assert again.to_ints() == values
    assert plain[1:3].to_ints() == [1, -1]
    assert plain.take(np.array([4, 0])).to_ints() == [-(2**100), 0]
    with pytest.raises(CodecError, match="expected"):
        Plaintexts.from_bytes(plain.to_bytes() + b"\0", 5, bound=plain.bound)
    with pytest.raises(CodecError, match="2 of 5 plaintexts exceed"):
        Plaintexts.from_bytes(plain.to_bytes(), 5, bound=2**100 - 1)
    assert "count=5" in repr(plain)
    lowest = np.array([np.iinfo(np.int64).min])
    assert Plaintexts.from_int64(lowest).to_ints() == [-(2**63)]
    with pytest.raises(MisuseError, match="1 plaintexts exceed 4 bits"):
        Plaintexts.from_int64(np.array([-16, 15]), bound_bits=4)
    with pytest.raises(MisuseError):
        Plaintexts.from_ints([5], bound=4)


def test_masks_come_off_again() -> None:
    public = toy_key(256).public
    values = Plaintexts.from_ints([0, public.half, -public.half, 5, -7])
    masks = Plaintexts.uniform(public, 5, stream("masks"))
    masked = [
        (value + mask) % public.n
        for value, mask in zip(values.to_ints(), masks.to_ints(), strict=True)
    ]
    centred = [number - public.n if number > public.half else number for number in masked]
    opened = Plaintexts.from_ints(centred, bound=public.half)
    assert opened.minus(masks, public).to_ints() == values.to_ints()
