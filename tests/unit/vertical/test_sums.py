"""Encrypted sums equal the plain ones, and nothing beside them opens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from federated.paillier import EncryptedVector
from federated.vertical.basis import draw_basis, whitening
from federated.vertical.newton import Floats
from federated.vertical.sums import (
    BasisRows,
    Layout,
    RowCiphertexts,
    cross_sums,
    encrypt_rows,
    open_cross,
    open_linear,
    open_pairs,
    own_sums,
    weight_rows,
)
from psi.protocol import MisuseError, PeerError
from tests.unit.paillier.keys import stream, toy_key
from tests.unit.vertical.world import make_world

ROWS = 60


def basis_rows(x: Floats, seed: str) -> BasisRows:
    basis = draw_basis(whitening(x, 1.0), stream(seed))
    return BasisRows(x @ basis, basis.T @ np.arange(x.shape[1]), basis.T @ basis)


class Sums:
    """One pass of two partners in plain sight."""

    def __init__(self, own: int, bits: int, *, alone: bool) -> None:
        world = make_world(ROWS, own, (4, 3))
        self.key, self.alone = toy_key(bits), alone
        self.design = np.column_stack([np.ones(ROWS), world.own / np.abs(world.own).max(axis=0)])
        self.layout = Layout(bits, ROWS, own + 1)
        draw = np.random.default_rng(5)
        self.d, self.r = draw.uniform(0, 0.25, ROWS), draw.uniform(-1, 1, ROWS)
        self.first, self.second = (basis_rows(x, n) for n, x in world.parts.items())
        self.sent = encrypt_rows(
            self.key, self.layout, self.design, self.d, self.r, stream("rows"), alone=alone
        )

    def own(self) -> tuple[bytes, bytes]:
        return own_sums(
            self.key.public, self.layout, self.sent, self.first, stream("own"), alone=self.alone
        )


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(("own", "bits"), [(3, 512), (12, 512), (1, 1024)])
def test_sums_are_the_plain_sums(own: int, bits: int, alone: bool) -> None:
    case = Sums(own, bits, alone=alone)
    z, k = case.first.z, 4
    linear, pairs = case.own()
    g, v = open_linear(case.key, case.layout, linear, k)
    h = open_pairs(case.key, case.layout, pairs, k, alone=alone)
    assert g == pytest.approx(z.T @ case.r + case.first.shrink, abs=1e-3)
    assert v == pytest.approx(z.T @ (case.design * case.d[:, None]), abs=1e-3)
    assert h == pytest.approx((z * case.d[:, None]).T @ z + case.first.penalty, abs=1e-3)
    assert case.layout.row_groups == -(-(own + 2) // case.layout.row.slots)


def test_cross_sums_are_the_plain_ones() -> None:
    case = Sums(3, 512, alone=True)
    first, second = case.first.z, case.second.z
    public = case.key.public
    data = weight_rows(public, case.layout, case.sent, first, stream("weighted"))
    sums = cross_sums(public, case.layout, data, 4, second, stream("cross"))
    found = open_cross(case.key, case.layout, sums, 3, 4)
    assert found == pytest.approx((second * case.d[:, None]).T @ first, abs=1e-3)


def test_other_slots_of_a_pair_stay_masked() -> None:
    """Sums of r and D x weighted by pairs are more than the protocol needs: they are noise."""
    case = Sums(3, 512, alone=False)
    bits = case.layout.row.slot_bits
    seen = []
    for seed in ("a", "b"):
        case.first = replace(case.first)
        _, data = own_sums(
            case.key.public, case.layout, case.sent, case.first, stream(seed), alone=False
        )
        opened = EncryptedVector.from_bytes(case.key.public, data, 10).decrypt(case.key).to_ints()
        seen.append([value >> bits for value in opened])
    # the same sums, other masks, and 40 bits above what they hide
    assert all(a != b for a, b in zip(*seen, strict=True))
    assert max(value.bit_length() for value in seen[0]) > 38 + 4 * bits


def test_a_sum_is_hidden_in_its_low_digits() -> None:
    case = Sums(3, 512, alone=True)
    opened = [
        open_linear(
            case.key,
            case.layout,
            own_sums(case.key.public, case.layout, case.sent, case.first, stream(seed), alone=True)[
                0
            ],
            4,
        )[0]
        for seed in "ab"
    ]
    apart = np.abs(opened[0] - opened[1])
    assert apart.min() > 0
    assert apart.max() <= 2.0**-21


def test_the_ciphertexts_of_equal_sums_differ() -> None:
    case = Sums(3, 512, alone=True)
    one = own_sums(case.key.public, case.layout, case.sent, case.first, stream("a"), alone=True)
    two = own_sums(case.key.public, case.layout, case.sent, case.first, stream("b"), alone=True)
    assert one[0] != two[0]
    assert one[1] != two[1]


def test_lengths_and_ranges_are_checked() -> None:
    case = Sums(3, 512, alone=True)
    public = case.key.public
    for wrong in (
        RowCiphertexts(case.sent.rows[:-1], case.sent.weights),
        RowCiphertexts(case.sent.rows, b""),
        RowCiphertexts(bytes(len(case.sent.rows)), case.sent.weights),
        RowCiphertexts(b"\xff" * len(case.sent.rows), case.sent.weights),
    ):
        with pytest.raises(PeerError):
            own_sums(public, case.layout, wrong, case.first, stream("own"), alone=True)
    with pytest.raises(PeerError, match="length"):
        cross_sums(public, case.layout, b"", 4, case.second.z, stream("cross"))
    linear, pairs = case.own()
    with pytest.raises(PeerError, match="length"):
        open_linear(case.key, case.layout, linear[1:], 4)
    with pytest.raises(PeerError, match="length"):
        open_pairs(case.key, case.layout, pairs, 40, alone=False)


def test_columns_beyond_the_bound_are_misuse() -> None:
    case = Sums(3, 512, alone=True)
    wide = replace(case.first, z=case.first.z * 8)
    with pytest.raises(MisuseError, match="mean squares"):
        own_sums(case.key.public, case.layout, case.sent, wide, stream("own"), alone=True)


def test_one_ciphertext_a_row_where_pairs_are_few() -> None:
    layout = Layout(3072, 24_000, 15)
    assert layout.row_groups == 1
    assert not layout.alone([10])
    assert layout.alone([30])
    assert layout.alone([3, 3])
