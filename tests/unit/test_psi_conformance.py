"""What every set intersection protocol promises, whichever it is."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi.align import PROTOCOLS
from psi.ecdh import Items, Matches
from psi.identifiers import key_buffer
from psi.protocol import (
    Context,
    Envelope,
    FedprofileError,
    MemoryStore,
    Pair,
    PeerError,
    Refused,
    Role,
    decode,
    encode,
)

CASES = [(name, reveal) for name, found in PROTOCOLS.items() for reveal in found.reveals]
each = pytest.mark.parametrize(("name", "reveal"), CASES)
each_protocol = pytest.mark.parametrize("name", PROTOCOLS)


def items(values: Iterable[str]) -> Items:
    return Items(*key_buffer(pa.array(list(values), pa.large_string())))


def roles(
    name: str, reveal: str, mine: Iterable[str], theirs: Iterable[str], **changes: Any
) -> list[Role[Matches]]:
    stores = changes.pop("stores", {"r": MemoryStore(), "s": MemoryStore()})
    terms: dict[str, Any] = {"reveal": reveal, "largest": 10**6} | changes
    minimum = terms.pop("minimum", 0)
    places = [
        Context(b"session-of-test!" * 2, "x", party, secrets.token_bytes, stores[party])
        for party in "rs"
    ]
    made = PROTOCOLS[name]
    return [
        made.receiver(places[0], "s", items(mine), minimum=minimum, **terms),
        made.sender(places[1], "r", items(theirs), **terms),
    ]


def check(found: dict[str, Matches], mine: list[str], theirs: list[str], reveal: str) -> None:
    shared = set(mine) & set(theirs)
    receiver, sender = found["r"], found["s"]
    assert receiver.count == len(shared)
    assert (receiver.size_peer, sender.size_peer) == (len(theirs), len(mine))
    if reveal == "cardinality":
        assert len(receiver.own) == len(receiver.peer) == 0
    elif reveal == "places":
        assert sorted(sender.own) == list(range(len(theirs)))
        assert len(receiver.own) == 0
        assert (np.diff(receiver.peer) > 0).all()
        assert {theirs[row] for row in sender.own[receiver.peer]} == shared
    else:
        assert [mine[row] for row in receiver.own] == [key for key in mine if key in shared]
    if reveal == "both":
        # the same matches in the same order on both sides
        assert [theirs[row] for row in sender.own] == [mine[row] for row in receiver.own]
    else:
        assert sender.count == -1
        assert len(sender.own) == (len(theirs) if reveal == "places" else 0)


keys = st.sets(st.text(alphabet="ab1\u4e2d\x00", max_size=6), max_size=40)


def examples(name: str, count: int) -> settings:
    """Fewer where each run has a large fixed part, which tools/fuzz_vole.py runs by thousands."""
    return settings(deadline=None, max_examples=count // 2 if PROTOCOLS[name].blocks else count)


@each
def test_any_two_sets(name: str, reveal: str) -> None:
    @examples(name, 25)
    @given(keys, keys)
    def exact(mine: set[str], theirs: set[str]) -> None:
        left, right = sorted(mine), sorted(theirs)
        check(Pair(*roles(name, reveal, left, right)).run(), left, right, reveal)

    exact()


@each
@pytest.mark.parametrize("sizes", [(0, 0), (0, 5), (5, 0), (1, 1), (3, 2000), (2000, 3)])
def test_odd_sizes(name: str, reveal: str, sizes: tuple[int, int]) -> None:
    mine, theirs = ([str(i) for i in range(size)] for size in sizes)
    check(Pair(*roles(name, reveal, mine, theirs)).run(), mine, theirs, reveal)


@pytest.mark.slow
@each_protocol
@pytest.mark.parametrize("overlap", [1, 50_000])
def test_exact_at_a_hundred_thousand(name: str, overlap: int) -> None:
    size = 100_000
    mine = [f"id{i:09d}" for i in range(size)]
    theirs = [f"id{i:09d}" for i in range(size - overlap, 2 * size - overlap)]
    found = Pair(*roles(name, "both", mine, theirs)).run()
    assert found["r"].own.tolist() == list(range(size - overlap, size))
    assert np.array_equal(found["s"].own, np.arange(overlap))


@each
def test_killed_and_restored_at_every_message(name: str, reveal: str) -> None:
    mine, theirs = ([str(i) for i in range(low, low + 30)] for low in (0, 20))
    stores = {"r": MemoryStore(), "s": MemoryStore()}
    link = Pair(*roles(name, reveal, mine, theirs, stores=stores))
    for party, role in link.roles.items():
        link._take(party, role.start())
    while link._queue:
        for role in roles(name, reveal, mine, theirs, stores=stores):
            party = role.context.party
            if party not in link.results:
                role.restore(link.roles[party].save())
                link.roles[party] = role
        link.deliver()
    check(link.results, mine, theirs, reveal)


@each
def test_work_ahead_changes_nothing_but_time(
    name: str, reveal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = ([str(i) for i in range(low, low + 30)] for low in (0, 20))
    with_it = roles(name, reveal, mine, theirs)
    for role in with_it:
        ahead = role.ahead

        def watched(role: Role[Matches] = role, ahead: Any = ahead) -> None:
            before = role.save()
            ahead()
            assert role.save() == before

        monkeypatch.setattr(role, "ahead", watched)
    check(Pair(*with_it).run(), mine, theirs, reveal)
    without = roles(name, reveal, mine, theirs)
    for role in without:
        monkeypatch.setattr(role, "ahead", lambda: None)
    check(Pair(*without).run(), mine, theirs, reveal)


@each
def test_caps_and_minimum(name: str, reveal: str) -> None:
    with pytest.raises(Refused, match=r"3 items, 2 allowed"):
        Pair(*roles(name, reveal, "abc", "a", largest=2)).run()
    with pytest.raises(Refused, match=r"3 items, 2 allowed"):
        Pair(*roles(name, reveal, "a", "abc", largest=2)).run()
    with pytest.raises(Refused, match="1 shared records found, at least 2 needed"):
        Pair(*roles(name, reveal, "ab", "bc", minimum=2)).run()


@each_protocol
@pytest.mark.parametrize("victim", "rs")
def test_altered_messages_end_in_a_typed_error_or_no_match(name: str, victim: str) -> None:
    @examples(name, 40)
    @given(data=st.data())
    def caught(data: st.DataObject) -> None:
        alter_one(name, victim, data)

    caught()


def alter_one(name: str, victim: str, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 5))
    seen = 0

    def wire(sent: bytes) -> Iterable[bytes]:
        nonlocal seen
        envelope = decode(sent, Envelope)
        if envelope.receiver == victim:
            seen += 1
            if seen == number + 1:
                spoiled = bytearray(envelope.payload)
                at = data.draw(st.integers(0, len(spoiled) - 1))
                spoiled[at] ^= data.draw(st.integers(1, 255))
                kept = len(spoiled) - data.draw(st.sampled_from([0, 0, 0, 1, 9]))
                envelope = replace(envelope, payload=bytes(spoiled[: max(kept, 0)]))
        yield encode(envelope)

    caught = ""
    try:
        Pair(*roles(name, "both", ["a", "planted-1"], ["planted-2", "b"]), wire=wire).run()
    except FedprofileError as error:
        caught = str(error)
    assert "planted" not in caught


@each_protocol
def test_wrong_phase_session_and_repeats(name: str) -> None:
    sent: list[Envelope] = []

    def wire(data: bytes) -> Iterable[bytes]:
        sent.append(decode(data, Envelope))
        yield data
        yield data  # a repeat is ignored

    check(Pair(*roles(name, "both", "abc", "bcd"), wire=wire).run(), [*"abc"], [*"bcd"], "both")
    for envelope in sent:
        target = roles(name, "both", "abc", "bcd")["rs".index(envelope.receiver)]
        target.start()
        with pytest.raises(PeerError):
            target.receive(replace(envelope, session=b"another session"))
        if envelope.sequence:
            with pytest.raises(PeerError):
                target.receive(envelope)


@each
def test_nothing_secret_prints(name: str, reveal: str) -> None:
    for role in roles(name, reveal, ["planted-1"], ["planted-2"]):
        step = role.start()
        assert "planted" not in repr(role) + repr(step) + repr(role.state.__class__)
