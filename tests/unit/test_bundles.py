"""What one turn says to one peer goes in few frames, and comes out as it was said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import pytest

from federated.ledger.listing import messages_of
from federated.session.bundles import LARGEST, Bundle, bundled, kinds_of, parted
from psi.protocol import Envelope, Length, PeerError, encode, message


@message(0x33, bundled=True)
@dataclass(frozen=True)
class Light:
    data: Annotated[bytes, Length(2 * LARGEST)]


@message(0x1F)
@dataclass(frozen=True)
class Alone:
    data: Annotated[bytes, Length(8)]


def turn(*said: tuple[str, object]) -> list[Envelope]:
    counts: dict[str, int] = {}
    found = []
    for peer, each in said:
        number = counts.setdefault(peer, 3)
        counts[peer] += 1
        found.append(Envelope(b"s" * 32, "step", "me", peer, number, encode(each)))
    return found


def test_a_turn_comes_out_of_its_frames_in_its_order_for_each_peer() -> None:
    said = turn(
        ("a", Light(b"1")), ("b", Light(b"2")), ("a", Light(b"3")), ("a", Alone(b"4")),
        ("a", Light(b"5")), ("a", Light(b"6")), ("b", Light(b"7")),
    )  # fmt: skip
    frames = bundled(said)
    assert [each.receiver for each in frames] == ["a", "b", "a", "a"]
    for peer in ("a", "b"):
        out = [one for each in frames if each.receiver == peer for one in parted(each)]
        assert out == [one for one in said if one.receiver == peer]


def test_what_is_large_goes_alone_and_no_bundle_is_beyond_its_bound() -> None:
    half = Light(bytes(LARGEST // 2 - 64))
    frames = bundled(turn(*[("a", half)] * 5, ("a", Light(bytes(LARGEST + 1)))))
    assert [len(parted(each)) for each in frames] == [2, 2, 1, 1]
    assert all(len(each.payload) < LARGEST + 128 for each in frames[:-1])


@pytest.mark.parametrize(
    "inside",
    [
        [Light(b""), Alone(b"")],
        [Light(b"")],
        [Light(b""), Bundle((encode(Light(b"")), encode(Light(b""))))],
        [],
    ],
    ids=["of one that goes alone", "of one", "of a bundle", "of nothing"],
)
def test_a_bundle_that_nobody_makes_is_refused(inside: list[object]) -> None:
    payload = encode(Bundle(tuple(encode(each) for each in inside)))
    (frame,) = turn(("a", Light(b"")))
    with pytest.raises(PeerError):
        parted(replace(frame, payload=payload))


def test_a_ledger_s_line_tells_the_messages_of_a_bundle() -> None:
    (frame,) = bundled(turn(*[("a", Light(b"12"))] * 3))
    kinds = kinds_of(frame.payload)
    assert kinds == {"Light": [3, 3 * len(encode(Light(b"12")))]}
    body = {"message": "Bundle", "bytes": 100, "messages": kinds}
    assert messages_of(body) == {"Light": (3, 100)}
    assert messages_of({"message": "Alone", "bytes": 9}) == {"Alone": (1, 9)}
