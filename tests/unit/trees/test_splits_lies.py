"""What a party gets that sends something else in a level's six messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.sharing.kept import ValueKeys
from federated.sharing.seeds import GROUPS
from federated.trees.splitting import LabelSplits, garbling
from federated.trees.splitting.transfers import Picks
from psi.kernels.half_gates import PER_KEY
from psi.protocol import MisuseError, PeerError, encode
from psi.protocol.store import MemoryStore
from tests.unit.trees.splits_world import A_GIVES, A_KEYS, case, run, transcript

Change = Callable[[Any], Any]


def changed(number: int, change: Change) -> None:
    """A small level in which one message is another."""
    of = case(rows=300, nodes=2, columns=2, bins=4)
    run(of.level, of.left, of.totals, change={number: change})


def test_the_feature_party_cannot_claim_a_win() -> None:
    """It has one label of each node's wire; the other, or any, ends the run."""
    for change in (
        lambda m: replace(m, labels=m.labels ^ np.uint64(1)),
        lambda m: replace(m, labels=m.labels[::-1].copy()),
        lambda m: replace(m, labels=np.zeros_like(m.labels)),
    ):
        with pytest.raises(PeerError, match="a label that its wire does not have"):
            changed(5, change)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_transfers_that_hide_different_choices_end_a_run(number: int) -> None:
    """By which a choosing side would read bits of the other's Δ, and with it all that is hidden."""

    def spoilt(sent: Any) -> Any:
        rows = sent.transfers.rows.copy()
        rows[0] ^= np.uint64(1)
        return replace(sent, transfers=replace(sent.transfers, rows=rows))

    with pytest.raises(PeerError, match="different choices"):
        changed(number, spoilt)


def shorter(name: str) -> Change:
    return lambda m: replace(m, **{name: getattr(m, name)[:-1]})


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (1, "slopes"),
        (1, "places"),
        (1, "lifts"),
        (1, "scales"),
        (1, "nonce"),
        (2, "entries"),
        (2, "nonce"),
        (4, "gates"),
        (4, "ends"),
        (4, "colours"),
        (4, "nonce"),
        (5, "labels"),
    ],
)
def test_messages_of_another_shape_end_a_run(number: int, name: str) -> None:
    with pytest.raises(PeerError):
        changed(number, shorter(name))


@pytest.mark.parametrize("number", range(6))
def test_messages_of_another_level_end_a_run(number: int) -> None:
    with pytest.raises(PeerError, match="not due"):
        changed(number, lambda m: replace(m, level=m.level + 1))


@pytest.mark.parametrize("number", [0, 1, 3])
def test_transfers_of_another_number_end_a_run(number: int) -> None:
    def fewer(sent: Any) -> Any:
        return replace(sent, transfers=replace(sent.transfers, rows=sent.transfers.rows[:-32]))

    with pytest.raises(PeerError, match="transfers of another"):
        changed(number, fewer)


def test_numbers_that_no_candidate_has_end_a_run() -> None:
    """Colours that are not the circuit's make the feature party read other numbers: at worst one
    that there is, and the label party learns no more by it than who won."""
    found = []
    for bits in range(1, 8):

        def turned(sent: Any, bits: int = bits) -> Any:
            colours = np.unpackbits(sent.colours, bitorder="little")
            colours[:6:2] ^= bits >> np.arange(3, dtype=np.uint8) & 1
            return replace(sent, colours=np.packbits(colours, bitorder="little"))

        try:
            changed(4, turned)
        except PeerError as error:
            found.append(str(error))
    assert found
    assert set(found) == {"a number that no candidate has"}


def test_wrong_gates_end_a_run_before_a_label_is_told() -> None:
    """Wrong gates make labels by the inputs, and 128 bits would tell many of these."""
    for at in (0, 300, -40):

        def wrong(sent: Any, at: int = at) -> Any:
            gates = sent.gates.copy()
            gates[at:] ^= np.uint64(1 << 40)
            return replace(sent, gates=gates)

        with pytest.raises(PeerError, match="gates that lead to no label"):
            changed(4, wrong)


def test_wrong_products_make_other_winners_only() -> None:
    """Padded numbers and tables are the liar's own shares: a run goes on and tells no more."""
    of = case(rows=300, nodes=2, columns=2, bins=4)
    for number, name in ((1, "slopes"), (1, "scales"), (2, "entries")):

        def other(sent: Any, name: str = name) -> Any:
            return replace(sent, **{name: ~getattr(sent, name)})

        found = run(of.level, of.left, of.totals, change={number: other})
        assert np.array_equal(found.won, found.candidate >= 0)


def test_delta_needs_its_colour() -> None:
    bits = A_GIVES.bits.copy()
    bits[0] = 0
    with pytest.raises(MisuseError, match="bit 0 of delta"):
        LabelSplits(MemoryStore(), A_KEYS, ValueKeys(A_GIVES.seeds, bits, A_GIVES.coin))


def test_a_party_from_an_older_copy_reuses_no_pad() -> None:
    """With other messages heard it draws other nonces: other streams, pads and labels."""
    of = case(rows=300, nodes=2, columns=2, bins=4)

    def other(sent: Any) -> Any:
        return replace(sent, lifts=~sent.lifts)

    plain = run(of.level, of.left, of.totals).messages
    again = run(of.level, of.left, of.totals, change={1: other}).messages
    assert encode(plain[0]) == encode(again[0])
    assert plain[1].nonce == again[1].nonce
    for number in (2, 4):
        assert plain[number].nonce != again[number].nonce
    assert plain[3].transfers.nonce != again[3].transfers.nonce


def test_choices_that_differ_are_under_other_streams() -> None:
    """Of the same history and name: one stream would tell the two choices' difference."""
    bits = np.zeros(90, np.uint8)
    sent = [Picks.of(A_KEYS, transcript(b"picks"), "t", each)[1] for each in (bits, 1 - bits, bits)]
    assert sent[0].nonce != sent[1].nonce
    assert sent[0].nonce == sent[2].nonce
    told = (sent[0].rows ^ sent[1].rows).reshape(-1, len(sent[0].rows) // GROUPS)
    assert len(np.unique(told, axis=0)) == GROUPS  # no two groups' streams cancel


def test_no_two_gates_of_a_circuit_share_key_and_tweak(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tweak counts the products under one key, so keys differ: of calls and of bits."""
    keys: list[Any] = []

    def noted(make: Any) -> Any:
        def made(a: Any, b: Any, delta: Any, own: Any, **how: Any) -> Any:
            bits, count = (len(a), a.shape[1]) if a.ndim == 3 else (1, len(a))
            assert own.size == bits * -(-count // PER_KEY) * 16
            keys.extend(own.reshape(-1, 16))
            return make(a, b, delta, own, **how)

        return made

    for name in ("garbled", "garbled_chain"):
        monkeypatch.setattr(garbling, name, noted(getattr(garbling, name)))
    of = case(rows=300, nodes=2, columns=2, bins=4)
    run(of.level, of.left, of.totals)
    assert len(keys) > 20
    assert len(np.unique(keys, axis=0)) == len(keys)
