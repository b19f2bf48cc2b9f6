"""How the job that trained a model showed its results: its language and its segments.

A scoring shows its own in the same way, so that a customer who has not changed is in the segment
that the training put him into. What tells segments apart is kept as k-means left it: the encoding
of columns, their means and deviations, and the points of which the nearest takes a row. As beside a
job file, nothing is kept of segments of fewer than 20 rows.

    models/ID.outputs   sealed, beside the receiver's part of the model; contracts do not name it
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from federated.scoring.store import ModelStore
from federated.tables.encoding import Encoder, NumberColumn
from federated.tables.inferred import CATEGORY, NUMBER, refuse_unclear
from federated.text import plain
from profiles.job import Job
from profiles.kept_segments import LEAST_ROWS
from profiles.language import LANGUAGES
from profiles.segments import Segments, nearest, standardised
from psi.protocol import FedprofileError, InputError

__all__ = ["NONE_KEPT", "KeptCut", "ModelOutputs", "OneCut", "segments_of_models"]

FORMAT, VERSION = "fedprofile model outputs", 1
_NOTE = "outputs"
NONE_KEPT = "Segments are made anew and are not those of the model's training, which kept none."
"""What a scoring says whose model has none: it is of an earlier version, or all were small."""


@dataclass(frozen=True)
class OneCut:
    """One segment: `point` float[encoded columns], in deviations from the mean of the training."""

    number: int
    name: str
    point: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class KeptCut:
    """What tells segments apart. `mean` and `scale` are of encoded columns, a scale of 0 of a
    constant one; `segments` have rising numbers."""

    encoder: Encoder
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    segments: tuple[OneCut, ...]

    @classmethod
    def of(cls, found: Segments, encoder: Encoder) -> KeptCut | None:
        """What a training's segments leave; None where all of them are small."""
        each = zip(found.numbers, found.descriptions, found.points, found.sizes, strict=True)
        kept = [
            OneCut(number, name, tuple(point.tolist()))
            for number, name, point, size in each
            if size >= LEAST_ROWS
        ]
        if not kept:
            return None
        mean, scale = (tuple(side.tolist()) for side in (found.mean, found.scale))
        return cls(encoder=encoder, mean=mean, scale=scale, segments=tuple(kept))

    def fits(self, table: pa.Table) -> bool:
        """Whether a table has the columns, each of the type that it had then."""
        kinds = {c.name: _kind(c) for c in self.encoder.columns}
        try:
            return kinds == {
                name: refuse_unclear(table.select([name]), name).kind for name in kinds
            }
        except (FedprofileError, KeyError):
            return False

    def cut(self, table: pa.Table) -> Segments:
        """The segment of each row; one that nobody is in is there too.

        Raises:
            InputError: a value that is no finite number in a column of numbers.
        """
        matrix, _ = self.encoder.transform(table)
        units = np.array(self.scale)
        scale = np.where(units > 0, units, np.inf)
        standard = standardised(matrix, np.array(self.mean), scale)
        points = np.array([one.point for one in self.segments])
        place = nearest(standard, points)
        sizes = np.bincount(place, minlength=len(points))
        numbers = tuple(one.number for one in self.segments)
        return Segments(
            number=np.array(numbers, np.int64)[place],
            descriptions=tuple(one.name for one in self.segments),
            sizes=tuple(sizes.tolist()),
            centres=points,
            given=numbers,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelOutputs:
    """`lang` is the language of the training's report, `titles` what it calls names, `cut` its
    segments, None where there are none that could be kept."""

    lang: str
    cut: KeptCut | None
    titles: Mapping[str, str] = field(default_factory=dict)

    def keep(self, store: ModelStore, models: Iterable[str]) -> None:
        """Keep it beside the parts of those of these models that are in the store.

        Raises:
            EnvironmentFailed: the store cannot be written.
        """
        for name in models:
            if store.has(name):
                store.write_note(name, _NOTE, self._bytes())

    @classmethod
    def read(cls, store: ModelStore, model: str) -> ModelOutputs | None:
        """What the training left; None where it left nothing, as those of earlier versions.

        Raises:
            InputError: it was altered, or another version has written it.
        """
        data = store.read_note(model, _NOTE)
        if data is None:
            return None
        try:
            whole = json.loads(data)
            if (whole["format"], whole["version"]) != (FORMAT, VERSION):
                raise ValueError(_NOTE)
            lang = str(whole["lang"])
            cut = None if whole["segments"] is None else _cut(whole["segments"])
            titles = {str(k): str(v) for k, v in dict(whole.get("titles", {})).items()}
            return cls(lang=lang if lang in LANGUAGES else LANGUAGES[0], cut=cut, titles=titles)
        except (ValueError, KeyError, TypeError, FedprofileError):
            raise InputError(
                f"{model}.{_NOTE} is of another version or cannot be read",
                hint="remove it: scorings by this model then make segments of their own",
            ) from None

    def _bytes(self) -> bytes:
        cut = None
        if self.cut is not None:
            cut = {
                "encoder": self.cut.encoder.as_dict(),
                "mean": self.cut.mean,
                "scale": self.cut.scale,
                "segments": [asdict(one) for one in self.cut.segments],
            }
        whole = {"format": FORMAT, "version": VERSION, "lang": self.lang, "segments": cut}
        whole |= {"titles": dict(self.titles)} if self.titles else {}
        return json.dumps(whole, indent=1, allow_nan=False).encode()


def _kind(column: Any) -> str:
    return NUMBER if isinstance(column, NumberColumn) else CATEGORY


def _cut(plain: dict[str, Any]) -> KeptCut:
    encoder = Encoder.from_dict(plain["encoder"])
    mean, scale = (tuple(map(float, plain[key])) for key in ("mean", "scale"))
    kept = tuple(
        OneCut(int(one["number"]), str(one["name"]), tuple(map(float, one["point"])))
        for one in plain["segments"]
    )
    widths = {len(mean), len(scale), *(len(one.point) for one in kept)}
    if not kept or widths != {len(encoder.names)}:
        raise ValueError(_NOTE)
    return KeptCut(encoder=encoder, mean=mean, scale=scale, segments=kept)


def segments_of_models(
    job: Job, store: ModelStore, table: pa.Table
) -> tuple[Segments | None, list[str]]:
    """The segments that the training of one of a scoring's models made, of these rows.

    Args:
        job: the scoring.
        store: the receiver's.
        table: the receiver's own columns, all rows.

    Returns: the segments, None where no model has any that fit; and then a sentence that says so.

    Raises:
        InputError: what is kept cannot be read, or a value that is no number.
    """
    if not job.scores:  # segments of a job without a model are nobody's but its own
        return None, []
    kept = [ModelOutputs.read(store, one.model) for one in job.scores]
    cuts = [one.cut for one in kept if one is not None and one.cut is not None]
    fitting = next((cut for cut in cuts if cut.fits(table)), None)
    if fitting is not None:
        return fitting.cut(table), []
    if not cuts:
        return None, [NONE_KEPT]
    columns = ", ".join(plain(column.name, 40) for column in cuts[0].encoder.columns)
    return None, [
        f"Segments are made anew and are not those of the model's training, which take these "
        f"columns of {job.party(job.receiver).table}, of the types that they had then: {columns}."
    ]
