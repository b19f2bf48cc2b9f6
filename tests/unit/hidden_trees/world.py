"""A small world of two parties that grow hidden trees."""

from __future__ import annotations

from typing import Any

import pytest

from federated.hidden_trees import HiddenFeatureParty, HiddenLabelParty, HiddenPlan, party
from federated.sharing import chunks as sharing_chunks
from federated.sharing import trees as sharing_trees
from federated.trees import party as trees_party
from psi.protocol import Pair
from tests.unit.trees.world import World, context

ROWS = 1 << 14


def plan(rows: int = ROWS, **terms: Any) -> HiddenPlan:
    return HiddenPlan(rows=rows, **{"trees": 2, "depth": 2, "score_bits": 8, **terms})


def label_party(world: World, terms: HiddenPlan, **given: Any) -> HiddenLabelParty:
    kind, store = given.pop("kind", HiddenLabelParty), given.pop("store", None)
    role: HiddenLabelParty = kind(
        context("bank", store), "bureau", world.a, world.layout_a, world.y, plan=terms, **given
    )
    return role


def feature_party(world: World, terms: HiddenPlan, **given: Any) -> HiddenFeatureParty:
    kind, store = given.pop("kind", HiddenFeatureParty), given.pop("store", None)
    role: HiddenFeatureParty = kind(
        context("bureau", store), "bank", world.b, world.layout_b, plan=terms, **given
    )
    return role


def run(world: World, terms: HiddenPlan) -> tuple[Any, Any, Pair]:
    pair = Pair(label_party(world, terms), feature_party(world, terms))
    found = pair.run()
    return found["bank"], found["bureau"], pair


def few_rows(monkeypatch: pytest.MonkeyPatch, chunk: int = 0) -> None:
    """Let tables be small, whose rows do not bear the noise; chunks too."""
    monkeypatch.setattr(party, "FEWEST_ROWS", 64)
    for module in (trees_party, sharing_chunks, sharing_trees) if chunk else ():
        monkeypatch.setattr(module, "CHUNK", chunk)
    if chunk:
        monkeypatch.setattr(party, "TABLE_ROWS", chunk)
