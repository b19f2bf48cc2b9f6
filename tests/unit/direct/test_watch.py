"""Who reads a job's connections: the thread that waits, and a spare one while nobody does."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from federated.wire.watch import Watch

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    near, far = socket.socketpair()
    yield near, far
    near.close()
    far.close()


class Heard:
    """What was read, and by which thread."""

    def __init__(self, watch: Watch, end: socket.socket) -> None:
        self.by: list[int] = []
        self._end = end
        watch.add(end.fileno(), self._read)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._end.recv(100, socket.MSG_DONTWAIT)
            self.by.append(threading.get_ident())

    def come(self) -> bool:
        return bool(self.by)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_who_waits_reads(ends: Ends) -> None:
    watch = Watch()
    heard = Heard(watch, ends[0])
    for number in range(1, 20):
        send = threading.Timer(0.01, ends[1].send, (b"x",))
        send.start()
        assert watch.wait(lambda most=number: len(heard.by) == most, 20.0)  # type: ignore[misc]
        send.join()
    assert set(heard.by) == {threading.get_ident()}
    watch.close()


def test_while_nobody_waits_the_spare_thread_reads(ends: Ends) -> None:
    """A party that computes still answers; the next to wait reads by itself again."""
    watch = Watch()
    heard = Heard(watch, ends[0])
    ends[1].send(b"x")
    until(heard.come)
    assert heard.by[0] != threading.get_ident()
    assert not watch.wait(lambda: len(heard.by) > 1, 0.1)
    ends[1].send(b"x")
    until(lambda: len(heard.by) == 2)
    assert heard.by[0] == heard.by[1]
    watch.close()


@pytest.mark.parametrize("closed", [False, True])
def test_what_comes_another_way_wakes_who_waits(closed: bool) -> None:
    """From the hub, or because the job ends; also once all connections are over."""
    watch, come = Watch(), list[bool]()

    def bring() -> None:
        come.append(True)
        watch.ring()

    if closed:
        watch.close()
    for _ in range(20):
        come.clear()
        threading.Timer(0.005, bring).start()
        assert watch.wait(lambda: bool(come), 20.0)


def test_a_bell_that_the_spare_thread_hears_is_rung_again() -> None:
    """It had seen that nobody waits, and looks only when somebody does."""
    watch, come = Watch(), list[bool]()
    waiting = threading.Thread(target=watch.wait, args=(lambda: bool(come), 5.0))
    begun = time.monotonic()
    waiting.start()
    until(lambda: watch._waiter != 0)
    come.append(True)
    os.eventfd_write(watch._bell.handle, 1)
    watch._look([(watch._bell.handle, 1)])  # what the spare thread does
    waiting.join(20)
    assert time.monotonic() - begun < 4
    assert len(watch._ready.poll(0)) <= 1


@pytest.mark.parametrize("waits", [False, True])
def test_the_spare_thread_ends_when_it_is_closed(ends: Ends, waits: bool) -> None:
    watch = Watch()
    Heard(watch, ends[0])
    spare = watch._thread
    assert spare is not None
    waiting = threading.Thread(target=watch.wait, args=(lambda: False, 0.3))
    if waits:
        waiting.start()
        until(lambda: watch._waiter != 0)
    watch.close()
    spare.join(5)
    assert not spare.is_alive()


def test_a_reader_that_fails_ends_no_other(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    watch, (near, far) = Watch(), socket.socketpair()

    def fails() -> None:
        raise RuntimeError("planted")

    watch.add(near.fileno(), fails)
    heard = Heard(watch, ends[0])
    far.send(b"x")
    until(lambda: "RuntimeError" in caplog.text)
    assert "planted" not in caplog.text
    ends[1].send(b"x")
    until(heard.come)
    watch.close()
    near.close()
    far.close()


def test_two_that_wait_both_end() -> None:
    watch = Watch()
    other = threading.Thread(target=watch.wait, args=(lambda: False, 0.2))
    other.start()
    begun = time.monotonic()
    assert not watch.wait(lambda: False, 0.2)
    other.join(20)
    assert not other.is_alive()
    assert time.monotonic() - begun < 10


def test_a_connection_that_was_removed_is_not_read(ends: Ends) -> None:
    watch = Watch()
    heard = Heard(watch, ends[0])
    watch.remove(ends[0].fileno())
    ends[1].send(b"x")
    assert not watch.wait(heard.come, 0.1)
    watch.remove(ends[0].fileno())


def test_a_watch_leaves_no_open_file() -> None:
    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = files()
    for _ in range(5):
        Watch().close()
    assert files() == before
