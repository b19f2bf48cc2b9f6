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
    """

    def __init__(self, folder: Path, random: Random, memory: int = MEMORY) -> None:
        self._folder, self._memory = folder, memory
        self._vault = Vault(folder, "key", b"fedprofile spool v1", random)
        self._held: dict[str, np.ndarray] = {}
        self._unsealed: set[str] = set()

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
        self._vault.write(file, sealed, file.encode(), sync=False)
        self._unsealed.discard(file)

    def flush(self) -> None:
        """Have everything on disk."""
        for file in sorted(self._unsealed):
            self._seal(file, self._held[file])

    def get(self, name: str, part: int) -> np.ndarray:
        """What was kept. Raises `MisuseError` if nothing was, `InputError` if it was altered."""
        file = f"{name}-{part}"
        if file in self._held:
            return self._held[file]
        data = self._vault.read(file, file.encode())
        if data is None:
            raise MisuseError(f"part {part} of {name} is not in the store")
        found = decode(data, _Part)
        return np.frombuffer(found.data, np.dtype(found.kind)).reshape(found.shape)

    def clear(self) -> None:
        """Remove the folder; the key goes first."""
        self._memory += sum(rows.nbytes for rows in self._held.values())
        self._held, self._unsealed = {}, set()
        self._vault.destroy()
        try:
            shutil.rmtree(self._folder, ignore_errors=False)
        except FileNotFoundError:
            return
        except OSError as error:
            raise disk_failed(f"cannot remove {self._folder}", error) from None
