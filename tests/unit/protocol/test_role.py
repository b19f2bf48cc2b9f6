from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest

from psi.protocol import (
    Context,
    Done,
    Envelope,
    Pair,
    PeerError,
    PeerGone,
    PhaseError,
    Role,
    Turn,
    decode,
    encode,
    message,
)


@message(251)
@dataclass(frozen=True)
class Ping:
    number: int


@message(252)
@dataclass(frozen=True)
class Waiting:
    total: int


class Counter(Role[int]):
    """Both sides add one until ten."""

    transitions = {(Waiting, Ping): "on_ping"}  # noqa: RUF012

    def __init__(self, context: Context, peer: str, first: bool) -> None:
        super().__init__(context)
        self.peer, self.first = peer, first

    def begin(self) -> Turn[int]:
        return Turn(Waiting(0), [(self.peer, Ping(1))] if self.first else [])

    def on_ping(self, state: Waiting, ping: Ping, peer: str) -> Turn[int]:
        del state, peer
        if ping.number >= 10:
            return Turn(Done(), result=ping.number)
        done = ping.number == 9
        reply = [(self.peer, Ping(ping.number + 1))]
        return Turn(Done() if done else Waiting(ping.number), reply, 9 if done else None)


def pair(wire: object = None) -> Pair:
    def context(party: str) -> Context:
        return Context(b"s" * 16, "count", party, secrets.token_bytes)

    a, b = Counter(context("a"), "b", True), Counter(context("b"), "a", False)
    return Pair(a, b, wire=wire)  # type: ignore[arg-type]


def test_two_roles_reach_their_results() -> None:
    assert pair().run() == {"a": 10, "b": 9} or pair().run() == {"a": 9, "b": 10}


def test_identical_repeats_are_ignored() -> None:
    assert sorted(pair(lambda data: (data, data)).run().values()) == [9, 10]


def test_a_differing_repeat_ends_the_session() -> None:
    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        return data, encode(replace(envelope, payload=encode(Ping(3))))

    with pytest.raises(PeerError, match="differs from the first"):
        pair(wire).run()


def test_a_dropped_envelope_is_noticed() -> None:
    with pytest.raises(PeerGone, match="no result at a, b"):
        pair(lambda data: ()).run()


@pytest.mark.parametrize("change", [{"session": b"t"}, {"step": "x"}, {"sequence": 5}])
def test_a_foreign_envelope_is_refused(change: dict[str, object]) -> None:
    def wire(data: bytes) -> Iterable[bytes]:
        return (encode(replace(decode(data, Envelope), **change)),)  # type: ignore[arg-type]

    with pytest.raises(PeerError, match="count: "):
        pair(wire).run()


def test_a_message_after_the_end_is_a_phase_error() -> None:
    link = pair()
    link.run()
    role = link.roles["a"]
    with pytest.raises(PhaseError, match="Ping found, nothing more expected"):
        role.receive(Envelope(b"s" * 16, "count", "b", "a", 5, encode(Ping(1))))


def test_a_role_killed_at_any_point_goes_on_from_its_checkpoint() -> None:
    for kill in range(1, 9):
        link = pair()
        for party, role in link.roles.items():
            link._take(party, role.start())
        for _ in range(kill):
            link.deliver()
        for party, old in list(link.roles.items()):
            new = Counter(old.context, old.peer, old.first)  # type: ignore[attr-defined]
            new.restore(old.save())
            link.roles[party] = new
        while link._queue:
            link.deliver()
        assert sorted(link.results.values()) == [9, 10]
