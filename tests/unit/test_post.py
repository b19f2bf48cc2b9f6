"""Parcels over ways that lose, repeat and reorder: whole frames, in order, once."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from federated.session.routers import FAREWELL, GOODBYE, Silence
from federated.session.sealing import SealedFrame
from federated.wire import incoming, post
from federated.wire.parcels import PART, Kind, Parcel, read_parcel
from federated.wire.post import PostEndpoint
from psi.protocol import CodecError, EnvironmentFailed, PeerError, PeerGone, Refused, decode, encode

JOB = bytes(range(32))


def pair(
    way: Callable[[Parcel, Callable[[Parcel], None]], None] | None = None, limit: int = 1 << 40
) -> dict[str, PostEndpoint]:
    ends: dict[str, PostEndpoint] = {}

    def carry(parcel: Parcel) -> None:
        again = read_parcel(parcel.to_bytes())
        give = ends[again.receiver].deliver
        if way is None:
            give(again)
        else:
            way(again, give)

    for name in ("a", "b"):
        ends[name] = PostEndpoint(name, JOB, ["a", "b"], carry, lambda step: limit)
    return ends


def test_frames_of_all_sizes_arrive_whole() -> None:
    ends = pair()
    for size in (1, 100, PART - 1, PART, PART + 1, 2 * PART + 7):
        frame = os.urandom(size)
        ends["a"].send("b", frame)
        assert ends["b"].receive(1.0) == ("a", frame)
    ends["a"].close()
    assert ends["b"].receive(1.0) == ("a", GOODBYE)


def test_a_way_that_loses_repeats_and_reorders() -> None:
    rng = random.Random(3)
    late: list[tuple[Parcel, Callable[[Parcel], None]]] = []

    def bad(parcel: Parcel, give: Callable[[Parcel], None]) -> None:
        fate = rng.random()
        if fate < 0.2:
            return
        if fate < 0.4:
            late.append((parcel, give))
            return
        give(parcel)
        if fate > 0.8:
            give(parcel)
        if late and fate > 0.5:
            held, later = late.pop(rng.randrange(len(late)))
            later(held)

    ends = pair(bad)
    frames = [os.urandom(rng.randrange(1, 400)) for _ in range(200)]
    for frame in frames:
        ends["a"].send("b", frame)
    got: list[bytes] = []
    while len(got) < len(frames):
        for end in ends.values():
            end.again()
        while not ends["b"]._arrived.empty():
            got.append(ends["b"].receive(0.1)[1])
    assert got == frames


def test_the_window_holds_the_sender_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (post, incoming):
        monkeypatch.setattr(module, "WINDOW", 1000)
    ends = pair()
    sent: list[int] = []

    def flood() -> None:
        for number in range(50):
            ends["a"].send("b", bytes(100))
            sent.append(number)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    time.sleep(0.2)
    assert len(sent) < 20
    for _ in range(50):
        ends["b"].receive(1.0)
    thread.join(5)
    assert len(sent) == 50


def test_more_than_a_step_may_weigh_leaves_the_session_at_rest() -> None:
    ends = pair(limit=1000)
    ends["a"].send("b", bytes(900))
    ends["a"].send("b", bytes(900))
    assert ends["b"].receive(1.0)[1] == bytes(900)
    with pytest.raises(EnvironmentFailed, match="at most 1000 allowed"):
        ends["b"].receive(2.0)


def test_steps_that_a_peer_makes_up_have_no_bytes_of_their_own_each() -> None:
    """Before a contract is known, any name of a step may be one."""
    ends = pair(limit=1000)

    def frame(step: str) -> bytes:
        return encode(
            SealedFrame(
                session=JOB,
                step=step,
                sender="a",
                receiver="b",
                sequence=0,
                counter=0,
                sealed=bytes(600),
            )
        )

    for number in range(20):
        ends["a"].send("b", frame(f"made up {number}"))
    for _ in range(8000 // len(frame("made up 10"))):
        ends["b"].receive(2.0)
    with pytest.raises(EnvironmentFailed, match="at most 1000 allowed"):
        ends["b"].receive(2.0)


def test_a_sender_that_ignores_the_window_leaves_the_session_at_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (post, incoming):
        monkeypatch.setattr(module, "WINDOW", 1000)
    end = PostEndpoint("b", JOB, ["a"], lambda parcel: None, lambda step: 1 << 40)
    for number in range(100):
        end.deliver(
            Parcel(
                kind=Kind.PART,
                job=JOB,
                sender="a",
                receiver="b",
                step="handshake",
                stream=bytes(8),
                number=number,
                taken_stream=bytes(8),
                taken=0,
                size=100,
                offset=0,
                data=bytes(100),
            )
        )
    came = iter(partial(end.receive, 1.5), None)
    assert len([next(came) for _ in range(20)]) == 20  # what came before is still read
    with pytest.raises(EnvironmentFailed, match="window"):
        list(came)


def test_whoever_waits_hears_of_an_end_at_once() -> None:
    for name in ("fail", "stop", "leave"):
        end = PostEndpoint("b", JOB, ["a"], lambda parcel: None, lambda step: 1 << 40)
        threading.Timer(0.05, getattr(end, name), [PeerError("over")]).start()
        begun = time.monotonic()
        for _ in range(2):
            with pytest.raises(PeerError, match="over"):
                end.receive(30)
        assert time.monotonic() - begun < 10


def test_strangers_and_silence() -> None:
    end = PostEndpoint("b", JOB, ["a"], lambda parcel: None, lambda step: 1 << 40)
    end.deliver(
        Parcel(
            kind=Kind.PART,
            job=JOB,
            sender="c",
            receiver="b",
            step="s",
            stream=bytes(8),
            number=0,
            taken_stream=bytes(8),
            taken=0,
            size=3,
            offset=0,
            data=b"abc",
        )
    )
    with pytest.raises(PeerGone, match="nothing received"):
        end.receive(0.2)


def test_a_restarted_peer_starts_over() -> None:
    ends = pair()
    ends["a"].send("b", b"one")
    assert ends["b"].receive(1.0)[1] == b"one"
    ends["b"].send("a", b"read by the old one")
    assert ends["a"].receive(1.0)[1] == b"read by the old one"
    ends["a"].tick(time.monotonic() + 5)
    ends["b"].send("a", b"kept")
    old = ends["a"]
    ends["a"] = PostEndpoint("a", JOB, ["a", "b"], old._carry, lambda step: 1 << 40)
    ends["a"].send("b", b"two")
    assert ends["b"].receive(1.0)[1] == b"two"
    assert ends["a"].receive(1.0)[1] == b"kept"
    ends["b"].send("a", b"new")
    assert ends["a"].receive(1.0)[1] == b"new"
    old.again()  # parcels of the endpoint that is gone come late
    ends["a"].send("b", b"three")
    assert ends["b"].receive(1.0)[1] == b"three"


def test_parcels_with_wrong_sizes_are_refused() -> None:
    parcel = Parcel(
        kind=Kind.PART,
        job=JOB,
        sender="a",
        receiver="b",
        step="s",
        stream=bytes(8),
        number=0,
        taken_stream=bytes(8),
        taken=0,
        size=2,
        offset=0,
        data=b"abc",
    )
    with pytest.raises(PeerError):
        read_parcel(parcel.to_bytes())
    with pytest.raises(CodecError):
        read_parcel(parcel.to_bytes() + b"x")


def test_a_parcel_in_one_piece_is_what_the_codec_makes_of_it() -> None:
    """The short way of writing and reading one accepts nothing else, and nothing otherwise."""
    rng = random.Random(5)
    for _ in range(60):
        words = ["", "a", "bureau", "银行", "x" * 64]
        parcel = Parcel(
            kind=rng.randrange(6),
            job=rng.randbytes(32),
            sender=rng.choice(words),
            receiver=rng.choice(words),
            step=rng.choice(["", "train/churn/0", "y" * 128]),
            stream=rng.randbytes(8),
            number=rng.choice([0, 1, 2**50]),
            taken_stream=rng.randbytes(8),
            taken=rng.choice([0, 7, 2**50]),
            size=300,
            offset=rng.choice([0, 100]),
            data=rng.randbytes(rng.choice([0, 1, 200])),
        )
        data = parcel.to_bytes()
        assert parcel.head() + parcel.data == data
        assert read_parcel(data) == read_parcel(memoryview(data)) == decode(data, Parcel) == parcel
        for _ in range(40):
            worse = bytearray(data[: rng.choice([len(data), rng.randrange(len(data))])])
            if worse:
                worse[rng.randrange(len(worse))] = rng.choice([0, 1, 2, 64, 128, 255])
            assert of_codec(bytes(worse)) == of_reader(bytes(worse))


def of_codec(data: bytes) -> Parcel | None:
    try:
        found = decode(data, Parcel)
    except PeerError:
        return None
    return found if len(found.job) == 32 and found.offset + len(found.data) <= found.size else None


def of_reader(data: bytes) -> Parcel | None:
    try:
        return read_parcel(data)
    except PeerError:
        return None


def test_a_restart_in_the_middle_of_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "PART", 10)
    ends = pair()
    give = ends["b"].deliver

    def two_parts(parcel: Parcel) -> None:
        if parcel.number < 2:
            give(parcel)

    monkeypatch.setattr(ends["b"], "deliver", two_parts)
    frame = os.urandom(45)
    ends["a"].send("b", frame)
    ends["b"].tick(time.monotonic() + 5)  # tells that two parts of five were taken
    assert ends["a"]._ways["b"].taken_there == 2
    ends["b"] = PostEndpoint("b", JOB, ["a", "b"], ends["b"]._carry, lambda step: 1 << 40)
    ends["b"].greet()
    assert ends["b"].receive(1.0) == ("a", frame)


def test_first_words_do_not_begin_anything_anew() -> None:
    ends = pair()
    for number in range(5):
        ends["a"].send("b", bytes([number]))
        ends["b"].tick(time.monotonic() + 5)
    ends["b"].send("a", b"first word")
    assert ends["a"].receive(1.0)[1] == b"first word"
    assert ends["a"]._ways["b"].epoch == 0
    assert [ends["b"].receive(1.0)[1] for _ in range(5)] == [bytes([n]) for n in range(5)]


def test_a_frame_under_another_step_than_it_says() -> None:
    end = PostEndpoint("b", JOB, ["a"], lambda parcel: None, lambda step: 1 << 40)
    end.deliver(
        Parcel(
            kind=Kind.PART,
            job=JOB,
            sender="a",
            receiver="b",
            step="align",
            stream=bytes(8),
            number=0,
            taken_stream=bytes(8),
            taken=0,
            size=3,
            offset=0,
            data=b"abc",
        )
    )
    with pytest.raises(EnvironmentFailed, match="another step"):
        end.receive(1.5)


def test_who_is_stopped_can_still_say_farewell() -> None:
    ends = pair()
    ends["a"].stop(Refused("stopped by this party"))
    with pytest.raises(Refused):
        ends["a"].send("b", sealed("align"))
    with pytest.raises(Refused):
        ends["a"].receive(0.1)
    ends["a"].send("b", sealed(FAREWELL))
    assert ends["b"].receive(1.0) == ("a", sealed(FAREWELL))


def test_who_keeps_back_what_was_taken_holds_no_sender_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hub may: nobody signs the outside of a parcel. The job rests, and the others are told."""
    for module in (post, incoming):
        monkeypatch.setattr(module, "WINDOW", 1000)

    def way(parcel: Parcel, give: Callable[[Parcel], None]) -> None:
        if parcel.receiver == "b":
            give(parcel)

    ends = pair(way)
    ends["a"]._within = 0.3
    frame = sealed("align")
    fit = 1000 // len(frame)
    for _ in range(fit):
        ends["a"].send("b", frame)
    waits: list[BaseException] = []

    def notes() -> None:
        try:
            ends["a"].send("b", frame)
        except Silence as error:
            waits.append(error)

    begun = time.monotonic()
    other = threading.Thread(target=notes, daemon=True)
    other.start()
    with pytest.raises(Silence, match="b has taken nothing of what was sent"):
        ends["a"].send("b", frame)
    other.join(5)
    assert len(waits) == 1
    assert 0.2 < time.monotonic() - begun < 3
    ends["a"].send("b", sealed(FAREWELL))
    got = [ends["b"].receive(1.0)[1] for _ in range(fit + 1)]
    assert got == [*[frame] * fit, sealed(FAREWELL)]


def test_a_peer_that_takes_something_now_and_then_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (post, incoming):
        monkeypatch.setattr(module, "WINDOW", 1000)
    ends = pair()
    ends["a"]._within = 0.6

    def flood() -> None:
        for _ in range(12):
            ends["a"].send("b", bytes(300))

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    for _ in range(12):
        time.sleep(0.12)
        ends["b"].receive(1.0)
    thread.join(5)
    assert not thread.is_alive()


def sealed(step: str) -> bytes:
    return encode(
        SealedFrame(
            session=JOB,
            step=step,
            sender="a",
            receiver="b",
            sequence=0,
            counter=0,
            sealed=b"sealed",
        )
    )


def test_frames_of_two_threads_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "PART", 10)
    ends = pair()
    frames = [bytes([number]) * 95 for number in range(40)]
    halves = (frames[:20], frames[20:])

    def send(half: list[bytes]) -> None:
        for frame in half:
            ends["a"].send("b", frame)

    threads = [threading.Thread(target=send, args=(half,), daemon=True) for half in halves]
    for thread in threads:
        thread.start()
    got = [ends["b"].receive(5.0)[1] for _ in frames]
    assert sorted(got) == sorted(frames)


def test_a_goodbye_to_an_earlier_endpoint_is_not_for_this_one() -> None:
    ends = pair()
    ends["a"].send("b", b"one")
    assert ends["b"].receive(1.0)[1] == b"one"
    late: list[Parcel] = []
    old = ends["b"]
    old._by_hub = late.append
    old.fail(PeerGone("a has gone"))
    old.close(0.0)
    ends["a"] = PostEndpoint("a", JOB, ["a", "b"], ends["a"]._by_hub, lambda step: 1 << 40)
    ends["a"].send("b", b"two")  # the old endpoint hears no more
    assert not ends["a"].answered("b")
    for parcel in late:
        ends["a"].deliver(parcel)
    ends["b"] = PostEndpoint("b", JOB, ["a", "b"], ends["a"]._by_hub, lambda step: 1 << 40)
    ends["b"].greet()
    ends["b"].send("a", b"new")
    assert ends["a"].receive(1.0) == ("b", b"new")
    assert ends["b"].receive(1.0) == ("a", b"two")
    ends["b"].send("a", b"newer")
    assert ends["a"].answered("b")
