"""A step that reads a column which the party's terms do not name, or name for something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.approval.policy import Policy, Rule
from federated.contract.columns import columns_used
from federated.contract.release import planned
from federated.contract.terms import (
    AmountTerms,
    CategoryTerms,
    Contract,
    JoinSumTerms,
    Measure,
    TrainTerms,
    suites_for,
)
from federated.steps.facts import used_columns
from psi.protocol import Declined, PeerError
from tests.attacks.world import NEW_POLICY, World, drafted

JOB = """
[job]
name = "segments"
purpose = "retention"
key_bits = 3072

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"], ["born"]]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"], ["born"]]

[align]
minimum_overlap = 100

[[aggregate]]
by = "bank.seg"
measures = ["bureau.loans:mean"]
minimum_group = 20
"""
RULE = """
[[approve]]
name = "loans only"
from = ["bank"]
columns = ["loans"]
"""
ROWS = 300
ALLOWED = {"id": "never", "born": "never", "loans": "aggregate", "trade": "aggregate"}
BORN = Measure("born", "histogram[1950,1960,1970]")


def world(folder: Path, policy: str = NEW_POLICY) -> World:
    rng = np.random.default_rng(5)
    bureau = pa.table(
        {
            "id": [f"{i:06d}" for i in range(ROWS)],
            "born": [str(year) for year in 1940 + rng.integers(0, 65, ROWS)],
            "loans": rng.integers(0, 5, ROWS).astype(float),
            "trade": [["steel", "care"][i] for i in rng.integers(0, 2, ROWS)],
        }
    )
    return World(folder, bureau, ALLOWED, keys=("id", "born"), policy=policy)


def bank() -> pa.Table:
    ids = [f"{i:06d}" for i in range(ROWS)]
    return pa.table(
        {"id": ids, "born": ["x"] * ROWS, "seg": [["a", "b"][i % 2] for i in range(ROWS)]}
    )


def measure_in_the_step(made: Contract) -> Contract:
    asked = replace(made.aggregate[0], measures=(Measure("loans", "mean"), BORN))
    return replace(made, aggregate=(asked,))


def measure_in_the_terms_too(made: Contract) -> Contract:
    made = measure_in_the_step(made)
    return made.with_party(replace(made.party("bureau"), measures=("loans", "born")))


def category(column: str) -> CategoryTerms:
    return CategoryTerms(
        partner="bureau",
        category=column,
        categories=("steel",),
        segment="",
        amounts=(),
        noise="laplace",
        epsilon=1000,
        minimum_group=20,
        key_bits=0,
        protocol="sums",
    )


def category_in_the_step(made: Contract) -> Contract:
    return replace(made, category=(category("born"),))


def category_as_a_segment(made: Contract) -> Contract:
    made = replace(made, category=(category("trade"),))
    return made.with_party(replace(made.party("bureau"), segments=("trade",)))


def more_in_the_terms(made: Contract) -> Contract:
    return made.with_party(replace(made.party("bureau"), features=("loans",)))


def label_of_the_bureau(made: Contract) -> Contract:
    return made.with_party(replace(made.party("bureau"), labels=("born",)))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (measure_in_the_step, PeerError, "a step uses 'born' of bureau as measure"),
        (measure_in_the_terms_too, Declined, "'born' of bureau.people asked as aggregate, never"),
        (category_in_the_step, PeerError, "a step uses 'born' of bureau as measure"),
        (category_as_a_segment, PeerError, "a step uses 'trade' of bureau as measure"),
        (more_in_the_terms, PeerError, "name 'loans' as feature, which no step uses"),
        (label_of_the_bureau, PeerError, "name 'born' as label, which no step uses"),
    ],
)  # fmt: skip
def test_a_column_beyond_the_terms_is_told_to_nobody(
    tmp_path: Path, change: Callable[[Contract], Contract], error: type[Exception], said: str
) -> None:
    found = world(tmp_path).run(JOB, bank(), change)
    assert found.outcome is None
    assert isinstance(found.errors["bureau"], error)
    assert said in str(found.errors["bureau"])


def test_a_rule_for_one_column_approves_no_category_of_another(tmp_path: Path) -> None:
    """The terms name it, so the steps may use it: then it is for an officer."""
    here = world(tmp_path, NEW_POLICY + RULE)

    def also(made: Contract) -> Contract:
        made = replace(made, category=(category("trade"),))
        return made.with_party(replace(made.party("bureau"), measures=("loans", "trade")))

    for change, name in ((lambda made: made, "loans only"), (also, None)):
        found = here.run(JOB, bank(), change, final=lambda made: replace(made, purpose="none"))
        assert found.outcome is None
        assert (here.officer.rule[-1].name if here.officer.rule[-1] else None) == name


def test_a_rule_approves_no_match_by_a_column_that_nobody_named_as_a_key(tmp_path: Path) -> None:
    """Where `tables.toml` names no keys, a value column could be matched by, and tested so."""
    made = drafted(tmp_path, JOB)
    me, rule = made.party("bureau"), Rule(name="loans only", columns=("loans",))
    assert ("born",) in me.keys
    policy = Policy(rules=(rule,))
    assert policy.rule(made, me, ("id", "born")) == rule  # the owner has named them
    assert policy.rule(made, me) is None
    assert policy.rule(made.with_party(me), me, ()) is None
    both = replace(rule, columns=("loans", "id", "born"))
    assert Policy(rules=(both,)).rule(made, me) == both


def whole(made: Contract) -> Contract:
    """Each use of a column once, at both parties, in one honest contract or another."""
    by = CategoryTerms(
        partner="bureau",
        category="trade",
        categories=("steel",),
        segment="town",
        amounts=(AmountTerms("balance", 0, 9),),
        noise="laplace",
        epsilon=100,
        minimum_group=20,
        key_bits=0,
        protocol="sums",
    )
    train = TrainTerms(
        task="churn", model="logistic", split="vertical", label="left", positive="",
        partners=("bureau",), folds=0, score_bits=4, noise="auto",
    )  # fmt: skip
    mine, theirs = made.party("bank"), made.party("bureau")
    made = replace(made, category=(by,), train=(train,))
    made = replace(made, suites=suites_for(made.align, made.summed, made.train))
    made = made.with_party(
        replace(
            mine,
            features=("age",),
            labels=("left",),
            segments=("seg", "town"),
            measures=("balance",),
        )
    )
    return made.with_party(replace(theirs, features=("debt",), measures=("loans", "trade")))


def test_every_use_of_every_party_is_held_to_its_terms(tmp_path: Path) -> None:
    """Each column of a step renamed, one at a time: none passes."""
    made = whole(drafted(tmp_path, JOB))
    made.check()
    train, by, asked = made.train[0], made.category[0], made.aggregate[0]
    for other in (
        replace(made, train=(replace(train, label="id"),)),
        replace(made, train=(replace(train, partners=()),)),
        replace(made, category=(replace(by, category="id"),)),
        replace(made, category=(replace(by, segment="id"),)),
        replace(made, category=(replace(by, amounts=(AmountTerms("id", 0, 9),)),)),
        replace(made, aggregate=(replace(asked, by="id"),)),
        replace(made, aggregate=(replace(asked, measures=(Measure("id", "mean"),)),)),
        replace(made, aggregate=()),
    ):
        with pytest.raises(PeerError, match=r"terms do not name|no step uses|no partner"):
            other.check()
    counted = replace(made.align[0], reveal="cardinality", alternative="")
    summed = JoinSumTerms(
        partner="bureau",
        measures=(Measure("debt", "sum"),),
        minimum_group=20,
        key_bits=0,
        protocol="sums",
    )
    alone = replace(made, align=(counted,), aggregate=(), category=(), train=(), join_sum=(summed,))
    bare = {"features": (), "labels": (), "segments": (), "measures": ()}
    for name in ("bank", "bureau"):
        alone = alone.with_party(replace(made.party(name), **bare))  # type: ignore[arg-type]
    alone = replace(alone, suites=suites_for(alone.align, alone.summed))
    with pytest.raises(PeerError, match="a step uses 'debt' of bureau as measure"):
        alone.check()
    alone.with_party(replace(alone.party("bureau"), measures=("debt",))).check()
    pooled = replace(train, split="horizontal", score_bits=0, noise="", row_bits=8)
    every = replace(alone, align=(), join_sum=(), train=(pooled,), suites=suites_for(()))
    rows = {"keys": (), "kinds": (), "features": ("age",), "labels": ("left",)}
    for name in ("bank", "bureau"):
        every = every.with_party(replace(every.party(name), **rows))  # type: ignore[arg-type]
    every.check()
    with pytest.raises(PeerError, match="a step uses 'left' of bureau as label"):
        every.with_party(replace(every.party("bureau"), labels=("sex",))).check()


def test_what_is_read_and_what_is_booked_are_the_columns_that_steps_use(tmp_path: Path) -> None:
    made = whole(drafted(tmp_path, JOB))
    for name in ("bank", "bureau"):
        used = columns_used(made, name)
        every = {column for columns in used.values() for column in columns}
        assert every == set(used_columns(made.party(name)))
    booked = {column for release in planned(made, "bureau") for column in release.columns}
    assert booked == {c for use, columns in used.items() if use != "key" for c in columns}


def test_what_is_asked_twice_is_not_one_disclosure(tmp_path: Path) -> None:
    """The book of releases knows a step by its name, and sections by what they ask."""
    made = whole(drafted(tmp_path, JOB))
    train = made.train[0]
    for tasks in ((train, replace(train, evaluations=2)), (replace(train, task="a/0"),)):
        with pytest.raises(PeerError, match="a name of its own, without a slash"):
            replace(made, train=tasks).check()
    with pytest.raises(PeerError, match="asks the same twice"):
        replace(made, aggregate=made.aggregate * 2).check()
    with pytest.raises(PeerError, match="asks the same twice"):
        replace(made, category=made.category * 2).check()


def test_steps_over_joined_rows_need_them_known(tmp_path: Path) -> None:
    made = drafted(tmp_path, JOB)
    for align in ((), (replace(made.align[0], reveal="receiver"),)):
        with pytest.raises(PeerError, match="not every alignment tells"):
            replace(made, align=align).check()


def stated(basis: str) -> Callable[[Contract], Contract]:
    return lambda made: made.with_party(replace(made.party("bank"), basis=basis))


@pytest.mark.parametrize(("then", "runs"), [("bank.consents", True), ("", False)])
def test_a_basis_that_an_officer_has_read_cannot_be_dropped(
    tmp_path: Path, then: str, runs: bool
) -> None:
    """The proposer's own rule of admission stands in the draft; the contract has it as it was."""
    place = world(tmp_path)
    run = place.run(JOB, bank(), stated("bank.consents"), stated(then))
    assert place.officer.read[0].party("bank").basis == "bank.consents"
    assert (run.outcome is not None) is runs, run.errors
    assert runs or isinstance(run.errors["bureau"], PeerError)
