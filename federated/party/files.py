"""Files that are old or new after a kill at any moment, never half."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from psi.protocol import EnvironmentFailed

__all__ = ["disk_failed", "write_atomic"]


def disk_failed(what: str, error: OSError, hint: str = "") -> EnvironmentFailed:
    """The error for a file that cannot be written, with what to do where the disk is full."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = "make room on the disk and start again; what was done so far stays"
    return EnvironmentFailed(f"{what}: {error.strerror}", hint=hint)


def write_atomic(
    path: Path, data: bytes | str, *, private: bool = False, sync: bool = True
) -> None:
    """Write to a temporary name beside `path`, sync, rename. `private`: mode 0600.

    Without `sync` a kill leaves old or new all the same, a power failure perhaps neither.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o600 if private else 0o644)
            if sync:
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise disk_failed(f"cannot write {path.name}", error, "nothing was replaced") from None
