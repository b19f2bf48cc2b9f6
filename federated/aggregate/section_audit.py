"""What a partner may open of one section, from the counts of the receiver's cells.

The same whatever adds rows up: groups below the minimum go, columns with too few values in a group,
edges beside small ranges, and whatever would give a few rows away together with earlier sections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from federated.aggregate.grid import Edges
from federated.aggregate.history import Followed, History
from federated.aggregate.open_edges import Parted, columns_kept, open_edges
from federated.aggregate.overlap import withheld
from federated.aggregate.rows import Section
from federated.aggregate.suppression import suppress
from psi.protocol import PeerError

__all__ = ["Earlier", "SectionAudit"]


@dataclass(frozen=True)
class Earlier:
    """What an earlier section told of each column, `bool[groups, columns]`; its minimum group.

    `job` is its job's number in the history, -1 for this one. `edges` has for each column those
    that its shares and histograms asked for, and `open`, `bool[groups, edges]`, which it told.
    """

    kept: np.ndarray
    minimum: int
    job: int = -1
    edges: tuple[Edges, ...] = ()
    open: tuple[np.ndarray, ...] = ()

    def parted(self, column: int, groups: np.ndarray) -> Parted:
        """As the audit of a column takes it; `groups` are the cells' in this section."""
        nothing = np.zeros((len(self.kept), 0), bool)
        edges, opened = self.edges[column] if self.edges else (), nothing
        if self.open:
            opened = self.open[column]
        return Parted(groups, self.kept[:, column], edges, opened, self.job < 0)


class SectionAudit:
    """Says what may be told of one section's groups.

    `grids` are the edges of each column, of all sections and earlier jobs. `counted` says which
    values of the section's columns count (`followed`). `earlier` are the results of earlier
    sections of the same columns, all False where such a section did not ask for one: of this job,
    then of those in the `history` of the rows.
    """

    def __init__(
        self,
        section: Section,
        grids: Mapping[str, Edges],
        counted: Followed,
        history: History,
        earlier: Sequence[Earlier] = (),
    ) -> None:
        self._section, self.grids, self._minimum = section, grids, section.minimum
        self._counted, self._history, self._earlier = counted, history, list(earlier)
        self._records = int(counted.ones.sum())
        self._aligned = int(counted.ones[: history.rows].sum())

    def told(
        self, cells: np.ndarray, groups: int, counts: np.ndarray, atoms: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of each group, `int64[groups]`, and what is told of it, `uint8`, as in `Kept`.

        `cells` are as in `Counted`; `counts` is `int64[cells, 1 + columns]`, rows and values that
        count; `atoms[c]` is `int64[cells, atoms]` of a column, of no atoms where none count. Raises
        `PeerError` where these are not of the aligned rows.
        """
        self.check_cells(cells, groups)
        self._check_counts(cells, counts)
        self._check_atoms(counts, atoms)
        found = np.zeros((2 + groups, counts.shape[1]), np.int64)
        np.add.at(found, cells[:, 0], counts)
        kept = self._kept(found[2:], self._occupied(cells, 2 + groups))
        self._withhold(kept, cells, counts)
        edges = [
            self._opened(column, kept, cells, counts[:, 1 + column], atoms[column])
            for column in range(kept.shape[1] - 1)
        ]
        return found[2:, 0].copy(), np.hstack([kept, *edges]).astype(np.uint8)

    def check_cells(self, cells: np.ndarray, groups: int) -> None:
        """Raise `PeerError` for cells that there cannot be."""
        every = [groups, *(len(e.kept) for e in self._earlier)]
        if cells.shape != (len(cells), len(every)):
            raise PeerError("counts of other sections")
        apart = (cells[:, 1:] < 0).any(axis=1)  # counted by the newest grouping alone
        if (cells[:, 0] < 0).any() or (cells[apart, 1:] != -1).any():
            raise PeerError("groups that do not exist")
        if (cells > np.add(every, 1)).any() or len(np.unique(cells, axis=0)) < len(cells):
            raise PeerError("groups that do not exist, or the same twice")

    def _check_counts(self, cells: np.ndarray, counts: np.ndarray) -> None:
        """All records are in the cells, and those that a job does not have where they belong."""
        whole = np.append(self._records, self._counted.flags.sum(axis=0))
        if (counts.sum(axis=0) != whole).any() or (counts[:, 1:] > counts[:, :1]).any():
            raise PeerError("counts that do not add up to the aligned rows")
        gone = self._records - self._aligned
        absent = [
            gone,
            *(
                gone if e.job < 0 else self._history.absent(e.job, self._counted.ones)
                for e in self._earlier
            ),
        ]
        found = [int(counts[groups == 0, 0].sum()) for groups in cells.T]
        exact = bool((cells >= 0).all())
        if found[0] != gone or any(
            f > a or (exact and f < a) for f, a in zip(found, absent, strict=True)
        ):
            raise PeerError("counts that do not add up to the records that are not aligned")

    def _check_atoms(self, counts: np.ndarray, atoms: Sequence[np.ndarray]) -> None:
        """Each column's values lie in its atoms, where they count at all."""
        for column, found in enumerate(atoms):
            bins = self._counted.bins[column] if found.shape[1] else None
            if bins is None:
                continue
            every = np.bincount(bins.atoms[bins.atoms >= 0], minlength=found.shape[1])
            if (found.sum(axis=0) != every).any() or (
                found.sum(axis=1) > counts[:, 1 + column]
            ).any():
                raise PeerError("counts that do not add up to the values of a column")

    def _occupied(self, cells: np.ndarray, groups: int) -> np.ndarray:
        """Which groups, the rest second, may hold records that count nowhere: `bool[groups]`."""
        found = np.zeros(groups, bool)
        if self._counted.uncounted:
            found[cells[:, 0]] = True
        return found

    def _kept(self, counts: np.ndarray, occupied: np.ndarray) -> np.ndarray:
        """Which groups, and which of their columns, have enough behind them."""
        flags = self._counted.flags[: self._history.rows]
        others = self._aligned - int(counts[:, 0].sum())
        rows, rest = np.maximum(counts[:, 0], occupied[2:]), max(others, int(occupied[1]))
        groups = suppress(counts[:, 0], self._minimum, rows=rows, rest=(others, rest))
        kept = [groups]
        # in the worst case all that count without a value are in one group
        for j, less in enumerate(self._counted.wrong.tolist()):
            least = np.maximum(counts[:, 1 + j] - less, 0)
            others = int(flags[:, j].sum() - counts[:, 1 + j].sum())
            among = (max(0, others - less), rest)
            kept.append(suppress(least, self._minimum, rows=rows, allowed=groups, rest=among))
        return np.stack(kept, axis=1)

    def _withhold(self, kept: np.ndarray, cells: np.ndarray, counts: np.ndarray) -> None:
        """Of `kept`, what would give little away together with earlier sections, no more."""
        for j, wrong in enumerate(self._counted.wrong.tolist()):
            told = [i for i, earlier in enumerate(self._earlier) if earlier.kept[:, j].any()]
            if not told:
                continue
            least = wrong + min([self._minimum, *(self._earlier[i].minimum for i in told)])
            every = [kept[:, 1 + j], *(self._earlier[i].kept[:, j] for i in told)]
            columns = [0, *(1 + i for i in told)]
            kept[:, 1 + j] = withheld(
                cells[:, columns], counts[:, 1 + j], every, least,
                hidden=bool(self._counted.hidden[j]),
                alike=all(self._earlier[i].job < 0 for i in told),
                occupied=self._counted.uncounted,
            )  # fmt: skip

    def _opened(
        self,
        column: int,
        kept: np.ndarray,
        cells: np.ndarray,
        there: np.ndarray,
        atoms: np.ndarray,
    ) -> np.ndarray:
        """Above which of the column's edges values are told of each group: `bool[groups, edges]`.

        Where earlier sections told parts of it, `kept` loses groups whose values, all together,
        would give theirs away.
        """
        edges, bins = self._section.edges[column], self._counted.bins
        nothing = np.zeros((len(kept), len(edges)), bool)
        which = bins[column] if bins else None
        if which is None:
            return nothing
        if (cells < 0).any():  # too many cells to be counted apart
            return nothing
        grid = self.grids[self._section.columns[column]]
        earlier = [
            e.parted(column, cells[:, 1 + i])
            for i, e in enumerate(self._earlier)
            if e.kept[:, column].any()
        ]
        minimums = [e.minimum for e in self._earlier if e.kept[:, column].any()]
        least, wrong = min([self._minimum, *minimums]) + which.wrong, which.wrong
        few = (there > atoms.sum(axis=1))[:, None]
        held = (few & which.missing) | which.loose
        newest = Parted(cells[:, 0], kept[:, 1 + column], edges, ~nothing)
        if any(e.open.any() for e in earlier):
            kept[:, 1 + column] = columns_kept(newest, earlier, grid, atoms, held, least)
            newest = replace(newest, told=kept[:, 1 + column])
        if not edges:
            return nothing
        return open_edges(
            newest, earlier, grid, atoms, held, (self._minimum + wrong, least),
            hidden=bool(self._counted.hidden[column]) or which.hidden,
        )  # fmt: skip
