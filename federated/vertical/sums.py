"""The encrypted sums of one pass: rows encrypted, summed by partners, opened.

layout = Layout(key_bits, rows, own)                  # public; both sides derive it
sent = encrypt_rows(key, layout, design, curvature, residual, random)   # label party
linear, pairs = own_sums(public, layout, sent, basis, random)           # feature party
open_linear(key, layout, linear, k), open_pairs(key, layout, pairs, k)  # label party
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from federated.paillier import EncryptedVector, Packing, Plaintexts, PrivateKey, PublicKey
from federated.vertical.basis import uniform_integers
from federated.vertical.newton import Floats
from psi.protocol import PeerError, Random

__all__ = [
    "BasisRows",
    "Layout",
    "RowCiphertexts",
    "cross_sums",
    "encrypt_rows",
    "open_cross",
    "open_linear",
    "open_pairs",
    "own_sums",
    "weight_rows",
]

# fraction bits: of residuals and curvatures, of basis columns, of their pairs, of cross columns
ROW, LINEAR, PAIR, CROSS = 30, 20, 18, 18
# a residual is at most 1 in magnitude, so a row's numbers stay below 2^ROW_BITS
ROW_BITS = ROW + 1
# every sum gets uniform noise of up to 2^-NOISE, which hides its low digits
NOISE = 22
# pairs of columns weighted at once, against memory
BLOCK = 256


@dataclass(frozen=True)
class Layout:
    """Slots of every ciphertext of a pass: a pure function of public sizes.

    `rows` are all aligned rows, by which every sum is bounded: basis columns have mean squares
    of at most 1 over them, so a column's magnitudes, and a pair's, add up to at most `rows`.
    Penalties and noise fit twice over.
    """

    key_bits: int
    rows: int
    own: int

    @cached_property
    def row(self) -> Packing:
        """Of r_i, D_i x_i1, …, D_i x_ia."""
        return self._fit(ROW_BITS, LINEAR)

    @cached_property
    def pair(self) -> Packing:
        """Of opened pair sums, many pairs in a plaintext."""
        return self._fit(ROW_BITS, PAIR)

    @cached_property
    def cross(self) -> Packing:
        """Of D_i z_i for a partner's row z_i."""
        return self._fit(ROW_BITS + self.cross_bits, CROSS)

    @property
    def cross_bits(self) -> int:
        """A basis entry in CROSS fraction bits is at most sqrt(rows) in magnitude."""
        return CROSS + (self.rows.bit_length() + 1) // 2 + 1

    @property
    def row_groups(self) -> int:
        """Ciphertexts a row."""
        return -(-(self.own + 1) // self.row.slots)

    def cross_groups(self, columns: int) -> int:
        """Ciphertexts a row of a partner with `columns` basis columns."""
        return -(-columns // self.cross.slots)

    def pair_groups(self, columns: int) -> int:
        """Ciphertexts of all pairs of `columns` columns."""
        return -(-(columns * (columns + 1) // 2) // self.pair.slots)

    def _fit(self, value_bits: int, weight_bits: int) -> Packing:
        return Packing.fit(self.key_bits, value_bits, 4 * self.rows << weight_bits)


@dataclass(frozen=True)
class RowCiphertexts:
    """What a label party sends for a pass: packed rows, group after group, and D alone."""

    rows: bytes
    weights: bytes


@dataclass(frozen=True)
class BasisRows:
    """A feature party's side of a pass.

    z: `float64[n, k]`, training rows in the basis; shrink: `float64[k]`, λ Mᵀ w;
    penalty: `float64[k, k]`, λ Mᵀ M.
    """

    z: Floats
    shrink: Floats
    penalty: Floats


# the label party


def encrypt_rows(
    key: PrivateKey,
    layout: Layout,
    design: Floats,
    curvature: Floats,
    residual: Floats,
    random: Random,
) -> RowCiphertexts:
    """Encrypt r_i and D_i x_i for a design scaled to magnitudes of at most 1."""
    values = np.column_stack([residual, design * curvature[:, None]])
    numbers = np.rint(np.ldexp(values, ROW)).astype(np.int64)
    parts = [
        EncryptedVector.encrypt(
            key, layout.row.pack(numbers[:, start : start + layout.row.slots]), random=random
        ).to_bytes()
        for start in range(0, layout.own + 1, layout.row.slots)
    ]
    alone = Plaintexts.from_int64(
        np.rint(np.ldexp(curvature, ROW)).astype(np.int64), bound_bits=ROW_BITS
    )
    weights = EncryptedVector.encrypt(key, alone, random=random).to_bytes()
    return RowCiphertexts(b"".join(parts), weights)


def open_linear(key: PrivateKey, layout: Layout, data: bytes, columns: int) -> Floats:
    """`float64[k, a + 1]`: g and V of one partner. Raises PeerError."""
    packing = _opened(layout.row)
    count = columns * layout.row_groups
    values = _open(key, packing, data, count)
    # group after group, each `columns` ciphertexts
    wide = values.reshape(layout.row_groups, columns, packing.slots).transpose(1, 0, 2)
    table = wide.reshape(columns, -1)[:, : layout.own + 1]
    return np.ldexp(table, -(ROW + LINEAR))


def open_pairs(key: PrivateKey, layout: Layout, data: bytes, columns: int) -> Floats:
    """`float64[k, k]`: H of one partner. Raises PeerError."""
    packing = _opened(layout.pair)
    groups = layout.pair_groups(columns)
    values = _open(key, packing, data, groups)
    first, second = np.triu_indices(columns)
    flat = np.ldexp(values.T.ravel()[: len(first)], -(ROW + PAIR))
    matrix = np.zeros((columns, columns))
    matrix[first, second] = flat
    matrix[second, first] = flat
    return matrix


def open_cross(key: PrivateKey, layout: Layout, data: bytes, columns: int, before: int) -> Floats:
    """`float64[k, before]`: Zᵀ D Z' with a partner of `before` columns. Raises PeerError."""
    packing = _opened(layout.cross)
    groups = layout.cross_groups(before)
    values = _open(key, packing, data, columns * groups)
    wide = values.reshape(groups, columns, packing.slots).transpose(1, 0, 2)
    return np.ldexp(wide.reshape(columns, -1)[:, :before], -(ROW + 2 * CROSS))


# the feature party


def own_sums(
    public: PublicKey, layout: Layout, sent: RowCiphertexts, basis: BasisRows, random: Random
) -> tuple[bytes, bytes]:
    """g with V, and H, encrypted and re-randomised for the key's holder. Raises PeerError."""
    z = basis.z
    n, k = z.shape
    weights = _fixed(z, LINEAR)
    size = n * public.ciphertext_bytes
    if len(sent.rows) != size * layout.row_groups or len(sent.weights) != size:
        raise PeerError("encrypted rows of another length than the plan's")
    linear = []
    for group in range(layout.row_groups):
        part = memoryview(sent.rows)[size * group : size * (group + 1)]
        rows = EncryptedVector.from_bytes(public, part, n, packing=layout.row)
        added = _noise(layout.row, (k, layout.row.slots), ROW + LINEAR, random)
        sums = rows.weighted_sums(weights).add_plain(added)
        if group == 0:
            shrink = [int(v) for v in np.rint(np.ldexp(basis.shrink, ROW + LINEAR))]
            sums = sums.add_plain(Plaintexts.from_ints(shrink))
        linear.append(sums)
    packed = _pair_sums(_weights(public, sent, n), layout, basis, random)
    ready = (*linear, packed)
    fresh = [part.rerandomise(for_key_holder=True, random=random).to_bytes() for part in ready]
    return b"".join(fresh[:-1]), fresh[-1]


def weight_rows(
    public: PublicKey, layout: Layout, sent: RowCiphertexts, z: Floats, random: Random
) -> bytes:
    """For each row D_i z_i, packed, for the partners after this one."""
    n, k = z.shape
    curvature = _weights(public, sent, n)
    numbers = _fixed(z, CROSS)
    parts = []
    for start in range(0, k, layout.cross.slots):
        chosen = numbers[:, start : start + layout.cross.slots]
        packed = layout.cross.pack(chosen, value_bits=layout.cross_bits)
        product = curvature.multiply_plain_wide(packed)
        # the next partner holds no key
        parts.append(product.rerandomise(for_key_holder=False, random=random).to_bytes())
    return b"".join(parts)


def cross_sums(
    public: PublicKey, layout: Layout, data: bytes, before: int, z: Floats, random: Random
) -> bytes:
    """Zᵀ D Z' from what a partner of `before` columns sent. Raises PeerError."""
    n, k = z.shape
    size = n * public.ciphertext_bytes
    groups = layout.cross_groups(before)
    if len(data) != size * groups:
        raise PeerError("weighted rows of another length than the plan's")
    numbers = _fixed(z, CROSS)
    parts = []
    for group in range(groups):
        part = memoryview(data)[size * group : size * (group + 1)]
        rows = EncryptedVector.from_bytes(public, part, n, packing=layout.cross)
        added = _noise(layout.cross, (k, layout.cross.slots), ROW + 2 * CROSS, random)
        sums = rows.weighted_sums(numbers).add_plain(added)
        parts.append(sums.rerandomise(for_key_holder=True, random=random).to_bytes())
    return b"".join(parts)


def _pair_sums(
    curvature: EncryptedVector, layout: Layout, basis: BasisRows, random: Random
) -> EncryptedVector:
    """H packed: pair s * groups + g stands in slot s of ciphertext g."""
    z, packing = basis.z, layout.pair
    k = z.shape[1]
    first, second = np.triu_indices(k)
    groups = layout.pair_groups(k)
    blocks = [
        curvature.weighted_sums(
            _fixed(z[:, first[at : at + BLOCK]] * z[:, second[at : at + BLOCK]], PAIR)
        )
        for at in range(0, len(first), BLOCK)
    ]
    sums = EncryptedVector.concatenate(blocks)
    slots = -(-len(first) // groups)
    # the last slot repeats the last pair where pairs run out
    order = np.minimum(np.arange(slots * groups), len(first) - 1).reshape(slots, groups)
    shift = Plaintexts.from_ints([1 << packing.slot_bits])
    packed = sums.take(order[-1])
    for row in order[-2::-1]:
        packed = packed.multiply_plain_wide(shift).add(sums.take(row))
    values = np.rint(np.ldexp(basis.penalty[first, second], ROW + PAIR))
    integers = np.array([int(value) for value in values], dtype=object)[order]
    penalty = [
        sum(int(value) << (packing.slot_bits * slot) for slot, value in enumerate(column))
        for column in integers.T
    ]
    noise = _noise(packing, (groups, packing.slots), ROW + PAIR, random)
    return packed.add_plain(Plaintexts.from_ints(penalty)).add_plain(noise)


def _weights(public: PublicKey, sent: RowCiphertexts, count: int) -> EncryptedVector:
    return EncryptedVector.from_bytes(public, sent.weights, count, bound_bits=ROW_BITS)


def _fixed(values: Floats, bits: int) -> NDArray[np.int64]:
    return np.rint(np.ldexp(values, bits)).astype(np.int64)


def _noise(packing: Packing, shape: tuple[int, int], bits: int, random: Random) -> Plaintexts:
    """Uniform integers of up to 2^-NOISE in every slot."""
    size = bits - NOISE
    return packing.pack(uniform_integers(shape, size, random), value_bits=size + 1)


def _opened(packing: Packing) -> Packing:
    """The same slots, for sums: as large as a slot holds."""
    return Packing(packing.slots, packing.slot_bits)


def _open(key: PrivateKey, packing: Packing, data: bytes, count: int) -> Floats:
    if len(data) != count * key.public.ciphertext_bytes:
        raise PeerError("encrypted sums of another length than the plan's")
    vector = EncryptedVector.from_bytes(key.public, data, count, packing=packing)
    return np.asarray(packing.unpack_objects(vector.decrypt(key)).astype(np.float64))
