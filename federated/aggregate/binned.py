"""In which atom of a column each record counts, so that the partner may open atoms' counts.

Rules are those of columns (`history.followed`), atom by atom. A record counts in the atom of its
value if all its values lie there, and if they lay in the same parts in every earlier job that told
parts of the column; one that has left counts in an atom of the parts that it was in. An atom that
fewer than `least` records of a history have would show the partner their groups, so these count in
none; and if all that count in none are few, they are counted in the largest atom, and a combination
has to speak of so many more.

What does not count is not forgotten. An atom with such values may have some in any cell, unless the
cell's records that have a value are all counted in atoms: the audit takes each for a few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from federated.aggregate.grid import NO_ATOM, Atoms, Binned, Edges, atoms_of, parts_of
from federated.aggregate.history import Followed, History, followed, history_of, kinds_of
from federated.aggregate.pairs import Pairs
from federated.aggregate.rows import Section

__all__ = ["NO_PART", "PastParts", "binned", "counted_alone"]

NO_PART = 0xFFFF
"""The part of a row without a value, or with values in several."""

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class PastParts:
    """What a job told parts of: its number in the history, edges, and each row's part then."""

    job: int
    edges: Edges
    parts: np.ndarray


def binned(
    history: History,
    flags: Flags,
    grid: Edges,
    atoms: Atoms,
    earlier: Sequence[PastParts],
    least: int,
    pairs: Pairs | None = None,
) -> Binned:
    """In which atom of a column with this `grid` each record counts.

    `flags` says which records count as having a value, `bool[records]`; `atoms` are those of the
    values of aligned pairs (of rows, where nothing repeats).
    """
    paired, rows = Pairs.single(len(atoms)) if pairs is None else pairs, history.rows
    then = _then(history, earlier)
    names, place = np.zeros((1, 0), np.int64), np.zeros(len(then) - rows, np.int64)
    if earlier:
        names, place = np.unique(then[rows:], axis=0, return_inverse=True)
    possible = _possible(names, grid, earlier)  # for those that have left, by what they had
    place = place.reshape(-1)
    first = np.where(possible.any(axis=1), possible.argmax(axis=1), NO_ATOM).astype(np.int16)
    found = np.concatenate([paired.one(atoms), first[place]])
    found[~flags] = NO_ATOM
    hidden = False
    for number, past in enumerate(earlier):
        now = np.append(parts_of(grid, past.edges), NO_PART)[found[:rows]]
        stood = history.places[:rows, past.job] >= 0
        moved = stood & (now != then[:rows, number]) & flags[:rows]
        found[:rows][moved] = NO_ATOM
        hidden |= bool(moved.any())
    kinds, count = kinds_of(history), 1 + len(grid)
    found, wrong = _apart(found, flags, kinds, count, least)
    missing, loose = np.zeros(count, bool), np.zeros(count, bool)
    counts, out = paired.own & flags[paired.row], (atoms != NO_ATOM) & ~paired.own
    out |= (atoms != NO_ATOM) & (found[paired.row] != atoms)
    lost = found[paired.row] == NO_ATOM
    missing[atoms[out & counts & lost]] = True
    loose[atoms[out & ~(counts & lost)]] = True
    had, at = (then[rows:] != NO_PART).any(axis=1), found[rows:]
    missing |= possible[place[(at == NO_ATOM) & flags[rows:]]].any(axis=0)
    elsewhere = np.where(at == NO_ATOM, ~flags[rows:] & had, at != first[place])
    loose |= possible[place[elsewhere]].any(axis=0)
    return Binned(found, wrong, missing, loose, hidden)


def _then(history: History, earlier: Sequence[PastParts]) -> np.ndarray:
    """Each record's part in each of the earlier tellings: `int64[records, earlier]`."""
    found = np.full((len(history.places), len(earlier)), NO_PART, np.int64)
    for number, past in enumerate(earlier):
        stood = np.flatnonzero(history.places[:, past.job] >= 0)
        found[stood, number] = past.parts[history.places[stood, past.job]]
    return found


def _possible(names: np.ndarray, grid: Edges, earlier: Sequence[PastParts]) -> Flags:
    """In which atoms a value may have been that was in these parts: `bool[names, atoms]`."""
    found = np.ones((len(names), 1 + len(grid)), bool)
    for number, past in enumerate(earlier):
        then = names[:, number, None]
        found &= (then == NO_PART) | (parts_of(grid, past.edges) == then)
    return found


def _apart(found: Atoms, flags: Flags, kinds: Ints, atoms: int, least: int) -> tuple[Atoms, int]:
    """`found` without atoms too few to be counted apart, and how many count in a wrong one."""
    known = found != NO_ATOM
    held = np.zeros((int(kinds.max(initial=0)) + 1, atoms), np.int64)
    np.add.at(held, (kinds[known], found[known]), 1)
    known &= (held >= least)[kinds, found]
    rest = np.bincount(kinds[flags & ~known], minlength=len(held))
    moved = flags & ~known & (rest < least)[kinds]
    largest = held.argmax(axis=1).astype(np.int16)
    kept = np.where(known, found, np.int16(NO_ATOM))
    return np.where(moved, largest[kinds], kept), int(moved.sum())


def counted_alone(section: Section, values: np.ndarray, grids: Mapping[str, Edges]) -> Followed:
    """What counts of rows without a past, each a record: `values` are of the section's columns."""
    history = history_of(np.arange(1, 1 + len(values), dtype=np.uint64), (), 0)
    counted = followed(history, np.isfinite(values), (), section.minimum)
    bins = tuple(
        binned(history, flags, grids[c], atoms_of(own, grids[c]), (), section.minimum)
        if grids[c]
        else None
        for c, own, flags in zip(section.columns, values.T, counted.flags.T, strict=True)
    )
    return replace(counted, bins=bins)
