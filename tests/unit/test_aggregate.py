"""Statistics by segment: a plain group by of what is kept, and typed errors for what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.aggregate import AggregateResult, aggregate_by_segment, messages
from federated.aggregate.messages import Kept, Rows
from federated.aggregate.rows import SectionSlots
from federated.aggregate.suppression import suppress
from federated.paillier import EncryptedVector
from federated.paillier.randomness import full_width_residues
from psi.protocol import Envelope, InputError, MisuseError, Pair, PeerError, Refused, decode, encode
from tests.unit.aggregate_parties import EVERY, KEY, Parties, run

value = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6, width=32), st.integers(-12, 12))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(value, value, st.integers(-1, 3)), min_size=1, max_size=60))
def test_kept_groups_equal_a_plain_group_by(rows: list[tuple[float, float, int]]) -> None:
    values = np.array([[a, b] for a, b, _ in rows], float)
    codes = [c for _, _, c in rows]
    found: AggregateResult = run(values, codes, 4)["bank"]
    frame = pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "g": codes})
    sizes = np.bincount([c for c in codes if c >= 0], minlength=4)
    kept = suppress(sizes, 3, rest=(codes.count(-1),) * 2)
    for g in range(4):
        group = frame[frame.g == g]
        assert found.rows[g] == (sizes[g] if kept[g] else 0)
        bins = np.histogram(group.b.dropna(), [-np.inf, -10, 0, 10, np.inf])[0].tolist()
        wanted = [
            group.a.mean(), group.a.sum(), group.b.count(), group.b.var(),
            (group.a > 0.5).sum() / max(1, group.a.count()), bins,
        ]  # fmt: skip
        for s, (column, _) in enumerate(found.statistics):
            if found.kept[s][g]:
                assert kept[g]
                there, told = group[column].count(), found.values[s][g]
                assert there >= 3
                if s < 5:
                    assert told == pytest.approx(wanted[s], rel=1e-6, abs=1e-3)
                if s < 4:
                    continue
                parts = told if s == 5 else np.array([told, 1 - told]) * there
                known = parts[~np.isnan(parts)]
                assert s == 4 or known.tolist() == np.array(bins)[~np.isnan(parts)].tolist()
                for count in np.rint([*known, there - known.sum()]):
                    assert count == 0 or count >= 3
            else:
                assert np.isnan(found.values[s][g]).all()


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=20), st.sampled_from([0.0, 1e6, 1e11]))
def test_variance_does_not_cancel_around_a_large_mean(spread: list[float], centre: float) -> None:
    values = np.round(np.array(spread) + centre, 5)[:, None]
    found = Parties(values, [0] * len(values), 1, asked=[("a", "variance")]).run()["bank"]
    exact = np.rint(values[:, 0] * 2**20)
    exact = (exact - exact[0]) / 2**20
    assert found.values[0][0] == pytest.approx(np.var(exact, ddof=1), rel=1e-9, abs=1e-12)


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


@pytest.mark.parametrize(
    ("sizes", "rest", "kept"),
    [
        ([5, 6, 7], 1, [0, 1, 1]),  # with a total known otherwise, one row would be given back
        ([5, 6, 1], 1, [0, 1, 0]),  # two rows together are too few as well
        ([5, 6, 2], 1, [1, 1, 0]),
        ([5, 6, 7], 5, [1, 1, 1]),
    ],
)
def test_rows_in_no_group_need_protection_too(sizes: list[int], rest: int, kept: list[int]) -> None:
    assert suppress(np.array(sizes), 3, rest=(rest, rest)).tolist() == [bool(k) for k in kept]


def test_all_groups_suppressed_and_all_values_missing_are_defined() -> None:
    values = np.full((6, 2), np.nan)
    none = run(values, [0, 1, 2, 0, 1, 2], 3)["bank"]
    assert none.rows.tolist() == [0, 0, 0]
    missing = run(values, [0] * 6, 1)["bank"]
    assert missing.rows.tolist() == [6]
    assert np.isnan(missing.values[0][0])
    assert run(np.zeros((0, 2)), [], 2)["bank"].rows.tolist() == [0, 0]
    one = run(np.ones((8, 2)), [0] * 7 + [1], 2)["bank"]
    assert one.rows.tolist() == [0, 0]  # a group of one, and the only other one to protect it


def test_a_column_with_too_few_values_in_a_kept_group_is_not_told() -> None:
    values = np.arange(28.0).reshape(14, 2)
    values[[0, 1, 2, 5], 0] = np.nan
    found = run(values, [0] * 5 + [1] * 5 + [2] * 4, 3)["bank"]
    assert found.rows.tolist() == [5, 5, 4]
    assert found.kept[0].tolist() == [False, False, True]  # 2, 4 and 4 values: one more goes
    assert found.kept[2].tolist() == [True, True, True]


def test_what_is_not_kept_opens_as_noise_at_the_receiver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[dict[Any, np.ndarray]] = []
    real = SectionSlots.statistics

    def spy(self: SectionSlots, sums: Any, kept: np.ndarray) -> Any:
        seen.append(sums)
        return real(self, sums, kept)

    monkeypatch.setattr(SectionSlots, "statistics", spy)
    values = np.column_stack([np.full(9, 7.0), np.ones(9)])
    values[[0, 1, 2, 3], 0] = np.nan  # the first group has one value, the second has four
    run(values, [0] * 5 + [1] * 4, 2)
    run(values, [0] * 5 + [1] * 4, 2)
    first, second = seen
    assert first["b", "value"][0] == second["b", "value"][0] == 5 << 20
    assert first["a", "value"][0] != second["a", "value"][0]
    assert min(first["a", "value"][0], second["a", "value"][0]) > 1 << 80
    counts = next(name for name in first if not name[0])
    assert first[counts][0] > 1 << 20  # the counts are blanked too


def test_the_partner_learns_sizes_and_no_other_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    real = SectionSlots.counts

    def spy(self: SectionSlots, opened: list[int]) -> Any:
        assert self.counted_in == [0]
        pairs = zip(
            self.whole.names, self.layout.unpack(opened, 0, masked_above=True), strict=False
        )
        named = [(name, int(slot[0])) for name, slot in pairs]
        counted = [value for name, value in named if not name[0]]
        seen.append([*counted[:1], *(value for name, value in named if name[0])])
        return real(self, opened)

    monkeypatch.setattr(SectionSlots, "counts", spy)
    values = np.ones((9, 2))
    codes = [0, 0, 0, 1, 1, 1, 1, 2, -1]
    assert run(values, codes, 3)["bureau"].rows.tolist() == [3, 4, 1]
    run(values, codes, 3)
    assert seen[0][0] == seen[1][0]
    assert len(seen[0]) > 5
    assert all(a != b for a, b in zip(seen[0][1:], seen[1][1:], strict=True))


def test_all_that_returns_to_the_key_holder_has_full_width_randomness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full: list[int] = []

    def spy(public: Any, count: int, *, random: Any) -> Any:
        full.append(count)
        return full_width_residues(public, count, random=random)

    monkeypatch.setattr("federated.paillier.vector.full_width_residues", spy)
    link = Parties(np.ones((9, 2)), [0] * 5 + [1] * 4, 2)
    link.run()
    both: Any = (messages.Counted, messages.Returned)
    from_bank = [e for e in link.sent if e.sender == "bank" and e.step == "aggregate"]
    sent: list[Any] = [decode(e.payload, *both) for e in from_bank]
    returned = [len(message.data) // KEY.public.ciphertext_bytes for message in sent]
    assert full == returned
    assert sum(full) >= 4


def test_values_too_large_or_infinite_name_the_column_and_no_value() -> None:
    with pytest.raises(InputError, match="column 'b': 5 of 5 values are too large") as caught:
        run(np.array([[1.0, 7.25e14]] * 5), [0] * 5, 1)
    assert "7.25" not in str(caught.value)
    with pytest.raises(InputError, match="column 'a': 5 of 5 values are infinite"):
        run(np.array([[np.inf, 1.0]] * 5), [0] * 5, 1)


def test_sums_at_both_ends_of_the_bound_are_exact() -> None:
    edge = np.nextafter(2.0**40, 0)
    values = np.column_stack([np.full(7, edge), np.full(7, -edge)])
    found = run(values, [0] * 7, 1)["bank"]
    assert found.values[1][0] == pytest.approx(7 * edge, rel=1e-15)
    assert found.values[3][0] == 0.0


def test_no_shared_record_is_refused() -> None:
    with pytest.raises(Refused, match="no group"):
        run(np.ones((2, 2)), [], 0)


def test_a_column_of_too_many_groups_is_refused() -> None:
    with pytest.raises(InputError, match="65537 groups found, at most 65534 allowed"):
        run(np.ones((2, 2)), [0, 1], 65537)


def test_rows_are_sent_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federated.aggregate.rows_party.CHUNK", 4)
    monkeypatch.setattr("federated.aggregate.adding.CHUNK", 4)
    values, codes = np.arange(60.0).reshape(30, 2), [0, 1, 2] * 10
    link = Parties(values, codes, 3)
    found = link.run()["bank"]
    kinds = [type(decode(e.payload, *EVERY)).__name__ for e in link.sent]
    assert kinds.count("Rows") == 8
    assert kinds.count("Next") == 6
    frame = pd.DataFrame(values).groupby(np.array(codes)).mean()
    assert found.values[0].tolist() == frame[0].tolist()


def altered(kind: type, change: Any) -> Any:
    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        found: Any = decode(envelope.payload, *EVERY)
        if type(found) is kind:
            envelope = replace(envelope, payload=encode(change(found)))
        return (encode(envelope),)

    return wire


def test_a_receiver_that_adds_rows_twice_is_noticed_by_its_counts() -> None:
    def doubled(found: messages.Counted) -> messages.Counted:
        rows = EncryptedVector.from_bytes(KEY.public, found.data, 1, bound_bits=900)
        return replace(found, data=rows.add(rows).to_bytes())

    with pytest.raises(PeerError, match="aggregate: counts that do not add up"):
        Parties(np.ones((5, 2)), [0] * 5, 1, wire=altered(messages.Counted, doubled)).run()


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        (Rows, lambda m: replace(m, start=1), "rows that are not due"),
        (Rows, lambda m: replace(m, data=m.data[:-1]), "bytes of rows"),
        (Kept, lambda m: Kept(m.kept[:, :1].copy()), "another shape"),
        (Kept, lambda m: Kept(m.kept * np.uint8(2)), "another shape"),
        (messages.Key, lambda m: replace(m, rows=4), "4 rows announced, 5 are aligned"),
        (messages.Counted, lambda m: replace(m, data=m.data[:-1]), "bytes of ciphertexts"),
        (messages.Counted, lambda m: replace(m, cells=m.cells + 1), "groups that do not exist"),
        (messages.Counted, lambda m: replace(m, cells=m.cells[:, [0, 0]]), "other sections"),
        (messages.Counted, lambda m: replace(m, cells=m.cells - 2), "records that are not aligned"),
        (messages.Counted, lambda m: replace(m, cells=m.cells - 3), "groups that do not exist"),
        (messages.Returned, lambda m: replace(m, data=m.data[:-1]), "bytes of ciphertexts"),
        (
            messages.Opened,
            lambda m: replace(m, data=b"\1" * len(m.data)),
            "beyond|no values|without any value",
        ),
    ],
)
def test_malformed_messages_end_with_the_step(kind: type, change: Any, told: str) -> None:
    with pytest.raises(PeerError, match=told):
        Parties(np.ones((5, 2)), [0] * 5, 1, wire=altered(kind, change)).run()


def killed(make: Any, kill: int) -> Any:
    """Both roles, restored after so many messages."""
    link = Pair(*make())
    for party, role in link.roles.items():
        link._take(party, role.start())
    for _ in range(kill):
        if link._queue:
            link.deliver()
    for fresh in make():
        fresh.restore(link.roles[fresh.context.party].save())
        link.roles[fresh.context.party] = fresh
    while link._queue:
        link.deliver()
    return link.results


@pytest.mark.parametrize("kill", range(6))
def test_killed_and_restored_at_every_message(kill: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federated.aggregate.rows_party.CHUNK", 3)
    monkeypatch.setattr("federated.aggregate.adding.CHUNK", 3)
    values, codes = np.arange(20.0).reshape(10, 2), [0] * 5 + [1] * 5
    parties = Parties(values, codes, 2)
    parties.rows = killed(parties.row_roles, kill)
    found = killed(lambda: parties.roles(0, []), kill)
    assert found["bank"].values[0].tolist() == [4.0, 14.0]


@pytest.mark.parametrize(
    ("step", "number"),
    [("rows", 0), ("rows", 1), *(("aggregate", number) for number in range(4))],
)
def test_altered_bytes_of_any_message_end_in_a_typed_error(step: str, number: int) -> None:
    ended = 0
    for at in (0, 3, 9, 25, 150, 300):
        come = count()

        def wire(data: bytes, at: int = at, come: Any = come) -> Iterable[bytes]:
            envelope = decode(data, Envelope)
            if envelope.step != step or next(come) != number:
                return (data,)
            payload = bytearray(envelope.payload)
            payload[at % len(payload)] ^= 0x41
            return (encode(replace(envelope, payload=bytes(payload))),)

        try:
            Parties(np.ones((5, 2)), [0] * 5, 1, wire=wire).run()
        except (PeerError, Refused):
            ended += 1
    assert ended >= 3


def test_one_call_for_notebooks() -> None:
    columns = {"loans": [1, 2, 3, 4, 5, 6, np.nan, 0, 7, 0, 0, 0], "other": np.zeros(3)}
    segment = ["b", "a", "b", "a", "b", "a", "a", None, "b", None, None, None]
    found = aggregate_by_segment(
        segment, columns, ["loans:mean", "loans:histogram[0]"], minimum_group=3, key=KEY
    )
    assert found.table() == {
        "group": ["a", "b"],
        "rows": [4, 4],
        "loans:mean": [4.0, 4.0],
        "loans: below 0": [0.0, 0.0],
        "loans: 0 and more": [3.0, 4.0],
    }
    with pytest.raises(MisuseError, match="not given, or of another length"):
        aggregate_by_segment(segment, columns, ["other:mean"], key=KEY)


def test_many_measures_take_several_ciphertexts_a_row() -> None:
    asked = [(name, text) for name in "abcd" for text in ("variance", "histogram[0,1]")]
    rng = np.random.default_rng(1)
    values, codes = rng.normal(size=(12, 4)), [0] * 6 + [1] * 6
    parties = Parties(values, codes, 2, 3, asked)
    assert parties.slots.layout.ciphers > 1
    found = parties.run()["bank"]
    wanted = pd.DataFrame(values).groupby(np.array(codes)).var()
    for column in range(4):
        assert found.values[2 * column] == pytest.approx(wanted[column].to_numpy(), abs=1e-5)
