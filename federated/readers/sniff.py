"""What a file is by its first bytes, whatever its name says, and its bytes without compression."""

from __future__ import annotations

import contextlib
import errno
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from psi.protocol.errors import InputError

__all__ = ["is_parquet", "no_file", "open_text", "reading", "unreadable"]

_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bz2"),
    (b"\x04\x22\x4d\x18", "lz4"),
)
_SAVE = "save it as CSV (UTF-8) or Parquet"
_UNPACK = "unpack it, or compress it with gzip or zstd"
_OTHERS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook", _SAVE),
    (b"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a rar archive", _UNPACK),
    (b"PAR1", "Parquet", "name it so: NAME.parquet"),
    (b"ARROW1", "Arrow IPC (Feather)", _SAVE),
    (b"ORC", "ORC", _SAVE),
    (b"Obj\x01", "Avro", _SAVE),
    (b"%PDF", "a PDF", _SAVE),
    (b"\x89HDF", "HDF5", _SAVE),
    (b"$FL", "an SPSS file", _SAVE),
    (b"<stata_dta>", "a Stata file", _SAVE),
    (b"SQLite format 3\x00", "an SQLite database", 'bind it by connection = "sqlite:///NAME"'),
)
_MARKUP = (b"<!doctype", b"<html", b"<table", b"<?xml", b"<meta", b"<head")


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet: by its first bytes, or its name where those say nothing."""
    return path.suffix.lower() in (".parquet", ".pq") or _head(path)[:4] == b"PAR1"


def open_text(where: str, path: Path) -> pa.NativeFile:
    """The bytes of a text file, decompressed (gzip, zstd, bz2, lz4).

    Raises:
        InputError: a file that is no text, by name of what it is.
    """
    try:
        head = _head(path)
        _refuse_others(where, path, head)
        stream = pa.OSFile(str(path), "rb")
        codec = next((name for mark, name in _COMPRESSED if head.startswith(mark)), "")
        return pa.CompressedInputStream(stream, codec) if codec else stream
    except OSError as error:
        raise unreadable(where, path, error) from None


def unreadable(where: str, path: Path, error: OSError) -> InputError:
    """The error for a file or folder that cannot be read, or not to its end."""
    reason = error.strerror or "damaged, cut off, or compressed in another way"
    hint = ""
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = (
            f"let the user that runs this read {path.name} and enter every folder above it; "
            "ls -l says whose they are"
        )
    return InputError(f"{where}: {path.name} cannot be read ({reason.lower()})", hint=hint)


def no_file(where: str, path: Path) -> InputError:
    """The error for a pipe, a device or a socket, which cannot be read twice, or without an end."""
    return InputError(f"{where}: {path.name} is neither a file nor a folder of files")


@contextlib.contextmanager
def reading(where: str, path: Path) -> Iterator[None]:
    """Whatever the system says no to in here is an `InputError` with the file's name and why.

    Args:
        where: where the table is bound, "tables.toml: [bank.people]", for messages.
        path: what is named where the system names no file.
    """
    try:
        yield
    except OSError as error:
        named = error.filename
        raise unreadable(where, Path(named) if isinstance(named, str) else path, error) from None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _refuse_others(where: str, path: Path, head: bytes) -> None:
    if (
        path.suffix.lower() in (".gz", ".zst", ".bz2", ".lz4")
        and head
        and not head.startswith(tuple(mark for mark, _ in _COMPRESSED))
        and not head.startswith(b"PK\x03\x04")
    ):
        raise InputError(
            f"{where}: {path.name} cannot be read (not compressed as its name says, or damaged)"
        )
    if head.startswith(b"PK\x03\x04"):
        what, hint = _zipped(path)
        raise InputError(f"{where}: {path.name} is {what}, no CSV or Parquet file", hint=hint)
    for mark, what, hint in _OTHERS:
        if head.startswith(mark):
            raise InputError(f"{where}: {path.name} is {what}, no CSV file", hint=hint)
    if head[8:12] == b"DUCK":
        hint = 'bind it by connection = "duckdb:///NAME"'
        raise InputError(f"{where}: {path.name} is a DuckDB database, no CSV file", hint=hint)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_MARKUP):
        what = "a web page or XML, as some programs name their .xls"
        raise InputError(f"{where}: {path.name} is {what}, no CSV file", hint=_SAVE)
    if start.replace(b" ", b"").replace(b"\n", b"").startswith((b'{"', b"[{", b"[[")):
        raise InputError(f"{where}: {path.name} is JSON, no CSV or Parquet file", hint=_SAVE)


def _zipped(path: Path) -> tuple[str, str]:
    """What is inside a zip container."""
    names: list[str] = []
    with contextlib.suppress(zipfile.BadZipFile, OSError, ValueError):
        names = zipfile.ZipFile(path).namelist()
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook", _SAVE
    if "content.xml" in names:
        return "an OpenDocument spreadsheet", _SAVE
    return "a zip archive", _UNPACK
