"""The guard in front of the SuperLink: what the network can reach of it, and by whom.

It serves eight calls of Flower's fleet API and the enrolment of invited nodes; whatever else the
SuperLink could do (start runs, register nodes, ship code) is not reachable. Every call but
enrolment needs a client certificate whose key is registered and not revoked. Bodies are
bounded before they are read. A call for messages waits here until there is one, so that nodes
need not poll.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from flwr.proto.fleet_pb2 import (
    PullMessagesRequest,
    PullMessagesResponse,
    PushMessagesRequest,
    PushMessagesResponse,
)
from flwr.proto.message_pb2 import (
    ConfirmMessageReceivedRequest,
    PushObjectRequest,
    PushObjectResponse,
)
from flwr.server.superlink.linkstate import LinkState
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from google.protobuf.message import DecodeError

from federated.wire.certificates import certificate_key
from federated.wire.flower.relay import Peer, Relay
from federated.wire.hub_home import HubHome
from psi.protocol import FedprofileError, InputError

__all__ = ["PEER_KEY", "VERSION", "Guard"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PEER_KEY = "fedprofile.certificate"
"""Where in the scope the listener puts the client's certificate (DER)."""

VERSION = "1"
"""Of what hub and nodes say to each other; another one is turned away."""

HOLD = 20.0
"""Seconds that a call for messages waits, at most."""

BODY_SECONDS = 120.0

_FLEET = "/v1/fleet/"
_LIMITS = {
    "activate-node": 4 << 10,
    "deactivate-node": 4 << 10,
    "send-node-heartbeat": 4 << 10,
    "pull-messages": 4 << 10,
    "push-messages": 64 << 10,
    "pull-object": 4 << 10,
    "push-object": 6 << 20,
    "confirm-message-received": 4 << 10,
}
_ENROL = "/v1/enrol"
_ENROL_LIMIT = 16 << 10
_MOST_OBJECTS = 64
_MOST_UPLOADS = 16
_MOST_BYTES = 96 << 20
"""Of objects that one node may have uploaded for messages that are not whole yet."""

_STALE = 300.0

_log = logging.getLogger("fedprofile.hub")


class _Turned(Exception):
    """A request that is turned away: status, code, what to do."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass
class _Upload:
    """A reply whose objects are still coming."""

    node: int
    message: str
    tree: Any
    missing: set[str]
    begun: float
    size: int = 0


@dataclass
class _Reply:
    """The SuperLink's answer, held until the guard has noted what it means."""

    messages: list[MutableMapping[str, Any]]

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"]) if self.messages else 500

    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages[1:])

    async def send(self, send: Send) -> None:
        for message in self.messages:
            await send(message)


class Guard:
    """An ASGI application around the SuperLink's."""

    def __init__(self, app: App, state: LinkState, home: HubHome) -> None:
        self._app, self._state, self._home = app, state, home
        self._loop: asyncio.AbstractEventLoop | None = None
        self._events: dict[int, asyncio.Event] = {}
        self._uploads: dict[str, _Upload] = {}
        self._registry_time = 0.0
        self._enrolment = threading.Lock()
        self.turned_away: dict[str, int] = {}
        self.versions: dict[str, str] = {}
        limits = home.megabytes << 20, home.megabytes_a_step << 20
        self.relay = Relay(state, self._wake, *limits)
        self.refresh()

    def refresh(self) -> None:
        """Read the registry again if its file has changed."""
        try:
            when = (self._home.path / "nodes.json").stat().st_mtime
            if when != self._registry_time:
                self.relay.register(self._home.nodes())
                self._registry_time = when
        except (OSError, FedprofileError):
            _log.error("the registry of nodes cannot be read")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        self._loop = asyncio.get_running_loop()
        try:
            await self._serve(scope, receive, send)
        except asyncio.CancelledError:
            return  # the hub ends
        except _Turned as no:
            self.turned_away[no.code] = self.turned_away.get(no.code, 0) + 1
            await _answer(send, no.status, {"code": no.code, "message": no.text})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        if scope["method"] != "POST":
            raise _Turned(405, "method", "only POST is allowed")
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        said = headers.get("x-fedprofile-version", "")
        if said != VERSION:
            self._note_version(scope, said)
            raise _Turned(
                426,
                "version",
                f"this hub speaks version {VERSION} of the channel, this node "
                f"{said[:8] or 'none'}: update whichever is older",
            )
        if path == _ENROL:
            await self._enrol(await _body(receive, _ENROL_LIMIT, headers), send)
            return
        call = path.removeprefix(_FLEET)
        if not path.startswith(_FLEET) or call not in _LIMITS:
            raise _Turned(403, "path", "only the fleet calls of nodes are served here")
        self.refresh()
        peer = self._peer(scope)
        instance = headers.get("x-fedprofile-instance", "")[:64]
        body = await _body(receive, _LIMITS[call], headers)
        if instance in peer.replaced:
            raise _Turned(409, "replaced", "another process uses this node's keys")
        if call == "activate-node":
            if not self._home.lives.comes(peer.name, headers.get("x-fedprofile-life", "")):
                raise _Turned(409, "older", "a later state of this node has been here")
            self._state.deactivate_node(peer.node)
            reply = await self._ask(scope, body)
            if reply.status == 200:
                self._forget(peer.node, 0.0)
                self.relay.activated(peer, instance)
                self.versions.pop(peer.name, None)
                _log.info("%s is connected", peer.name)
            await reply.send(send)
            return
        if not peer.instance:
            raise _Turned(409, "activate", "the hub has restarted; connect again")
        if peer.instance != instance:
            raise _Turned(409, "replaced", "another process uses this node's keys")
        if call == "pull-messages":
            await self._pull(peer, scope, receive, body, send)
        else:
            await self._fleet(call, peer, scope, body, send)

    def _note_version(self, scope: Scope, said: str) -> None:
        """Who speaks another version: by certificate, or a stranger, of whom one line is enough."""
        try:
            name = self._peer(scope).name
        except _Turned:
            name = ""
        shown = "".join(c for c in said if c.isalnum() or c == ".")[:8] or "none"
        if self.versions.get(name) != shown and (name or name not in self.versions):
            self.versions[name] = shown
            who = name or "somebody who is not registered"
            _log.warning("%s speaks version %s of the channel, this hub %s", who, shown, VERSION)

    def _peer(self, scope: Scope) -> Peer:
        certificate = scope.get(PEER_KEY)
        if certificate is None:
            raise _Turned(401, "certificate", "a node's certificate is needed")
        try:
            key = certificate_key(certificate).hex()
        except InputError:
            raise _Turned(401, "certificate", "a node's certificate is needed") from None
        peer = self.relay.peer(key)
        if peer is None:
            known = [entry for entry in self._home.nodes().values() if entry.key == key]
            if known:
                raise _Turned(403, "revoked", "this node was revoked; ask for a new invite")
            raise _Turned(403, "stranger", "this node is not registered; ask for an invite")
        return peer

    async def _fleet(self, call: str, peer: Peer, scope: Scope, body: bytes, send: Send) -> None:
        if call == "push-messages":
            await self._push(peer, _parsed(PushMessagesRequest, body), scope, body, send)
        elif call == "push-object":
            await self._object(peer, _parsed(PushObjectRequest, body), scope, body, send)
        elif call == "confirm-message-received":
            confirmed = _parsed(ConfirmMessageReceivedRequest, body)
            _own(confirmed, peer)
            reply = await self._ask(scope, body)
            if reply.status == 200:
                self.relay.confirmed(peer, confirmed.message_object_id)
            await reply.send(send)
        else:
            if call == "deactivate-node":
                self.relay.left(peer)
            await (await self._ask(scope, body)).send(send)

    async def _pull(
        self, peer: Peer, scope: Scope, receive: Receive, body: bytes, send: Send
    ) -> None:
        _own(_parsed(PullMessagesRequest, body), peer)
        self.relay.seen(peer)
        if not await self._await_message(peer, receive):
            await _protobuf(send, PullMessagesResponse().SerializeToString())
            return
        await (await self._ask(scope, body)).send(send)

    async def _await_message(self, peer: Peer, receive: Receive) -> bool:
        """Whether a message lies ready, within `HOLD`; a node that goes meanwhile is noticed."""
        event = self._events.setdefault(peer.node, asyncio.Event())
        end, epoch = time.monotonic() + HOLD, peer.epoch
        gone = asyncio.ensure_future(_broken_off(receive))
        try:
            while peer.epoch == epoch:  # else the node has connected anew, and this call is stale
                event.clear()
                if gone.done():
                    self.relay.lost(peer, epoch)
                    return False
                if self.relay.ready(peer):
                    return True
                news = asyncio.ensure_future(event.wait())
                left = max(0.0, end - time.monotonic())
                found, _ = await asyncio.wait(
                    (news, gone), timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
                news.cancel()
                if not found:
                    return False
            return False
        finally:
            gone.cancel()

    def _wake(self, node: int) -> None:
        """Called by the relay on any thread."""
        if self._loop is not None:
            event = self._events.get(node)
            if event is not None:
                self._loop.call_soon_threadsafe(event.set)

    async def _push(
        self, peer: Peer, request: PushMessagesRequest, scope: Scope, body: bytes, send: Send
    ) -> None:
        _own(request, peer)
        if len(request.messages_list) != 1 or len(request.message_object_trees) != 1:
            raise _Turned(400, "malformed", "one message a call is allowed")
        metadata = request.messages_list[0].metadata
        if metadata.src_node_id != peer.node:
            peer.foreign += 1
            _log.warning("%s sent a message as another node; it was refused", peer.name)
            raise _Turned(403, "foreign", "a node speaks for itself only")
        if not self.relay.holds_open(peer, metadata.reply_to_message_id):
            raise _Turned(409, "void", "a reply to a message that is not open any more")
        tree = request.message_object_trees[0]
        if len(list(iterate_object_tree(tree))) > _MOST_OBJECTS:
            raise _Turned(413, "size", f"at most {_MOST_OBJECTS} objects a message are allowed")
        if sum(upload.node == peer.node for upload in self._uploads.values()) >= _MOST_UPLOADS:
            self._forget(peer.node, _STALE)
            raise _Turned(429, "busy", "too many uploads at once")
        reply = await self._ask(scope, body)
        if reply.status == 200:
            response = _parsed(PushMessagesResponse, reply.body())
            missing = set(response.objects_to_push)
            if missing:
                self._uploads[response.session_id] = _Upload(
                    peer.node, metadata.reply_to_message_id, tree, missing, time.monotonic()
                )
            else:
                self.relay.complete(metadata.reply_to_message_id, tree)
        await reply.send(send)

    def _forget(self, node: int, age: float) -> None:
        """Let go of a node's messages whose objects have not come for `age` seconds."""
        before = time.monotonic() - age
        for session, upload in list(self._uploads.items()):
            if upload.node == node and upload.begun <= before:
                del self._uploads[session]
                self._state.object_store.delete(upload.tree.object_id)

    async def _object(
        self, peer: Peer, request: PushObjectRequest, scope: Scope, body: bytes, send: Send
    ) -> None:
        _own(request, peer)
        upload = self._uploads.get(request.session_id)
        if upload is None or upload.node != peer.node:
            raise _Turned(403, "foreign", "an object of no message of this node")
        mine = [u.size for u in self._uploads.values() if u.node == peer.node]
        if sum(mine) + len(body) > _MOST_BYTES:
            self._forget(peer.node, _STALE)
            raise _Turned(413, "size", f"at most {_MOST_BYTES} bytes may be under way")
        upload.size += len(body)
        reply = await self._ask(scope, body)
        if reply.status == 200 and _parsed(PushObjectResponse, reply.body()).stored:
            upload.missing.discard(request.object_id)
            if not upload.missing and self._uploads.pop(request.session_id, None) is not None:
                self.relay.complete(upload.message, upload.tree)
        await reply.send(send)

    async def _ask(self, scope: Scope, body: bytes) -> _Reply:
        """What the SuperLink answers to this request."""
        given = False
        reply = _Reply([])

        async def receive() -> MutableMapping[str, Any]:
            nonlocal given
            if given:
                await asyncio.sleep(3600)
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: MutableMapping[str, Any]) -> None:
            reply.messages.append(message)

        inner = dict(scope)
        inner["state"] = {}
        await self._app(inner, receive, keep)
        return reply

    async def _enrol(self, body: bytes, send: Send) -> None:
        try:
            asked = json.loads(body)
            name, token, request = str(asked["name"]), str(asked["token"]), str(asked["request"])
        except (ValueError, KeyError, TypeError):
            raise _Turned(400, "malformed", "not an enrolment") from None
        try:
            certificate = await asyncio.to_thread(self._use_invite, name, token, request)
        except FedprofileError as error:
            _log.warning("an enrolment was refused: %s", error.message)
            raise _Turned(403, "invite", f"{error.message}; {error.hint}") from None
        self.refresh()
        _log.info("%s is registered", name)
        await _answer(send, 200, {"certificate": certificate})

    def _use_invite(self, name: str, token: str, request: str) -> str:
        with self._enrolment:
            time.sleep(0.1)  # a stranger cannot try many tokens
            return self._home.enrol(name, token, request.encode()).decode()


def _parsed(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError:
        raise _Turned(400, "malformed", "not a fleet message") from None


def _own(request: Any, peer: Peer) -> None:
    if request.node.node_id != peer.node:
        peer.foreign += 1
        raise _Turned(403, "foreign", "a node speaks for itself only")


async def _broken_off(receive: Receive) -> None:
    """Returns once whoever has called is not there any more; the body must be read before."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive, most: int, headers: dict[str, str]) -> bytes:
    if int(headers.get("content-length", "0") or 0) > most:
        raise _Turned(413, "size", f"at most {most} bytes are allowed in this call")
    body = bytearray()
    end = time.monotonic() + BODY_SECONDS
    while True:
        try:
            part = await asyncio.wait_for(receive(), max(0.1, end - time.monotonic()))
        except TimeoutError:
            raise _Turned(408, "slow", "the request took too long") from None
        if part["type"] == "http.disconnect":
            raise _Turned(400, "malformed", "the request was cut off")
        body += part.get("body", b"")
        if len(body) > most:
            raise _Turned(413, "size", f"at most {most} bytes are allowed in this call")
        if not part.get("more_body"):
            return bytes(body)


async def _answer(send: Send, status: int, content: dict[str, Any]) -> None:
    await _respond(send, status, b"application/json", json.dumps(content).encode())


async def _protobuf(send: Send, body: bytes) -> None:
    await _respond(send, 200, b"application/x-protobuf", body)


async def _respond(send: Send, status: int, kind: bytes, body: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if status >= 400:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
