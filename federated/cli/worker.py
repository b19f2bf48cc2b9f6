"""The process that runs a node's jobs: started and ended by `federated.wire.flower.front`.

It is no command for people. It hears from two sockets that it inherits; when these close, the
node's lasting process is gone and this one ends as if it had been killed with it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from federated.cli.deciding import make_decider, table_source, to_log_and
from federated.cli.logs import log_to_stderr
from federated.cli.metrics import notifier
from federated.keys.party_keys import PartyKeys
from federated.node.home import NodeHome
from federated.node.purge import purge_now
from federated.store.files import locked
from federated.store.memory import keep_blocks
from federated.wire.flower.between import LARGEST, error_from, error_of
from federated.wire.flower.link import Through
from federated.wire.flower.node import NodeDaemon
from federated.wire.local import read_block, write_block
from federated.wire.parcels import Kind, Parcel, read_parcel
from psi.protocol import FedprofileError

__all__ = ["main"]

LOOK = 0.5

_log = logging.getLogger("fedprofile.node")


class _Pipe:
    """Stands for the node's connection: parcels go to the lasting process and come from it."""

    def __init__(self, link: socket.socket, through: Through) -> None:
        self._link, self._through = link, through
        self._lock = threading.Lock()
        self.connected, self.lost_since, self.trouble = threading.Event(), 0.0, ""
        self.taken, self.last = 0, time.monotonic()

    @property
    def waiting(self) -> int:
        """Nothing waits here."""
        return 0

    def start(self) -> None:
        """Hear parcels from now on."""
        self.connected.set()
        threading.Thread(target=self._read, daemon=True, name="parcels").start()

    def put(self, parcel: Parcel) -> None:
        """Hand a parcel on; waits while the way is full."""
        with self._lock:
            write_block(self._link, parcel.to_bytes())

    def close(self) -> None:
        """Nothing: the lasting process closes."""

    def _read(self) -> None:
        try:
            while True:
                parcel = read_parcel(read_block(self._link, LARGEST))
                if parcel.kind == Kind.CALL:  # what ended jobs still say keeps no process here
                    self.last = time.monotonic()
                self._through.arrived(parcel)
                self.taken += 1
        except (OSError, EOFError):
            _gone()


class _Worker:
    """The jobs of one node, until it has none, or is told to leave."""

    def __init__(self, parcels: socket.socket, control: socket.socket) -> None:
        self._parcels, self._control = parcels, control
        self._saying = threading.Lock()
        self._pipe: _Pipe | None = None
        self._busy = time.monotonic()

    def run(self) -> None:
        """Begin, and serve; it ends this process."""
        config = json.loads(read_block(self._control, LARGEST))
        log_to_stderr(config["log_format"])
        try:
            place = NodeHome.open(Path(config["home"]))
            with locked(place.path / ".worker.lock"):  # until one that is killed has ended
                node = self._node(place, config)
                node.start()
                self._say(op="ready")
                threading.Thread(target=self._look, args=(node, config["linger"])).start()
                self._serve(place, node)
        except FedprofileError as error:
            self._say(op="failed", error=error_of(error))
        except (OSError, EOFError):
            pass

    def _node(self, place: NodeHome, config: dict[str, Any]) -> NodeDaemon:
        keys = PartyKeys.from_private(place.name, bytes.fromhex(config.pop("keys")))
        tell = notifier(config["notify"])
        source = table_source(place)
        return NodeDaemon(
            place,
            b"",
            source,
            make_decider(place, source, to_log_and(tell)),
            through=self._connect,
            keys=keys,
            on_end=lambda job, state: tell(
                "rests" if state == "interrupted" else "ended", job, state
            ),
        )

    def _connect(self, through: Through) -> _Pipe:
        self._pipe = _Pipe(self._parcels, through)
        return self._pipe

    def _say(self, **words: Any) -> None:
        with self._saying:
            write_block(self._control, json.dumps(words).encode())

    def _serve(self, place: NodeHome, node: NodeDaemon) -> None:
        while True:
            said = json.loads(read_block(self._control, LARGEST))
            if said["op"] == "leave":
                node.stop()
                return
            if said["op"] == "back":
                node.again()
            elif said["op"] == "purge":
                purge_now(place, node.keys)
                self._busy = time.monotonic()
            elif said["op"] == "ask":
                reply = self._answer(node, said["request"])
                self._say(op="answer", number=said["number"], reply=reply)

    def _answer(self, node: NodeDaemon, request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] == "status":
            return {"jobs": node.summaries()}
        if request["op"] == "stop":
            return {"stopped": node.stop_job(request["job"])}
        if request["op"] == "plays":
            return {"plays": bytes.fromhex(request["job"]) in node.jobs}
        if request["op"] == "ended":
            node.end_all(error_from(request["error"]))
        return {}

    def _look(self, node: NodeDaemon, linger: float) -> None:
        """Say when nothing is left to do; whoever started this process decides."""
        while True:
            time.sleep(min(LOOK, linger))
            if node.busy:
                self._busy = time.monotonic()
            pipe = self._pipe
            if pipe is not None and time.monotonic() - max(self._busy, pipe.last) > linger:
                try:
                    self._say(op="idle", taken=pipe.taken)
                except OSError:
                    _gone()


def _gone() -> None:
    os._exit(1)


def main() -> None:
    """Run the jobs of a node; the arguments are the numbers of two sockets."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the lasting process says when to leave
        signal.signal(number, signal.SIG_IGN)
    keep_blocks()
    parcels, control = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    os.set_inheritable(parcels.fileno(), False)  # no command that is told of jobs gets them
    os.set_inheritable(control.fileno(), False)
    try:
        _Worker(parcels, control).run()
    except BaseException as error:
        _log.error("the process for jobs has failed: %s", type(error).__name__)
        os._exit(1)
    sys.stderr.flush()
    os._exit(0)  # a job's thread may still be in a kernel
