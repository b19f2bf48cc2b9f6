"""One Parquet file, by its columns' names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from federated.readers.base import Reader
from federated.readers.sniff import unreadable
from federated.readers.unchanged import unchanged
from psi.protocol.errors import InputError

__all__ = ["ParquetReader"]


class ParquetReader(Reader):
    """A file; a folder of them is `federated.readers.folder`."""

    def __init__(self, where: str, path: Path) -> None:
        super().__init__(where)
        self._path = path

    def columns(self) -> list[str]:
        """Names in the file's order."""
        try:
            with pq.ParquetFile(self._path) as file:
                return [str(name) for name in file.schema_arrow.names]
        except (pa.ArrowException, OSError) as error:
            raise self._unread(error) from None

    def rows(self) -> int:
        """How many rows the file says it has."""
        try:
            with pq.ParquetFile(self._path) as file:
                return int(file.metadata.num_rows)
        except (pa.ArrowException, OSError) as error:
            raise self._unread(error) from None

    def read(self, columns: Sequence[str], text: Collection[str] = ()) -> pa.Table:
        """Raises `InputError`: a missing or repeated column, a damaged file."""
        del text
        often = Counter(self.known(columns))
        for column in columns:
            if often[column] > 1:
                found = f"{self._path.name} has {often[column]} columns {column!r}"
                raise InputError(f"{self.where}: {found}", hint="give each a name of its own")
        if not columns:
            return pa.table({})
        with unchanged(self.where, self._path):
            return self.canonical(self._read(list(columns)))

    def _read(self, columns: list[str]) -> pa.Table:
        try:
            with pq.ParquetFile(self._path) as file:
                table = file.read(columns=columns, use_threads=True)
                rows = file.metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            raise self._unread(error) from None
        if table.num_rows != rows:
            raise self._damaged()
        return table.select(columns)

    def _unread(self, error: Exception) -> InputError:
        """What the system said, or else that the bytes are none of Parquet's."""
        if isinstance(error, OSError) and error.errno:
            said = OSError(error.errno, os.strerror(error.errno))  # Arrow's own names the path
            return unreadable(self.where, self._path, said)
        return self._damaged()

    def _damaged(self) -> InputError:
        return InputError(
            f"{self.where}: {self._path.name} cannot be read as parquet",
            hint="damaged, or cut off while it was written or copied: copy or export it again",
        )
