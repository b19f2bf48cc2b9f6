"""A job's own copy of its party's tables: read once, sealed, and handed to all that need rows.

    journal/table-NAME           what the copy of a table holds
    journal/table-NAME-NUMBER    its rows, a part at a time, as an Arrow stream

In a job a row is known by its place: steps, outputs and a party that was killed must count places
in the same rows. So a table is read once, before its facts are stated, and nothing in the job
reads it again: rows that are written to it while an officer thinks belong to the next job. The
facts that a contract is signed over (row count, snapshot) are of the copy.

Parts are sealed under the journal's key, for this session, and go with the journal: at the job's
end, when its outputs are written, or when it is given up. Like a spool's they are not synced.

Where the table has a basis (`basis`), the copy has only the rows that it admits. It is asked again
on the day of the run (`expire`): a row that it does not admit any more keeps its place, and is out.

Whatever a table was read from, equal values have equal types here: text is `large_string`, a column
of whole numbers `int64` (a CSV file does not tell 34 from 34.0), of others `double`; a NaN is null,
and a column of nulls has no type. Keys are text.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.canonical import canonical_column
from federated.store.files import of_another_version
from federated.store.plain import canonical, from_canonical
from federated.store.vault import Vault
from federated.tables.basis import Admission, Basis, BasisAsked, admit, nobody_left
from federated.tables.source import PassingSource, Source
from psi.protocol import InputError, PeerError, Random

__all__ = ["Extract", "KeptTables"]

PART = 1 << 17
"""Rows of a part: the copy is read and sealed so many at a time."""


@dataclass(frozen=True)
class Extract:
    """Columns of a table that a job will need; those in `keys` as text."""

    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Copy:
    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    rows: int
    mark: str  # binds the parts to this copy: one that was begun and left has another


@dataclass(frozen=True)
class _Admitted:
    table: str
    basis: str
    reasons: tuple[str, ...]
    counts: tuple[int, ...]


class KeptTables(PassingSource):
    """One party's tables in one job (a `Source`): only what was kept is there."""

    def __init__(self, source: Source, folder: Path, session: bytes, random: Random) -> None:
        """`folder` is the job's journal."""
        super().__init__(source)
        self._random = random
        self._vault = Vault(folder, "key", b"fedprofile kept table v1" + session, random)

    def __repr__(self) -> str:
        return "<a job's copy of its tables>"

    def keep(self, extracts: Iterable[Extract], asked: BasisAsked | None = None) -> None:
        """Read each table once and seal what was read, in place of an earlier copy.

        With what is `asked` of bases, rows without one are left out. Raises what reading raises;
        `EnvironmentFailed` where the disk is full; `Refused` where no row may be in the job.
        """
        wanted: dict[str, Extract] = {}
        for extract in extracts:
            before = wanted.get(extract.table, Extract(extract.table, ()))
            columns = tuple(dict.fromkeys([*before.columns, *extract.columns]))
            keys = tuple(dict.fromkeys([*before.keys, *extract.keys]))
            wanted[extract.table] = Extract(extract.table, columns, keys)
        for extract in wanted.values():
            self._keep(extract, asked)

    def _keep(self, extract: Extract, asked: BasisAsked | None) -> None:
        basis = self._source.basis(extract.table) if asked else None
        if basis is not None:
            of = tuple(c for c in (basis.of,) if c not in extract.columns)
            keys = tuple(dict.fromkeys([*extract.keys, basis.of]))
            extract = Extract(extract.table, (*extract.columns, *of), keys)
        found = self._source.load(extract.table, extract.columns, keys=extract.keys)
        if basis is not None and asked is not None:
            found = self._admitted(extract.table, basis, found, asked)
        mark = self._random(16).hex()
        copy = _Copy(extract.table, extract.columns, extract.keys, found.num_rows, mark)
        table = _plain_table(found, extract.keys)
        del found
        for number in range(_parts(copy)):
            part = table.slice(number * PART, PART).combine_chunks()
            bound = f"{copy.mark}/{number}".encode()
            self._vault.write(f"{_name(copy.table)}-{number}", _stream(part), bound, sync=False)
        self._vault.write(_name(copy.table), canonical(copy), copy.table.encode())

    def _admitted(self, name: str, basis: Basis, found: pa.Table, asked: BasisAsked) -> pa.Table:
        admission = admit(basis, self._source, found.column(basis.of), asked)
        if not admission.rows.any():
            raise nobody_left(name, basis)
        self._note(name, _Admitted(name, basis.table, *_pairs(admission.left_out)), admission)
        return found.filter(pa.array(admission.rows))

    def _note(self, name: str, noted: _Admitted, admission: Admission) -> None:
        """Keep who was left out, and by which channels the others may be reached."""
        rows = admission.rows
        flags = {channel: flag[rows] for channel, flag in admission.channels.items()}
        part = pa.table({name: pa.array(flag) for name, flag in flags.items()})
        self._vault.write(f"{_name(name)}-basis", canonical(noted), name.encode())
        self._vault.write(f"{_name(name)}-reach", _stream(part), name.encode(), sync=False)

    def admission(self, table: str) -> Admission | None:
        """Who is in the job, of the rows of the copy; None where nothing is said of bases.

        `rows` are all but those that `expire` found; who was left out of the copy is counted.
        """
        data = self._vault.read(f"{_name(table)}-basis", table.encode())
        reach = self._vault.read(f"{_name(table)}-reach", table.encode())
        copy = self._copy(table)
        if data is None or reach is None or copy is None:
            return None
        noted = from_canonical(_Admitted, data)
        with pa.ipc.open_stream(reach) as stream:
            flags = stream.read_all()
        found = self._vault.read(f"{_name(table)}-gone", copy.mark.encode())
        gone = np.frombuffer(found, bool) if found is not None else np.zeros(copy.rows, bool)
        channels = {
            name: flags.column(name).to_numpy(zero_copy_only=False) & ~gone
            for name in flags.column_names
        }
        return Admission(~gone, dict(zip(noted.reasons, noted.counts, strict=True)), channels)

    def expire(self, table: str, asked: BasisAsked) -> int:
        """Ask the basis again on the day of the run; how many rows it does not admit any more.

        Once a job: a party that was killed goes on with the rows that it had.
        """
        copy, basis = self._copy(table), self._source.basis(table)
        if copy is None or basis is None or basis.of not in copy.columns:
            return 0
        name, bound = f"{_name(table)}-gone", copy.mark.encode()
        found = self._vault.read(name, bound)
        if found is None:
            names = self.load(table, [basis.of]).column(basis.of)
            found = (~admit(basis, self._source, names, asked).rows).tobytes()
            self._vault.write(name, found, bound)
        return int(np.frombuffer(found, bool).sum())

    def holds(self, extract: Extract) -> bool:
        """Whether these columns of a table were kept, those in `keys`, and no others, as text."""
        copy, columns = self._copy(extract.table), set(extract.columns)
        if copy is None or not columns <= set(copy.columns):
            return False
        basis = self._source.basis(extract.table)
        columns -= {basis.of} if basis else set()  # text in any case
        return columns & set(extract.keys) == columns & set(copy.keys)

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        """The named columns of the copy.

        Raises:
            InputError: they were not kept, or the copy is damaged.
        """
        del keys  # what is text was said when the table was read
        copy = self._copy(table)
        missing = [name for name in columns if copy is None or name not in copy.columns]
        if copy is None or missing:
            what = f"has no column {missing[0]!r}" if copy and missing else "was not kept"
            raise InputError(f"{table}: this job's copy of it {what}", hint="propose the job again")
        names = list(dict.fromkeys(columns))
        if not names:
            return pa.table({"": pa.nulls(copy.rows)}).select([])
        return pa.concat_tables(self._part(copy, n).select(names) for n in range(_parts(copy)))

    def columns(self, table: str) -> list[str]:
        """The columns that were kept of a table."""
        copy = self._copy(table)
        return list(copy.columns) if copy else []

    def _copy(self, table: str) -> _Copy | None:
        data = self._vault.read(_name(table), table.encode())
        try:
            return None if data is None else from_canonical(_Copy, data)
        except PeerError as error:
            raise of_another_version(error) from None

    def _part(self, copy: _Copy, number: int) -> pa.Table:
        bound = f"{copy.mark}/{number}".encode()
        data = self._vault.read(f"{_name(copy.table)}-{number}", bound)
        if data is None:
            raise InputError(
                f"{copy.table}: a part of this job's copy is missing", hint="propose the job again"
            )
        with pa.ipc.open_stream(data) as stream:
            return stream.read_all()


def _name(table: str) -> str:
    """A file's name, whatever characters the table's has."""
    return f"table-{hashlib.sha256(table.encode()).hexdigest()[:16]}"


def _pairs(counts: dict[str, int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return tuple(counts), tuple(counts.values())


def _parts(copy: _Copy) -> int:
    return -(-copy.rows // PART)


def _stream(part: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sink, part.schema, options=options) as stream:
        stream.write_table(part)
    return bytes(sink.getvalue())


def _plain_table(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Every column in its plain type, keys as text, with what its reader noted of it."""
    columns, fields = [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        found = _plain(column)
        if field.name in keys and (pa.types.is_integer(found.type) or pa.types.is_null(found.type)):
            found = found.cast(pa.large_string())
        columns.append(found)
        fields.append(pa.field(field.name, found.type, metadata=field.metadata))
    return pa.table(columns, schema=pa.schema(fields)) if fields else table


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in the one type that its values have here."""
    column = canonical_column(column)
    kind = column.type
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column))])
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and kind.precision <= _DIGITS):
        return _numbers(column.cast(pa.float64()))
    if pa.types.is_timestamp(kind):
        with contextlib.suppress(pa.ArrowInvalid):  # parts of a microsecond stay
            return column.cast(pa.timestamp("us", kind.tz))
    return column


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Doubles; whole ones, where all are, as whole numbers."""
    whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less_equal(pc.abs(column), _WHOLE))
    return column.cast(pa.int64()) if pc.all(whole).as_py() else column


_DIGITS, _WHOLE = 15, 2.0**53
"""Decimal digits that a double holds exactly, and whole numbers up to which it holds all."""
