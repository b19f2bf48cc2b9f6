"""What a column may be used as, by its type: known, and said, before a contract is signed.

A role is what a job does with a column. The types are those of `federated.readers.canonical`.
"""

from __future__ import annotations

import pyarrow as pa

from federated.readers.advice import quoted_name
from federated.readers.canonical import is_bytes, is_nested, is_text
from psi.protocol.errors import InputError

__all__ = ["ROLES", "check_role", "kind_of"]

_SCALARS = frozenset({"text", "number", "boolean", "date", "timestamp", "time", "nothing"})
_NUMBERS = frozenset({"text", "number", "boolean", "nothing"})
ROLES = {
    "key": frozenset({"text", "number", "date", "timestamp", "nothing"}),
    "feature": _NUMBERS,
    "measure": _NUMBERS,
    "label": _NUMBERS,
    "segment": _SCALARS,
    "category": _SCALARS,
    "fact": _SCALARS | {"duration", "bytes", "list", "nested"},
    "list column": _SCALARS | {"list"},
    "name": _SCALARS,
    "entity": _SCALARS,
    "time": frozenset({"text", "date", "timestamp", "nothing"}),
}
"""Kinds of types that a role takes."""

_WHY = {
    "date": "turn a date into an age or a number of days",
    "timestamp": "turn a time into an age or a number of days",
    "time": "turn a time into a number of hours",
    "duration": "turn a duration into a number",
    "bytes": 'types = {{ {name} = "hex" }}, or "uuid" for 16 bytes, in tables.toml',
    "list": "a list has several values: give each a column, or join them as text",
    "nested": "it has several values: give each a column",
    "boolean": "a yes or no names nobody",
    "number": 'days written as digits: types = {{ {name} = "string" }} and dates = {{ {name} = '
    '"yyyymmdd" }}, or as they are written, in tables.toml',
    "other": "export it as text or as a number",
}


def kind_of(kind: pa.DataType) -> str:
    """The kind of a type: `text`, `number`, `boolean`, `date`, … or `other`."""
    if is_text(kind):
        return "text"
    if pa.types.is_null(kind):
        return "nothing"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    for name in ("date", "timestamp", "time", "duration"):
        if getattr(pa.types, f"is_{name}")(kind):
            return name
    if is_bytes(kind):
        return "bytes"
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if listed or pa.types.is_fixed_size_list(kind):
        return "list" if kind_of(kind.value_type) in _SCALARS else "nested"
    if is_nested(kind) and not pa.types.is_union(kind):
        return "nested"
    return "other"


def check_role(table: pa.Table, column: str, role: str, *, where: str = "") -> None:
    """Refuse a column whose type this role cannot take.

    Raises:
        InputError: names the column, its type and what to do.
    """
    type_ = table.schema.field(column).type
    kind = kind_of(type_)
    if kind not in ROLES[role]:
        place, article = (
            f"{where}: column" if where else "column",
            "an" if role[0] in "aeio" else "a",
        )
        raise InputError(
            f"{place} {column!r}: found {type_}, which cannot be {article} {role}",
            hint=_WHY.get(kind, _WHY["other"]).format(name=quoted_name(column)),
        )
