"""The roles together: the central model, and nothing that the contract does not list."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.models.logistic import sigmoid
from federated.paillier import randomness, use_path
from federated.vertical import FeatureParty, VerticalFit, score_vectors
from federated.vertical.messages import (
    Direction,
    EncryptedRows,
    Final,
    Moments,
    Ready,
    Scores,
    Setup,
    WeightedRows,
)
from psi.protocol import (
    Envelope,
    Pair,
    PeerError,
    PhaseError,
    Refused,
    decode,
    encode,
)
from psi.protocol.codec import peek
from tests.unit.paillier.keys import full_key
from tests.unit.vertical.world import (
    Restarting,
    World,
    context,
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

EVERY = (Setup, Ready, EncryptedRows, WeightedRows, Moments, Direction, Scores, Final)


@pytest.fixture(autouse=True)
def arithmetic() -> Iterator[None]:
    """What noise leaves is for test_rounding."""
    with exact():
        yield


@pytest.mark.parametrize("widths", [(8,), (4, 4), (3, 3, 3)])
def test_the_fit_is_the_central_one(widths: tuple[int, ...]) -> None:
    world = make_world(300, 3, widths, folds=3, unlabelled=40)
    _, results = run(world, fold_steps=2)
    central, fit = world.central(), results["bank"]
    assert distance(joined(world, results), central) < 1e-5
    held = world.labelled
    whole = sigmoid(world.joined() @ central)
    assert np.abs(fit.scores - whole)[~held].max() < 1e-5
    assert np.array_equal(fit.scores[held], fit.fold_scores[held])
    assert np.array_equal(np.isnan(fit.fold_scores), ~held)
    assert np.abs(fit.fold_scores - world.central_folds())[held].max() < 1e-4
    assert [entry["fold"] for entry in fit.log] == [-1, -1, -1, -1, 0, 0, 1, 1, 2, 2]


def test_the_default_plan_is_close_on_fewer_vectors() -> None:
    world = make_world(400, 3, (5,), folds=4)
    _, results = run(world, steps=3, fold_steps=1, cap=4)
    assert results["bank"].score_vectors == 4
    assert distance(joined(world, results), world.central()) < 1e-4
    held = np.abs(results["bank"].fold_scores - world.central_folds())
    assert held.max() < 0.02


def test_without_folds_nothing_is_held_out() -> None:
    world = make_world(200, 2, (5,), unlabelled=10)
    _, results = run(world, cap=4)
    assert results["bank"].score_vectors == results["bureau"].score_vectors == 4
    assert np.isnan(results["bank"].fold_scores).all()
    assert distance(results["bank"].scores, sigmoid(world.joined() @ world.central())) < 1e-5


def test_a_label_party_without_columns_of_its_own() -> None:
    world = make_world(200, 0, (5,))
    _, results = run(world)
    assert results["bank"].coefficients.shape == (0,)
    assert distance(joined(world, results), world.central()) < 1e-4


def test_columns_that_repeat_each_other() -> None:
    world = make_world(300, 3, (5,))
    part = world.parts["bureau"]
    world = replace(
        world,
        own=np.column_stack([world.own, world.own[:, 0]]),
        parts={"bureau": np.column_stack([part, part[:, 1], world.own[:, 1]])},
    )
    _, results = run(world)
    assert distance(joined(world, results), world.central()) < 1e-4


def test_metrics_do_not_depend_on_secret_randomness() -> None:
    world = make_world(200, 2, (5,), folds=2)
    first = run(world, seed="one")[1]["bank"]
    second = run(world, seed="two")[1]["bank"]
    assert np.abs(first.scores - second.scores).max() < 1e-5
    assert np.abs(first.fold_scores - second.fold_scores).max() < 1e-4


@pytest.mark.parametrize("widths", [(8,), (4, 4)])
def test_the_bank_sees_no_score_beyond_the_cap(widths: tuple[int, ...]) -> None:
    world = make_world(240, 3, widths, folds=3, unlabelled=30)
    cap = score_vectors(3, 3, 2)
    pair, results = run(world, cap=cap, fold_steps=2)
    kinds = {peek(e.payload) for e in pair.sent if e.receiver == "bank"}
    assert kinds == {Ready, Moments, Scores}
    for name in world.parts:
        numbers = sum(len(s.values) for sender, s in inbox(pair, "bank", Scores) if sender == name)
        rows = [int(np.count_nonzero(world.labelled & (world.folds != f))) for f in range(3)]
        held = [int(np.count_nonzero(world.folds == f)) for f in range(3)]
        # directions' products: 1 + 2 + 3 of the full fit, 4 a fold; the rows without a label are
        # told the last model's scores alone
        assert numbers == 3 * 210 + 30 + sum(rows) + sum(held) + 6 + 3 * 4
        assert results[name].score_vectors == cap
        assert sum(shown.rows for shown in results[name].disclosures) == numbers - 18
    # sums travel as ciphertexts only: a fresh number of n^2 each
    for _, moments in inbox(pair, "bank", Moments):
        assert len(moments.linear) % 128 == len(moments.pairs) % 128 == 0


def test_of_several_partners_the_bank_sees_the_sum_only() -> None:
    world = make_world(240, 2, (4, 4))
    pair, results = run(world, steps=2)
    alone = inbox(pair, "bank", Scores)[0][1].values
    # a mask makes it uniform in 64 bits; scores in fixed point have about 30
    assert np.median(alone.view(np.int64).astype(float) ** 2) > 2.0**110
    again = Pair(label_party(world, steps=2), *feature_parties(world).values())
    again.run()
    assert results["bank"].score_vectors == 3


def test_a_partner_sees_ciphertexts_and_its_own_model_only() -> None:
    world = make_world(240, 2, (4, 4), folds=2)
    pair, _ = run(world, fold_steps=1)
    kinds = {peek(e.payload) for e in pair.sent if e.receiver == "bureau"}
    assert kinds == {Setup, EncryptedRows, Direction, Final}
    kinds = {peek(e.payload) for e in pair.sent if e.receiver == "registry"}
    assert kinds == {Setup, EncryptedRows, WeightedRows, Direction, Final}
    # and of other partners only what is encrypted under the label party's key
    for sender, rows in inbox(pair, "registry", WeightedRows):
        assert sender == "bureau"
        assert len(rows.data) % 128 == 0


def test_the_portable_path_gives_the_same_fit() -> None:
    world = make_world(150, 2, (3, 3), folds=2)
    with use_path("portable"):
        _, results = run(world, fold_steps=1)
    assert distance(joined(world, results), world.central()) < 1e-4


def test_bases_are_fresh_in_every_pass() -> None:
    world = make_world(240, 2, (5,))
    pair, _ = run(world)
    deltas = [d.delta for _, d in inbox(pair, "bureau", Direction)]
    assert len(deltas) == 4
    again, _ = run(world, seed="other")
    assert np.allclose(deltas[0], inbox(again, "bureau", Direction)[0][1].delta)
    parties = feature_parties(world, seed="other")
    other = Pair(label_party(world), *parties.values())
    other.run()
    assert not np.allclose(deltas[0], inbox(other, "bureau", Direction)[0][1].delta)


def test_rows_of_the_bank_travel_encrypted() -> None:
    world = make_world(200, 2, (5,))
    pair, _ = run(world, steps=2)
    first, second, _ = (rows for _, rows in inbox(pair, "bureau", EncryptedRows))
    assert len(first.rows) == 200 * 128
    ciphertexts = {first.rows[i : i + 128] for i in range(0, len(first.rows), 128)}
    assert len(ciphertexts) == 200
    assert first.rows != second.rows


def test_obfuscators_are_made_ahead_and_none_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = randomness.short_exponent_residues

    def counted(key: Any, count: int, **options: Any) -> Any:
        if threading.current_thread().name == "obfuscators":
            made.append(count)
        return real(key, count, **options)

    monkeypatch.setattr(randomness, "short_exponent_residues", counted)
    world = make_world(150, 2, (6,), folds=2, unlabelled=10)
    pair, results = run(world, steps=2, fold_steps=1)
    sent = [m.rows + m.weights for _, m in inbox(pair, "bureau", EncryptedRows)]
    size = pair.roles["bank"]._key.public.ciphertext_bytes  # type: ignore[attr-defined]
    assert sum(made) <= sum(len(rows) for rows in sent) // size  # what had not begun is not made
    assert made
    every = [rows[at : at + size] for rows in sent for at in range(0, len(rows), size)]
    assert len(set(every)) == len(every)
    assert distance(joined(world, results), world.central()) < 1e-2


# kill and restore


@pytest.mark.parametrize("widths", [(6,), (3, 2, 2)])
def test_a_party_may_die_before_every_message(widths: tuple[int, ...]) -> None:
    world = make_world(150, 2, widths, folds=2)
    pair = Restarting(world, steps=2, fold_steps=2)
    results = pair.run()
    assert pair.restarts == len(pair.sent)
    assert distance(joined(world, results), world.central()) < 1e-3
    fit: VerticalFit = results["bank"]
    assert np.abs(fit.fold_scores - world.central_folds()).max() < 0.01


def test_an_identical_repeat_is_ignored() -> None:
    world = make_world(150, 2, (5,))
    pair = Pair(
        label_party(world, steps=2),
        *feature_parties(world).values(),
        wire=lambda data: (data, data),
    )
    assert distance(joined(world, pair.run()), world.central()) < 1e-2


# guards


def setup_of(world: World, **options: Any) -> Setup:
    step = label_party(world, **options).start()
    return decode(step.messages[0].payload, Setup)


def started(world: World, **options: Any) -> FeatureParty:
    party = feature_parties(world, **options)["bureau"]
    party.start()
    return party


def test_a_plan_above_the_cap_is_an_error() -> None:
    world = make_world(150, 2, (6,))
    with pytest.raises(PeerError, match="4 score vectors planned, at most 3 contracted"):
        deliver(started(world, cap=3), setup_of(world, steps=3), "bank")


def test_the_counter_holds_whatever_the_plan_says(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(150, 2, (6,))
    monkeypatch.setattr("federated.vertical.guards.score_vectors", lambda *_: 1)
    pair = Pair(label_party(world, steps=3), *feature_parties(world, cap=2).values())
    with pytest.raises(PeerError, match="more score vectors asked than the 2 contracted"):
        pair.run()
    assert len(inbox(pair, "bank", Scores)) == 2


def test_a_plan_above_the_bits_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federated.vertical.plan.DIRECTION_BITS", 1)
    world = make_world(150, 2, (6,))
    party = started(world, score_bits=4, row_bits=7)
    with pytest.raises(PeerError, match=r"7\.49 bits of a row planned, 7 contracted"):
        deliver(party, setup_of(world, steps=3), "bank")
    deliver(started(world, score_bits=4, row_bits=8), setup_of(world, steps=3), "bank")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labelled": np.ones(149, np.uint8)}, "aligned rows"),
        ({"labelled": np.full(150, 2, np.uint8)}, "malformed"),
        ({"fold": np.zeros(150, np.int16)}, "without a cross-validation"),
        ({"fold": np.zeros(150, np.int16), "folds": 2, "fold_steps": 1}, "even sizes"),
        ({"fold": np.full(150, 5, np.int16), "folds": 2, "fold_steps": 1}, "without a fold"),
        ({"folds": 1}, "1 folds found"),
        ({"key": bytes(64)}, "paillier modulus"),
        ({"key": bytes(32)}, "paillier modulus"),
    ],
)
def test_a_malformed_setup_is_an_error(change: dict[str, Any], reason: str) -> None:
    world = make_world(150, 2, (6,))
    with pytest.raises(PeerError, match=reason):
        deliver(started(world), replace(setup_of(world), **change), "bank")


def test_too_few_labelled_rows_are_refused() -> None:
    world = make_world(150, 2, (6,))
    setup = setup_of(world)
    labelled = np.zeros(150, np.uint8)
    labelled[:11] = 1
    with pytest.raises(Refused, match="11 labelled rows for 9 columns"):
        deliver(started(world), replace(setup, labelled=labelled), "bank")


def test_a_key_below_the_floor_is_an_error() -> None:
    world = make_world(150, 2, (6,))
    party = FeatureParty(
        context("bureau"),
        "bank",
        world.parts["bureau"],
        partners=["bureau"],
        cap=3,
        score_bits=4,
        row_bits=16,
    )
    party.start()
    with pytest.raises(PeerError, match="512 bits"):
        deliver(party, setup_of(world), "bank")


def test_messages_out_of_place_are_errors() -> None:
    world = make_world(150, 2, (4, 4))
    party = feature_parties(world)["registry"]
    party.start()
    with pytest.raises(PhaseError):
        deliver(party, Final(), "bank")
    with pytest.raises(PeerError, match="only the label party"):
        deliver(party, setup_of(world), "bureau")
    deliver(party, setup_of(world), "bank")
    with pytest.raises(PeerError, match="before the last pass"):
        deliver(party, Final(), "bank", 1)
    with pytest.raises(PeerError, match="not next"):
        deliver(party, EncryptedRows(1, np.zeros(0), b"", b""), "bank", 1)
    with pytest.raises(PeerError, match="mixing coefficients"):
        deliver(party, EncryptedRows(0, np.zeros(2), b"", b""), "bank", 1)
    with pytest.raises(PeerError, match="partner before"):
        deliver(party, WeightedRows(0, 4, b""), "telecom")
    with pytest.raises(PeerError, match="not next"):
        deliver(party, WeightedRows(1, 4, b""), "bureau")
    with pytest.raises(PeerError, match="length"):
        deliver(party, EncryptedRows(0, np.zeros(0), b"", b""), "bank", 1)


def altered(kind: type[Any], change: Any) -> Any:
    def wire(data: bytes) -> tuple[bytes, ...]:
        envelope = decode(data, Envelope)
        if peek(envelope.payload) is not kind:
            return (data,)
        payload = encode(change(decode(envelope.payload, kind)))
        return (encode(replace(envelope, payload=payload)),)

    return wire


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        (Moments, lambda m: replace(m, number=1), "another pass"),
        (Moments, lambda m: replace(m, linear=m.linear[:-1]), "length"),
        (Moments, lambda m: replace(m, linear=bytes(len(m.linear))), "outside"),
        (Moments, lambda m: replace(m, cross={"registry": b""}), "other partners"),
        (Scores, lambda m: replace(m, number=2), "another pass"),
        (Scores, lambda m: replace(m, values=m.values[1:]), "length"),
        (Scores, lambda m: replace(m, values=m.values + np.uint64(1 << 62)), "do not cancel"),
        (Direction, lambda m: replace(m, delta=m.delta[1:]), "numbers of a direction"),
        (Direction, lambda m: replace(m, delta=m.delta * np.nan), "finite numbers"),
        (Direction, lambda m: replace(m, delta=m.delta * 1e300), "out of range"),
        (Direction, lambda m: replace(m, exponent=1), "scales by itself"),
        (Direction, lambda m: replace(m, number=1), "not under way"),
    ],
)
def test_altered_messages_end_the_session(kind: type[Any], change: Any, reason: str) -> None:
    world = make_world(150, 2, (6,))
    bank, parties = label_party(world), feature_parties(world)
    with pytest.raises(PeerError, match=reason):
        Pair(bank, *parties.values(), wire=altered(kind, change)).run()


def test_a_scale_out_of_range_is_an_error_among_several() -> None:
    world = make_world(150, 2, (4, 4))
    wire = altered(Direction, lambda m: replace(m, exponent=m.exponent + 30))
    with pytest.raises(PeerError, match="out of range"):
        Pair(label_party(world), *feature_parties(world).values(), wire=wire).run()


def test_unequal_secrets_of_partners_are_noticed() -> None:
    world = make_world(150, 2, (4, 4))
    parties = feature_parties(world)
    parties["registry"] = FeatureParty(
        context("registry"),
        "bank",
        world.parts["registry"],
        partners=list(world.parts),
        cap=8,
        score_bits=4,
        row_bits=400,
        secrets={"bureau": bytes(32)},
        key_bits=512,
    )
    with pytest.raises(PeerError, match="do not cancel"):
        Pair(label_party(world), *parties.values()).run()


def test_a_column_that_speaks_of_few_rows_is_refused() -> None:
    world = make_world(150, 2, (6,))
    rare = world.parts["bureau"].copy()
    rare[:, 2] = np.arange(150) < 19
    with pytest.raises(Refused, match=r"1 of 6 columns .* fewer than 20 aligned rows"):
        feature_parties(replace(world, parts={"bureau": rare}))
    rare[:, 2] = np.arange(150) < 24
    unlabelled = world.label.copy()
    unlabelled[:20] = -1
    world = replace(world, parts={"bureau": rare}, label=unlabelled)
    with pytest.raises(Refused, match="fewer than 5 labelled rows"):
        deliver(started(world), setup_of(world), "bank")


def test_folds_of_a_random_deal_are_taken_and_poor_ones_refused_before_a_word() -> None:
    world = make_world(300, 2, (6,), folds=2)
    draw = np.random.default_rng(0)
    for folds in (2, 5, 8):
        dealt = replace(world, folds=draw.integers(0, folds, 300))
        deliver(started(dealt), setup_of(dealt, steps=1), "bank")
    small = replace(world, folds=np.where(np.arange(300) < 19, 1, 0))
    with pytest.raises(Refused, match="folds of 19 to 281 rows"):
        label_party(small)
    one_class = np.where(world.label == 1, 0, 1)
    with pytest.raises(Refused, match="without rows of one class"):
        label_party(replace(world, folds=one_class))
    uneven = replace(world, folds=np.where(np.arange(300) < 40, 1, 0))
    with pytest.raises(Refused, match="folds of 40 to 260 rows"):
        label_party(uneven)


@pytest.mark.slow
def test_at_full_key_size() -> None:
    world = make_world(400, 3, (5, 4), folds=2)
    key = full_key(3072)
    pair = Pair(
        label_party(world, key=key, fold_steps=2), *feature_parties(world, bits=3072).values()
    )
    results = pair.run()
    assert distance(joined(world, results), world.central()) < 1e-5
    assert np.abs(results["bank"].fold_scores - world.central_folds()).max() < 1e-4
