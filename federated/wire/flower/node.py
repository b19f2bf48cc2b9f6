"""A party node: one process that stays, hears calls, and runs jobs on threads of their own.

It connects outwards only, runs what is installed here and nothing that arrives. Each job has its
own session, folder and endpoint; a job that computes does not hold up another. `mount` lets a
process of the same user on this machine (`fedprofile run`) speak through the node's connection.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from federated.approval.call import VALID, read_call
from federated.approval.decision import Call, Decider
from federated.approval.inbox import Inbox
from federated.approval.policy_file import load_policy
from federated.contract.terms import Contract
from federated.keys.party_keys import Identity, PartyKeys
from federated.node.home import NodeHome, frozen_columns, person_book
from federated.node.let_go import NOT_BACK, STOPPED, let_go
from federated.node.lives import OlderCopy, begin, mark_older, met
from federated.node.participant import Participant
from federated.node.purge import purge_now
from federated.node.signed_contract import contract_at_rest
from federated.releases.limits import ReleaseLimits, load_release_limits
from federated.releases.memory import Releases
from federated.session.journal import (
    can_begin,
    can_resume,
    halting,
    stop_file,
    sweep,
    was_interrupted,
)
from federated.session.reasons import ShutOut
from federated.session.session import Session
from federated.steps.byte_limits import step_limit
from federated.store.files import write_atomic
from federated.store.memory import give_back, memory_of
from federated.tables.source import Source
from federated.wire.direct.ways import direct_ways
from federated.wire.flower.absent import ended, forgotten, nobody_plays, not_now
from federated.wire.flower.job import Job, Noting
from federated.wire.flower.link import Link, Through, reach
from federated.wire.local import LocalServer
from federated.wire.parcels import Kind, Parcel, Refusal, notice
from federated.wire.post import PostEndpoint, hand_on
from psi.protocol import EnvironmentFailed, FedprofileError, Refused

__all__ = ["Job", "NodeDaemon"]

EARLY_JOBS, EARLY_BYTES = 32, 1 << 18
"""Parcels of jobs whose call has not come yet: how many jobs and bytes each are kept."""

MOST_JOBS = 16
PURGE_EVERY = 3600.0
"""Seconds between two looks for what its time is over for."""
KEPT_JOBS = 100
"""Ended jobs that `jobs` still shows; their ledgers stay in any case."""

_SESSION = 64
"""Digits of a job's whole name."""

_log = logging.getLogger("fedprofile.node")


class NodeDaemon:
    """One party's node.

    `pinned` gives the confirmed identities by name, this party's own among them; it is asked at
    every call, so that confirming a peer needs no restart. `decider` is policy and officers,
    `limits` what its policy lets others learn of a column over time; both are asked anew at
    every job. `on_end` is told the id and the state of each job that has ended, or
    come to rest ("interrupted") while this node goes on.

    A daemon that is the process for jobs of a node (`front`) is given `through`, which makes its
    link, and the `keys`: it has no connection, socket or timer of its own, and no passphrase.
    """

    def __init__(
        self,
        home: NodeHome,
        passphrase: bytes,
        source: Source,
        decider: Decider,
        *,
        pinned: Callable[[], dict[str, Identity]] | None = None,
        timeout: float = 3600.0,
        limits: Callable[[], ReleaseLimits] | None = None,
        on_end: Callable[[str, str], None] = lambda job, state: None,
        through: Callable[[Through], Link] | None = None,
        keys: PartyKeys | None = None,
    ) -> None:
        home.check()
        self._on_end, self._alone = on_end, through is None
        self._life = begin(home.path) if self._alone else ""
        self._limits = limits or (lambda: load_release_limits(home.policy))
        self.home, self._source, self._decider = home, source, decider
        self._pinned = pinned or home.pinned
        self.keys: PartyKeys = keys or home.load_keys(passphrase)
        self._timeout = timeout
        self._for_policy: set[Path] = set()
        self.fleet: Link
        if through is not None:
            self.fleet = through(Through(self._arrived, self.again, self.end_all))
        else:
            from federated.wire.flower.fleet import fleet_of  # the process for jobs has no Flower

            self.fleet = fleet_of(
                home, passphrase, self._arrived, self._back, self._ended, self._life
            )
        self._lock = threading.RLock()
        self.jobs: dict[bytes, Job] = {}
        self._guests: dict[bytes, Any] = {}
        self._early: OrderedDict[bytes, list[Parcel]] = OrderedDict()
        self._stop = threading.Event()
        self._local: LocalServer | None = None
        self.failure: FedprofileError | None = None

    def __repr__(self) -> str:
        return f"<node {self.home.name}, {len(self.jobs)} jobs>"

    def start(self) -> None:
        """Connect and listen to this machine's own processes."""
        threading.Thread(target=self._tick, daemon=True, name="tick").start()
        if self._alone:
            self._local = LocalServer(self.home.socket, self, self._answer, self.home.jobs)
            threading.Thread(target=self._purge, daemon=True, name="purge").start()
        self.fleet.start()
        self._resume()

    def serve(self) -> None:
        """Run until `stop`, or an error that only a person can mend, which is raised."""
        while not self._stop.wait(0.5):
            if self.failure is not None:
                raise self.failure

    def stop(self) -> None:
        """Leave all jobs as they are and close: a node that starts again goes on with them."""
        with self._lock:
            jobs = list(self.jobs.values())
        stopping = EnvironmentFailed("its node was stopped", hint="start it again: jobs go on")
        for job in jobs:
            job.ending = job.ending or stopping
            job.endpoint.leave(stopping)
            job.stop.set()
        for job in jobs:
            if job.thread is not None:
                job.thread.join(5)
        self._stop.set()
        if self._local is not None:
            self._local.close()
        self.fleet.close()

    def stop_job(self, name: str) -> bool:
        """End one job by its id or session now; the others are told.

        One that is at rest is taken up once more, to tell them.
        """
        if len(name) == _SESSION:
            Inbox(self.home.desk).take_back(bytes.fromhex(name))
        with self._lock:
            jobs = list(self.jobs.values())
        found = [job for job in jobs if name in (job.id, job.call.session.hex()) and job.live]
        for job in found:
            with contextlib.suppress(OSError):  # it may come to rest in this very moment
                stop_file(self.home.job(job.call.session)).touch(0o600)
            job.end()
        rests = self.home.jobs / name / "call"
        if not found and len(name) == _SESSION and stop_file(rests.parent).exists():
            return self._take_up(rests)
        return bool(found)

    def _purge(self) -> None:
        """Once an hour, and at the start: what its time is over for goes, if the policy says so."""
        while True:
            purge_now(self.home, self.keys)
            if self._stop.wait(PURGE_EVERY):
                return

    # the switch: processes of this machine

    def mount(self, job: bytes, name: str, party: Any) -> None:
        """A process of this machine plays this party in a job."""
        if name != self.home.name:
            raise Refused(f"this node is {self.home.name}, not {name}")
        with self._lock:
            if party is None:
                self._guests.pop(job, None)
            elif job in self.jobs or job in self._guests:
                raise Refused("this job runs at this node already")
            else:
                self._guests[job] = party

    def route(self, parcel: Parcel, sender: str) -> None:
        """Send a mounted party's parcel."""
        del sender
        self.fleet.put(parcel)

    # what comes from the hub

    def _arrived(self, parcel: Parcel) -> None:
        if parcel.receiver != self.home.name:
            return
        with self._lock:
            guest, job = self._guests.get(parcel.job), self.jobs.get(parcel.job)
        if guest is not None:
            guest.put(parcel)
        elif parcel.kind == Kind.CALL:
            self._called(parcel, job)
        elif job is not None and job.live:
            hand_on(job.endpoint, parcel)
        elif parcel.kind <= Kind.BYE:
            self._unknown(parcel)

    def _unknown(self, parcel: Parcel) -> None:
        """Of a job that is not here: its call may still come, or its process here has ended."""
        place = self.home.job(parcel.job)
        if not place.exists() and not forgotten(parcel, place):
            self._keep_early(parcel)
        elif word := nobody_plays(parcel, place):
            self.fleet.put(word)

    def _keep_early(self, parcel: Parcel) -> None:
        with self._lock:
            kept = self._early.setdefault(parcel.job, [])
            if sum(len(p.data) + 256 for p in kept) + len(parcel.data) < EARLY_BYTES:
                kept.append(parcel)
            while len(self._early) > EARLY_JOBS:
                self._early.popitem(last=False)

    def _called(self, parcel: Parcel, job: Job | None) -> None:
        if job is not None and job.live:
            if not job.endpoint.failed:  # else its thread is about to end, and calls come again
                job.endpoint.greet()  # the caller has not heard that we are here
            return
        try:
            call = read_call(parcel.data, self.home.name, self._pinned())
            if call.session != parcel.job or call.proposer != parcel.sender:
                raise Refused("a call under another name than its own")
            place = self.home.job(call.session)
            if place.exists() and not (can_resume(place) or can_begin(place)):
                _log.warning("a call for a session that has been here before")
                self.fleet.put(ended(parcel, place))
                return
            with self._lock:
                if sum(j.live for j in self.jobs.values()) >= MOST_JOBS:
                    raise Refused(f"{MOST_JOBS} jobs run here already", hint="try again later")
            decision = self._decider.admit(call)
            if not decision.approved and self._policy_is_broken():
                _log.warning("a call is not heard: %s", decision.why)
                self.fleet.put(not_now(parcel, place))
                return
            decision.enforce()
            self._begin(call, parcel.data)
        except FedprofileError as error:
            _log.warning("a call was refused: %s", error.message)
            self._refuse(parcel, Refusal.CLOSED)

    def _resume(self) -> None:
        """Go on with the jobs that an earlier process of this node left."""
        for file in sorted(self.home.jobs.glob("*/call")):
            self._take_up(file)

    def _take_up(self, file: Path) -> bool:
        """Go on with one of them, or end it if an officer has said so; whether there was one."""
        place = file.parent
        sweep(place)
        if not was_interrupted(place):
            return False
        try:
            data, came = file.read_bytes(), file.stat().st_mtime
            call = read_call(data, self.home.name, self._pinned(), came)
            if came + VALID < time.time() and not self._signed(call):
                self._let_go(place, NOT_BACK)
                return False
            ends = "ends" if stop_file(place).exists() else "goes on"
            _log.info("job %s %s", call.session.hex()[:8], ends)
            self._begin(call, data)
        except (FedprofileError, OSError) as error:
            _log.warning("a job cannot go on: %s", error)
            if stop_file(place).exists():
                self._let_go(place, STOPPED)
        return True

    def _let_go(self, place: Path, why: str) -> None:
        """End a job that tells nobody, and does not go on."""
        try:
            let_go(self.home, self.keys, bytes.fromhex(place.name), why)
        except (FedprofileError, ValueError) as error:
            _log.warning("job %s does not go on: %s", place.name[:8], error)

    def _signed(self, call: Call) -> Contract | None:
        """The contract that an earlier process of this node has signed in this session."""
        return contract_at_rest(self.home.job(call.session), call.session, secrets.token_bytes)

    def _refuse(self, parcel: Parcel, code: Refusal) -> None:
        """Say no with a code: the hub reads it, and policy and peers are nobody's business."""
        self.fleet.put(notice(Kind.REFUSED, parcel.job, self.home.name, parcel.sender, code))

    def _begin(self, call: Call, data: bytes) -> None:
        names = [party.name for party in call.parties]
        job: Job
        endpoint = PostEndpoint(
            self.home.name, call.session, names, self.fleet.put,
            lambda step: step_limit(job.contract, step), self._timeout,
        )  # fmt: skip
        place = self.home.job(call.session)
        if not (place / "call").exists():  # its time says when the job came
            write_atomic(place / "call", data, private=True)
        with halting(place):
            signed = self._signed(call)
        job = Job(call=call, endpoint=endpoint, contract=signed)
        job.began = (place / "call").stat().st_mtime
        with self._lock:
            here = self.jobs.get(call.session)
            if here is not None and here.live:
                return  # called while this node goes on with it by itself
            ended = [s for s, j in self.jobs.items() if not j.live]
            for session in ended[:-KEPT_JOBS]:
                del self.jobs[session]
            self.jobs[call.session] = job
            early = self._early.pop(call.session, [])
        if stop_file(place).exists():
            job.to_end = True
            job.end()
        job.thread = threading.Thread(
            target=self._play, args=(job,), daemon=True, name=f"job {job.id}"
        )
        job.thread.start()
        _log.info("job %s: %s calls", job.id, call.proposer, extra=job.about)
        endpoint.greet()
        for parcel in early:
            endpoint.deliver(parcel)

    def _play(self, job: Job) -> None:
        self._run(job)
        give_back()  # now that tables and roles are gone

    def _run(self, job: Job) -> None:
        call, home = job.call, self.home.job(job.call.session)
        session: Session | None = None
        limits: ReleaseLimits | None = None
        try:
            limits = self._limits_for(job)
            session = Session(
                call.session,
                self.keys,
                {party.name: party for party in call.parties},
                job.endpoint,
                home,
                progress=lambda party, step, share: self._progress(job, step, share),
                timeout=self._timeout,
                watchers=[call.proposer],
                beside=direct_ways(
                    self.home.policy, self.home.socket, job.endpoint, [p.name for p in call.parties]
                ),
                reached=self.home.reached(call.session),
            )
            frozen = frozen_columns(self.home)
            participant = Participant(
                session,
                self._source,
                decider=Noting(self._decider, job),
                stop=job.stop,
                kept=self.home.tags,
                releases=Releases(self.home.releases, limits, secrets.token_bytes, time.time),
                frozen=frozen,
                persons=person_book(self.home),
                models=self.home.models,
            )
            participant.join()
            if not frozen.note():
                _log.warning("what columns were taken for cannot be written: see the disk")
            job.state = "done"
            _log.info("job %s is done", job.id, extra=job.about)
        except Refused as error:
            job.state = "failed" if isinstance(error, ShutOut) else "refused"
            job.error = error.message
            how = "was refused" if job.state == "refused" else "has failed"
            _log.info("job %s %s: %s", job.id, how, error.message, extra=job.about)
        except FedprofileError as error:
            job.state, job.error, job.hint = "failed", error.message, error.hint
            became = "is at rest" if can_resume(home) else "has failed"
            _log.warning("job %s %s: %s", job.id, became, error.message, extra=job.about)
        except Exception as error:
            job.state, job.error = "failed", type(error).__name__
            _log.error("job %s has failed: %s", job.id, type(error).__name__)
        finally:
            job.endpoint.close()
            if session is None and limits is not None and stop_file(home).exists():
                self._let_go(home, STOPPED)
            rests = can_resume(home)
            if not rests:
                stop_file(home).unlink(missing_ok=True)
            elif limits is None:
                self._for_policy.add(home)
            if rests and stop_file(home).exists() and not job.to_end:
                self._take_up(home / "call")  # it came to rest as its officer ended it
            elif job.state != "failed" or not isinstance(job.ending, EnvironmentFailed):
                # else it rests, for this node is stopping
                self._on_end(job.id, "interrupted" if rests else job.state)

    def _progress(self, job: Job, step: str, share: float) -> None:
        job.step, job.share = step, share

    def _limits_for(self, job: Job) -> ReleaseLimits:
        """What the policy lets be told. Where it cannot be read the others wait for this party."""
        try:
            return self._limits()
        except FedprofileError as error:
            if can_resume(self.home.job(job.call.session)):
                job.endpoint.leave(error)
            raise

    def _policy_is_broken(self) -> bool:
        try:
            load_policy(self.home.policy)
        except FedprofileError:
            return True
        return False

    def _go_on_by_policy(self) -> None:
        """Jobs that came to rest because the policy could not be read: they go on once it can."""
        if self._for_policy and not self._policy_is_broken():
            while self._for_policy:
                self._take_up(self._for_policy.pop() / "call")

    # the connection

    def _back(self) -> None:
        with contextlib.suppress(
            FedprofileError
        ):  # a full disk: it is said again at the next start
            met(self.home.path, self._life)
        self.again()

    def again(self) -> None:
        """The connection is back: what was not taken is sent again."""
        with self._lock:
            ends = [job.endpoint for job in self.jobs.values()]
        for endpoint in ends:
            threading.Thread(target=endpoint.again, daemon=True).start()

    def _ended(self, error: FedprofileError) -> None:
        if isinstance(error, OlderCopy):
            mark_older(self.home.path)
        self.failure = error
        self.end_all(error)

    def end_all(self, error: FedprofileError) -> None:
        """The connection is over for good: every job ends with this error."""
        with self._lock:
            jobs = list(self.jobs.values())
        for job in jobs:
            job.ending = job.ending or error
            job.endpoint.fail(error)

    @property
    def busy(self) -> bool:
        """Whether a job waits or runs."""
        with self._lock:
            plays = any(job.thread and job.thread.is_alive() for job in self.jobs.values())
        return plays or bool(self._for_policy)

    def summaries(self) -> list[dict[str, Any]]:
        """What `node jobs` shows of each job."""
        with self._lock:
            return [job.summary() for job in self.jobs.values()]

    def _tick(self) -> None:
        while not self._stop.wait(0.5):
            self._go_on_by_policy()
            with self._lock:
                ends = [job.endpoint for job in self.jobs.values()]
            for endpoint in ends:
                endpoint.tick()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("op") == "status":
            return {
                "name": self.home.name,
                "hub": self.home.hub,
                **reach(self.fleet),
                "queue": self.fleet.waiting,
                "memory": memory_of(),
                "jobs": self.summaries(),
            }
        if request.get("op") == "stop":
            return {"stopped": self.stop_job(str(request.get("job")))}
        raise FedprofileError("unknown request")
