"""The two checks: of the receiver's rows, and of the sender's trees.

*Rows.* In a message of transfers or products each of 128 rows hides the same input y of the owner.
An owner that cheats hides y_j in row j; where the secret's bit j is set, the helper's row then
differs by y_j + y. Rows are vectors over GF(2^128), ending in two random elements. With weights w,
two vectors that are drawn by a random oracle from the session and from the messages themselves,
the owner sends

    z = <w, y> + its random element     and a hash of all  <w, t_j> + that element of t_j

for its own rows t_j, and the helper compares the hash with that of its rows' values plus s_j·z. An
owner whose rows are not all one passes where it guesses s_j right for each row j that differs from
the input which z stands for, and no more: see docs/protocols/vole_psi_malicious.md.

*Trees.* The receiver draws X and a weight a tree, keeps them until all trees of the chunk are here,
and puts x = Σ_i Y_i X^place_i e_i into one product more. The sender's leaves b and the receiver's
c = b + e·Δ then give the same value of

    Σ_i Y_i Σ_k X^k leaf_ik  + the product's b or c.

Sources: Roy 2022 (eprint 2022/192), section 4, for the rows; Weng, Yang, Katz and Wang 2021 (eprint
2020/925) and Yang et al. 2020 (eprint 2020/924), with one weight a tree as well, for the trees.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import numpy as np

from psi.kernels.blake2s import Blake2s
from psi.kernels.gf128_sums import inner_products, powers, products
from psi.vole.correlation import Noise
from psi.vole.parameters import Vector
from psi.vole.secrets import KEY, Session, derive, words

__all__ = [
    "HASHES",
    "checksum",
    "leaves_value",
    "prove",
    "tree_digest",
    "tree_seed",
    "tree_weights",
    "verify",
    "weights",
]

Words = np.ndarray[Any, np.dtype[np.uint64]]

HASHES = 2
"""Values of each row, of 128 bits each, and random elements at its end."""


def weights(session: Session, chunk: int, messages: tuple[Words, Words]) -> tuple[Words, Words]:
    """Weights of both messages' rows, `uint64[HASHES, n, 2]` each for rows of n elements.

    A row's random elements at the end have weight one in a value of their own, zero in the other.
    """
    drawn = hashlib.blake2b(digest_size=KEY, key=session.key("weights"), person=b"vole rows")
    drawn.update(chunk.to_bytes(8, "little"))
    for message in messages:
        drawn.update(len(message[0]).to_bytes(8, "little"))
        drawn.update(np.ascontiguousarray(message, "<u8").data)
    oracle = Blake2s(drawn.digest(), b"voleweig")
    found = []
    for which, message in enumerate(messages):
        table = np.empty((message.shape[1] // 2 - HASHES, 2), np.uint64)
        table[:, 0], table[:, 1] = which, np.arange(len(table))
        each = np.zeros((HASHES, message.shape[1] // 2, 2), np.uint64)
        each[:, :-HASHES] = oracle.rows(table).reshape(-1, HASHES, 2).swapaxes(0, 1)
        each[:, -HASHES:, 0] = np.eye(HASHES, dtype=np.uint64)
        found.append(each)
    return found[0], found[1]


def _values(rows: Words, weighing: Words) -> Words:
    """Both values of each row: `uint64[k, 2n]` to `uint64[k, HASHES, 2]`."""
    elements = rows.reshape(len(rows), -1, 2)
    return np.stack([inner_products(elements, each) for each in weighing], axis=1)


def prove(
    session: Session,
    chunk: int,
    messages: tuple[Words, Words],
    inputs: tuple[Words, Words],
    rows: tuple[Words, Words],
) -> tuple[Words, bytes]:
    """What the owner sends: z of both messages, `uint64[2 · HASHES, 2]`, and the hash."""
    weighing = weights(session, chunk, messages)
    sums = [_values(y[None], w)[0] for y, w in zip(inputs, weighing, strict=True)]
    values = [_values(t, w) for t, w in zip(rows, weighing, strict=True)]
    return np.concatenate(sums), _digest(session, chunk, values)


def verify(
    session: Session,
    chunk: int,
    messages: tuple[Words, Words],
    rows: tuple[Words, Words],
    secrets: tuple[bytes, bytes],
    sums: Words,
    digest: bytes,
) -> bool:
    """Whether the owner's proof fits the helper's rows and secrets."""
    weighing = weights(session, chunk, messages)
    values = []
    for which, (q, w, secret) in enumerate(zip(rows, weighing, secrets, strict=True)):
        bits = np.unpackbits(np.frombuffer(secret, np.uint8), bitorder="little")
        on = (np.uint64(0) - bits.astype(np.uint64))[:, None, None]
        values.append(_values(q, w) ^ (on & sums[HASHES * which : HASHES * (which + 1)]))
    return hmac.compare_digest(_digest(session, chunk, values), digest)


def _digest(session: Session, chunk: int, values: list[Words]) -> bytes:
    drawn = hashlib.blake2b(digest_size=KEY, key=session.key("rows"), person=b"vole rows")
    drawn.update(chunk.to_bytes(8, "little"))
    for value in values:
        drawn.update(value.astype("<u8").tobytes())
    return drawn.digest()


def tree_seed(seed: bytes, chunk: int) -> bytes:
    """What the weights of a chunk's trees are drawn from; the sender gets it after its trees."""
    return derive(derive(seed, "trees"), str(chunk))


def tree_weights(seed: bytes, vector: Vector) -> tuple[Words, Words]:
    """Powers of X up to the leaves of a tree, `uint64[2^d, 2]`; Y, `uint64[t, 2]`."""
    drawn = words(seed, 0, 2 + 2 * vector.trees).reshape(-1, 2)
    return powers(drawn[0], 1 << vector.depth), drawn[1:]


def checksum(noise: Noise, weighing: tuple[Words, Words]) -> Words:
    """Σ_i Y_i X^place_i e_i: `uint64[2]`."""
    x, y = weighing
    return inner_products(noise.values[None], products(x[noise.places], y)).reshape(2)


def leaves_value(room: Words, weighing: tuple[Words, Words], product: Words) -> Words:
    """Σ_i Y_i Σ_k X^k leaf_ik + product: `uint64[2]`, of leaves in a room of either side.

    They are its last two columns.
    """
    x, y = weighing
    width = room.shape[1]
    leaves = room[: len(y) * len(x)].reshape(len(y), len(x), width)
    trees = inner_products(leaves, x, width - 2)
    return inner_products(trees[None], y).reshape(2) ^ product


def tree_digest(session: Session, before: bytes, chunk: int, value: Words) -> bytes:
    """The values of all chunks so far, as one hash: `before` is that of the chunks before."""
    text = before + chunk.to_bytes(8, "little") + value.astype("<u8").tobytes()
    return hashlib.blake2s(text, key=session.key("trees value"), person=b"voletree").digest()
