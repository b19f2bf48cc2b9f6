"""A party, and what it computes with others: sums under encryption, models, accounts of both.

    from federated import aggregate_by_segment, join_and_sum

    found = aggregate_by_segment(bank.segment, {"loans": bureau.loans}, ["loans:mean"])

The functions play all parties in this process, through every message. `docs/ARCHITECTURE.md` says
which rooms there are; names that are not handed out here or by a room's `__init__` may move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psi.lazy import handed_out, listed

if TYPE_CHECKING:
    from federated.aggregate.pair import aggregate_by_category, aggregate_by_segment
    from federated.evaluation import auc, calibration, ks, lift
    from federated.join_sum.call import join_and_sum
    from federated.ledger.account import verify_ledger
    from federated.models import MODELS, Model, Part
    from federated.steps.saved_model import SavedModel
    from federated.trees.call import boost_trees

__all__ = [
    "MODELS",
    "Model",
    "Part",
    "SavedModel",
    "aggregate_by_category",
    "aggregate_by_segment",
    "auc",
    "boost_trees",
    "calibration",
    "join_and_sum",
    "ks",
    "lift",
    "verify_ledger",
]

__getattr__ = handed_out(
    __name__,
    {
        "MODELS": "federated.models",
        "Model": "federated.models",
        "Part": "federated.models",
        "SavedModel": "federated.steps.saved_model",
        "aggregate_by_category": "federated.aggregate.pair",
        "aggregate_by_segment": "federated.aggregate.pair",
        "auc": "federated.evaluation",
        "boost_trees": "federated.trees.call",
        "calibration": "federated.evaluation",
        "join_and_sum": "federated.join_sum.call",
        "ks": "federated.evaluation",
        "lift": "federated.evaluation",
        "verify_ledger": "federated.ledger.account",
    },
)
__dir__ = listed(__name__)
