"""A new DuckDB file, whole or not there, its owner's alone from the first byte on."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from federated.readers import duckdb_connection
from federated.store.files import disk_failed

__all__ = ["new_duckdb_file"]

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO)


@contextlib.contextmanager
def new_duckdb_file(path: Path) -> Iterator[Any]:
    """An Ibis connection to a file that takes the place of `path` at the end of the block.

    It is made in a folder of its own beside `path`: DuckDB keeps rows in a second file meanwhile,
    which it would leave behind, and read into the next file of the name, where the disk is full.

    Raises:
        EnvironmentFailed: the disk takes no more, or nobody may write there; what was there stays.
    """
    import duckdb

    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            made = Path(folder, "made")
            connection = duckdb_connection(made)
            try:
                yield connection
                # what closing cannot write it does not tell
                connection.raw_sql("CHECKPOINT")
            finally:
                connection.disconnect()
            made.chmod(0o600)
            made.replace(path)
    except OSError as error:
        raise disk_failed(f"cannot write {path}", error) from None
    except duckdb.Error as error:  # its text names the file, or quotes a row
        number = next((n for n in _DISK if os.strerror(n) in str(error)), 0)
        if not number:
            raise
        raise disk_failed(f"cannot write {path}", OSError(number, os.strerror(number))) from None
