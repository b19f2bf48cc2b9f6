"""Every party killed at every frame it sends or takes: the others wait, it comes back, all end."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import pytest

from federated.keys.party_keys import PartyKeys
from federated.ledger.account import read_account, verify_ledger
from federated.ledger.compare import compare
from federated.ledger.lines import read_ledger
from federated.session.again import Again
from federated.session.frames import Frames
from federated.session.journal import Journal, can_begin
from federated.session.routers import Endpoint, MemoryRouter
from federated.session.sealing import ASIDE, SealedFrame
from federated.session.session import Session
from psi.protocol import (
    Context,
    Done,
    EnvironmentFailed,
    FedprofileError,
    InputError,
    Length,
    PeerError,
    PeerGone,
    Role,
    Turn,
    decode,
    encode,
    message,
)
from psi.protocol.codec import peek
from tests.unit.test_session import NAMES, Exchange

KEYS = {name: PartyKeys.generate(name) for name in NAMES}
PINNED = {name: keys.identity for name, keys in KEYS.items()}


class Killed(BaseException):
    """No handler in the session sees it coming, as with a signal that cannot be caught."""


class Fragile:
    """An endpoint that dies at its nth frame, before it sends or after it has taken one."""

    def __init__(self, inner: Endpoint, fatal: int) -> None:
        self.inner, self.name, self.left, self.dead = inner, inner.name, fatal, False
        self.handshakes: list[tuple[str, bytes]] = []

    def _age(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.dead = True
            raise Killed

    def send(self, receiver: str, frame: bytes) -> None:
        if not self.dead:  # the dead say nothing, not even that they end
            self._age()
            self.inner.send(receiver, frame)

    def receive(self, timeout: float) -> tuple[str, bytes]:
        got = self.inner.receive(timeout)
        if peek(got[1]) not in (SealedFrame, None):
            self.handshakes.append(got)
        self._age()
        return got

    def close(self) -> None:
        if not self.dead:
            self.inner.close()


class Repeating:
    """The endpoint of a later life: a wire sends again what it does not know to have been taken."""

    def __init__(self, inner: Endpoint, repeats: list[tuple[str, bytes]]) -> None:
        self.inner, self.name, self.repeats = inner, inner.name, list(repeats)
        self.send, self.close = inner.send, inner.close

    def receive(self, timeout: float) -> tuple[str, bytes]:
        return self.repeats.pop(0) if self.repeats else self.inner.receive(timeout)


class Party(threading.Thread):
    def __init__(self, home: Path, name: str, router: MemoryRouter, nonce: bytes, fatal: int):
        super().__init__(daemon=True)
        self.home, self.party, self.router, self.nonce = home, name, router, nonce
        self.fatal, self.lives, self.resumed, self.total = fatal, 0, 0, 0
        self.namings: set[bytes] = set()
        self.error: BaseException | None = None

    def run(self) -> None:
        first = Fragile(self.router.endpoint(self.party), self.fatal)
        while True:
            self.lives += 1
            endpoint: Endpoint = first
            if self.lives > 1:
                endpoint = Repeating(self.router.endpoint(self.party), first.handshakes)
            session = Session(
                self.nonce, KEYS[self.party], PINNED, endpoint, self.home / self.party, timeout=3
            )
            self.resumed += session.resumed
            try:
                session.connect()
                self.namings.add(session.context("one").naming)
                self.total = sum(
                    session.run(step, Exchange(session.context(step), session.peers))
                    for step in ("one", "two", "three")
                )
                session.finish()
                return
            except Killed:
                session.ledger.close()
                assert session.resumable or can_begin(self.home / self.party)
                self.lost()
            except BaseException as error:
                self.error = error
                session.abort(error)
                return

    def lost(self) -> None:
        """What becomes of its files before it comes back."""


@pytest.mark.parametrize("victim", NAMES)
@pytest.mark.parametrize("fatal", range(1, 24))
def test_a_killed_party_comes_back(tmp_path: Path, victim: str, fatal: int) -> None:
    router, nonce = MemoryRouter(list(NAMES)), secrets.token_bytes(32)
    parties = {
        name: Party(tmp_path, name, router, nonce, fatal if name == victim else 0) for name in NAMES
    }
    for party in parties.values():
        party.start()
    killed = parties[victim]
    for party in parties.values():
        party.join(30)
        assert not party.is_alive()
        assert party.error is None, [(p.party, p.error) for p in parties.values()]
        assert party.total == 6
        assert len(party.namings) == 1  # large messages have the same names in all its lives
    ledgers = {name: tmp_path / name / "ledger.jsonl" for name in NAMES}
    for name, ledger in ledgers.items():
        verify_ledger(ledger, PINNED[name])
        assert not (tmp_path / name / "journal").exists()
    for one, other in combinations(NAMES, 2):
        accounts = [read_account(ledgers[name], PINNED[name], name) for name in (one, other)]
        late = [account for account in accounts if account.unheard]
        found = compare(accounts[0], accounts[1])
        assert all(finding.open for finding in found)
        assert not found or late
    kinds = [line["kind"] for line in read_ledger(tmp_path / victim / "ledger.jsonl")]
    assert kinds.count("resumed") == killed.resumed
    assert killed.lives == 2 or fatal > 20  # it may have been at its end


@pytest.mark.parametrize("first", range(1, 6))
@pytest.mark.parametrize("second", range(1, 6))
def test_two_are_killed_in_their_handshakes(tmp_path: Path, first: int, second: int) -> None:
    router, nonce = MemoryRouter(list(NAMES)), secrets.token_bytes(32)
    fatal = {"a": first, "b": 0, "c": second}
    parties = [Party(tmp_path, name, router, nonce, fatal[name]) for name in NAMES]
    for party in parties:
        party.start()
    for party in parties:
        party.join(30)
        assert not party.is_alive()
        assert party.error is None, [(p.party, p.error) for p in parties]
        assert party.total == 6


class _Heard(MemoryRouter):
    """Notes what is sealed under each number, as whoever carries frames can."""

    def __init__(self) -> None:
        super().__init__(list(NAMES))
        self.frames: dict[tuple[str, str, int], set[tuple[bytes, bytes]]] = {}
        self.first: Callable[[], object] | None = None

    def endpoint(self, name: str) -> Endpoint:
        inner: Any = super().endpoint(name)
        send = inner.send

        def heard(receiver: str, data: bytes) -> None:
            if peek(data) is SealedFrame:
                frame = decode(data, SealedFrame)
                if frame.counter != ASIDE:
                    if name == "a" and self.first is not None:
                        self.first()
                        self.first = None
                    same = self.frames.setdefault((name, receiver, frame.counter), set())
                    same.add((frame.sealed, frame.head))
            send(receiver, data)

        inner.send = heard
        whole: Endpoint = inner
        return whole


class _Damaged(Party):
    """Its newest point or all have another byte, or the folder is as it was at its first frame."""

    how = ""

    def lost(self) -> None:
        home = self.home / self.party
        if self.how == "backup":
            shutil.rmtree(home)
            shutil.copytree(self.home / "backup", home)
            return
        newest = Journal(home, self.nonce, secrets.token_bytes, {}).point
        assert newest is not None
        points = [home / "journal" / name for name in ("point", "point-2")]
        for file in points if self.how == "all" else [points[newest.turn % 2]]:
            data = bytearray(file.read_bytes())
            data[60] ^= 1
            file.write_bytes(data)


@pytest.mark.parametrize(
    ("how", "fatal"),
    [(how, fatal) for how in ("newest", "all", "backup") for fatal in (7, 11, 15)]
    + [("newest", 19), ("all", 19)],
)
def test_no_number_is_sealed_twice_where_the_newest_point_is_lost(
    tmp_path: Path, how: str, fatal: int
) -> None:
    """Two frames under one key and nonce would tell both, and let whoever has them forge."""
    router, nonce = _Heard(), secrets.token_bytes(32)
    if how == "backup":
        router.first = lambda: shutil.copytree(tmp_path / "a", tmp_path / "backup")
    parties = [
        _Damaged(tmp_path, name, router, nonce, fatal if name == "a" else 0) for name in NAMES
    ]
    parties[0].how = how
    for party in parties:
        party.start()
    for party in parties:
        party.join(30)
        assert not party.is_alive()
    assert [number for number, seen in router.frames.items() if len(seen) > 1] == []
    if (how, fatal) == ("backup", 7):  # all that was said by then is in it
        assert [(party.error, party.total) for party in parties] == [(None, 6)] * 3
        return
    kind: type[FedprofileError] = InputError
    text = "no point of the journal that is whole knows it"
    if how == "backup":
        kind, text = EnvironmentFailed, "which has not sealed it"
    found = parties[0].error
    assert isinstance(found, kind)
    assert text in str(found)
    assert "proposed anew" in found.hint
    assert (tmp_path / "a" / "journal").exists() == (how == "backup")  # a peer's word, unsigned
    for other in parties[1:] if fatal < 19 else ():  # they do not wait; at the end they may be done
        assert isinstance(other.error, PeerGone), other.error


class _Answering(_Heard):
    """Whoever carries frames says in the others' names that they have nothing of `a`."""

    def endpoint(self, name: str) -> Endpoint:
        inner: Any = super().endpoint(name)
        receive = inner.receive

        def told(timeout: float) -> tuple[str, bytes]:
            sender, data = receive(timeout)
            if name == "a" and peek(data) is Again:
                data = encode(replace(decode(data, Again), received=0))
            return sender, data

        inner.receive = told
        whole: Endpoint = inner
        return whole


def test_an_older_copy_seals_no_number_twice_under_one_key_whatever_it_is_told(
    tmp_path: Path,
) -> None:
    """Answers have no seal, so it goes on and seals numbers again: in each life under another key.
    Under one a hub had two texts under one nonce, with which it reads both and forges."""
    router, nonce = _Answering(), secrets.token_bytes(32)
    router.first = lambda: shutil.copytree(tmp_path / "a", tmp_path / "backup")
    parties = [_Damaged(tmp_path, name, router, nonce, 11 if name == "a" else 0) for name in NAMES]
    parties[0].how = "backup"
    for party in parties:
        party.start()
    for party in parties:
        party.join(30)
    twice = [seen for seen in router.frames.values() if len(seen) > 1]
    assert twice
    for seen in twice:
        assert len({head[:32] for _, head in seen}) == len(seen)  # the salts of their keys
    assert any("differs from the first" in str(party.error) for party in parties[1:])


@message(0xF1)
@dataclass(frozen=True)
class Guess:
    word: Annotated[bytes, Length(32)]


@message(0xF2)
@dataclass(frozen=True)
class Hearing:
    """The victim's state."""


class Guesser(Role[bool]):
    def __init__(self, context: Context, word: bytes) -> None:
        super().__init__(context)
        self.word = word

    def begin(self) -> Turn[bool]:
        return Turn(Done(), [("b", Guess(self.word))], True)


class Victim(Role[bytes]):
    """It breaks down at a wrong word, which shows its sender that the word was wrong."""

    transitions = {(Hearing, Guess): "on_guess"}  # noqa: RUF012

    def begin(self) -> Turn[bytes]:
        return Turn(Hearing())

    def on_guess(self, state: Hearing, guess: Guess, peer: str) -> Turn[bytes]:
        del state, peer
        if guess.word == b"wrong":
            raise IndexError("not an error of ours")
        return Turn(Done(), result=guess.word)


def life(
    name: str, home: Path, router: MemoryRouter, nonce: bytes, role: type, *words: bytes
) -> threading.Thread:
    """One life of a party that runs one step; how it ended is in its `name`."""
    pinned = {other: PINNED[other] for other in "ab"}
    session = Session(nonce, KEYS[name], pinned, router.endpoint(name), home / name, timeout=5)

    def live() -> None:
        try:
            session.connect()
            if words and not (home / "before").exists():
                shutil.copytree(home / name / "journal", home / "before")
            session.run("one", role(session.context("one"), *words))
        except Exception as error:
            session.abort(error)
            thread.name = f"{type(error).__name__}: {error}"
        finally:
            session.ledger.close()  # as the end of a process does

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("again", [b"wrong", b"another"])
def test_a_crash_that_a_message_caused_gives_no_second_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bytes
) -> None:
    """A cheating peer goes back to before its message, and sends another in its place."""
    router, nonce = MemoryRouter(["a", "b"]), secrets.token_bytes(32)
    both = [
        life("a", tmp_path, router, nonce, Guesser, b"wrong"),
        life("b", tmp_path, router, nonce, Victim),
    ]
    for thread in both:
        thread.join(20)
    assert both[1].name == "IndexError: not an error of ours"
    assert (tmp_path / "b" / "journal").exists()  # an honest job could go on with a mended program
    if again != b"wrong":  # its journal from before, its ledger as it is
        monkeypatch.setattr(Frames, "_check_sent", lambda self: None)  # which it would not pass
        shutil.rmtree(tmp_path / "a" / "journal")
        shutil.copytree(tmp_path / "before", tmp_path / "a" / "journal")
    router = MemoryRouter(["a", "b"])
    both = [
        life("a", tmp_path, router, nonce, Guesser, again),
        life("b", tmp_path, router, nonce, Victim),
    ]
    for thread in both:
        thread.join(20)
    if again == b"wrong":
        assert both[1].name == "IndexError: not an error of ours"
    else:
        assert both[1].name.startswith(PeerError.__name__)
        assert "frame #0 of a is another than before the restart" in both[1].name
        assert not (tmp_path / "b" / "journal").exists()
