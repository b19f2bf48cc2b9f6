"""What a book counts of scores that were told before, and what its refusals hang on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from federated.contract.parts import Release
from federated.releases.tags import level_key, tags_of
from federated.releases.told_scores import ToldScores, unchanged
from psi.protocol import Refused
from tests.unit.test_releases import PEOPLE, Bureau, by_id, contract

SCORE = Release(step="score/churn", columns=("loans",), bits=2.0, vectors=1, rounded=True)
OTHER = replace(SCORE, step="train/churn", rounded=False)
MODEL = b"m" * 32
LEVELS = np.arange(100, dtype=np.int64)


def ask(
    bureau: Bureau,
    people: Sequence[str],
    levels: np.ndarray,
    about: bytes = MODEL,
    ahead: Sequence[Release] = (),
) -> float:
    """The most that is told of a row after one more scoring."""
    job = contract()
    bureau.book.reserve(
        job, job.party("bureau"), SCORE, by_id(people), ahead,
        holds=lambda columns: 20.0, scores=ToldScores(about, levels),
    )  # fmt: skip
    return bureau.book.told("bureau.people", "bank")


def test_a_number_told_again_is_not_booked_and_one_that_changed_is(tmp_path: Path) -> None:
    bureau, people = Bureau(tmp_path, row_share=0.3), PEOPLE[:100]  # 6 bits
    assert ask(bureau, people, LEVELS) == 2.0
    for _ in range(4):  # as many as one likes
        assert ask(bureau, people[::-1], LEVELS[::-1].copy()) == 2.0
    changed = LEVELS.copy()
    changed[7] += 1
    assert ask(bureau, people, changed) == 4.0
    assert ask(bureau, people[:7], LEVELS[:7]) == 4.0  # the others have 2 still
    # another model, or other steps, tells anew; somebody has no key: nobody knows it is the same
    assert ask(bureau, people[20:], LEVELS[20:], b"n" * 32) == 4.0
    assert ask(bureau, [*people[40:60], None], np.append(LEVELS[40:60], 0)) == 4.0  # type: ignore[list-item]


def test_a_number_that_changes_back_is_booked(tmp_path: Path) -> None:
    """To and fro between two numbers that were told tells a bit each time."""
    bureau, people = Bureau(tmp_path, row_share=0.5), PEOPLE[:100]  # 10 bits
    found = [ask(bureau, people, LEVELS + n % 2) for n in range(4)]
    assert found == [2.0, 4.0, 6.0, 8.0]
    assert ask(bureau, people, LEVELS + 1) == 8.0


def test_a_refusal_hangs_on_no_score(tmp_path: Path) -> None:
    """It is decided as if all had changed: of the same ask, whatever the numbers are."""
    bureau = Bureau(tmp_path, row_share=0.15)  # 3 bits
    assert ask(bureau, PEOPLE[:100], LEVELS) == 2.0
    said = set()
    for levels in (LEVELS, LEVELS + 1):
        with pytest.raises(Refused) as error:
            ask(bureau, PEOPLE[:100], levels)
        said.add(str(error.value))
    assert len(said) == 1
    assert ask(bureau, PEOPLE[100:200], LEVELS) == 2.0  # of others nothing was told


def test_beside_another_release_of_the_same_rows_all_are_booked(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path, row_share=0.5)
    ask(bureau, PEOPLE[:100], LEVELS)
    assert ask(bureau, PEOPLE[:100], LEVELS, ahead=[OTHER]) == 4.0


def test_after_a_release_whose_rows_nobody_knew_all_are_booked(tmp_path: Path) -> None:
    """Tags of a job stand for all that it told: none may be left out for a score's sake alone."""
    bureau = Bureau(tmp_path, row_share=0.5)
    ask(bureau, PEOPLE[:100], LEVELS)
    job = contract()
    bureau.book.reserve(job, job.party("bureau"), OTHER, None, [SCORE], holds=lambda columns: 20.0)
    bureau.book.reserve(
        job, job.party("bureau"), SCORE, by_id(PEOPLE[:100]), (),
        holds=lambda columns: 20.0, scores=ToldScores(MODEL, LEVELS),
    )  # fmt: skip
    assert bureau.book.told("bureau.people", "bank") == 6.0


def test_what_was_told_goes_with_its_job_and_with_a_person(tmp_path: Path) -> None:
    bureau, people = Bureau(tmp_path, row_share=0.5), PEOPLE[:100]
    ask(bureau, people, LEVELS)
    files = list(tmp_path.glob("scores-*"))
    assert len(files) == 1
    assert files[0].stat().st_mode & 0o077 == 0
    assert bureau.book.forget_person(lambda table, levels: by_id([people[3]])(levels), b"s" * 32)
    # she is another one now: her number is booked anew, as nobody can tell whose the old one was
    assert ask(bureau, people, LEVELS) == 2.0
    book = bureau.book._files.book(bureau.clock())
    place, (level,) = ("bureau.people", "bank"), book.names[0].levels
    hers = tags_of(
        by_id([people[3]])([level]), [level_key(bytes.fromhex(book.tag_key), place, level)]
    )
    first = bureau.book._files.scores(files[0].name.split("-")[1])[0]
    assert not np.isin(first.tags, hers).any()
    bureau.clock.now += 401 * 24 * 3600
    bureau.book.lines()
    assert not list(tmp_path.glob("scores-*"))


def test_rows_are_found_whatever_their_order() -> None:
    rng = np.random.default_rng(1)
    tags = rng.permutation(np.arange(1, 501, dtype=np.uint64))
    levels = rng.integers(-9, 9, 500)
    order = rng.permutation(500)
    now = levels[order].copy()
    now[:50] += 1
    before = [ToldScores(b"x" * 32, levels, tags), ToldScores(MODEL, levels, tags)]
    same = unchanged(tags[order], ToldScores(MODEL, now), before)
    assert np.array_equal(same, np.arange(500) >= 50)
    assert not unchanged(np.zeros(3, np.uint64), ToldScores(MODEL, levels[:3]), before).any()
