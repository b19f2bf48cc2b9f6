"""What the roles take to begin with, and that they show none of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.regression import FeatureParty, LabelParty
from psi.protocol import InputError, MisuseError, Pair, Refused
from tests.unit.regression.world import World, context, plan

ROWS = 240


def test_arguments_of_a_feature_party() -> None:
    x = World.of(ROWS).b
    bad = x.copy()
    bad[3, 1] = np.nan

    def build(columns: np.ndarray = x, partners: int = 1, **options: Any) -> FeatureParty:
        terms = plan(ROWS, partners=partners)
        return FeatureParty(context("bureau"), "bank", columns, plan=terms, **options)

    with pytest.raises(InputError, match="not finite"):
        build(bad)
    with pytest.raises(Refused, match="rows a column"):
        build(x[:7])
    with pytest.raises(MisuseError, match="shape"):
        build(x[:, :0])
    with pytest.raises(MisuseError, match="1 feature parties, 2 planned"):
        build(partners=2)
    with pytest.raises(MisuseError, match="2 feature parties, 1 planned"):
        FeatureParty(context("bureau"), "bank", x, plan=plan(ROWS), partners=["bureau", "registry"])
    with pytest.raises(MisuseError, match="'poisson' of 2 partners"):
        plan(ROWS, partners=2, link="poisson")
    with pytest.raises(MisuseError, match="partners = 4 found, 1 to 3 allowed"):
        plan(ROWS, partners=4)


def bank(world: World, **given: Any) -> LabelParty:
    terms = plan(ROWS, folds=3)
    partners = given.pop("partners", ["bureau"])
    return LabelParty(
        context("bank"), partners, world.a, world.y, plan=terms, folds=world.folds, **given
    )


def test_arguments_of_a_label_party() -> None:
    world = World.of(ROWS)
    bank(world)
    few = np.zeros(ROWS, np.int8)
    few[:19] = 1
    with pytest.raises(Refused, match="19 labelled rows of one class"):
        bank(replace(world, y=few))
    with pytest.raises(MisuseError, match="one label a row"):
        bank(replace(world, y=world.y[1:]))
    with pytest.raises(MisuseError, match="one label a row"):
        bank(replace(world, y=world.y + np.int8(1)))
    with pytest.raises(InputError, match="not finite"):
        bank(replace(world, a=np.full_like(world.a, np.inf)))
    with pytest.raises(MisuseError, match="fold"):
        bank(replace(world, folds=np.zeros(3, np.int64)))
    with pytest.raises(MisuseError, match="numbered"):
        bank(replace(world, folds=np.full(ROWS, 50)))
    with pytest.raises(MisuseError, match="2 folds found, 3 planned"):
        bank(replace(world, folds=world.folds % 2))
    partly = replace(world, y=np.where(np.arange(ROWS) < 20, -1, world.y).astype(np.int8))
    with pytest.raises(MisuseError, match="every labelled row"):
        bank(partly)
    for partners in (["bank"], ["bureau", "bureau"], ["bureau", "registry"]):
        with pytest.raises(MisuseError, match="1 planned"):
            bank(world, partners=partners)
    wide = np.random.default_rng(0).normal(size=(ROWS, 60))
    with pytest.raises(Refused, match="240 labelled rows for 61 columns"):
        bank(replace(world, a=wide))


def test_columns_that_single_rows_out_are_refused_by_one_s_own_software() -> None:
    """What they would read of the other side is in test_attacks.py."""
    world = World.of(ROWS)
    for rare, said in ((19, "fewer than 20 labelled rows"), (20, "")):
        own = np.column_stack([world.a, np.arange(ROWS) < rare])
        theirs = np.column_stack([world.b, np.arange(ROWS) < rare])
        if not said:
            bank(replace(world, a=own))
            FeatureParty(context("bureau"), "bank", theirs, plan=plan(ROWS))
            continue
        with pytest.raises(Refused, match=rf"1 of 4 columns .* {said}"):
            bank(replace(world, a=own))
        with pytest.raises(Refused, match=r"1 of 3 columns .* fewer than 20 aligned rows"):
            FeatureParty(context("bureau"), "bank", theirs, plan=plan(ROWS))
    label = np.where(np.arange(ROWS) < 1, -1, world.y).astype(np.int8)
    folds = np.where(label < 0, -1, world.folds)
    twenty = np.column_stack([world.a, np.arange(ROWS) < 20])
    with pytest.raises(Refused, match="fewer than 20 labelled rows"):  # of which one has none
        bank(replace(world, a=twenty, y=label, folds=folds))


def test_a_feature_party_counts_the_columns_of_all_parties() -> None:
    """With as many sums as rows these are the rows' residuals."""
    world, terms = World.of(ROWS), plan(ROWS)
    (setup,) = world.label_party(terms).start().messages[:1]
    for others, passes in ((55, True), (56, False)):  # with 3 of the bank's and 2 of its own
        role = world.feature_party(terms, others=others)
        role.start()
        if passes:
            role.receive(setup)
            continue
        with pytest.raises(Refused, match="240 labelled rows for 61 columns"):
            role.receive(setup)


def test_nothing_is_told_by_a_repr() -> None:
    world = World.of(ROWS)
    pair = Pair(*world.several(plan(ROWS, partners=2, evaluations=2)))
    results = pair.run()
    for role in pair.roles.values():
        assert repr(role).endswith("state Done>")
    for name, result in results.items():
        assert "array" not in repr(result), name
