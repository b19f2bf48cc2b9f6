"""Models: what leaves a fit, one model a file.

A model says how a score becomes a prediction and what a wrong one costs; a part is what one party
holds of a fitted model. Whoever fits, scores, explains, compares or keeps a model does it by
these two, so that a new one is its own file and a line here.
"""

from __future__ import annotations

from federated.models.boosted import BOOSTED, Boosted
from federated.models.least_squares import LINEAR, Linear
from federated.models.linear import LinearPart
from federated.models.logistic import LOGISTIC, Logistic
from federated.models.model import Model, Part, has_answer
from federated.models.poisson import POISSON, Poisson
from federated.models.saved import load_part, save_part
from federated.models.scorecard import CARD, Scorecard
from psi.protocol import MisuseError

__all__ = [
    "BOOSTED",
    "CARD",
    "LINEAR",
    "LOGISTIC",
    "MODELS",
    "POISSON",
    "Boosted",
    "Linear",
    "LinearPart",
    "Logistic",
    "Model",
    "Part",
    "Poisson",
    "Scorecard",
    "has_answer",
    "load_part",
    "model_named",
    "save_part",
]

MODELS: dict[str, Model] = {model.name: model for model in (LOGISTIC, LINEAR, POISSON)}
"""Every model that is a sum over columns, by the name that contracts and saved models give it."""


def model_named(name: str) -> Model:
    """The model of a name.

    Raises:
        MisuseError: there is none; the message says which there are.
    """
    if name not in MODELS:
        raise MisuseError(f"found model {name!r}, allowed: {', '.join(MODELS)}")
    return MODELS[name]
