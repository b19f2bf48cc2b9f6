"""A list told over shares of the score: one answer a row, and what lies get."""

from __future__ import annotations

import numpy as np
import pytest

from federated.counted import (
    WideScoreHearer,
    WideScoreTeller,
    above,
    answer_bits,
    asked_places,
    ring_codes,
    ring_scores,
)
from federated.counted import listing as module
from federated.counted.grid import MOST_WIDE
from federated.counted.messages import (
    Padded,
    Span,
    WideAnswers,
    WideScores,
)
from federated.counted.ring import MOST_SPAN, PLACES, UNASKED, span_of
from federated.regression import told_bits
from psi.protocol import Pair, PeerError, decode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.counted.test_parts import (
    PARTNERS,
    context,
    joined,
    made,
    played,
    told,
    world,
)


def test_a_receiver_gets_the_answer_that_it_asked_for_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LIST_ROWS", 100)  # three chunks, the last one short
    rng = np.random.default_rng(2)
    share = rng.integers(0, 2**32, 230, dtype=np.uint32)
    asked = rng.integers(0, UNASKED + 1, 230).astype(np.uint16)
    asked[:3] = [0, PLACES - 1, UNASKED]
    pair = Pair(*told(asked, share))
    found = pair.run()
    everything = above(share).astype(bool)
    assert np.array_equal(found["bank"], everything[np.arange(230), asked])
    assert not found["bank"][asked == UNASKED].any()
    assert found["telco"] == 230
    every = [decode(s.payload, WideAnswers) for s in pair.sent if peek(s.payload) is WideAnswers]
    bits = np.unpackbits(np.concatenate([t.answers for t in every]), axis=1, bitorder="little")
    assert abs((bits == everything).mean() - 0.5) < 6 * 0.5 / np.sqrt(bits.size)
    other = Pair(*told(np.full(230, UNASKED, np.uint16), share))
    other.run()
    assert [len(s.payload) for s in other.sent] == [len(s.payload) for s in pair.sent]


def test_a_receiver_opens_no_second_answer_of_a_row() -> None:
    """With the keys of its question another entry's pad is off in every other case."""
    share = np.random.default_rng(2).integers(0, 2**32, 300, dtype=np.uint32)
    hearer, teller = told(np.full(300, 40, np.uint16), share)
    run = Pair(hearer, teller)
    for name, role in run.roles.items():
        run._take(name, role.start())
    while peek(decode(run._queue[0], Envelope).payload) is not WideAnswers:
        run.deliver()
    for other in (41, 40 ^ 256):  # one bit of nine is another
        hearer._questions = np.full(300, other, np.uint16)
        saved = hearer.save()
        found = hearer.receive(decode(run._queue[0], Envelope)).result
        hearer.restore(saved)
        assert found is not None
        right = np.equal(found, above(share)[:, other]).mean()
        assert abs(right - 0.5) < 6 * 0.5 / np.sqrt(300)


def test_a_turn_that_does_not_hold_a_part_is_refused_before_a_row_leaves() -> None:
    """In one far too short a part has low digits of its own, by which an insider names rows."""
    own, parts = world(400)
    for name in ("bureau", "telco"):
        role = made(own, parts)[name]
        role.start()
        least = span_of((role._wide,))
        assert role.on_span(role.state, Span(least), "bank").state
        for short in (-MOST_SPAN, -66, least - 1):
            with pytest.raises(PeerError, match="too short"):
                role.on_span(role.state, Span(short), "bank")
    honest = joined(own, parts)["bank"].grid.span
    assert honest >= least


def test_a_receiver_that_lies_gets_one_bit_a_row_whatever_turn_it_tells() -> None:
    own, parts = world(400)
    for span in (7, 60, MOST_SPAN):
        share = played(own, parts, span=span)["telco"].share
        answers = above(share)
        assert set(np.unique(answers)) <= {0, 1}
        assert not answers[:, UNASKED].any()
    found = Pair(*told(np.full(400, 7, np.uint16), share)).run()["bank"]
    assert set(np.unique(found)) <= {0, 1}


def test_a_receiver_that_tells_each_another_span_is_stopped() -> None:
    """One part would outweigh the others, and the noise on scores of the listed: 15 bits of it."""
    own, parts = world(300)
    roles = made(own, parts)
    for role in roles.values():
        role.start()
    turn = roles["bureau"].on_span(roles["bureau"].state, Span(9), "bank")
    padded = next(message for _, message in turn.messages if isinstance(message, Padded))
    adder = roles["telco"]
    for first in (padded, Span(8)):  # whichever comes first
        state = adder.state
        second = Span(8) if first is padded else padded
        for one in (first, second):
            handler = adder.transitions[type(state), type(one)]
            ended = one is second
            if ended:
                with pytest.raises(PeerError, match="another span"):
                    getattr(adder, handler)(state, one, "bank" if one != padded else "bureau")
            else:
                sender = "bureau" if one is padded else "bank"
                state = getattr(adder, handler)(state, one, sender).state


@pytest.mark.parametrize("score_bits", [1, 5])
def test_a_score_is_told_of_those_on_the_list_under_noise(score_bits: int) -> None:
    own, parts = world(4000)
    found = joined(own, parts)
    mine, theirs = found["bank"], found["telco"]
    both = sum(parts)
    deviation = sum(float(part.std()) for part in parts)
    # the last partner knows its own, and the others' to a power of √2
    assert deviation <= theirs.deviation < 1.42 * deviation
    noise = theirs.deviation * 2.0**-score_bits
    codes = ring_codes(theirs.share, theirs.grid, noise, b"n" * 32)
    may = np.arange(4000) % 7 > 0
    for end in (1.0, -np.inf):
        asked = asked_places(own, mine.pads, may, end, mine.grid, mine.far)
        kept = [context(name, None, "listed/x/told") for name in ("bank", "telco")]
        pair = Pair(
            WideScoreHearer(kept[0], "telco", asked),
            WideScoreTeller(kept[1], "bank", theirs.share, codes),
        )
        told = pair.run()["bank"]
        listed = above(theirs.share)[np.arange(4000), asked].astype(bool)
        assert np.array_equal(told & 1, listed)
        assert not told[~listed].any()  # nothing is behind a no
        scores = ring_scores(told, mine.pads, mine.grid)
        assert np.array_equal(np.isfinite(scores), listed)
        off = (scores - both)[listed]
        # of 700 rows at least; parts beyond their reach, one of 3,000, count as at it
        assert np.median(np.abs(off)) == pytest.approx(0.6745 * noise, rel=0.25)
    every = [s.payload for s in pair.sent if peek(s.payload) is WideScores]
    bits = np.unpackbits(decode(every[0], WideScores).answers.view(np.uint8))
    assert abs(bits.mean() - 0.5) < 6 * 0.5 / np.sqrt(bits.size)


@pytest.mark.parametrize("partners", [2, 3])
def test_a_receiver_that_lies_gets_every_score_under_the_noise_that_is_booked(
    partners: int,
) -> None:
    """Any turn, with a partner that tells any width, knows its own part and all pads: what is
    left are the other partners' parts under the noise of their own deviations."""
    own, parts = world(3000, partners)
    last, others = PARTNERS[partners - 1], np.sum(parts[1:], axis=0)
    least = sum(float(part.std()) for part in parts[1:])
    for span in (None, 7, 30, MOST_SPAN):
        for width in (None, -MOST_WIDE, 0, 38, 60, MOST_WIDE):
            found = played(own, parts, span, width)
            theirs, pads, grid = found[last], found["bank"].pads, found[last].grid
            assert theirs.deviation >= least
            for bits in (1, 5):
                noise = theirs.deviation * 2.0**-bits
                codes = ring_codes(theirs.share, grid, noise, b"n" * 32)
                got = (codes.astype(np.uint32) << np.uint32(17)) - pads + np.uint32(1 << 16)
                off = got.view(np.int32) * (2.0 * grid.turn / 2.0**32) - others - parts[0]
                off -= np.rint(off / (2 * grid.turn)) * 2 * grid.turn  # as near as it can be
                assert np.median(np.abs(off)) > 0.9 * 0.6745 * least * 2.0**-bits
    assert answer_bits(3) > told_bits(3)
