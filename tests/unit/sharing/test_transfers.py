"""Correlated transfers from real base transfers, and what the checks stop."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from federated.sharing.seeds import GROUPS, choosing_seeds, delta_seeds
from federated.sharing.transfers import CHECKED, Choosing, Delta, words_of
from psi.protocol import PeerError
from psi.vole_malicious import base_ot

SESSION = b"s" * 32


@cache
def set_up() -> tuple[Any, Any, bytes, Any, Any]:
    bits = np.unpackbits(np.frombuffer(secrets.token_bytes(16), np.uint8), bitorder="little")
    secret, point = base_ot.offer(secrets.token_bytes)
    chosen = (1 - bits).astype(np.uint8)
    points, keys = base_ot.choose(point, chosen, SESSION, secrets.token_bytes)
    both = base_ot.give(secret, point, points, SESSION)
    seeds, sent = choosing_seeds(both, secrets.token_bytes, SESSION)
    return seeds, delta_seeds(keys, bits, sent, SESSION), sent, keys, bits


def connection(coin: bytes = b"c" * 32) -> tuple[Choosing, Delta]:
    seeds, missing, _, _, bits = set_up()
    return Choosing(seeds, coin), Delta(missing, bits, coin)


def choices(count: int, seed: int = 0) -> Any:
    width = words_of(count) - 2 * CHECKED
    return np.random.default_rng(seed).integers(0, 2**64, width, dtype=np.uint64)


@pytest.mark.parametrize("count", [1, 64, 127, 128, 129, 5000])
def test_rows_differ_by_choice_times_delta(count: int) -> None:
    one, other = connection()
    asked = choices(count, count)
    sent, t = one.choose(7, asked, count, secrets.token_bytes)
    q = other.take(7, sent, count)
    bits = np.unpackbits(asked.view(np.uint8), bitorder="little")[:count].astype(np.uint64)
    assert np.array_equal(q ^ t, bits[:, None] * other.delta)
    assert np.array_equal(one.rows(7, count), t)  # a party that goes on keeps none of them


def test_a_new_connection_masks_otherwise() -> None:
    asked = choices(128)
    found = [
        connection(coin)[0].choose(1, asked, 128, bytes)[0].rows
        for coin in (b"1" * 32, b"2" * 32, b"1" * 32)
    ]
    assert np.array_equal(found[0], found[2])
    assert not (found[0] == found[1]).any()


def test_other_choices_in_one_group_end_the_session_unless_its_bits_are_zero() -> None:
    one, other = connection()
    sent, _ = one.choose(3, choices(256), 256, secrets.token_bytes)
    for group in range(GROUPS):
        rows = sent.rows.copy()
        rows[group, 0] ^= np.uint64(1)
        # the weights come from what was sent: a cheat that is consistent proves what it sent
        with pytest.raises(PeerError, match="different choices"):
            other.take(3, replace(sent, rows=rows), 256)


def test_a_wrong_sum_of_seeds_ends_the_session_where_the_guess_is_wrong() -> None:
    _, _, sent, keys, bits = set_up()
    for level in range(4):
        bit = int(bits[level])
        wrong, harmless = bytearray(sent), bytearray(sent)
        wrong[32 * level + 16 * (1 - bit)] ^= 1  # the sum that is read
        harmless[32 * level + 16 * bit] ^= 1  # the one beside it: it learns one bit of delta
        with pytest.raises(PeerError, match="do not fit their check"):
            delta_seeds(keys, bits, bytes(wrong), SESSION)
        assert np.array_equal(delta_seeds(keys, bits, bytes(harmless), SESSION), set_up()[1])
    with pytest.raises(PeerError, match="bytes"):
        delta_seeds(keys, bits, sent[:-1], SESSION)


def test_a_message_of_another_size_is_refused() -> None:
    one, other = connection()
    sent, _ = one.choose(3, choices(256), 256, secrets.token_bytes)
    with pytest.raises(PeerError, match="another number"):
        other.take(3, sent, 512)
    with pytest.raises(PeerError, match="different choices"):
        other.take(4, sent, 256)  # another call's masks
