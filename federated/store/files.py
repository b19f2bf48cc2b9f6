"""Files that are old or new after a kill at any moment, never half, and their owner's alone.

Whatever this software writes is about people or about a party's dealings, so a file has mode 0600
and a folder 0700 unless it is made for others: identities, vouchers, what officers exchange.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from psi.protocol import EnvironmentFailed, FedprofileError, MisuseError

__all__ = [
    "check_layout",
    "check_room",
    "disk_failed",
    "locked",
    "make_folder",
    "of_another_version",
    "private_file",
    "sync_folder",
    "write_atomic",
]


def disk_failed(what: str, error: OSError, hint: str = "") -> EnvironmentFailed:
    """The error for a file that cannot be written, with what to do about disk or permission.

    Args:
        what: what was done to which file, by its whole path: another party is never told.
        error: what the system said.
        hint: where it is neither.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = "make room on the disk and start again; earlier results are as they were"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "let the user that runs this write there; ls -ld says whose it is"
    return EnvironmentFailed(f"{what}: {error.strerror or 'write failed'}", hint=hint)


def of_another_version(error: FedprofileError) -> EnvironmentFailed:
    """What a job at rest says whose records are not those of this version; its journal stays."""
    return EnvironmentFailed(
        f"this job was begun by another version of this software, or is damaged: {error.message}",
        hint="go on with the version that began it, or stop the job and have it proposed anew",
    )


def check_layout(file: Path, found: object, known: int) -> None:
    """Raise `EnvironmentFailed` unless a settings file names the version that is `known` here."""
    if found != known or type(found) is not int:
        raise EnvironmentFailed(
            f"{file}: version {found if type(found) is int else 'unknown'} found, {known} is "
            "read here",
            hint="run the version of this software that made the folder, or a later one",
        )


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, with mode 0700.

    One that is there stays as it is. What root makes is its parent's owner's: `sudo fedprofile node
    approve` leaves nothing behind that the node cannot use. Raises `OSError`.
    """
    missing = [path, *path.parents]
    missing = missing[: next((n for n, folder in enumerate(missing) if folder.is_dir()), None)]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        _give(folder)


def _give(path: Path) -> None:
    """To the owner of the folder that it is in, where root has just made it."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(path, owner.st_uid, owner.st_gid)


def check_room(folder: Path, size: int) -> None:
    """Look whether so many bytes can be written there, and leave nothing: before what is done once.

    Raises:
        EnvironmentFailed: no room, or no permission.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        raise disk_failed(f"cannot write into {folder}", error) from None
    finally:
        with contextlib.suppress(OSError):
            for place in made:
                place.rmdir()


def private_file(path: Path, mode: str) -> IO[Any]:
    """`open` for a file that is appended to or locked: made with mode 0600. Raises `OSError`."""

    def opener(name: str, flags: int) -> int:
        handle = os.open(name, flags, 0o600)
        os.fchmod(handle, 0o600)  # one that an earlier version has made
        return handle

    return open(path, mode, opener=opener)


@contextlib.contextmanager
def locked(path: Path, *, taken: str = "") -> Iterator[None]:
    """Hold the lock file `path` alone, among all threads and processes; made if it is missing.

    Its mode is set when it is made and not again: whoever may open it may be another user than its
    owner. A process that ends, or is killed, gives it back.

    Args:
        path: the lock file.
        taken: what `MisuseError` says, at once, where somebody else holds it; "" waits for it.

    Raises:
        EnvironmentFailed: the file cannot be made.
        MisuseError: somebody else holds it.
    """
    try:
        make_folder(path.parent)
        made = not path.exists()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        if made:
            _give(path)
    except OSError as error:
        raise disk_failed(f"cannot write into {path.parent}", error) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if taken else 0))
        except BlockingIOError:
            raise MisuseError(taken) from None
        yield
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """What was made, renamed or removed in a folder outlives a power failure. Raises `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, data: bytes | str, *, private: bool = True, sync: bool = True) -> None:
    """Write to a temporary name beside `path`, sync, rename: mode 0600, or 0644 for others.

    The new content stays through a power failure afterwards: what is counted before it is told must
    not be forgotten. Without `sync` a kill leaves old or new all the same, a power failure perhaps
    neither.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    temporary = ""
    try:
        make_folder(path.parent)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o600 if private else 0o644)
            if sync:
                os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = ""
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise disk_failed(f"cannot write {path}", error, "nothing was replaced") from None
