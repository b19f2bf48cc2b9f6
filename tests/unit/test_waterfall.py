"""Keys of several levels in one run, against SQL and against plain loops."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi.align import AlignSettings, in_one_run
from psi.align.waterfall import Chosen, ChosenSender, Records, paired
from psi.ecdh import Matches, Receiver, Sender, messages
from psi.ecdh.messages import Reply
from psi.kernels.pairing import first_come
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
from tests.unit.test_align import Keys, pairs, run

Triples = list[tuple[int, int, int]]


def by_loops(mine: Keys, theirs: Keys) -> Triples:
    """Collapse, then pair by level and row: what `waterfall` says, a row at a time."""

    def collapsed(keys: Keys) -> tuple[list[dict[str, int]], list[int]]:
        first: list[dict[str, int]] = []
        for level in keys:
            found: dict[str, int] = {}
            for row, key in enumerate(level):
                if key is not None:
                    found.setdefault(key, row)
            first.append(found)

        def stands_for(row: int) -> int:
            for level, found in zip(keys, first, strict=True):
                key = level[row]
                if key is not None:
                    return row if found[key] == row else stands_for(found[key])
            return row

        return first, [stands_for(row) for row in range(len(keys[0]))]

    (my_first, my_row), (their_first, their_row) = collapsed(mine), collapsed(theirs)
    taken: tuple[set[int], set[int]] = set(), set()
    out: Triples = []
    for level, found in enumerate(my_first):
        for key, row in sorted(found.items(), key=lambda item: item[1]):
            if key in their_first[level]:
                left, right = my_row[row], their_row[their_first[level][key]]
                if left not in taken[0] and right not in taken[1]:
                    taken[0].add(left)
                    taken[1].add(right)
                    out.append((left, right, level))
    return sorted(out)


def by_sql(mine: Keys, theirs: Keys) -> Triples:
    """Joins of the rows that no earlier join took; for keys that nobody has twice."""
    db = duckdb.connect()
    for name, keys in (("mine", mine), ("theirs", theirs)):
        columns = {f"k{level}": pa.array(k, pa.string()) for level, k in enumerate(keys)}
        db.register(name, pa.table({"row": range(len(keys[0])), **columns}))
    db.execute("create table pairs (a bigint, b bigint, level int)")
    for level in range(len(mine)):
        db.execute(NEXT_LEVEL.replace("LEVEL", str(level)))
    return sorted(db.execute("select a, b, level from pairs").fetchall())


NEXT_LEVEL = """
insert into pairs select m.row, t.row, LEVEL from mine m join theirs t using (kLEVEL)
where m.row not in (select a from pairs) and t.row not in (select b from pairs)
"""
key = st.one_of(st.none(), st.integers(0, 9).map(str))


def tables(unique: bool) -> st.SearchStrategy[tuple[Keys, Keys]]:
    def side(levels: int) -> st.SearchStrategy[Keys]:
        def column(size: int) -> st.SearchStrategy[list[str | None]]:
            if not unique:
                return st.lists(key, min_size=size, max_size=size)
            numbers = st.permutations(range(14)).map(lambda p: p[:size])
            blank = st.lists(st.booleans(), min_size=size, max_size=size)
            return st.tuples(numbers, blank).map(
                lambda x: [str(n) if keep else None for n, keep in zip(*x, strict=True)]
            )

        return st.integers(1, 10).flatmap(
            lambda size: st.lists(column(size), min_size=levels, max_size=levels)
        )

    return st.integers(2, 3).flatmap(lambda levels: st.tuples(side(levels), side(levels)))


@settings(deadline=None, max_examples=30)
@given(tables(unique=True))
def test_pairs_equal_sql(sides: tuple[Keys, Keys]) -> None:
    assert pairs(*run(*sides)) == by_sql(*sides) == by_loops(*sides)


@settings(deadline=None, max_examples=40)
@given(tables(unique=False))
def test_pairs_of_repeated_keys_equal_plain_loops(sides: tuple[Keys, Keys]) -> None:
    receiver, sender = run(*sides)
    assert pairs(receiver, sender) == by_loops(*sides)
    assert (np.diff(receiver.rows) > 0).all()
    hidden = run(*sides, reveal="receiver")
    assert hidden[0].rows.tolist() == receiver.rows.tolist()
    assert hidden[0].grade.tolist() == receiver.grade.tolist()
    assert (hidden[1].rows.tolist(), hidden[1].matched) == ([], -1)


def test_many_rows_in_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "CHUNK", 512)
    rng = np.random.default_rng(5)

    def side() -> Keys:
        columns = (rng.integers(0, 3000, 2500) for _ in range(3))
        return [[str(n) if n % 7 else None for n in column] for column in columns]

    mine, theirs = side(), side()
    assert pairs(*run(mine, theirs)) == by_loops(mine, theirs)


def test_a_record_is_paired_once_and_by_its_best_key() -> None:
    mine: Keys = [["id1", None, None], ["p1", "p1x", "p2"]]
    theirs: Keys = [["id1", None], ["p1x", "p2"]]
    # row 1 shares p1x with the record that row 0 has by its identity number
    assert pairs(*run(mine, theirs)) == [(0, 0, 0), (2, 1, 1)]


def test_the_same_text_at_two_levels_is_two_keys() -> None:
    assert pairs(*run([["a"], [None]], [[None], ["a"]])) == []


def test_which_terms_go_in_one_run() -> None:
    assert in_one_run(AlignSettings(), 2)
    assert in_one_run(AlignSettings(reveal="receiver"), 3)
    assert in_one_run(AlignSettings(reveal="cardinality", duplicates="join"), 2)
    assert in_one_run(AlignSettings(reveal="places"), 2)
    assert not in_one_run(AlignSettings(duplicates="join"), 2)
    assert not in_one_run(AlignSettings(protocol="vole"), 2)
    assert not in_one_run(AlignSettings(), 1)


@pytest.mark.parametrize("reveal", ["both", "receiver"])
def test_too_few_records_are_refused_before_the_sender_learns_any(reveal: str) -> None:
    mine: Keys = [["a", "b", "c"], ["1", "2", "3"]]
    theirs: Keys = [["a", "x", "y"], ["1", "2", "9"]]
    with pytest.raises(Refused, match="2 shared records found, at least 3 needed"):
        run(mine, theirs, reveal=reveal, minimum_overlap=3)


def sides(wire: Any = None, stores: Any = None) -> dict[str, Matches]:
    stores = stores or {"r": MemoryStore(), "s": MemoryStore()}
    mine, theirs = Records.of([pa.array(["a", "b"])] * 2), Records.of([pa.array(["b", "c"])] * 2)
    terms: dict[str, Any] = {"reveal": "receiver", "largest": 100}
    places = [Context(b"session", "x", p, secrets.token_bytes, stores[p]) for p in "rs"]
    receiver = Receiver(places[0], "s", mine.items, minimum=0, records=True, **terms)
    sender = Sender(places[1], "r", theirs.items, records=theirs.record, **terms)
    return Pair(receiver, sender, wire=wire).run() if wire else Pair(receiver, sender).run()


def test_numbers_of_records_come_sealed_and_open_with_matched_keys_only() -> None:
    seen: list[Reply] = []

    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        if envelope.sender == "s":
            seen.append(decode(envelope.payload, Reply))
        yield data

    found = sides(wire)["r"]
    assert found.count == 2
    assert len(found.record) == 2
    assert len(set(found.record.tolist())) == 1
    assert set(found.record.tolist()) <= {0, 1}
    sealed = np.concatenate([reply.sealed for reply in seen])
    assert len(sealed) == 4
    assert (sealed > 1).sum() >= 3, "sealed numbers look like any 32 bits"


def test_as_many_sealed_numbers_as_tags() -> None:
    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        if envelope.sender == "s":
            reply = decode(envelope.payload, Reply)
            spoiled = replace(reply, sealed=reply.sealed[:1])
            data = encode(replace(envelope, payload=encode(spoiled)))
        yield data

    with pytest.raises(PeerError, match="another number of records than of tags"):
        sides(wire)


def test_killed_and_restored_at_every_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "CHUNK", 4)
    columns = [[f"{low + i}" for i in range(12)] for low in (0, 8)]
    mine, theirs = (Records.of([pa.array(c), pa.array([f"x{v}" for v in c])]) for c in columns)
    stores = {"r": MemoryStore(), "s": MemoryStore()}
    terms: dict[str, Any] = {"reveal": "receiver", "largest": 100}

    def fresh() -> tuple[Receiver, Sender]:
        places = [Context(b"session", "x", p, secrets.token_bytes, stores[p]) for p in "rs"]
        receiver = Receiver(places[0], "s", mine.items, minimum=0, records=True, **terms)
        return receiver, Sender(places[1], "r", theirs.items, records=theirs.record, **terms)

    link = Pair(*fresh())
    for party, role in link.roles.items():
        link._take(party, role.start())
    while link._queue:
        for role in fresh():
            role.restore(link.roles[role.context.party].save())
            link.roles[role.context.party] = role
        link.deliver()
    found = link.results["r"]
    assert found.count == 8
    assert len(set(found.record.tolist())) == 4
    chosen = paired(mine, found)
    assert mine.row[mine.record[found.own[chosen]]].tolist() == [8, 9, 10, 11]
    assert set(mine.level[found.own[chosen]].tolist()) == {0}


@pytest.mark.parametrize(
    ("places", "why"),
    [([0, 7], "do not exist"), ([0, 1], "in two pairs"), ([2, 2], "in two pairs")],
)
def test_pairs_that_cannot_be_are_refused(places: list[int], why: str) -> None:
    role = ChosenSender(Context(b"s", "order", "s", secrets.token_bytes), np.array([4, 4, 1]))
    role.start()
    payload = encode(Chosen(np.array(places, np.uint32)))
    with pytest.raises(PeerError, match=why):
        role.receive(Envelope(b"s", "order", "r", "s", 0, payload))


def test_first_come_first_served() -> None:
    left, right = np.array([0, 0, 1, 2, 1]), np.array([0, 1, 0, 1, 2])
    assert first_come(left, right).tolist() == [True, False, False, True, True]
    assert first_come(left[:0], right[:0]).tolist() == []


def test_the_same_matches_give_the_same_pairs() -> None:
    """Nothing random decides, so that a restarted party goes on as before."""
    mine = Records.of([pa.array(["a", "b", None]), pa.array(["1", "2", "2"])])
    found = Matches(3, 9, np.array([0, 1, 3]), np.array([5, 2, 8]), np.array([7, 7, 1], np.uint32))
    assert paired(mine, found).tolist() == paired(mine, found).tolist() == [0, 2]
