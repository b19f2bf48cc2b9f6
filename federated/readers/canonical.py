"""Arrow's many types to few, with the same values: every reader ends in these.

Text of every layout becomes large_string; dictionaries and run-end encoding are written out; bytes
that are text (Impala and Hive mark none) become text; half floats become floats; NaN is null, as
in every other format; UUIDs become text. Nested types, times, durations and other bytes stay: what
may be done with a column of these is for the one who asks (`federated.tables.column_roles`). Days
before year 1 or after 9999 are refused: databases write infinity so, and no text says it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.protocol.errors import InputError

__all__ = ["canonical", "canonical_column", "hex_text", "is_bytes", "is_nested", "is_text"]

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_UUID = 16
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31 in days from 1970."""
_PARTS = {"s": 1, "ms": 1000, "us": 1_000_000}


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a column of this type holds bytes."""
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or _named(kind, "is_binary_view")
    )


def is_nested(kind: pa.DataType) -> bool:
    """Whether a value of this type has parts."""
    return bool(pa.types.is_nested(kind))


def canonical(table: pa.Table) -> pa.Table:
    """All columns in canonical types; the fields' notes stay.

    Raises:
        InputError: text that is not valid UTF-8; days that no calendar has.
    """
    columns, fields = [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        found = canonical_column(column)
        if is_text(found.type):
            _check_text(field.name, found)
        elif pa.types.is_date(found.type) or pa.types.is_timestamp(found.type):
            _check_days(field.name, found)
        columns.append(found)
        fields.append(pa.field(field.name, found.type, metadata=field.metadata))
    return pa.table(columns, schema=pa.schema(fields)) if fields else table


def _check_text(name: str, values: pa.ChunkedArray) -> None:
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        raise InputError(
            f"column {name!r} holds text that is not valid utf-8", hint="export it again as utf-8"
        ) from None


def _check_days(name: str, values: pa.ChunkedArray) -> None:
    kind = values.type
    wide = pa.types.is_timestamp(kind)
    if wide and kind.unit == "ns":
        return  # of years 1677 to 2262, all of them
    a_day = 86400 * _PARTS[kind.unit] if wide else 1
    counted = values.cast(pa.int64() if wide else pa.int32())
    early = pc.less(counted, _FIRST_DAY * a_day)
    wrong = pc.or_(early, pc.greater_equal(counted, (_LAST_DAY + 1) * a_day))
    count = int(pc.sum(wrong).as_py() or 0)
    if count:
        raise InputError(
            f"column {name!r}: {count:,} of {len(values):,} days are infinite, before year 1 or "
            "after 9999",
            hint="leave it out, or export it with nothing or a real day in their place",
        )


def canonical_column(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """One column."""
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return _of_extension(values)
    if pa.types.is_dictionary(kind):
        return canonical_column(_decoded(values))
    if _named(kind, "is_run_end_encoded"):
        parts = [pc.run_end_decode(chunk) for chunk in values.chunks]
        return canonical_column(pa.chunked_array(parts, kind.value_type))
    if is_text(kind):
        return values if pa.types.is_large_string(kind) else values.cast(pa.large_string())
    if is_bytes(kind):
        return _of_bytes(values)
    if pa.types.is_floating(kind):
        return _of_floats(values)
    if pa.types.is_decimal(kind) and kind.scale < 0:  # whole hundreds: no file has such a type
        return values.cast(pa.decimal256(76, 0))
    if pa.types.is_date64(kind):
        return values.cast(pa.date32())
    if _named(kind, "is_list_view") or _named(kind, "is_large_list_view"):
        # Arrow's own cast of these is broken where there are nulls; the type is rare.
        return pa.chunked_array([pa.array(values.to_pylist(), _plain(kind))])
    if is_nested(kind):
        wanted = _plain(kind)
        try:
            return values if wanted == kind else values.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return values  # no cast for it: it stays what it is
    return values


def hex_text(values: pa.ChunkedArray, *, uuid: bool = False) -> pa.ChunkedArray:
    """Bytes as hexadecimal text; `uuid`: 16 of them, with dashes. Nulls stay null."""
    array = values.cast(pa.large_binary()).combine_chunks()
    array = array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)
    filled = pc.if_else(pc.is_valid(array), array, pa.scalar(b"", pa.large_binary()))
    lengths = pc.binary_length(filled).to_numpy(zero_copy_only=False).astype(np.int64)
    digits = np.frombuffer(b"".join(filled.to_pylist()).hex().encode(), np.uint8)
    ends = 2 * np.cumsum(lengths)
    if uuid:
        there = lengths == _UUID
        if not (there | (lengths == 0)).all():
            raise ValueError("bytes of another length than 16")
        wide = np.full((int(there.sum()), 36), ord("-"), np.uint8)
        place = [i for i in range(36) if i not in (8, 13, 18, 23)]
        wide[:, place] = digits.reshape(-1, 32)
        digits, ends = wide.reshape(-1), np.cumsum(np.where(there, 36, 0))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    text = pa.LargeStringArray.from_buffers(
        len(array), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digits))
    )
    known = pc.is_valid(array)
    return pa.chunked_array([pc.if_else(known, text, pa.scalar(None, pa.large_string()))])


def _named(kind: pa.DataType, check: str) -> bool:
    """A check that older versions of Arrow do not have: nor have they the type."""
    found = getattr(pa.types, check, None)
    return bool(found and found(kind))


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    parts = [chunk.dictionary_decode() for chunk in values.chunks]
    return pa.chunked_array(parts, values.type.value_type)


def _of_extension(values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind: Any = values.type
    stored = pa.chunked_array([chunk.storage for chunk in values.chunks], kind.storage_type)
    name = str(getattr(kind, "extension_name", ""))
    if name == "arrow.uuid":
        return hex_text(stored, uuid=True)
    if name == "arrow.bool8":
        return stored.cast(pa.bool_())
    return canonical_column(stored)


def _of_bytes(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text where all of them are: valid UTF-8, and no control characters but white space.

    Not those of a fixed size, which are UUIDs and hashes even where they look like text.
    """
    if pa.types.is_fixed_size_binary(values.type):
        return values
    if _named(values.type, "is_binary_view"):
        values = values.cast(pa.large_binary())
    try:
        text = values.cast(pa.large_binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        return values
    held = pc.any(pc.match_substring_regex(text, _CONTROL)).as_py()
    return values if held else text


def _of_floats(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    missing = pc.is_nan(values)
    if not pc.any(missing).as_py():
        return values
    return pc.if_else(pc.fill_null(missing, True), pa.scalar(None, values.type), values)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The same nesting with canonical values inside."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if is_text(kind):
        return pa.large_string()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    if pa.types.is_struct(kind):
        inner = [kind.field(i) for i in range(kind.num_fields)]
        return pa.struct([pa.field(f.name, _plain(f.type), f.nullable) for f in inner])
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if listed or _named(kind, "is_list_view") or _named(kind, "is_large_list_view"):
        inside = _plain(kind.value_type)
        return pa.list_(inside) if not pa.types.is_large_list(kind) else pa.large_list(inside)
    return kind
