"""What a party that cheats gets from the plain protocol, and that the checked one catches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from psi import vole, vole_malicious
from psi.protocol import EnvironmentFailed, Pair, PeerError
from psi.vole.extension import bit_row
from psi.vole.messages import Answer, Encoded, Extension, Tags, Trees
from psi.vole.parameters import store_for
from psi.vole_malicious.messages import Challenge, Evidence, Proof, Rows
from tests.unit.vole_malicious.cheats import (
    SIZE,
    BoasterChecked,
    BoasterPlain,
    OpenCheckedReceiver,
    OpenCheckedSender,
    OpenReceiver,
    OpenSender,
    OverfullChecked,
    OverfullPlain,
    ReaderChecked,
    ReaderPlain,
    UnevenChecked,
    UnevenPlain,
    context,
    items,
    roles,
    run,
)

Change = Callable[[Any], Any]
MANY = tuple(range(3, 103))


def outcome(*both: Any, **changes: Any) -> str:
    """What ended the run, or nothing if all items matched."""
    try:
        assert run(*both, **changes) == SIZE
    except PeerError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("row", [0, 77])
def test_an_uneven_row_reads_a_secret_bit_off_the_plain_protocol(which: int, row: int) -> None:
    receiver, sender = roles(UnevenPlain, OpenSender)
    receiver.uneven, receiver.which = (row,), which
    matches = run(receiver, sender)
    # it ends as ever; whether matches are missing is the bit
    assert (matches < SIZE) == bool(sender.secrets[which, row])


@pytest.mark.parametrize("which", [0, 1])
def test_uneven_rows_are_caught(which: int) -> None:
    receiver, sender = roles(UnevenChecked, OpenCheckedSender)
    receiver.uneven, receiver.which = MANY, which
    with pytest.raises(PeerError, match="hide different inputs"):
        run(receiver, sender)


@pytest.mark.parametrize("which", [0, 1])
def test_one_uneven_row_costs_the_run_or_a_bit(which: int) -> None:
    """The price that the chapter states: a guessed bit, caught with one half."""
    receiver, sender = roles(UnevenChecked, OpenCheckedSender)
    receiver.uneven, receiver.which = (9,), which
    caught = outcome(receiver, sender)
    assert ("hide different inputs" in caught) == bool(sender.secrets[which, 9])


def test_a_chooser_with_both_logarithms_reads_the_noise_of_the_plain_protocol() -> None:
    receiver, sender = roles(OpenReceiver, ReaderPlain)
    assert run(receiver, sender) == SIZE
    noise, (bits, values) = receiver.noise(), sender.read
    assert (bits == bit_row(noise.bits)).all()
    assert (values == noise.values.reshape(-1)).all()


def test_a_chooser_with_both_logarithms_gets_no_key_and_is_caught() -> None:
    receiver, sender = roles(OpenCheckedReceiver, ReaderChecked)
    with pytest.raises(PeerError, match="hide different inputs"):
        run(receiver, sender)
    noise, (bits, _) = receiver.noise(), sender.read
    alike = (bits[:, :4] == bit_row(noise.bits)[:4]).all(axis=1)
    assert not alike.any()


def spoil_left(trees: tuple[int, ...], depth: int) -> dict[type, Change]:
    """Another sum of the first level's left side of some trees."""

    def change(part: Trees) -> Trees:
        sums = part.sums.copy()
        sums[[tree * depth for tree in trees], 0] ^= np.uint64(1)
        return replace(part, sums=sums)

    return {Trees: change}


def used(receiver: Any, tree: int) -> bool:
    """Whether the receiver needs the left side of that tree's first level."""
    return not receiver.noise().bits[tree * receiver._correlation(0).depth]


@pytest.mark.parametrize("times", range(2))
def test_an_altered_sum_reads_a_place_of_the_noise_off_the_plain_protocol(times: int) -> None:
    receiver, sender = roles(OpenReceiver, vole.Sender)
    vector = receiver._correlation(0)
    tree = vector.trees * 11 // 20 + times
    matches = run(receiver, sender, change=spoil_left((tree,), vector.depth))
    assert (matches < SIZE) == used(receiver, tree)


def test_altered_sums_are_caught() -> None:
    receiver, sender = roles(OpenCheckedReceiver, vole_malicious.Sender)
    depth = receiver._correlation(0).depth
    with pytest.raises(PeerError, match="trees that are not those"):
        run(receiver, sender, change=spoil_left(tuple(range(100)), depth))


def test_one_altered_sum_costs_the_run_or_a_bit() -> None:
    receiver, sender = roles(OpenCheckedReceiver, vole_malicious.Sender)
    depth, tree = receiver._correlation(0).depth, 5
    caught = outcome(receiver, sender, change=spoil_left((tree,), depth))
    assert ("trees that are not those" in caught) == used(receiver, tree)


def spoil_totals(part: Trees) -> Trees:
    totals = part.totals.copy()
    totals[len(totals) * 11 // 20, 0] ^= np.uint64(1)
    return replace(part, totals=totals)


def test_an_altered_total_loses_matches_of_the_plain_protocol_unseen() -> None:
    assert run(*roles(vole.Receiver, vole.Sender), change={Trees: spoil_totals}) < SIZE
    with pytest.raises(PeerError, match="trees that are not those"):
        run(
            *roles(vole_malicious.Receiver, vole_malicious.Sender),
            change={Trees: spoil_totals},
        )


@pytest.mark.parametrize(
    ("receiver", "sender"),
    [(OverfullPlain, vole.Sender), (OverfullChecked, vole_malicious.Sender)],
)
def test_a_receiver_fits_more_than_it_states_but_no_more_than_columns(
    receiver: type[vole.Receiver], sender: type[vole.Sender]
) -> None:
    """Neither protocol sees it: the chapter states the bound, a sender's `largest_set` the rest."""
    assert run(*roles(receiver, sender, 2 * SIZE, "receiver")) == 2 * SIZE
    with pytest.raises(EnvironmentFailed, match="no solution"):
        run(*roles(receiver, sender, store_for(SIZE).bin_columns + 1))


def boast(receiver: type[Any], sender: type[Any], lies: int) -> int:
    """How many records the sender believes to share where ten are."""
    places = context("r"), context("s")
    boaster = receiver(places[0], "s", items(range(30, 70)), reveal="both", minimum=0, largest=100)
    boaster.lies = lies
    believer = sender(places[1], "r", items(range(SIZE)), reveal="both", largest=100)
    return int(Pair(boaster, believer).run()["s"].count)


def test_a_receiver_reports_what_it_does_not_hold_in_the_plain_protocol() -> None:
    assert boast(BoasterPlain, vole.Sender, 30) == SIZE


@pytest.mark.parametrize("lies", [1, 2, 30])
def test_a_report_of_what_is_not_held_is_caught(lies: int) -> None:
    with pytest.raises(PeerError, match="does not hold"):
        boast(BoasterChecked, vole_malicious.Sender, lies)
    assert boast(BoasterChecked, vole_malicious.Sender, 0) == 10


def test_a_receiver_may_leave_matches_out() -> None:
    """What the chapter says is not promised."""

    class Modest(vole_malicious.Receiver):
        def _told(self, own: Any, peer: Any) -> list[Any]:
            return super()._told(own[:4], peer[:4])

    assert boast(Modest, vole_malicious.Sender, 0) == 4


def test_one_tag_for_two_items_ends_the_run() -> None:
    """A sender that had found two items with one tag would have both of them matched by it."""
    receiver, sender = roles(vole_malicious.Receiver, vole_malicious.Sender)
    matches = receiver._lookup.matches
    receiver._lookup.matches = lambda parts: (matches(parts)[0], matches(parts)[1] // 2)  # type: ignore[method-assign]
    with pytest.raises(PeerError, match="one tag for two items"):
        run(receiver, sender)


def test_another_size_than_the_receiver_was_told() -> None:
    """Sizes name the run: keys made under different names do not fit."""
    change: dict[type, Change] = {Answer: lambda answer: replace(answer, total=answer.total + 1)}
    with pytest.raises(PeerError, match=r"hide different inputs|not the one committed"):
        run(*roles(vole_malicious.Receiver, vole_malicious.Sender), change=change)


@pytest.mark.parametrize("kind", [Rows, Extension])
def test_messages_of_another_run(kind: type) -> None:
    kept: list[Any] = []

    def keep(part: Any) -> Any:
        kept.append(part)
        return part

    run(*roles(vole_malicious.Receiver, vole_malicious.Sender), change={kind: keep})
    with pytest.raises(PeerError, match=r"hide different inputs|not the one committed"):
        run(
            *roles(vole_malicious.Receiver, vole_malicious.Sender),
            change={kind: lambda _: kept[0]},
        )


def test_altered_tags_and_stores_lose_matches_and_tell_nothing() -> None:
    """Both are the own loss of who sends them: no error, and no match that is not one."""
    both: tuple[tuple[type, Change], ...] = (
        (
            Tags,
            lambda part: replace(part, rests=part.rests ^ (np.arange(12) == 0).astype(np.uint8)),
        ),
        (Encoded, lambda part: replace(part, elements=part.elements[::-1].copy())),
    )
    for kind, change in both:
        made = roles(vole_malicious.Receiver, vole_malicious.Sender)
        assert run(*made, change={kind: change}) == 0


@pytest.mark.parametrize(
    ("kind", "fields", "why"),
    [
        (Rows, {"chunk": lambda c: 1}, "not due"),
        (Rows, {"sums": lambda s: s[1:]}, "another form"),
        (Rows, {"digest": lambda d: d[1:]}, "another form"),
        (Rows, {"digest": lambda d: bytes(32)}, "hide different inputs"),
        (Rows, {"sums": lambda s: s ^ np.uint64(1)}, "hide different inputs"),
        (Extension, {"transfers": lambda t: t[:, :-4]}, "transfers of another number"),
        (Extension, {"products": lambda p: p[:, :-6]}, "products of another number"),
        (Challenge, {"chunk": lambda c: 1}, "not due"),
        (Challenge, {"seed": lambda s: s[1:]}, "another form"),
        (Challenge, {"seed": lambda s: bytes(32)}, "trees that are not those"),
        (Proof, {"digest": lambda d: bytes(32)}, "trees that are not those"),
        (Proof, {"digest": lambda d: b""}, "trees that are not those"),
        (Evidence, {"total": lambda t: t[1:]}, "another form"),
        (Evidence, {"total": lambda t: bytes(16)}, "does not hold"),
    ],
)
def test_malformed_messages(kind: type, fields: dict[str, Change], why: str) -> None:
    def change(part: Any) -> Any:
        return replace(part, **{k: v(getattr(part, k)) for k, v in fields.items()})

    with pytest.raises(PeerError, match=why):
        run(*roles(vole_malicious.Receiver, vole_malicious.Sender), change={kind: change})


@pytest.mark.parametrize(
    ("left_out", "why"),
    [
        (Rows, "without the proof of its rows"),
        (Challenge, "before the challenge"),
        (Proof, "before the proof of the trees"),
        (Evidence, "before its evidence"),
    ],
)
def test_no_check_can_be_left_out(left_out: type, why: str) -> None:
    with pytest.raises(PeerError, match=why):
        run(*roles(vole_malicious.Receiver, vole_malicious.Sender), left_out=left_out)
