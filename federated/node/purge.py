"""What a node forgets when its time is over: requests, folders of ended jobs, journals, kept tags,
outputs of jobs that it received, and who was in a job.

A line in the node's own ledger says what was removed, and the last hash of each job's ledger, so
that a later copy of one can still be told from an invented one. It is written before anything goes.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federated.approval.inbox import Inbox
from federated.approval.policy import Retention
from federated.approval.policy_file import load_policy
from federated.contract.terms import Contract
from federated.keys.party_keys import PartyKeys
from federated.ledger.ending import told_in
from federated.ledger.lines import Ledger, read_ledger
from federated.node.home import NodeHome, person_book
from federated.node.outputs import KeptOutputs, kept_outputs
from federated.session.journal import CONTRACT, DRAFT, ENDED, can_resume, left_value
from federated.session.over import abandon, let_go
from federated.steps.kept_tags import expired_tags
from federated.store.files import locked
from psi.protocol import EnvironmentFailed, FedprofileError, Random

__all__ = ["Expired", "expired", "node_ledger", "note", "purge_now", "remove"]

_log = logging.getLogger("fedprofile.purge")

DAY = 24 * 3600
_REQUEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Expired:
    """What is older than the policy keeps it: sessions of requests and jobs, files of tags.

    A request that this version cannot read is kept as long where an officer has said something of
    it, else for a day: nobody can decide on it any more.
    `journals` are folders of jobs that were left and cannot go on: their journals go, with their
    copies of the tables; their ledgers stay. `outputs` are what the contract's `retention_days`
    let the receiver keep; `persons` digests of who was in a job, after `admitted_days`.
    """

    requests: tuple[bytes, ...]
    jobs: tuple[Path, ...]
    tags: tuple[Path, ...]
    journals: tuple[Path, ...]
    outputs: tuple[KeptOutputs, ...] = ()
    persons: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        found = (self.requests, self.jobs, self.tags, self.journals, self.outputs, self.persons)
        return any(found)

    @property
    def words(self) -> str:
        """ "2 requests, 0 jobs, …" """
        persons = len({file.name.split("-", 1)[1] for file in self.persons})
        return (
            f"{len(self.requests)} requests, {len(self.jobs)} jobs, {len(self.journals)} journals, "
            f"{len(self.tags)} files of tags, outputs of {len(self.outputs)} jobs, who was in "
            f"{persons} jobs"
        )


def expired(home: NodeHome, retention: Retention, now: float, random: Random) -> Expired:
    """Look, and remove nothing. A job that can still go on is never expired."""
    before = now - retention.requests_days * DAY
    desk = Inbox(home.desk)
    requests = [e.request.session for e in desk.all() if e.ends < before]
    requests += _unreadable(desk, before, now)
    before = now - retention.jobs_days * DAY
    folders = [folder for folder in sorted(home.jobs.iterdir()) if folder.is_dir()]
    jobs = [f for f in folders if not can_resume(f) and _last_change(f) < before]
    left = [f for f in folders if f not in jobs and _is_left(f, now, random)]
    tags = expired_tags(home.tags, now, random)
    outputs = [kept for kept in kept_outputs(home) if kept.until < now]
    days = (retention.admitted_days, retention.jobs_days)
    persons = person_book(home).expired(*(now - one * DAY for one in days))
    return Expired(
        tuple(requests), tuple(jobs), tuple(tags), tuple(left), tuple(outputs), tuple(persons)
    )


def _by_rule(file: Path) -> bool:
    """Whether a rule approved it, whose jobs are counted for a year: in what version ever."""
    try:
        return bool(json.loads(file.read_bytes())["rule"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _unreadable(desk: Inbox, before: float, now: float) -> Iterator[bytes]:
    for file in desk.unread():
        name = file.name.split(".", 1)[0]
        decided = any(desk.folder.glob(f"{name}.decision.*")) or _by_rule(file)
        if _REQUEST.fullmatch(name) and file.lstat().st_mtime < (before if decided else now - DAY):
            yield bytes.fromhex(name)


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
    note(
        home,
        keys,
        clock,
        "purged",
        requests=[session.hex() for session in old.requests],
        jobs={folder.name: _last_hash(folder) for folder in old.jobs},
        tags=[file.name for file in old.tags],
        journals=[folder.name for folder in old.journals],
        outputs={kept.session: list(kept.files) for kept in old.outputs},
        persons=sorted({file.name.split("-", 1)[1] for file in old.persons}),
    )
    try:
        for session in old.requests:
            Inbox(home.desk).remove(session)
        for kept in old.outputs:  # found through their job's folder, so before it
            kept.remove()
        for folder in old.jobs:
            shutil.rmtree(folder)
        for file in old.tags:
            file.unlink(missing_ok=True)
        for folder in old.journals:
            told = told_in(folder / "ledger.jsonl")
            if told.finished or told.word == "refused":
                abandon(folder)  # its ledger says how it ended
            else:
                let_go(folder, "its contract has expired, and nobody went on with it")
        for file in home.path.glob("reached/*"):  # of journals that were let go; not of new ones
            journal = home.jobs / file.name / "journal" / "key"
            if not journal.exists() and file.stat().st_mtime < clock() - DAY:
                file.unlink(missing_ok=True)
        for file in old.persons:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFailed(
            f"not all could be removed: {error.strerror}", hint="purge again"
        ) from None


def purge_now(home: NodeHome, keys: PartyKeys) -> Expired | None:
    """What a timer does: remove what is over, if the policy lets it; logs what went or failed.

    None where nothing was looked at.
    """
    try:
        retention = load_policy(home.policy).retention
        if not retention.by_timer:
            return None
        old = expired(home, retention, time.time(), secrets.token_bytes)
        if old:
            remove(home, old, keys, time.time)
            _log.info("removed, its time was over: %s", old.words)
        return old
    except FedprofileError as error:  # it is tried again in an hour
        _log.warning("what is over could not be removed: %s", error.message)
        return None


def note(
    home: NodeHome, keys: PartyKeys, clock: Callable[[], float], kind: str, **body: Any
) -> None:
    """A line in the node's own ledger; a command and the running node write one after the other."""
    with locked(home.path / ".ledger.lock"):
        ledger = node_ledger(home, keys, clock)
        try:
            ledger.write(kind, **body)
            ledger.sync()
        finally:
            ledger.close()


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
