"""The rounds of horizontal training between the parties: a question to all, a masked vector back.

    receiver -> every other   Ask      the round's stage and models
    every other -> receiver   Masked   noised sums over its own rows, under masks that cancel
    receiver -> every other   Fitted   the model, once all rounds are done

The receiver coordinates: it adds its own masked vector to the others' and sees their total. Each
round is a step of its own, so a party that was killed goes on at the round it was in. A party
answers the rounds of the contract's plan, in their order, and nothing else.

Who learns what, adversary model and sources: docs/protocols/horizontal.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from federated.horizontal.branch import Question
from federated.horizontal.logistic import HorizontalFit
from federated.horizontal.plan import Plan
from psi.protocol import (
    Array,
    Context,
    Done,
    Length,
    PeerError,
    Range,
    Role,
    Text,
    Turn,
    message,
)

__all__ = ["AnswerRound", "AskRound", "HearModel", "Masked", "TellModel"]

MOST_NUMBERS = 1 << 26
"""Of a round's question or answer: 512 MB."""

_Floats = Annotated[NDArray[np.float64], Array("float64", most=MOST_NUMBERS)]
Masked = NDArray[np.uint64]
Answer = Callable[[Question], Masked]


@message(0x90)
@dataclass(frozen=True)
class _Ask:
    number: Annotated[int, Range(0, 10_000)]
    stage: Annotated[str, Text(16)]
    models: _Floats
    mean: _Floats
    scale: _Floats
    edges: _Floats


@message(0x91)
@dataclass(frozen=True)
class _Masked:
    values: Annotated[NDArray[np.uint64], Array("uint64", most=MOST_NUMBERS)]


@message(0x92)
@dataclass(frozen=True, kw_only=True)
class _Fitted:
    coefficients: _Floats
    mean: _Floats
    scale: _Floats
    fold_aucs: _Floats
    log: _Floats
    intercept: float
    rows: Annotated[int, Range(0, 2**40)]
    positives: Annotated[int, Range(0, 2**40)]


@message(0x93)
@dataclass(frozen=True)
class _Asking:
    answers: Annotated[dict[str, Annotated[bytes, Length(8 * MOST_NUMBERS)]], Length(64)]


@message(0x94)
@dataclass(frozen=True)
class _Waiting:
    pass


class AskRound(Role[dict[str, Any]]):
    """The receiver's side of a round; the result is `uint64[m]` by party.

    Args:
        context: session, step, this party's name, its randomness and its store.
        peers: names of the other parties.
        question: what the coordinator asks in this round.
        plan: columns, folds, steps and bits, as in the contract.
    """

    transitions = {(_Asking, _Masked): "on_masked"}  # noqa: RUF012

    def __init__(self, context: Context, peers: list[str], question: Question, plan: Plan) -> None:
        super().__init__(context)
        self._peers, self._question, self._plan = peers, question, plan

    def begin(self) -> Turn[dict[str, Any]]:
        q = self._question
        asked = _Ask(q.number, q.stage, q.models.ravel(), q.mean, q.scale, q.edges)
        return Turn(_Asking({}), [(peer, asked) for peer in self._peers])

    def on_masked(self, state: _Asking, incoming: _Masked, peer: str) -> Turn[dict[str, Any]]:
        found, due = len(incoming.values), self._plan.size(self._question.stage)
        if found != due:
            raise PeerError(f"{found} sums found, {due} expected")
        answers = state.answers | {peer: incoming.values.tobytes()}
        if len(answers) < len(self._peers):
            return Turn(_Asking(answers))
        masked = {name: np.frombuffer(data, np.uint64) for name, data in answers.items()}
        return Turn(Done(), result=masked)


class AnswerRound(Role[bool]):
    """Every other party's side of round `number`: one answer.

    Args:
        context: session, step, this party's name, its randomness and its store.
        plan: columns, folds, steps and bits, as in the contract.
    """

    transitions = {(_Waiting, _Ask): "on_ask"}  # noqa: RUF012

    def __init__(self, context: Context, plan: Plan, number: int, answer: Answer) -> None:
        super().__init__(context)
        self._plan, self._number, self._answer = plan, number, answer

    def begin(self) -> Turn[bool]:
        return Turn(_Waiting())

    def on_ask(self, state: _Waiting, asked: _Ask, peer: str) -> Turn[bool]:
        del state
        if (asked.number, asked.stage) != (self._number, self._plan.stage(self._number)):
            raise PeerError("a question that the plan does not have in this round")
        shape = (self._plan.models(asked.stage), self._plan.width)
        if len(asked.models) != shape[0] * shape[1]:
            raise PeerError(f"{len(asked.models)} numbers of models found, {shape} expected")
        models = asked.models.reshape(shape)
        question = Question(asked.number, asked.stage, models, asked.mean, asked.scale, asked.edges)
        return Turn(Done(), [(peer, _Masked(self._answer(question)))], True)


class TellModel(Role[HorizontalFit]):
    """The receiver gives the model to all.

    Args:
        context: session, step, this party's name, its randomness and its store.
        peers: names of the other parties.
        fit: the model, as the coordinator has it.
    """

    transitions = {}  # noqa: RUF012

    def __init__(self, context: Context, peers: list[str], fit: HorizontalFit) -> None:
        super().__init__(context)
        self._peers, self._fit = peers, fit

    def begin(self) -> Turn[HorizontalFit]:
        f = self._fit
        told = _Fitted(
            coefficients=f.coefficients,
            mean=f.mean,
            scale=f.scale,
            fold_aucs=f.fold_aucs,
            log=f.log,
            intercept=f.intercept,
            rows=f.rows,
            positives=f.positives,
        )
        return Turn(Done(), [(peer, told) for peer in self._peers], f)


class HearModel(Role[HorizontalFit]):
    """Every other party takes it.

    Args:
        context: session, step, this party's name, its randomness and its store.
        plan: columns, folds, steps and bits, as in the contract.
    """

    transitions = {(_Waiting, _Fitted): "on_fitted"}  # noqa: RUF012

    def __init__(self, context: Context, plan: Plan) -> None:
        super().__init__(context)
        self._plan = plan

    def begin(self) -> Turn[HorizontalFit]:
        return Turn(_Waiting())

    def on_fitted(self, state: _Waiting, told: _Fitted, peer: str) -> Turn[HorizontalFit]:
        del state, peer
        columns = {len(told.coefficients), len(told.mean), len(told.scale)}
        if columns != {self._plan.columns} or not np.isfinite(told.coefficients).all():
            raise PeerError("a model of another shape")
        fit = HorizontalFit(
            coefficients=told.coefficients,
            intercept=told.intercept,
            mean=told.mean,
            scale=told.scale,
            rows=told.rows,
            positives=told.positives,
            fold_aucs=told.fold_aucs,
            log=told.log,
        )
        return Turn(Done(), result=fit)
