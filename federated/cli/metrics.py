"""What a running hub or node does beside its work: numbers for Prometheus, and word of events."""

from __future__ import annotations

import http.server
import json
import logging
import shlex
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from psi.protocol import EnvironmentFailed, MisuseError

if TYPE_CHECKING:
    from federated.node.measures import Health

__all__ = ["MetricsPort", "Notify", "notifier", "serve_metrics"]

MetricsPort = Annotated[
    int,
    typer.Option(
        "--metrics-port",
        help="Serve numbers for Prometheus on this port of 127.0.0.1; 0: do not.",
        min=0,
        max=65535,
    ),
]
Notify = Annotated[
    str,
    typer.Option(
        "--notify",
        help="A command (JSON on its standard input) or an https address (JSON is posted; http on "
        "this machine only), told when a proposal waits and when a job ends: event, job, state "
        "and time, no more.",
    ),
]
FRESH = 10.0
"""Seconds for which numbers that were looked up are given out again."""

TIMEOUT = 10.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_log = logging.getLogger("fedprofile.notify")


def serve_metrics(port: int, health: Callable[[], Health], prefix: str) -> Callable[[], None]:
    """Serve `GET /metrics` on loopback, on a thread; a function that ends it.

    Raises:
        EnvironmentFailed: the port is taken.
    """
    from federated.node.measures import text_format

    kept: dict[str, Any] = {"text": "", "when": -FRESH}
    lock = threading.Lock()

    def text() -> str:
        with lock:
            if time.monotonic() - kept["when"] > FRESH:
                kept.update(text=text_format(health(), prefix), when=time.monotonic())
            return str(kept["text"])

    class Answer(http.server.BaseHTTPRequestHandler):
        timeout = TIMEOUT

        def do_GET(self) -> None:
            if self.path != "/metrics":
                self.send_error(404)
                return
            data = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer)
    except OSError as error:
        raise EnvironmentFailed(
            f"--metrics-port {port}: {error.strerror}", hint="name another port"
        ) from None
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()

    def end() -> None:
        server.shutdown()
        server.server_close()

    return end


def notifier(target: str) -> Callable[[str, str, str], None]:
    """A function that tells `target` of an event, a job and its state, without waiting for it.

    The function never raises: a monitor that is away does not stop a job. Nothing but event, job,
    state and time leaves: no party, purpose, reason or count.

    Raises:
        MisuseError: an address without TLS that is not on this machine.
    """
    address = urlsplit(target)
    if address.scheme == "http" and address.hostname not in _LOOPBACK:
        raise MisuseError(
            f"--notify http://{address.hostname} found, https:// allowed",
            hint="http:// goes unprotected over the network: it is for 127.0.0.1, ::1 and "
            "localhost only",
        )

    def tell(event: str, job: str, state: str) -> None:
        if target:
            data = json.dumps(
                {"event": event, "job": job, "state": state, "time": int(time.time())}
            )
            threading.Thread(target=_deliver, args=(target, data), daemon=True).start()

    return tell


def _deliver(target: str, data: str) -> None:
    try:
        if target.startswith(("http://", "https://")):
            import httpx

            with httpx.Client(timeout=TIMEOUT) as client:
                headers = {"content-type": "application/json"}
                client.post(target, content=data, headers=headers).raise_for_status()
        else:
            subprocess.run(
                shlex.split(target), input=data, text=True, timeout=60, check=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
    except Exception as error:  # whatever a command or an address does
        _log.warning("--notify was not told: %s", type(error).__name__)
