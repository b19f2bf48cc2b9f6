"""What a contract tells of a party's columns, kind by kind, from the contract alone."""

from __future__ import annotations

from dataclasses import replace
from math import e, log2

import pytest

from federated.contract.release import Release, planned
from federated.contract.terms import (
    AggregateTerms,
    AlignTerms,
    AmountTerms,
    CategoryTerms,
    Contract,
    JoinSumTerms,
    Measure,
    TrainTerms,
)
from federated.regression import told_bits
from tests.unit.test_releases import contract

ALIGN = AlignTerms(
    partner="bureau",
    protocol="ecdh",
    reveal="both",
    minimum_overlap=10,
    minimum_checked_by="receiver",
    largest_set=1000,
    duplicates="collapse",
    keep_tags_days=0,
    keep_tags_items=0,
)
TRAIN = TrainTerms(
    task="churn", model="logistic", split="vertical", label="y", positive="",
    partners=("bureau",), folds=2, score_bits=4, evaluations=8, noise="1", grid_bits=8,
    column_bits=8,
)  # fmt: skip
AMOUNT = AmountTerms("balance", 0, 100)
NAMES = ("public", "private", "none")


def told(asked: Contract) -> list[Release]:
    return list(planned(replace(asked, align=asked.align or (ALIGN,)), "bureau"))


def category(epsilon: int, amounts: tuple[AmountTerms, ...] = ()) -> CategoryTerms:
    noise = "laplace" if epsilon else "none"
    return CategoryTerms(
        partner="bureau",
        category="sector",
        categories=NAMES,
        segment="",
        amounts=amounts,
        noise=noise,
        epsilon=epsilon,
        minimum_group=20,
        key_bits=3072,
    )


def test_sums_count_their_distinct_thresholds_by_column() -> None:
    asked = (
        Measure("loans", "mean"),
        Measure("loans", "share>2"),
        Measure("usage", "share>0.5"),
        Measure("loans", "histogram[1,2,3]"),
        Measure("usage", "variance"),
    )
    terms = AggregateTerms("bureau", "segment", asked, 20, 3072)
    (release,) = told(replace(contract(), aggregate=(terms,)))
    assert release.columns == ("loans", "usage")
    assert release.edges("loans") == {"1.0", "2.0", "3.0"}
    assert release.edges("usage") == {"0.5"}
    assert (release.bits, release.known, release.step) == (0, True, "aggregate/0/bureau")
    (release,) = told(
        replace(
            contract(),
            align=(replace(ALIGN, reveal="cardinality"),),
            join_sum=(
                JoinSumTerms(partner="bureau", measures=asked, minimum_group=20, key_bits=3072),
            ),
        )
    )
    assert (release.bits, release.known, len(release.edges("loans"))) == (0, False, 3)


def test_a_training_of_columns_tells_its_final_score_and_nothing_else_of_a_row() -> None:
    asked = contract(features=("a", "b"))
    drafted = replace(TRAIN, evaluations=0, noise="auto", grid_bits=0, column_bits=0)
    for train in (TRAIN, drafted, replace(TRAIN, evaluations=64, folds=20, fold_evaluations=9)):
        (release,) = told(replace(asked, train=(train,)))
        assert [named for named, _ in release.instead] == ["score_bits = 0"]
        assert replace(release, instead=()) == Release(
            step="train/churn", columns=("a", "b"), bits=told_bits(4), vectors=1, known=True
        )


def test_several_partners_tell_as_much_each_and_rows_split_what_is_stated() -> None:
    asked = contract(features=("a", "b"))
    several = replace(TRAIN, partners=("bureau", "registry"))
    (release,) = told(replace(asked, train=(several,)))
    assert (release.bits, release.vectors) == (told_bits(4), 1)
    pooled = replace(
        TRAIN, split="horizontal", partners=(), evaluations=0, noise="", grid_bits=0,
        column_bits=0, steps=1, row_bits=1,
    )  # fmt: skip
    (release,) = told(replace(contract(features=("a", "b"), labels=("y",)), train=(pooled,)))
    assert (release.columns, release.bits) == (("a", "b", "y"), 1.0)
    assert not release.known
    assert list(planned(replace(asked, train=(pooled,)), "bank")) == []


def test_a_category_tells_its_epsilon_or_all() -> None:
    (release,) = told(replace(contract(), category=(category(500, (AMOUNT,)),)))
    assert release.bits == pytest.approx(0.5 * log2(e))
    assert (release.epsilon, release.whole) == (0.5, False)
    (release,) = told(replace(contract(), category=(category(0, (AMOUNT,)),)))
    assert (release.bits, release.whole) == (2.0, True)  # three names and all else
    (release,) = told(replace(contract(), category=(category(0),)))  # counts of groups alone
    assert (release.bits, release.whole) == (0.0, False)
