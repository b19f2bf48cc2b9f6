"""Frames that come before their step: in order, whole, and not in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from federated.session.arrivals import Arrivals
from federated.session.sealing import SealedFrame
from federated.session.shelf import MEMORY, Shelf

SIZE = 1 << 20


def frame(number: int, step: str = "later", size: int = SIZE) -> SealedFrame:
    data = number.to_bytes(4, "big") * (size // 4)
    return SealedFrame(
        session=bytes(32),
        step=step,
        sender="bureau",
        receiver="bank",
        sequence=number,
        counter=number,
        sealed=data,
        head=b"head",
    )


def arrivals(folder: Path, *, gaps: bool = False) -> tuple[Arrivals, Shelf]:
    shelf = Shelf(folder / "journal" / "ahead")
    return Arrivals({"bureau": 0}, shelf, gaps=gaps), shelf


def test_what_a_peer_sends_ahead_of_its_step_waits_on_disk(tmp_path: Path) -> None:
    """A peer decides when it sends: 64 MB here, up to the contract's limits in a job."""
    kept, shelf = arrivals(tmp_path)
    tracemalloc.start()
    for number in range(64):
        assert kept.put(frame(number), "now") is None
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < MEMORY + 2 * SIZE
    file = tmp_path / "journal" / "ahead"
    assert file.stat().st_size > 64 * SIZE - MEMORY
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept.take("now") is None
    for number in range(64):
        assert kept.take("later") == frame(number)
    assert kept.take("later") is None
    assert file.stat().st_size == 0  # what has been taken makes room
    shelf.close()
    assert not file.exists()


def test_gaps_after_a_restart_wait_there_too(tmp_path: Path) -> None:
    kept, _ = arrivals(tmp_path, gaps=True)
    tracemalloc.start()
    for number in range(63, 0, -1):
        assert kept.put(frame(number), "later") is None
        assert kept.put(frame(number), "later") is None  # a repeat takes no room
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < MEMORY + 2 * SIZE
    assert (tmp_path / "journal" / "ahead").stat().st_size < 64 * SIZE
    assert kept.take("later") is None
    assert kept.put(frame(0), "later") is None
    assert [found.counter for _ in range(64) if (found := kept.take("later"))] == list(range(64))


def test_the_frame_that_a_step_waits_for_is_handed_on_at_once(tmp_path: Path) -> None:
    kept, _ = arrivals(tmp_path)
    large = frame(0, "now", MEMORY + 4)
    assert kept.put(large, "now") is large
    assert kept.expected("bureau") == 1
    assert kept.put(frame(0, "now"), "now") is not None  # a repeat, for the channel to judge
    assert kept.put(frame(1, "later"), "now") is None
    assert kept.put(frame(2, "now"), "now") is None  # one before it waits
    assert not (tmp_path / "journal").exists()
    found = [kept.take(step) for step in ("now", "later", "now")]
    assert [one.counter if one else None for one in found] == [None, 1, 2]
    assert kept.skips(frame(9))
    assert not kept.skips(frame(3))
    kept.again("bureau", 2)  # all that was not opened is asked for again, and gaps are waited for
    assert kept.expected("bureau") == 2
    assert not kept.skips(frame(9))
