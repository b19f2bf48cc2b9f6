"""Vertical training on drawn worlds: the central model, and accept-or-PeerError on any bytes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from federated.models.logistic import sigmoid
from federated.vertical import choose_steps, score_vectors, told_bits
from psi.protocol import (
    Envelope,
    Pair,
    PeerError,
    PeerGone,
    Refused,
    decode,
    encode,
)
from tests.unit.vertical.world import (
    distance,
    exact,
    feature_parties,
    label_party,
    make_world,
)

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=12, deadline=None, suppress_health_check=QUIET)
@given(
    rows=st.integers(160, 260),
    own=st.integers(0, 6),
    widths=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    folds=st.sampled_from([0, 2, 3]),
    unlabelled=st.sampled_from([0, 15]),
    seed=st.integers(0, 2**16),
)
def test_the_fit_is_the_central_one(
    rows: int, own: int, widths: list[int], folds: int, unlabelled: int, seed: int
) -> None:
    world = make_world(rows, own, widths, folds=folds, unlabelled=unlabelled, seed=seed)
    # fewer of a class are refused, and so are folds of fewer rows
    assume(np.bincount(world.label[world.labelled]).min() >= 20)
    try:
        chosen = choose_steps(
            rows, sum(widths), folds, score_bits=12, row_bits=60, wanted=(3, None)
        )
    except Refused:
        return
    pair = Pair(
        label_party(world, steps=chosen.steps, fold_steps=chosen.fold_steps),
        *feature_parties(world, cap=chosen.score_vectors).values(),
    )
    with exact():
        results = pair.run()
    fit = results["bank"]
    parts = [results[name].coefficients for name in world.parts]
    found = np.concatenate([[fit.intercept], fit.coefficients, *parts])
    central = world.central()
    # three vectors come within 1e-3 even on few rows
    near = 1e-3
    assert distance(found, central) < near
    final = sigmoid(world.joined() @ central)
    final = np.where(world.labelled, world.central_folds(), final) if folds else final
    # a fold takes one pass of its own
    assert np.abs(fit.scores - final).max() < (0.05 if folds else near)
    assert fit.score_vectors == chosen.score_vectors
    assert all(results[name].score_vectors <= chosen.score_vectors for name in world.parts)


@settings(max_examples=40, deadline=None, suppress_health_check=QUIET)
@given(
    which=st.integers(0, 30),
    cut=st.floats(0, 1),
    put=st.binary(min_size=1, max_size=12),
    lengthen=st.booleans(),
)
def test_altered_bytes_are_accepted_or_a_peer_error(
    which: int, cut: float, put: bytes, lengthen: bool
) -> None:
    world = make_world(160, 2, (3, 2), folds=2, seed=3)
    count = 0

    def wire(data: bytes) -> tuple[bytes, ...]:
        nonlocal count
        count += 1
        if count - 1 != which:
            return (data,)
        envelope = decode(data, Envelope)
        at = int(cut * (len(envelope.payload) - 1))
        rest = envelope.payload[at + (0 if lengthen else len(put)) :]
        return (encode(replace(envelope, payload=envelope.payload[:at] + put + rest)),)

    bank, parties = label_party(world, steps=2, fold_steps=1), feature_parties(world, cap=3)
    with suppress(PeerError, PeerGone, Refused):
        Pair(bank, *parties.values(), wire=wire).run()


@given(
    rows=st.integers(1, 10**6),
    columns=st.integers(1, 200),
    folds=st.sampled_from([0, 2, 5, 10]),
    steps=st.one_of(st.none(), st.integers(1, 20)),
    fold_steps=st.one_of(st.none(), st.integers(1, 4)),
    bits=st.tuples(st.integers(1, 12), st.integers(1, 100)),
)
def test_a_plan_tells_no_more_bits_than_allowed_or_is_refused(
    rows: int,
    columns: int,
    folds: int,
    steps: int | None,
    fold_steps: int | None,
    bits: tuple[int, int],
) -> None:
    score, row = bits
    try:
        chosen = choose_steps(
            rows, columns, folds, score_bits=score, row_bits=row, wanted=(steps, fold_steps)
        )
    except Refused:
        return
    assert told_bits(chosen.score_vectors, score) <= row
    assert chosen.score_vectors == score_vectors(chosen.steps, folds, chosen.fold_steps)
    assert steps is None or chosen.steps == steps
    assert fold_steps is None or not folds or chosen.fold_steps == fold_steps
