"""Both sides of split finding in one process, and what it should find."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.seeds import BASE, GROUP_BITS, GROUPS, LEAVES
from federated.sharing.transcript import Transcript
from federated.trees.splitting import (
    GRADIENT_BITS,
    HESSIAN_BITS,
    FeatureSplits,
    LabelSplits,
    Level,
    Totals,
)
from federated.trees.splitting.level import INDEX_BITS
from federated.trees.splitting.scores import constants, penalty_units
from psi.protocol import encode
from psi.protocol.store import MemoryStore


def linked(name: bytes) -> tuple[IndexKeys, ValueKeys]:
    """Both sides' keys of a direction, as base transfers make them."""
    drawn = hashlib.shake_256(name).digest(GROUPS * LEAVES * 16 + BASE + 32)
    seeds = np.frombuffer(drawn[: GROUPS * LEAVES * 16], np.uint8).reshape(GROUPS, LEAVES, 16)
    bits = np.frombuffer(drawn[-BASE - 32 : -32], np.uint8) & np.uint8(1)
    bits[0] = 1
    places = bits.reshape(GROUPS, GROUP_BITS) @ (1 << np.arange(GROUP_BITS))
    known = seeds.copy()
    known[np.arange(GROUPS), places] = 0
    coin = drawn[-32:]
    return IndexKeys(seeds.tobytes(), coin), ValueKeys(known.tobytes(), bits, coin)


A_KEYS, B_GIVES = linked(b"label party chooses")
B_KEYS, A_GIVES = linked(b"feature party chooses")


def transcript(name: bytes) -> Transcript:
    """A party's, of an injected seed."""
    return Transcript.begin(lambda size: hashlib.shake_256(name).digest(size), b"splits")


@dataclass
class Found:
    """What both learn, and the messages in their order."""

    won: Any
    candidate: Any
    messages: list[Any]
    store_a: MemoryStore
    store_b: MemoryStore

    @property
    def bytes(self) -> int:
        return sum(len(encode(each)) for each in self.messages)


def shared(values: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Additive shares modulo 2^32."""
    mine = rng.integers(0, 1 << 32, values.shape, dtype=np.uint64).astype(np.uint32)
    return mine, values.astype(np.uint64).astype(np.uint32) - mine


def run(
    level: Level,
    left: Any,
    totals: Totals,
    *,
    seed: int = 1,
    kept: Any = None,
    counts: Any = None,
    change: Mapping[int, Callable[[Any], Any]] | None = None,
) -> Found:
    """`left: int64[2, nodes, candidates]`, G_L and H_L in units; `change` alters messages.

    counts: `int64[nodes, candidates]`, rows on the left less the fewest of a side.
    """
    rng = np.random.default_rng(seed)
    g_a, g_b = shared(left[0], rng)
    h_a, h_b = shared(left[1], rng)
    rows_a, rows_b = (None, None) if counts is None else shared(counts, rng)
    stores = MemoryStore(), MemoryStore()
    heard = [transcript(b"a%d" % seed), transcript(b"b%d" % seed)]
    kept = np.ones(level.candidates, np.bool_) if kept is None else kept
    messages: list[Any] = []

    def told(message: Any) -> Any:
        sent = (change or {}).get(len(messages), lambda m: m)(message)
        listener = 1 - len(messages) % 2
        heard[listener] = heard[listener].hear(hashlib.sha256(encode(sent)).digest())
        messages.append(sent)
        return sent

    def label() -> LabelSplits:  # made anew for each message, as after a restart
        return LabelSplits(stores[0], A_KEYS, A_GIVES)

    def feature() -> FeatureSplits:
        return FeatureSplits(stores[1], B_KEYS, B_GIVES)

    asked = told(label().ask(heard[0], level, g_a, h_a, totals, rows_a))
    answer = told(feature().answer(heard[1], level, g_b, h_b, asked))
    tables = told(label().tables(heard[0], level, answer))
    picks = told(feature().pick(heard[1], level, tables, kept, rows_b))
    circuit = told(label().garble(heard[0], level, picks))
    last, candidate = feature().decide(level, circuit)
    return Found(label().won(level, told(last)), candidate, messages, *stores)


@dataclass
class Case:
    """A level as rows make it: `left: int64[2, nodes, candidates]` in units, gains `float64`."""

    level: Level
    left: Any
    totals: Totals
    gains: Any

    def scores(self) -> tuple[Any, Any, Any]:
        """The least and the largest magnitude that each candidate may have, and the own ones.

        A candidate's place may be one step too far, and three roundings are a unit each.
        """
        found, (g, h) = constants(self.level, self.totals), self.left
        lam = penalty_units(self.totals.penalty)
        fine = (g << self.level.mean_bits) - found.slopes[:, None] * (h + lam)
        place = (h + lam) * found.places[:, None] >> 32 - INDEX_BITS
        sizes = []
        for step in (place, place + 1):
            scale = found.scales[np.arange(self.level.nodes)[:, None], step & 127].astype(np.int64)
            sizes.append(np.abs(scale * (fine >> self.level.dropped)) / 2**16)
        return np.minimum(*sizes) - 3, np.maximum(*sizes) + 3, found.own.astype(np.int64)


def gain(g: Any, h: Any, gl: Any, hl: Any, lam: float) -> Any:
    """XGBoost's, without its half; arrays in real units."""
    return gl**2 / (hl + lam) + (g - gl) ** 2 / (h - hl + lam) - g**2 / (h + lam)


def case(
    *,
    rows: int = 3000,
    nodes: int = 4,
    columns: int = 3,
    bins: int = 8,
    depth: int = 2,
    seed: int = 0,
    penalty: float = 1.0,
    rate: float = 0.3,
    effect: float = 0.2,
) -> Case:
    """Rows with a label that hangs on the first column."""
    rng = np.random.default_rng(seed)
    bin_of = rng.integers(0, bins, (columns, rows))
    node = rng.integers(0, nodes, rows)
    y = rng.random(rows) < rate + effect * (bin_of[0] * 2 >= bins)
    p = np.clip(rate + 0.1 * rng.standard_normal(rows), 0.02, 0.98)
    g = np.rint((p - y) * 2**GRADIENT_BITS).astype(np.int64)
    h = np.maximum(np.rint(p * (1 - p) * 2**HESSIAN_BITS), 1).astype(np.int64)
    return level_of(g, h, bin_of, node, nodes=nodes, bins=bins, depth=depth, penalty=penalty)


def level_of(
    g: Any,
    h: Any,
    bin_of: Any,
    node: Any,
    *,
    nodes: int,
    bins: int,
    depth: int = 0,
    penalty: float = 1.0,
    times: int = 1,
) -> Case:
    """Of rows' numbers `int64[n]` in units, bins `int[columns, n]`; each row `times` times."""
    left: Any = np.zeros((2, nodes, len(bin_of), bins), np.int64)
    for column in range(len(bin_of)):
        np.add.at(left[0, :, column], (node, bin_of[column]), g * times)
        np.add.at(left[1, :, column], (node, bin_of[column]), h * times)
    sums = left[:, :, 0].sum(axis=-1)
    left = np.cumsum(left, axis=-1)[..., :-1].reshape(2, nodes, -1)
    squares = (g / 2.0**GRADIENT_BITS) ** 2 / (h / 2.0**HESSIAN_BITS)
    level = Level(number=3, depth=depth, nodes=nodes, candidates=left.shape[2], rows=len(g) * times)
    whole = sums / np.array([[2.0**GRADIENT_BITS], [2.0**HESSIAN_BITS]])
    parts = left[0] / 2.0**GRADIENT_BITS, left[1] / 2.0**HESSIAN_BITS
    totals = Totals(
        gradients=sums[0],
        hessians=sums[1],
        squares=np.bincount(node, squares * times, nodes).astype(np.float64),
        own=np.zeros(nodes),
        penalty=penalty,
    )
    return Case(level, left, totals, gain(whole[0][:, None], whole[1][:, None], *parts, penalty))
