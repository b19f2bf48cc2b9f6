"""A role's large arrays on disk: one sealed file a part (a `psi.protocol.Store`)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from federated.party.files import disk_failed
from federated.party.vault import Vault
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

__all__ = ["Spool"]

KINDS = ("uint8", "uint32", "uint64", "int32", "int64", "float64")


@message(0xA5)
@dataclass(frozen=True)
class _Part:
    kind: Annotated[str, Text(16)]
    shape: Annotated[tuple[Annotated[int, Range(0, 2**40)], ...], Length(4)]
    data: Annotated[bytes, Length(1 << 34)]


class Spool:
    """Parts in `folder`, sealed under a key of its own; `clear` removes all of it.

    Files are not synced: they outlive a killed process, and after a power failure a part that is
    missing or broken is an error that says to run the job again.
    """

    def __init__(self, folder: Path, random: Random) -> None:
        self._folder = folder
        self._vault = Vault(folder, "key", b"fedprofile spool v1", random)

    def __repr__(self) -> str:
        return f"<spool in {self._folder.name}>"

    def put(self, name: str, part: int, rows: np.ndarray) -> None:
        """Seal and keep."""
        if rows.dtype.name not in KINDS:
            raise MisuseError(f"rows of {rows.dtype.name} found, {', '.join(KINDS)} allowed")
        data = np.ascontiguousarray(rows).tobytes()
        sealed = encode(_Part(rows.dtype.name, rows.shape, data))
        file = f"{name}-{part}"
        self._vault.write(file, sealed, file.encode(), sync=False)

    def get(self, name: str, part: int) -> np.ndarray:
        """Open what was kept. Raises `MisuseError` if nothing was, `InputError` if altered."""
        file = f"{name}-{part}"
        data = self._vault.read(file, file.encode())
        if data is None:
            raise MisuseError(f"part {part} of {name} is not in the store")
        found = decode(data, _Part)
        return np.frombuffer(found.data, np.dtype(found.kind)).reshape(found.shape)

    def clear(self) -> None:
        """Remove the folder; the key goes first."""
        self._vault.destroy()
        try:
            shutil.rmtree(self._folder, ignore_errors=False)
        except FileNotFoundError:
            return
        except OSError as error:
            raise disk_failed(self._folder.name, error) from None
