"""What the roles take to begin with, and that they show none of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.vertical import FeatureParty, LabelParty
from federated.vertical.label_party import SPARE_COLUMNS
from federated.vertical.messages import Ready
from federated.vertical.states import Calling
from psi.protocol import (
    InputError,
    MisuseError,
    PeerError,
    Refused,
)
from tests.unit.vertical.world import (
    NAMES,
    context,
    label_party,
    make_world,
    pair_secrets,
    run,
)


def test_arguments_of_a_feature_party() -> None:
    x = make_world(150, 2, (6,)).parts["bureau"]
    bad = x.copy()
    bad[3, 3] = np.nan

    def build(columns: np.ndarray = x, **options: Any) -> FeatureParty:
        chosen: dict[str, Any] = {
            "partners": ["bureau"],
            "cap": 3,
            "score_bits": 4,
            "row_bits": 16,
            **options,
        }
        return FeatureParty(context("bureau"), "bank", columns, **chosen)

    with pytest.raises(InputError, match="not finite"):
        build(bad)
    with pytest.raises(Refused, match="rows a column"):
        build(x[:23])
    with pytest.raises(MisuseError, match="shape"):
        build(x[:, :0])
    with pytest.raises(MisuseError, match="distinct"):
        build(partners=["registry"])
    with pytest.raises(MisuseError, match="one secret for each"):
        build(partners=["bureau", "registry"])
    with pytest.raises(MisuseError, match="32 bytes"):
        build(partners=["bureau", "registry"], secrets={"registry": b"short"})


def test_arguments_of_a_label_party() -> None:
    world = make_world(150, 2, (6,), folds=3)
    few = np.zeros(150, np.int8)
    few[:19] = 1
    with pytest.raises(Refused, match="19 labelled rows of one class"):
        label_party(replace(world, label=few))
    with pytest.raises(MisuseError, match="one label a row"):
        label_party(replace(world, label=world.label[1:]))
    with pytest.raises(MisuseError, match="one label a row"):
        label_party(replace(world, label=world.label + np.int8(1)))
    with pytest.raises(InputError, match="not finite"):
        label_party(replace(world, own=world.own * np.inf))
    with pytest.raises(MisuseError, match="fold"):
        label_party(replace(world, folds=np.zeros(3, np.int64)))
    with pytest.raises(MisuseError, match="numbered"):
        label_party(replace(world, folds=np.full(150, 50)))
    partly = replace(world, label=np.where(np.arange(150) < 20, -1, world.label).astype(np.int8))
    with pytest.raises(MisuseError, match="every labelled row"):
        label_party(partly)
    with pytest.raises(MisuseError, match="steps"):
        label_party(world, steps=0)
    with pytest.raises(MisuseError, match="distinct"):
        LabelParty(context("bank"), ["bank"], world.own, world.label)
    wide = np.random.default_rng(0).normal(size=(150, 37))
    with pytest.raises(Refused, match="150 labelled rows for 38 columns"):
        label_party(replace(world, own=wide))


def test_nothing_is_told_by_a_repr() -> None:
    world = make_world(150, 2, (6,))
    pair, results = run(world, steps=2)
    for role in pair.roles.values():
        assert repr(role).endswith("state Done>")
    assert "array" not in repr(results["bank"])
    assert "array" not in repr(results["bureau"])


def test_secrets_of_pairs_are_symmetric() -> None:
    one, other = NAMES[0], NAMES[1]
    assert pair_secrets(NAMES, one)[other] == pair_secrets(NAMES, other)[one]


def test_a_partner_brings_no_more_columns_than_the_contract_states() -> None:
    """Each is a number of its choosing that it may have decrypted, in each pass."""
    world, name = make_world(150, 2, (6,)), "bureau"
    role = label_party(world, most={name: 4})
    calling = role.begin().state
    assert isinstance(calling, Calling)
    role.on_ready(calling, Ready(4 + SPARE_COLUMNS), name)
    with pytest.raises(PeerError, match="7 columns brought to a training, 4 stated"):
        role.on_ready(calling, Ready(5 + SPARE_COLUMNS), name)
