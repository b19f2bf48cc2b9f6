"""The coordinator as a Flower ServerApp: FedAvg whose average is taken over masked vectors.

Flower's Grid here speaks through `ask`, which puts one typed question to every party and returns
their masked vectors: over a job's sealed session, or to branches in this process (tests). So
the strategy is Flower's, and no Flower message comes from another party.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from federated.horizontal import Coordinator, HorizontalFit, Plan, add_masked
from federated.horizontal.branch import Question
from psi.protocol import MisuseError, PeerError

__all__ = ["Ask", "AskGrid", "MaskedFedAvg", "conduct"]

Ask = Callable[[Question], Mapping[str, np.ndarray]]
"""Puts one question to every party; their masked vectors by name."""

_RUN = 1


class MaskedFedAvg(FedAvg):
    """Flower's FedAvg; parties' vectors are added modulo 2^64 before anything is averaged."""

    def __init__(self, coordinator: Coordinator, parties: int) -> None:
        super().__init__(
            fraction_evaluate=0.0, min_train_nodes=parties, min_available_nodes=parties
        )
        self.coordinator, self.parties = coordinator, parties

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
        self.coordinator.take(add_masked(parts, self.parties))
        return _record(self.coordinator), MetricRecord()


def _record(coordinator: Coordinator) -> ArrayRecord:
    question = coordinator.question()
    names = ("models", "mean", "scale", "edges")
    named = {name: getattr(question, name) for name in names}
    return ArrayRecord({name: Array(np.ascontiguousarray(a)) for name, a in named.items()})


class AskGrid(Grid):
    """Flower's Grid over `ask`: nodes are parties, a round's messages are one question."""

    def __init__(self, parties: Sequence[str], ask: Ask) -> None:
        TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = _RUN
        self._names = {1000 + number: name for number, name in enumerate(parties)}
        self._ask = ask

    def set_run(self, run: Run) -> None:
        """There is one run."""

    @property
    def run(self) -> Run:
        """The one run."""
        return Run.create_empty(_RUN)

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """As Flower's own grids do."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """All parties."""
        return list(self._names)

    def get_nodes(self) -> list[NodeInfo]:
        """All parties by name."""
        return [
            NodeInfo(node_id=node, name=name, status="online") for node, name in self._names.items()
        ]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """A round waits for its answers."""
        raise MisuseError("only whole rounds are asked here: use send_and_receive")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """A round waits for its answers."""
        raise MisuseError("only whole rounds are asked here: use send_and_receive")

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """The round's question to all parties, and their answers."""
        del timeout
        asked = list(messages)
        if not asked:
            return []  # nothing is evaluated apart
        if sorted(m.metadata.dst_node_id for m in asked) != sorted(self._names):
            raise MisuseError("a round asks every party once")
        answers = self._ask(_question(asked[0]))
        return [
            _reply(message, answers[self._names[message.metadata.dst_node_id]]) for message in asked
        ]


def _question(message: Message) -> Question:
    arrays: Any = message.content["arrays"]
    config: Any = message.content["config"]
    names = ("models", "mean", "scale", "edges")
    models, mean, scale, edges = (np.asarray(arrays[name].numpy()) for name in names)
    return Question(int(config["number"]), str(config["stage"]), models, mean, scale, edges)


def _reply(message: Message, masked: np.ndarray) -> Message:
    # the row count is part of the masked sums: FedAvg's weight says nothing of it
    content: dict[str, Any] = {
        "arrays": ArrayRecord({"masked": Array(masked)}),
        "metrics": MetricRecord({"num-examples": 1}),
    }
    message.metadata.__dict__["_message_id"] = message.object_id
    return Message(RecordDict(content), reply_to=message)


def conduct(plan: Plan, parties: Sequence[str], ask: Ask) -> HorizontalFit:
    """All rounds of the plan. Raises what `ask` raises, and `Refused` if classes are too small."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    strategy = MaskedFedAvg(Coordinator(plan), len(parties))
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        del context
        strategy.start(grid, _record(strategy.coordinator), num_rounds=plan.rounds)

    context = Context(
        run_id=_RUN, node_id=_RUN, node_config={}, state=RecordDict(), run_config={}, series_id=1
    )
    app(AskGrid(parties, ask), context)
    return strategy.coordinator.result()
