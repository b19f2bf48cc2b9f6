"""Which validation fold a record is in, at the party that holds the labels.

Folds are told to the partners, so they must say nothing of a label. A fold is a keyed BLAKE2s of
the record's cleaned key, modulo the number of folds: dealt without a look at any label, by a key
that never leaves this party and lasts over all its jobs. Whoever knows the contract, its seed
included, learns nothing from folds. A record that is in many jobs is always in the same one: every
fresh deal would add equations about the labels to what a partner learns from its coefficients.

    tags/folds    the key, and which columns have named records so far (0600)

Columns that named records in earlier jobs come first, so that a job that matches by another key
deals the same records alike. A row that no key names (none that was matched) is dealt by what is in
its columns. Without a folder the key is the job's own: a run in one process keeps nothing.

Sizes and classes are even only as a random deal makes them: `check_folds` refuses what is too few.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.contract.terms import PartyTerms
from federated.releases.book import Level
from federated.store.files import disk_failed, locked, write_atomic
from federated.store.plain import canonical, from_canonical
from psi.identifiers.keys import key_buffer
from psi.kernels.blake2s import Blake2s
from psi.protocol import EnvironmentFailed, InputError, PeerError, Random

__all__ = ["FoldKey", "dealt"]

_FILE = "folds"


@dataclass(frozen=True)
class _Kept:
    key: str
    levels: tuple[Level, ...] = ()


@dataclass(frozen=True, repr=False)
class FoldKey:
    """A party's key, and by what its records are named: the first level that a record has."""

    secret: bytes
    levels: tuple[Level, ...]

    @classmethod
    def kept(cls, folder: Path, me: PartyTerms, there: Sequence[str], random: Random) -> FoldKey:
        """The key in `folder`, made now if there is none; notes the columns that `me` matches by.

        `there` are the columns that can be had of its table. Raises `EnvironmentFailed`, and
        `InputError` for a file that was altered.
        """
        try:
            with locked(folder / f".{_FILE}.lock"):  # two jobs that begin together make one key
                found = _read(folder / _FILE)
                kept = found or _Kept(random(32).hex())
                whole = replace(kept, levels=tuple(dict.fromkeys([*kept.levels, *_levels(me)])))
                if whole != found:
                    write_atomic(folder / _FILE, canonical(whole))
        except OSError as error:
            raise disk_failed(f"cannot write {folder / _FILE}", error) from None
        usable = tuple(level for level in whole.levels if set(level.columns) <= set(there))
        return cls(bytes.fromhex(whole.key), usable)

    @classmethod
    def of_job(cls, secret: bytes, me: PartyTerms) -> FoldKey:
        """A key that ends with the job."""
        return cls(secret, _levels(me))

    @staticmethod
    def naming(folder: Path) -> list[str]:
        """The columns that have named records so far."""
        found = _read(folder / _FILE)
        every = (column for level in found.levels for column in level.columns) if found else ()
        return list(dict.fromkeys(every))

    def deal(self, names: Sequence[pa.Array], rows: pa.Table, folds: int) -> np.ndarray:
        """`int16[rows]`: the fold of each row, from 0.

        `names` are the rows' cleaned keys, an array a level; null where a row has none.
        """
        words = np.zeros(len(rows), np.uint64)
        left = np.ones(len(rows), bool)
        for level, array in zip(self.levels, names, strict=True):
            named = np.flatnonzero(pc.is_valid(array).to_numpy(zero_copy_only=False) & left)
            words[named] = self._words(b"key", level.kinds, array.take(pa.array(named)))
            left[named] = False
        if left.any():
            nameless = rows.take(pa.array(np.flatnonzero(left))).to_pylist()
            contents = pa.array([repr(sorted(row.items())) for row in nameless], pa.large_string())
            words[left] = self._words(b"row", (), contents)
        return (words % np.uint64(folds)).astype(np.int16)

    def _words(self, what: bytes, kinds: tuple[str, ...], strings: pa.Array) -> np.ndarray:
        if not len(strings):
            return np.zeros(0, np.uint64)
        about = canonical({"what": what.decode(), "kinds": kinds})
        key = hashlib.blake2s(about, key=self.secret, person=b"foldkey1").digest()
        data, offsets = key_buffer(strings)
        return np.asarray(Blake2s(key, b"vfolds-1").strings(data, offsets)[:, 0])


def dealt(kept: bytes, labelled: np.ndarray) -> np.ndarray:
    """`int64[rows]`: folds as a job keeps them, -1 for rows without a label."""
    return np.where(labelled, np.frombuffer(kept, dtype="<i2"), -1).astype(np.int64)


def _levels(me: PartyTerms) -> tuple[Level, ...]:
    return tuple(Level(c, k) for c, k in zip(me.keys, me.kinds, strict=True))


def _read(path: Path) -> _Kept | None:
    try:
        if path.stat().st_mode & 0o077:
            raise EnvironmentFailed(f"{path.name} can be read by others", hint="chmod 600 it")
        return from_canonical(_Kept, path.read_bytes())
    except FileNotFoundError:
        return None
    except PeerError:
        raise InputError(
            f"{path.name} was altered",
            hint="restore it: without it every record is dealt anew, which tells more of labels",
        ) from None
