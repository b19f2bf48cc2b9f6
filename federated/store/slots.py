"""A sealed value in two files that are overwritten in turn: the value before stays until it counts.

    magic (8) | bytes of what is sealed (8) | their SHA-256 (32) | sealed

One that a kill or a power failure left half written is passed over: whoever wrote it had not gone
on from there yet. No file is made, renamed or lengthened for a value that is no larger than those
before, so that one flush of the disk makes it last.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from federated.store.files import (
    disk_failed,
    make_folder,
    of_another_version,
    sync_folder,
)
from federated.store.vault import Vault
from psi.protocol import InputError

__all__ = ["Slots"]

_MAGIC = b"slot v1\n"
_SIZE, _DIGEST = 8, 32
_HEAD = len(_MAGIC) + _SIZE + _DIGEST


class Slots:
    """The files `names`, two of them, in `folder`."""

    def __init__(self, folder: Path, names: tuple[str, str], vault: Vault) -> None:
        self._folder, self._names, self._vault = folder, names, vault
        self._open: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<slots {', '.join(self._names)}>"

    def read(self) -> dict[int, bytes]:
        """The values that are whole, by slot.

        Raises:
            EnvironmentFailed: a file of another version.
            InputError: one that does not open.
        """
        found = {}
        for at, name in enumerate(self._names):
            try:
                data = (self._folder / name).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise disk_failed(f"cannot read {self._folder / name}", error) from None
            begins = data[: len(_MAGIC)]
            if begins != _MAGIC:
                if not begins.startswith(b"\0") and not _MAGIC.startswith(begins):
                    raise of_another_version(InputError(f"{name} begins otherwise"))
                continue  # lengthened by a power failure, and not written
            size = int.from_bytes(data[len(_MAGIC) :][:_SIZE], "little")
            digest, sealed = data[_HEAD - _DIGEST : _HEAD], data[_HEAD : _HEAD + size]
            if len(data) >= _HEAD and hashlib.sha256(sealed).digest() == digest:
                found[at] = self._vault.open(name, sealed)
        return found

    def write(self, at: int, data: bytes) -> int:
        """Seal a value into a slot; the open file, which the caller syncs. Raises `OSError`."""
        sealed = self._vault.seal(data)
        size = len(sealed).to_bytes(_SIZE, "little")
        whole = memoryview(_MAGIC + size + hashlib.sha256(sealed).digest() + sealed)
        handle, done = self._handle(at), 0
        while done < len(whole):
            done += os.pwrite(handle, whole[done:], done)
        return handle

    def close(self) -> None:
        """Close the files."""
        while self._open:
            with contextlib.suppress(OSError):
                os.close(self._open.popitem()[1])

    def _handle(self, at: int) -> int:
        if at not in self._open:
            make_folder(self._folder)
            path = self._folder / self._names[at]
            made = not path.exists()
            self._open[at] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if made:
                sync_folder(self._folder)
        return self._open[at]
