"""Above which edges the values of each group may be counted for the receiver.

What is told of a group in a column is how many of its values are above each *open* edge: how many
lie in each *block*, a run of parts between open edges. A block holds no value or enough of them. An
edge beside a smaller one is closed, and so are more, until nothing that is told together speaks of
few values: the audit is that of several groupings (`overlap`), with a cell for each cell of groups
and atom, and as groupings

- the section's own: a record is in a block of its group;
- each section before it, in this contract or an earlier one, in the same way;
- all records together, by those edges that a section of one group would have open: totals may be
  known otherwise.

Blocks are all there is to know of a group from its open edges, and telling the sum of closed parts
tells nothing more, since how many values the group has is told. Where cells may hold values that
are not counted, they count as cells of no value that are there: a combination that speaks of such
cells alone isolates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from federated.aggregate.grid import Edges, parts_of
from federated.aggregate.overlap import isolating, withheld

__all__ = ["Parted", "columns_kept", "open_edges"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Parted:
    """What a section tells of a column, or would.

    `groups` are the cells' groups in it, `int64[cells]`, numbered as cells are; `told` which groups
    it tells the column of, `bool[groups]`; `open`, `bool[groups, edges]`, above which edges.
    `now`: of this contract.
    """

    groups: Ints
    told: Flags
    edges: Edges
    open: Flags
    now: bool = True

    def blocks(self, grid: Edges) -> Ints:
        """Which of its blocks each atom of each cell is in: `int64[cells, atoms]`.

        From 2 on; 1 for what is not told, 0 where records are absent.
        """
        within = self.within()
        number = within[:, parts_of(grid, self.edges)] + 2
        number += np.arange(len(within))[:, None] * within.shape[1]
        number[~self.told] = 1
        outside = np.repeat([[0], [1]], number.shape[1], axis=1)
        return np.asarray(np.vstack([outside, number])[self.groups])

    def within(self) -> Ints:
        """The block of each part, from 0: `int64[groups, parts]`."""
        first = np.zeros((len(self.told), 1), np.int64)
        return np.hstack([first, np.cumsum(self.open, axis=1)])


def columns_kept(
    newest: Parted, earlier: Sequence[Parted], grid: Edges, values: Ints, held: Flags, least: int
) -> Flags:
    """Of which groups the newest section may tell how many values there are: `bool[groups]`.

    `values` is how many values count in each cell and atom, `held` which may hold others:
    `[cells, atoms]` both.
    """
    groups = np.repeat(newest.groups[:, None], values.shape[1], axis=1)
    others = [_numbered(parted.blocks(grid)) for parted in earlier]
    cells = np.stack([groups, *others], axis=-1).reshape(-1, 1 + len(others))
    told = [newest.told, *(np.ones(max(0, int(o.max()) - 1), bool) for o in others)]
    there = (values.reshape(-1) > 0) | held.reshape(-1)
    return withheld(cells[there], values.reshape(-1)[there], told, least, occupied=True)


def open_edges(
    newest: Parted,
    earlier: Sequence[Parted],
    grid: Edges,
    values: Ints,
    held: Flags,
    least: tuple[int, int],
    *,
    hidden: bool,
) -> Flags:
    """Which edges of the newest section stay open: `bool[groups, edges]`.

    `values` and `held` as in `columns_kept`. `least` is what a block must hold, and what a
    combination must speak of. `hidden`: some records stood in earlier jobs where they do not count.
    """
    parted = replace(newest, open=_closed_by_size(newest, grid, values, held, least[0]))
    whole = Parted(
        np.where(newest.groups == 0, 0, 2), np.ones(1, bool), newest.edges,
        np.ones((1, len(newest.edges)), bool),
    )  # fmt: skip
    whole = replace(whole, open=_closed_by_size(whole, grid, values, held, least[1]))
    there = (values > 0) | held
    fixed = [_numbered(other.blocks(grid))[there] for other in (*earlier, whole)]
    before = not all(other.now for other in earlier)
    while parted.open.any():
        blocks = parted.blocks(grid)[there]
        names, numbers = np.unique(blocks, return_inverse=True)
        own = numbers.reshape(-1) + 2 - int((names < 2).sum())  # 0 and 1 stay what they are
        own[blocks < 2] = blocks[blocks < 2]
        cells = np.stack([own, *fixed], axis=1)
        used = isolating(cells, values[there], least[1], alike=not before, occupied=True)
        if used is None and hidden and before:
            used = isolating(
                cells[:, :-1], values[there], least[1], hidden=True, alike=False, occupied=True
            )
        if used is None:
            break
        chosen = names[names >= 2][used[used > 1] - 2]
        width = 2 + len(parted.told) * (1 + len(parted.edges))
        sizes = np.bincount(blocks, values[there], width)
        parted = _closed(parted, chosen[np.argsort(sizes[chosen], kind="stable")], sizes)
    return parted.open


def _numbered(blocks: Ints) -> Ints:
    """The same blocks by small numbers; 0 and 1 stay."""
    names, numbers = np.unique(blocks, return_inverse=True)
    numbers = numbers.reshape(blocks.shape) + 2 - int((names < 2).sum())
    return np.where(blocks < 2, blocks, numbers)


def _closed_by_size(parted: Parted, grid: Edges, values: Ints, held: Flags, least: int) -> Flags:
    """Edges that part no block of fewer than `least` values, or of none where some may be."""
    count = 1 + len(parted.edges)
    sizes, some = np.zeros((2, 2 + len(parted.told), count), np.int64)
    place = parted.groups[:, None], parts_of(grid, parted.edges)[None, :]
    np.add.at(sizes, place, values)
    np.add.at(some, place, held.astype(np.int64))
    found = parted.open.copy()
    for group in np.flatnonzero(parted.told).tolist():
        found[group] &= _merged(found[group], sizes[2 + group], some[2 + group] > 0, least)
    return found & parted.told[:, None]


def _merged(opened: Flags, sizes: Ints, some: Flags, least: int) -> Flags:
    """The edges of one group that stay open: a small block goes with its smaller neighbour."""
    found = opened.copy()
    while found.any():
        block = np.append(0, np.cumsum(found))
        held = np.bincount(block, sizes)
        small = (held < least) & ((held > 0) | (np.bincount(block, some) > 0))
        if not small.any():
            break
        worst = int(np.argmin(np.where(small, held, np.inf)))
        found[_beside(found, held, worst)] = False
    return found


def _beside(opened: Flags, held: np.ndarray, block: int) -> int:
    """The open edge between a block and its smaller neighbour."""
    below = held[block - 1] if block else np.inf
    above = held[block + 1] if block + 1 < len(held) else np.inf
    return int(np.flatnonzero(opened)[block - (below <= above)])


def _closed(parted: Parted, chosen: Ints, sizes: np.ndarray) -> Parted:
    """An edge less around each of the smallest of the chosen blocks; or all, if none has one."""
    width = 1 + len(parted.edges)
    group, block = np.divmod(chosen - 2, width)
    several = parted.open[group].any(axis=1)
    found = parted.open.copy()
    if not several.any():
        found[:] = False
        return replace(parted, open=found)
    fitting = np.flatnonzero(several)[: max(1, len(chosen) // 8)].tolist()
    done: set[int] = set()
    for at in fitting:
        one = int(group[at])
        if one in done:
            continue  # its blocks have other numbers now
        done.add(one)
        count = 1 + int(found[one].sum())
        held = sizes[2 + one * width : 2 + one * width + count]
        found[one, _beside(found[one], held, int(block[at]))] = False
    return replace(parted, open=found)
