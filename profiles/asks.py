"""What analysts ask a party to propose, each on his own account: signed files in a shared folder.

    asks/ID.ask        the job file, who asks, and his signature; written by his own command
    asks/ID/           made by the party's service: log, state.json, and in the end out/

The folder is one that analysts may write to and the service owns (mode 3770, their group). An
analyst needs neither the party's keys nor its passphrase, and reads nothing of the party's folder.
The party's list of officers names whose signature counts.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federated.keys.officers import (
    ANALYST,
    OFFICER,
    OfficerKey,
    OfficerList,
    Person,
    check_signed,
)
from federated.store.files import write_atomic
from profiles.extends import whole_text
from profiles.job import Job
from psi.protocol import InputError, MisuseError, Refused

__all__ = ["Ask", "asks_in", "find_ask", "put_ask", "read_ask", "share"]

VALID = 7 * 24 * 3600
"""Seconds for which an ask that nobody has served counts."""

_USE = b"fedprofile ask v1\n"
_LARGEST = 1 << 20
_FIELDS = ("id", "party", "job", "made", "asker", "key")


@dataclass(frozen=True)
class Ask:
    """An ask on file: where, what it says, and who asks if a list of people was given."""

    file: Path
    said: dict[str, Any]
    asker: Person | None = None

    @property
    def id(self) -> str:
        """The name that commands use for it."""
        return str(self.said["id"])

    @property
    def folder(self) -> Path:
        """Where its log, state and outputs are."""
        return self.file.with_suffix("")

    @property
    def state(self) -> dict[str, Any]:
        """`state` (asked, running, done, failed or refused), `why`, `code`."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "state.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {"state": "asked", "why": "", "code": 0}
        return found

    @property
    def before(self) -> Ask | None:
        """The last ask for the very same job that is done; only what this user's service has run,
        into a folder that nobody else may write to, counts."""
        alike = [
            one
            for one in asks_in(self.file.parent)
            if one.id != self.id
            and one.said["job"] == self.said["job"]
            and one.said["made"] <= self.said["made"]
            and _own(one.folder)
            and one.state["state"] == "done"
        ]
        return max(alike, key=lambda one: one.said["made"], default=None)

    def becomes(self, state: str, why: str = "", code: int = 0) -> None:
        """Note a state, for the group that reads the folder."""
        data = {"state": state, "why": why, "code": code}
        file = self.folder / "state.json"
        write_atomic(file, json.dumps(data), private=False)
        file.chmod(0o640)


def _own(folder: Path) -> bool:
    """Whether a folder is this user's, and for him alone to write to."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return mine and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def put_ask(folder: Path, job_file: Path, key: OfficerKey) -> Ask:
    """Ask for a job, in the name of the key's owner.

    Args:
        folder: that of the party's asks.
        job_file: a job file; the party is its receiver.
        key: the analyst's own.

    Raises:
        JobError: the job file is wrong, with the key.
        InputError: the folder cannot be written to.
    """
    job = Job.load(job_file)
    said: dict[str, Any] = {
        "id": secrets.token_hex(8),
        "party": job.receiver,
        "job": whole_text(job_file).decode("utf-8"),
        "made": int(time.time()),
        "asker": key.name,
        "key": key.public,
    }
    whole = said | {"signature": key.sign(_USE, _text(said))}
    if not folder.is_dir():
        raise InputError(f"{folder}: no folder of asks", hint="ask whoever runs fedprofile here")
    file = folder / f"{said['id']}.ask"
    write_atomic(file, json.dumps(whole, indent=1), private=False)
    return Ask(file, whole)


def read_ask(file: Path, listed: OfficerList | None = None, *, new: bool = True) -> Ask:
    """An ask; with `listed` its signature is checked too, and, where it is `new`, its age.

    Raises:
        InputError: it is malformed.
        Refused: nobody whom the list names has signed it for this party, or it is too old.
    """
    try:
        if file.is_symlink() or file.stat().st_size > _LARGEST:
            raise ValueError
        said: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if set(said) != {*_FIELDS, "signature"} or said["id"] != file.stem:
            raise ValueError
        if not isinstance(said["job"], str) or not isinstance(said["made"], int):
            raise ValueError
    except OSError as error:
        raise InputError(f"{file.name}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise InputError(f"{file.name}: not an ask, or altered") from None
    if listed is None:
        return Ask(file, said)
    person = listed.find(str(said["asker"]), ANALYST, OFFICER)
    if person is None or person.key != said["key"] or said["party"] != listed.party:
        raise Refused(
            f"{said['asker']} is not listed at {listed.party} with this key",
            hint="fedprofile node officers add CARD FINGERPRINT --role analyst",
        )
    check_signed(person, _USE, _text(said), str(said["signature"]))
    if new and not time.time() - VALID < said["made"] < time.time() + 3600:
        raise Refused("the ask is too old, or a clock is wrong", hint="ask again")
    return Ask(file, said, person)


def asks_in(folder: Path) -> list[Ask]:
    """All asks that can be read, oldest first; nothing of them is checked."""
    found = []
    for file in folder.glob("*.ask"):
        try:
            found.append(read_ask(file))
        except InputError:
            continue
    return sorted(found, key=lambda ask: int(ask.said["made"]))


def find_ask(folder: Path, name: str) -> Ask:
    """The ask whose id begins with `name`. Raises `MisuseError` unless there is one."""
    found = [ask for ask in asks_in(folder) if name and ask.id.startswith(name)]
    if len(found) != 1:
        raise MisuseError(f"{len(found)} asks begin with {name[:32]!r}", hint="fedprofile job asks")
    return found[0]


def share(folder: Path) -> None:
    """Let the group of the folder read what is in it: the asks' folder gives its group on."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o2750 if path.is_dir() else 0o640)


def _text(said: dict[str, Any]) -> bytes:
    plain = {name: said[name] for name in _FIELDS}
    return json.dumps(plain, ensure_ascii=False, sort_keys=True).encode()
