"""Trees of three parties: each level asks one partner, and partners know nothing of each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.sharing.transcript import Transcript
from federated.trees import Binning, FeatureParty, LabelParty, Layout, TreesPlan
from federated.trees import labels as trees_labels
from federated.trees.blur import blurred
from federated.trees.booster import (
    Growing,
    base_score,
    histograms,
    own_best,
    right_of,
    slopes,
)
from federated.trees.forest import OWN, PARTNER
from federated.trees.messages import Grown, Lanes, RowBits
from federated.trees.plan import NOISE
from federated.trees.saved import FeatureModel, LabelModel
from federated.trees.splitting import SplitWon
from psi.protocol import MemoryStore, MisuseError, Pair, PeerError, PhaseError, decode, encode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.frames import played_with_kills
from tests.unit.trees.test_roles import Liar, fewest
from tests.unit.trees.world import (
    PlainFeature,
    PlainFeatureParty,
    PlainLabel,
    PlainLabelParty,
    World,
    context,
    fixed_sums,
    plan,
    sides,
)

NAMES = ("bank", "bureau", "telecom")


class Three(World):
    """The bureau has the first of the partner's columns, the telecom the others."""

    @classmethod
    def of(cls, rows: int, seed: int = 0) -> Three:
        return cls(**vars(World.of(rows, seed)))

    def columns(self, name: str) -> tuple[list[np.ndarray], Layout]:
        own = {"bank": slice(0, 0), "bureau": slice(0, 1), "telecom": slice(1, 3)}[name]
        if name == "bank":
            return self.a, self.layout_a
        return self.b[own], Layout(self.layout_b.columns[own])

    def role(self, name: str, terms: TreesPlan, *, plain: bool = True, **given: Any) -> Any:
        here, (bins, layout) = context(name, given.pop("store", None)), self.columns(name)
        if name == "bank":
            label: Any = given.pop("kind", PlainLabelParty if plain else LabelParty)
            return label(here, NAMES[1:], bins, layout, self.y, plan=terms, **given)
        feature: Any = given.pop("kind", PlainFeatureParty if plain else FeatureParty)
        number = given.pop("number", NAMES.index(name) - 1)
        return feature(here, "bank", bins, layout, plan=terms, number=number, **given)

    def play(self, terms: TreesPlan, **given: Any) -> tuple[dict[str, Any], Pair]:
        wire = given.pop("wire", None)
        pair = Pair(*(self.role(name, terms, **given.get(name, {})) for name in NAMES), wire=wire)
        return pair.run(), pair

    def sides(self, found: dict[str, Any]) -> np.ndarray:
        every = [sides(found[name], self.columns(name)[0]) for name in NAMES[1:]]
        return np.vstack([each.reshape(-1, len(self.y)).astype(np.bool_) for each in every])


def terms(rows: int, **given: Any) -> TreesPlan:
    return plan(rows, partners=2, **given)


def in_turns(world: Three, given: TreesPlan) -> np.ndarray:
    """Scores of trees in plain sight, where each level's splits are of the bank and one partner."""
    used, spent = world.y >= 0, [0, 0]
    margin = np.full(len(world.y), base_score(world.y, used))
    for level in range(given.levels):
        if level % given.depth == 0:
            g, h = slopes(margin, world.y, used)
            growing = Growing(given, len(world.y))
        partner = given.turn(level)
        theirs, layout = world.columns(NAMES[1 + partner])
        every = [*world.a, *theirs], Layout((*world.layout_a.columns, *layout.columns))
        if spent[partner] >= given.row_bits:
            every = world.a, world.layout_a
        best = own_best(given, histograms(*every, growing, g, h), growing.totals(g, h))
        spent[partner] += bool((best.candidate >= world.layout_a.candidates).any())
        right = right_of(*every, growing, best.candidate)
        kind = np.where(best.candidate >= 0, OWN, 0).astype(np.int8)
        growing.split(kind, best.candidate, best.gain, right)
        if (level + 1) % given.depth == 0:
            margin = margin + growing.finish(g, h)
    return margin


@pytest.mark.parametrize("bits", [99, 2])
def test_a_level_s_splits_are_the_best_of_the_label_party_and_of_one_partner(bits: int) -> None:
    world, given = Three.of(700), terms(700, trees=4, row_bits=bits)
    found, _ = world.play(given)
    bank = found["bank"]
    assert np.allclose(bank.margin, in_turns(world, given))
    assert np.allclose(bank.forest.scores(world.a, world.sides(found)), bank.margin)
    assert bank.told_levels == tuple(found[name].told_levels for name in NAMES[1:])
    assert max(bank.told_levels) <= bits
    assert bank.forest.splits_of == tuple(len(found[name].splits) for name in NAMES[1:])
    assert min(bank.forest.splits_of) > 0
    # a score is the base, the roots' values and what each party's columns move
    moved = bank.forest.moved(bank.places)
    roots = sum(float(tree.value[0]) for tree in bank.forest.trees)
    assert moved.shape == (700, 2 + 2)
    assert np.allclose(moved.sum(axis=1) + bank.forest.base + roots, bank.margin)
    assert (moved[:, 2:].std(axis=0) > 0).all()
    assert len(bank.forest.importance()) == 4


def test_columns_of_two_partners_meet_in_a_tree() -> None:
    """What neither tells by itself: a row's class is whether the two differ."""
    world = Three.of(800, 1)
    one, two = world.b[0] > 7, world.b[2] == 1
    world.a = [np.zeros_like(own) for own in world.a]
    world.b[0], world.b[1] = (15 * one).astype(np.uint16), np.zeros_like(world.b[1])
    world.y = (one ^ two).astype(np.int8)
    found, _ = world.play(terms(800, trees=6, depth=2))
    right = (found["bank"].margin > 0) == (one ^ two)
    assert right.mean() > 0.9


def test_turns_give_each_partner_every_depth_and_an_equal_share() -> None:
    for partners in (1, 2, 3):
        for depth in (1, 2, 3, 4):
            given = TreesPlan(rows=9, trees=6, depth=depth, row_bits=9, partners=partners)
            turns = [given.turn(level) for level in range(given.levels)]
            for partner in range(partners):
                levels = [at for at, turn in enumerate(turns) if turn == partner]
                assert len(levels) == given.levels_of(partner) == 6 * depth / partners
                assert {at % depth for at in levels} == set(range(depth))
                first = given.following(0, partner)
                walked = [first]
                while walked[-1] < given.levels:
                    walked.append(given.following(walked[-1] + 1, partner))
                assert walked == [*levels, given.levels]
                # a turn at the label party passes over no more levels than it keeps
                assert max(np.diff(walked)) <= 2 * partners


def test_a_partner_s_messages_do_not_hang_on_the_others_columns() -> None:
    seen = []
    for seed in (0, 1):
        world = Three.of(500, 2)
        world.b[1:] = Three.of(500, 20 + seed).b[1:]
        _, pair = world.play(terms(500, trees=2, depth=2, row_bits=0 if seed else 9))
        del pair
        world.b[1:] = [np.zeros_like(own) for own in world.b[1:]] if seed else world.b[1:]
        _, pair = world.play(terms(500, trees=2, depth=2))
        seen.append(
            [
                (each.sender, peek(each.payload), len(each.payload))
                for each in pair.sent
                if "bureau" in (each.sender, each.receiver) and peek(each.payload) is Lanes
            ]
        )
        assert not any({each.sender, each.receiver} == {"bureau", "telecom"} for each in pair.sent)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("kept", [False, True], ids=["after", "before its state was saved"])
def test_roles_made_again_after_each_message_say_the_same(kept: bool, depth: int) -> None:
    """Bits of one partner are spent first, so that a turn passes over levels and trees."""
    world, given = Three.of(200, 8), terms(200, trees=4, depth=depth, row_bits=1)
    stores = {name: MemoryStore() for name in NAMES}
    found = played_with_kills(
        NAMES, lambda name: world.role(name, given, store=stores[name]), kept=kept
    )
    assert np.allclose(
        found["bank"].forest.scores(world.a, world.sides(found)), found["bank"].margin
    )
    assert np.array_equal(found["bank"].margin, world.play(given)[0]["bank"].margin)


@pytest.mark.parametrize(
    "more", [{"depth": 2}, {"depth": 1, "trees": 6, "row_bits": 1, "least_rows": 9}]
)
def test_on_shares_and_through_kills(more: dict[str, int]) -> None:
    world, given = Three.of(150, 9), terms(150, **({"trees": 2} | more))
    world.b[0][:] = 0  # it wins nothing, while the other's bits are spent: levels are passed over
    stores = {name: MemoryStore() for name in NAMES}
    found = played_with_kills(
        NAMES, lambda name: world.role(name, given, plain=False, store=stores[name]), kept=True
    )
    bank = found["bank"]
    assert np.allclose(bank.forest.scores(world.a, world.sides(found)), bank.margin)
    assert bank.told_levels[1] > 0 == bank.told_levels[0]


def test_parts_of_one_model_know_each_other() -> None:
    world, given = Three.of(300, 3), terms(300, trees=2)
    found, _ = world.play(given)
    binning = Binning((), ())  # the files' own bins play no part here
    label = LabelModel.of(found["bank"], binning)
    parts = [FeatureModel.of(found[name], binning) for name in NAMES[1:]]
    for number, part in enumerate(parts):
        label.fits(part, number)
        with pytest.raises(MisuseError, match="two different trainings"):
            label.fits(part, 1 - number)
    assert label.names == ("partner data of 1", "partner data of 2")


def lied(kind: type, change: Any, receiver: str) -> None:
    world = Three.of(300)

    class One(Liar):
        def __call__(self, data: bytes) -> list[bytes]:
            one = decode(data, Envelope).receiver == receiver
            return super().__call__(data) if one else [data]

    world.play(terms(300, trees=2), wire=One(kind, change))


def test_a_label_party_that_asks_out_of_turn_is_refused() -> None:
    with pytest.raises(PeerError, match="not due"):
        lied(Lanes, lambda m: replace(m, level=m.level + 1), "telecom")


def test_a_partner_that_speaks_on_another_s_level_is_refused() -> None:
    world, given = Three.of(300), terms(300, trees=2)
    pair = Pair(*(world.role(name, given) for name in NAMES))
    for name, role in pair.roles.items():
        pair._take(name, role.start())
    while peek(decode(pair._queue[0], Envelope).payload) is not RowBits:
        pair.deliver()
    due = decode(pair._queue[0], Envelope)
    other = {"bureau": "telecom", "telecom": "bureau"}[due.sender]
    bank = pair.roles["bank"]
    sequence = len(bank._digests[other]) // 32
    with pytest.raises(PeerError, match="a level that is not its sender's"):
        bank.receive(replace(due, sender=other, sequence=sequence))
    with pytest.raises(PeerError, match="only a party of the training"):
        world.role("bank", given).on_line(None, due, "stranger")


def test_a_partner_that_ends_its_set_up_twice_is_refused() -> None:
    """What a link has had is not due again, whatever the other link waits for."""
    world, given = Three.of(300), terms(300, trees=1)
    bank, bureau = world.role("bank", given), world.role("bureau", given)
    begins = bank.start().messages
    bureau.start()
    said = [each for each in begins if each.receiver == "bureau"]
    (ready, points) = bureau.receive(said[0]).messages
    bank.receive(ready)
    bank.receive(points)
    with pytest.raises((PeerError, PhaseError)):
        bank.receive(replace(ready, sequence=2))


def test_terms_that_do_not_fit_are_refused() -> None:
    world = Three.of(300)
    with pytest.raises(MisuseError, match="partners bureau, telecom found, 1 planned"):
        world.role("bank", plan(300))
    with pytest.raises(MisuseError, match="partner 2 of 2"):
        world.role("bureau", terms(300), number=2)
    with pytest.raises(MisuseError, match="partners = 4 found, 1 to 3 allowed"):
        plan(300, partners=4)
    with pytest.raises(PeerError, match="2 columns of the other party, 1 in the contract"):
        world.play(terms(300), bank={"most": {"bureau": 1, "telecom": 1}})
    with pytest.raises(PeerError, match="not the contract's"):
        Pair(
            world.role("bank", terms(300)),
            world.role("bureau", plan(300)),
            world.role("telecom", terms(300)),
        ).run()
    with pytest.raises(PeerError, match="not due"):  # both take themselves for the first
        world.play(terms(300), telecom={"number": 0})


def test_each_partner_counts_its_own_bits() -> None:
    class Greedy(PlainLabelParty):
        def _begin_level(self, state: Any, growing: Any) -> Any:
            return super()._begin_level(replace(state, told=(0, state.told[1])), growing)

    world, given = Three.of(500), terms(500, row_bits=1, trees=6)
    with pytest.raises(PeerError, match="after the 1 bits of a row were told"):
        world.play(given, bank={"kind": Greedy})


def test_the_noise_that_stays_is_another_for_each_partner_s_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two that have like columns and put together what wins meet it twice, not one and the same."""
    monkeypatch.setattr(TreesPlan, "noise", NOISE)
    seen: list[tuple[int, str]] = []

    def noted(sums: Any, noise: float, place: str, *rest: Any) -> Any:
        seen.append((sums.shape[0], place))
        return blurred(sums, noise, place, *rest)

    monkeypatch.setattr(trees_labels, "blurred", noted)
    world = Three.of(900, 4)
    found, pair = world.play(terms(900, trees=2, depth=1))
    assert {place for _, place in seen} >= {"candidates 0 0", "candidates 1 0"}
    ends = [decode(each.payload, Grown) for each in pair.sent if peek(each.payload) is Grown]
    assert [end.trees for end in ends] == [2, 2]
    assert len(found["bank"].forest.trees) == 2
    assert encode(ends[0]) == encode(ends[1])
    assert set(np.unique([tree.kind for tree in found["bank"].forest.trees])) <= {
        0, OWN, PARTNER, PARTNER + 1,
    }  # fmt: skip


def test_columns_of_several_partners_go_their_way_and_sides_have_their_rows() -> None:
    """One partner has columns with a way, the other none; both count rows."""
    world, ways = Three.of(900, 6), {"bureau": {"ways": (1,)}, "telecom": {}}
    given = terms(900, trees=6, depth=4, partner_ways=True, least_rows=30)
    found, pair = world.play(given, **ways)
    bank = found["bank"]
    assert min(bank.forest.splits_of) > 0
    assert fewest(bank, world.y >= 0) >= 30
    values = [np.full(900, cell, np.uint16) for cell in range(15)]  # the last one is for missing
    rest = sides(found["telecom"], world.b[1:])
    scores = [
        bank.forest.scores(world.a, np.vstack([sides(found["bureau"], [each]), rest]))
        for each in values
    ]
    assert (np.diff(scores, axis=0) >= -1e-12).all()
    told: dict[str, int] = dict.fromkeys(NAMES, 0)
    for each in pair.sent:
        if peek(each.payload) is SplitWon:
            told[each.sender] += int(decode(each.payload, SplitWon).ways.sum())
    assert told["bureau"] > 0
    assert told["telecom"] == 0


def test_levels_of_a_partner_whose_bits_are_spent_bear_noise_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other partner meets the trees that own splits make there: with all that bears noise
    replaced by one number each, nothing that it is asked hangs on a label."""
    monkeypatch.setattr(TreesPlan, "noise", NOISE)

    monkeypatch.setattr(trees_labels, "blurred_sums", fixed_sums)
    monkeypatch.setattr(trees_labels, "noised_base", lambda *given: -1.0)
    draw = Transcript.draw

    def same_order(self: Any, name: str, size: int) -> bytes:
        return bytes(size) if name.startswith("order") else draw(self, name, size)

    monkeypatch.setattr(Transcript, "draw", same_order)
    seen: list[list[bytes]] = []
    told: list[Any] = []

    class Noted(PlainLabel):
        def ask(self, transcript: Any, level: Any, g: Any, h: Any, totals: Any, rows: Any) -> Any:
            numbers = totals.gradients, totals.hessians, totals.squares, totals.own
            seen[-1] += [np.asarray(each, "<f8").tobytes() for each in numbers]
            return super().ask(transcript, level, g, h, totals, rows)

    class Bank(PlainLabelParty):
        finder = Noted

    class First(PlainFeature):
        """Wins each root by its first split, whatever it gains."""

        def decide(self, level: Any, sent: Any) -> Any:
            won, number = super().decide(level, sent)
            number = np.where(np.arange(len(number)) == 0, 0, -1)
            labels = won.labels.copy()
            labels[:, 0] = number == 0
            return replace(won, labels=labels), number

    class Winner(PlainFeatureParty):
        finder = First

    world, given = Three.of(900, 6), terms(900, trees=4, depth=2, row_bits=1)
    other = (world.a[0] > 3).astype(np.int8)  # for which own splits are others
    fewer = np.where(np.arange(900) % 3 == 0, -1, world.y).astype(np.int8)
    for y in (world.y, other, fewer):
        seen.append([])
        world.y = y
        found, _ = world.play(
            given, bank={"kind": Bank}, bureau={"kind": Winner}, telecom={"least": 900}
        )
        told.append(found["bank"].told_levels)
    assert told == [(1, 0)] * 3
    assert len(seen[0]) == 4 * (1 + 4)  # one level of the first, all four of the other
    assert seen[0] == seen[1] == seen[2]
