"""A job with this party here and the others at their own nodes, over a hub."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from pathlib import Path

from federated.party.call import make_call
from federated.party.contract import Contract
from federated.party.desk import Decider
from federated.party.files import write_atomic
from federated.party.identity_file import write_identity
from federated.party.journal import can_resume, signed_contract
from federated.party.keys import PartyKeys
from federated.party.limits import step_limit
from federated.party.node_home import NodeHome
from federated.party.participant import Participant
from federated.party.session import Progress, Session
from federated.party.source import Source
from federated.wire.local import LocalMount
from profiles.federation import Federation
from profiles.job import Job
from profiles.proposal import complete, draft
from psi.protocol import JobError, MisuseError

__all__ = ["HubLink", "federate_remote"]

HOUR = 3600.0


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


def federate_remote(
    job: Job,
    source: Source,
    link: HubLink,
    keys: PartyKeys,
    folder: Path,
    *,
    decider: Decider | None = None,
    progress: Progress | None = None,
    wait: float = 24 * HOUR,
    resume: bool = False,
) -> Federation:
    """Propose `job` to the other parties' nodes and run this party's side of it.

    `folder` gets this party's ledger and identity; `wait` is how many seconds this party hears
    nothing before it gives up. With `resume` the last unfinished proposal of this job file goes
    on. Raises what this party met, `PeerGone` where another has refused.
    """
    _check(job, link)
    begun, me = time.monotonic(), link.home.name
    pinned = link.home.pinned()
    parties = {party.name: pinned[party.name] for party in job.parties}
    nonce = _unfinished(job, link) if resume else secrets.token_bytes(32)
    place = link.home.job(nonce)
    signed = signed_contract(place, nonce, secrets.token_bytes)
    final = [Contract.from_bytes(signed)] if signed else []

    def limit(step: str) -> int:
        return step_limit(final[0] if final else None, step)

    def finish(contract: Contract) -> Contract:
        whole = complete(job, contract)
        final[:] = [whole]
        return whole

    mount = LocalMount(link.socket, me, nonce, list(parties), limit)
    try:
        write_identity(folder / me / "identity.json", keys.identity)
        write_atomic(place / "proposal", _digest(job))
        session = Session(
            nonce, keys, parties, mount.endpoint, place, progress=progress, timeout=wait
        )
        mount.call(make_call(nonce, keys, parties))
        participant = Participant(session, source, decider=decider, kept=link.home.tags)
        asked = draft(job, parties, nonce, time.time())
        agreed, outcome = participant.propose(asked, finish)
    finally:
        mount.close()
        if (place / "ledger.jsonl").exists():
            shutil.copyfile(place / "ledger.jsonl", folder / me / "ledger.jsonl")
    seconds = time.monotonic() - begun
    records, traffic = {me: session.records}, dict(mount.endpoint.traffic)
    return Federation({me: outcome}, agreed, records, traffic, seconds)


def _digest(job: Job) -> str:
    return hashlib.sha256(Path(job.file).read_bytes()).hexdigest()


def _unfinished(job: Job, link: HubLink) -> bytes:
    """The session of the last unfinished proposal of this very job file."""
    found = [
        file
        for file in link.home.jobs.glob("*/proposal")
        if can_resume(file.parent) and file.read_text("utf-8") == _digest(job)
    ]
    if not found:
        raise MisuseError(
            f"{job.file}: no unfinished run of this job here",
            hint="leave out --resume; a job file that was changed is another job",
        )
    last = max(found, key=lambda file: file.stat().st_mtime)
    return bytes.fromhex(last.parent.name)


def _check(job: Job, link: HubLink) -> None:
    me, pinned = link.home.name, link.home.pinned()
    if job.horizontal:
        raise MisuseError(
            "horizontal training runs in one process in this version",
            hint="leave out --hub, or train vertically",
        )
    if job.receiver != me:
        raise JobError(
            f"{job.file}: the receiver is {job.receiver}, this party is {me}",
            hint="the receiver proposes its own job",
        )
    unknown = [party.name for party in job.parties if party.name not in pinned]
    if unknown:
        raise JobError(
            f"{job.file}: no identity of {', '.join(unknown)} at this party",
            hint=f"put identity.json into {link.home.peers} once its fingerprint is confirmed",
        )
