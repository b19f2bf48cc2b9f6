"""A job with this party here and the others at their own nodes, over a hub."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event, Thread

from federated.approval.call import make_call
from federated.approval.decision import Decider, Undecided
from federated.approval.policy_file import load_policy
from federated.contract.completion import complete
from federated.contract.terms import Contract
from federated.keys.identity_file import write_identity
from federated.keys.party_keys import PartyKeys
from federated.node.home import NodeHome, person_book
from federated.node.let_go import let_go
from federated.node.lives import check_is_last
from federated.node.participant import Participant
from federated.node.signed_contract import contract_at_rest
from federated.releases.limits import load_release_limits
from federated.releases.memory import Releases
from federated.session.journal import can_resume, sweep
from federated.session.progress import AWAY, CALLED, OFFLINE
from federated.session.reasons import Stopped
from federated.session.routers import MemoryRouter, Silence
from federated.session.session import Progress, Session
from federated.steps.byte_limits import step_limit
from federated.steps.release_guard import foresee
from federated.store.files import write_atomic
from federated.tables.frozen import FrozenColumns
from federated.tables.source import Source
from federated.wire.direct.ways import direct_ways
from federated.wire.local import LocalMount, ask
from profiles.federation import Federation
from profiles.job import Job
from profiles.own_table import extracts, who_may_be_told
from profiles.proposal import draft, nameless_draft
from profiles.runs import Run, RunFolder, Started, runs_in
from psi.protocol import (
    Declined,
    EnvironmentFailed,
    FedprofileError,
    InputError,
    JobError,
    MisuseError,
    PeerGone,
    Refused,
)

__all__ = ["HubLink", "check_allowed", "federate_remote", "proposed_over", "unfinished", "withdraw"]

HOUR = 3600.0
STOPPED = "stopped by this party"
STOPPED_HERE = f"{STOPPED}; its folder did not open, so nobody could be told"
LOOK_AT_HUB = 3.0
LOOK = 0.5
"""Seconds between two looks at who is connected and whether the run is to stop."""


class HubLink:
    """Where this party's keys and peers are, and the socket of its hub or node.

    `path` is a hub's folder (the party in it is mounted in the hub's process) or a node's (the
    job speaks through the running node).
    """

    def __init__(self, path: Path) -> None:
        mounted = (path / "hub.toml").exists()
        self.socket = path / ("hub.sock" if mounted else "node.sock")
        self.home = NodeHome.open(path / "party" if mounted else path)

    def __repr__(self) -> str:
        return f"<link of {self.home.name}>"


def check_allowed(job: Job, decider: Decider, link: HubLink, source: Source) -> None:
    """Ask this party's own policy about its job, and then its book; its officers come later.

    Raises `Declined` where one says no, and `JobError` where the job cannot be proposed over a hub.
    """
    _check(job, link)
    asked = nameless_draft(proposed_over(job, link))
    with _own_word(link.home):
        decider.allows(asked)
        _check_book(asked, job.receiver, source, link.home)


def _check_book(asked: Contract, me: str, source: Source, home: NodeHome) -> None:
    """Raise `Declined` where the book says no already; nothing where this user cannot read it."""
    limits = load_release_limits(home.policy)
    with tempfile.TemporaryDirectory() as empty:  # a node that told nothing has no folder for it
        place = home.releases if home.releases.exists() else Path(empty)
        try:
            book = Releases(place, limits, secrets.token_bytes, time.time)
            foresee(asked, me, source, book, draft=True)
        except Refused:
            raise
        except (InputError, OSError):
            return


def proposed_over(job: Job, link: HubLink) -> Job:
    """The job as this party proposes it: by private sums where its own policy lists them alone."""
    return job.adding(load_policy(link.home.policy).limits.aggregate_protocols)


def federate_remote(
    job: Job,
    source: Source,
    link: HubLink,
    keys: PartyKeys,
    folder: Path,
    started: Started,
    *,
    decider: Decider | None = None,
    progress: Progress = lambda party, step, share: None,
    wait: float = 24 * HOUR,
    resume: RunFolder | None = None,
    frozen: FrozenColumns | None = None,
) -> Federation:
    """Propose `job` to the other parties' nodes and run this party's side of it.

    `folder` gets this party's ledger and identity; `wait` is how many seconds this party hears
    nothing before it gives up. With `resume` that run goes on. The journal stays until the
    federation is settled, when its outputs are written. Raises what this party met, `PeerGone`
    where another has refused.
    """
    _check(job, link)
    check_is_last(link.home.path)
    for earlier in runs_in(link.home.jobs):
        if not earlier.alive():
            sweep(earlier.path)
    begun, me = time.monotonic(), link.home.name
    pinned = link.home.pinned()
    parties = {party.name: pinned[party.name] for party in job.parties}
    nonce = bytes.fromhex(resume.path.name) if resume else secrets.token_bytes(32)
    place = resume or RunFolder(link.home.job(nonce))
    signed = contract_at_rest(place.path, nonce, secrets.token_bytes)
    final = [signed] if signed else []

    def limit(step: str) -> int:
        return step_limit(final[0] if final else None, step)

    def finish(contract: Contract) -> Contract:
        whole = complete(contract)
        final[:] = [whole]
        return whole

    def report(party: str, step: str, share: float) -> None:
        if party == me and step != OFFLINE:
            at[:] = [(step, share)]
        place.note(party, step, share)
        progress(party, step, share)

    def copy_ledger() -> None:
        write_atomic(folder / me / "ledger.jsonl", (place.path / "ledger.jsonl").read_bytes())

    at: list[tuple[str, float]] = []
    run = Run(
        session=nonce.hex(),
        job=job.name,
        purpose=job.purpose,
        me=me,
        parties=list(parties),
        started=started,
        began=int(time.time()),
    )
    with _held(place, run, Path(job.file)) as held:
        mount = LocalMount(link.socket, me, nonce, list(parties), limit, wait)
        over, halt, called = Event(), Event(), Event()
        watch = (place, mount, report, over, halt, called)
        Thread(target=_look, args=watch, daemon=True).start()
        Thread(target=_look_at_hub, args=(link, report, over, at), daemon=True).start()
        try:
            write_identity(folder / me / "identity.json", keys.identity, private=True)
            session = Session(
                nonce, keys, parties, mount.endpoint, place.path,
                progress=report, timeout=wait, hold=True,
                beside=direct_ways(link.home.policy, link.socket, mount.endpoint, list(parties)),
                reached=link.home.reached(nonce),
            )  # fmt: skip
            also = partial(extracts, job, me, source)
            limits = load_release_limits(link.home.policy)
            participant = Participant(
                session, source, decider=decider, stop=halt, kept=link.home.tags, also=also,
                releases=Releases(link.home.releases, limits, secrets.token_bytes, time.time),
                frozen=frozen, persons=person_book(link.home), models=link.home.models,
                may=partial(who_may_be_told, job),
            )  # fmt: skip
            asked = draft(proposed_over(job, link), parties, nonce, time.time())
            if not session.resumed:
                _consider(participant, asked, link.home, halt)  # this party's own officers first
            mount.call(make_call(nonce, keys, parties))
            called.set()
            agreed, outcome = participant.propose(asked, finish)
        finally:
            over.set()
            mount.close()
            if (place.path / "ledger.jsonl").exists():
                copy_ledger()
        lock = held.pop_all()

    def wrote(hashes: Callable[[str], dict[str, str]]) -> None:
        session.note_outputs(hashes)
        copy_ledger()

    def settle() -> None:
        session.forget()
        place.end("done")
        lock.close()

    seconds = time.monotonic() - begun
    records, traffic = {me: session.records}, dict(mount.endpoint.traffic)
    tables = {me: participant.tables}
    return Federation(
        outcomes={me: outcome},
        agreed=agreed,
        records=records,
        wire_bytes=traffic,
        seconds=seconds,
        tables=tables,
        models=link.home.models,
        settle=settle,
        wrote=wrote,
        failed=partial(_end, place),
    )


@contextlib.contextmanager
def _held(place: RunFolder, run: Run, job_file: Path) -> Iterator[contextlib.ExitStack]:
    """Hold the run's lock, to the end of this process unless it fails, and note how it ends."""
    with contextlib.ExitStack() as held:
        held.enter_context(place.held())
        place.begin(run, job_file)
        try:
            yield held
        except FedprofileError as found:
            error = _for_whom(run, found)
            _end(place, error)
            raise error from None
        except KeyboardInterrupt as interrupted:
            _end(place, interrupted)
            again = f"fedprofile job resume {run.id} goes on with it, job stop {run.id} ends it"
            raise KeyboardInterrupt(*([again] * place.resumable)) from None
        except BaseException as error:
            _end(place, error)
            raise


def _end(place: RunFolder, error: BaseException) -> None:
    """Note with the run how it ends, in words where they are ours."""
    if not isinstance(error, FedprofileError):
        known = isinstance(error, KeyboardInterrupt)
        place.end("failed", "interrupted" if known else type(error).__name__)
        return
    said_no = "refused" if error.exit_code == Refused.exit_code else "failed"
    state = "stopped" if place.stop_file.exists() else said_no
    place.end(state, error.message, error.hint)


def _for_whom(run: Run, error: FedprofileError) -> FedprofileError:
    """The error; of one who has heard nothing for too long, with whom everybody waited for."""
    whom = run.waits_for() if isinstance(error, Silence) else []
    if not whom:
        return error
    return Silence(
        f"{error.message}: it waited for {' and '.join(whom)}",
        hint=f"fedprofile job resume {run.id} waits on, for longer with --wait HOURS; job stop "
        f"{run.id} ends it",
    )


def _consider(participant: Participant, asked: Contract, home: NodeHome, halt: Event) -> None:
    """Ask this party's own policy and officers; a wait for them ends where the run is stopped."""
    try:
        with _own_word(home):
            participant.consider(asked)
    except Undecided as error:
        raise (Stopped(STOPPED) if halt.is_set() else error) from None


@contextlib.contextmanager
def _own_word(home: NodeHome) -> Iterator[None]:
    """A no of this party's own says so, and where it stands."""
    try:
        yield
    except Declined as error:
        raise Declined(
            f"{home.name} itself says no: {error.message}",
            hint=f"{error.hint}{'; ' * bool(error.hint)}{home.policy}, and permissions and keys in "
            "tables.toml, say what is allowed. Nobody else has been asked yet",
        ) from None


def _look(
    place: RunFolder,
    mount: LocalMount,
    report: Progress,
    over: Event,
    halt: Event,
    called: Event,
) -> None:
    """Say who does not answer or is not connected; end the job if it is to stop."""
    told: dict[str, str] = {}
    while not over.wait(LOOK):
        if place.stop_file.exists():
            halt.set()
            mount.endpoint.stop(Stopped(STOPPED))
            return
        place.reaches(mount.endpoint.beside)
        missing = mount.endpoint.missing() if called.is_set() else {}
        for peer, connected in missing.items():
            word = CALLED if connected else AWAY
            if told.get(peer) != word:
                report(peer, word, 0.0)
            told[peer] = word
        for peer in told.keys() - missing.keys():
            if told.pop(peer):
                report(peer, "connected", 0.0)


def _look_at_hub(link: HubLink, report: Progress, over: Event, at: list[tuple[str, float]]) -> None:
    """Say that this party's node does not reach the hub, and that it does again."""
    me, lost = link.home.name, False
    while not over.wait(LOOK_AT_HUB):
        try:
            connected = bool(ask(link.socket, op="status").get("connected", True))
        except FedprofileError:
            continue  # nobody is there to be asked: the mount says so
        if connected == lost:
            lost = not connected
            if lost:
                report(me, OFFLINE, 0.0)
            elif at:
                report(me, *at[0])


def unfinished(job: Job, link: HubLink) -> RunFolder:
    """The last unfinished run of this very job file."""
    for folder in runs_in(link.home.jobs):
        if folder.resumable and folder.of_job(Path(job.file)):
            return folder
    raise MisuseError(
        f"{job.file}: no unfinished run of this job here",
        hint="leave out --resume; a job file that was changed is another job",
    )


def withdraw(link: HubLink, keys: PartyKeys, place: RunFolder, patience: float = 30.0) -> list[str]:
    """End an unfinished run whose process is gone: the others are told, its journal is removed.

    Returns the parties that were not reached within `patience` seconds, all of them where no hub or
    node runs here; theirs ends when they ask for it again, or with the contract.
    """
    run = place.load()
    with place.held():
        missing = [name for name in run.parties if name != run.me]
        if can_resume(place.path):
            missing = _say_farewell(link, keys, place, run, patience)
        place.begin(run, place.job_file)
        place.end("stopped", STOPPED)
    return missing


def _say_farewell(
    link: HubLink, keys: PartyKeys, place: RunFolder, run: Run, patience: float
) -> list[str]:
    pinned, nonce = link.home.pinned(), bytes.fromhex(run.session)
    parties = {name: pinned[name] for name in run.parties}
    others = sorted(parties.keys() - {run.me})
    mount: LocalMount | None = None
    with contextlib.suppress(EnvironmentFailed):  # no hub: nobody can be told
        mount = LocalMount(link.socket, run.me, nonce, run.parties, lambda step: 1 << 30)
    try:
        endpoint = mount.endpoint if mount else MemoryRouter(list(parties)).endpoint(run.me)
        try:
            session = Session(
                nonce, keys, parties, endpoint, place.path,
                timeout=patience, reached=link.home.reached(nonce),
            )  # fmt: skip
        except FedprofileError:  # what does not open tells nobody, and does not go on
            let_go(link.home, keys, nonce, STOPPED_HERE)
            return others
        if mount:
            mount.call(make_call(nonce, keys, parties))
            with contextlib.suppress(PeerGone):  # who does not answer is among those not reached
                session.connect()
        session.abort(Stopped(STOPPED))
        return sorted(session.unanswered) if mount else others
    finally:
        if mount:
            mount.close()


def _check(job: Job, link: HubLink) -> None:
    me, pinned = link.home.name, link.home.pinned()
    if not Path(job.file).is_file():
        raise JobError(
            f"{job.file}: over a hub the job must be a file", hint="a run that goes on reads it"
        )
    if job.receiver != me:
        raise JobError(
            f"{job.file}: the receiver is {job.receiver}, this party is {me}",
            hint="the receiver proposes its own job",
        )
    test = next((train.test_table for train in job.trains), "")
    if test and test.split(".", 1)[0] != me:
        raise JobError(
            f"{job.file}: [train] test: {test} is another party's, over a hub {me}.TABLE is needed",
            hint="no party's rows leave it, those of a last test neither",
        )
    unknown = [party.name for party in job.parties if party.name not in pinned]
    if unknown:
        raise JobError(
            f"{job.file}: no confirmed identity of {', '.join(unknown)} at this party",
            hint="fedprofile node peers add FILE, then peers confirm NAME FINGERPRINT",
        )
