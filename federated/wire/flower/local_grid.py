"""A Flower Grid in this process: the same ServerApp and ClientApps, no SuperLink, no ray.

Every message is taken apart into its objects and put together again, as it would be on a wire, so
nothing passes by reference. It imports parts of Flower that are not public; a contract test
fails loudly when they move.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

from flwr.app import Context, Message, RecordDict
from flwr.app.error import Error
from flwr.clientapp import ClientApp
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

__all__ = ["LocalGrid"]

_RUN = 1
_APP_FAILED = 2


class LocalGrid(Grid):
    """Nodes by name, each with a ClientApp; `seen` keeps every reply as the coordinator got it."""

    def __init__(self, apps: Mapping[str, ClientApp]) -> None:
        TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = _RUN
        self._apps = {1000 + i: (name, app) for i, (name, app) in enumerate(apps.items())}
        self._contexts = {node: _context(node) for node in self._apps}
        self._pool = ThreadPoolExecutor(len(apps))
        self._waiting: dict[str, Future[Message]] = {}
        self.errors: dict[str, BaseException] = {}

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
        """All nodes."""
        return list(self._apps)

    def get_nodes(self) -> list[NodeInfo]:
        """All nodes, online, by name."""
        return [
            NodeInfo(node_id=node, name=name, status="online")
            for node, (name, _) in self._apps.items()
        ]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Start the nodes' work; returns the messages' names."""
        names = []
        for message in messages:
            inner = message.metadata.__dict__
            inner["_run_id"], inner["_src_node_id"] = _RUN, _RUN
            inner["_message_id"] = message.object_id
            name = str(message.metadata.message_id)
            self._waiting[name] = self._pool.submit(self._work, message)
            names.append(name)
        return names

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that are there."""
        done = [name for name in message_ids if self._waiting[name].done()]
        return [self._waiting.pop(name).result() for name in done]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Push all, wait for all."""
        names = list(self.push_messages(messages))
        return [self._waiting.pop(name).result(timeout) for name in names]

    def _work(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        name, app = self._apps[node]
        try:
            reply = app(_copied(message), self._contexts[node])
        except Exception as error:
            # the text of an error may hold data: only its type crosses
            self.errors[name] = error
            reply = Message(Error(_APP_FAILED, type(error).__name__), reply_to=message)
        return _copied(reply)


def _context(node: int) -> Context:
    return Context(
        run_id=_RUN, node_id=node, node_config={}, state=RecordDict(), run_config={}, series_id=1
    )


def _copied(message: Message) -> Message:
    """Through its bytes and back."""
    name: Any = message.object_id
    parts = {key: part.deflate() for key, part in get_all_nested_objects(message).items()}
    again = cast(Message, inflate_object_from_contents(name, parts))
    again.metadata.__dict__["_message_id"] = name
    return again
