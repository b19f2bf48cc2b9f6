"""The checks by themselves: the relations that they rest on."""

from __future__ import annotations

import secrets

import numpy as np

from psi.kernels.gf128 import add_products
from psi.kernels.gf128_sums import inner_products, powers, products
from psi.vole import extension
from psi.vole.correlation import Noise
from psi.vole.parameters import Vector
from psi.vole.secrets import Session
from psi.vole_malicious import checks

SESSION, CHUNK = Session(bytes(range(32))), 3
SIZES = (8, 20)
"""Elements of both messages' rows, the random ones at their ends included."""


def words(*shape: int) -> np.ndarray:
    data = secrets.token_bytes(8 * int(np.prod(shape)))
    return np.frombuffer(data, np.uint64).reshape(shape).copy()


class Dealt:
    """Inputs, messages, rows of both sides and secrets, of transfers and products."""

    def __init__(self) -> None:
        self.secrets = secrets.token_bytes(16), secrets.token_bytes(16)
        self.inputs = words(2 * SIZES[0]), words(2 * SIZES[1])
        both = [words(128, 4).view(np.uint8).reshape(128, 2, 16) for _ in SIZES]
        rows = np.arange(128)
        made = [extension.owner_rows(k, CHUNK, y) for k, y in zip(both, self.inputs, strict=True)]
        self.messages = made[0][0], made[1][0]
        self.own = made[0][1], made[1][1]
        bits = [np.unpackbits(np.frombuffer(s, np.uint8), bitorder="little") for s in self.secrets]
        self.bits = bits
        self.chosen = [k[rows, b] for k, b in zip(both, bits, strict=True)]

    def verify(self) -> bool:
        sums, digest = checks.prove(SESSION, CHUNK, self.messages, self.inputs, self.own)
        helped = [
            extension.helper_rows(k, s, CHUNK, m)
            for k, s, m in zip(self.chosen, self.secrets, self.messages, strict=True)
        ]
        rows = helped[0], helped[1]
        return checks.verify(
            SESSION, CHUNK, self.messages, rows, self.secrets, sums, digest
        ) and not checks.verify(SESSION, CHUNK + 1, self.messages, rows, self.secrets, sums, digest)


def test_rows_that_hide_one_input_pass() -> None:
    assert Dealt().verify()


def test_an_element_anywhere_in_a_row_is_seen_where_the_secret_looks() -> None:
    for which, place in ((0, 0), (0, SIZES[0] - 1), (1, 0), (1, 7), (1, SIZES[1] - 2)):
        for bit in (0, 1):
            dealt = Dealt()
            row = int(np.flatnonzero(dealt.bits[which] == bit)[0])
            dealt.messages[which][row, 2 * place + 1] ^= np.uint64(1 << 40)
            assert dealt.verify() == (bit == 0)


def test_what_is_sent_hides_the_input() -> None:
    """The same input with other random elements: other sums, however the weights fall."""
    dealt, seen = Dealt(), []
    for _ in range(2):
        for y in dealt.inputs:
            y[-2 * checks.HASHES :] = words(2 * checks.HASHES)
        sums, _ = checks.prove(SESSION, CHUNK, dealt.messages, dealt.inputs, dealt.own)
        seen.append(sums)
    assert (seen[0] != seen[1]).all()


def test_weights_are_drawn_from_every_word_of_the_messages() -> None:
    dealt = Dealt()
    before = checks.weights(SESSION, CHUNK, dealt.messages)
    for which, at in ((0, (0, 0)), (1, (127, 2 * SIZES[1] - 1))):
        dealt.messages[which][at] ^= np.uint64(1)
        after = checks.weights(SESSION, CHUNK, dealt.messages)
        for one, other, size in zip(before, after, SIZES, strict=True):
            assert (one[:, : size - 2] != other[:, : size - 2]).all()
            assert one[0, -2:].tolist() == [[1, 0], [0, 0]]
            assert one[1, -2:].tolist() == [[0, 0], [1, 0]]
        before = after


def test_both_sides_have_one_value_of_their_trees() -> None:
    vector, delta = Vector(336, 5, 4), words(2)
    places = np.array([0, 15, 7, 8, 3])
    noise = Noise(places, words(5, 2), np.zeros(20, np.uint8))
    weighing = checks.tree_weights(secrets.token_bytes(32), vector)
    leaves = words(5 << 4, 2)
    theirs = np.concatenate([words(80, 2), leaves], axis=1)
    at = (np.arange(5) << 4) + places
    moved = products(noise.values, np.repeat(delta[None], 5, axis=0))
    theirs[at, 2:] ^= moved
    product = words(2)
    own = product[None].copy()
    add_products(own, checks.checksum(noise, weighing)[None], delta)
    one = checks.leaves_value(leaves, weighing, product)
    assert (one == checks.leaves_value(theirs, weighing, own[0])).all()
    theirs[1, 2] ^= np.uint64(1)
    assert (one != checks.leaves_value(theirs, weighing, own[0])).any()


def test_powers_weigh_the_leaves_of_a_tree() -> None:
    vector = Vector(336, 3, 2)
    x, y = checks.tree_weights(bytes(32), vector)
    assert x.shape == (4, 2)
    assert (x == powers(x[1], 4)).all()
    assert y.shape == (3, 2)
    assert len(np.unique(y[:, 0])) == 3
    leaves = words(12, 2)
    flat = products(np.tile(x, (3, 1)), np.repeat(y, 4, axis=0))
    wanted = inner_products(leaves[None], flat)[0]
    assert (checks.leaves_value(leaves, (x, y), np.zeros(2, np.uint64)) == wanted).all()
