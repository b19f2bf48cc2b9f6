"""A node's connection to the hub: outbound only, by Flower's fleet API over mutual TLS.

One thread waits for messages, a few send. A lost connection is taken up again for as long as it
takes; `on_back` then lets the endpoints send again what was not taken. Nothing that arrives is
run: a message is parcels or it is dropped.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable

import httpx
from flwr.app import Message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
)
from flwr.proto.message_pb2 import (
    ConfirmMessageReceivedRequest,
    ObjectTree,
    PullObjectRequest,
    PushObjectRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree

from federated.node.home import NodeHome
from federated.node.measures import DAYS, ends_in
from federated.wire.flower.hub_calls import Doubted, FleetKeys, Stale, Void, called, client_of
from federated.wire.flower.packing import LEAVE, MESSAGE_TYPE, Packed, pack, parcels_of
from federated.wire.parcels import Parcel
from psi.protocol import EnvironmentFailed, FedprofileError, PeerError

__all__ = ["Fleet", "fleet_of"]

SENDERS = 3
POOL = 8
"""Open messages beyond which the oldest is answered with nothing."""

SURE = 3
"""Calls in a row, each on a connection made anew, to which a hub has to say that it takes this node
no more: one call that was altered on its way to it ends no process."""

FULL_WITHIN = 30.0
"""Seconds that a parcel waits while much is to be sent already; then it is lost, and comes again
from its endpoint: a hub that takes nothing holds nobody here for ever."""

INTERVAL = 30.0
_BATCH = 1 << 20
_DAY = 86400.0
_SPARE = 300.0
_MOST_OBJECTS = 64

_log = logging.getLogger("fedprofile.node")


class Fleet:
    """The connection. `on_parcel` is called for each parcel that comes, on one thread.

    `on_back` is called after each (re)connection, `on_end` with the error that cannot be mended
    (revoked, replaced, another version, an older copy), once the hub has said so `SURE` times.
    `life` is what `lives.begin` gave.
    """

    def __init__(
        self,
        hub: str,
        keys: FleetKeys,
        on_parcel: Callable[[Parcel], None],
        on_back: Callable[[], None] = lambda: None,
        on_end: Callable[[FedprofileError], None] = lambda error: None,
        life: str = "",
    ) -> None:
        self._on_parcel, self._on_back, self._on_end = on_parcel, on_back, on_end
        self._keys = keys
        self._client = client_of(hub, keys, life)
        self._node = Node()
        self._open: deque[Message] = deque()
        self._changed = threading.Condition()
        self._out: queue.Queue[Parcel | None] = queue.Queue(maxsize=256)
        self._out_bytes = 0
        self._stop = threading.Event()
        self._arrived: queue.Queue[Parcel | None] = queue.Queue()
        self.connected = threading.Event()
        self.failure: FedprofileError | None = None
        self._lost, self._noes, self._met = 0.0, 0, False
        self._said = float("-inf")
        self.lost_since, self.trouble = time.time(), ""
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to connect, on threads of its own."""
        works = [self._receive, self._hand_on, *[self._send] * SENDERS]
        for work in works:
            thread = threading.Thread(target=work, daemon=True, name=f"fleet {work.__name__}")
            thread.start()
            self._threads.append(thread)

    def put(self, parcel: Parcel) -> None:
        """Send a parcel; waits while much is to be sent already, and then lets go of it."""
        end = time.monotonic() + FULL_WITHIN
        while not self._stop.is_set() and time.monotonic() < end:
            with self._changed:
                full = self._out_bytes > 4 * _BATCH * 16
                if not full:
                    self._out_bytes += len(parcel.data)
            if not full:
                try:
                    self._out.put(parcel, timeout=max(0.0, end - time.monotonic()))
                except queue.Full:
                    with self._changed:
                        self._out_bytes -= len(parcel.data)
                return
            time.sleep(0.01)

    @property
    def waiting(self) -> int:
        """Bytes that are still to be sent."""
        return self._out_bytes

    def close(self, patience: float = 5.0) -> None:
        """Send what waits, say that this node leaves, and close."""
        end = time.monotonic() + patience
        while self.connected.is_set() and not self._out.empty() and time.monotonic() < end:
            time.sleep(0.02)
        self._stop.set()
        for _ in range(SENDERS):
            self._out.put(None)
        self._arrived.put(None)
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads[1:]:
            thread.join(2)
        if self.connected.is_set():
            with contextlib.suppress(httpx.HTTPError, RuntimeError):
                self._client.DeactivateNode(DeactivateNodeRequest(node_id=self._node.node_id))

    # receiving

    def _receive(self) -> None:
        pause = 0.1
        while not self._stop.is_set():
            try:
                if not self.connected.is_set():
                    self._activate()
                self._pull()
                pause, self._noes = 0.1, 0
                self._say_end()
            except Stale:
                _log.info("the hub has forgotten this connection; making it again")
                self.connected.clear()
            except (
                FedprofileError, Doubted, httpx.TransportError, httpx.HTTPStatusError, RuntimeError
            ) as error:  # fmt: skip
                self.connected.clear()
                if self._stop.is_set() or self._expired() or self._is_over(error):
                    return
                self._lose(error)
                self._stop.wait(pause)
                pause = min(pause * 2, 5.0)

    def _is_over(self, error: Exception) -> bool:
        """Whether the hub takes this node no more, as it has said again and again."""
        said = error.error if isinstance(error, Doubted) and not self._met else error
        self._noes = self._noes + 1 if isinstance(said, FedprofileError) else 0
        if isinstance(said, FedprofileError) and self._noes >= SURE:
            self._end(said)
            return True
        return False

    def _lose(self, error: Exception) -> None:
        """One line when it is lost, one more if there are words for why; `_activate` says when it
        is back."""
        said = error.error if isinstance(error, Doubted) else error
        known = said.message if isinstance(said, FedprofileError) else ""
        tell = not self._lost or (bool(known) and not self.trouble)
        self.trouble = known or self.trouble
        if not self._lost:
            self._lost, self.lost_since = time.monotonic(), time.time()
        if tell:
            kind = known or type(said).__name__
            _log.warning("the hub is not reached (%s); trying until it is", kind)

    def _say_end(self) -> None:
        """Within `DAYS` of the certificate's end the log says so once a day."""
        left, now = (self._keys.expires.timestamp() - time.time()) / _DAY, time.monotonic()
        if left < DAYS and now > self._said + _DAY:
            self._said = now
            _log.warning(
                "this node's certificate %s: ask the hub's owner for a new invite, then "
                "fedprofile node init INVITE --renew", ends_in(left),
            )  # fmt: skip

    def _expired(self) -> bool:
        try:
            self._keys.check()
        except EnvironmentFailed as error:
            self._end(error)
            return True
        return False

    def _activate(self) -> None:
        request = ActivateNodeRequest(public_key=self._keys.public, heartbeat_interval=INTERVAL)
        response = called(self._client.ActivateNode, request)
        with self._changed:
            self._node = Node(node_id=response.node_id)
            self._open.clear()
        self.connected.set()
        self._met, self.trouble = True, ""
        if self._lost:
            _log.info("the hub is reached again after %.0f s", time.monotonic() - self._lost)
            self._lost = 0.0
        self._on_back()

    def _pull(self) -> None:
        response = called(self._client.PullMessages, PullMessagesRequest(node=self._node))
        if not response.messages_list:
            return
        message, tree = (
            message_from_proto(response.messages_list[0]),
            response.message_object_trees[0],
        )
        run = message.metadata.run_id
        message.metadata.__dict__["_message_id"] = tree.object_id
        if len(list(iterate_object_tree(tree))) > _MOST_OBJECTS:
            raise Stale
        if message.metadata.message_type != MESSAGE_TYPE:
            _log.warning("a message of an unknown kind was dropped")
        else:
            self._take(message, tree, run)
        confirmed = ConfirmMessageReceivedRequest(
            node=self._node, run_id=run, message_object_id=tree.object_id
        )
        called(self._client.ConfirmMessageReceived, confirmed)

    def _take(self, message: Message, tree: ObjectTree, run: int) -> None:
        """What a message carries, and the leave to answer it."""
        try:
            if message.metadata.group_id != LEAVE:
                for parcel in parcels_of(tree, lambda name: self._object(run, name)):
                    self._arrived.put(parcel)
        except PeerError as error:
            _log.warning("a message was dropped: %s", error.message)
        with self._changed:
            self._open.append(message)
            spare = self._open.popleft() if len(self._open) > POOL else None
            self._changed.notify()
        if spare is not None:
            with contextlib.suppress(Void):
                self._reply(spare, [])

    def _object(self, run: int, name: str) -> bytes:
        request = PullObjectRequest(node=self._node, run_id=run, object_id=name)
        response = called(self._client.PullObject, request)
        if not response.object_found or not response.object_available:
            raise Stale
        return bytes(response.object_content)

    def _hand_on(self) -> None:
        while (parcel := self._arrived.get()) is not None:
            try:
                self._on_parcel(parcel)
            except FedprofileError as error:
                _log.warning("a parcel was dropped: %s", error.message)

    # sending

    def _send(self) -> None:
        held: Parcel | None = None
        while not self._stop.is_set():
            first = held or self._out.get()
            held = None
            if first is None:
                return
            batch, size = [first], len(first.data)
            while size < _BATCH and len(batch) < 32:
                try:
                    more = self._out.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    return
                if size + len(more.data) > _BATCH:
                    held = more
                    break
                batch.append(more)
                size += len(more.data)
            self._send_batch(batch)
            with self._changed:
                self._out_bytes -= size

    def _send_batch(self, batch: list[Parcel]) -> None:
        """Until it is sent or the connection is lost: then the endpoints send it again."""
        while (open_message := self._take_open()) is not None:
            try:
                self._reply(open_message, batch)
            except Void:
                continue
            except (Stale, FedprofileError, Doubted):
                self.connected.clear()  # whoever receives asks what it is
            except (httpx.TransportError, httpx.HTTPStatusError, RuntimeError) as error:
                if not self._lost:
                    _log.info("parcels were not sent (%s): again later", type(error).__name__)
            return

    def _take_open(self) -> Message | None:
        now = time.time()
        with self._changed:
            while True:
                self._changed.wait_for(lambda: bool(self._open) or self._stop.is_set(), 1.0)
                if self._stop.is_set():
                    return None
                while self._open:
                    message = self._open.popleft()
                    until = message.metadata.created_at + message.metadata.ttl
                    if until - now > _SPARE:
                        return message

    def _reply(self, to: Message, batch: list[Parcel]) -> None:
        content = pack([parcel.to_bytes() for parcel in batch])
        packed = Packed(Message(content, reply_to=to))
        run = to.metadata.run_id
        response = called(
            self._client.PushMessages,
            PushMessagesRequest(
                node=self._node,
                messages_list=[message_to_proto(packed.bare)],
                message_object_trees=[packed.tree],
            ),
        )
        for name in response.objects_to_push:
            called(
                self._client.PushObject,
                PushObjectRequest(
                    node=self._node,
                    run_id=run,
                    session_id=response.session_id,
                    object_id=name,
                    object_content=packed.content(name),
                ),
            )

    def _end(self, error: FedprofileError) -> None:
        self.connected.clear()
        if self.failure is None:
            self.failure = error
            self._on_end(error)


def fleet_of(
    home: NodeHome,
    passphrase: bytes,
    on_parcel: Callable[[Parcel], None],
    on_back: Callable[[], None],
    on_end: Callable[[FedprofileError], None],
    life: str,
) -> Fleet:
    """A node's connection to its hub, as `Fleet` has it."""
    keys = FleetKeys(home.certificate, home.certificate_key, home.authority, passphrase)
    return Fleet(home.hub, keys, on_parcel, on_back, on_end, life)
