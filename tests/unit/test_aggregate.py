from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.aggregate import AggregateResult, MeasureParty, SegmentParty
from federated.aggregate.roles import Counts, suppress
from federated.paillier import generate_keypair
from psi.protocol import Context, Envelope, InputError, Pair, PeerError, Refused, decode, encode

KEY = generate_keypair(1024, allow_toy=True)
STATISTICS = [("a", "mean"), ("a", "sum"), ("b", "count")]


def roles(
    values: np.ndarray, codes: list[int], groups: int, minimum: int = 3
) -> tuple[SegmentParty, MeasureParty]:
    def context(party: str) -> Context:
        return Context(b"session", "aggregate", party, secrets.token_bytes)

    names = [f"g{i}" for i in range(groups)]
    segment = SegmentParty(
        context("bank"), "bureau", names, np.array(codes), ["a", "b"], STATISTICS,
        minimum_group=minimum, minimum_key_bits=1024,
    )  # fmt: skip
    return segment, MeasureParty(context("bureau"), "bank", KEY, values, ["a", "b"], minimum)


def run(values: np.ndarray, codes: list[int], groups: int, minimum: int = 3) -> dict[str, Any]:
    return Pair(*roles(values, codes, groups, minimum)).run()


value = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6, width=32))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(value, value, st.integers(-1, 3)), min_size=1, max_size=40))
def test_kept_groups_equal_a_plain_group_by(rows: list[tuple[float, float, int]]) -> None:
    values = np.array([[a, b] for a, b, _ in rows])
    codes = [c for _, _, c in rows]
    found: AggregateResult = run(values, codes, 4)["bank"]
    frame = pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "g": codes})
    sizes = np.bincount([c for c in codes if c >= 0], minlength=4)
    kept = suppress(sizes, 3)
    for g in range(4):
        group = frame[frame.g == g]
        assert found.rows[g] == (sizes[g] if kept[g] else 0)
        wanted = [group.a.mean(), group.a.sum(), group.b.count()]
        behind = [group.a.count(), group.a.count(), group.b.count()]
        for s in range(3):
            if kept[g] and behind[s] >= 3:
                assert found.values[s][g] == pytest.approx(wanted[s], rel=1e-6, abs=1e-3)
            else:
                assert np.isnan(found.values[s][g])


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([5, 5, 5], [1, 1, 1]),
        ([5, 2, 7], [0, 0, 1]),
        ([5, 2, 1], [1, 0, 0]),
        ([0, 5, 5], [0, 1, 1]),
        ([1, 1, 2], [0, 0, 0]),
        ([2], [0]),
    ],
)
def test_no_group_is_dropped_alone(sizes: list[int], kept: list[int]) -> None:
    assert suppress(np.array(sizes), 3).tolist() == [bool(k) for k in kept]


def test_all_groups_suppressed_and_all_values_missing_are_defined() -> None:
    values = np.full((6, 2), np.nan)
    none = run(values, [0, 1, 2, 0, 1, 2], 3)["bank"]
    assert none.rows.tolist() == [0, 0, 0]
    missing = run(values, [0] * 6, 1)["bank"]
    assert missing.rows.tolist() == [6]
    assert np.isnan(missing.values[0][0])


def test_the_partner_learns_the_sizes_of_groups() -> None:
    values = np.ones((9, 2))
    assert run(values, [0, 0, 0, 1, 1, 1, 1, 2, -1], 3)["bureau"].tolist() == [3, 4, 1]


def test_values_too_large_name_the_column_and_no_value() -> None:
    with pytest.raises(InputError, match="too large to add up: b") as caught:
        run(np.array([[1.0, 7.25e14]] * 5), [0] * 5, 1)
    assert "7.25" not in str(caught.value)


def test_no_shared_record_is_refused() -> None:
    with pytest.raises(Refused, match="no group"):
        run(np.ones((2, 2)), [], 0)


def test_counts_beyond_the_aligned_rows_are_refused() -> None:
    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        if envelope.sender == "bank" and envelope.sequence == 0:
            envelope = replace(envelope, payload=encode(Counts(np.array([100]))))
        return (encode(envelope),)

    with pytest.raises(PeerError, match="aggregate: counts that do not add up"):
        Pair(*roles(np.ones((5, 2)), [0] * 5, 1), wire=wire).run()


@pytest.mark.parametrize("kill", range(5))
def test_killed_and_restored_at_every_message(kill: int) -> None:
    values, codes = np.arange(20.0).reshape(10, 2), [0] * 5 + [1] * 5
    link = Pair(*roles(values, codes, 2))
    for party, role in link.roles.items():
        link._take(party, role.start())
    for _ in range(kill):
        link.deliver()
    for fresh in roles(values, codes, 2):
        fresh.restore(link.roles[fresh.context.party].save())
        link.roles[fresh.context.party] = fresh
    while link._queue:
        link.deliver()
    assert link.results["bank"].values[0].tolist() == [4.0, 14.0]


def test_altered_bytes_end_in_a_typed_error_or_a_result() -> None:
    for at in range(0, 400, 23):

        def wire(data: bytes, at: int = at) -> Iterable[bytes]:
            envelope = decode(data, Envelope)
            payload = bytearray(envelope.payload)
            payload[at % len(payload)] ^= 0x41
            return (encode(replace(envelope, payload=bytes(payload))),)

        with pytest.raises((PeerError, Refused)):
            Pair(*roles(np.ones((5, 2)), [0] * 5, 1), wire=wire).run()
