"""One bit of each row at the label party's choice."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.transcript import Transcript
from federated.trees import row_bits
from psi.protocol import PeerError
from tests.unit.sharing.test_transfers import connection

ROWS = 2100  # keys of three groups


def links() -> tuple[IndexKeys, ValueKeys]:
    choosing, delta = connection()
    own = IndexKeys(choosing.seeds.tobytes(), choosing.coin)
    return own, ValueKeys(delta.seeds.tobytes(), delta.bits, delta.coin)


def world(width: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(width)
    table = rng.integers(0, 2**64, ROWS, dtype=np.uint64) & np.uint64((1 << (1 << width)) - 1)
    return table, rng.integers(0, 1 << width, ROWS).astype(np.uint8)


def bits_of(table: Any, entry: Any) -> Any:
    return table >> entry.astype(np.uint64) & np.uint64(1) == 1


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6])
def test_the_chosen_entry_is_opened_and_no_other(width: int) -> None:
    own, other = links()
    table, entries = world(width)
    transcript = Transcript.begin(secrets.token_bytes, b"t")
    choice, asked = row_bits.choose(own, transcript, "0 3", entries, width)
    nonce = secrets.token_bytes(32)
    words = row_bits.offered(other, asked, width, nonce, table)
    found = row_bits.opened(choice, asked.turns, width, nonce, words)
    assert np.array_equal(found, bits_of(table, entries))
    # under what the label party holds, every other entry is a coin: 2,100 of them, 6 sd
    beside = (entries + 1) % (1 << width)
    shifted = replace(choice, made=choice.made ^ entries ^ beside)
    guess = row_bits.opened(shifted, asked.turns, width, nonce, words)
    alike = int((guess == bits_of(table, beside)).sum())
    assert abs(alike - ROWS / 2) < 6 * np.sqrt(ROWS) / 2


def test_other_choices_from_an_older_copy_have_other_streams() -> None:
    own, _ = links()
    held, seen = Transcript.begin(bytes, b"t"), []
    for entries in (np.zeros(ROWS, np.uint8), np.zeros(ROWS, np.uint8), np.ones(ROWS, np.uint8)):
        choice, asked = row_bits.choose(own, held, "0 0", entries, 2)
        assert np.array_equal(choice.made ^ asked.turns, entries)
        seen.append((asked, choice))
    one, same, other = (asked for asked, _ in seen)
    assert np.array_equal(one.transfers.rows, same.transfers.rows)
    assert one.nonce == same.nonce != other.nonce
    # the numbers under the masks differ by what two pads make of them, not by themselves: else the
    # first level's words would be the sum of both
    made = [np.packbits(choice.made & 1, bitorder="little")[:256] for _, choice in seen]
    told = [np.ascontiguousarray(a.transfers.rows[0, :32]).view(np.uint8) for a, _ in seen]
    assert not np.array_equal(told[0] ^ told[2], made[0] ^ made[2])


def test_messages_of_another_shape_or_with_other_choices_in_a_group_are_refused() -> None:
    own, other = links()
    table, entries = world(2)
    transcript = Transcript.begin(secrets.token_bytes, b"t")
    choice, asked = row_bits.choose(own, transcript, "0 0", entries, 2)
    nonce, sent = secrets.token_bytes(32), asked.transfers
    rows = sent.rows.copy()
    rows[5, 0] ^= np.uint64(2**64 - 1)
    for wrong, width, words in (
        (replace(asked, turns=asked.turns | np.uint8(4)), 2, "do not fit"),
        (replace(asked, turns=asked.turns[:-1]), 2, "do not fit"),
        (replace(asked, turns=asked.turns & np.uint8(1)), 1, "another number"),
        (replace(asked, transfers=replace(sent, rows=rows)), 2, "different choices"),
        (replace(asked, nonce=nonce), 2, "different choices"),
    ):
        with pytest.raises(PeerError, match=words):
            row_bits.offered(other, wrong, width, nonce, table)
    with pytest.raises(PeerError, match="bytes"):
        row_bits.opened(choice, asked.turns, 2, nonce, np.zeros(3, np.uint8))
