"""A node's lasting process: the connection to the hub, and the door to the process for its jobs.

Jobs run in a process of their own, the *worker* (`federated.cli.worker`), which starts when
something comes for a job and ends when none is left: what a job took of memory, packages and
kernels included, goes back to the system, and an idle node is a small one.

The worker gets this party's keys, not the passphrase, nor the certificate's key. It is spoken to
over two unnamed sockets: one for parcels, one for requests (JSON). If it is killed it is started
again, and jobs go on from their journals as after a restart of the node; if this process is killed,
the worker ends at once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import federated
from federated.node.home import NodeHome
from federated.node.lives import OlderCopy, begin, mark_older, met
from federated.session.journal import stop_file
from federated.store.memory import give_back, memory_of
from federated.wire.direct.door import Door, open_door
from federated.wire.flower.absent import forgotten, nobody_plays, not_now, taken_up
from federated.wire.flower.between import LARGEST, error_from, error_of
from federated.wire.flower.link import reach
from federated.wire.local import LocalServer, read_block, write_block
from federated.wire.parcels import Kind, Parcel, read_parcel
from psi.protocol import EnvironmentFailed, FedprofileError, Refused

if TYPE_CHECKING:
    from federated.wire.flower.fleet import Fleet
    from federated.wire.flower.mounted import MountedLink
    from federated.wire.flower.relay import Relay

__all__ = ["NodeFront"]

LINGER = 20.0
"""Seconds that a worker stays without a job: another may come."""

PURGE_EVERY = 3600.0
READY_WITHIN = 120.0
ANSWER_WITHIN = 10.0
STOP_WITHIN = 12.0
LONGEST_PAUSE = 60.0
"""Seconds between two starts of a worker that fails or is killed, at most."""

WORKER = (
    "import sys; sys.path.append(sys.argv.pop(1)); from federated.cli.worker import main; main()"
)

_log = logging.getLogger("fedprofile.node")


@dataclass(eq=False, kw_only=True)
class _Worker:
    """One worker: its process, its sockets, and what is on the way to it."""

    process: subprocess.Popen[bytes]
    parcels: socket.socket
    control: socket.socket
    out: queue.SimpleQueue[bytes | None] = field(default_factory=queue.SimpleQueue)
    given: int = 0
    ready: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    retired: bool = False
    failed: bool = False
    answers: dict[int, queue.SimpleQueue[dict[str, Any]]] = field(default_factory=dict)
    saying: threading.Lock = field(default_factory=threading.Lock)
    began: float = field(default_factory=time.monotonic)

    def say(self, **words: Any) -> None:
        with contextlib.suppress(OSError), self.saying:
            write_block(self.control, json.dumps(words).encode())

    def ask(self, **request: Any) -> dict[str, Any] | None:
        """Its answer; None from one that has ended or does not answer in time."""
        number, answer = len(self.answers), queue.SimpleQueue[dict[str, Any]]()
        with self.saying:
            while number in self.answers:
                number += 1
            self.answers[number] = answer
        self.say(op="ask", number=number, request=request)
        try:
            return answer.get(timeout=ANSWER_WITHIN)
        except queue.Empty:
            return None
        finally:
            self.answers.pop(number, None)


class NodeFront:
    """One party's node, whose jobs run in a process of their own.

    Args:
        home: the node's folder.
        passphrase: opens its keys.
        notify: what is told of proposals that wait and jobs that end; "" for nothing.
        log_format: of the worker's log, which goes where this process's goes.
        linger: seconds that a worker stays without a job.
        relay: of the hub in whose process this party is mounted, if it is.
        door: where others come in, of that hub; a node opens its own.

    Raises:
        FedprofileError: private files that others can read, a wrong passphrase, a copy that nobody
            has accepted.
    """

    def __init__(
        self,
        home: NodeHome,
        passphrase: bytes,
        *,
        notify: str = "",
        log_format: str = "text",
        linger: float = LINGER,
        relay: Relay | None = None,
        door: Door | None = None,
    ) -> None:
        home.check()
        self.home, self._life = home, begin(home.path)
        self._keys = home.load_keys(passphrase)
        self._config = {
            "home": str(home.path),
            "notify": notify,
            "log_format": log_format,
            "linger": linger,
        }
        self.fleet: Fleet | MountedLink
        if relay is not None:
            from federated.wire.flower.mounted import MountedLink

            self.fleet = MountedLink(relay, home.name, self._arrived, self._back)
        else:
            from federated.wire.flower.fleet import fleet_of

            self.fleet = fleet_of(
                home, passphrase, self._arrived, self._back, self._ended, self._life
            )
        self._lock = threading.RLock()
        self._guests: dict[bytes, Any] = {}
        self._worker: _Worker | None = None
        self._pause, self._not_before = 0.0, 0.0
        self._started, self._broken = False, False
        self._stop = threading.Event()
        self._local: LocalServer | None = None
        self._door, self._lent = door, door is not None
        self.failure: FedprofileError | None = None

    def __repr__(self) -> str:
        return f"<node {self.home.name}>"

    def start(self) -> None:
        """Connect, listen to this machine's own processes, and go on with interrupted jobs.

        Raises what keeps a worker from starting: a mistake in policy or tables.
        """
        self._local = LocalServer(self.home.socket, self, self._answer, self.home.jobs)
        self._door = self._door or open_door(self.home.policy)
        self._local.door = self._door
        self.fleet.start()
        with self._lock:
            worker = self._wake()
        end = time.monotonic() + READY_WITHIN
        while worker is not None and not worker.ready.wait(0.1):
            if self.failure is not None:  # the hub's word is sooner than a process for jobs
                raise self.failure
            if worker.ended.is_set() or time.monotonic() > end:
                raise self.failure or EnvironmentFailed("the process for jobs does not start")
        self._started = True
        if worker is not None:
            worker.say(op="purge")
        threading.Thread(target=self._purge, daemon=True, name="purge").start()

    def serve(self) -> None:
        """Run until `stop`, or an error that only a person can mend, which is raised."""
        while not self._stop.wait(0.5):
            if self.failure is not None:
                raise self.failure

    def stop(self) -> None:
        """Leave all jobs as they are and close: a node that starts again goes on with them."""
        self._stop.set()
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            self._retire(worker)
            if not worker.ready.is_set() or not worker.ended.wait(STOP_WITHIN):
                worker.process.kill()
        if self._local is not None:
            self._local.close()
        if self._door is not None and not self._lent:
            self._door.close()
        self.fleet.close()

    # the switch: processes of this machine

    def mount(self, job: bytes, name: str, party: Any) -> None:
        """A process of this machine plays this party in a job."""
        if name != self.home.name:
            raise Refused(f"this node is {self.home.name}, not {name}")
        if party is not None and self._ask(op="plays", job=job.hex()).get("plays"):
            raise Refused("this job runs at this node already")
        with self._lock:
            if party is None:
                self._guests.pop(job, None)
            elif job in self._guests:
                raise Refused("this job runs at this node already")
            else:
                self._guests[job] = party
        if party is None:
            give_back()  # what its parcels have left here

    def route(self, parcel: Parcel, sender: str) -> None:
        """Send a mounted party's parcel."""
        del sender
        self.fleet.put(parcel)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("op") == "status":
            worker = self._worker
            found = self._ask(op="status")
            memory = memory_of(worker.process.pid) if worker is not None else 0
            return {
                "name": self.home.name,
                "hub": self.home.hub,
                **reach(self.fleet),
                "queue": self.fleet.waiting,
                "memory": memory_of() + memory,
                "jobs": found.get("jobs", []),
            }
        if request.get("op") == "stop":
            return {"stopped": self._stop_job(str(request.get("job")))}
        raise FedprofileError("unknown request")

    def _stop_job(self, name: str) -> bool:
        """End a job; one at rest that is marked to be ended wakes a worker, which does it."""
        if self._worker is not None:
            return bool(self._ask(op="stop", job=name).get("stopped"))
        if not stop_file(self.home.jobs / name).exists():
            return False
        with self._lock:
            return (self._worker or self._wake()) is not None

    def _ask(self, **request: Any) -> dict[str, Any]:
        worker = self._worker
        return (worker.ask(**request) if worker is not None else None) or {}

    # the connection

    def _arrived(self, parcel: Parcel) -> None:
        if parcel.receiver != self.home.name:
            return
        with self._lock:
            guest = self._guests.get(parcel.job)
        if guest is not None:
            guest.put(parcel)
            return
        place = self.home.job(parcel.job)  # an answer needs no worker, nor does one that probes
        nobody = forgotten(parcel, place) or not taken_up(place)
        if self._worker is None and parcel.kind <= Kind.TAKEN and nobody:
            if word := nobody_plays(parcel, place):
                self.fleet.put(word)
            return
        with self._lock:
            worker = self._worker or (self._wake() if self._is_news(parcel) else None)
            if worker is not None:
                worker.given += 1
                worker.out.put(parcel.to_bytes())
            broken = self._broken and not (worker and worker.ready.is_set())
        if broken and parcel.kind == Kind.CALL:  # else its proposer waits for nobody
            self.fleet.put(not_now(parcel, place))

    def _is_news(self, parcel: Parcel) -> bool:
        """Whether it is worth a worker: not the last words of a job that has ended."""
        if parcel.kind in (Kind.CALL, Kind.PART):
            return True
        return parcel.kind <= Kind.BYE and not self.home.job(parcel.job).exists()

    def _back(self) -> None:
        with contextlib.suppress(
            FedprofileError
        ):  # a full disk: it is said again at the next start
            met(self.home.path, self._life)
        worker = self._worker
        if worker is not None:
            worker.say(op="back")

    def _ended(self, error: FedprofileError) -> None:
        if isinstance(error, OlderCopy):
            mark_older(self.home.path)
        worker = self._worker
        if worker is not None:  # not waited for: nothing runs on behind the hub's last word
            request = {"op": "ended", "error": error_of(error)}
            worker.say(op="ask", number=-1, request=request)
        self.failure = error

    def _purge(self) -> None:
        """Once an hour, as at the start: what its time is over for goes, if the policy says so."""
        while not self._stop.wait(PURGE_EVERY):
            with self._lock:
                worker = self._worker or self._wake()
            if worker is not None:
                worker.say(op="purge")

    # the worker

    def _wake(self) -> _Worker | None:
        """A new worker; None where the last ones failed, and it is too early to try again."""
        if self._stop.is_set() or time.monotonic() < self._not_before:
            return None
        pairs = [socket.socketpair() for _ in range(2)]
        theirs = [pair[1] for pair in pairs]
        root = str(Path(federated.__file__).parents[1])
        words = [sys.executable, "-P", "-c", WORKER, root, *(str(s.fileno()) for s in theirs)]
        process = subprocess.Popen(
            words,
            pass_fds=[s.fileno() for s in theirs],
            stdin=subprocess.DEVNULL,
            env=_environment(os.environ),
        )
        for one in theirs:
            one.close()
        worker = _Worker(process=process, parcels=pairs[0][0], control=pairs[1][0])
        worker.say(**self._config, keys=self._keys.private_bytes().hex())
        works: Sequence[Callable[[_Worker], None]] = (self._write, self._read, self._hear)
        for work in works:
            threading.Thread(target=work, args=(worker,), daemon=True).start()
        self._worker = worker
        return worker

    def _write(self, worker: _Worker) -> None:
        with contextlib.suppress(OSError):
            while (data := worker.out.get()) is not None:
                write_block(worker.parcels, data)

    def _read(self, worker: _Worker) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                self.fleet.put(read_parcel(read_block(worker.parcels, LARGEST)))

    def _hear(self, worker: _Worker) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                said = json.loads(read_block(worker.control, LARGEST))
                self._said(worker, said)
        code = worker.process.wait()
        with self._lock:
            mine, worker.retired = self._worker is worker, worker.retired or self._stop.is_set()
            if mine:
                self._worker = None
        for answer in list(worker.answers.values()):
            answer.put({})
        if not worker.retired:
            self._lost(worker, code)
        worker.ended.set()
        worker.out.put(None)
        worker.parcels.close()
        worker.control.close()
        give_back()  # what its jobs' parcels have left here

    def _said(self, worker: _Worker, said: dict[str, Any]) -> None:
        if said["op"] == "ready":
            self._broken = False
            worker.ready.set()
        elif said["op"] == "answer":
            waits = worker.answers.get(int(said["number"]))
            if waits is not None:
                waits.put(said["reply"])
        elif said["op"] == "failed":
            error = error_from(said["error"])
            _log.error("the process for jobs does not start: %s", error)
            self._broken = worker.failed = True
            if not self._started:  # a mistake that is made later does not end the node
                self.failure = error
        elif said["op"] == "idle":
            with self._lock:
                if self._worker is worker and worker.given == int(said["taken"]):
                    self._worker = None
                    self._pause = 0.0
                    self._retire(worker)

    def _retire(self, worker: _Worker) -> None:
        worker.retired = True
        worker.say(op="leave")

    def _lost(self, worker: _Worker, code: int) -> None:
        """It was killed, or could not start: its jobs go on in another, after a pause."""
        if time.monotonic() - worker.began > LONGEST_PAUSE:
            self._pause = 0.0
        self._pause = min(max(1.0, 2 * self._pause), LONGEST_PAUSE)
        self._not_before = time.monotonic() + self._pause
        threading.Thread(target=self._again, args=(self._pause,), daemon=True).start()
        if worker.failed:
            return  # it has said why
        how = f"signal {-code}" if code < 0 else f"code {code}"
        _log.error(
            "the process for jobs has ended (%s); again in %.0f s, jobs go on", how, self._pause
        )

    def _again(self, pause: float) -> None:
        if not self._stop.wait(pause + 0.05):
            with self._lock:
                if self._worker is None:
                    self._wake()


def _environment(given: Any) -> dict[str, str]:
    """What the worker inherits: not where the passphrase lies."""
    return {name: value for name, value in given.items() if "PASSPHRASE" not in name}
