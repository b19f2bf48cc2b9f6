"""How far a job has come, outside of its folder: by it an older copy of that folder is known.

A journal that is put back alone into a home that lives on stands on an earlier point. Whoever went
on from there would seal other frames under numbers that are used already. The file holds the turn
of the newest point that frames were sent from. It is written once that point is on the disk, so
a journal never stands before it but where it was put back. It is made with the journal and removed
with it, so a journal without one was put back after the job's end.

A kill loses nothing of it. A power failure may lose its last turn: that is synced with the next
point, at no cost in time. So a folder that is put back, after a power failure, from a copy of
exactly one turn before is not known.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from federated.store.files import disk_failed, make_folder, sync_folder
from psi.protocol import EnvironmentFailed

__all__ = ["PUT_BACK", "PutBack", "Reached"]

PUT_BACK = (
    "this job's folder is older than the job: it was put back from a copy, and going on would use "
    "numbers of sealed frames twice"
)

_SIZE = 8


class PutBack(EnvironmentFailed):
    """A job's folder is older than the job: it does not go on."""


class Reached:
    """The turn that one job has reached, in `file`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._open: int | None = None

    def __repr__(self) -> str:
        return f"<reached {self._file.name[:8]}>"

    def begin(self) -> None:
        """A job without a journal yet, of which nothing was sent."""
        try:
            make_folder(self._file.parent)
            self.note(0)
            os.fdatasync(self.handle)
            sync_folder(self._file.parent)
        except OSError as error:
            raise disk_failed(f"cannot write {self._file}", error) from None

    def check(self, turn: int) -> None:
        """Raise `PutBack` unless the job may go on from this turn, 0 before the first."""
        try:
            reached = int.from_bytes(self._file.read_bytes(), "little")
        except FileNotFoundError:
            reached = None
        except OSError as error:
            raise disk_failed(f"cannot read {self._file}", error) from None
        if reached is None or turn < reached:
            raise PutBack(
                PUT_BACK,
                hint="stop the job and have it proposed anew; a copy of the whole home, by "
                "fedprofile node restore, can go on",
            )

    @property
    def handle(self) -> int:
        """The open file, which the caller syncs. Raises `OSError`."""
        if self._open is None:
            self._open = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._open

    def note(self, turn: int) -> None:
        """Frames are sent from this point next. Raises `OSError`."""
        os.pwrite(self.handle, turn.to_bytes(_SIZE, "little"), 0)

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            with contextlib.suppress(OSError):
                os.close(self._open)
            self._open = None

    def remove(self) -> None:
        """The job has ended: its journal counts no more, should it be put back."""
        self.close()
        self._file.unlink(missing_ok=True)
