from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace

import pytest

from federated.keys.party_keys import PartyKeys
from federated.session.sealing import Channel, Handshake, NotOpened, SealedFrame
from psi.protocol import Envelope, PeerError, decode, encode

SESSION = secrets.token_bytes(32)


def channels() -> tuple[Channel, Channel]:
    a, b = PartyKeys.generate("a"), PartyKeys.generate("b")
    first = Handshake(SESSION, a, b.identity)
    second = Handshake(SESSION, b, a.identity)
    assert first.initiator
    assert not second.initiator
    answer, responder = second.answer(first.hello())
    return first.finish(answer), responder


def envelope(payload: bytes = b"hello", way: tuple[str, str] = ("a", "b")) -> Envelope:
    return Envelope(SESSION, "step", *way, 0, payload)


def frame(sealed: SealedFrame) -> SealedFrame:
    return decode(encode(sealed), SealedFrame)


def test_both_ends_share_keys_and_exports() -> None:
    a, b = channels()
    assert b.open(frame(a.seal(envelope()))) == envelope()
    back = envelope(b"back", ("b", "a"))
    assert a.open(frame(b.seal(back))) == back
    assert a.export("x") == b.export("x") != a.export("y")


def test_the_payload_is_not_readable_and_equal_payloads_differ() -> None:
    a, _ = channels()
    first, second = a.seal(envelope(b"planted")), a.seal(envelope(b"planted"))
    assert b"planted" not in encode(first)
    assert frame(first).sealed != frame(second).sealed


@pytest.mark.parametrize(
    "change",
    [
        {"step": "other"},
        {"sequence": 1},
        {"session": bytes(32)},
        {"sealed": b"x" * 21},
        {"head": b"x" * 20},
        {"head": b""},
    ],
)
def test_an_altered_header_or_body_is_refused(change: dict[str, object]) -> None:
    a, b = channels()
    altered = replace(frame(a.seal(envelope())), **change)  # type: ignore[arg-type]
    with pytest.raises(PeerError):
        b.open(altered)


def test_a_frame_carries_a_head_beside_its_payload_and_its_sealer_can_recall_it() -> None:
    a, b = channels()
    sealed = frame(a.seal(envelope(), b"planted head"))
    assert b"planted" not in encode(sealed)
    assert b.open(sealed) == envelope()
    assert b.peer_head == b"planted head"
    assert a.recall(sealed) == b"hello"
    swapped = replace(sealed, counter=1, sealed=frame(a.seal(envelope())).sealed)
    with pytest.raises(PeerError, match="altered"):
        b.open(swapped)


def test_another_contract_does_not_open() -> None:
    a, b = channels()
    a.contract = bytes([1]) * 32
    with pytest.raises(PeerError, match="altered or sealed otherwise"):
        b.open(frame(a.seal(envelope())))


def test_repeats_are_ignored_and_gaps_refused() -> None:
    a, b = channels()
    first, second, third = (frame(a.seal(envelope(bytes([i])))) for i in range(3))
    assert b.open(first) is not None
    assert b.open(first) is None
    with pytest.raises(PeerError, match="#2 found, #1 expected"):
        b.open(third)
    assert b.open(second) is not None


def test_a_false_repeat_is_not_opened_and_a_second_text_of_one_number_is_the_peer_s_lie() -> None:
    a, b = channels()
    again = Channel.restore(a.me, a.peer, a.save())
    first, other = frame(a.seal(envelope())), frame(again.seal(envelope(b"other")))
    assert b.open(first) is not None
    with pytest.raises(NotOpened):
        b.open(replace(first, sealed=secrets.token_bytes(21)))
    with pytest.raises(PeerError, match="differs from the first") as found:
        b.open(other)
    assert not isinstance(found.value, NotOpened)


def test_a_frame_reflected_to_its_sender_is_refused() -> None:
    a, _ = channels()
    with pytest.raises(PeerError):
        a.open(frame(a.seal(envelope())))


def test_a_swapped_key_is_refused() -> None:
    a, b, mallory = (PartyKeys.generate(name) for name in ("a", "b", "b"))
    hello = Handshake(SESSION, a, b.identity)
    answer, _ = Handshake(SESSION, mallory, a.identity).answer(hello.hello())
    with pytest.raises(PeerError, match="not signed by b"):
        hello.finish(answer)


def test_a_channel_goes_on_from_its_saved_state() -> None:
    a, b = channels()
    b.open(frame(a.seal(envelope())))
    a2, b2 = Channel.restore("a", "b", a.save()), Channel.restore("b", "a", b.save())
    assert b2.open(frame(a2.seal(envelope(b"more")))) == envelope(b"more")


def test_secrets_do_not_print() -> None:
    keys = PartyKeys.generate("a")
    shown = repr(keys) + repr(channels()[0]) + repr(frame(channels()[0].seal(envelope())))
    assert "b'" not in shown
    assert encode(keys.identity)


def test_asides_are_outside_of_count_and_contract() -> None:
    a, b = channels()
    first, second = (a.seal_aside(envelope(b"bye"), secrets.token_bytes) for _ in range(2))
    assert first != second
    a.contract = bytes([1]) * 32  # signed by now; b has not heard
    for aside in (first, second, first, a.seal_aside(envelope(b"bye"), secrets.token_bytes)):
        assert b.open(frame(aside)) == envelope(b"bye")
    assert b.opened == 0
    with pytest.raises(PeerError, match="altered"):
        b.open(replace(first, sealed=first.sealed[:-1] + bytes([first.sealed[-1] ^ 1])))
    with pytest.raises(PeerError):
        a.open(frame(first))
    b.contract = a.contract
    assert b.open(frame(a.seal(envelope()))) == envelope()


@pytest.mark.parametrize("size", [5, 1 << 20])
def test_a_digest_is_the_same_whether_it_was_begun_ahead(size: int) -> None:
    frames = [channels()[0].seal(envelope(bytes(size)), b"head")]
    frames.append(replace(frames[0]))
    frames[0].hash_ahead()
    found = hashlib.sha256(frames[1].sealed + frames[1].head).digest()
    assert [frame.digest for frame in frames] == [found, found]
    assert frames[0] == frames[1]
