"""Join and sum: equal to the plain computation, guarded, resumable, and well hidden."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.aggregate.noise import Noise
from federated.join_sum import (
    Layout,
    Noising,
    Placed,
    SumReceiver,
    SumSender,
    join_and_sum,
    place_values,
)
from federated.join_sum import layout as layouts
from federated.join_sum.messages import Key, Opened, Rows, Summed
from federated.paillier import EncryptedVector, generate_keypair, randomness, vector
from psi.protocol import (
    Context,
    Envelope,
    FedprofileError,
    InputError,
    MisuseError,
    Pair,
    PeerError,
    decode,
    encode,
)
from tests.unit.paillier.keys import full_key
from tests.unit.test_align import run

KEY = generate_keypair(1024, allow_toy=True)
COLUMNS = ["a", "b"]
STATISTICS = [("a", "sum"), ("a", "mean"), ("b", "count")]


def roles(
    values: np.ndarray, places: Iterable[int], minimum: int = 1
) -> tuple[SumReceiver, SumSender]:
    def context(party: str) -> Context:
        return Context(b"session", "join_sum", party, secrets.token_bytes)

    every = np.arange(len(values))
    placed = place_values(values, every, COLUMNS)
    receiver = SumReceiver(
        context("bank"), "bureau", np.array(list(places), np.int64), len(values), COLUMNS,
        STATISTICS, key_bits=1024,
    )  # fmt: skip
    return receiver, SumSender(context("bureau"), "bank", KEY, placed, minimum)


names = st.one_of(st.none(), st.text(alphabet="abc", min_size=1, max_size=3))
number = st.one_of(st.just(np.nan), st.floats(-(2.0**40), 2.0**40))


@settings(deadline=None, max_examples=25)
@given(
    st.lists(names, max_size=30),
    st.lists(st.tuples(names, number, number), max_size=30),
    st.sampled_from(["collapse", "join"]),
    st.integers(1, 4),
)
def test_equal_to_the_plain_computation(
    mine: list[str | None],
    theirs: list[tuple[str | None, float, float]],
    duplicates: str,
    minimum: int,
) -> None:
    keys = [key for key, _, _ in theirs]
    values = {"a": [a for _, a, _ in theirs], "b": [b for _, _, b in theirs]}
    found = join_and_sum(
        mine, keys, values, ["a", "a:mean", "b:count"],
        minimum=minimum, duplicates=duplicates, key=KEY,
    )  # fmt: skip
    shared = {key for key in mine if key is not None} & set(keys)
    assert found.shared == len(shared)
    held: dict[Any, list[Any]] = {}
    for row in theirs:
        if row[0] in shared:
            held.setdefault(row[0], []).append(row)
    if duplicates == "collapse":
        held = {key: rows[:1] for key, rows in held.items()}
    behind, sums = [], []
    for column in (1, 2):
        known = [
            [row[column] for row in rows if not np.isnan(row[column])] for rows in held.values()
        ]
        behind.append(sum(1 for entity in known if entity))
        sums.append(sum(round(v * 2**20) for entity in known for v in entity) / 2**20)
    enough = [count >= minimum for count in behind]
    assert found.kept.tolist() == [enough[0], enough[0], enough[1]]
    assert found.counts.tolist() == [c if e else 0 for c, e in zip(behind, enough, strict=True)]
    if enough[0]:
        assert found.values[:2].tolist() == [sums[0], sums[0] / behind[0]]
    if enough[1]:
        assert found.values[2] == behind[1]


@pytest.mark.parametrize("sizes", [(0, 0), (0, 3), (3, 0), (2500, 2000)])
def test_sizes(sizes: tuple[int, int]) -> None:
    mine, theirs = ([f"k{i}" for i in range(size)] for size in sizes)
    found = join_and_sum(mine, theirs, {"x": np.arange(sizes[1])}, minimum=1, key=KEY)
    both = min(sizes)
    assert found.shared == both
    if both:
        assert found.values.tolist() == [both * (both - 1) / 2]
    else:
        assert not found.kept.any()


def test_at_the_real_size_of_keys() -> None:
    values = {"x": [1.5, -2.25, 9]}
    found = join_and_sum([*"abc"], [*"cbd"], values, minimum=2, key=full_key(2048))
    assert (found.shared, found.values.tolist()) == (2, [-0.75])


def test_many_columns_take_several_ciphertexts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "CHUNK", 16)
    values = {f"c{j}": np.arange(21.0) * (j + 1) for j in range(9)}
    keys = [str(i) for i in range(21)]
    assert Layout(9, 21, 1024).ciphertexts == 3
    assert Layout(9, 21, 1024).chunks == 5
    found = join_and_sum(keys[:7], keys, values, minimum=7, key=KEY)
    assert found.values.tolist() == [21.0 * (j + 1) for j in range(9)]


def test_too_few_values_are_not_opened_and_their_number_is_not_told() -> None:
    values = np.array([[1.0, np.nan], [2.0, 5.0], [3.0, np.nan], [4.0, 6.0]])
    results = Pair(*roles(values, [0, 1, 2], minimum=3)).run()
    found = results["bank"]
    assert found.kept.tolist() == [True, True, False]
    assert found.values[:2].tolist() == [6.0, 2.0]
    assert found.counts.tolist() == [3, 0]
    # what the sender learns
    assert results["bureau"].tolist() == [3, 3, 1]
    none = Pair(*roles(values, [1], minimum=3)).run()["bank"]
    assert (none.shared, none.kept.any()) == (1, False)


def test_what_the_sender_opens_is_masked() -> None:
    values = np.ones((4, 2))
    seen = []
    for _ in range(2):
        link = Pair(*roles(values, [0, 1]))
        link.run()
        opened = [decode(e.payload, Opened) for e in link.sent if e.payload[1] == 0x54]
        seen.append(opened[0].sums)
    assert seen[0] != seen[1]
    bits = [int.from_bytes(sums, "little").bit_length() for sums in seen]
    assert min(bits) > 150


def test_what_goes_back_to_the_key_holder_is_hidden_by_a_uniform_r_to_the_n(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full: list[int] = []
    plain = randomness.full_width_residues

    def counted(public: Any, count: int, **options: Any) -> Any:
        full.append(count)
        return plain(public, count, **options)

    monkeypatch.setattr(vector, "full_width_residues", counted)
    Pair(*roles(np.ones((4, 2)), [0, 1])).run()
    assert full == [Layout(2, 4, 1024).ciphertexts]


def test_keys_of_several_levels_add_up_each_record_once() -> None:
    mine = [["a", "b", None, "d"], ["1", "2", "3", None]]
    theirs = [["a", "x", None, "a", None, "e"], ["1", "2", "3", "8", None, "9"]]
    found, placed = run(mine, theirs, reveal="places")
    values = np.array([[1.0, np.nan], [2, 5], [4, 6], [8, 7], [16, 8], [32, 9]])
    assert (found.matched, found.size_sender) == (3, 8)
    for duplicates, total in (("collapse", 7.0), ("join", 15.0)):
        held = place_values(values, placed.places, COLUMNS, duplicates=duplicates)
        assert len(held) == 4
        where = [Context(b"session", "x", name, secrets.token_bytes) for name in ("bank", "bureau")]
        adding = SumReceiver(
            where[0], "bureau", found.places, found.size_sender, COLUMNS, STATISTICS,
            records=True, key_bits=1024,
        )  # fmt: skip
        summed = Pair(adding, SumSender(where[1], "bank", KEY, held, 2)).run()["bank"]
        assert summed.shared == 3
        assert summed.values[0] == total


@pytest.mark.parametrize("places", [1, 7])
def test_fewer_places_than_match_and_more_than_keys_are_refused(places: int) -> None:
    receiver, sender = roles(np.ones((places, 2)), [])
    adding = SumReceiver(
        receiver.context, "bureau", np.array([0, 4]), 6, COLUMNS, STATISTICS,
        records=True, key_bits=1024,
    )  # fmt: skip
    with pytest.raises(PeerError, match=f"{places} places found"):
        Pair(adding, sender).run()


@pytest.mark.parametrize("spoil", ["late key", "many columns", "places", "order", "length"])
def test_a_wrong_sender_is_named(spoil: str) -> None:
    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        kind = envelope.payload[1]
        made: Any = None
        if kind == 0x50:
            key = decode(envelope.payload, Key)
            made = {"many columns": replace(key, columns=3), "places": replace(key, places=5)}
        if kind == 0x51:
            rows = decode(envelope.payload, Rows)
            made = {
                "late key": Key(KEY.public.to_bytes(), 4, 2),
                "order": replace(rows, number=1),
                "length": replace(rows, ciphertexts=rows.ciphertexts[:-1]),
            }
        if made and spoil in made:
            envelope = replace(envelope, payload=encode(made[spoil]))
        return (encode(envelope),)

    with pytest.raises(PeerError, match="join_sum: "):
        Pair(*roles(np.ones((4, 2)), [0]), wire=wire).run()


def test_a_receiver_that_adds_up_more_than_was_sent_is_refused() -> None:
    layout = Layout(2, 4, 1024)
    many = layout.packing.pack(np.full((1, 5), 5, np.int64))
    sums = b"".join(
        EncryptedVector.encrypt(KEY.public, many).to_bytes() for _ in range(layout.ciphertexts)
    )

    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        if envelope.payload[1] == 0x53:
            envelope = replace(envelope, payload=encode(Summed(sums)))
        return (encode(envelope),)

    with pytest.raises(PeerError, match="do not add up to the places"):
        Pair(*roles(np.ones((4, 2)), [0]), wire=wire).run()


def test_killed_and_restored_at_every_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "CHUNK", 4)
    values, places = np.arange(60.0).reshape(30, 2), [0, 7, 8, 29]
    link = Pair(*roles(values, places))
    for party, role in link.roles.items():
        link._take(party, role.start())
    while link._queue:
        for fresh in roles(values, places):
            party = fresh.context.party
            if party not in link.results:
                fresh.restore(link.roles[party].save())
                link.roles[party] = fresh
        link.deliver()
    assert link.results["bank"].values.tolist() == [88.0, 22.0, 4.0]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 4), st.integers(0, 10**6), st.integers(1, 255))
def test_altered_bytes_end_in_a_typed_error_or_a_result(which: int, at: int, flip: int) -> None:
    count = 0

    def wire(data: bytes) -> Iterable[bytes]:
        nonlocal count
        envelope = decode(data, Envelope)
        count += 1
        if count == which + 1:
            payload = bytearray(envelope.payload)
            payload[at % len(payload)] ^= flip
            envelope = replace(envelope, payload=bytes(payload))
        return (encode(envelope),)

    try:
        Pair(*roles(np.full((4, 2), 31337.0), [0, 1]), wire=wire).run()
    except FedprofileError as error:
        assert "31337" not in str(error)  # noqa: PT017


def test_values_too_large_are_refused_before_encryption() -> None:
    places = np.array([0, 0, 1])
    edge = 2.0**41 - 2.0**-10
    inside = place_values(np.array([[edge], [-1.0], [-edge]]), places, ["debt"])
    assert len(inside) == 2
    for wrong in (2.0**41, -np.inf, np.inf):
        with pytest.raises(
            InputError, match=r"column 'debt': 1 of 2 values are infinite or beyond"
        ):
            place_values(np.array([[wrong], [0.0], [1.0]]), places, ["debt"])
    with pytest.raises(InputError, match="1 of 2"):
        place_values(np.array([[edge], [edge], [1.0]]), places, ["debt"], duplicates="join")
    with pytest.raises(MisuseError, match="collapse or join"):
        place_values(np.ones((3, 1)), places, ["debt"], duplicates="both")


def test_nothing_secret_prints() -> None:
    for role in roles(np.full((3, 2), 424_242.0), [0, 1]):
        step = role.start()
        assert "424242" not in repr(role) + repr(step)
    assert repr(Placed(np.full((3, 2), 42), np.ones((3, 2), bool))) == "<values of 3 places>"


# noise

RANGES = {"a": (-10, 100)}


def noised(
    values: np.ndarray, places: Iterable[int], noise: Noise, minimum: int = 1, epsilon: int = 1000
) -> dict[str, Any]:
    """Both results of a run over columns a (summed) and b (counted) whose noise is given."""
    noising = Noising(COLUMNS, RANGES, epsilon)
    receiver, sender = roles(values, places, minimum)
    receiver._noising, receiver._statistics = noising, [("a", "sum"), ("a", "mean"), ("b", "count")]
    sender = SumSender(
        sender.context, "bank", KEY, place_values(values, np.arange(len(values)), COLUMNS),
        minimum, summed=[True, False], noising=noising, noise=noise,
    )  # fmt: skip
    return Pair(receiver, sender).run()


def fixed(count: int, total: int) -> Noise:
    """Counts and sums moved by so much, in units of the grid."""
    return lambda scales: [count if scale == 3 else total for scale in scales]


def test_noise_moves_what_is_told_and_values_are_clipped() -> None:
    values = np.array([[5.5, 1.0], [1e9, np.nan], [-1e9, 2.0], [np.nan, 3.0]])
    found = noised(values, [0, 1, 2, 3], fixed(2, 7 << 20))["bank"]
    assert found.counts.tolist() == [3 + 2, 3 + 2]
    assert found.values.tolist() == [5.5 + 100 - 10 + 7, (5.5 + 100 - 10 + 7) / 5, 5.0]
    assert found.shared == 4
    learned = noised(values, [0, 1, 2, 3], fixed(2, 7 << 20))["bureau"]
    assert learned.tolist() == [4, 3, 3]


def test_what_is_kept_is_decided_by_the_noised_count() -> None:
    values = np.ones((4, 2))
    assert noised(values, [0, 1, 2], fixed(-2, 0), minimum=2)["bank"].kept.tolist() == [False] * 3
    assert noised(values, [0, 1], fixed(3, 0), minimum=5)["bank"].counts.tolist() == [5, 5]
    none = noised(values, [0], fixed(-3, 0), minimum=0)["bank"]
    assert none.counts.tolist() == [0, 0]  # never a negative one


def test_a_column_that_is_only_counted_tells_no_sum() -> None:
    """It was opened all the same, and thrown away by who follows the protocol."""
    values = np.array([[1.0, 5.0], [2.0, 6.0]])
    for summed in (None, [True, False]):
        receiver, _ = roles(values, [0, 1])
        placed = place_values(values, np.arange(2), COLUMNS)
        sender = SumSender(receiver.context, "bank", KEY, placed, 1, summed=summed)
        sender.context = roles(values, [0])[1].context
        link = Pair(receiver, sender)
        assert link.run()["bank"].values.tolist() == [3.0, 1.5, 2.0]
        (opened,) = [decode(e.payload, Opened) for e in link.sent if e.payload[1] == 0x54]
        half = len(opened.sums) // 2
        assert (opened.sums[half:] == bytes(half)) is (summed is not None)


def test_the_scales_of_noise() -> None:
    noising = Noising(COLUMNS, RANGES, 500)  # three numbers: two counts and a sum
    assert (noising.count_scale, noising.sum_scales[1]) == (6, 0)
    assert noising.sum_scales[0] * noising.steps[0] == 6 * 110 << 20
    wide = Noising(["a"], {"a": (0, 10**12)}, 10)
    assert 45 * wide.sum_scales[0] < 2**63
    assert wide.steps[0] > 1
    placed = wide.bounded(Placed(np.array([[123456789 << 20]]), np.ones((1, 1), bool)))
    assert placed.values[0, 0] % wide.steps[0] == 0


def test_noise_as_it_is_drawn_hides_one_record() -> None:
    keys, values = [str(i) for i in range(40)], {"a": np.arange(40.0)}
    more, less = (
        [
            join_and_sum(
                keys[:n], keys, values, ["a:sum"], key=KEY, epsilon=0.5, ranges={"a": (0, 40)}
            ).values[0]
            for _ in range(12)
        ]
        for n in (40, 39)
    )
    told = [value for value in (*more, *less) if not np.isnan(value)]  # few are under the minimum
    assert len(set(told)) == len(told) > 12
    assert np.nanstd(more) > 39  # what the last record adds
    with pytest.raises(MisuseError, match="ranges"):
        Noising(["a"], {"b": (0, 1)}, 100)


@pytest.mark.parametrize(("counts", "sums"), [([10**6, 1], 0), ([2, 2], 1 << 100)])
def test_what_no_noise_reaches_is_refused(counts: list[int], sums: int) -> None:
    values = np.ones((4, 2))
    receiver, _ = roles(values, [0, 1])
    receiver._noising = Noising(COLUMNS, RANGES, 1000)

    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        if envelope.payload[1] == 0x54:
            found = decode(envelope.payload, Opened)
            width = len(found.sums) // 2
            value = int.from_bytes(found.sums[:width], "little", signed=True) + sums
            added = value.to_bytes(width, "little", signed=True) + found.sums[width:]
            found = Opened(np.array(counts, np.int64), added)
            envelope = replace(envelope, payload=encode(found))
        return (encode(envelope),)

    with pytest.raises(PeerError):
        Pair(receiver, roles(values, [0, 1])[1], wire=wire).run()
