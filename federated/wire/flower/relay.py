"""The coordinator: takes parcels out of nodes' messages and puts them into others'.

In Flower a node speaks only in reply to a message. So the relay keeps messages open at every
node: each message it sends, with parcels or empty, is also a leave to send; a node answers the
oldest with whatever it has to say. State is Flower's LinkState in memory: sealed frames are not
at rest anywhere, and a restart of the hub loses nothing that endpoints do not send again.

The relay reads the outside of parcels only. A parcel that names another sender than the node it
came from is dropped and counted.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from cryptography.hazmat.primitives.serialization import load_der_public_key
from flwr.app import Message, RecordDict
from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID, SUPERLINK_NODE_ID
from flwr.server.superlink.linkstate import LinkState
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.task_identity import TaskIdentity

from federated.wire.flower.packing import LEAVE, MESSAGE_TYPE, Packed, objects_of, pack, parcels_in
from federated.wire.hub_home import NodeEntry
from federated.wire.parcels import Kind, Parcel, Refusal, notice
from psi.protocol import EnvironmentFailed, FedprofileError, MisuseError, PeerError

__all__ = ["LocalParty", "Peer", "Relay"]

HEARTBEAT = 30.0
TTL = 6 * 3600.0
RENEW = 3 * 3600.0
"""Seconds after which an open message is replaced, well before it expires."""

LEAVES = 4
"""Messages kept open at a node when it is quiet."""

MOST_UNREAD = 12
"""Messages that may lie unread for a node before more parcels wait."""

MOST_STEPS = 4096
"""Steps of jobs whose bytes are counted; the one that was quiet longest is forgotten."""

MOST_TOLD = 64
"""Parties and jobs that are told at once that a node is away; others learn it as they send."""

BATCH = 1 << 20
"""Bytes of parcels put into one message."""

_log = logging.getLogger("fedprofile.hub")


class LocalParty(Protocol):
    """A party mounted in the hub: takes parcels without Flower."""

    def put(self, parcel: Parcel) -> None:
        """Hand over one parcel."""


@dataclass(kw_only=True)
class Peer:
    """A registered node as the relay sees it."""

    name: str
    node: int
    instance: str = ""
    replaced: set[str] = field(default_factory=set)
    epoch: int = 0
    seen: float = 0.0
    open: dict[str, float] = field(default_factory=dict)
    unread: int = 0
    waiting: deque[Parcel] = field(default_factory=deque)
    waiting_bytes: int = 0
    pending: dict[str, int] = field(default_factory=dict)
    came: int = 0
    went: int = 0
    dropped: int = 0
    foreign: int = 0

    def online(self, now: float) -> bool:
        """Whether the node has asked for messages lately."""
        return now - self.seen < HEARTBEAT


class Relay:
    """Routes parcels between nodes and parties mounted in the hub.

    `wake(node)` is called when a message lies ready for a node. `most` bounds the bytes in
    memory for any one receiver, `most_a_step` those that one party may send another in a step of
    a job. (The receiver holds its peer to what the contract's step may weigh, which is less; but
    a hub does not know contracts.)
    """

    def __init__(
        self, state: LinkState, wake: Callable[[int], None], most: int, most_a_step: int
    ) -> None:
        self._state, self._wake, self._most = state, wake, most
        self._most_a_step = most_a_step
        self._weights: OrderedDict[tuple[bytes, str, str, str], int] = OrderedDict()
        self._lock = threading.RLock()
        self._peers: dict[str, Peer] = {}
        self._by_node: dict[int, Peer] = {}
        self._by_key: dict[str, Peer] = {}
        self._local: dict[tuple[bytes, str], LocalParty] = {}
        self._hosts: dict[str, LocalParty] = {}
        self._replies: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
        self._run, self._task = self._start_run()
        self._thread = threading.Thread(target=self._work, daemon=True, name="relay")
        self._thread.start()

    def _start_run(self) -> tuple[int, int]:
        state: Any = self._state
        run = state.create_run(
            None, None, None, {}, NOOP_FEDERATION_ID, None, NOOP_FLWR_AID, TaskType.SERVER_APP
        )
        tasks = state.get_tasks(run_ids=[run])
        task = int(tasks[0].task_id)
        if not run or state.claim_task(task) is None or not state.activate_task(task):
            raise EnvironmentFailed("the SuperLink does not start the relay's run")
        TaskIdentity.run_id, TaskIdentity.task_id = run, task
        TaskIdentity.node_id = SUPERLINK_NODE_ID
        return run, task

    # who is there

    def register(self, entries: dict[str, NodeEntry]) -> None:
        """Follow the registry: new nodes become known, revoked ones are forgotten."""
        with self._lock:
            for entry in entries.values():
                known = self._by_key.get(entry.key)
                if entry.active and known is None:
                    self._add(entry)
                if not entry.active and known is not None:
                    self._drop(entry.key, known)

    def _add(self, entry: NodeEntry) -> None:
        key: Any = load_der_public_key(bytes.fromhex(entry.key))
        node = self._state.create_node(
            NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, public_key_to_bytes(key), HEARTBEAT, name=entry.name
        )
        peer = Peer(name=entry.name, node=node)
        self._peers[entry.name] = self._by_node[node] = self._by_key[entry.key] = peer

    def _drop(self, key: str, peer: Peer) -> None:
        self._state.delete_messages(set(peer.open))
        self._by_key.pop(key)
        self._by_node.pop(peer.node)
        if self._peers.get(peer.name) is peer:
            self._peers.pop(peer.name)
        peer.epoch += 1  # a call that it has open ends, and its next one is told why
        self._wake(peer.node)
        self._tell_away(peer.name)

    def left(self, peer: Peer) -> None:
        """A node has said that it ends."""
        self.lost(peer, peer.epoch)

    def lost(self, peer: Peer, epoch: int) -> None:
        """The call in which a node waited has broken off: it is away until it asks again.

        Who has spoken with it last is told now, and need not send something to learn it.
        """
        with self._lock:
            if peer.epoch != epoch or self._by_node.get(peer.node) is not peer:
                return  # it has connected anew, or is revoked
            peer.seen = float("-inf")
            self._tell_away(peer.name)

    def _tell_away(self, name: str) -> None:
        for job, other in self._spoken(name):
            self._away(notice(Kind.PART, job, other, name), other)

    def _spoken(self, name: str) -> list[tuple[bytes, str]]:
        """The jobs in which a party has sent or got bytes last, and with whom."""
        found: dict[tuple[bytes, str], None] = {}
        for job, sender, receiver, _ in reversed(self._weights):
            if name in (sender, receiver):
                found[job, receiver if name == sender else sender] = None
            if len(found) == MOST_TOLD:
                break
        return list(found)

    def peer(self, key: str) -> Peer | None:
        """The registered node with this public key (DER, hexadecimal)."""
        with self._lock:
            return self._by_key.get(key)

    def peers(self) -> list[Peer]:
        """All registered nodes."""
        with self._lock:
            return list(self._peers.values())

    def activated(self, peer: Peer, instance: str) -> None:
        """A node's process has begun: what an earlier one held open is void."""
        with self._lock:
            self._state.delete_messages(set(peer.open))
            for name in peer.pending:
                self._state.object_store.delete(name)
            if peer.instance != instance:
                peer.replaced.add(peer.instance)
            peer.instance, peer.seen = instance, time.monotonic()
            peer.epoch += 1
            peer.open, peer.pending, peer.unread = {}, {}, 0
            peer.waiting, peer.waiting_bytes = deque(), 0
            self._top_up(peer)
            self._wake(peer.node)

    def holds_open(self, peer: Peer, name: str) -> bool:
        """Whether this message is open at the node: it may answer it."""
        with self._lock:
            return name in peer.open

    def seen(self, peer: Peer) -> None:
        """A node has asked for messages."""
        peer.seen = now = time.monotonic()
        self._state.acknowledge_node_heartbeat(peer.node, HEARTBEAT)
        with self._lock:
            old = {name for name, since in peer.open.items() if now - since > RENEW}
            old -= peer.pending.keys()
            if old:
                self._state.delete_messages(old)
                for name in old:
                    del peer.open[name]
                self._top_up(peer)

    def ready(self, peer: Peer) -> bool:
        """Whether a message lies ready; if so, it counts as read."""
        with self._lock:
            if peer.unread == 0:
                return False
            peer.unread -= 1
            return True

    def confirmed(self, peer: Peer, name: str) -> None:
        """A node has taken a message."""
        with self._lock:
            peer.pending.pop(name, None)
            self._flush(peer)

    def mount(self, job: bytes, name: str, party: LocalParty | None) -> None:
        """Put a party of one job into the hub's process, or take it out with None."""
        with self._lock:
            if party is None:
                self._local.pop((job, name), None)
            elif name in self._peers and self._peers[name].online(time.monotonic()):
                raise PeerError(f"{name} is connected as a node", hint="stop the node, or use it")
            else:
                self._local[job, name] = party

    def host(self, name: str, party: LocalParty | None) -> None:
        """Put a party into the hub's process for all jobs, calls among them; None takes it out."""
        with self._lock:
            if party is None:
                self._hosts.pop(name, None)
            elif name in self._peers:
                raise MisuseError(
                    f"{name} is registered as a node too", hint=f"fedprofile hub revoke {name}"
                )
            else:
                self._hosts[name] = party

    def hosted(self) -> list[str]:
        """Parties that take part in the hub's process and can be called."""
        with self._lock:
            return sorted(self._hosts)

    def _here(self, job: bytes, name: str) -> LocalParty | None:
        """Who plays this party in this process: in this job, or in all."""
        return self._local.get((job, name)) or self._hosts.get(name)

    # what goes by

    def complete(self, message: str, tree: Any) -> None:
        """All objects of a reply to `message` have come."""
        self._replies.put((message, tree))

    def stop(self) -> None:
        """End the relay's thread."""
        self._replies.put(None)
        self._thread.join(5)

    def route(self, parcel: Parcel, sender: str) -> None:
        """Carry one parcel on: from a node by its name, or from a mounted party."""
        with self._lock:
            if not self._weighed(parcel):
                return
            local = self._here(parcel.job, parcel.receiver)
            if local is not None:
                local.put(parcel)
                return
            peer = self._peers.get(parcel.receiver)
            if peer is None or not peer.online(time.monotonic()):
                self._away(parcel, sender)
                return
            size = len(parcel.data) + 512
            if peer.waiting_bytes + sum(peer.pending.values()) + size > self._most:
                peer.dropped += 1  # the endpoints send it again
                return
            peer.waiting.append(parcel)
            peer.waiting_bytes += size
            self._flush(peer)

    def _weighed(self, parcel: Parcel) -> bool:
        """Whether a step stays within the hub's limit; both parties are told when it does not."""
        if not parcel.data:
            return True
        way = (parcel.job, parcel.sender, parcel.receiver, parcel.step)
        before = self._weights.pop(way, 0)
        self._weights[way] = total = before + len(parcel.data)
        if len(self._weights) > MOST_STEPS:
            self._weights.popitem(last=False)
        if total <= self._most_a_step:
            return True
        if before <= self._most_a_step:
            why = f"more than the {self._most_a_step >> 20} MB a step that this hub carries"
            _log.warning("%s sends %s %s", parcel.sender, parcel.receiver, why)
            for one, other in ((parcel.sender, parcel.receiver), (parcel.receiver, parcel.sender)):
                self.route(notice(Kind.REFUSED, parcel.job, one, other, Refusal.HEAVY), one)
        if parcel.sender in self._peers:
            self._peers[parcel.sender].dropped += 1
        return False

    def _away(self, parcel: Parcel, sender: str) -> None:
        if parcel.kind == Kind.AWAY:
            return
        back = notice(Kind.AWAY, parcel.job, parcel.receiver, sender, parcel.step)
        local = self._here(parcel.job, sender)
        if local is not None:
            local.put(back)
        elif sender in self._peers and self._peers[sender].online(time.monotonic()):
            self._peers[sender].waiting.append(back)
            self._flush(self._peers[sender])

    def _work(self) -> None:
        beat = 0.0
        while True:
            try:
                reply = self._replies.get(timeout=5.0)
            except queue.Empty:
                reply = ("", None)
            if reply is None:
                return
            if time.monotonic() - beat > 10:
                self._state.acknowledge_task_heartbeat(self._task)
                beat = time.monotonic()
            if reply[0]:
                try:
                    self._take(*reply)
                except FedprofileError as error:
                    _log.warning("a reply was dropped: %s", error.message)
                except Exception as error:
                    _log.error("a reply was dropped: %s", type(error).__name__)

    def _take(self, name: str, tree: Any) -> None:
        """One reply: its parcels go on, and its sender keeps enough messages open."""
        store = self._state.object_store
        replies = list(self._state.get_message_res({name}, self._run))
        self._state.delete_messages({name})
        if not replies:
            return
        with self._lock:
            peer = self._by_node.get(replies[0].metadata.src_node_id)
            if peer is None or name not in peer.open:
                store.delete(tree.object_id)
                return
            del peer.open[name]
        try:
            message = objects_of(tree, lambda part: store.get(part) or b"")
        finally:
            store.delete(tree.object_id)
        try:
            if message.has_content():
                for parcel in parcels_in(message):
                    self._from_node(parcel, peer)
        finally:
            with self._lock:
                self._top_up(peer)

    def _from_node(self, parcel: Parcel, peer: Peer) -> None:
        if parcel.sender != peer.name:
            peer.foreign += 1
            _log.warning("%s sent a parcel in another's name; it was dropped", peer.name)
            return
        peer.came += len(parcel.data)
        self.route(parcel, peer.name)

    def _flush(self, peer: Peer) -> None:
        """Put what waits for a node into messages, a few at a time."""
        while peer.waiting and len(peer.pending) < MOST_UNREAD:
            batch: list[bytes] = []
            size = 0
            while peer.waiting and len(batch) < 32 and (not batch or size < BATCH):
                parcel = peer.waiting.popleft()
                size += len(parcel.data) + 512
                batch.append(parcel.to_bytes())
                peer.went += len(parcel.data)
            peer.waiting_bytes = max(0, peer.waiting_bytes - size)
            self._push(peer, pack(batch), size)

    def _top_up(self, peer: Peer) -> None:
        if len(peer.open) * 2 > LEAVES:
            return
        while len(peer.open) < LEAVES:
            self._push(peer, pack([]), 0)

    def _push(self, peer: Peer, content: RecordDict, size: int) -> None:
        state: Any = self._state
        message = Message(content, peer.node, MESSAGE_TYPE, ttl=TTL)
        inner = message.metadata.__dict__
        inner["_run_id"], inner["_src_node_id"] = self._run, SUPERLINK_NODE_ID
        if not size:
            inner["_group_id"] = LEAVE
        packed = Packed(message)
        session = state.start_session(self._run)
        stored, missing = state.store_message_and_object_tree(packed.bare, packed.tree, session)
        if not stored:
            _log.error("a message for %s was not stored", peer.name)
            return
        for name in missing:
            state.store_object(self._run, session, name, packed.content(name))
        peer.open[packed.id] = time.monotonic()
        peer.pending[packed.id] = size
        peer.unread += 1
        self._wake(peer.node)
