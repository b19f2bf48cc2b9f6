"""Trees of two parties: terms that do not fit, and a wire that changes what is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.sharing.messages import Corrected
from federated.trees import LabelParty
from federated.trees.messages import Choices, Grown, Lanes, RowBits
from psi.protocol import (
    InputError,
    MisuseError,
    Pair,
    PeerError,
    Refused,
)
from tests.unit.trees.test_roles import Liar
from tests.unit.trees.world import (
    World,
    context,
    plan,
)


def test_terms_rows_and_columns_that_do_not_fit_end_a_training() -> None:
    world = World.of(300)
    with pytest.raises(PeerError, match="not the contract's"):
        Pair(world.label_party(plan(300)), world.feature_party(plan(300, rate=0.2))).run()
    fewer = World.of(299)
    with pytest.raises(PeerError, match="299 rows at the label party, 300 here"):
        Pair(fewer.label_party(plan(300)), world.feature_party(plan(300))).run()
    with pytest.raises(MisuseError, match="300 rows found, 1 to 200 planned"):
        world.label_party(plan(200))
    world.b[0][0] = 16
    with pytest.raises(InputError, match="a bin that their column does not have"):
        world.feature_party(plan(300))
    world.y[:] = 0
    with pytest.raises(Refused, match="0 rows of the rarer class"):
        world.label_party(plan(300))


def told(kind: type, change: Any) -> None:
    world = World.of(300)
    terms = plan(300, trees=1)
    run = Pair(world.label_party(terms), world.feature_party(terms), wire=Liar(kind, change))
    run.run()


def test_a_label_party_that_spoils_a_tree_of_seeds_is_stopped_before_turns() -> None:
    def spoil(sent: Corrected) -> Corrected:
        words = sent.told.copy()
        words[0::2] ^= np.uint64(1)
        return replace(sent, told=words)

    with pytest.raises(PeerError, match="do not fit their check"):
        told(Corrected, spoil)


def test_messages_of_another_level_or_shape_end_a_training() -> None:
    for kind, change, words in (
        (Lanes, lambda m: replace(m, level=1), "not due"),
        (Lanes, lambda m: replace(m, chunk=1), "not due"),
        (Lanes, lambda m: replace(m, lanes=m.lanes[:-1]), "another shape"),
        (Choices, lambda m: replace(m, level=m.level + 1), "not due"),
        (Choices, lambda m: replace(m, rows=m.rows[:-1]), "another shape"),
        (Choices, lambda m: replace(m, turns=m.turns[:-1]), "do not fit"),
        (RowBits, lambda m: replace(m, level=m.level + 1), "not due"),
        (RowBits, lambda m: replace(m, words=m.words[:-1]), "bytes"),
        (Grown, lambda m: replace(m, trees=9), "not due"),
    ):
        with pytest.raises(PeerError, match=words):
            told(kind, change)


def test_a_label_party_that_asks_beyond_the_bits_of_a_row_is_refused() -> None:
    """Its own software counts higher: the feature party counts too, by levels that it has told."""
    world = World.of(500)

    class Greedy(type(world.label_party(plan(500)))):  # type: ignore[misc]
        def _begin_level(self, state: Any, growing: Any) -> Any:
            return super()._begin_level(replace(state, told=(0,)), growing)

    run = Pair(
        world.label_party(plan(500, row_bits=1), kind=Greedy),
        world.feature_party(plan(500, row_bits=1)),
    )
    with pytest.raises(PeerError, match="after the 1 bits of a row were told"):
        run.run()


def test_several_partners_are_refused() -> None:
    world = World.of(100)
    with pytest.raises(MisuseError, match="partners a, b found, 1 planned"):
        LabelParty(context("bank"), ["a", "b"], world.a, world.layout_a, world.y, plan=plan(100))


def test_more_columns_than_the_contract_has_end_a_training() -> None:
    world, terms = World.of(300, 7), plan(300, trees=1)
    pair = Pair(world.label_party(terms, most={"bureau": 2}), world.feature_party(terms))
    with pytest.raises(PeerError, match="3 columns of the other party, 2 in the contract"):
        pair.run()
