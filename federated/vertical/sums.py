"""The encrypted sums of one pass: rows encrypted, summed by partners, opened.

layout = Layout(key_bits, rows, own)                  # public; both sides derive it
sent = encrypt_rows(key, layout, design, curvature, residual, random)   # label party
linear, pairs = own_sums(public, layout, sent, basis, random)           # feature party
open_linear(key, layout, linear, k), open_pairs(key, layout, pairs, k)  # label party

A pass that keeps the curvature takes encrypt_residuals, residual_sums and open_gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from federated.paillier import (
    EncryptedVector,
    ObfuscatorPool,
    Packing,
    Plaintexts,
    PrivateKey,
    PublicKey,
)
from federated.vertical.basis import uniform_integers
from federated.vertical.newton import Floats
from federated.vertical.plan import MANY_ROWS
from psi.protocol import MisuseError, PeerError, Random

__all__ = [
    "BasisRows",
    "Layout",
    "RowCiphertexts",
    "cross_sums",
    "encrypt_residuals",
    "encrypt_rows",
    "open_cross",
    "open_gradient",
    "open_linear",
    "open_pairs",
    "own_sums",
    "residual_sums",
    "weight_rows",
]

# fraction bits: of residuals and curvatures, of basis columns, of cross columns
ROW, LINEAR, CROSS = 30, 20, 18
# of pairs of columns: rounding averages out over many rows, and every bit costs time; over few
# it would show in scores after one step
PAIR_FEW, PAIR_MANY = 18, 14
# a residual is at most 1 in magnitude, so a row's numbers stay below 2^ROW_BITS
ROW_BITS = ROW + 1
# every sum gets uniform noise of up to 2^-NOISE, which hides its low digits
NOISE = 22
# the mask above the slots that are opened is so many bits longer than what honest rows put there
MASK = 40
# pairs of columns weighted at once, against memory
BLOCK = 256
# opening one pair by itself costs about as much as encrypting this many rows
PAIR_COST = 80


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
        """Of D_i, r_i, D_i x_i2, …, D_i x_ia: the curvature lowest, for the intercept."""
        return self._fit(ROW_BITS, LINEAR)

    @cached_property
    def pair(self) -> Packing:
        """Of opened pair sums, many pairs in a plaintext."""
        return self._fit(ROW_BITS, self.pair_bits)

    @cached_property
    def cross(self) -> Packing:
        """Of D_i z_i for a partner's row z_i."""
        return self._fit(ROW_BITS + self.cross_bits, CROSS)

    @property
    def pair_bits(self) -> int:
        """Fraction bits of a pair's weights."""
        return PAIR_MANY if self.rows >= MANY_ROWS else PAIR_FEW

    def alone(self, columns: Sequence[int]) -> bool:
        """Whether D_i is encrypted by itself too, for partners with so many columns.

        One partner with few pairs takes D_i from the packed rows, and masks the other slots.
        """
        pairs = sum(k * (k + 1) // 2 for k in columns)
        return len(columns) > 1 or pairs * PAIR_COST > self.rows

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
        # a mask over the upper slots needs room above them
        return Packing.fit(self.key_bits - MASK - 4, value_bits, 4 * self.rows << weight_bits)


@dataclass(frozen=True)
class RowCiphertexts:
    """What a label party sends for a pass: packed rows, group after group; D alone or nothing."""

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
    *,
    alone: bool,
    obfuscators: ObfuscatorPool | None = None,
) -> RowCiphertexts:
    """Encrypt r_i and D_i x_i for a design scaled to magnitudes of at most 1, intercept first."""
    products = design * curvature[:, None]
    values = np.column_stack([products[:, 0], residual, products[:, 1:]])
    numbers = np.rint(np.ldexp(values, ROW)).astype(np.int64)
    parts = [
        EncryptedVector.encrypt(
            key,
            layout.row.pack(numbers[:, start : start + layout.row.slots]),
            random=random,
            obfuscators=obfuscators,
        ).to_bytes()
        for start in range(0, layout.own + 1, layout.row.slots)
    ]
    weights = b""
    if alone:
        weights = _encrypt_alone(key, numbers[:, 0], random, obfuscators)
    return RowCiphertexts(b"".join(parts), weights)


def _encrypt_alone(
    key: PrivateKey, numbers: NDArray[np.int64], random: Random, obfuscators: ObfuscatorPool | None
) -> bytes:
    plain = Plaintexts.from_int64(numbers, bound_bits=ROW_BITS)
    sealed = EncryptedVector.encrypt(key, plain, random=random, obfuscators=obfuscators)
    return sealed.to_bytes()


def encrypt_residuals(
    key: PrivateKey, residual: Floats, random: Random, obfuscators: ObfuscatorPool | None = None
) -> bytes:
    """Encrypt r_i alone, a ciphertext a row."""
    return _encrypt_alone(
        key, np.rint(np.ldexp(residual, ROW)).astype(np.int64), random, obfuscators
    )


def open_linear(
    key: PrivateKey, layout: Layout, data: bytes, columns: int
) -> tuple[Floats, Floats]:
    """g `float64[k]` and V `float64[k, a]` of one partner. Raises PeerError."""
    table = _open_groups(key, layout.row, data, columns, layout.own + 1, ROW + LINEAR)
    return table[:, 1], np.delete(table, 1, axis=1)


def open_gradient(key: PrivateKey, layout: Layout, data: bytes, columns: int) -> Floats:
    """g `float64[k]` of one partner, from sums of residuals alone. Raises PeerError."""
    return _open_groups(key, layout.row, data, columns, 1, ROW + LINEAR)[:, 0]


def open_pairs(
    key: PrivateKey, layout: Layout, data: bytes, columns: int, *, alone: bool
) -> Floats:
    """H, `float64[k, k]`, of one partner. Raises PeerError."""
    first, second = np.triu_indices(columns)
    if alone:
        values = _open(
            key, layout.pair, data, layout.pair_groups(columns), _pair_slots(layout, columns)
        )
        flat = values.T.ravel()[: len(first)]
    else:
        flat = _open(key, layout.row, data, len(first), 1)[:, 0]
    flat = np.ldexp(flat, -(ROW + layout.pair_bits))
    matrix = np.zeros((columns, columns))
    matrix[first, second] = flat
    matrix[second, first] = flat
    return matrix


def open_cross(key: PrivateKey, layout: Layout, data: bytes, columns: int, before: int) -> Floats:
    """`float64[k, before]`: Zᵀ D Z' with a partner of `before` columns. Raises PeerError."""
    return _open_groups(key, layout.cross, data, columns, before, ROW + 2 * CROSS)


# the feature party


def own_sums(
    public: PublicKey,
    layout: Layout,
    sent: RowCiphertexts,
    basis: BasisRows,
    random: Random,
    *,
    alone: bool,
) -> tuple[bytes, bytes]:
    """g with V, and H, encrypted and re-randomised for the key's holder. Raises PeerError."""
    n, k = basis.z.shape
    weights = _weights_of(basis.z, layout, LINEAR)
    size = n * public.ciphertext_bytes
    if len(sent.rows) != size * layout.row_groups or len(sent.weights) != size * alone:
        raise PeerError("encrypted rows of another length than the plan's")
    # a bound over all slots, without their limit: a mask may pass the topmost
    row_bits = layout.row.bound((1 << ROW_BITS) - 1).bit_length()
    linear = []
    lowest: EncryptedVector | None = None
    for group in range(layout.row_groups):
        part = memoryview(sent.rows)[size * group : size * (group + 1)]
        rows = EncryptedVector.from_bytes(public, part, n, bound_bits=row_bits)
        used = min(layout.row.slots, layout.own + 1 - group * layout.row.slots)
        hidden = _hidden(layout, layout.row, (k, used), ROW + LINEAR, random)
        sums = rows.weighted_sums(weights).add_plain(hidden)
        if lowest is None:
            lowest = rows
            shrink = np.rint(np.ldexp(basis.shrink, ROW + LINEAR))
            shifted = [int(value) << layout.row.slot_bits for value in shrink]
            sums = sums.add_plain(Plaintexts.from_ints(shifted))
        linear.append(sums.rerandomise(for_key_holder=True, random=random).to_bytes())
    if alone or lowest is None:
        pairs = _packed_pairs(_alone(public, sent.weights, n), layout, basis, random)
    else:
        pairs = _masked_pairs(lowest, layout, basis, random)
    return b"".join(linear), pairs.rerandomise(for_key_holder=True, random=random).to_bytes()


def residual_sums(
    public: PublicKey,
    layout: Layout,
    sent: RowCiphertexts,
    z: Floats,
    shrink: Floats,
    random: Random,
) -> bytes:
    """g alone, encrypted and re-randomised for the key's holder. Raises PeerError."""
    n, k = z.shape
    if len(sent.rows) != n * public.ciphertext_bytes or sent.weights:
        raise PeerError("encrypted residuals of another length than the plan's")
    added = np.rint(np.ldexp(shrink, ROW + LINEAR))
    sums = (
        _alone(public, sent.rows, n)
        .weighted_sums(_weights_of(z, layout, LINEAR))
        .add_plain(Plaintexts.from_ints([int(value) for value in added]))
        .add_plain(_hidden(layout, layout.row, (k, 1), ROW + LINEAR, random))
    )
    return sums.rerandomise(for_key_holder=True, random=random).to_bytes()


def weight_rows(
    public: PublicKey, layout: Layout, sent: RowCiphertexts, z: Floats, random: Random
) -> bytes:
    """For each row D_i z_i, packed, for the partners after this one."""
    n, k = z.shape
    curvature = _alone(public, sent.weights, n)
    numbers = _weights_of(z, layout, CROSS)
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
    numbers = _weights_of(z, layout, CROSS)
    row_bits = layout.cross.bound((1 << ROW_BITS + layout.cross_bits) - 1).bit_length()
    parts = []
    for group in range(groups):
        part = memoryview(data)[size * group : size * (group + 1)]
        rows = EncryptedVector.from_bytes(public, part, n, bound_bits=row_bits)
        used = min(layout.cross.slots, before - group * layout.cross.slots)
        added = _hidden(layout, layout.cross, (k, used), ROW + 2 * CROSS, random)
        sums = rows.weighted_sums(numbers).add_plain(added)
        parts.append(sums.rerandomise(for_key_holder=True, random=random).to_bytes())
    return b"".join(parts)


def _packed_pairs(
    curvature: EncryptedVector, layout: Layout, basis: BasisRows, random: Random
) -> EncryptedVector:
    """H packed: pair s * groups + g stands in slot s of ciphertext g."""
    packing = layout.pair
    k = basis.z.shape[1]
    sums, penalty = _pair_sums(curvature, layout, basis)
    groups, slots = layout.pair_groups(k), _pair_slots(layout, k)
    # the last slot repeats the last pair where pairs run out
    order = np.minimum(np.arange(slots * groups), len(sums) - 1).reshape(slots, groups)
    shift = Plaintexts.from_ints([1 << packing.slot_bits])
    packed = sums.take(order[-1])
    for row in order[-2::-1]:
        packed = packed.multiply_plain_wide(shift).add(sums.take(row))
    added = [
        sum(penalty[pair] << (packing.slot_bits * slot) for slot, pair in enumerate(column))
        for column in order.T
    ]
    hidden = _hidden(layout, packing, (groups, slots), ROW + layout.pair_bits, random)
    return packed.add_plain(Plaintexts.from_ints(added)).add_plain(hidden)


def _masked_pairs(
    rows: EncryptedVector, layout: Layout, basis: BasisRows, random: Random
) -> EncryptedVector:
    """H, a pair a ciphertext, in the lowest slot; all above it is masked."""
    sums, penalty = _pair_sums(rows, layout, basis)
    hidden = _hidden(layout, layout.row, (len(sums), 1), ROW + layout.pair_bits, random)
    return sums.add_plain(Plaintexts.from_ints(penalty)).add_plain(hidden)


def _pair_sums(
    vector: EncryptedVector, layout: Layout, basis: BasisRows
) -> tuple[EncryptedVector, list[int]]:
    """Sums weighted by every pair of columns, and the penalty's integers to add to them."""
    z, bits = basis.z, layout.pair_bits
    first, second = np.triu_indices(z.shape[1])
    blocks = [
        vector.weighted_sums(
            _weights_of(z[:, first[at : at + BLOCK]] * z[:, second[at : at + BLOCK]], layout, bits)
        )
        for at in range(0, len(first), BLOCK)
    ]
    penalty = np.rint(np.ldexp(basis.penalty[first, second], ROW + bits))
    return EncryptedVector.concatenate(blocks), [int(value) for value in penalty]


def _alone(public: PublicKey, data: bytes, count: int) -> EncryptedVector:
    return EncryptedVector.from_bytes(public, data, count, bound_bits=ROW_BITS)


def _weights_of(values: Floats, layout: Layout, bits: int) -> NDArray[np.int64]:
    """Fixed-point weights whose magnitudes add up to what every slot has room for."""
    weights = np.rint(np.ldexp(values, bits)).astype(np.int64)
    if np.abs(weights).sum(axis=0).max(initial=0) > 2 * layout.rows << bits:
        raise MisuseError("columns of a basis whose mean squares are above 1")
    return weights


def _pair_slots(layout: Layout, columns: int) -> int:
    """Slots that the pairs of `columns` columns take in each of their ciphertexts."""
    return -(-(columns * (columns + 1) // 2) // layout.pair_groups(columns))


def _hidden(
    layout: Layout, packing: Packing, shape: tuple[int, int], bits: int, random: Random
) -> Plaintexts:
    """For `[ciphertexts, slots]` that are opened: noise in each slot, a mask on all bits above.

    Noise is uniform integers of up to 2^-NOISE. The mask goes to the end of the plaintext: where
    honest rows have nothing, a label party that lies could place rows to be opened.
    """
    count, used = shape
    size, start = bits - NOISE, used * packing.slot_bits
    low = packing.pack(uniform_integers(shape, size, random), value_bits=size + 1).to_ints()
    room = layout.key_bits - 2 - start
    middle, width = 1 << (room - 1), (room + 7) // 8
    stream, spare = random(width * count), 8 * width - room
    masks = [
        (int.from_bytes(stream[width * i : width * (i + 1)], "little") >> spare) - middle
        for i in range(count)
    ]
    return Plaintexts.from_ints(
        [each + (mask << start) for each, mask in zip(low, masks, strict=True)],
        bound=(1 << (layout.key_bits - 3)) + (1 << start),
    )


def _open_groups(
    key: PrivateKey, packing: Packing, data: bytes, columns: int, numbers: int, bits: int
) -> Floats:
    """`float64[columns, numbers]` from ciphertexts group after group, `columns` in each."""
    groups = -(-numbers // packing.slots)
    size = columns * key.public.ciphertext_bytes
    if len(data) != groups * size:
        raise PeerError("encrypted sums of another length than the plan's")
    parts = [
        _open(
            key,
            packing,
            data[group * size : (group + 1) * size],
            columns,
            min(packing.slots, numbers - group * packing.slots),
        )
        for group in range(groups)
    ]
    return np.ldexp(np.hstack(parts), -bits)


def _open(key: PrivateKey, packing: Packing, data: bytes, count: int, used: int) -> Floats:
    """The lowest `used` slots, `float64[count, used]`; what is above them is masked."""
    if len(data) != count * key.public.ciphertext_bytes:
        raise PeerError("encrypted sums of another length than the plan's")
    opened = EncryptedVector.from_bytes(key.public, data, count).decrypt(key).to_ints()
    half, cut = 1 << (packing.slot_bits - 1), (1 << packing.slot_bits) - 1
    # with half a slot added to each no slot borrows from the next
    shift = half * sum(1 << (packing.slot_bits * slot) for slot in range(used))
    return np.array(
        [
            [((number + shift >> packing.slot_bits * slot) & cut) - half for slot in range(used)]
            for number in opened
        ],
        dtype=np.float64,
    ).reshape(count, used)
