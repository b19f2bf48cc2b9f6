"""Tags of entities: what a party's book says of whom an answer was about.

A keyed BLAKE2s of the entity's cleaned key at this party, under a key for each table and receiver:
without it a tag says nothing, and nobody else could make one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.releases.book import Level
from federated.releases.differencing import Tags
from federated.store.plain import canonical
from psi.identifiers.keys import key_buffer
from psi.kernels.blake2s import Blake2s
from psi.protocol import Array, message

__all__ = ["Paired", "Tagged", "distinct", "level_key", "paired", "tags_of"]

LARGEST = 1 << 30


@message(0xD3)
@dataclass(frozen=True)
class Tagged:
    tags: Annotated[np.ndarray, Array("uint64", most=LARGEST)]


@message(0xD6)
@dataclass(frozen=True)
class Paired:
    """Of pairs in which records repeat: all tags, and the pair that counts for each row, or -1."""

    tags: Annotated[np.ndarray, Array("uint64", most=LARGEST)]
    stands: Annotated[np.ndarray, Array("int32", most=LARGEST)]


def tags_of(arrays: Sequence[pa.Array], keys: Sequence[bytes]) -> Tags:
    """A tag a row, by the first level that names its entity; 0 where none does."""
    found = np.zeros(len(arrays[0]), np.uint64)
    left = np.ones(len(found), bool)
    for array, key in zip(arrays, keys, strict=True):
        named = pc.is_valid(array).to_numpy(zero_copy_only=False) & left
        rows = np.flatnonzero(named)
        if len(rows):
            data, offsets = key_buffer(array.take(pa.array(rows)))
            found[rows] = Blake2s(key, b"release1").strings(data, offsets)[:, 0]
        left &= ~named
    return found


def paired(tags: Tags, stands: np.ndarray) -> Paired:
    return Paired(tags, stands.astype(np.int32))


def distinct(tags: Tags) -> Tags:
    """The entities that are named, sorted."""
    return np.unique(tags[tags != 0])


def level_key(secret: bytes, place: tuple[str, str], level: Level) -> bytes:
    about = canonical({"place": list(place), "columns": level.columns, "kinds": level.kinds})
    return hashlib.blake2s(about, key=secret, person=b"relkeys1").digest()
