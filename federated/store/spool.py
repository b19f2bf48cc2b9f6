"""A role's large arrays: the first in memory, the rest on disk, sealed (a `psi.protocol.Store`)."""

from __future__ import annotations

import contextlib
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from federated.store.files import disk_failed, private_file
from federated.store.part_log import LARGEST, PartLog, Shaped
from federated.store.vault import TAG, Vault
from psi.protocol import FedprofileError, MisuseError, PeerError, Random, decode, encode

__all__ = ["MEMORY", "Spool"]

KINDS: tuple[str, ...] = ("bool", "int8", "int16", "int32", "int64", "float64")
KINDS += ("uint8", "uint16", "uint32", "uint64")
MEMORY = 1 << 28
"""Bytes of parts that a spool keeps in memory: those of a set of 10^7 tags."""
_SIZE = 2
_THREADS = 2


class Spool:
    """Parts in `folder`, sealed under a key of its own; `clear` removes all of it.

    The first `memory` bytes stay in memory too, and go to disk when `flush` asks for it: before
    a point that counts on them. Small parts always stay there, and go together (`PartLog`). Files
    are not synced: they outlive a killed process, and after a power failure a part that is missing
    or broken is an error that says to run the job again.

        NAME-PART.N    bytes of what follows (2) | element type and shape | nonce and sealed array

    A part that is written again gets a file of another number, and the one before goes once the new
    one is whole. Nothing is renamed: a rename onto a file has the system write the new one at once,
    and what lives for a turn would all go through the disk.
    """

    def __init__(self, folder: Path, random: Random, memory: int = MEMORY) -> None:
        self._folder, self._memory = folder, memory
        self._vault = Vault(folder, "key", b"fedprofile spool v2", random)
        self._log = PartLog(folder, self._vault)
        self._held: dict[str, np.ndarray] = {}
        self._small: dict[str, np.ndarray] = {}
        self._unsealed: set[str] = set()
        self._files: dict[str, int] = {}
        """The number of each part's file."""
        self._grown: set[str] = set()
        """Parts that have a file now and were small."""
        self._looked = False
        self._running: list[tuple[str, Future[None]]] = []

    def __repr__(self) -> str:
        return f"<spool in {self._folder.name}>"

    def put(self, name: str, part: int, rows: np.ndarray) -> None:
        """Keep; whoever puts rows does not change them afterwards."""
        if rows.dtype.name not in KINDS:
            raise MisuseError(f"rows of {rows.dtype.name} found, {', '.join(KINDS)} allowed")
        file = f"{name}-{part}"
        self._wait()
        before = self._held.pop(file, None)
        self._memory += 0 if before is None else before.nbytes
        self._small.pop(file, None)
        self._unsealed.add(file)
        if rows.nbytes <= LARGEST:
            self._small[file] = rows
        elif rows.nbytes <= self._memory:
            self._memory -= rows.nbytes
            self._held[file] = rows
        else:
            self._seal(file, rows)
            self._wait()

    def begin_flush(self) -> None:
        """Begin to have everything on disk, by other threads; `flush` waits for it."""
        self._wait()
        for file in sorted(self._unsealed & self._held.keys()):
            self._seal(file, self._held[file])

    def flush(self) -> None:
        """Have everything on disk."""
        if not self._running:
            self.begin_flush()
        self._wait()
        small = {file: self._small[file] for file in sorted(self._unsealed & self._small.keys())}
        if not small and not self._grown:
            return
        self._look()
        try:
            self._log.write(small, self._grown, self._small)
        except OSError as error:
            raise disk_failed(f"cannot write into {self._folder}", error) from None
        for file in self._files.keys() & small.keys():
            self._remove(file, self._files.pop(file))
        self._unsealed.difference_update(small)
        self._grown.clear()

    def get(self, name: str, part: int) -> np.ndarray:
        """What was kept. Raises `MisuseError` if nothing was, `InputError` if it was altered."""
        file = f"{name}-{part}"
        self._wait()
        if not self._has(file):
            self._look(again=True)
        if not self._has(file):
            raise MisuseError(f"part {part} of {name} is not in the store")
        found = self._held.get(file, self._small.get(file))
        return self._read(file) if found is None else found

    def rest(self) -> None:
        """Nothing is being written any more; what failed was of no point."""
        with contextlib.suppress(FedprofileError):
            self._wait()

    def clear(self) -> None:
        """Remove the folder; the key goes first."""
        self.rest()
        self._memory += sum(rows.nbytes for rows in self._held.values())
        self._held, self._small, self._files = {}, {}, {}
        self._unsealed, self._grown = set(), set()
        self._vault.destroy()
        self._log = PartLog(self._folder, self._vault)
        try:
            shutil.rmtree(self._folder, ignore_errors=False)
        except FileNotFoundError:
            return
        except OSError as error:
            raise disk_failed(f"cannot remove {self._folder}", error) from None

    def _has(self, file: str) -> bool:
        return file in self._held or file in self._small or file in self._files

    def _seal(self, file: str, rows: np.ndarray) -> None:
        """Begin to write a part into a file of its own."""
        self._look()
        shape = encode(Shaped(rows.dtype.name, rows.shape))
        head = len(shape).to_bytes(_SIZE, "little") + shape
        seal = self._vault.sealing(file.encode() + head)
        path = self._path(file, self._files.get(file, 0) + 1)

        def write() -> None:
            sealed = seal(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
            try:
                with private_file(path, "wb") as to:
                    to.write(head)
                    to.writelines(sealed)
            except OSError as error:
                raise disk_failed(f"cannot write {path}", error) from None

        self._running.append((file, _threads(os.getpid()).submit(write)))

    def _wait(self) -> None:
        """For what is being written, which counts from then on in place of what was there."""
        errors = []
        while self._running:
            file, done = self._running.pop()
            if error := done.exception():
                errors.append(error)
                continue
            before = self._files.get(file, 0)
            self._files[file] = before + 1
            self._remove(file, before)
            self._unsealed.discard(file)
            if file in self._log:
                self._grown.add(file)
        if errors:
            raise errors[0]

    def _read(self, file: str) -> np.ndarray:
        path = self._path(file, self._files[file])
        try:
            data = memoryview(path.read_bytes())
        except OSError as error:
            raise disk_failed(f"cannot read {path}", error) from None
        begin = _begin(data)
        plain = self._vault.open(path.name, data[begin:], file.encode() + data[:begin])
        return decode(data[_SIZE:begin], Shaped).array(plain)

    def _look(self, *, again: bool = False) -> None:
        """What an earlier life has left: of a part two files, perhaps, or one that is not whole."""
        if self._looked and not again:
            return
        self._looked = True
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob("*-*.*")):
            name, _, number = path.name.rpartition(".")
            if not number.isdigit():
                continue
            if _whole(path):
                first, last = sorted((self._files.get(name, 0), int(number)))
                self._files[name] = last
                self._remove(name, first if first != last else 0)
            else:
                path.unlink()
        for name, rows in self._log.read().items():
            if name not in self._held and name not in self._unsealed:
                self._small[name] = rows

    def _remove(self, file: str, number: int) -> None:
        if number:
            self._path(file, number).unlink(missing_ok=True)

    def _path(self, file: str, number: int) -> Path:
        return self._folder / f"{file}.{number}"


@cache
def _threads(process: int) -> ThreadPoolExecutor:
    del process  # a forked child has none of its parent's threads
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")


def _begin(data: bytes | memoryview) -> int:
    """Where the nonce stands in a part's file."""
    return _SIZE + int.from_bytes(data[:_SIZE], "little")


def _whole(path: Path) -> bool:
    """Whether a part's file has all that it was to have."""
    with path.open("rb") as file:
        data = file.read(1 << 8)
    begin, found = _begin(data), path.stat().st_size
    try:
        shape = decode(data[_SIZE:begin], Shaped)
    except PeerError:
        return False
    size = np.dtype(shape.kind).itemsize * int(np.prod(shape.shape, dtype=object))
    return found == begin + TAG + size
