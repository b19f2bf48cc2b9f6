"""What a node forgets when its time is over: requests, folders of ended jobs, journals, kept tags.

A line in the node's own ledger says what was removed, and the last hash of each job's ledger, so
that a later copy of one can still be told from an invented one. It is written before anything goes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from federated.approval.inbox import Inbox
from federated.approval.policy import Retention
from federated.contract.terms import Contract
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import Ledger, read_ledger
from federated.node.home import NodeHome
from federated.session.journal import CONTRACT, DRAFT, ENDED, abandon, can_resume, left_value
from federated.steps.kept_tags import expired_tags
from psi.protocol import EnvironmentFailed, FedprofileError, Random

__all__ = ["Expired", "expired", "node_ledger", "remove"]

DAY = 24 * 3600


@dataclass(frozen=True)
class Expired:
    """What is older than the policy keeps it: sessions of requests and jobs, files of tags.

    `journals` are folders of jobs that were left and cannot go on: their journals go, with their
    copies of the tables; their ledgers stay.
    """

    requests: tuple[bytes, ...]
    jobs: tuple[Path, ...]
    tags: tuple[Path, ...]
    journals: tuple[Path, ...]

    def __bool__(self) -> bool:
        return bool(self.requests or self.jobs or self.tags or self.journals)


def expired(home: NodeHome, retention: Retention, now: float, random: Random) -> Expired:
    """Look, and remove nothing. A job that can still go on is never expired."""
    before = now - retention.requests_days * DAY
    requests = [e.request.session for e in Inbox(home.desk).all() if e.ends < before]
    before = now - retention.jobs_days * DAY
    folders = [folder for folder in sorted(home.jobs.iterdir()) if folder.is_dir()]
    jobs = [f for f in folders if not can_resume(f) and _last_change(f) < before]
    left = [f for f in folders if f not in jobs and _is_left(f, now, random)]
    tags = expired_tags(home.tags, now, random)
    return Expired(tuple(requests), tuple(jobs), tuple(tags), tuple(left))


def _is_left(folder: Path, now: float, random: Random) -> bool:
    """Whether a journal serves nothing any more: nobody can go on, or make outputs, from it.

    Its contract has expired, or the draft that was to become one, and for a day nothing was
    written. The outputs of a job that has ended may be made while they may be kept.
    """
    if not (folder / "journal" / "key").exists() or _last_change(folder) > now - DAY:
        return False
    try:
        session = bytes.fromhex(folder.name)
        signed = left_value(folder, session, CONTRACT, random)
        asked = signed or left_value(folder, session, DRAFT, random)
        if asked is None:
            return not can_resume(folder)
        contract = Contract.from_bytes(asked)
        ended = left_value(folder, session, ENDED, random) is not None
    except (ValueError, FedprofileError):
        return False
    return contract.expires + ended * contract.retention_days * DAY < now


def remove(home: NodeHome, old: Expired, keys: PartyKeys, clock: Callable[[], float]) -> None:
    """Note it in the node's ledger, then remove it."""
    ledger = node_ledger(home, keys, clock)
    try:
        ledger.write(
            "purged",
            requests=[session.hex() for session in old.requests],
            jobs={folder.name: _last_hash(folder) for folder in old.jobs},
            tags=[file.name for file in old.tags],
            journals=[folder.name for folder in old.journals],
        )
        ledger.sync()
    finally:
        ledger.close()
    try:
        for session in old.requests:
            Inbox(home.desk).remove(session)
        for folder in old.jobs:
            shutil.rmtree(folder)
        for file in old.tags:
            file.unlink(missing_ok=True)
        for folder in old.journals:
            abandon(folder)
    except OSError as error:
        raise EnvironmentFailed(
            f"not all could be removed: {error.strerror}", hint="purge again"
        ) from None


def node_ledger(home: NodeHome, keys: PartyKeys, clock: Callable[[], float]) -> Ledger:
    """The ledger of the node itself, beside those of its jobs."""
    return Ledger(home.path / "ledger.jsonl", keys, clock, bytes(32), {})


def _last_change(folder: Path) -> float:
    return max([folder.stat().st_mtime, *(file.stat().st_mtime for file in folder.iterdir())])


def _last_hash(folder: Path) -> str:
    try:
        return str(read_ledger(folder / "ledger.jsonl")[-1]["hash"])
    except (FedprofileError, IndexError):
        return ""
