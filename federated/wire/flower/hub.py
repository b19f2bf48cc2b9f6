"""The hub's process: Flower's SuperLink in memory, the guard in front of it, a local socket.

Two doors: the TLS listener, which is the guard's, and `hub.sock` for the owner on this machine.
Flower's control and runtime calls have no listener at all.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import threading
import time
from typing import Any

import uvicorn
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME
from flwr.supercore.protobuf.translation import ProtobufTranslationMiddleware
from flwr.superlink.main import create_app
from flwr.superlink.routers.fleet.node_auth import NodeAuthMiddleware
from flwr.superlink.routers.fleet.router import router as fleet_router
from starlette.middleware.base import BaseHTTPMiddleware
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from federated.node.measures import DAYS
from federated.store.memory import memory_of
from federated.wire.direct.door import Door, open_door
from federated.wire.flower.guard import PEER_KEY, VERSION, Guard
from federated.wire.hub_home import HubHome
from federated.wire.local import LocalServer
from psi.protocol import EnvironmentFailed, FedprofileError, MisuseError

__all__ = ["Hub"]

_log = logging.getLogger("fedprofile.hub")

_LAYERS: tuple[Any, ...] = (BaseHTTPMiddleware, ProtobufTranslationMiddleware, NodeAuthMiddleware)
"""What a fleet call goes through: errors in Flower's words, protobuf, the node's signature."""

_DAY = 86400.0

WATCH = 1.0
"""Seconds between two looks at the registry, and at who is connected."""


class _Listener(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Uvicorn's HTTP protocol, which also tells the application whose certificate it saw."""

    app: Any

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls else None
        app = self.app

        async def with_certificate(scope: Any, receive: Any, send: Any) -> None:
            scope[PEER_KEY] = certificate
            await app(scope, receive, send)

        self.app = with_certificate


class _Shown:
    """The certificate that nodes see: one that was renewed is shown to whoever connects next.

    Within `DAYS` of its end the log says so once a day, for nodes leave a hub whose has expired.
    """

    def __init__(self, home: HubHome, context: ssl.SSLContext) -> None:
        self._home, self._context = home, context
        self._pem, self._expires, self._said = self._read(), home.expires, float("-inf")

    def _read(self) -> bytes:
        return (self._home.path / "server.crt").read_bytes()

    def look(self) -> None:
        """Called every second or so."""
        path = self._home.path
        try:
            if (pem := self._read()) != self._pem:
                self._context.load_verify_locations(path / "authority.crt")
                self._context.load_cert_chain(path / "server.crt", path / "server.key")
                self._pem, self._expires, self._said = pem, self._home.expires, float("-inf")
                _log.info("the hub's certificate was renewed")
        except (OSError, FedprofileError):
            _log.error("server.crt and its key cannot be read")
        left, now = (self._expires.timestamp() - time.time()) / _DAY, time.monotonic()
        if left < DAYS and now > self._said + _DAY:
            self._said = now
            end = f"{self._expires:%Y-%m-%d}"
            _log.warning("the hub's certificate ends on %s: fedprofile hub renew", end)


class Hub:
    """A running hub. `start` returns once nodes can connect; `serve` also waits for the end."""

    def __init__(self, home: HubHome) -> None:
        home.check()
        self.home = home
        logging.getLogger("flwr").setLevel(logging.CRITICAL)
        logging.getLogger("uvicorn.error").addFilter(_not_at_the_end)
        app = _superlink()
        state = app.state.linkstate_factory.state()
        self.guard = Guard(app, state, home)
        self._server = uvicorn.Server(self._config())
        self._local: LocalServer | None = None
        self.door: Door | None = None
        self._began = time.time()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<hub at {self.home.address}>"

    def _config(self) -> uvicorn.Config:
        path = self.home.path
        config = uvicorn.Config(
            self.guard,
            host=self.home.host,
            port=self.home.port,
            http=_Listener,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=400,
            timeout_keep_alive=60,
            ssl_certfile=str(path / "server.crt"),
            ssl_keyfile=str(path / "server.key"),
            ssl_ca_certs=str(path / "authority.crt"),
            ssl_cert_reqs=ssl.CERT_OPTIONAL,  # enrolment has none; the guard asks all others
        )
        config.load()
        if config.ssl is None:
            raise MisuseError("the hub needs TLS")
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_3
        self._certificate = _Shown(self.home, config.ssl)
        return config

    def start(self, patience: float = 20.0) -> None:
        """Listen, on a thread. Raises `EnvironmentFailed` if the port is taken."""
        self._thread = threading.Thread(target=self._run, daemon=True, name="hub")
        self._thread.start()
        end = time.monotonic() + patience
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                raise EnvironmentFailed(
                    f"cannot listen on port {self.home.port}",
                    hint="is another hub running, or the port taken?",
                )
            time.sleep(0.02)
        party = self.home.path / "party"
        self._local = LocalServer(self.home.socket, self.guard.relay, self._answer, party / "jobs")
        if self.home.mounted:
            self.door = self._local.door = open_door(party / "policy.toml")
        threading.Thread(target=self._watch, daemon=True, name="watch").start()

    def _watch(self) -> None:
        """Revocations and renewals take effect without a call; who comes and goes is logged."""
        known: dict[str, bool] = {}
        while not self._server.should_exit:
            self.guard.refresh()
            self._certificate.look()
            now = time.monotonic()
            there = {peer.name: peer.online(now) for peer in self.guard.relay.peers()}
            for name, online in known.items():
                if name not in there:
                    _log.warning("%s is revoked", name, extra={"party": name})
                elif online and not there[name]:
                    _log.warning("%s is not connected any more", name, extra={"party": name})
            known = there
            time.sleep(WATCH)

    def serve(self) -> None:
        """Run until a signal or `stop`."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(0.5)

    def stop(self) -> None:
        """End listener, relay, door and socket."""
        if self.door is not None:
            self.door.close()
        if self._local is not None:
            self._local.close()
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread is not None:
            self._thread.join(10)
        self.guard.relay.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve())
        except SystemExit:
            _log.error("the listener has ended")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("op") != "status":
            raise FedprofileError("unknown request")
        self.guard.refresh()
        now = time.monotonic()
        nodes = [
            {
                "name": peer.name,
                "online": peer.online(now),
                "bytes_in": peer.came,
                "bytes_out": peer.went,
                "waiting": peer.waiting_bytes + sum(peer.pending.values()),
                "dropped": peer.dropped,
                "foreign": peer.foreign,
            }
            for peer in self.guard.relay.peers()
        ]
        return {
            "address": self.home.address,
            "since": int(self._began),
            "mounted": self.home.mounted,
            "callable": self.home.mounted in self.guard.relay.hosted(),
            "memory": memory_of(),
            "nodes": nodes,
            "turned_away": dict(self.guard.turned_away),
            "speaks": VERSION,
            "other_versions": dict(self.guard.versions),
        }


def _not_at_the_end(record: logging.LogRecord) -> bool:
    """Calls that wait for messages when a hub ends are no error."""
    return "returned without starting response" not in record.getMessage()


def _superlink() -> Any:
    """Flower's application with everything in memory, and of it what nodes call: nothing else has
    a route, and no layer that serves other calls is asked at each of theirs.

    Its own listeners are not started.
    """
    os.environ["FLWR_DATABASE"] = FLWR_IN_MEMORY_DB_NAME
    app = create_app()
    app.state.enable_supernode_auth = True
    app.user_middleware[:] = [layer for layer in app.user_middleware if layer.cls in _LAYERS]
    fleet = [r for r in app.router.routes if getattr(r, "original_router", None) is fleet_router]
    if len(fleet) != 1 or len(app.user_middleware) != len(_LAYERS):
        raise MisuseError("this version of flwr is put together otherwise than the hub knows")
    app.router.routes[:] = fleet
    return app
