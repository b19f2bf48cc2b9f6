"""Rows counted and listed by a score of several partners: two shares, what they tell, lies."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.counted import (
    BINS,
    LANES,
    MOST_RANGES,
    Joined,
    PartAdder,
    PartHearer,
    PartTeller,
    RingGrid,
    WideHearer,
    WideScoreTeller,
    WideTeller,
    above,
    aimed,
    asked_places,
    auc_of_counts,
    bins_of,
    counts_of,
    leaves_of,
    list_noise,
    ring_codes,
    threshold,
    width_of,
)
from federated.counted.grid import MOST_WIDE
from federated.counted.messages import (
    Answered,
    Padded,
    PadSeed,
    Span,
    Spread,
    WideAnswers,
)
from federated.counted.ring import MOST_SPAN, PLACES, UNASKED, deviation_of, reach_of, span_of
from federated.evaluation import auc
from federated.session.result_types import RESULTS
from federated.store.records import pack, unpack
from psi.protocol import Context, MemoryStore, MisuseError, Pair, PeerError, decode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.frames import played_with_kills

Floats = np.ndarray
PARTNERS = ("bureau", "telco", "registry")


def context(party: str, store: MemoryStore | None = None, step: str = "listed/x/spread") -> Context:
    return Context(b"s" * 32, step, party, secrets.token_bytes, store or MemoryStore())


def world(rows: int, partners: int = 2, seed: int = 1) -> tuple[Floats, list[Floats]]:
    """The receiver's part, centred, and each partner's."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=rows)
    widths = (0.9, 0.6, 0.4)[:partners]
    return own - own.mean(), [wide * rng.standard_t(6, rows) for wide in widths]


def made(
    own: Floats, parts: Sequence[Floats], stores: dict[str, MemoryStore] | None = None
) -> dict[str, Any]:
    names, kept = PARTNERS[: len(parts)], stores or {}
    roles: dict[str, Any] = {"bank": PartHearer(context("bank", kept.get("bank")), names, own)}
    for name, part in zip(names, parts, strict=True):
        role = PartAdder if name == names[-1] else PartTeller
        given = "bank", names, part, float(part.std())
        roles[name] = role(context(name, kept.get(name)), *given)
    return roles


class Lying(PartTeller):
    """A partner that tells the last one a width of its choosing."""

    width: int

    def on_span(self, state: Any, sent: Span, peer: str) -> Any:
        turn = super().on_span(state, sent, peer)
        told = [
            (to, replace(one, wide=self.width) if isinstance(one, Padded) else one)
            for to, one in turn.messages
        ]
        return replace(turn, messages=told)


def played(
    own: Floats, parts: Sequence[Floats], span: int | None = None, width: int | None = None
) -> dict[str, Joined]:
    """A session in which the receiver tells this span, and the first partner the last one this
    width; all else is as it should be."""
    roles = made(own, parts)
    if span is not None:
        roles["bank"]._span = lambda _: span
    if width is not None:
        roles["bureau"].__class__ = type("Told", (Lying,), {"width": width})
    found: dict[str, Joined] = Pair(*roles.values()).run()
    return found


def joined(own: Floats, parts: Sequence[Floats]) -> dict[str, Joined]:
    found: dict[str, Joined] = Pair(*made(own, parts).values()).run()
    return found


@pytest.mark.parametrize("partners", [2, 3])
def test_two_shares_add_up_to_the_score_and_each_is_random(partners: int) -> None:
    own, parts = world(20_000, partners)
    found = joined(own, parts)
    last = PARTNERS[partners - 1]
    mine, theirs, grid = found["bank"], found[last], found["bank"].grid
    assert {each.grid for each in found.values()} == {grid}
    assert all(not len(found[name].share) for name in PARTNERS[: partners - 1])
    both = (mine.share + theirs.share).astype(np.int32) * (2 * grid.turn / 2.0**32)
    total = own + sum(parts)
    # of parts of t(6) a few in ten thousand lie beyond four deviations and count as less
    assert (np.abs(both - total) > 1e-5).mean() < 0.005
    # a share by itself says nothing of the score: correlations of 20,000 rows, six deviations
    for share in (mine.share, theirs.share):
        place = share / 2.0**32
        assert abs(place.mean() - 0.5) < 6 * 0.289 / np.sqrt(len(own))
        for wave in (np.cos, np.sin):
            correlation = np.corrcoef(wave(2 * np.pi * place), total)[0, 1]
            assert abs(correlation) < 6 / np.sqrt(len(own))


def test_a_journal_keeps_both_shares() -> None:
    own, parts = world(50)
    for each in joined(own, parts).values():
        kept = unpack(pack(each, RESULTS), RESULTS)
        assert (kept.grid, kept.far, kept.deviation) == (each.grid, each.far, each.deviation)
        assert np.array_equal(kept.share, each.share)
        assert np.array_equal(kept.pads, each.pads)


def test_a_receiver_and_the_last_partner_together_have_the_others_parts() -> None:
    """It holds against each party alone, and the contract says so to every officer."""
    own, parts = world(500, 2)
    found = joined(own, parts)
    pooled = found["telco"].share - found["bank"].pads
    grid = found["bank"].grid
    others = pooled.astype(np.int32) * (2 * grid.turn / 2.0**32) - parts[1]
    assert np.median(np.abs(others - parts[0])) < 1e-5


def test_no_sum_of_parts_meets_itself_whatever_the_threshold_is() -> None:
    """Parts as far out as they count, all on one side, at thresholds as far."""
    for wides in ((0, 0, 0), (-6, 4, 3), (5, -8, -9), (-80, 0, -80), (80, 80, 80)):
        far, reach = sum(map(reach_of, wides[1:])), reach_of(wides[0])
        grid = RingGrid(span_of(wides))
        assert grid.turn >= 2 * (far + reach)
        ends = np.array([-far, -far / 2, 0.0, far / 2, far])
        own = np.array([-reach, 0.0, reach])
        part, mine = (each.ravel() for each in np.meshgrid(ends, own))
        pads = np.random.default_rng(3).integers(0, 2**32, len(part), dtype=np.uint32)
        theirs = grid.shares(part) + pads
        for end in (-9e9, -far - reach, -0.3 * far, 0.0, 0.4 * reach, far + reach, 9e9):
            asked = asked_places(mine, pads, np.ones(len(part), bool), end, grid, far)
            listed = above(theirs)[np.arange(len(part)), asked].astype(bool)
            near = np.abs(part - np.clip(end - mine, -far, far)) < 6 * grid.turn / PLACES
            assert np.array_equal(listed[~near], (mine + part >= end)[~near])


def counted(own: Floats, parts: Sequence[Floats], classes: Floats, grid_most: int) -> Any:
    """Exact counts, by both shares' points."""
    found = joined(own, parts)
    mine, theirs = found["bank"], found[PARTNERS[len(parts) - 1]]
    grid = replace(mine.grid, most=grid_most)
    leaves = np.zeros((leaves_of(grid), LANES), np.uint64)
    np.add.at(leaves, (bins_of(grid, mine.share, classes), grid.theirs(theirs.share)), 1)
    return grid, counts_of(grid, leaves).view(np.int64), mine, theirs


def test_counts_by_shares_measure_as_exact_scores_do() -> None:
    own, parts = world(60_000)
    total = own + sum(parts)
    drawn = np.random.default_rng(5).random(len(own))
    label = (drawn < 1 / (1 + np.exp(1 - total))).astype(np.int8)
    grid, counts, *_ = counted(own, parts, label, BINS)
    assert counts.sum(axis=1).tolist() == [int((label == 0).sum()), int(label.sum())]
    exact = auc(label, total)
    # shares are rounded to a 64th and an 85th of a turn, by chance: of twelve draws off by .0001 in
    # the mean and .0003 from draw to draw, without `blur` by -.0021
    width = width_of(grid.middles())
    assert auc_of_counts(counts, grid.blur * width) == pytest.approx(exact, abs=2e-3)
    assert auc_of_counts(counts, width) < exact - 4e-4
    mean = (counts.sum(axis=0) * grid.middles()).sum() / len(own)
    assert mean == pytest.approx(total.mean(), abs=0.006)


@pytest.mark.parametrize("length", [60, 600])
def test_a_list_is_as_long_as_wanted_and_of_those_with_the_highest_scores(length: int) -> None:
    own, parts = world(20_000, 3)
    none = np.zeros(len(own), np.int8)
    grid, counts, mine, theirs = counted(own, parts, none, MOST_RANGES)
    noise = list_noise(1.0, length)
    drawn = np.rint(np.random.default_rng(4).normal(size=grid.bins) * noise).astype(np.int64)
    end = threshold(counts[0] + drawn, grid, aimed(length, noise, len(own)))
    may = np.arange(len(own)) % 10 > 0  # of all rows that were counted
    asked = asked_places(own, mine.pads, may, end, grid, mine.far)
    assert (asked[~may] == UNASKED).all()
    listed = above(theirs.share)[np.arange(len(own)), asked].astype(bool)
    assert not listed[~may].any()
    told = int(listed.sum())
    # of twelve draws 54 (sd 2.2) and 541 (7.5): a tenth of those counted may not be on it
    assert 0.9 * length - 50 < told < 0.9 * length + 50
    total = np.where(may, own + sum(parts), -np.inf)
    exact = total >= np.sort(total)[-told]
    # places are .07 of the score's deviation apart: of twelve draws 97 (sd 1.0) of 100 are the same
    assert (listed & exact).sum() > 0.9 * told


def test_noise_on_a_share_reaches_its_lowest_digit_however_wide_it_is() -> None:
    """Beyond 2^53 units a float has no low digits, beyond 2^63 it is no whole number."""
    share = np.random.default_rng(2).integers(0, 2**32, 4000, dtype=np.uint32)
    plain = share >> np.uint32(17)
    for noise in (1e-300, 0.0, 2.0**20, 2.0**24, 2.0**43, 1e300, float("inf")):
        for span in (-MOST_SPAN, 6, MOST_SPAN):
            codes = ring_codes(share, RingGrid(span), noise, b"n" * 32)
            moved = (codes - plain).astype(np.int64) % 2**15
            wide = noise * 2.0**31 / RingGrid(span).turn
            if wide >= 2.0**33:  # goes round: uniform, by six deviations
                assert abs(np.exp(2j * np.pi * moved / 2**15).mean()) < 6 / np.sqrt(4000)
                assert (moved == 0).mean() < 0.01
    with pytest.raises(MisuseError, match="no number"):
        ring_codes(share, RingGrid(6), float("nan"), b"n" * 32)


def test_a_turn_tells_how_wide_all_others_lie_no_closer_than_the_contract_says() -> None:
    """Whatever width a partner tells for its own: deviations are known to a power of √2 at most."""
    others = [(a, b) for a in range(-14, 2) for b in range(-14, 2)]
    for own in (-MOST_WIDE, -10, 0):
        seen: dict[int, list[tuple[int, int]]] = {}
        for each in others:
            seen.setdefault(span_of((*each, own)), []).append(each)
        for pairs in seen.values():
            # parts that count as `wide` have a deviation above 2^-½ of `deviation_of(wide)`
            sums = [deviation_of(a) + deviation_of(b) for a, b in pairs]
            assert max(sums) / (min(sums) / 2**0.5) > 1.4


def told(
    asked: Floats, share: Floats, stores: dict[str, MemoryStore] | None = None
) -> tuple[WideHearer, WideTeller]:
    kept = stores or {"bank": MemoryStore(), "telco": MemoryStore()}
    where = "listed/x/told"
    return (
        WideHearer(context("bank", kept["bank"], where), "telco", asked),
        WideTeller(context("telco", kept["telco"], where), "bank", share),
    )


def test_a_score_has_one_draw_of_its_noise() -> None:
    share = np.random.default_rng(2).integers(0, 2**32, 300, dtype=np.uint32)
    grid = RingGrid(6)
    first, again = (ring_codes(share, grid, 0.5, b"n" * 32) for _ in range(2))
    assert np.array_equal(first, again)
    moved = share + np.eye(300, dtype=np.uint32)[3]
    for other in (
        ring_codes(moved, grid, 0.5, b"n" * 32),
        ring_codes(share, grid, 0.5, b"o" * 32),
        ring_codes(share, grid, 0.6, b"n" * 32),  # an older copy that was told another width
    ):
        assert (other != first).mean() > 0.9
    with pytest.raises(MisuseError, match="one a row"):
        WideScoreTeller(context("telco"), "bank", share, np.zeros(299, np.uint16))


def test_what_the_last_partner_is_told_is_padded_anew_for_other_parts() -> None:
    """A partner from an older copy: the same part under the same pad, another under another."""
    own, parts = world(300)
    teller = made(own, parts)["bureau"]
    teller.start()
    saved, sent = teller.save(), []
    for part in (parts[0], parts[0], parts[0] + 1e-3):
        again = made(own, [part, parts[1]])["bureau"]
        again._wide = teller._wide
        again.restore(saved)
        seed, padded = again.on_span(again.state, Span(7), "bank").messages
        sent.append((seed[1].seed, padded[1].parts))
        assert (seed[0], padded[0]) == ("bank", "telco")
    assert sent[0][0] == sent[1][0] != sent[2][0]
    assert np.array_equal(sent[0][1], sent[1][1])
    moved = (sent[2][1] - sent[0][1]).astype(np.int32)
    assert np.abs(moved).mean() > 2**28  # of one pad the difference is a thousandth of a score


@pytest.mark.parametrize("kept", [False, True])
def test_roles_made_again_after_each_message_say_the_same(*, kept: bool) -> None:
    own, parts = world(150, 3)
    stores = {name: MemoryStore() for name in ("bank", *PARTNERS)}
    found = played_with_kills(
        ("bank", *PARTNERS), lambda name: made(own, parts, stores)[name], kept=kept
    )
    mine, theirs = found["bank"], found["registry"]
    both = (mine.share + theirs.share).astype(np.int32) * (2 * mine.grid.turn / 2.0**32)
    assert np.median(np.abs(both - own - sum(parts))) < 1e-5
    asked = np.full(150, 9, np.uint16)
    lists = {"bank": MemoryStore(), "telco": MemoryStore()}
    names = ("bank", "telco")
    heard = played_with_kills(
        names, lambda name: told(asked, theirs.share, lists)[names.index(name)], kept=kept
    )
    assert np.array_equal(heard["bank"], above(theirs.share)[:, 9])


@pytest.mark.parametrize(
    ("to", "message", "sender", "said"),
    [
        ("bank", Spread(1), "stranger", "no part"),
        ("bank", Spread(1), "bureau", "twice"),
        ("bank", PadSeed(b"p" * 32), "telco", "pads nothing"),
        ("bank", PadSeed(b"p" * 32), "bureau", "pads nothing"),  # before all spreads came
        ("bureau", Span(3), "telco", "only the receiver"),
        ("telco", Span(3), "bureau", "only the receiver"),
        ("telco", Padded(3, 0, np.zeros(64, np.uint32)), "bank", "none in the score"),
        ("telco", Padded(3, 0, np.zeros(63, np.uint32)), "bureau", "63 rows"),
    ],
)
def test_messages_that_cannot_be_end_a_session(
    to: str, message: Any, sender: str, said: str
) -> None:
    own, parts = world(64)
    role = made(own, parts)[to]
    role.start()
    if to == "bank":
        role.state = replace(role.state, names=("bureau",), wides=(0,))
    handler = role.transitions[type(role.state), type(message)]
    with pytest.raises(PeerError, match=said):
        getattr(role, handler)(role.state, message, sender)


def test_what_was_told_twice_or_to_others_ends_a_session() -> None:
    own, parts = world(64)
    role = made(own, parts)["telco"]
    role.start()
    for again, said in ((Span(3), "once"), (Padded(3, 0, np.zeros(64, np.uint32)), "twice")):
        state = replace(role.state, told=True, names=("bureau",))
        handler = role.transitions[type(state), type(again)]
        with pytest.raises(PeerError, match=said):
            getattr(role, handler)(state, again, "bank" if isinstance(again, Span) else "bureau")
    asked = np.zeros(64, np.uint16)
    hearer, teller = told(asked, np.zeros(64, np.uint32))
    run = Pair(hearer, teller)
    for name, one in run.roles.items():
        run._take(name, one.start())
    while peek(decode(run._queue[0], Envelope).payload) is not WideAnswers:
        run.deliver()
    found = decode(run._queue[0], Envelope)
    sent = decode(found.payload, WideAnswers)
    assert (type(hearer.state), Answered) not in WideHearer.transitions  # 128 answers are none
    for spoilt in (replace(sent, chunk=1), replace(sent, answers=sent.answers[1:])):
        with pytest.raises(PeerError, match="not due"):
            hearer.on_answered(hearer.state, spoilt, "telco")


def test_parties_that_do_not_fit_are_refused() -> None:
    own, parts = world(4)
    for names in (("bureau",), ("bank", "bureau")):
        with pytest.raises(MisuseError, match="several"):
            PartHearer(context("bank"), names, own)
    for role in (PartTeller, PartAdder):
        with pytest.raises(MisuseError, match="several"):
            role(context("elsewhere"), "bank", PARTNERS, parts[0], 1.0)
    with pytest.raises(MisuseError, match="questions"):
        told(np.full(4, 512, np.uint16), np.zeros(4, np.uint32))
