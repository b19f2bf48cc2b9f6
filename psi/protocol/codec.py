"""One codec for everything that crosses a wire or is kept: one frozen class per message.

    @message(0x21)
    @dataclass(frozen=True)
    class Blinded:
        total: int
        points: Annotated[Bytes2D, Array(width=32, most=1 << 20)]

Bytes are `version (1) | type (1) | fields in order`. Integers are 8 bytes, signed, little
endian. Every length is bounded before anything is allocated, and trailing bytes are an
error, so one message has exactly one encoding. Nothing here evaluates what it reads, and no
`repr` of a message shows what it carries.
"""

from __future__ import annotations

import dataclasses
import struct
import types
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from psi.protocol.errors import CodecError, MisuseError

__all__ = ["Array", "Length", "Range", "Text", "decode", "encode", "message", "registered"]

VERSION = 1
WIDEST = 1 << 16
T = TypeVar("T")

_INT = struct.Struct("<q")
_COUNT = struct.Struct("<Q")
_FLOAT = struct.Struct("<d")


@dataclasses.dataclass(frozen=True)
class Range:
    """An integer field's smallest and largest value.

    Attributes:
        low: the smallest.
        high: the largest.
    """

    low: int = 0
    high: int = 2**62


@dataclasses.dataclass(frozen=True)
class Length:
    """The most bytes, or the most entries, of a `bytes`, `tuple` or `dict` field."""

    most: int


@dataclasses.dataclass(frozen=True)
class Text:
    """The most UTF-8 bytes of a `str` field."""

    most: int = 256


@dataclasses.dataclass(frozen=True)
class Array:
    """A numpy field: element type, row width, most rows.

    A width of 0 is a one-dimensional array, -1 any width up to `WIDEST`, sent along.

    Attributes:
        dtype: numpy's name of the element type.
        width: elements a row, or 0 or -1 as above.
        most: rows, at most.
    """

    dtype: str = "uint8"
    width: int = 0
    most: int = 1 << 24

    @property
    def numpy(self) -> np.dtype[Any]:
        """The element type, little endian."""
        return np.dtype(self.dtype).newbyteorder("<")


class _Reader:
    """A cursor over received bytes; every read is checked against what is left."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = memoryview(data)
        self.at = 0

    def take(self, size: int, what: str) -> memoryview:
        if size < 0 or size > len(self.data) - self.at:
            raise CodecError(f"{what}: {len(self.data) - self.at} bytes left, {size} needed")
        part = self.data[self.at : self.at + size]
        self.at += size
        return part

    def count(self, most: int, what: str) -> int:
        (n,) = _COUNT.unpack(self.take(8, what))
        if n > most:
            raise CodecError(f"{what}: length {n} found, at most {most} allowed")
        return int(n)


Write = Callable[[Any, list[bytes | memoryview]], None]
Read = Callable[[_Reader], Any]


@dataclasses.dataclass(frozen=True)
class _Field:
    name: str
    write: Write
    read: Read


_BY_TYPE: dict[int, type] = {}
_TYPE_OF: dict[type, int] = {}
_BUNDLED: set[type] = set()
_FIELDS: dict[type, tuple[_Field, ...]] = {}


def message(number: int, *, bundled: bool = False) -> Callable[[type[T]], type[T]]:
    """Register a frozen dataclass as the message of type byte `number` (1 to 255).

    With `bundled` a driver may put it into one frame with other such messages of its turn: a role
    that hears it once more, from a state before all of them, says the same.
    """

    def register(cls: type[T]) -> type[T]:
        taken = _BY_TYPE.get(number, cls)
        if (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            where = f"{taken.__module__}.{taken.__qualname__}"
            raise MisuseError(f"message type {number} is taken by {where}")
        if not 1 <= number <= 255:
            raise MisuseError(f"message type {number} found, 1 to 255 allowed")
        _BY_TYPE[number] = cls
        _TYPE_OF[cls] = number
        if bundled:
            _BUNDLED.add(cls)
        if hasattr(cls.__repr__, "__wrapped__"):  # the dataclass's own
            setattr(cls, "__repr__", _shown)  # noqa: B010
        return cls

    return register


def registered() -> dict[int, type]:
    """Every message class imported so far, by its number."""
    return dict(sorted(_BY_TYPE.items()))


def _shown(value: Any) -> str:
    """A message with its numbers and sizes: what it carries may be keys, rows or identifiers."""
    told = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    return f"<{type(value).__qualname__} {', '.join(f'{k}: {_size(v)}' for k, v in told)}>"


def _size(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    return f"{len(value)}" if hasattr(value, "__len__") else type(value).__name__


def encode(value: Any) -> bytes:
    """The bytes of a registered message.

    Args:
        value: an instance of a class with `@message`; its fields are checked as in
            `decode`.
    """
    cls = type(value)
    if cls not in _TYPE_OF:
        raise MisuseError(f"{cls.__qualname__} is not a registered message")
    out: list[bytes | memoryview] = [bytes((VERSION, _TYPE_OF[cls]))]
    for field in _fields(cls):
        field.write(getattr(value, field.name), out)
    return b"".join(out)


def decode(data: bytes | memoryview, *allowed: type[T]) -> T:
    """The message in `data`, which must be one of the `allowed` classes and nothing more."""
    reader = _Reader(data)
    version, number = reader.take(2, "header")
    if version != VERSION:
        raise CodecError(f"version {version} found, {VERSION} allowed")
    cls = _BY_TYPE.get(number)
    if cls is None or cls not in allowed:
        found = cls.__qualname__ if cls else f"type {number}"
        raise CodecError(f"message {found} found, {_names(allowed)} allowed")
    value = _read(cls, reader)
    if reader.at != len(reader.data):
        raise CodecError(f"{cls.__qualname__}: {len(reader.data) - reader.at} trailing bytes")
    return value  # type: ignore[no-any-return]


def peek(data: bytes | memoryview) -> type | None:
    """The class of the message in `data`, by its type byte alone; None if unknown."""
    return _BY_TYPE.get(data[1]) if len(data) >= 2 and data[0] == VERSION else None


def may_bundle(data: bytes | memoryview) -> bool:
    """Whether the message in `data` may go into one frame with others of its turn."""
    return peek(data) in _BUNDLED


def _names(classes: tuple[type, ...]) -> str:
    return " or ".join(c.__qualname__ for c in classes) or "none"


def _read(cls: type, reader: _Reader) -> Any:
    values = {field.name: field.read(reader) for field in _fields(cls)}
    try:
        return cls(**values)
    except (ValueError, MisuseError) as error:
        raise CodecError(f"{cls.__qualname__}: {error}") from None


def _fields(cls: type) -> tuple[_Field, ...]:
    if cls not in _FIELDS:
        hints = get_type_hints(cls, include_extras=True)
        _FIELDS[cls] = tuple(
            _field(f"{cls.__qualname__}.{f.name}", f.name, hints[f.name])
            for f in dataclasses.fields(cls)
        )
    return _FIELDS[cls]


def _field(where: str, name: str, hint: Any) -> _Field:
    write, read = _codec(where, hint)
    return _Field(name, write, read)


def _codec(where: str, hint: Any) -> tuple[Write, Read]:
    limit: Any = None
    if get_origin(hint) is Annotated:
        hint, limit, *_ = get_args(hint)
    if isinstance(limit, Array):
        return _array(where, limit)
    origin = get_origin(hint)
    if hint is bool:
        return _bool(where)
    if hint is int:
        return _int(where, limit or Range(-(2**62), 2**62))
    if hint is float:
        return _float(where)
    if hint is bytes:
        return _bytes(where, (limit or Length(1 << 16)).most)
    if hint is str:
        return _str(where, (limit or Text()).most)
    if origin in (types.UnionType, Union) and type(None) in get_args(hint):
        inner = next(a for a in get_args(hint) if a is not type(None))
        return _optional(where, inner)
    if origin is tuple:
        return _tuple(where, get_args(hint)[0], (limit or Length(1 << 16)).most)
    if origin is dict:
        return _dict(where, get_args(hint)[1], (limit or Length(1 << 10)).most)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _nested(hint)
    raise MisuseError(f"{where}: no codec for {hint}")


def _bool(where: str) -> tuple[Write, Read]:
    def read(reader: _Reader) -> bool:
        value = reader.take(1, where)[0]
        if value > 1:
            raise CodecError(f"{where}: byte {value} found, 0 or 1 allowed")
        return bool(value)

    return lambda value, out: out.append(b"\1" if value else b"\0"), read


def _int(where: str, limit: Range) -> tuple[Write, Read]:
    def check(value: int, error: type[Exception]) -> int:
        if not limit.low <= value <= limit.high:
            raise error(f"{where}: out of range, {limit.low} to {limit.high} allowed")
        return value

    def read(reader: _Reader) -> int:
        return check(_INT.unpack(reader.take(8, where))[0], CodecError)

    return lambda value, out: out.append(_INT.pack(check(int(value), MisuseError))), read


def _float(where: str) -> tuple[Write, Read]:
    def read(reader: _Reader) -> float:
        value = float(_FLOAT.unpack(reader.take(8, where))[0])
        if not np.isfinite(value):
            raise CodecError(f"{where}: a finite number is needed")
        return value

    return lambda value, out: out.append(_FLOAT.pack(value)), read


def _bytes(where: str, most: int) -> tuple[Write, Read]:
    def write(value: bytes, out: list[bytes | memoryview]) -> None:
        if len(value) > most:
            raise MisuseError(f"{where}: {len(value)} bytes found, at most {most} allowed")
        out += [_COUNT.pack(len(value)), value]

    return write, lambda reader: bytes(reader.take(reader.count(most, where), where))


def _str(where: str, most: int) -> tuple[Write, Read]:
    write_bytes, read_bytes = _bytes(where, most)

    def read(reader: _Reader) -> str:
        try:
            return str(read_bytes(reader).decode("utf-8"))
        except UnicodeDecodeError:
            raise CodecError(f"{where}: not UTF-8") from None

    return lambda value, out: write_bytes(value.encode("utf-8"), out), read


def _array(where: str, spec: Array) -> tuple[Write, Read]:
    def write(value: np.ndarray, out: list[bytes | memoryview]) -> None:
        flat = value.ndim == 1
        width = 0 if flat else int(value.shape[1]) if value.ndim == 2 else WIDEST + 1
        fits = width <= WIDEST and not flat if spec.width < 0 else width == spec.width
        if not fits or value.dtype != np.dtype(spec.dtype):
            raise MisuseError(f"{where}: {value.dtype} {value.shape} found, {spec} allowed")
        if len(value) > spec.most:
            raise MisuseError(f"{where}: {len(value)} rows found, at most {spec.most} allowed")
        out.append(_COUNT.pack(len(value)))
        if spec.width < 0:
            out.append(_COUNT.pack(width))
        flat_bytes = np.ascontiguousarray(value, dtype=spec.numpy).reshape(-1).view(np.uint8)
        out.append(flat_bytes.data)  # copied once, where all fields are joined

    def read(reader: _Reader) -> np.ndarray:
        n = reader.count(spec.most, where)
        width = reader.count(WIDEST, where) if spec.width < 0 else spec.width
        shape = (n,) if spec.width == 0 else (n, width)
        part = reader.take(int(np.prod(shape, dtype=object)) * spec.numpy.itemsize, where)
        value = np.frombuffer(part, dtype=spec.numpy).astype(spec.dtype).reshape(shape)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise CodecError(f"{where}: finite numbers are needed")
        return value

    return write, read


def _optional(where: str, inner: Any) -> tuple[Write, Read]:
    write_inner, read_inner = _codec(where, inner)
    write_flag, read_flag = _bool(where)

    def write(value: Any, out: list[bytes | memoryview]) -> None:
        write_flag(value is not None, out)
        if value is not None:
            write_inner(value, out)

    return write, lambda reader: read_inner(reader) if read_flag(reader) else None


def _tuple(where: str, inner: Any, most: int) -> tuple[Write, Read]:
    write_inner, read_inner = _codec(where, inner)

    def write(value: tuple[Any, ...], out: list[bytes | memoryview]) -> None:
        if len(value) > most:
            raise MisuseError(f"{where}: {len(value)} entries found, at most {most} allowed")
        out.append(_COUNT.pack(len(value)))
        for entry in value:
            write_inner(entry, out)

    def read(reader: _Reader) -> tuple[Any, ...]:
        return tuple(read_inner(reader) for _ in range(reader.count(most, where)))

    return write, read


def _dict(where: str, inner: Any, most: int) -> tuple[Write, Read]:
    write_value, read_value = _codec(where, inner)
    write_key, read_key = _str(where, 256)

    def write(value: dict[str, Any], out: list[bytes | memoryview]) -> None:
        if len(value) > most:
            raise MisuseError(f"{where}: {len(value)} entries found, at most {most} allowed")
        out.append(_COUNT.pack(len(value)))
        for key in sorted(value):
            write_key(key, out)
            write_value(value[key], out)

    def read(reader: _Reader) -> dict[str, Any]:
        result: dict[str, Any] = {}
        last: str | None = None
        for _ in range(reader.count(most, where)):
            key = read_key(reader)
            if last is not None and key <= last:
                raise CodecError(f"{where}: keys out of order")
            result[key] = read_value(reader)
            last = key
        return result

    return write, read


def _nested(cls: type) -> tuple[Write, Read]:
    def write(value: Any, out: list[bytes | memoryview]) -> None:
        for field in _fields(cls):
            field.write(getattr(value, field.name), out)

    return write, lambda reader: _read(cls, reader)
