"""A small world for trees of two parties, and a stand-in that finds splits in plain sight."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_type_hints

import numpy as np

from federated.trees.feature_party import FeatureParty
from federated.trees.label_party import LabelParty
from federated.trees.layout import Column, Layout
from federated.trees.plan import TreesPlan
from federated.trees.splitting import (
    GRADIENT_BITS,
    HESSIAN_BITS,
    SplitAnswer,
    SplitAsk,
    SplitCircuit,
    SplitPicks,
    SplitTables,
    SplitWon,
)
from psi.protocol import Context, MemoryStore, Pair

SESSION = b"s" * 32


def context(party: str, store: Any = None) -> Context:
    return Context(SESSION, "train/t", party, secrets.token_bytes, store or MemoryStore())


def blank(kind: Any, **given: Any) -> Any:
    """A message with nothing in the fields that are not given."""
    hints = get_type_hints(kind, include_extras=True)
    for name in {field.name for field in fields(kind)} - set(given):
        hint = hints[name]
        if is_dataclass(hint):
            given[name] = blank(hint)
        elif hint.__origin__ is bytes:
            given[name] = b""
        else:
            array = hint.__metadata__[0]
            given[name] = np.zeros((0, array.width) if array.width else 0, array.dtype)
    return kind(**given)


def sides(fit: Any, bins: list[np.ndarray]) -> np.ndarray:
    """Whether each row goes right at each of a feature party's splits."""
    return np.array([~split.left[bins[split.column]] for split in fit.splits])


def fixed_sums(sums: Any, noise: float, place: str, *rest: Any) -> Any:
    """In place of sums with noise: one number each by their place, whatever rows there are.

    Of nodes that are large enough to ask, whose own splits have enough on both sides.
    """
    del noise, rest
    rng = np.random.default_rng(sum(place.encode()) + sums.size)
    what, low, high = place.rsplit(" ", 1)[0], -(1 << 14), 1 << 14
    ranges = {
        "curvatures of nodes": (1 << 18, 1 << 18),
        "curvatures of own": (1 << 16, 3 << 16),
        "curvatures of leaves": (1 << 14, 1 << 15),
        "rows of nodes": (1000, 1000),
        "rows of own": (300, 700),
    }
    low, high = ranges.get(what, (low, high))
    return rng.integers(low, high + 1, sums.shape)


class PlainLabel:
    """Sends its shares and all it knows with the circuit."""

    def __init__(self, store: Any, chooses: Any, gives: Any) -> None:
        self._store = store

    def ask(self, transcript: Any, level: Any, g: Any, h: Any, totals: Any, counts: Any) -> Any:
        least = np.array([totals.penalty, totals.least])
        room = np.full(level.nodes, 1 << 32) if totals.room is None else totals.room
        counts = np.zeros_like(g) if counts is None else counts
        numbers = (totals.gradients, totals.hessians, totals.own, room, least)
        whole = [each.tobytes() for each in (g, h, counts)]
        whole += [np.asarray(n, "<f8").tobytes() for n in numbers]
        self._store.put("split-plain", 0, np.frombuffer(b"".join(whole), np.uint8))
        return blank(SplitAsk, level=level.number)

    def tables(self, transcript: Any, level: Any, sent: Any) -> Any:
        return blank(SplitTables, level=level.number)

    def garble(self, transcript: Any, level: Any, sent: Any) -> Any:
        whole = self._store.get("split-plain", 0)
        return blank(SplitCircuit, level=level.number, colours=whole)

    def won(self, level: Any, sent: Any) -> Any:
        return sent.labels[:, 0] == 1


class PlainFeature:
    """Adds its shares, and takes the best split of each node."""

    def __init__(self, store: Any, chooses: Any, gives: Any) -> None:
        self._store = store

    def answer(self, transcript: Any, level: Any, g: Any, h: Any, sent: Any) -> Any:
        self._store.put("split-plain", 0, np.stack([g, h]))
        return blank(SplitAnswer, level=level.number)

    def pick(self, transcript: Any, level: Any, sent: Any, kept: Any, counts: Any) -> Any:
        self._store.put("split-kept", 0, kept)
        g = self._store.get("split-plain", 0)[:1]
        self._store.put("split-rows", 0, np.zeros_like(g) if counts is None else counts[None])
        return blank(SplitPicks, level=level.number)

    def decide(self, level: Any, sent: Any) -> Any:
        own, data = self._store.get("split-plain", 0), sent.colours.tobytes()
        own = np.concatenate([own, self._store.get("split-rows", 0)])
        size = own[0].size
        theirs = np.frombuffer(data[: 12 * size], "<u4").reshape(own.shape)
        left_g, left_h, rows = (own + theirs).view(np.int32)
        rest = np.frombuffer(data[12 * size :], "<f8")
        total_g, total_h, gain, room = (each[:, None] for each in rest[:-2].reshape(4, -1))
        penalty, least = rest[-2:]
        g, h = left_g * 2.0**-GRADIENT_BITS, left_h * 2.0**-HESSIAN_BITS
        all_g, all_h = total_g * 2.0**-GRADIENT_BITS, total_h * 2.0**-HESSIAN_BITS
        with np.errstate(divide="ignore"):  # in nodes that have ended: nobody wins there
            found = g * g / (h + penalty) + (all_g - g) ** 2 / (all_h - h + penalty)
        found -= all_g**2 / (all_h + penalty)
        light = np.minimum(h, all_h - h) < least
        light |= np.minimum(left_h, total_h - left_h) <= 0
        light |= (rows < 0) | (rows > room)
        apart = g - all_g * (h + penalty) / (all_h + 2 * penalty)
        kept = self._store.get("split-kept", 0).reshape(-1, own[0].shape[1])
        found[light | ~np.where(apart < 0, kept[-1], kept[0])] = -np.inf
        best = found.argmax(axis=1)
        won = found.max(axis=1) > gain[:, 0] + 1e-9
        labels = np.zeros((len(won), 2), np.uint64)
        labels[:, 0] = won
        return blank(SplitWon, level=level.number, labels=labels), np.where(won, best, -1)


class PlainLabelParty(LabelParty):
    finder = PlainLabel  # type: ignore[assignment]


class PlainFeatureParty(FeatureParty):
    finder = PlainFeature  # type: ignore[assignment]


def plan(rows: int, **terms: Any) -> TreesPlan:
    return TreesPlan(rows=rows, **{"trees": 3, "depth": 3, "row_bits": 99, **terms})


@dataclass
class World:
    """Bins of the bank (a, with the label) and of the bureau (b)."""

    a: list[np.ndarray]
    b: list[np.ndarray]
    layout_a: Layout
    layout_b: Layout
    y: np.ndarray

    @classmethod
    def of(cls, rows: int, seed: int = 0) -> World:
        rng = np.random.default_rng(seed)
        layout_a = Layout((Column(8, True, False), Column(3, False, False)))
        layout_b = Layout((Column(16, True, True), Column(5, False, False), Column(2, True, False)))
        a, b = (
            [rng.integers(0, c.cells, rows).astype(np.uint16) for c in layout.columns]
            for layout in (layout_a, layout_b)
        )
        score = 0.3 * a[0] - 0.2 * b[0] * (a[1] == 1) + 1.5 * (b[1] == 2) - 0.8 * b[2] - 0.5
        y = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int8)
        return cls(a, b, layout_a, layout_b, y)

    @property
    def joined(self) -> tuple[list[np.ndarray], Layout]:
        return [*self.a, *self.b], Layout((*self.layout_a.columns, *self.layout_b.columns))

    def label_party(self, terms: TreesPlan, **given: Any) -> LabelParty:
        kind, store = given.pop("kind", PlainLabelParty), given.pop("store", None)
        role: LabelParty = kind(
            context("bank", store),
            ["bureau"],
            self.a,
            self.layout_a,
            self.y,
            plan=terms,
            **given,
        )
        return role

    def feature_party(self, terms: TreesPlan, **given: Any) -> FeatureParty:
        kind, store = given.pop("kind", PlainFeatureParty), given.pop("store", None)
        role: FeatureParty = kind(
            context("bureau", store), "bank", self.b, self.layout_b, plan=terms, **given
        )
        return role

    def run(self, terms: TreesPlan, theirs: Any = (), **given: Any) -> tuple[Any, Any, Pair]:
        """theirs: the ways of the bureau's columns."""
        pair = Pair(self.label_party(terms, **given), self.feature_party(terms, ways=theirs))
        found = pair.run()
        return found["bank"], found["bureau"], pair
