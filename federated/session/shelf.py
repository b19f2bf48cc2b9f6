"""Frames that have come before their step wants them: a little in memory, the rest on disk.

    journal/ahead    whole frames as they came, sealed for this party by their senders

A peer decides when it sends, so what it sends ahead must not fill this party's memory; how many
bytes there can be in all is the contract's (`federated.steps.byte_limits`). The file is begun anew
by each process: a peer sends again what this party has not opened.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from federated.session.sealing import SealedFrame
from federated.store.files import disk_failed, make_folder, private_file
from psi.protocol import decode, encode

__all__ = ["MEMORY", "Shelf", "Waiting"]

MEMORY = 4 << 20
"""Bytes of all frames that may wait in memory."""


@dataclass(frozen=True)
class Waiting:
    """A frame that waits: its step and number, and the frame or its place in the file."""

    step: str
    counter: int
    size: int
    frame: SealedFrame | None
    place: int = 0


class Shelf:
    """Keeps frames until they are taken. `file` need not exist, nor its folder."""

    def __init__(self, file: Path, memory: int = MEMORY) -> None:
        self._path, self._memory = file, memory
        self._file: IO[Any] | None = None
        self._end = self._on_disk = 0

    def __repr__(self) -> str:
        return f"<shelf with {self._on_disk} frames on disk>"

    def put(self, frame: SealedFrame) -> Waiting:
        """Keep a frame."""
        size = len(frame.sealed)
        if size <= self._memory:
            self._memory -= size
            return Waiting(frame.step, frame.counter, size, frame)
        data = encode(frame)
        try:
            if self._file is None:
                make_folder(self._path.parent)
                self._file = private_file(self._path, "w+b")
            self._file.seek(self._end)
            self._file.write(data)
        except OSError as error:
            raise disk_failed(f"journal {self._path.parent}", error) from None
        found = Waiting(frame.step, frame.counter, len(data), None, self._end)
        self._end += len(data)
        self._on_disk += 1
        return found

    def take(self, waiting: Waiting) -> SealedFrame:
        """The frame, which is not kept any more."""
        if waiting.frame is not None:
            self._memory += waiting.size
            return waiting.frame
        try:
            if self._file is None:
                raise FileNotFoundError(2, "the file is gone")
            self._file.seek(waiting.place)
            frame = decode(self._file.read(waiting.size), SealedFrame)
            self._on_disk -= 1
            if self._on_disk == 0:
                self._end = 0
                self._file.truncate(0)
        except OSError as error:
            raise disk_failed(f"journal {self._path.parent}", error) from None
        return frame

    def close(self) -> None:
        """Forget all that waits on disk."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk: what is lost is sent again
                self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)
