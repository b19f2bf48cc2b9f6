"""CSV files: every column as text, as it is written; all rows, or an error with a line.

`pyarrow.csv` splits the fields, in the file's own encoding. A pass of our own (`scan`) goes first:
it knows the lines, finds quotes that never close, and counts the records, so that none is lost.
No error holds a cell: Arrow's own messages quote rows, so they are replaced, not wrapped.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv

from federated.readers.base import CsvFormat, Reader
from federated.readers.encodings import byte_order_mark, other_encoding, utf_8_after_all
from federated.readers.header import header_below, looks_like_names
from federated.readers.scan import Scan, Scanner
from federated.readers.sniff import open_text, unreadable
from federated.readers.unchanged import Stamp, stamp_of, unchanged
from psi.protocol.errors import InputError

__all__ = ["CsvReader"]

_BLOCK = 1 << 22
_DELIMITERS = (";", "\t", "|", ",")
_LONGEST = 1 << 30
_LONGEST_HEADER = 1 << 26
_TITLES = 30
"""Lines that exports put above a header are fewer."""
_FIRST_LINES = 1 << 16
_NOTES = 3
"""Lines of one field at most that are taken for notes."""
_BACKSLASHES = 'quotes are written \\" here: set escape = "\\\\" in tables.toml'


class CsvReader(Reader):
    """One CSV file."""

    textual = True

    def __init__(self, where: str, path: Path, form: CsvFormat) -> None:
        super().__init__(where)
        self._path, self._form = path, form

    def columns(self) -> list[str]:
        """The header.

        Raises:
            InputError: an empty file, another encoding, or a file that is no CSV.
        """
        found_in = f"{self.where}: {self._path.name}"
        if (error := utf_8_after_all(found_in, self._stream, self._form.encoding)) is not None:
            raise error
        scanner, held = self._scanner(), b""
        for block in self._blocks():
            scanner.feed(block)
            held += block
            if scanner.header_bytes or len(held) > _LONGEST_HEADER:
                break
        found = scanner.done()
        # after the header a quote may close in a block that was not looked at: `read` will say
        if found.open_line and not found.header_bytes:
            raise self._quote(found)
        if not found.header_bytes or len(held) > _LONGEST_HEADER:
            if not held.strip():
                cut = ", or cut off" * bool(self._path.stat().st_size)
                raise InputError(f"{self.where}: {self._path.name} is empty{cut}")
            raise InputError(f"{self.where}: {self._path.name} has no line breaks, so no header")
        return self._header(held[: found.header_bytes])

    def _header(self, line: bytes) -> list[str]:
        form = self._form
        if line.count(0) * 4 > len(line):
            found = f"{self._path.name} is mostly NUL bytes in line 1"
            name = "utf-16-be" if line[:1] == b"\0" else "utf-16-le"
            hint = f'if it is UTF-16, set encoding = "{name}" in tables.toml'
            raise InputError(f"{self.where}: {found}", hint=hint)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            raise self._encoding() from None
        quoting: dict[str, Any] = {"quoting": csv.QUOTE_NONE}
        if form.quote:
            quoting = {"quotechar": form.quote}
        rows = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=form.delimiter,
            escapechar=form.escape or None,
            **quoting,
        )
        try:
            names = next((row for row in rows if row), [])
        except csv.Error:
            raise InputError(f"{self.where}: {self._path.name} has no header as csv has") from None
        if names and names[0].lower().startswith("sep=") and len(names) <= 2:
            raise InputError(
                f"{self.where}: {self._path.name} begins with a line sep=, no header",
                hint='delete that line; the mark goes to delimiter = "..." in tables.toml',
            )
        return names

    def read(self, columns: Sequence[str], text: Collection[str] = ()) -> pa.Table:
        """All columns as text, empty fields as "".

        Raises:
            InputError: lines with too many or too few fields, a quote that does not close (each
                with its line), another encoding, fewer rows than the file has.
        """
        del text
        with unchanged(self.where, self._path):
            return self._read(columns)

    def _read(self, columns: Sequence[str]) -> pa.Table:
        there = set(self.columns())
        if missing := [name for name in columns if name not in there]:
            self._scan()  # lines above the header are the likelier cause, and are said with theirs
            self._below(columns, missing[0])
        header = self.known(columns)
        often = Counter(header)
        for column in columns:
            if often[column] > 1:
                found = f"{self._path.name} has {often[column]} columns {column!r}"
                raise InputError(f"{self.where}: {found}", hint="give each a name of its own")
        scan = self._scan()
        if scan.records < 2:
            return pa.table({name: pa.array([], pa.string()) for name in columns})
        table = self._parsed(header, columns, scan)
        if table.num_rows != scan.records - 1:
            raise InputError(
                f"{self.where}: {self._path.name}: {table.num_rows:,} of {scan.records - 1:,} rows "
                "could be read",
                hint="if it is still being written, wait; else export it again",
            )
        return table

    def _below(self, columns: Sequence[str], missing: str) -> None:
        """Refuse a file whose header stands below other lines of as many fields."""
        head = next(iter(self._blocks()), b"").decode("utf-8", "replace")
        if line := header_below(head, self._form.delimiter, columns):
            raise InputError(
                f"{self.where}: no column {missing!r} in line 1 of {self._path.name}",
                hint=f"line {line} looks like the header: delete the lines above it",
            )

    def _parsed(self, header: list[str], columns: Sequence[str], scan: Scan) -> pa.Table:
        form = self._form
        try:
            return pcsv.read_csv(
                self._stream(),
                read_options=pcsv.ReadOptions(
                    encoding=form.encoding,
                    column_names=header,
                    skip_rows=scan.header_lines,
                    block_size=max(1 << 20, scan.longest + 1024),
                ),
                parse_options=pcsv.ParseOptions(
                    delimiter=form.delimiter,
                    quote_char=form.quote or False,
                    escape_char=form.escape or False,
                    newlines_in_values=True,
                ),
                convert_options=pcsv.ConvertOptions(
                    include_columns=list(columns),
                    column_types=dict.fromkeys(columns, pa.string()),
                    strings_can_be_null=False,
                    check_utf8=True,
                ),
            )
        except UnicodeError:
            raise self._encoding() from None
        except pa.ArrowInvalid as error:
            if "UTF8" in str(error):
                raise self._encoding() from None
            raise InputError(f"{self.where}: {self._path.name} cannot be read as csv") from None
        except OSError as error:
            raise unreadable(self.where, self._path, error) from None

    def _scanner(self) -> Scanner:
        return Scanner(self._form.delimiter, self._form.quote, self._form.escape)

    def _scan(self) -> Scan:
        """The file's records, checked. The same file is passed over once."""
        found = _kept(self._path, stamp_of(self._path), self._form, self)
        name = self._path.name
        if found.open_line or found.broken_line:
            raise self._quote(found)
        if found.ragged:
            more = f"; {found.ragged:,} such lines in all" if found.ragged > 1 else ""
            hint = self._ragged_hint(found)
            raise InputError(
                f"{self.where}: {name} line {found.ragged_line} has {found.ragged_fields} fields, "
                f"the header {found.width}{more}",
                hint=hint,
            )
        if found.after_line and not self._divided_otherwise():
            hint = "double quotes within a quoted text"
            if self._form.quote and not self._form.escape and self._escaped():
                hint = _BACKSLASHES
            raise InputError(
                f"{self.where}: {name} line {found.after_line}: text follows a closing quote",
                hint=f'{hint}; quote = "" where quotes are ordinary characters',
            )
        if found.longest > _LONGEST:
            raise InputError(f"{self.where}: {name} has a row of more than 1 GB")
        return found

    def _divided_otherwise(self) -> bool:
        """Whether the header is divided by another mark: every field is more than one, then."""
        header, _ = self._first_lines(1)
        return self._form.delimiter not in header and any(mark in header for mark in _DELIMITERS)

    def _ragged_hint(self, found: Scan) -> str:
        """What makes lines differ in their fields, as far as the file shows it."""
        form, wider = self._form, found.ragged_fields > found.width
        if form.quote and not form.escape and self._escaped():
            return _BACKSLASHES
        if any(b"\0" in block or b"\x1a" in block for block in self._blocks()):
            return "it holds NUL or end-of-file characters: cut or damaged while it was written"
        header, line = self._first_lines(found.ragged_line)
        other = next((mark for mark in _DELIMITERS if mark in header), "")
        if form.delimiter not in header and other:
            return (
                f"its header has {other!r} between names: set delimiter = {other!r} in tables.toml"
            )
        ended = line.rstrip("\r\n").endswith(form.delimiter)
        if ended and found.ragged == found.records - 1 and found.ragged_fields == found.width + 1:
            return f"each line ends in {form.delimiter!r} and the header does not: add one there"
        if mark := self._fitting_mark():
            return f"its lines are divided by {mark!r}: set delimiter = {mark!r} in tables.toml"
        if wider and 2 * found.ragged > found.records:
            if found.ragged_line <= _TITLES and looks_like_names(line, form.delimiter):
                return f"is line {found.ragged_line} the header? delete the lines above it"
            return (
                f"the {found.ragged_line - 2:,} lines above it fit the header: if those from it on "
                "are of another export, bind them as a file of their own; otherwise check "
                f"delimiter = {form.delimiter!r} and the quotes around it"
            )
        if line and not line.strip():
            return "it has nothing but blanks: delete it"
        if found.ragged_fields == 1 < found.width and found.ragged <= _NOTES:
            return "is it a note below the table, such as a count of rows or a total? delete it"
        return f"check delimiter = {form.delimiter!r} and the quotes around it"

    def _fitting_mark(self) -> str:
        """Another mark that divides all the first lines alike, which this one does not."""
        first = next(iter(self._blocks()), b"")[:_FIRST_LINES].decode("utf-8", "replace")
        lines = [line for line in first.splitlines()[:-1] if line.strip()]
        lines = lines[len(lines) // 2 :]  # titles and the header are above
        counts = {mark: {line.count(mark) for line in lines} for mark in _DELIMITERS}
        if len(counts.pop(self._form.delimiter, ())) == 1:
            return ""
        return next((m for m, often in counts.items() if len(often) == 1 and 0 not in often), "")

    def _first_lines(self, number: int) -> tuple[str, str]:
        """The first line and another near it, "" where that is not in the first block."""
        lines = next(iter(self._blocks()), b"").decode("utf-8", "replace").splitlines()
        return (*lines[:1], "")[0], lines[number - 1] if 0 < number <= len(lines) else ""

    def _quote(self, found: Scan) -> InputError:
        """A quote that does not close where it should."""
        line = found.open_line or found.broken_line
        if found.broken_line and found.broken_line <= line:
            line = found.broken_line
            what = f"and closes within line {found.broken_end} only"
        else:
            what = "and never closes"
        return InputError(
            f"{self.where}: {self._path.name} line {line}: a quote opens {what}",
            hint='close it, or double it inside a quoted text; set quote = "" in tables.toml where '
            "quotes are ordinary characters",
        )

    def _escaped(self) -> bool:
        """Whether quotes within the file are written with a backslash."""
        return any(b'\\"' in block for block in self._blocks())

    def _encoding(self) -> InputError:
        found = f"{self.where}: {self._path.name}"
        return other_encoding(found, self._stream, self._form.encoding)

    def _stream(self) -> pa.NativeFile:
        return open_text(self.where, self._path)

    def _blocks(self) -> Iterator[bytes]:
        """The file as UTF-8, without a byte-order mark."""
        form, first = self._form, True
        name = codecs.lookup(form.encoding).name
        try:
            if (marked := byte_order_mark(self._stream())) and not name.startswith(marked):
                raise self._encoding()
            with self._stream() as stream:
                decoder = None if name.startswith("utf-8") else codecs.getincrementaldecoder(name)()
                while True:
                    raw = stream.read(_BLOCK)
                    block = decoder.decode(raw, not raw).encode("utf-8") if decoder else raw
                    if first and block:
                        block, first = block.removeprefix(codecs.BOM_UTF8), False
                    if block:
                        yield block
                    if not raw:
                        return
        except UnicodeError:
            raise self._encoding() from None
        except OSError as error:
            raise unreadable(self.where, self._path, error) from None


@lru_cache(maxsize=64)
def _whole(path: Path, stamp: Stamp, form: CsvFormat) -> list[Scan]:
    """A place for the scan of a file as it is now."""
    del path, stamp, form
    return []


def _kept(path: Path, stamp: Stamp, form: CsvFormat, reader: CsvReader) -> Scan:
    place = _whole(path, stamp, form)
    if not place:
        scanner = reader._scanner()
        for block in reader._blocks():
            scanner.feed(block)
        place.append(scanner.done())
    return place[0]
