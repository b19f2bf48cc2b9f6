"""A role's large arrays: the first in memory, the rest on disk, sealed (a `psi.protocol.Store`)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from federated.store.files import disk_failed
from federated.store.vault import Vault
from psi.protocol import (
    Length,
    MisuseError,
    Random,
    Range,
    Text,
    decode,
    encode,
    message,
)

__all__ = ["MEMORY", "Spool"]

KINDS: tuple[str, ...] = ("bool", "int8", "int16", "int32", "int64", "float64")
KINDS += ("uint8", "uint16", "uint32", "uint64")
MEMORY = 1 << 28
"""Bytes of parts that a spool keeps in memory: those of a set of 10^7 tags."""


@message(0xA5)
@dataclass(frozen=True)
class _Part:
    kind: Annotated[str, Text(16)]
    shape: Annotated[tuple[Annotated[int, Range(0, 2**40)], ...], Length(4)]
    data: Annotated[bytes, Length(1 << 34)]


class Spool:
    """Parts in `folder`, sealed under a key of its own; `clear` removes all of it.

    The first `memory` bytes stay in memory too, and go to disk when `flush` asks for it: before
    a point that counts on them. Files are not synced: they outlive a killed process, and after a
    power failure a part that is missing or broken is an error that says to run the job again.

    A part that is written again gets a file of another number, and the one before goes: a rename
    onto a file has the system write the new one at once, and what lives for a turn would all go
    through the disk.
    """

    def __init__(self, folder: Path, random: Random, memory: int = MEMORY) -> None:
        self._folder, self._memory = folder, memory
        self._vault = Vault(folder, "key", b"fedprofile spool v1", random)
        self._held: dict[str, np.ndarray] = {}
        self._unsealed: set[str] = set()
        self._files: dict[str, int] = {}
        """The number of each part's file."""
        self._looked = False

    def __repr__(self) -> str:
        return f"<spool in {self._folder.name}>"

    def put(self, name: str, part: int, rows: np.ndarray) -> None:
        """Keep; whoever puts rows does not change them afterwards."""
        if rows.dtype.name not in KINDS:
            raise MisuseError(f"rows of {rows.dtype.name} found, {', '.join(KINDS)} allowed")
        file = f"{name}-{part}"
        before = self._held.pop(file, None)
        self._memory += 0 if before is None else before.nbytes
        if rows.nbytes > self._memory:
            self._seal(file, rows)
            return
        self._memory -= rows.nbytes
        self._held[file] = rows
        self._unsealed.add(file)

    def _seal(self, file: str, rows: np.ndarray) -> None:
        data = np.ascontiguousarray(rows).tobytes()
        sealed = encode(_Part(rows.dtype.name, rows.shape, data))
        if not self._looked:
            self._look()
        before = self._files.get(file, 0)
        self._vault.write(f"{file}.{before + 1}", sealed, file.encode(), sync=False)
        self._files[file] = before + 1
        self._remove(file, before)
        self._unsealed.discard(file)

    def _look(self) -> None:
        """What an earlier life has left. A kill may have left two of a part: the newer counts."""
        self._looked = True
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            name, _, number = path.name.rpartition(".")
            if name and number.isdigit():
                first, last = sorted((self._files.get(name, 0), int(number)))
                self._files[name] = last
                self._remove(name, first)

    def _remove(self, file: str, number: int) -> None:
        if number:
            (self._folder / f"{file}.{number}").unlink(missing_ok=True)

    def flush(self) -> None:
        """Have everything on disk."""
        for file in sorted(self._unsealed):
            self._seal(file, self._held[file])

    def get(self, name: str, part: int) -> np.ndarray:
        """What was kept. Raises `MisuseError` if nothing was, `InputError` if it was altered."""
        file = f"{name}-{part}"
        if file in self._held:
            return self._held[file]
        if file not in self._files:
            self._look()
        data = self._vault.read(f"{file}.{self._files.get(file, 0)}", file.encode())
        if data is None:
            raise MisuseError(f"part {part} of {name} is not in the store")
        found = decode(data, _Part)
        return np.frombuffer(found.data, np.dtype(found.kind)).reshape(found.shape)

    def clear(self) -> None:
        """Remove the folder; the key goes first."""
        self._memory += sum(rows.nbytes for rows in self._held.values())
        self._held, self._unsealed, self._files = {}, set(), {}
        self._vault.destroy()
        try:
            shutil.rmtree(self._folder, ignore_errors=False)
        except FileNotFoundError:
            return
        except OSError as error:
            raise disk_failed(f"cannot remove {self._folder}", error) from None
