"""Frozen dataclasses to and from plain data, and plain data to canonical bytes.

Canonical JSON: UTF-8, keys sorted, no white space, only objects, arrays, strings, booleans
and integers (no floats, no nulls), so that two implementations write the same bytes.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from psi.protocol import MisuseError, PeerError

__all__ = ["OtherFields", "canonical", "from_canonical", "from_plain", "to_plain"]

T = TypeVar("T")
_LARGEST = 2**53


def to_plain(value: Any) -> Any:
    """Dicts, lists, strings, booleans and integers from (nested) dataclasses."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, bool | str) or (isinstance(value, int) and abs(value) < _LARGEST):
        return value
    raise MisuseError(f"{type(value).__name__} has no canonical form")


class OtherFields(PeerError):
    """An object whose fields are not those of its class: of another version, as a rule."""


def from_plain(cls: type[T], data: Any, where: str = "") -> T:
    """The dataclass `cls` from plain data; every field must be there, and no other."""
    where = where or cls.__name__
    if not isinstance(data, dict):
        raise PeerError(f"{where}: an object is needed")
    hints = get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    missing, unknown = [name for name in names if name not in data], len(set(data) - set(names))
    if missing or unknown:  # another party's names for fields are not shown
        raise OtherFields(f"{where}: fields missing: {missing or 'none'}; unknown: {unknown}")
    return cls(**{name: _value(hints[name], data[name], f"{where}.{name}") for name in names})


def _value(hint: Any, data: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_plain(hint, data, where)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        if not isinstance(data, list):
            raise PeerError(f"{where}: an array is needed")
        inner = get_args(hint)[0]
        return tuple(_value(inner, entry, where) for entry in data)
    if get_origin(hint) is dict:
        if not isinstance(data, dict):
            raise PeerError(f"{where}: an object is needed")
        inner = get_args(hint)[1]
        return {key: _value(inner, entry, where) for key, entry in data.items()}
    if type(data) is not hint:
        raise PeerError(f"{where}: {getattr(hint, '__name__', hint)} needed")
    return data


def canonical(value: Any) -> bytes:
    """The canonical bytes of a dataclass or of plain data."""
    text = json.dumps(
        to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def from_canonical(cls: type[T], data: bytes) -> T:
    """The dataclass in canonical bytes; any other spelling of the same data is refused."""
    try:
        plain = json.loads(data.decode("utf-8"))
        value = from_plain(cls, plain)
        same = canonical(value) == data
    except (ValueError, RecursionError, MisuseError):  # numbers too large, surrogates
        raise PeerError(f"{cls.__name__}: not canonical JSON") from None
    if not same:
        raise PeerError(f"{cls.__name__}: not in canonical form")
    return value
