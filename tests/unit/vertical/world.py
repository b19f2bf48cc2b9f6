"""A small world for vertical training: columns at several parties, roles, the central answer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from federated.models.logistic import sigmoid
from federated.vertical import FeatureParty, LabelParty, fit_logistic
from psi.protocol import Context, Envelope, Pair, decode, encode
from psi.protocol.codec import peek
from psi.protocol.role import Role
from tests.unit.paillier.keys import stream, toy_key

NAMES = ("bureau", "registry", "telecom")
SESSION = bytes(range(32))
EXACT = 28
"""Bits of a score that leave Newton's arithmetic to look at; a contract has 12 at most."""


def exact() -> AbstractContextManager[object]:
    """Numbers that steer the training are told as finely as final ones: the central model."""
    return patch("federated.vertical.plan.DIRECTION_BITS", EXACT)


@dataclass(frozen=True)
class World:
    """Standardised columns of the label party and of each partner, labels, folds."""

    own: NDArray[np.float64]
    parts: dict[str, NDArray[np.float64]]
    label: NDArray[np.int8]
    folds: NDArray[np.int64] | None

    @property
    def labelled(self) -> NDArray[np.bool_]:
        return self.label >= 0

    def joined(self) -> NDArray[np.float64]:
        ones = np.ones((len(self.label), 1))
        return np.hstack([ones, self.own, *self.parts.values()])

    def central(self, rows: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Coefficients of the model fitted on the joined columns, intercept first."""
        x, chosen = self.joined(), self.labelled if rows is None else rows
        penalty = np.ones(x.shape[1])
        penalty[0] = 0.0
        return fit_logistic(x[chosen], self.label[chosen], penalty).coefficients

    def central_folds(self) -> NDArray[np.float64]:
        """Held-out probabilities of the central model."""
        found = np.full(len(self.label), np.nan)
        assert self.folds is not None
        for fold in range(int(self.folds.max()) + 1):
            w = self.central(self.labelled & (self.folds != fold))
            held = self.folds == fold
            found[held] = sigmoid(self.joined()[held] @ w)
        return found


def make_world(
    rows: int = 300,
    own: int = 3,
    widths: Sequence[int] = (6,),
    *,
    folds: int = 0,
    unlabelled: int = 0,
    seed: int = 1,
) -> World:
    """Correlated columns, some of them binary, whose label depends on every party."""
    draw = np.random.default_rng(seed)
    total = own + sum(widths)
    mixing = np.eye(total) + 0.4 * draw.normal(size=(total, total)) / np.sqrt(total)
    x = draw.normal(size=(rows, total)) @ mixing
    x[:, ::3] = x[:, ::3] > np.quantile(x[:, ::3], 0.7, axis=0)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    weights = draw.normal(size=total) / np.sqrt(total) * 1.5
    label = (draw.uniform(size=rows) < sigmoid(x @ weights - 0.7)).astype(np.int8)
    if unlabelled:
        label[draw.permutation(rows)[:unlabelled]] = -1
    groups = None
    if folds:
        groups = np.full(rows, -1, dtype=np.int64)
        for value in (0, 1):
            chosen = draw.permutation(np.flatnonzero(label == value))
            groups[chosen] = np.arange(len(chosen)) % folds
    cuts = np.cumsum([own, *widths])
    parts = {name: x[:, low:high] for name, low, high in zip(NAMES, cuts, cuts[1:], strict=False)}
    return World(x[:, :own], parts, label, groups)


def pair_secrets(names: Sequence[str], party: str) -> dict[str, bytes]:
    others = [name for name in names if name != party]
    return {name: "|".join(sorted((name, party))).encode().ljust(32, b".") for name in others}


def context(party: str, seed: str = "") -> Context:
    return Context(SESSION, "train/churn", party, stream(f"vertical {party} {seed}"))


def label_party(world: World, *, bits: int = 512, seed: str = "", **options: Any) -> LabelParty:
    chosen: dict[str, Any] = {"steps": 3, "fold_steps": 1, "key": toy_key(bits), **options}
    return LabelParty(
        context("bank", seed),
        list(world.parts),
        world.own,
        world.label,
        folds=world.folds,
        **chosen,
    )


def feature_parties(
    world: World,
    *,
    cap: int = 8,
    seed: str = "",
    bits: int = 512,
    score_bits: int = EXACT,
    row_bits: int = 1000,
) -> dict[str, FeatureParty]:
    names = list(world.parts)
    return {
        name: FeatureParty(
            context(name, seed),
            "bank",
            part,
            partners=names,
            cap=cap,
            score_bits=score_bits,
            row_bits=row_bits,
            others=sum(other.shape[1] for key, other in world.parts.items() if key != name),
            secrets=pair_secrets(names, name),
            key_bits=bits,
        )
        for name, part in world.parts.items()
    }


def distance(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Largest difference relative to the largest wanted."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def run(
    world: World, *, cap: int = 8, score_bits: int = EXACT, **options: Any
) -> tuple[Pair, dict[str, Any]]:
    parties = feature_parties(world, cap=cap, score_bits=score_bits)
    pair = Pair(label_party(world, **options), *parties.values())
    return pair, pair.run()


def joined(world: World, results: dict[str, Any]) -> np.ndarray:
    fit = results["bank"]
    parts = [results[name].coefficients for name in world.parts]
    return np.concatenate([[fit.intercept], fit.coefficients, *parts])


def inbox(pair: Pair, party: str, kind: type[Any]) -> list[tuple[str, Any]]:
    found = [e for e in pair.sent if e.receiver == party and peek(e.payload) is kind]
    return [(e.sender, decode(e.payload, kind)) for e in found]


class Restarting(Pair):
    """Before every envelope its receiver dies and comes back from what it saved."""

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(label_party(world, **options), *feature_parties(world).values())
        self.world, self.options, self.restarts = world, options, 0

    def deliver(self) -> None:
        party = decode(self._queue[0], Envelope).receiver
        fresh: Role[Any] = (
            # built with another key: the one in the checkpoint counts
            label_party(self.world, seed=f"{self.restarts}", bits=1024, **self.options)
            if party == "bank"
            else feature_parties(self.world, seed=f"{self.restarts}")[party]
        )
        fresh.restore(self.roles[party].save())
        self.roles[party] = fresh
        self.restarts += 1
        super().deliver()


def deliver(role: Role[Any], message: Any, sender: str, sequence: int = 0) -> Any:
    step, receiver = role.context.step, role.context.party
    return role.receive(Envelope(SESSION, step, sender, receiver, sequence, encode(message)))
