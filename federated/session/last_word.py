"""What a party that has ended says to whoever asks it later.

With a job's end its journal goes, and with it all frames that could be sent again. A hub that dies
at that moment may take the last of them along, and a party that was away has heard none. So one
frame a peer stays beside the ledger, in `last-PEER`, as it was sealed: the one that says that this
party has all its results, or the farewell of one that has ended for good. Only that peer can open
it and nobody can make another, so it ends a job that the hub's word alone does not end. It says
nothing that was not said before, and goes with the job's folder.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from federated.session.routers import FAREWELL
from federated.session.sealing import frame_step
from federated.store.files import write_atomic
from psi.protocol import EnvironmentFailed

__all__ = ["FINISH", "is_last_word", "keep_last_word", "last_word"]

FINISH = "finish"
"""The last step of a job."""

_LAST = "last-"
_LARGEST = 1 << 14


def keep_last_word(home: Path, peer: str, frame: bytes) -> None:
    """Keep what `peer` is told from now on, if the disk has room: nothing depends on it here."""
    with contextlib.suppress(EnvironmentFailed):
        write_atomic(home / f"{_LAST}{peer}", frame, private=True, sync=False)


def last_word(home: Path, peer: str) -> bytes:
    """The frame for whoever calls itself `peer`; empty where this party has not ended."""
    for file in home.glob(f"{_LAST}*"):  # a name from outside makes no path
        if file.name == f"{_LAST}{peer}":
            try:
                return file.read_bytes()
            except OSError:
                return b""
    return b""


def is_last_word(frame: bytes) -> bool:
    """Whether it can be one, by its outside; its seal is held where its channel is."""
    return len(frame) <= _LARGEST and frame_step(frame) in (FINISH, FAREWELL)
