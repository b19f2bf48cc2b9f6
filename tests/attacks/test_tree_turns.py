"""What trees tell beside their messages' contents: who is asked when, how much, for how long.

Of several partners each sees how many messages of others go between its turns, a hub their bytes
too; and how many trees an early stop keeps follows from labels of the validation part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from federated.trees import FeatureParty, LabelParty
from federated.trees.messages import Grown, Lanes
from psi.protocol import Context, MemoryStore, Pair, decode
from psi.protocol.codec import peek
from tests.seeded import stream
from tests.unit.trees.test_several import NAMES, Three, terms
from tests.unit.trees.world import PlainFeatureParty, PlainLabelParty, World, plan

View = list[tuple[str, str, str, int]]


def seen_by_a_hub(pair: Pair) -> View:
    """Who says what kind of message to whom, and how long it is; in order."""
    return [
        (each.sender, each.receiver, str(peek(each.payload)), len(each.payload))
        for each in pair.sent
    ]


@pytest.mark.parametrize("plain", [True, False], ids=["in plain sight", "on shares"])
def test_neither_a_partner_nor_a_hub_sees_who_wins(plain: bool) -> None:
    """The bureau wins several nodes of a level, one, or none at all: by order, number and bytes of
    all messages nothing differs. By those before a partner's turn it read a bit a level."""
    rows, given = (500, {"trees": 4}) if plain else (150, {"trees": 2, "depth": 2})
    views, wins = list[View](), list[int]()
    for number in range(3):
        world = Three.of(rows, 5)
        if number:  # nothing to win by; and all that there is
            world.b[0][:] = 0 if number == 1 else 15 * world.y
        roles = {name: {"plain": plain} for name in NAMES}
        found, pair = world.play(terms(rows, **given), **roles)
        views.append(seen_by_a_hub(pair))
        wins.append(len(found["bureau"].splits))
    assert wins[1] == 0 < min(wins[0], wins[2]) < max(wins)
    assert views[0] == views[1] == views[2]


def test_a_partner_sees_when_another_s_bits_are_spent_and_no_more() -> None:
    """From then on nothing goes between its turns: in bits the logarithm of the levels, in all."""
    for seed in range(4):
        world = Three.of(400, seed)
        world.b[1:] = [np.zeros_like(own) for own in world.b[1:]]  # its own bits are left
        found, pair = world.play(terms(400, trees=6, row_bits=2))
        assert found["bank"].told_levels == (2, 0)
        asked, before, gaps = 0, 0, list[int]()
        for each in pair.sent:
            kind = peek(each.payload)
            asked += each.receiver == "bureau" and kind is Lanes
            if "telecom" not in (each.sender, each.receiver):
                before += 1
            elif kind is Lanes:
                gaps.append(before)
                before = 0
        # the first turn has the set-up and a level before it, the last one what may be left
        assert 2 <= asked < 9 == len(gaps)
        assert set(gaps[1 : asked - 1]) <= {9}
        assert set(gaps[asked + 1 :]) == {0}


def played(world: World, valid: Any, given: Any, seed: str) -> tuple[int, tuple[bytes, ...]]:
    """How many trees are kept, and all that the partner is told, under the same draws."""
    context = {
        name: Context(b"s" * 32, "train/t", name, stream(seed, name), MemoryStore())
        for name in ("bank", "bureau")
    }
    label: LabelParty = PlainLabelParty(
        context["bank"], ["bureau"], world.a, world.layout_a, world.y, plan=given, valid=valid
    )
    feature: FeatureParty = PlainFeatureParty(
        context["bureau"], "bank", world.b, world.layout_b, plan=given
    )
    pair = Pair(label, feature)
    found = pair.run()
    told = tuple(each.payload for each in pair.sent if each.receiver == "bureau")
    assert decode(told[-1], Grown).trees == found["bureau"].trees
    return found["bureau"].trees, told


def test_labels_of_the_validation_part_reach_a_partner_by_how_many_trees_are_kept_alone() -> None:
    """Whatever these labels are, it sees one of as many runs as there are trees, each the beginning
    of one and the same: at most log2 of their number in bits, of all these labels together."""
    world = World.of(600, 3)
    rng = np.random.default_rng(3)
    world.y = (rng.random(600) < 0.4).astype(np.int8)  # nothing to learn, so it ends soon
    valid = np.arange(600) < 200
    given = plan(600, trees=8, depth=2, patience=2)
    runs: dict[int, set[tuple[bytes, ...]]] = {}
    for _ in range(16):
        world.y[valid] = rng.random(200) < 0.4
        kept, told = played(world, valid, given, "early")
        runs.setdefault(kept, set()).add(told)
    assert 1 < len(runs) <= given.trees  # it does tell of them
    assert all(len(each) == 1 for each in runs.values())
    every = [next(iter(each)) for each in runs.values()]
    longest = max(every, key=len)
    assert all(each[:-1] == longest[: len(each) - 1] for each in every)


def test_one_label_of_the_validation_part_changes_how_many_trees_are_kept() -> None:
    """Without noise: who knows all other labels may read that one by it."""
    world, rng = World.of(300, 3), np.random.default_rng(3)
    world.y = (rng.random(300) < 0.4).astype(np.int8)
    valid, given = np.arange(300) < 80, plan(300, trees=6, depth=1, patience=1)
    kept = []
    for row in (None, *range(12)):
        y = world.y.copy()
        if row is not None:
            world.y[row] ^= 1
        kept.append(played(world, valid, given, "one")[0])
        world.y = y
    assert sum(each != kept[0] for each in kept) >= 4  # 8 of 12: all draws are seeded
