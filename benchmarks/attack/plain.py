"""The vertical regression's own roles over aligned rows, and what each side sees of a training.

Messages, trees, guards, noise and models are the product's: private sums are quick enough.

    fit = fitted(joined, folds=5, seed=1)
    fit.held                         # the one number that the label party was told of each row
    fit.weights, fit.gradients       # what the partner saw of its own
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack.data import Floats, Joined
from federated.regression import FeatureParty, LabelParty, feature_party, label_party, planned
from federated.regression.rounding import FRACTION_BITS
from federated.regression.schedule import Evaluation
from federated.regression.steps import rough
from profiles.train_section import SCORE_BITS
from psi.protocol import Context, Pair

__all__ = ["Fit", "Seen", "dealt", "fitted", "watched"]


@dataclass(frozen=True, repr=False)
class Seen:
    """One evaluation at one party, of its own columns, centred as its role has them.

    evaluation: which models and rows; weights: `float64[models, k]`, of the full model and of each
    fold's before its step; gradients: `float64[vectors, k]`, as opened, the penalty not included.
    The label party's k includes its intercept.
    """

    evaluation: Evaluation
    weights: Floats
    gradients: Floats


@dataclass(frozen=True, repr=False, kw_only=True)
class Fit:
    """What each side saw of one training.

    held: `float64[n]`, what the label party was told of each row, by the model that did not see it;
    bank, partner: their evaluations; coefficients: the partner's final ones; models: `float64[m,
    b]`, those of the full model and of each fold's; labelled: `bool[n]`; fold: `int64[n]`, -1 for
    none; scores, fold_scores: the label party's results.
    """

    held: Floats
    bank: tuple[Seen, ...]
    partner: tuple[Seen, ...]
    coefficients: Floats
    models: Floats
    labelled: NDArray[np.bool_]
    fold: NDArray[np.int64]
    scores: Floats
    fold_scores: Floats


def dealt(label: NDArray[np.int8], folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`int64[n]`: even folds by chance, each class by itself; -1 where there is no label."""
    found = np.full(len(label), -1, dtype=np.int64)
    for value in (0, 1):
        rows = rng.permutation(np.flatnonzero(label == value))
        found[rows] = np.arange(len(rows)) % folds if folds else -1
    return found


def fitted(joined: Joined, *, folds: int = 5, seed: int = 0, **asked: Any) -> Fit:
    """One training at a job's defaults but for `asked` (of `federated.regression.planned`).

    Raises what a role raises.
    """
    rng = np.random.default_rng(seed)
    fold = dealt(joined.label, folds, rng)
    plan = planned(len(joined.label), folds=folds, **{"score_bits": SCORE_BITS} | asked)

    def context(party: str, stream: int) -> Context:
        return Context(bytes(32), "train/t", party, np.random.default_rng([seed, stream]).bytes)

    with watched() as fits:
        bank = LabelParty(
            context("bank", 1),
            ["partner"],
            joined.own,
            joined.label,
            plan=plan,
            folds=fold if folds else None,
        )
        partner = FeatureParty(context("partner", 2), "bank", joined.partner, plan=plan)
        results = Pair(bank, partner).run()
    return replace(fits[0], scores=results["bank"].scores, fold_scores=results["bank"].fold_scores)


@contextlib.contextmanager
def watched() -> Iterator[list[Fit]]:
    """Notes what the roles see, of every training that ends inside, in order.

    `scores` and `fold_scores` stay empty: they are the label party's results.
    """
    fits: list[Fit] = []
    seen: dict[tuple[bytes, str, str], list[Seen]] = {}
    final: dict[tuple[bytes, str], tuple[Floats, Any]] = {}
    opened: dict[bytes, Floats] = {}
    settled, on_sums = FeatureParty._settled, LabelParty.on_sums
    finish, on_learned = FeatureParty._finish, LabelParty.on_learned

    def key(role: Any) -> tuple[bytes, str]:
        return role.context.session, role.context.step

    def note(self: Any, side: str, state: Any) -> None:
        evaluation = self._evaluation(state)
        weights = np.stack([model.weights for model in state.models])
        gradients = opened.pop(state.gradients.tobytes())
        seen.setdefault((*key(self), side), []).append(Seen(evaluation, weights, gradients))

    def see_opened(*given: Any) -> tuple[Floats, float]:
        found = rough(*given)  # a party knows what it puts on its own gradients
        opened[found[0].tobytes()] = given[-1]
        return found

    def see_settled(self: Any, state: Any) -> Any:
        found, messages = settled(self, state)
        if len(found.gradients) and not len(state.gradients):
            note(self, "partner", found)
        return found, messages

    def see_sums(self: Any, state: Any, sent: Any, peer: str) -> Any:
        turn = on_sums(self, state, sent, peer)  # inner products come after them
        note(self, "bank", turn.state.fitting[0])
        return turn

    def see_finish(self: Any, state: Any, messages: Any) -> Any:
        models = np.stack([model.weights for model in state.models])
        final[key(self)] = models, (self._labelled, self._folds)
        return finish(self, state, messages)

    def see_learned(self: Any, state: Any, sent: Any, peer: str) -> Any:
        found = on_learned(self, state, sent, peer)
        models, (labelled, fold) = final.pop(key(self))
        none = np.zeros(0)
        fits.append(
            Fit(
                held=np.ldexp(sent.scores.astype(np.float64), -FRACTION_BITS),
                bank=tuple(seen.pop((*key(self), "bank"))),
                partner=tuple(seen.pop((*key(self), "partner"))),
                coefficients=models[0],
                models=models,
                labelled=labelled,
                fold=fold.astype(np.int64),
                scores=none,
                fold_scores=none,
            )
        )
        return found

    with contextlib.ExitStack() as stack:
        for owner, name, instead in (
            (FeatureParty, "_settled", see_settled),
            (LabelParty, "on_sums", see_sums),
            (FeatureParty, "_finish", see_finish),
            (LabelParty, "on_learned", see_learned),
            (feature_party, "rough", see_opened),
            (label_party, "rough", see_opened),
        ):
            stack.enter_context(patch.object(owner, name, instead))
        yield fits
