"""Training across parties that hold different rows of the same columns.

Every round each party sends one vector of sums over its own rows under pairwise masks that
cancel in the total; the coordinator adds them up modulo 2^64 and sees nothing else. From the sums
of gradient and curvature it takes a Newton step: the weighted average of the parties' local
steps, preconditioned by the common curvature. docs/protocols/horizontal.md has the messages.
"""

from __future__ import annotations

from federated.horizontal.branch import Branch
from federated.horizontal.logistic import Coordinator, HorizontalFit
from federated.horizontal.noise import NoiseKey
from federated.horizontal.plan import Plan
from federated.horizontal.rounds import AnswerRound, AskRound, HearModel, TellModel
from federated.horizontal.secure_sum import SecureSum, add_masked

__all__ = [
    "AnswerRound",
    "AskRound",
    "Branch",
    "Coordinator",
    "HearModel",
    "HorizontalFit",
    "NoiseKey",
    "Plan",
    "SecureSum",
    "TellModel",
    "add_masked",
]
