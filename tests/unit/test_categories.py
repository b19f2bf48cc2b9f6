"""Amounts by the partner's category: what comes out, and what reads off members."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.aggregate import (
    OTHER,
    Amount,
    AmountParty,
    CategoryParty,
    CategoryResult,
    aggregate_by_category,
)
from federated.aggregate.amounts import AmountRows, AmountSlots
from federated.aggregate.messages import Kept, Key, Next, Returned, Rows
from federated.aggregate.noise import TAIL, Noise, discrete_laplace
from federated.paillier import generate_keypair
from federated.paillier.randomness import full_width_residues
from psi.protocol import (
    Context,
    Envelope,
    EnvironmentFailed,
    InputError,
    MisuseError,
    Pair,
    PeerError,
    decode,
    encode,
)

KEY = generate_keypair(1024, allow_toy=True)
EVERY = (Key, Rows, Next, Kept, Returned)


def no_noise(scales: Sequence[int]) -> list[int]:
    return [0] * len(scales)


def roles(
    values: np.ndarray,
    codes: Sequence[int],
    amounts: Sequence[Amount],
    *,
    categories: int = 3,
    epsilon: int = 1000,
    minimum: int = 3,
    noise: Noise = discrete_laplace,
    segments: Sequence[str] = ("",),
    own: Sequence[int] | None = None,
) -> tuple[AmountParty, CategoryParty]:
    def context(party: str) -> Context:
        return Context(b"session", "category", party, secrets.token_bytes)

    bank = AmountParty(
        context("bank"), "registry", KEY, amounts, values, [f"c{i}" for i in range(categories)],
        epsilon=epsilon, segments=segments, codes=None if own is None else np.array(own, np.int64),
    )  # fmt: skip
    registry = CategoryParty(
        context("registry"), np.array(codes, np.int64), categories, amounts, epsilon=epsilon,
        minimum_group=minimum, parts=len(segments), key_bits=1024, noise=noise,
    )  # fmt: skip
    return bank, registry


def run(*args: Any, **options: Any) -> CategoryResult:
    found: CategoryResult = Pair(*roles(*args, **options)).run()["bank"]
    return found


amount = st.one_of(st.just(np.nan), st.integers(-2000, 2000), st.floats(-2000, 2000, width=32))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(amount, st.integers(0, 2), st.integers(-1, 1)), max_size=30))
def test_without_noise_cells_equal_a_plain_two_way_table(
    rows: list[tuple[float, int, int]],
) -> None:
    values = np.array([[a] for a, _, _ in rows], float).reshape(-1, 1)
    own, codes = [o for _, _, o in rows], [c for _, c, _ in rows]
    found = run(
        values, codes, [Amount("x", -500, 900)], noise=no_noise, segments=("s0", "s1"), own=own
    )
    whole = [0 if np.isnan(a) else int(np.clip(np.rint(a), -500, 900)) for a, _, _ in rows]
    for c in range(3):
        for s in range(2):
            inside = [w for w, o, k in zip(whole, own, codes, strict=True) if (k, o) == (c, s)]
            assert found.counts[c, s] == len(inside)
            assert found.sums[0][c, s] == sum(inside)


def test_noise_has_the_scale_that_the_range_and_epsilon_ask_for() -> None:
    slots = AmountSlots([Amount("x", -10, 400)], 1, 100, 1024, 500)
    assert slots.scales == [2 * 2 * 2, 2 * 400 * 2 * 2]  # two cells, two releases, epsilon 1/2
    drawn = np.array(discrete_laplace([1600] * 4000), float)
    assert abs(drawn.mean()) < 150
    assert 1600 * 0.9 < np.abs(drawn).mean() < 1600 * 1.1
    assert np.abs(drawn).max() <= 1600 * TAIL


def test_opendp_accounts_for_the_same_epsilon() -> None:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    slots = AmountSlots([Amount("x", 0, 300), Amount("y", 0, 7)], 2, 100, 1024, 1000)
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    spent = [
        cast(Any, dp.m.make_laplace)(*space, scale=float(scale)).map(2 * largest)
        for scale, largest in zip(slots.scales, slots.largest, strict=True)
    ]
    assert 0.99 < sum(spent) <= 1.0 + 1e-9


def test_every_cell_is_noised_by_its_own_number() -> None:
    values = np.full((40, 1), 100.0)
    codes = [0] * 30 + [1] * 10
    first, second = (run(values, codes, [Amount("x", 0, 10**6)]) for _ in range(2))
    assert len({*first.sums[0][:, 0], *second.sums[0][:, 0]}) == 6
    assert (np.abs(first.sums[0][:, 0] - [3000, 1000, 0]) < TAIL * first.scales[1]).all()
    assert first.kept.all()
    # in the place of each draw the scale that it was asked for
    scaled = run(values, codes, [Amount("x", 0, 10**6)], noise=list)
    assert (scaled.sums[0][:, 0] - [3000, 1000, 0] == scaled.scales[1]).all()
    assert (scaled.counts[:, 0] - [30, 10, 0] == scaled.scales[0]).all()


def test_the_powers_of_two_attack_works_without_noise_and_fails_with_it() -> None:
    members = np.random.default_rng(3).integers(0, 2, 36)
    values = 2.0 ** np.arange(36)[:, None]
    chosen = [Amount("x", 0, 2**36)]

    def read(found: CategoryResult) -> np.ndarray:
        bits = int(found.sums[0][1, 0]) % 2**36
        return np.array([bits >> i & 1 for i in range(36)])

    bare = run(values, members, chosen, categories=2, epsilon=0)
    assert read(bare).tolist() == members.tolist()
    noised = [run(values, members, chosen, categories=2) for _ in range(2)]
    right = [(read(found) == members).sum() for found in noised]
    assert max(right) < 34
    assert read(noised[0]).tolist() != read(noised[1]).tolist()


def test_numbers_above_the_slots_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    members = np.random.default_rng(4).integers(0, 2, 30)
    chosen, seen = [Amount("x", 0, 9)], []
    top = AmountSlots(chosen, 1, 30, 1024, 1000).layout.bits(0)
    real, unpack = AmountRows.pack, "federated.aggregate.layout.Layout.unpack"

    def smuggle(self: AmountRows, start: int, stop: int, cipher: int) -> Any:
        plain = real(self, start, stop, cipher).to_ints()
        from federated.paillier import Plaintexts

        hidden = [p + (1 << (top + 8 + 10 * i)) for i, p in enumerate(plain, start)]
        return Plaintexts.from_ints(hidden)

    def keep(self: Any, numbers: Any, cipher: int, **options: Any) -> Any:
        seen.extend(numbers)
        return [np.zeros(len(numbers), object) for _ in self.of(cipher)]

    monkeypatch.setattr(AmountRows, "pack", smuggle)
    monkeypatch.setattr(unpack, keep)
    run(np.ones((30, 1)), members, chosen, categories=2)
    read = [int(seen[1]) >> (top + 8 + 10 * i) & 1 for i in range(30)]
    assert read != members.tolist()


def test_without_noise_small_categories_are_not_told() -> None:
    values, codes = np.ones((11, 1)), [0] * 5 + [1] * 4 + [2] * 2
    found = run(values, codes, [Amount("x", 0, 9)], epsilon=0)
    assert found.kept.tolist() == [True, False, False]  # the smallest of the others protects one
    assert found.table()["rows"][0] == 5
    assert np.isnan(found.sums[0][1:]).all()
    none = run(np.ones((2, 1)), [0, 1], [Amount("x", 0, 9)], epsilon=0)
    assert none.kept.tolist() == [False, False, True]  # nobody is in the third
    empty = run(np.ones((0, 1)), [], [Amount("x", 0, 9)], epsilon=0)
    assert empty.counts[:, 0].tolist() == [0, 0, 0]


def test_a_two_way_table_without_noise_is_refused() -> None:
    with pytest.raises(MisuseError, match="two-way table needs noise"):
        roles(np.ones((2, 1)), [0, 1], [], epsilon=0, segments=("a", "b"), own=[0, 1])


def test_what_returns_has_full_width_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    full: list[int] = []

    def spy(public: Any, count: int, *, random: Any) -> Any:
        full.append(count)
        return full_width_residues(public, count, random=random)

    monkeypatch.setattr("federated.paillier.vector.full_width_residues", spy)
    link = Pair(*roles(np.ones((9, 1)), [0] * 9, [Amount("x", 0, 9)]))
    link.run()
    back = [decode(e.payload, *EVERY) for e in link.sent if e.sender == "registry"]
    sent = [len(m.data) for m in back if isinstance(m, Returned)]
    assert [count * KEY.public.ciphertext_bytes for count in full] == sent
    assert sent[0]


def test_amounts_beyond_the_range_are_clipped_and_counted() -> None:
    found = run(np.array([[5.0], [-3.0], [1e15], [np.nan]]), [0] * 4, [Amount("x", 0, 9)],
                noise=no_noise)  # fmt: skip
    assert found.sums[0][0, 0] == 5 + 0 + 9 + 0
    assert found.clipped == [2]
    with pytest.raises(InputError, match="column 'x': 1 of 2 values are infinite"):
        run(np.array([[np.inf], [1.0]]), [0, 0], [Amount("x", 0, 9)])


def test_both_ends_of_the_range_are_exact() -> None:
    ends = [Amount("x", -(10**12), 10**12)]
    for value in (-1e12, 1e12):
        found = run(np.full((7, 1), value), [0] * 7, ends, noise=no_noise)
        assert found.sums[0][0, 0] == 7 * value


@pytest.mark.parametrize("text", ["sum", "sum[5,5]", "sum[0,1e6]", "mean[0,5]", f"sum[0,{10**13}]"])
def test_a_range_is_needed(text: str) -> None:
    with pytest.raises(MisuseError, match=r"sum\[LOW,HIGH\]"):
        Amount.parse("x", text)
    assert Amount.parse("x", "sum[ -5, 10 ]").text == "sum[-5,10]"


def test_opendp_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opendp.prelude", None)
    with pytest.raises(EnvironmentFailed, match=r"needs OpenDP.*pip install 'fedprofile\[noise\]'"):
        discrete_laplace([5])


@pytest.mark.parametrize("kill", range(5))
def test_killed_and_restored_at_every_message(kill: int) -> None:
    def fresh() -> tuple[AmountParty, CategoryParty]:
        values = np.arange(10.0)[:, None]
        return roles(values, [0] * 5 + [1] * 5, [Amount("x", 0, 9)], noise=no_noise)

    link = Pair(*fresh())
    for party, role in link.roles.items():
        link._take(party, role.start())
    for _ in range(min(kill, 4)):
        if link._queue:
            link.deliver()
    for again in fresh():
        again.restore(link.roles[again.context.party].save())
        link.roles[again.context.party] = again
    while link._queue:
        link.deliver()
    assert link.results["bank"].sums[0][:, 0].tolist() == [10.0, 35.0, 0.0]
    assert link.results["registry"].tolist() == [5, 5, 0]


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        (Key, lambda m: replace(m, rows=4), "4 rows announced, 5 are aligned"),
        (Key, lambda m: replace(m, parts=2), "2 segments announced, 1 in the contract"),
        (Rows, lambda m: replace(m, start=1), "rows that are not due"),
        (Rows, lambda m: replace(m, data=m.data[1:]), "bytes of rows"),
        (Kept, lambda m: Kept(m.kept[1:]), "another number"),
        (Kept, lambda m: Kept(m.kept * np.uint8(3)), "another number"),
        (Returned, lambda m: replace(m, data=m.data[:-1]), "bytes of ciphertexts"),
        (Returned, lambda m: replace(m, data=bytes(len(m.data))), "outside 1 to"),
    ],
)
def test_malformed_messages_end_with_the_step(kind: type, change: Any, told: str) -> None:
    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        found: Any = decode(envelope.payload, *EVERY)
        if type(found) is kind:
            envelope = replace(envelope, payload=encode(change(found)))
        return (encode(envelope),)

    pair = roles(np.ones((5, 1)), [0] * 5, [Amount("x", 0, 9)], noise=no_noise)
    with pytest.raises(PeerError, match=told):
        Pair(*pair, wire=wire).run()


def test_one_call_for_notebooks() -> None:
    found = aggregate_by_category(
        ["a", "b", None, "z"] * 5, {"x": np.arange(20)}, ["x:sum[0,100]"], ["a", "b"],
        epsilon=0, minimum_group=3, key=KEY,
    )  # fmt: skip
    assert found.table() == {
        "category": ["a", "b", OTHER], "rows": [5.0, 5.0, 10.0], "x:sum": [40.0, 45.0, 105.0],
    }  # fmt: skip
    counts = aggregate_by_category(["a"] * 4, {}, [], ["a"], segment=["s", "t", "s", None], key=KEY)
    assert counts.counts.shape == (2, 2)
    assert counts.table()["segment"] == ["s", "t", "s", "t"]
