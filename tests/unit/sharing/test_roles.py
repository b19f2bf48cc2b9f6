"""The two roles of private sums: exact, through a kill at every message, and against lies."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import numpy as np
import pytest

from federated.sharing import chunks
from federated.sharing.bin_holder import BinHolder
from federated.sharing.messages import Corrected, Turned, Values, Zeroed
from federated.sharing.value_holder import ValueHolder
from psi.protocol import Context, InputError, MemoryStore, Pair, PeerError, decode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.frames import played_with_kills


def context(party: str) -> Context:
    return Context(b"s" * 32, "sums/0", party, secrets.token_bytes)


def pair(bins: list[Any], sizes: list[int], values: Any) -> Pair:
    rows, lanes = values.shape
    give = lambda low, high: values[low:high]  # noqa: E731
    holder = BinHolder(context("bank"), "bureau", bins, sizes, lanes)
    return Pair(
        holder, ValueHolder(context("bureau"), "bank", rows, lanes, give, columns=len(bins))
    )


def histogram(bins: Any, values: Any, size: int) -> Any:
    found = np.zeros((size, values.shape[1]), np.uint64)
    np.add.at(found, bins, values)
    return found


def world(rows: int, sizes: list[int], lanes: int, seed: int = 0) -> tuple[list[Any], Any]:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2**64, (rows, lanes), dtype=np.uint64)
    return [rng.integers(0, size, rows) for size in sizes], values


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 300])
def test_shares_add_up(rows: int) -> None:
    sizes = [2, 5, 16]
    bins, values = world(rows, sizes, 3, rows)
    found = pair(bins, sizes, values).run()
    for at, own in enumerate(bins):
        whole = found["bank"][at] + found["bureau"][at]
        assert np.array_equal(whole, histogram(own, values, len(whole)))
    assert not np.array_equal(found["bank"][0], histogram(bins[0], values, 2))


def test_trees_of_one_level_have_nothing_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 128)
    bins, values = world(700, [2, 2], 3)
    run = pair(bins, [2, 2], values)
    found = run.run()
    for at, own in enumerate(bins):
        whole = found["bank"][at] + found["bureau"][at]
        assert np.array_equal(whole, histogram(own, values, 2))
    kinds = [peek(e.payload) for e in run.sent]
    assert Zeroed not in kinds
    told = [decode(e.payload, Corrected) for e in run.sent if peek(e.payload) is Corrected]
    assert all(len(each.told) == 0 for each in told)  # what could be spoilt


def test_shares_add_up_over_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 128)
    bins, values = world(1000, [7, 3], 2)
    found = pair(bins, [7, 3], values).run()
    for at, own in enumerate(bins):
        whole = found["bank"][at] + found["bureau"][at]
        assert np.array_equal(whole, histogram(own, values, len(whole)))


@pytest.mark.parametrize("kept", [False, True], ids=["after", "before its state was saved"])
def test_roles_made_again_after_each_message_say_the_same(kept: bool) -> None:
    """A kill anywhere: what a restored role sends is what it would have sent.

    `kept`: its arrays were kept already, its state was not, and it takes the message once more.
    """
    bins, values = world(200, [5, 2], 2)
    stores = {name: MemoryStore() for name in ("bank", "bureau")}

    def made(name: str) -> Any:
        def first(size: int) -> bytes:  # a seed of its own, the same before and after a kill
            return hashlib.shake_256(name.encode()).digest(size)

        where = Context(b"s" * 32, "sums/0", name, first, stores[name])
        if name == "bank":
            return BinHolder(where, "bureau", bins, [5, 2], 2)
        return ValueHolder(where, "bank", 200, 2, lambda low, high: values[low:high], columns=2)

    results = played_with_kills(("bank", "bureau"), made, kept=kept)
    for at, own in enumerate(bins):
        whole = results["bank"][at] + results["bureau"][at]
        assert np.array_equal(whole, histogram(own, values, len(whole)))


def test_a_party_from_an_older_copy_reuses_no_pad() -> None:
    """The value holder runs twice from one saved state: equal values give equal bytes, others
    other pads, though the peer sends the same."""
    bins, values = world(64, [4], 1)
    store, sent = MemoryStore(), []

    def made(held: Any) -> ValueHolder:
        where = Context(b"s" * 32, "sums/0", "bureau", secrets.token_bytes, store)
        return ValueHolder(where, "bank", 64, 1, lambda low, high: held[low:high], columns=1)

    run = Pair(BinHolder(context("bank"), "bureau", bins, [4], 1), made(values))
    for name, role in run.roles.items():
        run._take(name, role.start())
    while Turned is not peek(decode(run._queue[0], Envelope).payload):
        run.deliver()
    saved, turned = run.roles["bureau"].save(), decode(run._queue[0], Envelope)
    for held in (values, values, values + np.uint64(1)):
        again = made(held)
        again.restore(saved)
        (envelope,) = again.receive(turned).messages
        sent.append(decode(envelope.payload, Values))
    assert np.array_equal(sent[0].lanes, sent[1].lanes)
    assert sent[0].nonce == sent[1].nonce != sent[2].nonce
    assert not (sent[2].lanes - sent[0].lanes == 1).any()


def test_a_bin_that_there_is_not_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InputError, match="outside of 0 to 4"):
        BinHolder(context("bank"), "bureau", [np.array([0, 5])], [5], 1)
    with pytest.raises(InputError, match="no rows"):
        BinHolder(context("bank"), "bureau", [np.zeros(0, np.int64)], [5], 1)


def test_another_number_of_rows_ends_the_session() -> None:
    bins, values = world(64, [4], 1)
    give = lambda low, high: values[low:high]  # noqa: E731
    one = BinHolder(context("bank"), "bureau", bins, [4], 1)
    other = ValueHolder(context("bureau"), "bank", 65, 1, give, columns=1)
    with pytest.raises(PeerError, match="64 rows at the bin holder, 65 here"):
        Pair(one, other).run()


def test_other_columns_or_numbers_a_row_than_agreed_end_the_session() -> None:
    bins, values = world(64, [4, 4], 2)
    give = lambda low, high: values[low:high]  # noqa: E731
    for lanes, columns, said in ((1, 2, "2 numbers a row found, 1"), (2, 1, "2 columns of bins")):
        one = BinHolder(context("bank"), "bureau", bins, [4, 4], lanes)
        other = ValueHolder(context("bureau"), "bank", 64, 2, give, columns=columns)
        with pytest.raises(PeerError, match=said):
            Pair(one, other).run()


def test_what_is_sent_tells_neither_bins_nor_values() -> None:
    """Two runs over other bins and values send messages of the same kinds and sizes."""
    seen = []
    for seed in (1, 2):
        bins, values = world(128, [8], 2, seed)
        run = pair(bins, [8], values)
        run.run()
        seen.append([(e.sender, peek(e.payload), len(e.payload)) for e in run.sent])
    assert seen[0] == seen[1]


def test_turns_and_values_are_padded() -> None:
    bins, values = [np.zeros(2048, np.int64)], np.zeros((2048, 1), np.uint64)
    run = pair(bins, [16], values)
    run.run()
    kinds: dict[Any, Any] = {peek(e.payload): e.payload for e in run.sent}
    turns = decode(kinds[Turned], Turned).turns
    counts = np.bincount(turns, minlength=16)
    assert len(counts) == 16
    assert ((counts - 128) ** 2 / 128).sum() < 60  # chi square, 15 degrees
    lanes = decode(kinds[Values], Values).lanes
    assert len(np.unique(lanes)) == 2048


def test_a_value_holder_that_spoils_a_correction_is_stopped_before_turns() -> None:
    bins, values = world(64, [16], 1)

    class Liar(ValueHolder):
        def on_asked(self, state: Any, sent: Any, peer: str) -> Any:
            turn = super().on_asked(state, sent, peer)
            ((_, told),) = turn.messages
            spoilt = told.told.copy()
            spoilt[3] ^= np.uint64(1)
            return type(turn)(turn.state, [(peer, Corrected(told.place, told.nonce, spoilt))])

    holder = BinHolder(context("bank"), "bureau", bins, [16], 1)
    liar = Liar(context("bureau"), "bank", 64, 1, lambda low, high: values[low:high], columns=1)
    run = Pair(holder, liar)
    with pytest.raises(PeerError, match="do not fit their check"):
        run.run()
    assert Turned not in {peek(e.payload) for e in run.sent}
