"""A minimum that the sender counts itself, over keys of all levels."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi import align
from psi.align import AlignSettings
from psi.align.waterfall import Records
from psi.ecdh import Receiver, Sender, messages
from psi.ecdh.messages import Blinded, Reply
from psi.kernels.pairing import linked
from psi.protocol import Context, Envelope, MemoryStore, Pair, PeerError, Refused, decode
from psi.shuffling import in_groups, permutation
from tests.unit.test_align import Keys, context, run
from tests.unit.test_waterfall import by_loops, tables

TERMS: dict[str, Any] = {"minimum_checked_by": "partner"}


def parts(mine: Keys, theirs: Keys) -> int:
    """Connected parts of the records that share keys, by plain loops over rows."""
    above: dict[Any, Any] = {}

    def top(node: Any) -> Any:
        while above.setdefault(node, node) != node:
            node = above[node]
        return node

    shared = set()
    for name, side in (("mine", mine), ("theirs", theirs)):
        records = Records.of([pa.array(k, pa.string()) for k in side])
        for item, (level, record) in enumerate(zip(records.level, records.record, strict=True)):
            row = records.items.part(item, item + 1).take(np.array([0]))
            node = (int(level), row.data.tobytes())
            if name == "theirs" and node in above:
                shared.add(node)
            above[top((name, int(record)))] = top(node)
    return len({top(node) for node in shared})


@settings(deadline=None, max_examples=12)
@given(tables(unique=False), st.booleans())
def test_the_count_is_never_more_than_what_is_found(sides: tuple[Keys, Keys], join: bool) -> None:
    terms = TERMS | {"duplicates": "join" if join else "collapse"}
    counted = parts(*sides)  # ten rows are never more keys than the largest group
    found = run(*sides, minimum_overlap=counted, **terms)
    assert found[0].matched >= counted
    assert join or found[0].matched == len(by_loops(*sides))
    with pytest.raises(Refused, match=f"{counted} shared records found"):
        run(*sides, minimum_overlap=counted + 1, **terms)


def test_records_found_by_later_keys_count() -> None:
    mine: Keys = [["a", "b", None, "d"], ["1", "2", "3", "4"]]
    theirs: Keys = [["a", "x", "c", None], ["1", "2", "3", "9"]]
    assert run(mine, theirs, minimum_overlap=3, **TERMS)[0].matched == 3
    with pytest.raises(Refused, match="3 shared records found, at least 4 needed"):
        run(mine, theirs, minimum_overlap=4, **TERMS)


def test_a_record_with_many_later_keys_counts_once() -> None:
    mine: Keys = [[*"xxxxxy"], [*"123456"]]
    theirs: Keys = [[*"zzzzzw"], [*"123456"]]
    assert Records.of([pa.array(k) for k in theirs]).splits(2) == 2
    assert run(mine, theirs)[0].matched == 2
    with pytest.raises(Refused, match="2 shared records found"):
        run(mine, theirs, minimum_overlap=3, **TERMS)
    # so many keys that no group holds them all are taken off
    rows: list[str | None] = [str(i) for i in range(100)]
    with pytest.raises(Refused, match="0 shared records found"):
        run(mine, [[*"z" * 100], rows], minimum_overlap=3, **TERMS)


@pytest.mark.parametrize("size", [1, 700])
def test_nothing_is_told_before_the_count_and_chunks_are_counted_whole(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "CHUNK", 512)
    keys = [[f"{level}{i}" if i % 3 else None for i in range(size)] for level in "ab"]
    with pytest.raises(Refused) as caught:
        run(keys, keys, minimum_overlap=size + 1, **TERMS)
    assert caught.value.message.startswith(f"{size - -(-size // 3)} shared")
    agreed = AlignSettings(minimum_overlap=2, **TERMS)
    name, build = next(align.send("r", [pa.array(["a"]), pa.array(["1"])], agreed))
    assert name == "count"
    assert isinstance(build(context("s", "count")), Receiver)


def shared_records(mine: Keys, theirs: Keys) -> set[int]:
    """Rows that stand for records of `theirs` that share a key with `mine`, by plain loops."""
    held = [set(level) - {None} for level in mine]
    records = Records.of([pa.array(k, pa.string()) for k in theirs])
    found = set()
    for item, level in enumerate(records.level):
        text = records.items.take(np.array([item])).data.tobytes().decode()
        if text.split(":", 1)[1] in held[level]:
            found.add(int(records.row[records.record[item]]))
    return found


@settings(deadline=None, max_examples=12)
@given(tables(unique=False), st.sampled_from(["collapse", "join"]))
def test_hidden_records_are_counted_by_keys_of_all_levels(
    sides: tuple[Keys, Keys], duplicates: str
) -> None:
    expected = shared_records(*sides)
    count = len(expected)
    found = run(*sides, reveal="cardinality", minimum_overlap=count, duplicates=duplicates)
    assert (found[0].matched, found[1].matched) == (count, -1)
    assert not any(len(a.rows) + len(a.places) for a in found)
    with pytest.raises(Refused, match=f"{count} shared records found"):
        run(*sides, reveal="cardinality", minimum_overlap=count + 1, duplicates=duplicates)
    receiver, sender = run(*sides, reveal="places", duplicates=duplicates)
    matched = np.flatnonzero(np.isin(sender.places, receiver.places))
    assert receiver.matched == len(receiver.places) == count
    assert sender.places.max(initial=-1) < receiver.size_sender or not receiver.size_sender
    assert expected == set(np.intersect1d(matched, sorted(expected)).tolist())
    assert count == len(set(sender.places[matched].tolist()))


@pytest.mark.parametrize("reveal", ["cardinality", "places"])
def test_the_partner_counts_all_levels_where_records_stay_hidden(reveal: str) -> None:
    mine: Keys = [["a", "b", None, "d"], ["1", "2", "3", "4"]]
    theirs: Keys = [["a", "x", "c", None], ["1", "2", "3", "9"]]
    assert run(mine, theirs, reveal=reveal, minimum_overlap=3, **TERMS)[0].matched == 3
    with pytest.raises(Refused, match="3 shared records found, at least 4 needed"):
        run(mine, theirs, reveal=reveal, minimum_overlap=4, **TERMS)


def test_numbers_of_records_that_do_not_exist_are_refused() -> None:
    """A sender cannot make the receiver hold a place for each of 2^32 records."""
    mine = Records.of([pa.array(["a", "b"])] * 2)
    terms: dict[str, Any] = {"reveal": "places", "largest": 1000}
    receiving = Receiver(context("r"), "s", mine.items, minimum=0, records=True, **terms)
    wrong = Sender(context("s"), "r", mine.items, records=np.arange(4) * 1000, **terms)
    with pytest.raises(PeerError, match="numbers of records that do not exist"):
        Pair(receiving, wrong).run()


def test_groups_are_full_and_fillers_differ() -> None:
    keys = [pa.array(["a", None, "b"], pa.string()), pa.array([None, None, "2"], pa.string())]
    records = Records.of(keys)
    groups = records.grouped(2, secrets.token_bytes)
    assert len(groups) == 4
    single = [groups.take(np.array([i])).data.tobytes() for i in range(4)]
    assert len(set(single)) == 4
    assert {b"0:a", b"0:b", b"1:2"} < set(single)


def test_groups_stay_together_in_an_order_of_their_own() -> None:
    orders = [in_groups(permutation(30, secrets.token_bytes(32)), 3) for _ in range(40)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(30))
        assert (np.ptp(order.reshape(10, 3) // 3, axis=1) == 0).all()
    assert len({tuple(order[::3] // 3) for order in orders}) == 40
    assert len({tuple(order % 3) for order in orders}) == 40


def test_replies_do_not_tell_which_group_is_which() -> None:
    """The points that come back are those that went, evaluated, in groups of another order."""
    sent, back = [], []

    def wire(data: bytes) -> Any:
        envelope = decode(data, Envelope)
        if envelope.sender == "s":
            sent.append(envelope.payload)
        else:
            back.append(envelope.payload)
        yield data

    stores = {party: MemoryStore() for party in "rs"}
    places = {p: Context(b"session", "count", p, secrets.token_bytes, stores[p]) for p in "rs"}
    mine = Records.of([pa.array([f"{i}" for i in range(40)])] * 2)
    terms: dict[str, Any] = {"reveal": "cardinality", "largest": 1000}
    groups = mine.grouped(2, secrets.token_bytes)
    terms_of_counter = terms | {"minimum": 0, "records": True, "group": 2}
    counting = Receiver(places["s"], "r", groups, **terms_of_counter)
    counted = Sender(places["r"], "s", mine.items, records=mine.record, groups=True, **terms)
    found = Pair(counting, counted, wire=wire).run()["s"]
    assert found.count == 40
    assert len(found.own) == len(found.peer) == len(found.record) == 0
    assert decode(sent[0], Blinded).total == 80
    numbers = [decode(reply, Reply).sealed for reply in back]
    assert sum(map(len, numbers)) == 80


def test_killed_and_restored_at_every_message() -> None:
    """Groups are made again with other random items, which match no more than the first."""
    keys = [pa.array([str(i) if i % 4 else None for i in range(20)], pa.string())] * 2
    mine, stores = Records.of(keys), {"r": MemoryStore(), "s": MemoryStore()}
    terms: dict[str, Any] = {"reveal": "cardinality", "largest": 1000}

    def roles() -> list[Any]:
        places = [Context(b"session", "x", p, secrets.token_bytes, stores[p]) for p in "sr"]
        groups = mine.grouped(2, secrets.token_bytes)
        return [
            Receiver(places[0], "r", groups, minimum=0, records=True, group=2, **terms),
            Sender(places[1], "s", mine.items, records=mine.record, groups=True, **terms),
        ]

    link = Pair(*roles())
    for party, role in link.roles.items():
        link._take(party, role.start())
    while link._queue:
        for role in roles():
            party = role.context.party
            if party not in link.results:
                role.restore(link.roles[party].save())
                link.roles[party] = role
        link.deliver()
    assert link.results["s"].count == 15


def test_points_that_make_no_whole_groups_are_refused() -> None:
    items = Records.of([pa.array(["a", "b", "c"])]).items
    terms: dict[str, Any] = {"reveal": "cardinality", "largest": 1000}
    for size, due in ((2, True), (3, False)):
        counting = Receiver(context("s"), "r", items, minimum=0, records=True, group=size, **terms)
        counted = Sender(context("r"), "s", items, records=np.arange(3), groups=due, **terms)
        with pytest.raises(PeerError, match="groups that are not whole"):
            Pair(counting, counted).run()


def test_who_counts_hidden_records_has_no_groups_of_its_choosing() -> None:
    """They would show which of the receiver's nameless records share with which of the sender's."""
    keys = [pa.array(["a", "b"]), pa.array(["1", "2"])]
    agreed = AlignSettings(reveal="cardinality")
    name, build = next(align.send("r", keys, agreed))
    terms: dict[str, Any] = {"reveal": "cardinality", "largest": 1000, "minimum": 0}
    mine = Records.of(keys)
    asking = Receiver(context("r", name), "s", mine.items, records=True, group=2, **terms)
    with pytest.raises(PeerError, match="or are not due"):
        Pair(asking, build(context("s", name))).run()


def test_connected_parts() -> None:
    def count(pairs: list[tuple[int, int]]) -> int:
        sides = np.array(pairs, np.int64).reshape(-1, 2)
        return linked(sides[:, 0], sides[:, 1])

    assert count([]) == 0
    assert count([(5, 5), (5, 5)]) == 1
    assert count([(0, 0), (1, 1), (2, 2)]) == 3
    assert count([(0, 0), (0, 1), (1, 1), (2, 2)]) == 2
