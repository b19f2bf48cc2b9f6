"""What a partner has told of its categories before, and what it may tell now.

A subject is one category column over one set of rows. Under it stand the sets of category names
whose counts were told: two lists of categories over the same rows may give away by their
difference what neither tells. The names stay with the partner. Tables over another set of rows
are another subject: their difference is for the guard against repeated jobs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from federated.aggregate.categories import with_other
from federated.aggregate.suppression import tell_counts
from federated.store.files import write_atomic
from psi.protocol import InputError

__all__ = ["FileTold", "NothingTold", "subject_of", "tell"]


class NothingTold:
    """Nothing was told before, nothing is kept."""

    def earlier(self, subject: str) -> list[list[list[str]]]:
        return []

    def add(self, subject: str, told: list[list[str]]) -> None:
        """Forgotten."""


class FileTold:
    """Kept in one file of this party's own, mode 0600."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"<told before, in {self._path.name}>"

    def _all(self) -> dict[str, list[list[list[str]]]]:
        if not self._path.exists():
            return {}
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            found = None
        if not isinstance(found, dict):
            raise InputError(
                f"{self._path.name}: what was told before cannot be read",
                hint="restore it; without it earlier releases are not audited",
            )
        return found

    def earlier(self, subject: str) -> list[list[list[str]]]:
        return self._all().get(subject, [])

    def add(self, subject: str, told: list[list[str]]) -> None:
        """The same release again (a resumed job's, say) is kept once."""
        found = self._all()
        if told not in found.setdefault(subject, []):
            found[subject].append(told)
            write_atomic(
                self._path, json.dumps(found, ensure_ascii=False, sort_keys=True), private=True
            )


def subject_of(table: str, column: str, rows: np.ndarray, values: pa.Array) -> str:
    """Names a column over a set of this party's rows; another order of rows is the same set."""
    order = np.argsort(rows, kind="stable")
    encoded = values.take(pa.array(order)).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    digest = hashlib.sha256(np.asarray(rows, np.int64)[order].tobytes() + codes.tobytes())
    digest.update(json.dumps(encoded.dictionary.to_pylist()).encode())
    return f"{table}/{column}/{digest.hexdigest()}"


def tell(
    values: pa.Array,
    categories: Sequence[str],
    minimum: int,
    earlier: Sequence[Sequence[Sequence[str]]],
) -> tuple[np.ndarray, list[list[str]]]:
    """Which of the categories (and all else) may be told, and the names that each told one means.

    `values` are the aligned rows' own categories; None is a name of its own.
    """
    names = with_other(categories)
    place = {name: number for number, name in enumerate(names)}
    counts = {
        _name(entry["values"]): int(entry["counts"]) for entry in values.value_counts().to_pylist()
    }
    before = [set(item) for release in earlier for item in release]
    # names that no list ever told apart are one atom
    atoms: dict[tuple[int, tuple[bool, ...]], list[str]] = {}
    for name in sorted(counts):
        where = place.get(name, len(names) - 1)
        atoms.setdefault((where, tuple(name in item for item in before)), []).append(name)
    keys = list(atoms)
    sizes = np.array([sum(counts[name] for name in atoms[key]) for key in keys], np.int64)
    parts = np.array([[key[0] == c for key in keys] for c in range(len(names))], bool)
    fixed = [np.array([float(key[1][i]) for key in keys]) for i in range(len(before))]
    kept = tell_counts(sizes, minimum, parts.reshape(len(names), len(keys)), fixed)
    told = [
        sorted(name for key in keys if key[0] == c for name in atoms[key])
        for c in np.flatnonzero(kept).tolist()
    ]
    return kept, told


def _name(value: str | None) -> str:
    return "" if value is None else value
