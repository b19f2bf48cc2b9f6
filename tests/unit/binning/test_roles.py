"""A label's counts by a partner's bins: what is opened, what is told, and what a lie gets."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from federated.aggregate.noise import Noise, discrete_laplace
from federated.binning import (
    LABEL_LANES,
    ColumnParty,
    LabelParty,
    NumberBins,
    Worths,
    label_lanes,
    noise_scale,
    rounded,
    told,
    worth_of,
)
from federated.binning.messages import LabelShares
from federated.binning.worth import step_of
from federated.sharing import BinHolder, ValueHolder
from psi.protocol import Context, Pair, PeerError, Refused, decode

ROWS = 600


def context(party: str) -> Context:
    return Context(b"session", "binning", party, secrets.token_bytes)


def no_noise(scales: Sequence[int]) -> list[int]:
    return [0] * len(scales)


def judge(codes: Sequence[np.ndarray]) -> object:
    def judged(opened: list[np.ndarray]) -> Worths:
        return told(
            [
                worth_of(
                    f"c{at}", NumberBins(tuple(map(float, range(1, len(counts)))), 0),
                    np.bincount(codes[at], minlength=len(counts)).tolist(), counts,
                    least=20, monotone=False,
                )
                for at, counts in enumerate(opened)
            ]
        )  # fmt: skip

    return judged


def pair(
    label: np.ndarray,
    codes: Sequence[np.ndarray],
    *,
    epsilon: int = 0,
    noise: Noise = no_noise,
    lanes: np.ndarray | None = None,
    wire: Any = None,
) -> tuple[LabelParty, ColumnParty]:
    sent = label_lanes(label) if lanes is None else lanes
    sizes = [max(2, int(code.max()) + 1) for code in codes]
    values = ValueHolder(
        context("bank"), "bureau", len(label), LABEL_LANES, lambda a, b: sent[a:b],
        columns=len(codes),
    )  # fmt: skip
    shares = Pair(
        values, BinHolder(context("bureau"), "bank", codes, sizes, LABEL_LANES), wire=wire
    ).run()
    scale = noise_scale(len(codes), epsilon)
    rows = [np.bincount(code, minlength=size) for code, size in zip(codes, sizes, strict=True)]
    bank = LabelParty(context("bank"), "bureau", shares["bank"], scale, noise)
    own = ColumnParty(
        context("bureau"),
        "bank",
        shares["bureau"],
        rows,
        scale,
        judge(codes),  # type: ignore[arg-type]
    )
    return bank, own


def data() -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(2)
    label = rng.choice([-1, 0, 1], ROWS, p=[0.1, 0.5, 0.4]).astype(np.int8)
    return label, [rng.integers(0, 5, ROWS), rng.integers(0, 2, ROWS), np.zeros(ROWS, np.int64)]


def test_the_owner_gets_the_counts_of_its_bins_and_tells_values_alone() -> None:
    label, codes = data()
    link = Pair(*pair(label, codes))
    found = link.run()
    for code, counts in zip(codes, found["bureau"], strict=True):
        size = max(2, code.max() + 1)
        expected = [
            [((code == k) & (label == 1)).sum(), ((code == k) & (label >= 0)).sum()]
            for k in range(size)
        ]
        assert counts.tolist() == expected
    lines = rounded(["a", "b", "c"], found["bank"])
    assert [line.bins for line in lines] == [5, 2, 1]
    assert lines[2].value == 0.0
    assert all(line.drift is None for line in lines)
    for line in lines:
        assert round(line.value / line.step) * line.step == pytest.approx(line.value)
    assert len(link.sent) == 2, "shares one way, values the other"


def test_a_bank_made_again_before_the_last_message_reads_the_same() -> None:
    label, codes = data()
    bank, own = pair(label, codes, epsilon=1000, noise=discrete_laplace)
    link = Pair(bank, own)
    for name, role in link.roles.items():
        link._take(name, role.start())
    bank.restore(bank.save())
    while link._queue:
        link.deliver()
    assert len(link.results["bank"].value) == 3


def test_noise_is_on_every_number_and_as_large_as_all_columns_need() -> None:
    label, codes = data()
    drawn: list[int] = []

    def counted(scales: Sequence[int]) -> list[int]:
        drawn.extend(scales)
        return [1 + i % 3 for i in range(len(scales))]

    noised = Pair(*pair(label, codes, epsilon=500, noise=counted)).run()["bureau"]
    exact = Pair(*pair(label, codes)).run()["bureau"]
    assert set(drawn) == {6}, "three columns at epsilon .5"
    assert len(drawn) == (8 + 2 + 2) * LABEL_LANES, "bins that nobody has, too"
    assert all((a != b).all() for a, b in zip(noised, exact, strict=True))


def guesses(epsilon: int, tries: int = 400) -> float:
    """How often a partner that puts one row into a bin of its own says its label rightly.

    Of both classes half the time; all three columns are that bin.
    """
    rng = np.random.default_rng(9)
    scale, right = noise_scale(3, epsilon), 0
    for _ in range(tries):
        truth = int(rng.integers(0, 2))
        # what `LabelParty` adds to the count of that bin, column by column
        noise = discrete_laplace([scale] * 3) if scale else [0] * 3
        ratio = sum(abs(truth + n) - abs(truth + n - 1) for n in noise)
        right += (ratio > 0 or (ratio == 0 and rng.random() < 0.5)) == truth
    return right / tries


def test_a_bin_of_one_row_reads_no_label_under_noise() -> None:
    """By all columns together, epsilon 1 allows e/(1 + e) = .73; without noise it is the label.

    The bound stands 6 standard deviations (.022 each, of 400 guesses) from the most allowed.
    """
    pytest.importorskip("opendp")
    assert guesses(0, 40) == 1.0
    assert guesses(1000) < 0.731 + 6 * 0.0222
    label = np.zeros(ROWS, np.int8)
    label[7], label[100:200] = 1, 1
    alone = (np.arange(ROWS) == 7).astype(np.int64)
    (counts,) = Pair(*pair(label, [alone])).run()["bureau"]
    assert counts[1].tolist() == [1, 1], "exact counts are for partners that are trusted"


def test_counts_that_cannot_be_end_the_job() -> None:
    label, codes = data()
    lanes = label_lanes(label)
    lanes[3, 0] = 1 << 40  # powers of two: to be read off again by a value
    for epsilon, noise in ((0, no_noise), (1000, no_noise)):
        with pytest.raises(PeerError, match="cannot have"):
            Pair(*pair(label, codes, epsilon=epsilon, noise=noise, lanes=lanes)).run()


def test_a_refusal_of_the_owner_tells_nothing() -> None:
    label, codes = data()
    bank, own = pair(label, codes)

    def few(opened: list[np.ndarray]) -> Worths:
        raise Refused("few")

    own._judge = few
    link = Pair(bank, own)
    with pytest.raises(Refused):
        link.run()
    assert [type(decode(m.payload, LabelShares)) for m in link.sent] == [LabelShares]


def test_malformed_messages_are_refused() -> None:
    label, codes = data()
    bank, own = pair(label, codes)
    short = np.zeros(2, np.uint64)
    with pytest.raises(PeerError, match="other counts"):
        own.on_shares(None, LabelShares(short), "bank")  # type: ignore[arg-type]
    one = Worths(
        np.array([10], np.uint32), np.array([1], np.uint16), np.array([2], np.uint16),
        np.array([0], np.uint16),
    )  # fmt: skip
    with pytest.raises(PeerError, match="another number of columns"):
        bank.on_worths(None, one, "bureau")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("classes", "step"), [((50, 900), 100), ((1000, 9000), 20), ((99999, 20000), 1)]
)
def test_values_are_rounded_by_the_rows_of_the_rarer_class(
    classes: tuple[int, int], step: int
) -> None:
    assert step_of(*classes) == step


def test_one_row_of_bins_alike_in_size_moves_a_value_by_less_than_a_step() -> None:
    """Of lopsided bins, or as the twentieth of a class, it moves it by more: noise hides that."""
    rng = np.random.default_rng(1)
    worst = 0.0
    for _ in range(200):
        bins = int(rng.integers(2, 12))
        counts = rng.integers(20, 400, (bins, 2)).astype(np.float64)
        opened = np.column_stack([counts[:, 0], counts.sum(axis=1)]).astype(np.int64)
        edges = NumberBins(tuple(map(float, range(1, bins))), 0)
        before = worth_of("x", edges, [1] * bins, opened, least=1, monotone=False)
        moved = opened.copy()
        moved[0] -= 1
        moved[-1] += 1
        after = worth_of("x", edges, [1] * bins, moved, least=1, monotone=False)
        step = step_of(*counts.sum(axis=0)) / 1000
        worst = max(worst, abs(after.value - before.value) / step)
    assert worst < 1.0
