"""What partners' columns come to by group, by category and in bins."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Aggregated",
    "Binning",
    "CategoryMeasure",
    "CategoryTable",
    "GroupRow",
    "Histogram",
    "HistogramRow",
    "Valued",
]


@dataclass(frozen=True)
class GroupRow:
    """One group: a suppressed one has no count or values, and says why."""

    group: str
    count: int | None
    values: tuple[float | None, ...] = ()
    suppressed: str = ""


@dataclass(frozen=True)
class HistogramRow:
    """How many of one group's entities fall into each bin, of `total` that have a value.

    None where a bin is not told apart from a neighbour.

    Attributes:
        counts: one a bin.
    """

    group: str
    counts: tuple[int | None, ...]
    total: int

    @property
    def shares(self) -> tuple[float | None, ...]:
        """Of the group's entities with a value."""
        return tuple(None if count is None else count / self.total for count in self.counts)


@dataclass(frozen=True)
class Histogram:
    """A column's distribution in each group that is told.

    Attributes:
        bins: in words, from the lowest.
        rows: a group each.
    """

    column: str
    bins: tuple[str, ...]
    rows: tuple[HistogramRow, ...]


@dataclass(frozen=True, kw_only=True)
class Aggregated:
    """A partner's statistics by the receiver's groups, opened from sums that nobody saw before.

    Encrypted ones, or `shared`: private sums. `measures` name the columns of the table, such as
    "mean of open_loans", and `kinds` say which of them are shares ("share"). `by` is empty where
    the sums are over all shared entities.

    Attributes:
        rows: a group each.
        minimum_group: fewest values behind a number.
        key_bits: bits of the Paillier key; 0 for private sums.
        histograms: a column each.
    """

    partner: str
    by: str
    measures: tuple[str, ...]
    rows: tuple[GroupRow, ...]
    minimum_group: int
    key_bits: int = 0
    kinds: tuple[str, ...] = ()
    shared: bool = False
    histograms: tuple[Histogram, ...] = ()

    @property
    def decimals(self) -> tuple[int, ...]:
        """How many each measure is written with, so that a column reads alike."""
        columns = zip(*(row.values for row in self.rows if row.values), strict=True)
        return tuple(_decimals([v for v in column if v is not None]) for column in columns)


@dataclass(frozen=True)
class CategoryMeasure:
    """One number of each cell, `cells[category][segment]`, None where it is not told.

    `noise` is how far it is off in 95 of 100 cases; `clipped` counts amounts cut to their range.

    Attributes:
        name: of the number, for the table's head.
    """

    name: str
    cells: tuple[tuple[float | None, ...], ...]
    noise: float = 0.0
    clipped: int = 0

    def doubtful(self, value: float | None) -> bool:
        """Whether noise alone could look like this."""
        return value is not None and self.noise > 0 and abs(value) <= self.noise

    def depth(self, value: float | None) -> float:
        """The value's share of the largest."""
        largest = max((v for row in self.cells for v in row if v is not None), default=0.0)
        return max(0.0, value or 0.0) / largest if largest > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class CategoryTable:
    """The receiver's counts and sums by a partner's category, and by its own segment if any.

    `segment` is empty for a one-way table, `epsilon` 0 without noise.

    Attributes:
        categories: the partner's.
        segments: the receiver's.
        measures: counts first.
        minimum_group: fewest rows behind a number; 0 with noise.
    """

    partner: str
    category: str
    categories: tuple[str, ...]
    segment: str
    segments: tuple[str, ...]
    measures: tuple[CategoryMeasure, ...]
    epsilon: float
    minimum_group: int


OUTCOME = 2.0
"""A column worth more than this tells nearly every record's class: it is pointed at."""


@dataclass(frozen=True, kw_only=True)
class Valued:
    """What one column is worth: its information value, rounded to `step` if that is not 0.

    `chance` is about what a column without any worth would have, noise included. `drift` is the
    population stability index against the last job, None where there was none.
    """

    party: str
    column: str
    value: float
    step: float
    chance: float
    bins: int
    drift: float | None = None

    @property
    def shown(self) -> str:
        """As many digits as it is rounded to."""
        digits = 3 if self.step < 0.01 else 2 if self.step < 0.1 else 1
        return f"{self.value:.{digits}f}"

    @property
    def doubtful(self) -> bool:
        """Whether chance alone could look like this: it is often twice its mean."""
        return self.value <= max(2 * self.chance, self.step)

    @property
    def state(self) -> str:
        """`outcome` where it may be the outcome itself, `one_bin` where bins came to one, or ""."""
        if self.bins < 2:
            return "one_bin"
        return "outcome" if self.value > OUTCOME and not self.doubtful else ""


CUT = ("bins", "group", "monotone", "epsilon")
"""What two sections of one label may differ in, beside their columns."""


@dataclass(frozen=True, kw_only=True)
class Binning:
    """Columns in bins for one label; `epsilon` are (partner, noise of its counts, 0 for none).

    `apart` is of each of `CUT` by which other sections of the label cut otherwise what this one
    asks: none where there are no others.
    """

    label: str
    positives: int
    negatives: int
    epsilon: tuple[tuple[str, float], ...]
    columns: tuple[Valued, ...]
    apart: tuple[tuple[str, float], ...] = ()

    @property
    def apart_words(self) -> str:
        """What a terminal says beside the label, where other sections have it too."""
        said = dict(self.apart)
        found = [f"{said['bins']:g} bins"] if "bins" in said else []
        found += [f"bins of {said['group']:g} records"] if "group" in said else []
        found += ["monotone" if said["monotone"] else "not monotone"] if "monotone" in said else []
        if "epsilon" in said:
            found += [f"epsilon {said['epsilon']:g}" if said["epsilon"] else "exact"]
        return f" ({', '.join(found)})" if found else ""

    def of_state(self, state: str) -> tuple[str, ...]:
        """The columns, with their party, that are in it."""
        return tuple(f"{one.party}.{one.column}" for one in self.columns if one.state == state)

    def noise_words(self, line: Valued) -> str:
        """What a terminal says beside a value that has noise, "" of one that has none."""
        noise = dict(self.epsilon).get(line.party, 0.0)
        return f" (noise of epsilon {noise:g}; {line.chance:.3f} by chance alone)" if noise else ""


def _decimals(values: list[float]) -> int:
    """About four significant places of the largest; none where all are whole."""
    if all(value == round(value) for value in values):
        return 0
    largest = max(abs(value) for value in values)
    return 0 if largest >= 1e4 else 1 if largest >= 100 else 2 if largest >= 1 else 3
