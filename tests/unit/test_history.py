"""Sections of several contracts on a column: what their sums tell together, month after month."""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.aggregate import AggregateResult
from federated.aggregate.cells import ABSENT, NONE
from federated.aggregate.history import (
    GONE,
    MEMBER,
    History,
    Known,
    KnownReceiver,
    KnownSender,
    Past,
    followed,
    history_of,
)
from federated.contract.release import Release
from federated.contract.terms import AggregateTerms, Contract, Measure
from federated.paillier import generate_keypair
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.steps.groups_asked import GroupsAsked
from federated.steps.sections_told import SectionsTold
from psi.protocol import Context, Pair, PeerError, Refused
from tests.unit.attacker import few_spoken_of
from tests.unit.test_contract import contract

KEY = generate_keypair(2048)
LIMITS = ReleaseLimits(minimum_difference=1)


def context(party: str) -> Context:
    return Context(b"session", "aggregate", party, secrets.token_bytes)


class Parties:
    """A bank and a bureau that remember, and the jobs they do."""

    def __init__(self, folder: Path, minimum: int = 3) -> None:
        self.now, self.minimum = 1e9, minimum
        self.releases = Releases(folder / "bureau", LIMITS, secrets.token_bytes, lambda: self.now)
        self.asked = GroupsAsked(folder / "bank", secrets.token_bytes, lambda: self.now)

    def contract(self, columns: tuple[str, ...] = ("a",)) -> Contract:
        measures = tuple(Measure(column, "sum") for column in columns)
        terms = (AggregateTerms("bureau", "segment", measures, self.minimum, 2048),)
        return replace(contract(), nonce=secrets.token_hex(32), aggregate=terms)

    def job(
        self,
        people: list[str],
        segments: list[str],
        values: np.ndarray,
        *,
        column: str = "a",
        told: bool = True,
    ) -> AggregateResult:
        """The bank's result; the bureau's rows are its `values`. `told`: it ended."""
        made = self.contract((column,))
        me, terms = made.party("bureau"), made.aggregate[0]
        bank, bureau = pa.table({"segment": segments}), pa.table({column: values})
        release, names = (
            Release(step="aggregate/0/bureau", columns=(column,)),
            pa.array(people, pa.string()),
        )
        self.releases.reserve(made, me, release, lambda levels: [names] * len(levels))
        sides = SectionsTold(made, asked=self.asked), SectionsTold(made, releases=self.releases)
        sides[0].ask("bureau", bank)
        self.history = sides[1].history(me, bureau)
        known = Pair(
            KnownReceiver(context("bank"), len(people), self.minimum),
            KnownSender(context("bureau"), "bank", self.history),
        ).run()
        rows = Pair(
            sides[0].adding(context("bank"), "bureau", bank, known["bank"]),
            sides[1].sending(context("bureau"), me, bureau, KEY, self.history),
        ).run()
        receiver = sides[0].receiving(context("bank"), terms, rows["bank"])
        partner = sides[1].giving(context("bureau"), terms, KEY, self.history)
        results = Pair(receiver, partner).run()
        if told:
            sides[0].received(terms, results["bank"], bank)
            sides[1].gave(terms, results["bureau"])
        found: AggregateResult = results["bank"]
        return found


def month(number: int, size: int = 40, groups: int = 2) -> tuple[list[str], list[str]]:
    """The same customers in the same segments, but for a few that come and go in each."""
    first = number * 3 * groups
    people = [f"c{i}" for i in range(first, first + size * groups)]
    return people, ["xyz"[int(name[1:]) % groups] for name in people]


def test_a_monthly_job_is_answered_month_after_month(tmp_path: Path) -> None:
    parties = Parties(tmp_path)
    for number in range(5):
        people, segments = month(number)
        found = parties.job(people, segments, np.arange(80.0))
        assert found.rows.tolist() == [40, 40]
        assert not np.isnan(found.values[0]).any()


def test_one_record_moved_or_gone_is_not_given_away(tmp_path: Path) -> None:
    people, segments = month(0, 40, 3)
    values = np.arange(120.0)
    gone = [i for i, s in enumerate(segments) if s == "x"][:1]
    gone += [i for i, s in enumerate(segments) if s == "z"][:5]
    left = [i for i in range(120) if i not in gone]  # one of x, none of y, five of z

    def second(parties: Parties, moved: list[str]) -> list[bool]:
        parties.job(people, segments, values)
        found = parties.job([people[i] for i in left], [moved[i] for i in left], values[left])
        return [bool(b) for b in np.isnan(found.values[0])]

    # x2 is x1 less one; z2 goes too, or the total over all would give x2 back; y2 is y1
    assert second(Parties(tmp_path / "1"), segments) == [True, False, True]
    swapped = list(segments)
    others = [i for i in left if segments[i] == "y"][:1]
    swapped[others[0]] = "z"
    assert second(Parties(tmp_path / "2"), swapped)[1]
    alone = Parties(tmp_path / "3").job(people, swapped, values)
    assert not np.isnan(alone.values[0]).any()


def test_a_value_that_was_missing_then_or_is_now_counts_as_absent(tmp_path: Path) -> None:
    people, segments = month(0)
    parties, values = Parties(tmp_path), np.arange(80.0)
    parties.job(people, segments, values)
    later = values[6:].copy()
    later[[40, 41, 42, 43]] = np.nan  # three of either segment have gone, and two values of each
    found = parties.job(people[6:], segments[6:], later)
    assert not np.isnan(found.values[0]).any()
    one = Parties(tmp_path / "one")
    one.job(people, segments, values)
    less = values[5:].copy()
    less[segments[5:].index("x")] = np.nan  # of x three have gone, and a value; of y two
    assert np.isnan(one.job(people[5:], segments[5:], less).values[0]).all()


def test_another_column_is_told_whole_and_what_broke_off_counts_as_told(tmp_path: Path) -> None:
    people, segments = month(0)
    parties, values = Parties(tmp_path), np.arange(80.0)
    parties.job(people, segments, values, told=False)
    found = parties.job(people[1:], segments[1:], values[1:])
    assert np.isnan(found.values[0]).all()
    found = parties.job(people[1:], segments[1:], values[1:], column="b")
    assert not np.isnan(found.values[0]).any()


def test_what_was_suppressed_before_takes_nothing_now(tmp_path: Path) -> None:
    people, segments = month(0, 40, 3)
    values, parties = np.arange(120.0), Parties(tmp_path)
    parties.job(people, ["x"] * 2 + ["y"] * 118, values)  # nothing can be told of two
    found = parties.job(people[6:], segments[6:], values[6:])
    assert not np.isnan(found.values[0]).any()


def test_without_the_receivers_memory_there_is_no_answer(tmp_path: Path) -> None:
    people, segments = month(0)
    parties, values = Parties(tmp_path), np.arange(80.0)
    parties.job(people, segments, values)
    parties.asked = GroupsAsked(tmp_path / "other", secrets.token_bytes, lambda: parties.now)
    with pytest.raises(Refused, match=r"segments of job [0-9a-f]{8}, which bureau has answered"):
        parties.job(people[6:], segments[6:], values[6:])
    for line in parties.releases.lines():
        parties.releases.forget(bytes.fromhex(str(line["session"])))
    assert not list((tmp_path / "bureau").glob("section-*"))
    assert not np.isnan(parties.job(people[6:], segments[6:], values[6:]).values[0]).any()


def test_the_receivers_memory_ends_and_is_sealed(tmp_path: Path) -> None:
    people, segments = month(0)
    parties = Parties(tmp_path)
    parties.job(people, segments, np.arange(80.0))
    files = list((tmp_path / "bank").glob("*-0-*"))
    assert len(files) == 1
    assert files[0].stat().st_mode & 0o077 == 0
    assert b"bureau" not in files[0].read_bytes()
    parties.now += 800 * 24 * 3600
    parties.job(people, segments, np.arange(80.0))
    assert len(list((tmp_path / "bank").glob("*-0-*"))) == 1


person = st.tuples(
    st.integers(0, 2),  # the segment
    st.lists(st.sampled_from([0, 0, 0, 0, 0, 1, 2, 3]), min_size=3, max_size=3),
)


@settings(deadline=None, max_examples=8)
@given(st.lists(person, min_size=18, max_size=40), st.integers(2, 3))
def test_no_combination_over_contracts_speaks_of_too_few(
    people: list[tuple[int, list[int]]], least: int
) -> None:
    """In each job some have moved (1), are not in it (2), or have no value (3)."""
    with tempfile.TemporaryDirectory() as folder:
        parties = Parties(Path(folder), least)
        sums = [np.zeros(len(people))]
        for number in range(3):
            there = [i for i, (_, does) in enumerate(people) if does[number] != 2]
            codes = [(people[i][0] + (people[i][1][number] == 1)) % 3 for i in there]
            values = np.array([np.nan if people[i][1][number] == 3 else float(i) for i in there])
            before = np.array(sums)
            try:
                found = parties.job([f"c{i}" for i in there], [f"g{c}" for c in codes], values)
            except Refused:  # by the guard: the same records, or one of them alone
                continue
            for place, name in enumerate(found.groups):
                if found.kept[0][place]:
                    inside = [f"g{c}" == name for c in codes] & ~np.isnan(values)
                    row = np.zeros(len(people))
                    row[np.array(there)[inside]] = 1
                    sums.append(row)
                    assert found.values[0][place] == values[inside].sum()
            assert not few_spoken_of(np.array(sums), before, np.ones(len(people)), least)


# what is told of a history


def tags(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def past(*numbers: int) -> Past:
    return Past("5e" * 32, (0,), tags(*numbers))


def test_records_that_left_come_after_the_aligned_rows() -> None:
    found = history_of(tags(5, 6, 7, 8), [past(9, 7, 6, 4)], 2)
    assert found.places[:, 0].tolist() == [GONE, 2, 1, GONE, 3, 0]
    assert (found.rows, found.absent(0, found.shown), found.left_out) == (4, 2, 0)
    assert found.shown.all()
    codes = found.codes(0, np.array([10, 11, 12, NONE]), ABSENT, NONE)
    assert codes.tolist() == [ABSENT, 12, 11, ABSENT, NONE, 10]


def test_a_rare_history_passes_for_the_most_frequent() -> None:
    found = history_of(tags(1, 2, 3, 4), [past(1, 2, 3, 9)], 2)
    assert found.places[:, 0].tolist() == [0, 1, 2, MEMBER]  # 4 has joined alone, 9 left alone
    assert found.shown.tolist() == [True, True, True, False]
    joined = history_of(tags(1, 2, 3, 4), [past(1, 9)], 2)
    assert joined.places[:, 0].tolist() == [GONE] * 4
    assert joined.left_out == 1


def test_what_has_no_name_or_two_rows_does_not_count() -> None:
    found = history_of(tags(0, 1, 2, 2, 3, 4), [past(1, 3, 2, 5, 5, 0, 4)], 1)
    assert found.shown.tolist() == [False, True, False, False, True, True]
    assert found.places[:, 0].tolist() == [MEMBER, 0, MEMBER, MEMBER, 1, 6]


def test_a_column_that_few_of_a_history_have_or_lack_is_not_counted() -> None:
    history = history_of(tags(*range(1, 9)), [past(*range(1, 5), *range(20, 24))], 3)
    there = np.array([[1, 1, 1, 0, 1, 0, 0, 0]], bool).T
    before = np.array([[1, 1, 1, 1, 1, 1, 1, 0]], bool).T
    found = followed(history, there, [before], 3)
    assert found.flags[:, 0].tolist() == [True] * 4 + [False] * 4 + [True] * 4
    assert found.wrong.tolist() == [2]  # one lacks it now, one that left had lacked it
    assert found.hidden.tolist() == [True]
    found = followed(history, there, [np.ones((8, 1), bool)], 1)
    assert found.flags[:, 0].tolist() == [*there[:, 0].tolist(), True, True, True, True]
    assert found.wrong.tolist() == [0]
    assert found.hidden.tolist() == [True]  # one had a value and has none
    found = followed(history, ~there | there, [np.ones((8, 1), bool)], 1)
    assert found.flags.all()
    assert not found.hidden.any()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rows": 5}, "other rows than are aligned"),
        ({"jobs": ("a", "b")}, "other rows than are aligned"),
        ({"sections": ()}, "jobs without their sections"),
        *[({"jobs": (name,)}, "no session's") for name in ("*" * 64, "../asked/key", "5E" * 32)],
        ({"sizes": np.array([3])}, "rows that do not exist"),
        ({"places": np.array([[0], [1], [1], [3]], np.int32)}, "two records are one"),
        ({"places": np.array([[0], [1], [2], [-1]], np.int32)}, "fewer than 2 records share"),
        ({"places": np.array([[0], [1], [2], [-3]], np.int32)}, "rows that do not exist"),
        ({"asked": ("a:median",)}, "statistics that this version does not have"),
    ],
)
def test_a_malformed_history_is_refused(change: dict[str, Any], told: str) -> None:
    history = history_of(tags(1, 2, 3, 4), [past(1, 2, 3, 4)], 2)
    role = KnownReceiver(context("bank"), 4, 2)
    role.start()
    known = Known(history.rows, history.jobs, history.sections, history.sizes, history.places, ())
    with pytest.raises(PeerError, match=told):
        role.on_known(role.state, replace(known, **change), "bureau")


def test_a_job_is_not_an_earlier_one_of_itself() -> None:
    """Its groups are kept by then, and the partner could put them beside themselves, shifted."""
    history = history_of(tags(1, 2, 3, 4), [past(4, 3, 2, 1)], 2)
    role = KnownReceiver(replace(context("bank"), session=bytes.fromhex("5e" * 32)), 4, 2)
    role.start()
    known = Known(history.rows, history.jobs, history.sections, history.sizes, history.places, ())
    with pytest.raises(PeerError, match="this job is an earlier one"):
        role.on_known(role.state, known, "bureau")


def test_a_history_comes_back_as_it_was_told() -> None:
    history = history_of(tags(1, 2, 3), [past(3, 2, 1)], 2)
    found: dict[str, History] = Pair(
        KnownReceiver(context("bank"), 3, 2), KnownSender(context("bureau"), "bank", history)
    ).run()
    assert found["bank"].places.tolist() == history.places.tolist() == [[2], [1], [0]]


def test_a_record_that_counted_in_no_row_of_a_job_has_no_history() -> None:
    before = replace(past(1, 2, 0), others=tags(3))
    found = history_of(tags(1, 2, 3), [before], 2)
    assert found.shown[:3].tolist() == [True, True, False]
    assert history_of(tags(1, 2, 0), [past(1, 2, 3)], 2, tags(3)).shown[:2].all()
    assert history_of(tags(1, 2, 0), [past(1, 2, 3)], 2, tags(3)).left_out == 1


def test_the_book_keeps_which_pair_counts_for_each_row(tmp_path: Path) -> None:
    """The receiver has c0 twice, and c1 once, of which the partner has two rows."""
    parties = Parties(tmp_path)
    made = parties.contract()
    names = pa.array(["c0", "c0", "c1", "c1", "c2"], pa.string())
    stands = np.array([-1, -1, 2, 4])
    me, release = made.party("bureau"), Release(step="aggregate/0/bureau", columns=("a",))
    parties.releases.reserve(made, me, release, lambda levels: [names] * len(levels), stands=stands)
    now, _ = parties.releases.past(made, me, {"a"}) or (None, None)
    assert now is not None
    assert (now.tags == 0).tolist() == [True, True, False, False]
    assert len(np.unique(now.tags)) == 3
    assert len(now.others) == 1
    assert not np.isin(now.others, now.tags).any()
