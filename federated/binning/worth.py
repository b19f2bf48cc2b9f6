"""What a binned column is worth, at its owner; and what of it is told, rounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.binning.bins import Bins, bins_from
from federated.binning.evidence import (
    LEAST,
    auc_of_bins,
    chance,
    grouped,
    information_value,
    merged,
    weight_of_evidence,
)
from federated.binning.messages import NO_DRIFT, Worths
from psi.protocol import MisuseError

__all__ = ["ColumnWorth", "RoundedWorth", "rounded", "step_of", "told", "worth_of"]

Floats = NDArray[np.float64]
_STEPS = (1, 2, 5, 10, 20, 50, 100)
_SCALES, _MOST_WANTED = 2, 4
"""A group of bins has two scales of the noise more of each class, up to a quarter of the class."""
_MORE, _CHANCES = 0.1, 2
"""What groups that lack a class must say more, beside others or under noise: what is worth a look
by itself, and twice what chance and noise would say."""
_ROWS_A_STEP = 20
"""Of bins alike in size a row moves a value by less than a step; what hides a row is noise."""


@dataclass(frozen=True, kw_only=True)
class ColumnWorth:
    """A `column` with its `bins`, as merged, and counts of positives and negatives, with noise.

    `groups` is the group of each bin, `counts` are `[groups, 2]`. `rows` are the owner's own rows
    of each bin, before merging. `drift` is None where there is no earlier job. A count below
    `floor` counts as that much: more than a half where groups have mostly one class.
    """

    column: str
    bins: Bins
    groups: tuple[int, ...]
    counts: Floats
    rows: tuple[int, ...]
    drift: float | None = None
    floor: float = LEAST

    def __repr__(self) -> str:
        return f"<{len(self.groups)} bins of {self.column!r}>"

    @property
    def woe(self) -> Floats:
        """The weight of evidence of each group."""
        return weight_of_evidence(self.counts, self.floor)

    @property
    def value(self) -> float:
        """The information value."""
        return information_value(self.counts, self.floor)

    @property
    def auc(self) -> float:
        """That of the column alone, coded by its weight of evidence."""
        return auc_of_bins(self.counts) if len(self.counts) > 1 else 0.5

    def coded(self, values: Any) -> Floats:
        """The weight of evidence of each row's bin: `float64[rows]`."""
        return np.asarray(self.woe[np.array(self.groups)[self.bins.codes(values)]])

    def table(self) -> list[dict[str, Any]]:
        """A line a group: its bins in words, counts and weight of evidence."""
        return [
            {
                "column": self.column,
                "bin": self.words([at]),
                "rows": sum(r for r, g in zip(self.rows, self.groups, strict=True) if g == at),
                "positives": float(positives),
                "negatives": float(negatives),
                "woe": round(float(woe), 6),
            }
            for at, ((positives, negatives), woe) in enumerate(
                zip(self.counts, self.woe, strict=True)
            )
        ]

    def words(self, groups: Iterable[int]) -> str:
        """The bins of some groups together, in words."""
        wanted = set(groups)
        return self.bins.words(place for place, at in enumerate(self.groups) if at in wanted)

    def plain(self) -> dict[str, Any]:
        """Plain data for a file of the owner's."""
        return {
            "column": self.column,
            "bins": self.bins.plain(),
            "groups": list(self.groups),
            "counts": self.counts.tolist(),
            "rows": list(self.rows),
            **({"floor": self.floor} if self.floor != LEAST else {}),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ColumnWorth:
        """What `plain` wrote. Raises `MisuseError` for anything else."""
        try:
            bins, counts = bins_from(plain["bins"]), np.array(plain["counts"], np.float64)
            groups, rows = tuple(map(int, plain["groups"])), tuple(map(int, plain["rows"]))
            floor = float(plain.get("floor", LEAST))
            if counts.ndim != 2 or not len(groups) == len(rows) == bins.count or not floor >= LEAST:
                raise MisuseError("these are no saved bins")
            return cls(
                column=str(plain["column"]), bins=bins, groups=groups, counts=counts, rows=rows,
                floor=floor,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError):
            raise MisuseError("these are no saved bins") from None


@dataclass(frozen=True, kw_only=True)
class RoundedWorth:
    """What is told of a `column`: `value` is a multiple of `step`, `drift` one of .01, or None.

    It comes to so many `bins`.
    """

    column: str
    value: float
    step: float
    bins: int
    drift: float | None


def worth_of(
    column: str,
    bins: Bins,
    rows: Sequence[int],
    opened: NDArray[np.int64],
    *,
    least: float,
    monotone: bool,
    scale: int = 0,
    drift: float | None = None,
) -> ColumnWorth:
    """A column from its opened counts.

    Under noise a group of bins has so many more of each class that noise alone makes no evidence.
    What tells the classes apart best has too few of one of them. So groups may lack a class of
    which their rows should have enough, where others would come to one, or say much less.

    Args:
        column: its name.
        bins: as they were cut.
        rows: this party's own rows of each bin.
        opened: `[bins, 2]`: positives, and rows with a label.
        least: positives and negatives that a group of bins must have; see `evidence.merged`.
        monotone: see there.
        scale: of the noise on each count, 0 for none.
        drift: against the last job, None without one.
    """
    positives, labelled = opened.astype(np.float64).T
    counts = np.column_stack([positives, labelled - positives])
    rarer = float(counts.sum(axis=0).min())
    wanted = max(least, min(least + _SCALES * scale, rarer / _MOST_WANTED))
    groups, floor = merged(counts, bins.ordered, wanted, monotone=monotone), LEAST
    apart = merged(counts, bins.ordered, wanted, monotone=monotone, one_sided=True)
    more = information_value(grouped(counts, apart), wanted)
    more -= _CHANCES * chance(np.maximum(grouped(counts, apart), LEAST), scale)
    if more > information_value(grouped(counts, groups)) + _MORE * bool(groups.any() or scale):
        groups, floor = apart, wanted
    return ColumnWorth(
        column=column,
        bins=bins,
        groups=tuple(groups.tolist()),
        counts=grouped(counts, groups),
        rows=tuple(int(row) for row in rows),
        drift=drift,
        floor=floor,
    )


def step_of(positives: float, negatives: float) -> int:
    """Thousandths that an information value is rounded to, for so many rows of each class.

    A row moves it by about one over the rows of the rarer class: this is twenty times that, about
    twice what chance makes of ten bins without any value.
    """
    least = _ROWS_A_STEP * 1000 / max(1.0, min(positives, negatives))
    return next((step for step in _STEPS if step >= least), _STEPS[-1])


def told(worths: Sequence[ColumnWorth]) -> Worths:
    """The message on columns' `worths`, rounded."""
    steps = [step_of(*worth.counts.sum(axis=0)) for worth in worths]
    pairs = zip(worths, steps, strict=True)
    return Worths(
        np.array([round(w.value * 1000 / step) * step for w, step in pairs], np.uint32),
        np.array(steps, np.uint16),
        np.array([len(worth.counts) for worth in worths], np.uint16),
        np.array(
            [NO_DRIFT if w.drift is None else min(round(100 * w.drift), 9999) for w in worths],
            np.uint16,
        ),
    )


def rounded(columns: Sequence[str], sent: Worths) -> list[RoundedWorth]:
    """What was `sent` of these `columns`."""
    return [
        RoundedWorth(
            column=column,
            value=int(value) / 1000,
            step=int(step) / 1000,
            bins=int(bins),
            drift=None if drift == NO_DRIFT else int(drift) / 100,
        )
        for column, value, step, bins, drift in zip(
            columns, sent.value, sent.step, sent.bins, sent.drift, strict=True
        )
    ]
