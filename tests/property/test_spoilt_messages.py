"""Whole runs of binning, trees and regression in which one message is spoilt on its way.

Flipped, cut, longer, random, another one's, an older one's: whoever gets it ends with a typed
error, or both end as they would have. Nobody stands still, and no error names what a party holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from federated.trees import FeatureParty, LabelParty
from psi.protocol import FedprofileError, Pair, PeerGone, decode, encode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.binning import test_roles as binning
from tests.unit.regression import world as regression
from tests.unit.trees import world as trees

Roles = Callable[[Callable[[bytes], Iterable[bytes]]], None]


def binned(wire: Callable[[bytes], Iterable[bytes]]) -> None:
    """Private sums of a label by bins, then what is told of them."""
    label, codes = binning.data()
    bank, own = binning.pair(label, codes, wire=wire)
    Pair(bank, own, wire=wire).run()


def grown(wire: Callable[[bytes], Iterable[bytes]]) -> None:
    """Two levels of a tree, on shares."""
    world, terms = trees.World.of(128, 1), trees.plan(128, trees=1, depth=2)
    bank = world.label_party(terms, kind=LabelParty)
    Pair(bank, world.feature_party(terms, kind=FeatureParty), wire=wire).run()


def fitted(wire: Callable[[bytes], Iterable[bytes]]) -> None:
    """Two evaluations of a regression, and its folds."""
    world = regression.World.of(120, 2)
    terms = regression.plan(120, evaluations=2, folds=3, grid_bits=6, column_bits=8, noise=1.0)
    Pair(world.label_party(terms), world.feature_party(terms), wire=wire).run()


PROTOCOLS: dict[str, Roles] = {"binning": binned, "trees": grown, "regression": fitted}
KINDS = (
    "flip",
    "cut",
    "more",
    "random",
    "other",
    "older",
    "twice",
    "lost",
    "head",
    *("field",) * 6,
)


RUNS = 40
"""Of each protocol: 1 to 3 seconds of processor time."""


def spoilt(name: str, rng: np.random.Generator) -> str:
    """A run with one message spoilt: "ended" or the error's class. Raises what is not typed."""
    sent: list[Envelope] = []
    at, kind = int(rng.integers(0, LENGTHS[name])), str(rng.choice(KINDS))

    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        sent.append(envelope)
        if len(sent) != at + 1:
            yield data
        elif kind in ("twice", "lost"):
            yield from [data] * (2 * (kind == "twice"))
        else:
            yield encode(replace(envelope, payload=_spoil(kind, sent, rng)))

    end = "ended"
    try:
        PROTOCOLS[name](wire)
    except FedprofileError as error:
        end = type(error).__name__
    # the sessions above wait for what does not come, for so long
    assert end != ("ended" if kind == "lost" else PeerGone.__name__), f"{kind}: {end}"
    return end


def _spoil(kind: str, sent: list[Envelope], rng: np.random.Generator) -> bytes:
    payload = bytearray(sent[-1].payload)
    if kind == "cut":
        return bytes(payload[: int(rng.integers(0, len(payload)))])
    if kind == "more":
        return bytes(payload) + rng.bytes(int(rng.integers(1, 20)))
    if kind == "field":
        return _changed(bytes(payload), rng)
    if kind == "random":
        return rng.bytes(len(payload))
    if kind in ("other", "older"):
        own = [e for e in sent if (e.sender == sent[-1].sender) == (kind == "older")]
        return own[int(rng.integers(0, len(own)))].payload if own else b""
    # of a message's first bytes are its numbers; arrays are far longer
    most = min(len(payload), 24) if kind == "head" else len(payload)
    for _ in range(int(rng.integers(1, 4))):
        payload[int(rng.integers(0, most))] ^= int(rng.integers(1, 256))
    return bytes(payload)


def _changed(payload: bytes, rng: np.random.Generator) -> bytes:
    """The same message with one field, of it or of what it holds, another one."""
    try:
        kind: Any = peek(payload)
        return encode(_other(decode(payload, kind), rng))
    except FedprofileError:  # a number that no field holds is as good as random bytes
        return rng.bytes(len(payload))


def _other(value: Any, rng: np.random.Generator) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        name = str(rng.choice([field.name for field in fields(value)]))
        return replace(value, **{name: _other(getattr(value, name), rng)})
    if isinstance(value, tuple) and value:
        at = int(rng.integers(0, len(value)))
        kept = value[:at] + value[at + 1 :]
        return (
            kept if rng.random() < 0.3 else (*value[:at], _other(value[at], rng), *value[at + 1 :])
        )
    if isinstance(value, np.ndarray):
        return _array(value, rng)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return max(0, value + int(rng.choice([-1, 1, 2, 1000])))
    if isinstance(value, float):
        return float(rng.choice([0.0, -value, np.nan, np.inf, 1e300, -1e-300, 2.0]))
    if isinstance(value, bytes):
        return rng.bytes(len(value)) if rng.random() < 0.7 else value[:-1]
    return value


def _array(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    how = rng.integers(0, 5)
    if how == 0 or not value.size:
        return np.concatenate([value, np.zeros((1, *value.shape[1:]), value.dtype)])
    if how == 1:
        return value[:-1]
    found = value.copy()
    flat = found.reshape(-1)
    if how == 2:
        at = int(rng.integers(0, len(flat)))
        flat[at] = flat[at] ^ flat.dtype.type(1) if flat.dtype.kind in "iu" else -flat[at]
        return found
    if value.dtype.kind == "f":
        extremes = [np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, -1.0]
        flat[int(rng.integers(0, len(flat)))] = rng.choice(extremes)
        return found
    most = np.iinfo(value.dtype)
    extreme = int(rng.choice(np.array([most.min, most.max], object)))
    flat[slice(None) if how == 3 else int(rng.integers(0, len(flat)))] = extreme
    return found


def _length(name: str) -> int:
    count = 0

    def wire(data: bytes) -> Iterable[bytes]:
        nonlocal count
        count += 1
        yield data

    PROTOCOLS[name](wire)
    return count


class _Lengths(dict[str, int]):
    def __missing__(self, name: str) -> int:
        self[name] = _length(name)
        return self[name]


LENGTHS = _Lengths()


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_spoilt_message_ends_in_a_typed_error_or_in_nothing(name: str) -> None:
    """What 2,000 runs of binning and trees, 500 of regression have shown; a failure is numbered."""
    ends: set[str] = set()
    for number in range(RUNS):
        try:
            ends.add(spoilt(name, np.random.default_rng([7, number])))
        except Exception as error:
            raise AssertionError(f"run {number}: {type(error).__name__}: {error}") from error
    assert {"ended", "PeerError", "CodecError"} <= ends
