"""A small regression of two parties, and its centre."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.regression import FeatureParty, LabelParty, RegressionPlan
from psi.protocol import Context, MemoryStore, Pair

SESSION = b"s" * 32


def context(party: str, store: Any = None) -> Context:
    return Context(SESSION, "train/t", party, secrets.token_bytes, store or MemoryStore())


def plan(rows: int, **terms: Any) -> RegressionPlan:
    given = {
        "evaluations": 6,
        "folds": 0,
        "fold_evaluations": 0,
        "noise": 0.0,
        "grid_bits": 8,
        "column_bits": 14,
    }
    return RegressionPlan(rows=rows, **{**given, **terms})


@dataclass
class World:
    """Columns of the bank (a, with the label) and of the bureau (b)."""

    a: np.ndarray
    b: np.ndarray
    y: np.ndarray
    folds: np.ndarray

    @classmethod
    def of(cls, rows: int, seed: int = 0, *, link: str = "logistic", wide: int = 1) -> World:
        rng = np.random.default_rng(seed)
        category = rng.integers(0, 3, rows)
        a = np.column_stack(
            [rng.normal(size=rows), *(category == value for value in (1, 2))]
        ).astype(float)
        numbers = rng.normal(size=(rows, wide)) + 0.5 * a[:, :1]
        b = np.column_stack([numbers, rng.integers(0, 12, rows) / 3.0 - 2.0])
        score = a @ [0.8, -0.6, 0.5] + b[:, :-1].sum(axis=1) * 0.5 / wide - b[:, -1] * 0.4
        if link == "logistic":
            y: Any = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int8)
        elif link == "linear":
            y = 40.0 + 7.0 * score + rng.normal(size=rows)
        else:
            y = rng.poisson(np.exp(0.5 * score)).astype(float)
        return cls(a, b, y, np.arange(rows) % 3)

    @property
    def joined(self) -> np.ndarray:
        return np.column_stack([np.ones(len(self.y)), self.a, self.b])

    def label_party(self, terms: RegressionPlan, **given: Any) -> LabelParty:
        store = given.pop("store", None)
        folds = self.folds if terms.folds else None
        kind = given.pop("kind", LabelParty)
        role: LabelParty = kind(
            context("bank", store), ["bureau"], self.a, self.y, plan=terms, folds=folds, **given
        )
        return role

    def feature_party(self, terms: RegressionPlan, **given: Any) -> FeatureParty:
        store, kind = given.pop("store", None), given.pop("kind", FeatureParty)
        role: FeatureParty = kind(context("bureau", store), "bank", self.b, plan=terms, **given)
        return role

    def several(self, terms: RegressionPlan, **given: Any) -> list[Any]:
        """The bank and as many bureaus as the terms have, each with a few of the columns b."""
        names = [f"bureau{at}" for at in range(terms.partners)]
        parts = np.array_split(self.b, terms.partners, axis=1)
        stores = given.pop("stores", {})
        bank = LabelParty(
            context("bank", stores.get("bank")),
            names,
            self.a,
            self.y,
            plan=terms,
            folds=self.folds if terms.folds else None,
            most={name: part.shape[1] for name, part in zip(names, parts, strict=True)},
        )
        return [bank] + [
            given.get(name, FeatureParty)(
                context(name, stores.get(name)),
                "bank",
                part,
                plan=terms,
                partners=names,
                others=self.b.shape[1] - part.shape[1],
                most=self.a.shape[1],
            )
            for name, part in zip(names, parts, strict=True)
        ]

    def run(self, terms: RegressionPlan, **given: Any) -> tuple[Any, Any, Pair]:
        """`given` goes to the label party."""
        pair = Pair(self.label_party(terms, **given), self.feature_party(terms))
        found = pair.run()
        return found["bank"], found["bureau"], pair


def centre(x: np.ndarray, y: np.ndarray, link: str = "logistic") -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the joined rows by Newton steps with penalty 1, and their standard errors."""
    w, penalty = np.zeros(x.shape[1]), np.append(0.0, np.ones(x.shape[1] - 1))
    square = np.eye(x.shape[1])
    for _ in range(40):
        z = x @ w
        mean = 1 / (1 + np.exp(-z)) if link == "logistic" else np.exp(z)
        slope = mean * (1 - mean) if link == "logistic" else mean
        if link == "linear":
            mean, slope = z, np.ones(len(z))
        square = (x * slope[:, None]).T @ x + np.diag(penalty)
        w = w - np.linalg.solve(square, x.T @ (mean - y) + penalty * w)
    return w, np.sqrt(np.diag(np.linalg.inv(square)))


def weights(bank: Any, bureau: Any) -> np.ndarray:
    return np.concatenate([[bank.intercept], bank.coefficients, bureau.coefficients])
