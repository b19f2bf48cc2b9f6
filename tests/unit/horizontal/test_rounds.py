"""Rounds between two parties: what is answered, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from federated.horizontal import AnswerRound, AskRound, HearModel, HorizontalFit, Plan, TellModel
from federated.horizontal.branch import Question
from psi.protocol import Context, PeerError

PLAN = Plan(3, folds=2, steps=2)


def context(party: str) -> Context:
    return Context(bytes(32), "train/x/1", party, bytes)


def question(number: int = 3, models: int | None = None, stage: str = "") -> Question:
    stage = stage or PLAN.stage(number)
    ones = np.ones((PLAN.models(stage) if models is None else models, 4))
    return Question(number, stage, ones, np.zeros(3), np.ones(3), np.zeros(PLAN.edges(stage)))


def sums(count: int) -> Callable[[Question], Any]:
    return lambda asked: np.arange(count, dtype=np.uint64)


def play(asked: Question, answer: AnswerRound) -> Any:
    ask = AskRound(context("a"), ["b"], asked, PLAN)
    (message,) = list(ask.start().messages)
    again = AskRound(context("a"), ["b"], asked, PLAN)
    again.restore(ask.save())  # killed after it has asked
    answer.start()
    waiting = AnswerRound(context("b"), PLAN, answer._number, answer._answer)
    waiting.restore(answer.save())
    turn = waiting.receive(message)
    assert turn.result is True
    (masked,) = list(turn.messages)
    return again.receive(masked).result


def test_the_rounds_of_a_plan() -> None:
    stages = [PLAN.stage(number) for number in range(PLAN.rounds)]
    assert stages == ["sums", "spread", "products", "step", "folds", "scores"]
    bare = Plan(3, folds=0, steps=1)
    assert [bare.stage(number) for number in range(bare.rounds)] == stages[:3]


@pytest.mark.parametrize("number", range(PLAN.rounds))
def test_a_round(number: int) -> None:
    count = PLAN.size(PLAN.stage(number))
    found = play(question(number), AnswerRound(context("b"), PLAN, number, sums(count)))
    assert found["b"].tolist() == list(range(count))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (question(2), "the plan does not have"),
        (question(3, stage="sums"), "the plan does not have"),
        (question(3, stage="scores"), "the plan does not have"),
        (question(3, models=2), "8 numbers of models found"),
    ],
)
def test_a_question_of_another_round_is_not_answered(asked: Question, why: str) -> None:
    with pytest.raises(PeerError, match=why):
        play(asked, AnswerRound(context("b"), PLAN, 3, sums(4)))


def test_an_answer_of_another_size_is_refused() -> None:
    with pytest.raises(PeerError, match="7 sums found, 4 expected"):
        play(question(), AnswerRound(context("b"), PLAN, 3, sums(7)))


def test_the_model_reaches_all_and_must_fit_the_plan() -> None:
    fit = HorizontalFit(
        coefficients=np.arange(3.0),
        intercept=0.5,
        mean=np.zeros(3),
        scale=np.ones(3),
        rows=900,
        positives=300,
        fold_aucs=np.array([0.7, 0.8]),
        log=np.zeros(2),
    )
    tell = TellModel(context("a"), ["b"], fit)
    turn = tell.start()
    assert turn.result is fit
    (message,) = list(turn.messages)
    hear = HearModel(context("b"), PLAN)
    hear.start()
    heard = hear.receive(message).result
    assert heard is not None
    assert (heard.intercept, heard.rows, heard.positives) == (0.5, 900, 300)
    assert heard.coefficients.tolist() == [0, 1, 2]
    other = HearModel(context("b"), Plan(4))
    other.start()
    with pytest.raises(PeerError, match="another shape"):
        other.receive(message)
