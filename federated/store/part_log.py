"""A spool's small parts: all that a turn puts goes into one record, at the end of one file.

    small.N    records: bytes of what is sealed (8) | sealed, of several parts each

A kill may leave half a record at the end: no point counts on it, and the next one takes its place.
A file most of which was put anew since is begun anew, under the next number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from federated.store.files import private_file
from federated.store.vault import Vault
from psi.protocol import Length, Range, Text, decode, encode, message

__all__ = ["LARGEST", "PartLog", "Shaped"]

LARGEST = 1 << 13
"""Bytes of a small part, at most."""
_SIZE = 8
_PART = struct.Struct("<HI")
"""Bytes of a part's name, and of what it is, which follow."""
_FULL = 1 << 22
"""Bytes of a file that may have been put anew."""


@message(0xA5)
@dataclass(frozen=True)
class Shaped:
    """An array: element type, shape, and its bytes where these do not go apart."""

    kind: Annotated[str, Text(16)]
    shape: Annotated[tuple[Annotated[int, Range(0, 2**40)], ...], Length(4)]
    data: Annotated[bytes, Length(LARGEST)] = b""

    def array(self, data: bytes) -> np.ndarray:
        """The array of these bytes."""
        dtype = np.dtype(self.kind)
        found = np.frombuffer(data, dtype) if data else np.empty(0, dtype)
        return found.reshape(self.shape)


class PartLog:
    """The small parts of the spool in `folder`, sealed by its vault."""

    def __init__(self, folder: Path, vault: Vault) -> None:
        self._folder, self._vault = folder, vault
        self._number = self._end = 0
        self._names: set[str] = set()

    def __repr__(self) -> str:
        return f"<log of {len(self._names)} small parts>"

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def read(self) -> dict[str, np.ndarray]:
        """All parts that are there. Raises `InputError` where a record was altered, `OSError`."""
        paths = self._folder.glob("small.*")
        numbers = sorted(int(path.name.removeprefix("small.")) for path in paths)
        for number in reversed(numbers):
            found = self._read(number)
            if self._end or number == numbers[0]:  # else a kill came before the first record
                return found
        return {}

    def write(
        self, parts: Mapping[str, np.ndarray], gone: Iterable[str], every: Mapping[str, np.ndarray]
    ) -> None:
        """Append parts, and that some are here no more; `every` are all that count. May `OSError`.

        What was written before is read first, by `read`.
        """
        before = self._number
        anew = self._end > max(_FULL, 4 * sum(rows.nbytes for rows in every.values()))
        if anew or not before:
            self._number, self._end = before + 1, 0
        told = dict(every if anew else parts)
        plain = [_put(name, told.get(name)) for name in (*told, *gone)]
        sealed = self._vault.seal(b"".join(plain), self._bound(self._end))
        with private_file(self._path(self._number), "ab") as file:
            file.truncate(self._end)
            file.write(len(sealed).to_bytes(_SIZE, "little") + sealed)
        self._end += _SIZE + len(sealed)
        self._names = (self._names | told.keys()).difference(gone)
        if anew:
            self._path(before).unlink(missing_ok=True)

    def _read(self, number: int) -> dict[str, np.ndarray]:
        data, found = memoryview(self._path(number).read_bytes()), dict[str, np.ndarray]()
        self._number, self._end = number, 0
        while sealed := _record(data[self._end :]):
            plain = self._vault.open(self._path(number).name, sealed, self._bound(self._end))
            for name, rows in _parts(plain):
                found.pop(name, None)
                if rows is not None:
                    found[name] = rows
            self._end += _SIZE + len(sealed)
        self._names = set(found)
        return found

    def _path(self, number: int) -> Path:
        return self._folder / f"small.{number}"

    def _bound(self, at: int) -> bytes:
        return f"small.{self._number}/{at}".encode()


def _record(data: memoryview) -> memoryview:
    """What is sealed of the first record; empty where it is not whole."""
    size = int.from_bytes(data[:_SIZE], "little")
    return data[_SIZE : _SIZE + size] if len(data) >= _SIZE + size else data[:0]


def _put(name: str, rows: np.ndarray | None) -> bytes:
    """A part, or that it is here no more."""
    text, whole = name.encode(), b""
    if rows is not None:
        data = np.ascontiguousarray(rows).tobytes()
        whole = encode(Shaped(rows.dtype.name, rows.shape, data))
    return _PART.pack(len(text), len(whole)) + text + whole


def _parts(record: bytes) -> Iterable[tuple[str, np.ndarray | None]]:
    view, at = memoryview(record), 0
    while at < len(view):
        named, size = _PART.unpack_from(view, at)
        begin = at + _PART.size + named
        at, name = begin + size, bytes(view[begin - named : begin]).decode()
        whole = decode(view[begin:at], Shaped) if size else None
        yield name, None if whole is None else whole.array(whole.data)
