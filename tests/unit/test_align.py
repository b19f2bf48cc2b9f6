from __future__ import annotations

import logging
import secrets
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi import align, buckets, oprf
from psi.align import Alignment, AlignSettings, SelectReceiver, SelectSender
from psi.align.order import OrderReceiver, OrderSender
from psi.ecdh import Held, Items, Prepared, Receiver, Sender, messages, prepare
from psi.ecdh.messages import Blinded, Reply
from psi.identifiers import key_buffer
from psi.kernels.curve25519 import LOW_ORDER
from psi.protocol import (
    Context,
    Envelope,
    MemoryStore,
    Pair,
    PeerError,
    Refused,
    decode,
    encode,
)
from tests.unit.kernels import curve_points

Keys = list[list[str | None]]


def run(
    mine: Keys, theirs: Keys, keepers: Any = (None, None), **terms: Any
) -> tuple[Alignment, Alignment]:
    """Both sides of an alignment, level by level, over the pair harness."""
    agreed = AlignSettings(**terms)
    sides = [
        align.receive("s", [pa.array(k, pa.string()) for k in mine], agreed, keepers[0]),
        align.send("r", [pa.array(k, pa.string()) for k in theirs], agreed, keepers[1]),
    ]
    wanted = [next(side) for side in sides]
    while True:
        assert wanted[0][0] == wanted[1][0]
        roles = [
            build(context(party, wanted[0][0]))
            for party, (_, build) in zip("rs", wanted, strict=True)
        ]
        results = Pair(*roles).run()
        done = []
        for number, (party, side) in enumerate(zip("rs", sides, strict=True)):
            try:
                wanted[number] = side.send(results[party])
            except StopIteration as stop:
                done.append(stop.value)
        if done:
            return done[0], done[1]


def context(party: str, step: str = "x") -> Context:
    return Context(b"session-of-test!", step, party, secrets.token_bytes)


def joined(mine: Keys, theirs: Keys, collapse: bool) -> list[tuple[int, int, int]]:
    """The same by plain pandas: (receiver row, sender row, level)."""
    left = pd.DataFrame({"row": range(len(mine[0]))})
    right = pd.DataFrame({"row": range(len(theirs[0]))})
    free = [set(left.row), set(right.row)]
    pairs: list[tuple[int, int, int]] = []
    for level, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        x = left.assign(key=pd.Series(a, dtype=object))[[r in free[0] for r in left.row]].dropna()
        y = right.assign(key=pd.Series(b, dtype=object))[[r in free[1] for r in right.row]].dropna()
        shared = set(x.key) & set(y.key)
        free[0] -= set(x.row[x.key.isin(shared)])
        free[1] -= set(y.row[y.key.isin(shared)])
        if collapse:
            x, y = x.drop_duplicates("key"), y.drop_duplicates("key")
        merged = x.merge(y, on="key")
        pairs += [(int(i), int(j), level) for i, j in zip(merged.row_x, merged.row_y, strict=True)]
    return sorted(pairs)


def pairs(receiver: Alignment, sender: Alignment) -> list[tuple[int, int, int]]:
    assert (receiver.grade == sender.grade).all()
    triples = zip(receiver.rows, sender.rows, receiver.grade, strict=True)
    return [(int(i), int(j), int(level)) for i, j, level in triples]


key = st.one_of(st.none(), st.integers(0, 12).map(str))


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(1, 3), st.booleans())
def test_the_aligned_pairs_equal_a_plain_join(
    data: st.DataObject, levels: int, collapse: bool
) -> None:
    levels = 1 if collapse else levels  # several go together: see test_waterfall

    def side() -> Keys:
        size = data.draw(st.integers(1, 20))
        return [data.draw(st.lists(key, min_size=size, max_size=size)) for _ in range(levels)]

    mine, theirs = side(), side()
    found = run(mine, theirs, duplicates="collapse" if collapse else "join")
    assert pairs(*found) == joined(mine, theirs, collapse)
    assert (np.diff(found[0].rows) >= 0).all()


@pytest.mark.parametrize("protocol", ["vole", "vole-malicious"])
def test_a_level_at_a_time_where_records_have_no_numbers(protocol: str) -> None:
    mine: Keys = [["a", None, "c", "c"], ["1", "2", "3", "4"]]
    theirs: Keys = [[None, "c", "c", "a"], ["2", "4", "9", "3"]]
    found = run(mine, theirs, protocol=protocol)
    assert pairs(*found) == joined(mine, theirs, True) == [(0, 3, 0), (1, 0, 1), (2, 1, 0)]


@pytest.mark.parametrize("overlap", [0, 1, 10_000, 20_000])
def test_exact_at_twenty_thousand(overlap: int) -> None:
    mine: Keys = [[f"id{i:09d}" for i in range(20_000)]]
    theirs: Keys = [[f"id{i:09d}" for i in range(20_000 - overlap, 40_000 - overlap)]]
    receiver, sender = run(mine, theirs)
    assert receiver.matched == sender.matched == overlap
    assert receiver.rows.tolist() == list(range(20_000 - overlap, 20_000))
    assert [theirs[0][i] for i in sender.rows] == [mine[0][i] for i in receiver.rows]


def test_several_chunks_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "CHUNK", 7)
    monkeypatch.setattr(buckets, "BUCKET", 16)
    mine: Keys = [[str(i) for i in range(100)]]
    theirs: Keys = [[str(i) for i in range(50, 150)]]
    for reveal in ("both", "receiver", "cardinality"):
        receiver, _ = run(mine, theirs, reveal=reveal)
        assert receiver.matched == 50


def test_receiver_mode_tells_the_sender_sizes_only() -> None:
    receiver, sender = run([["a", "b", None]], [["b", "c"]], reveal="receiver")
    assert receiver.rows.tolist() == [1]
    assert (sender.rows.tolist(), sender.matched, sender.size_receiver) == ([], -1, 2)


def test_cardinality_mode_tells_a_count() -> None:
    receiver, sender = run([["a", "b", "c"]], [["b", "c", "d"]], reveal="cardinality")
    assert (receiver.matched, receiver.rows.tolist()) == (2, [])
    assert sender.matched == -1


def test_places_tell_each_side_its_part_of_a_join() -> None:
    mine = [["a", None, "b", "a", "x"]]
    theirs = [["b", "c", None, "a", "b", "d"]]
    left, right = run(mine, theirs, reveal="places")
    assert (left.matched, right.matched) == (2, -1)
    assert (left.size_sender, right.size_receiver) == (4, 3)
    at = dict(zip(theirs[0], right.places.tolist(), strict=True))
    assert (at.pop(None), right.places[0]) == (-1, right.places[4])
    assert sorted(at.values()) == [0, 1, 2, 3]
    assert left.places.tolist() == sorted([at["a"], at["b"]])
    assert len(left.rows) == len(right.rows) == 0
    assert len(run(mine, [[None]], reveal="places")[1].places) == 1


def test_too_few_matches_are_refused_with_the_count() -> None:
    with pytest.raises(Refused, match="1 shared records found, at least 2 needed"):
        run([["a", "b"]], [["b", "c"]], minimum_overlap=2)


def items(*values: str) -> Items:
    return Items(*key_buffer(pa.array(values)))


def roles(**changes: Any) -> tuple[Receiver, Sender]:
    receiver = Receiver(
        context("r"), "s", items("a", "b", "planted-1"), reveal="both", minimum=0, largest=10
    )
    return receiver, Sender(
        context("s"), "r", items("b", "c"), reveal="both", largest=10, **changes
    )


def spoiled(change: Any) -> Any:
    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        if envelope.sender == "r":
            yield encode(replace(envelope, payload=change(envelope.payload)))
        else:
            yield data

    return wire


def with_point(u: int) -> Any:
    def change(payload: bytes) -> bytes:
        try:
            blinded = decode(payload, Blinded)
        except PeerError:
            return payload
        points = blinded.points.copy()
        points[1] = np.frombuffer(u.to_bytes(32, "little"), np.uint8)
        return encode(replace(blinded, points=points))

    return change


@pytest.mark.parametrize("u", [*LOW_ORDER, 2**255 - 19, 2**255 - 18, 2**256 - 1])
def test_low_order_and_non_canonical_points_are_refused(u: int) -> None:
    with pytest.raises(PeerError, match=r"x: 1 of 3 points") as caught:
        Pair(*roles(), wire=spoiled(with_point(u))).run()
    assert "planted" not in str(caught.value)


def answered(change: Callable[[Reply], Reply]) -> Callable[[bytes], Iterable[bytes]]:
    """A link on which the sender's replies are changed."""

    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        if envelope.sender == "s":
            reply = change(decode(envelope.payload, Reply))
            data = encode(replace(envelope, payload=encode(reply)))
        yield data

    return wire


TWIST = 2
"""A coordinate that no point of the curve has."""


@pytest.mark.parametrize("reveal", ["both", "cardinality"])
@pytest.mark.parametrize("u", [*LOW_ORDER, TWIST, 2**255 - 19, 2**256 - 1])
def test_bad_points_of_the_sender_are_refused(u: int, reveal: str) -> None:
    def change(reply: Reply) -> Reply:
        points = reply.points.copy()
        points[1:2] = np.frombuffer(u.to_bytes(32, "little"), np.uint8)
        return replace(reply, points=points)

    receiver = Receiver(
        context("r"), "s", items("a", "b", "planted-1"), reveal=reveal, minimum=0, largest=10
    )
    sender = Sender(context("s"), "r", items("b", "c"), reveal=reveal, largest=10)
    if u == TWIST and reveal == "cardinality":
        Pair(receiver, sender, wire=answered(change)).run()  # only with signs the twist matters
        return
    with pytest.raises(PeerError, match=r"x: 1 of 3 points") as caught:
        Pair(receiver, sender, wire=answered(change)).run()
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("key", [b"", bytes(32), b"\x02" + bytes(31), b"\xff" * 32])
def test_a_bad_public_key_is_refused(key: bytes) -> None:
    with pytest.raises(PeerError, match=r"x: the sender's public key"):
        Pair(*roles(), wire=answered(lambda reply: replace(reply, public=key))).run()


def test_a_wrong_public_key_matches_nothing() -> None:
    key = oprf.public_key(12345)
    found = Pair(*roles(), wire=answered(lambda reply: replace(reply, public=key))).run()
    assert found["r"].count == found["s"].count == 0


def test_the_public_key_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "CHUNK", 2)
    keys = iter([oprf.public_key(k) for k in range(1, 9)])
    with pytest.raises(PeerError, match=r"x: the sender's public key has changed"):
        Pair(*roles(), wire=answered(lambda reply: replace(reply, public=next(keys)))).run()


def test_a_point_of_mixed_order_counts_as_its_part_of_prime_order() -> None:
    """u of V + T for T of order eight: what a sender may have put there changes no match."""
    torsion = curve_points.over(LOW_ORDER[2])

    def change(reply: Reply) -> Reply:
        points = reply.points.copy()
        for row in points:
            u = int.from_bytes(row.tobytes(), "little")
            mixed = curve_points.u_of(curve_points.add(curve_points.over(u), torsion))
            row[:] = np.frombuffer(mixed.to_bytes(32, "little"), np.uint8)
        return replace(reply, points=points)

    assert Pair(*roles(), wire=answered(change)).run()["r"].own.tolist() == [1]


def test_identifiers_never_reach_logs_or_screens(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    mine: Keys = [["planted-1", "planted-2"], ["planted-3", None]]
    theirs: Keys = [["planted-2", None], ["planted-3", "planted-4"]]
    for reveal in ("both", "receiver", "cardinality"):
        receiver, sender = run(mine, theirs, reveal=reveal)
        assert "planted" not in repr(receiver) + repr(sender)
    with pytest.raises(Refused) as caught:
        run(mine, theirs, minimum_overlap=3)
    printed = "".join(capfd.readouterr())
    assert "planted" not in caplog.text + printed + repr(caught.value) + str(caught.value)


@pytest.mark.parametrize("reveal", ["receiver", "both", "cardinality"])
def test_killed_and_restored_at_every_message(reveal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "CHUNK", 4)
    monkeypatch.setattr(buckets, "BUCKET", 8)
    stores = {"r": MemoryStore(), "s": MemoryStore()}
    terms: dict[str, Any] = {"reveal": reveal, "largest": 100}

    def fresh() -> tuple[Receiver, Sender]:
        mine, theirs = (items(*map(str, range(low, low + 30))) for low in (0, 20))
        places = [replace(context(party), store=stores[party]) for party in "rs"]
        receiver = Receiver(places[0], "s", mine, minimum=0, **terms)
        return receiver, Sender(places[1], "r", theirs, **terms)

    link = Pair(*fresh())
    for party, role in link.roles.items():
        link._take(party, role.start())
    points = []
    while link._queue:
        again = {role.context.party: role for role in fresh()}
        for party, role in again.items():
            role.restore(link.roles[party].save())
            link.roles[party] = role
        link.deliver()
        points.append(max(len(role.save()) for role in link.roles.values()))
    assert link.results["r"].count == 10
    assert len(points) >= 16
    assert max(points) < 4096  # what is large lies in the store
    if reveal == "both":
        assert link.results["r"].own.tolist() == list(range(20, 30))
        assert link.results["s"].own.tolist() == list(range(10))


class Keeper:
    """Both sides' memory of prepared tags, with what a real one refuses."""

    def __init__(self) -> None:
        self.kept: Held | None = None
        self.made: Prepared | None = None
        self.left, self.deliveries = 5, 0

    def held(self) -> Held | None:
        return self.kept

    def keep(self, held: Held) -> None:
        self.deliveries += held is not self.kept
        self.kept = held

    def prepared(self, wanted: Items) -> Prepared:
        if self.made is None or len(self.made.tags) != len(wanted):
            self.made = prepare(wanted, secrets.token_bytes)
        return self.made

    def spend(self, count: int) -> None:
        if count > self.left:
            raise Refused("used up")
        self.left -= count


@pytest.mark.parametrize("reveal", ["both", "receiver"])
def test_prepared_tags_are_delivered_once_and_counted(
    reveal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psi.ecdh.prepared.CHUNK", 8)
    both = (Keeper(), Keeper())
    theirs: Keys = [[str(i) for i in range(50)]]
    asked: list[Keys] = [[["3", "x", "49"]], [["7", "y"]]]
    for mine in asked:
        receiver, sender = run(mine, theirs, both, reveal=reveal)
        assert receiver.matched == sum(key in theirs[0] for key in mine[0])
        assert [mine[0][row] for row in receiver.rows] == [k for k in mine[0] if k in theirs[0]]
        if reveal == "both":
            assert sender.rows.tolist() == [int(mine[0][row] or -1) for row in receiver.rows]
    assert both[0].deliveries == 1
    with pytest.raises(Refused, match="used up"):
        run([["1"]], theirs, both, reveal=reveal)
    both[1].left = 9
    changed: Keys = [[*theirs[0], "new"]]
    assert run([["new"]], changed, both, reveal=reveal)[0].matched == 1
    assert both[0].deliveries == 2


def test_a_minimum_is_counted_by_the_partner_before_it_tells_anything() -> None:
    terms: dict[str, Any] = {"minimum_overlap": 2, "minimum_checked_by": "partner"}
    receiver, sender = run([["a", "b", "c"]], [["b", "c", "d"]], **terms)
    assert receiver.matched == sender.matched == 2
    agreed = AlignSettings(**terms)
    with pytest.raises(Refused, match="1 shared records found, at least 2 needed") as caught:
        run([["a", "b"]], [["b", "c"]], **terms)
    assert caught.value.step == ""
    counting = next(align.send("r", [pa.array(["b"])], agreed))
    assert counting[0] == "count"
    assert isinstance(counting[1](context("s", "count")), Receiver)


def test_identifiers_and_scalars_do_not_print() -> None:
    receiver, sender = roles()
    for step in (receiver.start(), sender.start()):
        shown = repr(step) + repr(receiver) + repr(sender) + repr(items("planted-1"))
        assert "planted" not in shown


@pytest.mark.parametrize("wrong", [[0, 10**7], [0, -1], [0, 0], [0]])
def test_an_order_that_does_not_fit_is_refused_before_it_is_counted(wrong: list[int]) -> None:
    """A match of 2^31 must not make the sender hold a count for each number up to it."""
    receiver = OrderReceiver(context("r"), "s", np.array(wrong), 2, False)
    sender = OrderSender(context("s"), "r", np.ones(2, np.int64), False)
    tracemalloc.start()
    with pytest.raises(PeerError, match="does not fit the matches"):
        Pair(receiver, sender).run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 20


def test_selection_keeps_the_receivers_order() -> None:
    keep = {"a": np.array([0, 2]), "b": np.array([1, 3])}
    senders = [SelectSender(context(p), 4) for p in "ab"]
    results = Pair(*senders, SelectReceiver(context("r"), keep)).run()
    assert results["a"].tolist() == [0, 2]
    with pytest.raises(PeerError):
        Pair(SelectSender(context("a"), 1), SelectReceiver(context("r"), {"a": keep["a"]})).run()
