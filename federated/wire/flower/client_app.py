"""A party's ClientApp for horizontal training: one question in, one masked vector out."""

from __future__ import annotations

from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from federated.horizontal import Branch
from federated.horizontal.branch import Question

__all__ = ["client_app"]


def client_app(branch: Branch) -> ClientApp:
    """An app that answers for these rows, whatever else a message may hold."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        del context
        arrays: Any = message.content["arrays"]
        config: Any = message.content["config"]
        models, mean, scale = (np.asarray(arrays[k].numpy()) for k in ("models", "mean", "scale"))
        stage, number = str(config["stage"]), int(config["number"])
        masked = branch.answer(Question(number, stage, models, mean, scale))
        # the row count is part of the masked sums: FedAvg's weight says nothing of it
        content: dict[str, Any] = {
            "arrays": ArrayRecord({"masked": Array(masked)}),
            "metrics": MetricRecord({"num-examples": 1}),
        }
        return Message(RecordDict(content), reply_to=message)

    return app
