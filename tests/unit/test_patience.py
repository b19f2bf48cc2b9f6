"""How long a party waits: since a peer was truly heard, whatever else comes."""

from __future__ import annotations

import pytest

from federated.session.patience import MOST_QUESTIONS, Patience
from federated.session.routers import Silence


class Clock:
    """Seconds that pass only where a wait takes them."""

    def __init__(self) -> None:
        self.now = 0.0

    def wait(self, patience: Patience, seconds: float) -> float:
        """Something comes after so many; how many were left before."""
        before: list[float] = []

        def come(left: float) -> tuple[str, bytes]:
            before.append(left)
            self.now += min(left, seconds)
            if left < seconds:
                raise Silence("nothing received")
            return "b", b"x"

        patience.receive(come)
        return before[0]


def test_a_wait_goes_on_until_a_peer_is_heard() -> None:
    clock = Clock()
    patience = Patience(10.0, lambda: clock.now)
    assert clock.wait(patience, 6) == 10
    clock.now += 1000  # this party works
    assert clock.wait(patience, 3) == 4
    patience.heard("b")
    assert clock.wait(patience, 6) == 10
    with pytest.raises(Silence, match="nothing received for 10 s that is new"):
        clock.wait(patience, 6)
    assert clock.now == 1000 + 6 + 3 + 6 + 4


def test_a_flood_ends_too() -> None:
    clock = Clock()
    patience = Patience(1.0, lambda: clock.now)
    for _ in range(999):
        clock.wait(patience, 0)
    clock.wait(patience, 0)
    with pytest.raises(Silence):
        clock.wait(patience, 0)


def test_notes_held_back_and_brought_one_by_one_give_no_more_time_than_they_tell() -> None:
    """Of the notes of one hour a carrier made a wait of 1,800 hours."""
    clock = Clock()
    patience = Patience(3600.0, lambda: clock.now)
    clock.wait(patience, 3000)
    patience.noted(2.0)
    with pytest.raises(Silence):
        clock.wait(patience, 3000)
    assert clock.now < 2 * 3600
    patience.noted(float("inf"))  # the first of a peer
    assert clock.wait(patience, 1) == 3600
    patience.noted(-5.0)
    assert clock.wait(patience, 1) == 3599


def test_questions_that_nobody_seals_count_a_few_times() -> None:
    clock = Clock()
    patience = Patience(10.0, lambda: clock.now)
    for _ in range(MOST_QUESTIONS):
        clock.wait(patience, 9)
        patience.asked("b")
    assert clock.wait(patience, 1) == 10
    patience.asked("b")
    assert clock.wait(patience, 1) == 9
    patience.heard("b")
    clock.wait(patience, 9)
    patience.asked("b")
    assert clock.wait(patience, 1) == 10


def test_a_frame_that_waits_again_is_not_new() -> None:
    """Junk has all that waits dropped and asked for again."""
    clock = Clock()
    patience = Patience(10.0, lambda: clock.now)
    patience.heard("b", 4)
    clock.wait(patience, 3)
    patience.heard("b", 4)
    patience.heard("b", 3)
    assert clock.wait(patience, 1) == 7
    patience.heard("b", 5)
    assert clock.wait(patience, 1) == 10
