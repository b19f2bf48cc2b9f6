"""From an evaluation's opened gradients to the next models, the same way at all parties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from federated.regression.descent import (
    Metric,
    averaged,
    fork_products,
    forked,
    held,
    products,
    stepped,
)
from federated.regression.noise import FADING, LIKE
from federated.regression.results import Floats
from federated.regression.schedule import EVERY, Evaluation
from federated.regression.states import Entry, Fitting
from psi.protocol import PeerError

__all__ = ["following", "near_enough", "own_products", "rough"]

DONE = 1e-3
"""Standard errors from the optimum that count as none."""
NOISY = 1.6
"""How far above its noise an evaluation may be to count as at the optimum.

There the gradient has noise, and the point is off by the noise of the evaluation before: √2.
"""


def rough(
    evaluation: Evaluation, state: Fitting, penalty: Floats, metric: Metric, opened: Floats
) -> tuple[Floats, float]:
    """Opened gradients `float64[vectors, k]` as all that follows takes them: off by a share of
    what they are themselves, anew in each evaluation (`noise.LIKE`).

    The share is of half the evaluation's before at least, of a quarter of that before it, and so
    on: else a liar takes off what it has read, and reads of what is left as much again. Also that
    length, for `Fitting.longest`.
    """
    whole = opened.copy()
    if evaluation.models == (0,):
        whole[0] += penalty * state.models[0].weights
    else:
        whole += penalty * np.stack([state.models[model].weights for model in evaluation.models])
    random = state.transcript.random(f"rough {state.number}")
    lengths = np.maximum(metric.lengths(whole), FADING * state.longest)
    off = LIKE * metric.drawn(lengths, random)
    return np.asarray(opened + off), float(lengths.max())


def own_products(
    evaluation: Evaluation, state: Fitting, penalty: Floats, metric: Metric
) -> list[Floats]:
    """This party's inner products, one array for each model that has a step, in their order.

    They are of gradients with this party's own noise.
    """
    opened = (state.gradients + state.noise).reshape(len(evaluation.vectors), -1)
    if evaluation.models != (0,):
        found = []
        for model, sums in zip(evaluation.models, opened, strict=True):
            descent = state.models[model]
            found.append(products(descent, sums + penalty * descent.weights, metric))
        return found
    full = state.models[0]
    gradient = opened[0] + penalty * full.weights
    found = [products(full, gradient, metric)]
    found += [fork_products(full, gradient, sums, metric) for sums in opened[1:]]
    return found


def following(
    evaluation: Evaluation,
    state: Fitting,
    penalty: Floats,
    metric: Metric,
    told: Floats,
    spans: list[float],
    columns: int = 0,
) -> Fitting:
    """With directions from all sides' inner products `told`, before the next evaluation.

    `columns` is how many all parties have, by which steps are `held`. Raises `PeerError` for
    numbers of another count.
    """
    own = own_products(evaluation, state, penalty, metric)
    ends = np.cumsum([len(each) for each in own])
    if len(told) != ends[-1]:
        raise PeerError(f"{len(told)} inner products found, {ends[-1]} expected")
    whole = np.split(told, ends[:-1])
    noise = state.noise.reshape(len(evaluation.vectors), -1)
    opened = state.gradients.reshape(noise.shape) + noise
    models, log = list(state.models), list(state.log)
    if evaluation.models == (0,):
        gradient = opened[0] + penalty * models[0].weights
        models[0], left, floor = stepped(models[0], gradient, noise[0], metric, whole[0], columns)
        log.append(Entry(evaluation.number, EVERY, left, floor, spans[0]))
        if evaluation.last:
            lefts = [entry.left for entry in log]
            models[0] = averaged(models[0], lefts if metric.noise.any() else lefts[-1:])
        share = (len(opened) - 2) / max(1, len(opened) - 1)
        for fold, sums in enumerate(opened[1:]):
            model, left = forked(
                models[0], sums, noise[1 + fold], metric, share, whole[1 + fold], floor, columns
            )
            models.append(model)
            log.append(Entry(evaluation.number, fold, left, floor, spans[0]))
    else:
        spans = spans if len(spans) == len(opened) else spans * len(opened)
        for at, (place, sums) in enumerate(zip(evaluation.models, opened, strict=True)):
            gradient = sums + penalty * models[place].weights
            models[place], left, floor = stepped(
                models[place], gradient, noise[at], metric, whole[at], columns
            )
            log.append(Entry(evaluation.number, place - 1, left, floor, spans[at]))
    last = state.last
    # where no step was taken, as noise could have made it, the next one would be none either
    idle = not held(log[-1].left, log[-1].floor, columns)
    if evaluation.number < last and (near_enough(log) or idle):
        last = evaluation.number + 1
    return replace(
        state,
        number=state.number + 1,
        last=last,
        running=False,
        limited=False,
        limits=np.zeros(0),
        models=tuple(models),
        log=tuple(log),
        gradients=np.zeros(0),
        noise=np.zeros(0),
    )


def near_enough(log: list[Entry]) -> bool:
    """Whether one evaluation more is enough: the gradient is nothing, or what noise makes of it.

    The last one adds the folds, and one draw more to the mean of models.
    """
    every = [entry for entry in log if entry.fold == EVERY]
    if not every[-1].floor:
        return every[-1].left < DONE
    return every[-1].left < NOISY * every[-1].floor
