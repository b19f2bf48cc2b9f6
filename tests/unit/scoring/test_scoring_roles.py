"""Roles that score rows by kept parts: what is told, whether rightly, and what a lie gets."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.regression import told_bits
from federated.scoring.fixed import (
    FARTHEST,
    FRACTION_BITS,
    fixed_scores,
    levels_of,
    middle,
    shift_of,
)
from federated.scoring.messages import Asking, Joint, Levels
from federated.scoring.model_file import FEATURE, LABEL
from federated.scoring.paths import PathPartner, PathReceiver, partner_levels
from federated.scoring.sums import SumPartner, SumReceiver
from federated.trees.forest import PARTNER, Forest, Tree
from federated.trees.messages import Choices, RowBits
from federated.trees.saved import FeatureModel, LabelModel
from psi.protocol import Context, MemoryStore, MisuseError, Pair, PeerError, decode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.frames import played_with_kills
from tests.unit.scoring.parts import part, table, trees

ROWS, SEVERAL = 300, ("bureau", "telecom", "shop")
UNIT = 2.0**-FRACTION_BITS


def context(party: str, store: MemoryStore | None = None) -> Context:
    return Context(b"s" * 32, "score/churn", party, secrets.token_bytes, store or MemoryStore())


def scores_of(number: int, deviation: float) -> np.ndarray:
    drawn = np.random.default_rng(number).normal(size=ROWS) * deviation
    return np.rint(drawn / UNIT).astype(np.int64)


OWN = {name: scores_of(n, 0.5 + n) for n, name in enumerate(SEVERAL)}


def partner(name: str, among: tuple[str, ...], bits: int = 4, **more: Any) -> SumPartner:
    deviation = 0.5 + SEVERAL.index(name)
    given: dict[str, Any] = {"scores": OWN[name], "shift": shift_of(deviation, bits)} | more
    shown = given.pop("scores")
    where = context(name, given.pop("store", None))
    return SumPartner(where, "bank", among, shown, mean=0.0, deviation=deviation, **given)


# whole numbers


@pytest.mark.parametrize("bits", range(1, 13))
def test_steps_of_a_normal_part_tell_what_is_booked_at_most(bits: int) -> None:
    """The entropy of 10^6 rows' steps, estimated by counts: too low by 10^-3 bits or less for
    2,000 steps and less, so finer ones are only compared with their number."""
    rows = np.random.default_rng(bits).normal(size=1_000_000) * 0.37
    levels = levels_of(fixed_scores(rows[:, None], np.ones(1)), shift_of(0.37, bits), 0.0, 0.37)
    shares = np.unique(levels, return_counts=True)[1] / len(rows)
    entropy = float(-(shares * np.log2(shares)).sum())
    assert entropy <= told_bits(bits)
    assert entropy > told_bits(bits) - 1.3  # a step is a power of two, and at most twice too wide
    assert len(shares) <= 2 * FARTHEST * 0.37 / (2.0 ** shift_of(0.37, bits) * UNIT) + 2


def test_scores_hang_on_the_row_alone_and_finer_steps_halve_coarser_ones() -> None:
    rng = np.random.default_rng(5)
    matrix, weights = rng.normal(size=(70_000, 5)), rng.normal(size=5)
    whole = fixed_scores(matrix, weights, 0.3)
    assert np.abs(whole * UNIT - (matrix @ weights + 0.3)).max() < 6 * UNIT
    order = rng.permutation(len(matrix))
    assert np.array_equal(fixed_scores(matrix[order], weights, 0.3), whole[order])
    assert fixed_scores(matrix[7:8], weights, 0.3)[0] == whole[7]
    coarse, fine = (levels_of(whole, shift, 0.0, 2.0) for shift in (29, 26))
    assert np.array_equal(fine >> 3, coarse)
    near = np.abs(whole) < 8 * 2.0 / UNIT
    assert np.abs(middle(coarse, 29) - whole)[near].max() <= 1 << 28
    assert shift_of(0.0, 5) == 1
    none = fixed_scores(np.full((1, 1), 1e300), np.ones(1))
    assert abs(int(none[0])) <= 1 << 60  # nothing wraps


# a regression's part


@pytest.mark.parametrize("among", [SEVERAL[:1], SEVERAL[:2], SEVERAL])
def test_the_receiver_gets_the_sum_of_steps_and_no_partner_anything(among: tuple[str, ...]) -> None:
    pair = Pair(SumReceiver(context("bank"), among, ROWS), *(partner(n, among) for n in among))
    found = pair.run()["bank"]
    deviation = 0.5 + SEVERAL.index(among[-1])  # the widest
    shift = shift_of(deviation, 4)
    levels = [levels_of(OWN[n], shift, 0.0, 0.5 + SEVERAL.index(n)) for n in among]
    assert np.array_equal(found, middle(np.sum(levels, axis=0), shift, len(among)))
    assert not [sent for sent in pair.sent if sent.sender == "bank"]
    told = [decode(s.payload, Levels) for s in pair.sent if s.receiver == "bank"]
    if len(among) == 1:
        again = Pair(SumReceiver(context("bank"), among, ROWS), partner(among[0], among)).run()
        assert np.array_equal(again["bank"], found)  # the same row, the same number
        return
    for one in told:  # under pads each is uniform: the mean of 300 top bits is .5 +- .17 at 6 sd
        assert abs(float((one.levels < 0).mean()) - 0.5) < 0.18
    seeds = {decode(s.payload, Joint).seed for s in pair.sent if s.receiver != "bank"}
    assert len(seeds) == len(among)


def test_other_rows_widths_and_parties_end_a_scoring() -> None:
    one = SEVERAL[:1]
    with pytest.raises(PeerError, match="299 rows told, 300 shared"):
        Pair(
            SumReceiver(context("bank"), one, ROWS),
            partner("bureau", one, scores=OWN["bureau"][1:]),
        ).run()
    two = SEVERAL[:2]
    receiver = SumReceiver(context("bank"), two, ROWS)
    state = receiver.begin().state
    levels = np.zeros(ROWS, np.int64)
    state = receiver.on_levels(state, Levels(9, levels), "bureau").state
    with pytest.raises(PeerError, match="twice"):
        receiver.on_levels(state, Levels(9, levels), "bureau")
    with pytest.raises(PeerError, match="two widths"):
        receiver.on_levels(state, Levels(8, levels), "telecom")
    with pytest.raises(PeerError, match="no model has"):
        receiver.on_levels(state, Levels(9, levels + (1 << 60)), "telecom")


def test_a_pad_serves_one_vector_of_numbers() -> None:
    """A partner from an older copy with other numbers ends the run before it tells any."""
    two, store = SEVERAL[:2], MemoryStore()
    first = partner("bureau", two, store=store)
    first.start()
    again = partner("bureau", two, store=store, scores=OWN["bureau"] + 1)
    again.restore(first.save())
    with pytest.raises(PeerError, match="drawn for other numbers"):
        again.on_joint(again.state, Joint(bytes(32), 20), "telecom")


# trees


def paths(rows: Any, stores: dict[str, MemoryStore], **more: Any) -> tuple[Any, Any]:
    own, theirs = trees(LABEL).trees, trees(FEATURE).trees
    assert isinstance(own, LabelModel)
    assert isinstance(theirs, FeatureModel)
    count, most = rows.num_rows, more.get("most", 3)
    sides = theirs.sides(rows)
    bins = own.binning.transform(rows)
    return (
        PathReceiver(context("bank", stores["bank"]), ["bureau"], own, bins, count),
        PathPartner(context("bureau", stores["bureau"]), "bank", theirs, sides, most),
    )


def stores() -> dict[str, MemoryStore]:
    return {"bank": MemoryStore(), "bureau": MemoryStore()}


def test_paths_are_those_of_the_joined_trees() -> None:
    rows = table(9, 130)
    model, theirs = trees(LABEL).trees, trees(FEATURE).trees
    assert isinstance(model, LabelModel)
    assert isinstance(theirs, FeatureModel)
    pair = Pair(*paths(rows, stores()))
    found = pair.run()
    sides = theirs.sides(rows)
    expected = np.full(130, model.forest.base)
    for tree, ends in zip(model.forest.trees, found["bank"], strict=True):
        expected += tree.value[ends]
    assert np.array_equal(expected, model.scores(rows, sides))
    assert found["bureau"] == len(partner_levels(model.forest)) == 3
    # one bit a row and level: as many masked entries are told, and no other message has a row's
    told = [s for s in pair.sent if s.sender == "bureau"]
    assert len(told) == 1 + 3
    # what the receiver sends is as long whatever its rows are
    other = Pair(*paths(table(10, 130), stores()))
    other.run()
    assert [len(s.payload) for s in other.sent] == [len(s.payload) for s in pair.sent]


@pytest.mark.parametrize("make", [lambda s: paths(table(9, 70), s)], ids=["trees"])
def test_roles_made_again_after_each_message_say_the_same(make: Callable[..., Any]) -> None:
    kept = stores()
    names = ("bank", "bureau")
    run = Pair(*make(kept))
    for name, role in run.roles.items():
        run._take(name, role.start())
    while run._queue:
        envelope = decode(run._queue[0], Envelope)
        early, again = run.roles[envelope.receiver].save(), make(kept)
        run.roles[envelope.receiver].receive(envelope)  # what it says is never sent
        fresh = again[names.index(envelope.receiver)]
        fresh.restore(early)
        run.roles[envelope.receiver] = fresh
        run.deliver()
        for place, name in enumerate(names):
            if name in run.results:
                continue
            saved, fresh = run.roles[name].save(), make(kept)[place]
            fresh.restore(saved)
            run.roles[name] = fresh
    assert np.array_equal(run.results["bank"], Pair(*make(stores())).run()["bank"])


def test_a_receiver_that_asks_for_more_than_the_contract_has_is_refused() -> None:
    rows = table(9, 70)
    with pytest.raises(PeerError, match="3 levels with 3 splits asked, 2 with 3 by the contract"):
        Pair(*paths(rows, stores(), most=2)).run()
    receiver, held = paths(rows, stores())
    receiver.start()
    asking = receiver.begin().messages[0][1]
    waiting, held.incoming = held.begin().state, bytes(32)
    for wrong, why in (
        (replace(asking, training=bytes(32)), "another training"),
        (replace(asking, rows=71), "71 rows at the receiver, 70 here"),
        (replace(asking, levels=(1, 1)), "levels with 2 splits"),
    ):
        with pytest.raises(PeerError, match=why):
            held.on_asking(waiting, wrong, "bank")
    assert isinstance(asking, Asking)


def test_a_chunk_of_a_level_is_told_once() -> None:
    """Asking again by other choices would open a second entry of each row."""
    pair = Pair(*paths(table(9, 70), stores()))
    for name, role in pair.roles.items():
        pair._take(name, role.start())
    while not any(s.sender == "bank" and _is(s, Choices) for s in pair.sent):
        pair.deliver()
    choices = next(s for s in pair.sent if _is(s, Choices))
    while len([s for s in pair.sent if s.sender == "bureau"]) < 2:
        pair.deliver()
    held: Any = pair.roles["bureau"]
    with pytest.raises(PeerError, match="not due"):
        held.on_choices(held.state, decode(choices.payload, Choices), "bank")


def _is(envelope: Envelope, kind: type) -> bool:
    try:
        return isinstance(decode(envelope.payload, kind), kind)
    except PeerError:
        return False


def test_kept_parts_give_both_sides_of_a_score() -> None:
    """What parties add up is what one process with both parts would."""
    rows, own, theirs = table(4, 90), part(), part(side=FEATURE)
    shift = theirs.shift(12)
    role = SumPartner(
        context("bureau"), "bank", ("bureau",), theirs.fixed(rows),
        shift=shift, mean=theirs.of_part.mean, deviation=theirs.of_part.deviation,
    )  # fmt: skip
    told = Pair(SumReceiver(context("bank"), ("bureau",), 90), role).run()["bank"]
    assert own.encoder is not None
    assert own.linear is not None
    assert theirs.encoder is not None
    assert theirs.linear is not None
    exact = own.linear.scores(own.encoder.transform(rows)[0])
    exact += theirs.linear.scores(theirs.encoder.transform(rows)[0])
    assert np.abs((own.fixed(rows) + told) * UNIT - exact).max() < 2.0 ** (shift - 31) + 1e-8


def three(rows: Any, kept: dict[str, MemoryStore], **more: Any) -> tuple[Any, ...]:
    """The same trees, where the second partner has the split of the second tree."""
    own, theirs = trees(LABEL).trees, trees(FEATURE).trees
    assert isinstance(own, LabelModel)
    assert isinstance(theirs, FeatureModel)
    one, two = own.forest.trees
    moved = Tree(
        np.where(two.kind == PARTNER, PARTNER + 1, two.kind), two.split, two.value, two.gain
    )
    moved.split[2] = 0
    forest = Forest(own.forest.base, (one, moved), own.forest.layout, 2)
    label = LabelModel(theirs.training + b"t" * 32, own.binning, forest)
    parts = {
        "bureau": FeatureModel(theirs.training, theirs.binning, theirs.splits[:2]),
        "telecom": FeatureModel(b"t" * 32, theirs.binning, theirs.splits[2:]),
    }
    most = {"bureau": 2, "telecom": 1} | more
    return (
        PathReceiver(
            context("bank", kept["bank"]),
            [*parts],
            label,
            own.binning.transform(rows),
            rows.num_rows,
        ),
        *(
            PathPartner(context(name, kept[name]), "bank", part, part.sides(rows), most[name])
            for name, part in parts.items()
        ),
    )


def test_paths_of_several_partners_are_those_of_the_joined_trees() -> None:
    rows, names = table(9, 130), ("bank", "bureau", "telecom")
    alone = Pair(*paths(rows, stores())).run()["bank"]
    kept = {name: MemoryStore() for name in names}
    found = played_with_kills(names, lambda name: three(rows, kept)[names.index(name)], kept=False)
    assert np.array_equal(found["bank"], alone)
    assert (found["bureau"], found["telecom"]) == (2, 1)
    pair = Pair(*three(rows, {name: MemoryStore() for name in names}))
    pair.run()
    assert not any({s.sender, s.receiver} == {"bureau", "telecom"} for s in pair.sent)
    with pytest.raises(PeerError, match="1 levels with 1 splits asked, 0 with 1 by the contract"):
        Pair(*three(rows, {name: MemoryStore() for name in names}, telecom=0)).run()


def test_a_partner_that_tells_more_than_it_is_asked_ends_a_scoring() -> None:
    """And one that speaks again once all of its sides of a depth have come."""
    rows, names = table(9, 70), ("bank", "bureau", "telecom")
    pair = Pair(*three(rows, {name: MemoryStore() for name in names}))
    for name, role in pair.roles.items():
        pair._take(name, role.start())
    while peek(decode(pair._queue[0], Envelope).payload) is not RowBits:
        pair.deliver()
    due = decode(pair._queue[0], Envelope)
    bank: Any = pair.roles["bank"]
    sent = decode(due.payload, RowBits)
    with pytest.raises(PeerError, match="not due"):
        bank.on_row_bits(bank.state, replace(sent, chunk=1), due.sender)
    with pytest.raises(PeerError, match="only a partner of the model"):
        bank.on_row_bits(bank.state, sent, "stranger")
    model = bank._model
    with pytest.raises(MisuseError, match="1 partners found, 2 others in the trees"):
        PathReceiver(context("bank"), ["bureau"], model, [], 70)
