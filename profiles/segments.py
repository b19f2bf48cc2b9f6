"""Segments: groups of like entities, numbered and described so that people can talk of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from profiles.kept_segments import KeptSegment, KeptSegments, kept_after
from profiles.reasons import phrase
from psi.protocol.errors import InputError, MisuseError

__all__ = ["Segments", "nearest", "segments", "standardised"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_SAMPLE = 25_000  # centres move no further with more rows, the time does
_SPOKEN = 0.35  # a centre nearer to the average than this, in deviations, is not worth a word
_RARE = 0.15  # an indicator is named where its share is this far from that of all rows
_FEATURES = 3
_FAR = (
    4.0  # a row further out, in deviations, is grouped as one there: else it is a group of its own
)
_SMALL = 0.01  # of all rows: a smaller group goes into the nearest
_NO_WORSE = 1.02  # of squared distances: to stay with earlier segments is worth as much


@dataclass(frozen=True, kw_only=True)
class Segments:
    """Segment 1 is `number == 1`, and so on; lower numbers come first in reports.

    `number` int64[rows] from 1; `descriptions` and `sizes` one a segment; `centres`
    float64[segments, d] in standard deviations from the mean of all rows; `given` the segments'
    numbers, rising, where they are others than 1, 2, … since an earlier run gave them; `kept` what
    the next run may go on from. `points` float64[segments, d] are those of which the nearest takes
    a row, `mean` and `scale` float64[d] what rows are brought to before, a scale of 0 of a constant
    column; empty where another run has cut.
    """

    number: Ints
    descriptions: tuple[str, ...]
    sizes: tuple[int, ...]
    centres: Floats
    given: tuple[int, ...] = ()
    kept: KeptSegments | None = None
    points: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    mean: Floats = field(default_factory=lambda: np.zeros(0))
    scale: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def numbers(self) -> tuple[int, ...]:
        """One a segment."""
        return self.given or tuple(range(1, len(self.sizes) + 1))

    @property
    def names(self) -> tuple[str, ...]:
        """ "segment 1", "segment 2", …"""
        return tuple(f"segment {number}" for number in self.numbers)

    @property
    def place(self) -> Ints:
        """`int64[rows]`: each row's place among the segments, from 0."""
        return np.asarray(np.searchsorted(self.numbers, self.number), np.int64)

    def of(self, rows: Ints) -> Segments:
        """The same segments of these rows alone."""
        counts = np.bincount(self.place[rows], minlength=len(self.sizes)).tolist()
        return replace(self, number=self.number[rows], sizes=tuple(counts))


def segments(
    matrix: Floats,
    k: int,
    seed: int,
    names: Sequence[str] | None = None,
    *,
    score: Floats | None = None,
    words: Mapping[str, str] | None = None,
    before: KeptSegments | None = None,
) -> Segments:
    """k-means on standardised columns; the same input and seed give the same segments.

    With `before` a segment that was there in an earlier run has the number and the name that it had
    then; k-means begins from those segments too, and stays with that where it is no worse.

    Args:
        matrix: float64[rows, d]; a NaN counts as the column's mean.
        k: at most so many segments; fewer if fewer rows differ, or one would hold less than a
            hundredth of them.
        seed: drives the start of k-means and the sample of a table above 25,000 rows.
        names: d names as `federated.tables.encoding` writes them, for the descriptions.
        score: float64[rows]; segments are then numbered by falling mean score (NaN ignored)
            instead of by size.
        words: source column to what people call it.
        before: what an earlier run has left.

    Raises:
        InputError: no rows or no columns.
        MisuseError: shapes that do not fit, k below 1.
    """
    matrix = np.asarray(matrix, np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise InputError("segments need at least one row and one column")
    rows, width = matrix.shape
    names = [f"column {place}" for place in range(1, width + 1)] if names is None else names
    if k < 1 or len(names) != width or (score is not None and score.shape != (rows,)):
        raise MisuseError(f"found k = {k}, {len(names)} names, {width} columns, {rows} rows")
    overall, scale = _spread(matrix)
    standard = standardised(matrix, overall, scale)
    start = None if before is None else before.starts(names, k)
    if start is not None:
        start = (start - overall) / scale
    code, points = _cluster(standard, k, seed, start)
    order = _order(code, score)
    number = np.argsort(order)[code]
    sizes = np.bincount(number)
    centres = np.stack([standard[number == s].mean(axis=0) for s in range(len(sizes))])
    told = []
    for place, centre in enumerate(centres):
        inside = matrix[number == place]
        told.append(_describe(inside, centre, overall, names, words))
    found = Segments(
        number=number + 1,
        descriptions=tuple(told),
        sizes=tuple(int(size) for size in sizes),
        centres=centres,
    )
    return _numbered(found, points[order], names, overall, scale, before)


def _numbered(
    found: Segments,
    points: Floats,
    names: Sequence[str],
    mean: Floats,
    scale: Floats,
    before: KeptSegments | None,
) -> Segments:
    """The segments with the numbers and names that they had before, and what is kept of them."""
    units = np.where(np.isfinite(scale), scale, 0.0)
    own = mean + found.centres * units
    numbers, told = found.numbers, found.descriptions
    if before is not None:
        numbers, called = before.numbers(names, own)
        told = tuple(old or new for old, new in zip(called, told, strict=True))
    here = [
        KeptSegment(number, name, tuple(float(f"{value:.9g}") for value in centre))
        for number, name, centre in zip(numbers, told, own, strict=True)
    ]
    order = np.argsort(numbers)
    return Segments(
        number=np.array(numbers, np.int64)[found.number - 1],
        descriptions=tuple(told[place] for place in order),
        sizes=tuple(found.sizes[place] for place in order),
        centres=found.centres[order],
        given=tuple(numbers[place] for place in order),
        kept=kept_after(before, names, units, here, found.sizes),
        points=points[order],
        mean=mean,
        scale=units,
    )


def _spread(matrix: Floats) -> tuple[Floats, Floats]:
    """Means and deviations of columns, these infinite of constant ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of NaN only
        mean, deviation = np.nanmean(matrix, axis=0), np.nanstd(matrix, axis=0)
    mean = np.nan_to_num(mean)
    return mean, np.where(np.nan_to_num(deviation) > 1e-12, np.nan_to_num(deviation), np.inf)


def standardised(matrix: Floats, mean: Floats, scale: Floats) -> Floats:
    """`float64[rows, d]` in deviations from the mean, NaN as the mean; one copy: of a million rows
    half a gigabyte."""
    found = matrix - mean
    found /= scale
    return np.nan_to_num(found, copy=False)


def nearest(standard: Floats, points: Floats) -> Ints:
    """`int64[rows]`: the place of the point that takes each row, as k-means measures."""
    near = np.clip(standard, -_FAR, _FAR)
    away = np.square(points).sum(axis=1) - 2.0 * (near @ points.T)
    return np.asarray(away.argmin(axis=1), np.int64)


def _cluster(
    standard: Floats, k: int, seed: int, start: Floats | None = None
) -> tuple[Ints, Floats]:
    """Cluster codes as k-means gives them, only those in use, and their points."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    rows = len(standard)
    standard = np.clip(standard, -_FAR, _FAR)
    sample = standard
    if rows > _SAMPLE:
        draw = np.argsort(np.random.PCG64(seed).random_raw(rows), kind="stable")[:_SAMPLE]
        sample = standard[np.sort(draw)]
    model = KMeans(n_clusters=min(k, len(sample)), n_init=4, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than k
        model.fit(sample)
        if start is not None and len(start) == model.n_clusters:
            again = KMeans(n_clusters=len(start), init=start, n_init=1).fit(sample)
            if again.inertia_ <= _NO_WORSE * model.inertia_:
                model = again
    distances = model.transform(standard)
    code = distances.argmin(axis=1)
    while True:
        sizes = np.bincount(code, minlength=distances.shape[1])
        small = np.flatnonzero((sizes > 0) & (sizes < _SMALL * rows))
        if not len(small):
            break
        least = small[np.argmin(sizes[small])]
        distances[:, least] = np.inf
        code[code == least] = distances[code == least].argmin(axis=1)
    used, code = np.unique(code, return_inverse=True)
    return np.asarray(code, np.int64), np.asarray(model.cluster_centers_, np.float64)[used]


def _order(code: Ints, score: Floats | None) -> Ints:
    """Clusters by falling mean score or size; ties by their first row."""
    count = np.bincount(code)
    _, first = np.unique(code, return_index=True)
    weight = count.astype(np.float64)
    if score is not None:
        known = np.isfinite(score)
        held = np.bincount(code[known], minlength=len(count))
        total = np.bincount(code[known], score[known], minlength=len(count))
        weight = np.where(held > 0, total / np.maximum(held, 1), -np.inf)
    return np.lexsort((first, -np.round(weight, 9)))


def _describe(
    inside: Floats,
    centre: Floats,
    overall: Floats,
    names: Sequence[str],
    words: Mapping[str, str] | None,
) -> str:
    """The columns that set a segment most apart from the rest, in words."""
    said: list[str] = []
    sources: set[str] = set()
    for column in np.argsort(-np.abs(centre), kind="stable"):
        if len(said) == _FEATURES or abs(centre[column]) < _SPOKEN:
            break
        name = names[column]
        source = name.partition("=")[0].rpartition(":")[0] or name.partition("=")[0]
        if source in sources:
            continue
        if _indicator(name):
            share = float(np.nanmean(inside[:, column]))
            if abs(share - overall[column]) < _RARE:
                continue
            mostly = "" if share in (0.0, 1.0) else "mostly "
            said.append(mostly + phrase(name, 1.0 if share > overall[column] else 0.0, words))
        else:
            # a group's mean varies less than a row, so the words begin nearer to the average
            said.append(phrase(name, float(centre[column]) * 1.5, words))
        sources.add(source)
    return ", ".join(said) or "close to the average in everything"


def _indicator(name: str) -> bool:
    return "=" in name or name.rpartition(":")[2] in ("missing", "other")
