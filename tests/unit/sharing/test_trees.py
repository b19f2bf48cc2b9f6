"""Trees of a column at both sides: exact sums, and what a party that lies gets."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.sharing.trees import BinTrees, ValueTrees, Zeros, check_nonce, depth_of
from psi.protocol import PeerError
from tests.unit.sharing.test_transfers import connection


def trees(rows: int, depth: int, number: int = 1) -> tuple[BinTrees, ValueTrees]:
    """Both sides, checked, for random bins yet."""
    one, other = connection()
    asked, nonce, sent = BinTrees.ask(one, number, rows, depth, secrets.token_bytes)
    made, told = ValueTrees.make(other.under(nonce), number, sent, rows, depth, b"t" * 32)
    held = asked.corrected(told, b"t" * 32)
    held.check(b"z" * 32, made.zeros(b"z" * 32))
    return held, made


def histogram(bins: Any, values: Any, size: int) -> Any:
    found = np.zeros((size, values.shape[1]), values.dtype)
    np.add.at(found, bins, values)
    return found


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 31, 32, 33])
def test_shares_add_up_for_every_number_of_bins(count: int, bits: int) -> None:
    depth, rng = depth_of(count), np.random.default_rng(count)
    held, made = trees(128, depth)
    bins = rng.integers(0, count, 128).astype(np.uint16)
    held, turns = held.turned(bins)
    made = made.turned(turns)
    for batch in range(2):  # any number of batches over the same trees
        nonce = bytes([batch]) * 32
        values = rng.integers(0, 2**bits, (128, 3), dtype=np.uint64).astype(f"u{bits // 8}")
        values[0], values[1] = 0, np.iinfo(values.dtype).max
        pads, own = made.sums(nonce, 3, bits)
        share = held.share(nonce, values + pads, bits)
        assert np.array_equal(share - own, histogram(bins, values, 1 << depth))


def test_a_spoilt_correction_is_seen_and_says_nothing_of_the_bins() -> None:
    one, other = connection()
    seen = 0
    for level in range(3):
        asked, nonce, sent = BinTrees.ask(one, 10 + level, 64, 4, secrets.token_bytes)
        made, told = ValueTrees.make(other.under(nonce), 10 + level, sent, 64, 4, b"t" * 32)
        spoilt = told.copy()
        spoilt[7, level, 0] ^= np.uint64(1)
        held = asked.corrected(spoilt, b"t" * 32)
        zeros = made.zeros(b"z" * 32)
        with pytest.raises(PeerError, match="do not fit their check"):
            held.check(b"z" * 32, zeros)
        # a liar that guesses the row's number mends its zeros: it passes where it is right
        share = held.share(check_nonce(b"z" * 32), zeros.lane[:, None], 64)[:, 0]
        held.check(b"z" * 32, Zeros(zeros.lane, share))
        seen += 1
        assert not np.array_equal(held.made, np.zeros(64))  # drawn before there are bins
    assert seen == 3


def test_values_under_one_nonce_would_open_their_difference() -> None:
    """Why a nonce follows from all that was received: the trap, played."""
    _, made = trees(64, 3)
    first, _ = made.sums(b"n" * 32, 1, 64)
    again, _ = made.sums(b"n" * 32, 1, 64)
    other, _ = made.sums(b"m" * 32, 1, 64)
    assert np.array_equal(first, again)
    assert not (first == other).any()


def test_another_shape_is_refused() -> None:
    held, made = trees(64, 3)
    with pytest.raises(PeerError, match="another shape"):
        held.corrected(np.zeros((64, 1, 2), np.uint64), b"t" * 32)
    with pytest.raises(PeerError, match="another shape"):
        held.check(b"z" * 32, Zeros(np.zeros(64, np.uint64), np.zeros(4, np.uint64)))
    with pytest.raises(PeerError, match="turns"):
        made.turned(np.full(64, 8, np.uint16))
    with pytest.raises(PeerError, match="turns"):
        made.turned(np.zeros(32, np.uint16))


def test_pads_of_other_trees_are_others() -> None:
    held, made = trees(64, 3)
    other = replace(made, nonce=b"u" * 32)
    values = np.zeros((64, 1), np.uint64)
    pads, own = other.sums(b"n" * 32, 1, 64)
    share = held.share(b"n" * 32, values + pads, 64)
    assert not np.array_equal(share, own)
