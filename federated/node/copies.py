"""A copy of a node, or of a hub, in one file; a folder made of it; and its officer's word on that.

The file is a gzipped tar of mode 0600. Its last member, `COPY`, says whose it is, when it was
made, whether the party was at work meanwhile, and the SHA-256 of every file. Keys are in it as they
are at rest, under the passphrase. The rest is as private as the folder itself: the book of releases
with its key, and the journals of jobs under way with their copies of tables.

A copy that is restored may be older than what the party has told since. `accept` takes its
officer's word: either it is the last state, then jobs go on; or something may be forgotten, then
jobs under way are let go (going on from an earlier point would seal new frames under numbers
already used), officers' words that are not spent are void, rules that count their jobs approve no
more under their names, and the node's ledger says so.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any

from federated.approval.call import caller_in
from federated.approval.inbox import Inbox
from federated.approval.policy import Policy
from federated.approval.policy_file import load_policy
from federated.approval.series import forget_counts
from federated.keys.party_keys import PartyKeys
from federated.node.belongings import files_of
from federated.node.home import NodeHome
from federated.node.lives import Copy, adopt, copy_of, mark
from federated.node.purge import node_ledger
from federated.session.journal import can_begin, can_resume
from federated.session.over import let_go
from federated.store.files import disk_failed, make_folder
from psi.protocol import EnvironmentFailed, FedprofileError, InputError, JobError, MisuseError

__all__ = ["accept", "backup", "restore"]

_MANIFEST = "COPY"
_LARGEST = 1 << 28
_FORGOTTEN = "let go when this folder, an older copy, was accepted as one that may have forgotten"


def backup(home: Path, out: Path, party: str, *, running: bool) -> int:
    """Write all that the folder holds into `out`; the number of files.

    `running`: a process of the party is at work, so this is not its last state.
    """
    if out.exists():
        raise MisuseError(f"{out} exists", hint="give another name")
    if out.resolve().is_relative_to(home.resolve()):
        raise MisuseError(f"{out} lies in {home}", hint="put the copy elsewhere")
    files: dict[str, str] = {}
    data = {"version": 1, "party": party, "made": int(time.time()), "running": running}
    part = out.with_name(f".{out.name}.part")
    try:
        make_folder(out.absolute().parent)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with (
            os.fdopen(handle, "wb") as raw,
            tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as archive,
        ):
            for name in files_of(home):
                _add(archive, home / name, str(name), files)
            said = json.dumps(data | {"files": files}).encode()
            member = tarfile.TarInfo(_MANIFEST)
            member.size, member.mode = len(said), 0o600
            archive.addfile(member, io.BytesIO(said))
        part.replace(out)
    except OSError as error:
        raise disk_failed(f"cannot write {out}", error) from None
    finally:
        part.unlink(missing_ok=True)
    return len(files)


class _Hashing:
    """Reads a file and hashes what it reads; a file that shrinks meanwhile is filled with zeros."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        data += bytes(size - len(data))
        self.digest.update(data)
        return data


def _add(archive: tarfile.TarFile, path: Path, name: str, files: dict[str, str]) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            if not os.access(path, os.R_OK | os.X_OK):  # what is in it would be missing in silence
                raise EnvironmentFailed(
                    f"{name} cannot be read by this user", hint="give it to the node's own user"
                )
            archive.add(path, arcname=name, recursive=False)
            return
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            member = archive.gettarinfo(arcname=name, fileobj=file)
            reader = _Hashing(file)
            archive.addfile(member, reader)  # type: ignore[arg-type]
    except FileNotFoundError:
        return  # a job at work has removed it since
    files[name] = reader.digest.hexdigest()


def restore(file: Path, home: Path) -> Copy:
    """Make `home` of a copy, whole or not at all; the mark that it bears from then on.

    Folders are their owner's alone afterwards: a `desk` that a group had is given to it again by
    hand. Raises `InputError` where the file is no copy or was altered, `MisuseError` where `home`
    holds something.
    """
    if home.exists() and any(home.iterdir()):
        raise MisuseError(f"{home} holds something already", hint="name a new folder")
    home = home.absolute()
    part = home.with_name(f".{home.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        make_folder(part)
        data = _extracted(file, part)
        found = Copy(f"it was restored from {file.name}", int(data["made"]), bool(data["running"]))
        place = part if (part / "node.toml").exists() else part / "party"
        if (place / "node.toml").exists():
            mark(place, found)
        if home.exists():
            home.rmdir()
        part.rename(home)
    except (tarfile.TarError, EOFError, KeyError, ValueError, TypeError):
        raise InputError(f"{file.name}: not a copy of a node or hub, or not whole") from None
    except OSError as error:
        raise disk_failed(f"cannot restore {file.name} to {home}", error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return found


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, part: Path) -> None:
    """A file or a folder below `part`, and nothing else: `extractall` is safe since 3.11.4 only."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
        raise ValueError
    path = part / name
    make_folder(path if member.isdir() else path.parent)
    found = archive.extractfile(member)
    if found is None:
        return
    mode = 0o600 | member.mode & 0o044
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        shutil.copyfileobj(found, file, 1 << 20)
    os.utime(path, (member.mtime, member.mtime))  # that of a call says when its job came


def _extracted(file: Path, part: Path) -> dict[str, Any]:
    with tarfile.open(file, mode="r:gz") as archive:
        for member in archive:
            _extract(archive, member, part)
    said = part / _MANIFEST
    if not said.is_file() or said.stat().st_size > _LARGEST:
        raise ValueError
    data: dict[str, Any] = json.loads(said.read_text("utf-8"))
    said.unlink()
    if data["version"] != 1:
        raise ValueError
    there = set()
    for path in part.rglob("*"):
        name = str(path.relative_to(part))
        if path.is_dir():
            path.chmod(0o700)
            continue
        with path.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != data["files"].get(name):
                raise InputError(f"{file.name}: {name} was altered")
        there.add(name)
    if there != set(data["files"]):
        raise InputError(f"{file.name}: files are missing in it")
    return data


def accept(
    home: NodeHome,
    keys: PartyKeys,
    by: str,
    *,
    last: bool,
    why: str = "",
    clock: Callable[[], float] = time.time,
) -> list[str]:
    """An officer takes the folder for the party; the sessions of jobs that were let go.

    With `last` he says that the party did not run after the copy was made. Raises `MisuseError`
    where the folder is no copy, or the party is known to have run on, `FedprofileError` for a
    policy that cannot be read.
    """
    found = copy_of(home.path)
    if found is None:
        raise MisuseError(f"{home.path} is not a copy: there is nothing to accept")
    if last and found.running:
        raise MisuseError(
            "the party was at work when the copy was made, or after: it is not its last state",
            hint="--may-have-forgotten takes it as it is: jobs under way are let go, and the "
            "ledger notes what may be forgotten",
        )
    left = [] if last else [f for f in sorted(home.jobs.glob("*")) if _is_under_way(f)]
    rules = () if last else forget_counts(home.path, _policy(home), found.made, clock)
    ledger = node_ledger(home, keys, clock)
    try:
        ledger.write(
            "restored",
            made=found.made,
            found=found.why,
            last=last,
            by=by,
            why=why,
            jobs=[folder.name for folder in left],
            rules=list(rules),
        )
        ledger.sync()
    finally:
        ledger.close()
    inbox = Inbox(home.desk)
    for folder in left:
        let_go(folder, _FORGOTTEN, **_names(folder, inbox))
        if (home.desk / f"{folder.name}.request").exists():
            inbox.remove(bytes.fromhex(folder.name))
    if not last:
        for word in home.desk.glob("*.decision.*"):
            if not inbox.spent(bytes.fromhex(word.name.partition(".")[0])):
                word.unlink(missing_ok=True)
    adopt(home.path, last=last)
    return [folder.name for folder in left]


def _names(folder: Path, inbox: Inbox) -> dict[str, str]:
    """What lists call a job by whose proposal goes."""
    entries = [one for one in inbox.all() if one.request.session.hex() == folder.name]
    for contract in (entry.request.contract for entry in entries):
        return {
            "proposer": contract.proposer,
            "job": contract.job,
            "purpose": contract.purpose,
        }
    call = folder / "call"
    return {"proposer": caller_in(call.read_bytes())} if call.exists() else {}


def _is_under_way(folder: Path) -> bool:
    """Whether a job goes on from this folder, or would begin here."""
    return can_resume(folder) or ((folder / "call").exists() and can_begin(folder))


def _policy(home: NodeHome) -> Policy:
    """What says which rules count; nothing is accepted while nobody can read it."""
    try:
        return load_policy(home.policy)
    except FedprofileError as error:
        raise JobError(
            f"nothing is accepted yet, for the policy says which rules counted: {error.message}",
            hint=f"mend {home.policy} under the names its rules had (fedprofile node policy check "
            f"--home {home.path} looks), then accept-copy again",
        ) from None
