"""The segments of the last run, kept beside the job, so that numbers and names stay.

k-means cuts and numbers groups anew in every run. So centres of segments of at least 20 rows are
kept with numbers and names; the next run's centres are matched to them so that the sum of distances
is the least (SciPy's assignment; Kuhn, Naval Research Logistics 2, 1955). A match holds where a
centre moved less than half of the way to the nearest other one. What matches nothing gets a number
that was never given; what vanished keeps its own, and has it again if it comes back.

    NAME.segments.json   beside NAME.toml (0600): names of columns, means of 20 rows and more
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from federated.store.files import write_atomic
from psi.protocol.errors import FedprofileError, InputError

__all__ = ["LEAST_ROWS", "KeptSegment", "KeptSegments", "SegmentsFile", "kept_after"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

LEAST_ROWS = 20
_MOST = 200  # segments that are remembered, those of the last runs


@dataclass(frozen=True)
class KeptSegment:
    """One segment: its `centre` by column, in the column's own units."""

    number: int
    name: str
    centre: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class KeptSegments:
    """What a run leaves to the next one.

    Attributes:
        columns: names as `federated.tables.encoding` writes them.
        scale: the standard deviation of each, 0 of a constant one.
        number: the next that was never given.
        segments: the last run's first.
    """

    columns: tuple[str, ...]
    scale: tuple[float, ...]
    number: int
    segments: tuple[KeptSegment, ...]

    def numbers(
        self, columns: Sequence[str], centres: Floats
    ) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """The number and the name of each new segment; a name is "" where it is one never seen.

        Args:
            columns: of the new run; those that both have are compared, if they are half of all.
            centres: float64[segments, columns].
        """
        from scipy.optimize import linear_sum_assignment  # a node's plan reads jobs without SciPy

        mine = {name: place for place, name in enumerate(columns)}
        both = [
            place
            for place, name in enumerate(self.columns)
            if name in mine and self.scale[place] > 0
        ]
        fresh = tuple(range(self.number, self.number + len(centres))), ("",) * len(centres)
        if not self.segments or 2 * len(both) < sum(scale > 0 for scale in self.scale) or not both:
            return fresh
        scale = np.array(self.scale)[both]
        new = centres[:, [mine[self.columns[place]] for place in both]] / scale
        old = np.array([segment.centre for segment in self.segments])[:, both] / scale
        away = np.linalg.norm(new[:, None] - old, axis=2)
        near = np.linalg.norm(old[:, None] - old, axis=2)
        np.fill_diagonal(near, np.inf)
        reach = np.minimum(near.min(axis=1) / 2, np.sqrt(len(both)))
        # what is out of reach costs as much wherever it is, so that it draws no match away
        taken = linear_sum_assignment(np.where(away < reach, away, 1e3 * (1 + reach.max())))
        found = dict(zip(*(side.tolist() for side in taken), strict=True))
        numbers, names, following = list[int](), list[str](), self.number
        for place in range(len(centres)):
            match = found.get(place)
            if match is not None and away[place, match] < reach[match]:
                numbers.append(self.segments[match].number)
                names.append(self.segments[match].name)
            else:
                numbers.append(following)
                names.append("")
                following += 1
        return tuple(numbers), tuple(names)

    def starts(self, columns: Sequence[str], k: int) -> Floats | None:
        """`float64[k, columns]`, where k-means may begin: the last run's centres; None where they
        do not fit the new one."""
        if tuple(columns) != self.columns or len(self.segments) < k:
            return None
        return np.array([segment.centre for segment in self.segments[:k]], np.float64)


def kept_after(
    before: KeptSegments | None,
    columns: Sequence[str],
    scale: Floats,
    segments: Sequence[KeptSegment],
    sizes: Sequence[int],
) -> KeptSegments:
    """What a run leaves: its own segments of 20 rows and more, then those that it did not see."""
    seen = {segment.number for segment in segments}
    gone = () if before is None or before.columns != tuple(columns) else before.segments
    kept = [one for one, size in zip(segments, sizes, strict=True) if size >= LEAST_ROWS]
    kept += [one for one in gone if one.number not in seen]
    return KeptSegments(
        columns=tuple(columns),
        scale=tuple(scale.tolist()),
        number=max([0 if before is None else before.number - 1, *seen]) + 1,
        segments=tuple(kept[:_MOST]),
    )


class SegmentsFile:
    """The file, read when it is made, and what this run has seen.

    Raises:
        InputError: it was altered.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.before = _read(path)
        self.after: KeptSegments | None = None

    def note(self) -> bool:
        """The outputs are in place: the run's segments hold. False: the file cannot be written."""
        if self.after is None:
            return True
        try:
            write_atomic(self._path, json.dumps(asdict(self.after), indent=1) + "\n")
        except FedprofileError:
            return False
        return True


def _read(path: Path) -> KeptSegments | None:
    try:
        found = json.loads(path.read_text("utf-8"))
        lists = {key: tuple(found[key]) for key in ("columns", "scale")}
        kept = tuple(
            KeptSegment(int(one["number"]), str(one["name"]), tuple(map(float, one["centre"])))
            for one in found["segments"]
        )
        whole = KeptSegments(number=int(found["number"]), segments=kept, **lists)
        width = len(whole.columns)
        sound = all(len(one.centre) == width for one in kept)
        if not sound or len(whole.scale) != width or not np.isfinite(whole.scale).all():
            raise ValueError(path.name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{path.name} was altered or cannot be read",
            hint="restore it; without it segments are numbered anew",
        ) from None
    return whole
