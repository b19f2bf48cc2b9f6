"""Who is on a list, told by one bit a row: what comes out, what it tells, and what a lie gets."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.counted import (
    LANES,
    MOST_RANGES,
    CountsGiver,
    CountsTaker,
    ListHearer,
    ListTeller,
    ScoredHearer,
    ScoredTeller,
    ScoreGrid,
    aimed,
    answer_bits,
    answers,
    codes_of,
    list_noise,
    questions,
    scores_of,
    threshold,
    wide_of,
)
from federated.counted import listing as module
from federated.counted.messages import Answered, CountShares, Questions, ScoredAnswers
from federated.counted.threshold import EDGES, NOTHING, edges
from federated.regression import counted_bits, told_bits
from federated.sharing.messages import Offer
from psi.protocol import Context, MemoryStore, MisuseError, Pair, PeerError, decode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope

Stores = dict[str, MemoryStore]


def world(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, ScoreGrid]:
    rng = np.random.default_rng(seed)
    own, theirs = rng.normal(size=rows), 1.5 * rng.standard_t(5, rows)
    own -= own.mean()
    return own, theirs, ScoreGrid.of(wide_of(float(theirs.std())), own)


def roles(
    asked: np.ndarray,
    theirs: np.ndarray,
    grid: ScoreGrid,
    kept: Stores | None = None,
    score_bits: int = 0,
) -> Any:
    stores = kept or {"bank": MemoryStore(), "bureau": MemoryStore()}

    def context(party: str) -> Context:
        return Context(b"s" * 32, "listed/x/told", party, secrets.token_bytes, stores[party])

    if score_bits:
        codes = codes_of(theirs, grid, score_bits, b"n" * 32)
        return (
            ScoredHearer(context("bank"), "bureau", asked),
            ScoredTeller(context("bureau"), "bank", theirs, grid, codes),
        )
    return (
        ListHearer(context("bank"), "bureau", asked),
        ListTeller(context("bureau"), "bank", theirs, grid),
    )


def noisy(own: np.ndarray, theirs: np.ndarray, grid: ScoreGrid, noise: float) -> np.ndarray:
    places = grid.of_points()[grid.own(own), grid.theirs(theirs)]
    drawn = np.random.default_rng(5).normal(0, noise, grid.bins)
    return np.asarray(np.bincount(places, minlength=grid.bins) + np.rint(drawn).astype(np.int64))


def test_each_row_gets_the_answer_that_it_asked_for_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LIST_ROWS", 100)  # three chunks, the last one short
    own, theirs, grid = world(230)
    asked = np.random.default_rng(2).integers(0, EDGES + 1, 230).astype(np.uint8)
    asked[:4] = [0, EDGES // 2, EDGES - 1, NOTHING]
    pair = Pair(*roles(asked, theirs, grid))
    found = pair.run()
    everything = answers(theirs, grid).astype(bool)
    assert np.array_equal(found["bank"], everything[np.arange(230), asked])
    assert not found["bank"][asked == NOTHING].any()
    assert found["bureau"] == 230
    del own
    # what the other 127 entries of a row hold stays padded: their bits are even and say nothing
    told = [decode(s.payload, Answered) for s in pair.sent if peek(s.payload) is Answered]
    bits = np.unpackbits(np.concatenate([t.answers for t in told]), axis=1, bitorder="little")
    agree = (bits == everything).mean()
    assert abs(agree - 0.5) < 6 * 0.5 / np.sqrt(bits.size)
    # what the receiver sends is as long whatever it asks
    other = Pair(*roles(np.full(230, NOTHING, np.uint8), theirs, grid))
    other.run()
    assert [len(s.payload) for s in other.sent] == [len(s.payload) for s in pair.sent]


@pytest.mark.parametrize("score_bits", [1, 5])
def test_a_score_is_told_of_those_on_the_list_and_of_nobody_else(score_bits: int) -> None:
    own, theirs, grid = world(4000)
    asked = questions(own, np.arange(4000) % 7 > 0, 3.0, grid)
    pair = Pair(*roles(asked, theirs, grid, score_bits=score_bits))
    told = pair.run()["bank"]
    listed = answers(theirs, grid)[np.arange(4000), asked].astype(bool)
    assert np.array_equal(told & 1, listed)
    assert not told[~listed].any()  # nothing is behind a no
    found = scores_of(told, grid)
    assert np.array_equal(np.isfinite(found), listed)
    off = (found - theirs)[listed]
    # noise of 2^-b of the deviation of all, on some 300 rows: 6 deviations of that are .25 of it
    assert np.std(off) == pytest.approx(theirs.std() * 2.0**-score_bits, rel=0.3)
    # what stays padded says nothing: of a row's other 127 answers each bit is even
    every = [s.payload for s in pair.sent if peek(s.payload) is ScoredAnswers]
    bits = np.unpackbits(decode(every[0], ScoredAnswers).answers.view(np.uint8))
    assert abs(bits.mean() - 0.5) < 6 * 0.5 / np.sqrt(bits.size)


def test_a_receiver_that_lies_gets_every_score_under_the_noise_that_is_booked() -> None:
    """It asks by the lowest edge: as a training at these `score_bits` tells of everybody."""
    _, theirs, grid = world(4000)
    told = Pair(*roles(np.zeros(4000, np.uint8), theirs, grid, score_bits=3)).run()["bank"]
    found = scores_of(told, grid)
    assert np.isfinite(found).all()
    assert np.std(found - theirs) == pytest.approx(theirs.std() / 8, rel=0.1)
    for bits in (1, 3, 5, 8):
        assert max(1.0, told_bits(bits)) < answer_bits(bits) < 1.0 + told_bits(bits)
    assert answer_bits(0) == 1.0


def test_a_score_has_one_draw_of_its_noise() -> None:
    _, theirs, grid = world(200)
    first, again = (codes_of(theirs, grid, 2, b"n" * 32) for _ in range(2))
    assert np.array_equal(first, again)
    moved = theirs + np.eye(200)[3]
    for other in (codes_of(moved, grid, 2, b"n" * 32), codes_of(theirs, grid, 2, b"o" * 32)):
        assert (other != first).mean() > 0.9
    assert codes_of(1e9 * theirs, grid, 2, b"n" * 32).min() > 0  # 0 is that of no score
    where = Context(b"s" * 32, "listed/x/told", "bureau", secrets.token_bytes)
    with pytest.raises(MisuseError, match="one a row"):
        ScoredTeller(where, "bank", theirs, grid, np.zeros(200, np.uint16))


def test_a_part_that_lies_closer_together_than_any_step_is_told_with_noise() -> None:
    """Codes are whole numbers: noise below half of one would be rounded away, and the part not."""
    theirs = np.random.default_rng(2).choice([-1.0, 1.0], 400) * 2.0**-47
    grid = ScoreGrid(wide_of(float(theirs.std())), 1, 85)
    codes = codes_of(theirs, grid, 5, b"n" * 32).astype(np.float64)
    exact = np.sign(theirs) * theirs[0] / np.abs(theirs[0])
    assert (codes - codes.mean()).std() > 1.2  # a unit of the part, and one of noise
    assert np.unique(codes[exact > 0]).size > 3


@pytest.mark.parametrize("length", [30, 300, 1500])
def test_a_list_is_as_long_as_wanted_and_of_those_with_the_highest_scores(length: int) -> None:
    own, theirs, grid = world(20_000)
    grid = replace(grid, most=MOST_RANGES)
    noise = list_noise(1.0, length)
    counts = noisy(own, theirs, grid, noise)
    end = threshold(counts, grid, aimed(length, noise, len(own)))
    asked = questions(own, np.ones(len(own), bool), end, grid)
    listed = answers(theirs, grid)[np.arange(len(own)), asked].astype(bool)
    # aimed at 1.02 of it and 3 noises, and of 100 draws off by 6 noises (one deviation); the tails
    # of 30 of 20,000 are beyond what counts reach: 46 in the mean
    assert -0.1 * length - 10 * noise < int(listed.sum()) - length < 0.1 * length + 40 * noise
    exact = own + theirs >= np.sort(own + theirs)[-int(listed.sum())]
    # edges are half a step apart, .04 of the deviation: 2 to 4 of 100 differ
    assert (listed & exact).sum() > 0.9 * listed.sum()


def test_whatever_the_counts_are_a_threshold_is_one() -> None:
    _, _, grid = world(300)
    for counts in (
        np.zeros(grid.bins, np.int64),
        np.full(grid.bins, np.iinfo(np.int64).min),
        np.full(grid.bins, np.iinfo(np.int64).max),
        np.arange(grid.bins)[::-1] * -7,
    ):
        for rows in (0.0, 1.0, 1e9):
            assert np.isfinite(threshold(counts, grid, rows))
    wrong = np.array([1e308, -1e308, 0.0])
    assert questions(np.zeros(3), np.ones(3, bool), 0.0, grid).tolist() == [EDGES // 2] * 3
    assert questions(wrong, np.array([True, True, False]), 0.0, grid).tolist() == [0, 126, NOTHING]


def test_a_partner_that_opens_other_counts_ends_nothing() -> None:
    """Whether a job goes on would tell it of a row's score, or who may be on a list."""
    _, _, grid = world(300)
    where = Context(b"s" * 32, "listed/x/open", "bank", secrets.token_bytes)
    taker = CountsTaker(where, [np.zeros((256, LANES), np.uint64)], grid)
    taker.start()
    wild = np.random.default_rng(3).integers(0, 2**64, 2 * grid.bins, dtype=np.uint64)
    found = taker.on_shares(taker.state, CountShares(wild), "bureau").result
    assert found is not None
    assert np.isfinite(threshold(found[0][0], grid, 10.0))


def test_a_receiver_that_lies_gets_a_bit_a_row_and_twelve_lists_the_score() -> None:
    """It asks of one row by an edge of its choosing each time: a search by halves reads the place
    of the partner's part among 128 in seven lists. Each list is booked: 1 bit, and the counts."""
    _, theirs, grid = world(64)
    place = (theirs[:, None] >= edges(grid)).sum(axis=1)
    low, high, lists = np.zeros(64, np.int64), np.full(64, EDGES), 0
    while (low < high).any():
        middle = (low + high) // 2
        yes = Pair(*roles(np.minimum(middle, EDGES - 1).astype(np.uint8), theirs, grid)).run()
        low = np.where(yes["bank"], np.maximum(low, middle + 1), low)
        high = np.where(yes["bank"], high, np.minimum(high, middle))
        lists += 1
    assert lists == 7
    assert np.array_equal(low, place)
    booked = 1.0 + counted_bits(list_noise(1.0, 100))
    assert lists * booked > np.log2(EDGES + 1)  # the book is never behind what was read


def test_a_receiver_opens_no_second_answer_of_a_row() -> None:
    """With the keys of its question another entry's pad is off in every other case."""
    _, theirs, grid = world(300)
    asked = np.full(300, 40, np.uint8)
    hearer, teller = roles(asked, theirs, grid)
    run = Pair(hearer, teller)
    for name, role in run.roles.items():
        run._take(name, role.start())
    while peek(decode(run._queue[0], Envelope).payload) is not Answered:
        run.deliver()
    hearer._questions = np.full(300, 41, np.uint8)  # one bit of seven is another
    found = hearer.receive(decode(run._queue[0], Envelope)).result
    right = (found == answers(theirs, grid)[:, 41].astype(bool)).mean()
    assert abs(right - 0.5) < 6 * 0.5 / np.sqrt(300)


@pytest.mark.parametrize("score_bits", [0, 3])
def test_roles_made_again_after_each_message_say_the_same(score_bits: int) -> None:
    _, theirs, grid = world(150)
    asked = np.random.default_rng(2).integers(0, EDGES + 1, 150).astype(np.uint8)
    kept = {"bank": MemoryStore(), "bureau": MemoryStore()}

    def made() -> Any:
        return roles(asked, theirs, grid, kept, score_bits)

    run = Pair(*made())
    places = {"bank": 0, "bureau": 1}
    for name, role in run.roles.items():
        run._take(name, role.start())
    while run._queue:
        envelope = decode(run._queue[0], Envelope)
        early = run.roles[envelope.receiver].save()
        run.roles[envelope.receiver].receive(envelope)  # what it says is never sent
        fresh = made()[places[envelope.receiver]]
        fresh.restore(early)
        run.roles[envelope.receiver] = fresh
        run.deliver()
        for name in set(places) - set(run.results):
            saved, fresh = run.roles[name].save(), made()[places[name]]
            fresh.restore(saved)
            run.roles[name] = fresh
    expected = answers(theirs, grid)[np.arange(150), asked].astype(bool)
    assert np.array_equal(run.results["bank"] & 1, expected)


def test_a_party_from_an_older_copy_reuses_no_pad() -> None:
    """Both run twice from one saved state: the same input gives the same bytes, another one other
    pads and streams; else the sum of both would be that of answers, or of questions."""
    _, theirs, grid = world(64)
    kept = {"bank": MemoryStore(), "bureau": MemoryStore()}
    asked = np.full(64, 9, np.uint8)
    run = Pair(*roles(asked, theirs, grid, kept))
    for name, role in run.roles.items():
        run._take(name, role.start())
    run.deliver()  # the offer
    saved, points = run.roles["bank"].save(), decode(run._queue[0], Envelope)
    sent: list[Any] = []
    for held in (asked, asked, asked ^ 1):
        again = roles(held, theirs, grid, kept)[0]
        again.restore(saved)
        sent.append(decode(again.receive(points).messages[1].payload, Questions).transfers)
    assert np.array_equal(sent[0].rows, sent[1].rows)
    assert sent[0].nonce == sent[1].nonce != sent[2].nonce
    groups = (sent[0].rows ^ sent[2].rows).reshape(32, -1)
    assert len(np.unique(groups, axis=0)) == 32  # no two groups' streams cancel
    while peek(decode(run._queue[0], Envelope).payload) is not Questions:
        run.deliver()
    saved, question = run.roles["bureau"].save(), decode(run._queue[0], Envelope)
    told = []
    for part in (theirs, theirs, theirs + grid.step / 2):
        again = roles(asked, part, grid, kept)[1]
        again.restore(saved)
        told.append(decode(again.receive(question).messages[0].payload, Answered))
    assert np.array_equal(told[0].answers, told[1].answers)
    assert told[0].nonce != told[2].nonce
    bits = np.unpackbits(told[0].answers ^ told[2].answers)
    assert abs(bits.mean() - 0.5) < 6 * 0.5 / np.sqrt(
        bits.size
    )  # as answers they differ in 1 / 128


def _shorter(message: Answered) -> Answered:
    return replace(message, answers=message.answers[1:])


@pytest.mark.parametrize(
    ("spoil", "kind", "said"),
    [
        (_shorter, Answered, "not due"),
        (lambda m: replace(m, chunk=1), Answered, "not due"),
        (lambda m: replace(m, chunk=1), Questions, "not due"),
        (lambda m: replace(m, rows=63), Offer, "63 rows"),
        (lambda m: replace(m, depths=(7, 7)), Offer, "other trees"),
    ],
)
def test_messages_that_cannot_be_end_a_session(
    spoil: Callable[[Any], Any], kind: type, said: str
) -> None:
    _, theirs, grid = world(64)
    run = Pair(*roles(np.zeros(64, np.uint8), theirs, grid))
    for name, role in run.roles.items():
        run._take(name, role.start())
    while peek(decode(run._queue[0], Envelope).payload) is not kind:
        run.deliver()
    envelope = decode(run._queue[0], Envelope)
    role = run.roles[envelope.receiver]
    handler = role.transitions[type(role.state), kind]
    with pytest.raises(PeerError, match=said):
        getattr(role, handler)(role.state, spoil(decode(envelope.payload, kind)), envelope.sender)


def test_questions_that_there_are_not_are_refused() -> None:
    _, theirs, grid = world(4)
    for asked in (np.zeros(0, np.uint8), np.full(4, 128, np.uint8)):
        with pytest.raises(MisuseError, match="questions"):
            roles(asked, theirs, grid)
    where = Context(b"s" * 32, "listed/x/open", "bureau", secrets.token_bytes)
    with pytest.raises(MisuseError, match="without noise"):
        CountsGiver(where, "bank", [np.zeros((16, LANES), np.uint64)], grid, 0.0, b"n" * 32)
