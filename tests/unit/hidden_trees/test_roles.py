"""Whole trainings of hidden trees: what they grow, through kills, and what shares add up to."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federated.evaluation import auc
from federated.hidden_trees import feature_party as feature_module
from federated.hidden_trees.messages import RowChoices, RowTables, ScoresTold
from federated.hidden_trees.sides import leaves_of
from federated.hidden_trees.slopes import UNIT_BITS
from federated.session.result_types import RESULTS
from federated.store.records import pack, unpack
from federated.store.spool import Spool
from federated.trees import TreesPlan, blur, grow_alone, labels
from psi.protocol import MemoryStore, MisuseError, Pair, Refused, decode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.frames import played_with_kills
from tests.unit.hidden_trees.world import ROWS, feature_party, few_rows, label_party, plan, run
from tests.unit.trees.world import World


def scores_of(one: Any, two: Any, part: int) -> np.ndarray:
    """What both shares of scores add up to, in log odds."""
    both: np.ndarray = one.get("score", part) + two.get("score", part)
    return both.view(np.int32) * 2.0**-UNIT_BITS


def test_hidden_trees_order_rows_as_trees_of_the_joined_table_do() -> None:
    world, terms = World.of(ROWS), plan(trees=3, depth=3)
    bank, bureau, _ = run(world, terms)
    plain = TreesPlan(rows=ROWS, trees=3, depth=3, row_bits=0)
    margin = grow_alone(*world.joined, world.y, plain)[1]
    # five runs: AUC .768 to .770 where the joined trees have .769, correlations of .982 to .990
    assert abs(auc(world.y, bank.margin) - auc(world.y, margin)) < 0.01
    assert np.corrcoef(bank.margin, margin)[0, 1] > 0.95
    assert bank.won.shape == (3, 7)
    assert np.count_nonzero(bureau.splits >= 0) == np.count_nonzero(bank.won) > 0
    assert ((bank.splits < 0) == bank.won).all()
    assert bank.splits.max() < world.layout_a.candidates


def test_shares_of_weights_and_scores_add_up_to_what_both_splits_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """g and h of a row stand in the one node that both parties' splits lead to; leaves add up."""
    few_rows(monkeypatch)
    world, terms = World.of(500, 1), plan(500, trees=1, depth=3)
    world.y[400:] = -1
    stores = MemoryStore(), MemoryStore()
    pair = Pair(
        label_party(world, terms, store=stores[0]), feature_party(world, terms, store=stores[1])
    )
    bank = pair.run()["bank"]
    weights, leaves = (
        (stores[0].get("weights", depth) + stores[1].get("weights", depth)).view(np.int32)
        for depth in (2, 3)
    )
    parties = ((stores[0], world.a, world.layout_a), (stores[1], world.b, world.layout_b))

    def inside(depth: int) -> Any:
        found = np.ones((1 << depth, 500), np.bool_)
        for store, bins, layout in parties:
            found &= leaves_of(bins, layout, [store.get("split", at) for at in range(depth)])
        assert (found.sum(axis=0) == 1).all()
        return found

    assert not weights[~inside(2).T].any()
    assert (leaves[0] == inside(3).astype(np.int32) @ weights.sum(axis=1)).all()
    rate = world.y[:400].mean()
    own = weights.sum(axis=1)
    # before the first tree all rows stand in the middle of one step: 2^-9 and 2^-11 of rounding
    assert np.abs(own[:400, 0] / 2**8 - (rate - world.y[:400])).max() < 2**-8
    assert np.abs(own[:400, 1] / 2**10 - rate * (1 - rate)).max() < 2**-9
    assert not own[400:].any()
    score = scores_of(*stores, part=1)
    half = 2.0 ** -(terms.score_bits - 2)
    assert np.abs(score - bank.margin).max() <= half + 2.0**-20  # and the units of shares
    assert len(np.unique(score)) <= 8
    values = np.array([score[one].mean() if one.any() else 0.0 for one in inside(3)])
    assert np.allclose(values[inside(3).argmax(axis=0)], score, atol=1e-6)


def test_labels_that_a_column_tells_apart_stand_at_their_end_whatever_the_trees() -> None:
    """Scores pass 8 from that of no tree, where tables and shares once began anew."""
    world, rng = World.of(ROWS, 12), np.random.default_rng(12)
    world.y[:] = rng.random(ROWS) < 0.01
    world.a[0][:] = np.where(world.y == 1, 2, rng.integers(0, 2, ROWS))
    terms = plan(trees=18, depth=1, rate=1.0)
    stores = MemoryStore(), MemoryStore()
    pair = Pair(
        label_party(world, terms, store=stores[0]), feature_party(world, terms, store=stores[1])
    )
    bank = pair.run()["bank"]
    score, low, high = scores_of(*stores, part=0), *(stores[0].get("bounds", 0) * 2.0**-16)
    ones = world.y == 1
    assert (score[ones] - bank.base).max() > 8.5
    assert score[ones].min() - 1 > score[~ones].max()
    assert (low <= score + 2**-15).all()
    assert (score - 2**-15 <= high).all()
    assert high.max() < 12
    assert bank.margin[ones].min() - bank.base > 4 - 2**-4
    assert bank.margin[~ones].max() < bank.base


def test_labels_of_rows_that_are_held_out_move_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No table says anything of them, whatever the columns are."""
    few_rows(monkeypatch)
    world, terms = World.of(300, 2), plan(300, trees=1, depth=1, subsample=0.5)
    world.y[200:] = -1
    store, other = MemoryStore(), MemoryStore()
    pair = Pair(label_party(world, terms, store=store), feature_party(world, terms, store=other))
    pair.run()
    weights = (store.get("weights", 0) + other.get("weights", 0))[:, 0]
    assert not weights[200:].any()
    # half of 200 rows: sd 7.1
    assert abs(int(np.count_nonzero(weights[:200, 1])) - 100) < 6 * 7.1


@pytest.mark.parametrize("kept", [False, True], ids=["after", "before its state was saved"])
def test_roles_made_again_after_each_message_say_the_same(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill anywhere; `kept`: its arrays were kept already, its state was not."""
    few_rows(monkeypatch)
    world, terms = World.of(200, 8), plan(200, trees=2, depth=2)
    stores = {name: MemoryStore() for name in ("bank", "bureau")}
    make = {"bank": label_party, "bureau": feature_party}

    def made(name: str) -> Any:
        return make[name](world, terms, store=stores[name])

    results = played_with_kills(("bank", "bureau"), made, kept=kept)
    bank, bureau = results["bank"], results["bureau"]
    assert ((bureau.splits >= 0) == bank.won).all()
    half = 2.0 ** -(terms.score_bits - 2)
    found = scores_of(stores["bank"], stores["bureau"], part=0)
    assert np.abs(found - bank.margin).max() <= half


def test_several_chunks_of_rows_are_one_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And arrays that come back as they lie in files, read only; results as a journal has them."""
    few_rows(monkeypatch, chunk=128)
    world, terms = World.of(300, 3), plan(300, trees=1, depth=2)
    spools = [Spool(tmp_path / name, secrets.token_bytes, memory=0) for name in ("a", "b")]
    pair = Pair(
        label_party(world, terms, store=spools[0]), feature_party(world, terms, store=spools[1])
    )
    both = pair.run()
    assert sum(peek(each.payload) is RowTables for each in pair.sent) == 3
    kept = {name: unpack(pack(fit, RESULTS), RESULTS) for name, fit in both.items()}
    assert np.array_equal(kept["bank"].margin, both["bank"].margin)
    assert ((kept["bureau"].splits >= 0) == kept["bank"].won).all()


def test_sizes_of_messages_follow_from_plan_and_winners(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who splits which node both know; nothing else has a size of its own."""
    few_rows(monkeypatch)
    seen: dict[bytes, set[Any]] = {}
    for seed in range(3):
        world = World.of(256, seed)
        bank, _, pair = run(world, plan(256, trees=1, depth=1))
        sizes = tuple((e.sender, peek(e.payload), len(e.payload)) for e in pair.sent)
        seen.setdefault(bank.won.tobytes(), set()).add(sizes)
    assert all(len(sizes) == 1 for sizes in seen.values())


def test_a_party_from_an_older_copy_reuses_no_pad(monkeypatch: pytest.MonkeyPatch) -> None:
    """From one saved state: the same labels give the same tables, others other pads."""
    few_rows(monkeypatch)
    world, terms, store = World.of(128, 9), plan(128, trees=1, depth=1), MemoryStore()
    pair = Pair(label_party(world, terms, store=store), feature_party(world, terms))
    for name, role in pair.roles.items():
        pair._take(name, role.start())
    while True:
        choices = decode(pair._queue[0], Envelope)
        if peek(choices.payload) is RowChoices:
            break
        pair.deliver()
    saved, sent = pair.roles["bank"].save(), []
    for label in (world.y, world.y, 1 - world.y):
        again = World(world.a, world.b, world.layout_a, world.layout_b, label)
        role = label_party(again, terms, store=store)
        role.restore(saved)
        role.context.store.put("score", 0, np.full(128, int(label.sum()), np.uint32))
        sent.append(decode(role.receive(choices).messages[0].payload, RowTables))
    assert sent[0].nonce == sent[1].nonce != sent[2].nonce
    assert np.array_equal(sent[0].entries, sent[1].entries)
    assert np.count_nonzero(sent[0].entries == sent[2].entries) < 5


def test_the_other_side_s_noise_is_on_both_parties_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The label party to all candidates, the other to the label party's: one fresh, one stays."""
    seen: dict[str, list[Any]] = {}

    def noted(name: str) -> Any:
        def blurred(g: Any, noise: float, place: str, seed: bytes, *more: Any) -> Any:
            seen.setdefault(name, []).append((g.shape[1], noise, seed))
            return blur.blurred(g, noise, place, seed, *more)

        return blurred

    monkeypatch.setattr(labels, "blurred", noted("bank"))
    monkeypatch.setattr(feature_module, "blurred", noted("bureau"))
    world = World.of(ROWS, 5)
    run(world, plan(trees=1, depth=2))
    both = world.joined[1].candidates, {1.0, 0.25}  # of slopes, and of curvatures
    theirs = world.layout_a.candidates, {1.0}
    for name, (candidates, sizes) in (("bank", both), ("bureau", theirs)):
        shapes, noises, seeds = zip(*seen[name], strict=True)
        assert set(shapes) == {candidates}
        assert set(noises) == sizes
        assert len(set(seeds)) == 1
        assert len(seeds[0]) == 32
    assert seen["bank"][0][2] != seen["bureau"][0][2]


def test_terms_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.of(300)
    with pytest.raises(Refused, match="300 rows found, hidden trees need 16,384"):
        label_party(world, plan(300))
    few_rows(monkeypatch)
    for wrong in ({"patience": 2}, {"row_bits": 3}, {"least_gain": 1.0}, {"score_bits": 13}):
        with pytest.raises(MisuseError):
            plan(300, **wrong)
    with pytest.raises(MisuseError, match="300,000 rows found, 262,144 allowed"):
        plan(300_000)
    world.y[:] = 0
    with pytest.raises(Refused, match="0 rows of the rarer class"):
        label_party(world, plan(300))
    world.a = []
    with pytest.raises(MisuseError, match="0 columns of bins"):
        label_party(world, plan(300))


def test_scores_are_told_once_and_in_so_many_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    few_rows(monkeypatch)
    bank, _, pair = run(World.of(256, 4), plan(256, trees=1, depth=1, score_bits=3))
    (told,) = [each for each in pair.sent if peek(each.payload) is ScoresTold]
    colours = np.unpackbits(decode(told.payload, ScoresTold).colours)
    assert len(colours) == 3 * 256
    # colours are coins: half of 768, sd 13.9
    assert abs(int(colours.sum()) - 384) < 6 * 13.9
    assert peek(pair.sent[-1].payload) is ScoresTold
    assert np.abs(bank.margin - bank.base).max() < 8
