"""Results of finished steps as bytes and back, without pickle: plain data, arrays, known classes.

The bytes are `length | JSON | arrays`. JSON names each class from a list that is given and each
array by its number; arrays follow as they lie in memory, their type and shape in the JSON.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from psi.protocol import InputError, MisuseError

__all__ = ["pack", "unpack"]

_HEAD = 8
_KINDS = "biuf"


def pack(value: Any, classes: Mapping[str, type]) -> bytes:
    """The bytes of a value built of plain data, numpy arrays and dataclasses in `classes`."""
    arrays: list[np.ndarray] = []
    tree = json.dumps(_flat(value, classes, arrays)).encode()
    return b"".join([len(tree).to_bytes(_HEAD, "little"), tree, *(a.tobytes() for a in arrays)])


def unpack(data: bytes, classes: Mapping[str, type]) -> Any:
    """The value. Raises `InputError` if the bytes are not what `pack` makes."""
    try:
        end = _HEAD + int.from_bytes(data[:_HEAD], "little")
        tree = json.loads(data[_HEAD:end])
        return _built(tree, classes, _Arrays(memoryview(data), end))
    except (ValueError, KeyError, TypeError):
        raise InputError("a record is malformed", hint="run the job again") from None


def _flat(value: Any, classes: Mapping[str, type], arrays: list[np.ndarray]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, np.generic):
        return _flat(value.item(), classes, arrays)
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _KINDS:
            raise MisuseError(f"an array of {value.dtype} cannot be kept")
        arrays.append(np.ascontiguousarray(value))
        return {"array": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flat(one, classes, arrays) for one in value]}
    if isinstance(value, dict):
        return {"dict": [[key, _flat(one, classes, arrays)] for key, one in value.items()]}
    name = type(value).__qualname__
    if classes.get(name) is not type(value) or not dataclasses.is_dataclass(value):
        raise MisuseError(f"{name} cannot be kept")
    fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {"class": name, "fields": {n: _flat(v, classes, arrays) for n, v in fields.items()}}


class _Arrays:
    """A cursor over the arrays' bytes."""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data, self._at = data, at

    def next(self, kind: str, shape: list[int]) -> np.ndarray:
        dtype = np.dtype(kind)
        if dtype.kind not in _KINDS or any(n < 0 for n in shape):
            raise ValueError
        size = dtype.itemsize * int(np.prod(shape, dtype=object))
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise ValueError
        self._at += size
        return np.frombuffer(part, dtype).reshape(shape).copy()


def _built(tree: Any, classes: Mapping[str, type], arrays: _Arrays) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        return arrays.next(tree["array"], tree["shape"])
    if "bytes" in tree:
        return bytes.fromhex(tree["bytes"])
    if "list" in tree:
        return [_built(one, classes, arrays) for one in tree["list"]]
    if "tuple" in tree:
        return tuple(_built(one, classes, arrays) for one in tree["tuple"])
    if "dict" in tree:
        return {key: _built(one, classes, arrays) for key, one in tree["dict"]}
    fields = {name: _built(one, classes, arrays) for name, one in tree["fields"].items()}
    return classes[tree["class"]](**fields)
