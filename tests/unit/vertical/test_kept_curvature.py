"""Of many rows only the first passes sum the curvature; the others keep it with its basis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.vertical.messages import Direction, EncryptedRows, Moments, WeightedRows
from federated.vertical.plan import CURVATURE_PASSES, MANY_ROWS, passes
from psi.protocol import Envelope, Pair, PeerError, decode, encode
from psi.protocol.codec import peek
from psi.protocol.harness import Wire
from psi.protocol.role import Role
from tests.unit.vertical.world import (
    Restarting,
    deliver,
    distance,
    exact,
    feature_parties,
    inbox,
    joined,
    label_party,
    make_world,
    run,
)


@pytest.fixture(autouse=True)
def arithmetic() -> Iterator[None]:
    with exact():
        yield


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows count as many, so that tests are quick."""
    monkeypatch.setattr("federated.vertical.plan.MANY_ROWS", 150)


def test_few_rows_sum_it_in_every_pass() -> None:
    assert all(one.curvature for one in passes(MANY_ROWS - 1, 20, 50, 20))
    kept = [one.curvature for one in passes(MANY_ROWS, 3, 5, 1)]
    assert kept == [True] * CURVATURE_PASSES + [False] * 7
    assert [one.curvature for one in passes(MANY_ROWS, 1, 2, 1)] == [True, True, False, False]


@pytest.mark.parametrize("widths", [(5,), (3, 3)])
def test_the_fit_is_the_central_one(widths: tuple[int, ...]) -> None:
    world = make_world(MANY_ROWS, 2, widths, folds=2, unlabelled=200)
    pair, results = run(world)
    assert distance(joined(world, results), world.central()) < 1e-6
    held = world.labelled
    assert np.abs(results["bank"].fold_scores - world.central_folds())[held].max() < 5e-3
    for name in world.parts:
        sums = [m for sender, m in inbox(pair, "bank", Moments) if sender == name]
        assert [bool(m.pairs) for m in sums] == [True, True, False, False, False, False]
    # one ciphertext a training row, and nothing else, from the third pass on
    size = 128
    rows = [m for _, m in inbox(pair, "bureau", EncryptedRows)][CURVATURE_PASSES:]
    assert {m.weights for m in rows} == {b""}
    labelled = int(np.count_nonzero(held))
    halves = [int(np.count_nonzero(held & (world.folds != fold))) for fold in (0, 1)]
    whole = [labelled, labelled]  # a third step, and the last pass of the full fit
    assert [len(m.rows) for m in rows] == [size * count for count in (*whole, *halves)]
    passed = [e for e in pair.sent if peek(e.payload) is WeightedRows]
    assert len(passed) == (CURVATURE_PASSES if len(widths) == 2 else 0)


@pytest.mark.usefixtures("few")
def test_columns_that_both_parties_hold() -> None:
    world = make_world(400, 3, (5,), folds=2)
    part = np.column_stack([world.parts["bureau"], world.own[:, 1]])
    world = replace(world, parts={"bureau": part})
    _, results = run(world, steps=4)
    assert distance(joined(world, results), world.central()) < 1e-4
    assert np.abs(results["bank"].fold_scores - world.central_folds()).max() < 0.03


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("widths", [(6,), (3, 2, 2)])
def test_a_party_may_die_before_every_message(widths: tuple[int, ...]) -> None:
    world = make_world(150, 2, widths, folds=2)
    pair = Restarting(world, steps=3, fold_steps=2)
    results = pair.run()
    assert pair.restarts == len(pair.sent)
    assert distance(joined(world, results), world.central()) < 1e-3
    assert np.abs(results["bank"].fold_scores - world.central_folds()).max() < 0.02


class Watching(Pair):
    """Notes the bureau's basis after every envelope."""

    def __init__(self, *roles: Role[Any]) -> None:
        super().__init__(*roles)
        self.bases: set[bytes] = set()

    def deliver(self) -> None:
        super().deliver()
        memory = getattr(self.roles["bureau"].state, "memory", None)
        if memory is not None and len(memory.basis):
            self.bases.add(memory.basis.tobytes())


@pytest.mark.usefixtures("few")
def test_as_many_bases_as_sums_of_curvature() -> None:
    world = make_world(200, 2, (5,))
    pair = Watching(label_party(world, steps=4), *feature_parties(world).values())
    pair.run()
    assert len(pair.bases) == CURVATURE_PASSES
    assert len(inbox(pair, "bureau", Direction)) == 5


def altered(kind: type[Any], **change: Any) -> Wire:
    """A link that changes messages of this kind in the first pass that keeps the curvature."""

    def wire(data: bytes) -> tuple[bytes]:
        envelope = decode(data, Envelope)
        if peek(envelope.payload) is not kind:
            return (data,)
        found = decode(envelope.payload, kind)
        if found.number != CURVATURE_PASSES:
            return (data,)
        return (encode(replace(envelope, payload=encode(replace(found, **change)))),)

    return wire


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (altered(Moments, pairs=bytes(128)), "sums of curvature in a pass that keeps it"),
        (altered(Moments, cross={"registry": bytes(128)}), "sums of curvature in a pass that"),
        (altered(Moments, linear=bytes(128)), "encrypted sums of another length"),
        (altered(EncryptedRows, rows=bytes(128)), "encrypted residuals of another length"),
        (altered(EncryptedRows, weights=bytes(128)), "encrypted residuals of another length"),
    ],
)
def test_what_such_a_pass_does_not_have_is_an_error(wire: Wire, reason: str) -> None:
    world = make_world(150, 2, (6,))
    pair = Pair(label_party(world), *feature_parties(world).values(), wire=wire)
    with pytest.raises(PeerError, match=reason):
        pair.run()


@pytest.mark.usefixtures("few")
def test_weighted_rows_of_such_a_pass_are_an_error() -> None:
    world = make_world(150, 2, (3, 3))
    pair = Stopping(label_party(world), *feature_parties(world).values())
    with pytest.raises(StopIteration):
        pair.run()
    early = WeightedRows(CURVATURE_PASSES, 3, bytes(150 * 128))
    with pytest.raises(PeerError, match="weighted rows of a pass that is not next"):
        deliver(pair.roles["registry"], early, "bureau", sequence=CURVATURE_PASSES)


class Stopping(Pair):
    """Ends when the first pass that keeps the curvature is next."""

    def deliver(self) -> None:
        super().deliver()
        memory = getattr(self.roles["registry"].state, "memory", None)
        if memory is not None and memory.number == CURVATURE_PASSES:
            raise StopIteration
