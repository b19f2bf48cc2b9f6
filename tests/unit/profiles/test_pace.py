from __future__ import annotations

from profiles.cli.pace import Pace
from psi.protocol import Share


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def paced() -> tuple[Pace, Clock]:
    clock = Clock()
    return Pace(clock), clock


def test_rate_and_time_left_count_down_between_reports() -> None:
    pace, clock = paced()
    pace.note("align/bureau/0", 0.0)
    assert pace.words() == ""
    for tick in range(1, 4):
        clock.now = 10.0 * tick
        pace.note("align/bureau/0", Share(0.1 * tick, 1_000_000))
    assert pace.words() == "10,000 items/s, 70 s left"
    clock.now += 5
    assert pace.words() == "10,000 items/s, 65 s left"
    clock.now += 500
    assert pace.words() == "10,000 items/s, nothing heard for longer than usual"


def test_a_new_step_begins_anew_and_recent_reports_count() -> None:
    pace, clock = paced()
    pace.note("train/churn", 0.0)
    clock.now = 3600.0
    pace.note("train/churn", 0.1)
    assert pace.words() == "9.0 h left"
    for tick in range(6):
        clock.now += 60.0
        pace.note("train/churn", 0.2 + 0.1 * tick)
    assert pace.words() == "3 min left"
    pace.note("finish", 0.0)
    assert pace.words() == ""


def test_nothing_is_said_before_there_is_something_to_say() -> None:
    pace, clock = paced()
    assert pace.words() == ""
    pace.note("contract", 0.5)
    clock.now = 60.0
    assert pace.words() == ""
    pace.note("contract", 0.5)
    assert pace.words() == ""
