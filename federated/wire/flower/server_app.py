"""The coordinator as a Flower ServerApp: FedAvg whose average is taken over masked vectors."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from federated.horizontal import Branch, Coordinator, HorizontalFit, Plan, add_masked
from federated.wire.flower.client_app import client_app
from federated.wire.flower.local_grid import LocalGrid
from psi.protocol import PeerError

__all__ = ["MaskedFedAvg", "run_local", "server_app"]


class MaskedFedAvg(FedAvg):
    """Flower's FedAvg; parties' vectors are added modulo 2^64 before anything is averaged.

    `seen` keeps what the coordinator saw, masked vectors and their totals, for tests.
    """

    def __init__(self, coordinator: Coordinator, parties: int) -> None:
        super().__init__(
            fraction_evaluate=0.0, min_train_nodes=parties, min_available_nodes=parties
        )
        self.coordinator, self.parties = coordinator, parties
        self.seen: list[np.ndarray] = []

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The coordinator's next question, to every party."""
        question = self.coordinator.question()
        config["stage"], config["number"] = question.stage, question.number
        return super().configure_train(server_round, _record(self.coordinator), config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Totals to the coordinator; every party must have answered."""
        valid, failed = self._check_and_log_replies(replies, is_train=True)
        if failed:
            raise PeerError(f"{len(failed)} parties failed in round {server_round}")
        contents: list[Any] = [reply.content for reply in valid]
        parts = [np.asarray(content["arrays"]["masked"].numpy()) for content in contents]
        self.seen += parts
        self.coordinator.take(add_masked(parts, self.parties))
        return _record(self.coordinator), MetricRecord()


def _record(coordinator: Coordinator) -> ArrayRecord:
    question = coordinator.question()
    named = {"models": question.models, "mean": question.mean, "scale": question.scale}
    return ArrayRecord({name: Array(np.ascontiguousarray(a)) for name, a in named.items()})


def server_app(strategy: MaskedFedAvg) -> ServerApp:
    """An app that runs the strategy's rounds."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        del context
        plan = strategy.coordinator.plan
        strategy.start(grid, _record(strategy.coordinator), num_rounds=plan.rounds)

    return app


def run_local(branches: Mapping[str, Branch], plan: Plan) -> tuple[HorizontalFit, MaskedFedAvg]:
    """All rounds over the in-process grid."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    grid = LocalGrid({name: client_app(branch) for name, branch in branches.items()})
    strategy = MaskedFedAvg(Coordinator(plan), len(branches))
    context = Context(
        run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={}, series_id=1
    )
    try:
        server_app(strategy)(grid, context)
    except PeerError:
        for error in grid.errors.values():
            raise error from None
        raise
    return strategy.coordinator.result(), strategy
