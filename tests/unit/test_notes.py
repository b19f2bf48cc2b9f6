"""Notes of progress: what the proposer's screen hears of the others."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import read_ledger
from federated.session import progress as notes
from federated.session.progress import NOTES, Note, NotesIn, NotesOut
from federated.session.routers import Endpoint, MemoryRouter
from federated.session.sealing import frame_step
from federated.session.session import Session
from psi.protocol import PeerGone
from tests.unit.test_session import Exchange

NAMES = ["a", "b"]


def until(true: Callable[[], object], patience: float = 10.0) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


class Tapped:
    """An endpoint whose frames can be seen and spoiled."""

    def __init__(self, inner: Endpoint, spoil: bool) -> None:
        self.inner, self.name, self.spoil = inner, inner.name, spoil
        self.steps: list[str] = []

    def send(self, receiver: str, frame: bytes) -> None:
        self.steps.append(frame_step(frame))
        if self.spoil and frame_step(frame) == NOTES:
            frame = frame[:-1] + bytes([frame[-1] ^ 1])
        self.inner.send(receiver, frame)

    def receive(self, timeout: float) -> tuple[str, bytes]:
        return self.inner.receive(timeout)

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize("spoil", [False, True])
def test_who_watches_hears_of_steps_and_of_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: bool
) -> None:
    monkeypatch.setattr(notes, "INTERVAL", 0.02)
    keys = {name: PartyKeys.generate(name) for name in NAMES}
    pinned = {name: each.identity for name, each in keys.items()}
    router, nonce = MemoryRouter(NAMES), secrets.token_bytes(32)
    heard: list[tuple[str, str, float]] = []
    far = Tapped(router.endpoint("b"), spoil)
    a = Session(
        nonce, keys["a"], pinned, router.endpoint("a"), tmp_path / "a",
        progress=lambda *note: heard.append(note), timeout=10,
    )  # fmt: skip
    b = Session(nonce, keys["b"], pinned, far, tmp_path / "b", watchers=["a"], timeout=10)

    def other() -> None:
        b.connect()
        b.tell("approval", 0.0)
        until(lambda: NOTES in far.steps)  # a waits, and hears why
        b.run("exchange", Exchange(b.context("exchange"), ["a"]))
        b.finish()

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    a.connect()
    assert a.run("exchange", Exchange(a.context("exchange"), ["b"])) == 1
    a.finish()
    thread.join(10)
    assert not thread.is_alive()
    theirs = [note for note in heard if note[0] == "b"]
    assert theirs == [] if spoil else ("b", "approval", 0.0) in theirs
    assert not [line for line in read_ledger(tmp_path / "a" / "ledger.jsonl") if NOTES in str(line)]


def test_notes_are_few_and_end_with_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "INTERVAL", 0.05)
    sent: list[Note] = []

    def send(note: Note) -> None:
        if len(sent) == 3:
            raise PeerGone("gone")
        sent.append(note)

    out = NotesOut(send, lambda: 5.0)  # a clock that stands still
    begun = time.monotonic()
    number = 0
    while out._thread is None or out._thread.is_alive():
        number += 1
        out.tell(f"step {number}", 2.0)
        time.sleep(0.001)
        assert time.monotonic() - begun < 10
    assert time.monotonic() - begun > 0.2
    assert len(sent) == 3
    assert [note.number for note in sent] == sorted({note.number for note in sent})
    assert all(note.share == 1000 for note in sent)


def test_late_notes_and_odd_names_do_not_reach_the_screen() -> None:
    into = NotesIn()
    assert into.news("b", Note(7, "train/x\x1b[2J[red]", 500)) == ("train/x2Jred", 0.5)
    assert into.news("b", Note(6, "align", 10)) is None
    assert into.news("c", Note(6, "align", 10)) == ("align", 0.01)
