"""Both parties' parts of boosted trees as files: versioned JSON, which nothing runs when read.

The label party's has its trees, the feature party's the splits that it has won; each has its own
bins. To score rows a feature party tells the sides of its splits, a bit each: whoever passes them
on decides who learns them. Sides of several partners stand one's after the other's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from federated.evaluation import Interval, auc_difference
from federated.trees.binning import Binning
from federated.trees.forest import Forest
from federated.trees.plan import MOST_PARTNERS
from federated.trees.results import FeatureTrees, LabelTrees, PartnerSplit
from psi.protocol import MisuseError

__all__ = ["FeatureModel", "LabelModel", "added", "loaded", "saved"]

FORMAT, VERSION = "fedprofile trees", 1
_TRAINING = 32

Floats = NDArray[np.float64]
Sides = NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class FeatureModel:
    """A feature party's part.

    training: its name; binning: of this party's columns; splits: that it won, by number.
    """

    training: bytes
    binning: Binning
    splits: tuple[PartnerSplit, ...]

    @classmethod
    def of(cls, fit: FeatureTrees, binning: Binning) -> FeatureModel:
        """From what its role ended with."""
        return cls(fit.training, binning, fit.splits)

    def sides(self, table: pa.Table) -> Sides:
        """`bool[splits, rows]`: whether each row goes right. Raises as `Binning.transform`."""
        bins = self.binning.transform(table)
        found = np.zeros((len(self.splits), table.num_rows), np.bool_)
        for at, split in enumerate(self.splits):
            found[at] = ~split.left[bins[split.column]]
        return found

    def words(self) -> list[str]:
        """What goes left by each split. For this party's own eyes."""
        return [self.binning.words(split.column, split.left) for split in self.splits]

    def to_bytes(self) -> bytes:
        """Versioned JSON. It holds edges and names of categories."""
        splits = [[split.column, *np.flatnonzero(split.left).tolist()] for split in self.splits]
        return saved("feature", self.training, self.binning, {"splits": splits})

    @classmethod
    def from_bytes(cls, data: bytes) -> FeatureModel:
        """What `to_bytes` wrote. Raises `MisuseError` for anything else, or another version."""
        training, binning, rest = loaded("feature", data, ("splits",))
        columns = binning.layout.columns
        try:
            splits = []
            for column, *cells in rest["splits"]:
                left = np.zeros(columns[column].cells if column >= 0 else 0, np.bool_)
                left[np.array(cells, np.int64)] = True
                splits.append(PartnerSplit(int(column), left))
        except (TypeError, ValueError, IndexError):
            raise MisuseError("saved splits of columns that there are not") from None
        return cls(training, binning, tuple(splits))


@dataclass(frozen=True, repr=False)
class LabelModel:
    """The label party's part.

    training: of each partner the name that its part has, 32 bytes, one after the other; binning: of
    this party's columns; forest: its trees.
    """

    training: bytes
    binning: Binning
    forest: Forest

    @classmethod
    def of(cls, fit: LabelTrees, binning: Binning) -> LabelModel:
        """From what its role ended with."""
        return cls(fit.training, binning, fit.forest)

    def scores(self, table: pa.Table, sides: Sides | None = None) -> Floats:
        """`float64[rows]`: log odds, from own columns and the partner's sides of the same rows.

        Raises:
            InputError: values that are not finite numbers in a column of numbers.
            MisuseError: sides of another number of splits or rows.
        """
        return self.forest.scores(self.binning.transform(table), sides)

    def predict(self, table: pa.Table, sides: Sides | None = None) -> Floats:
        """`float64[rows]`: chances. Raises as `scores`."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.scores(table, sides))))

    @property
    def trainings(self) -> tuple[bytes, ...]:
        """Of each partner the name that its part has too."""
        starts = range(0, len(self.training), _TRAINING)
        return tuple(self.training[at : at + _TRAINING] for at in starts)

    @property
    def names(self) -> tuple[str, ...]:
        """Of what `reasons` and `importance` speak: own columns, each partner's data at last."""
        return self._named([str(number) for number in range(1, self.forest.partners + 1)])

    def _named(self, partners: Sequence[str]) -> tuple[str, ...]:
        theirs = [f"partner data of {name}" for name in partners]
        if len(theirs) == 1:
            theirs = ["partner data"]
        return (*(each.name for each in self.binning.columns), *theirs)

    def importance(self, partners: Sequence[str] = ()) -> dict[str, float]:
        """What the splits of each own column have gained, and all of each partner's together.

        partners: what these are called; empty: by their numbers.
        """
        names = self._named(partners) if partners else self.names
        return dict(zip(names, self.forest.importance().tolist(), strict=True))

    def reasons(self, table: pa.Table, sides: Sides | None = None) -> Floats:
        """`float64[rows, names]`: by how much each moves a row's score. Raises as `scores`."""
        return self.forest.contributions(self.binning.transform(table), sides)

    def added(
        self, table: pa.Table, label: NDArray[np.int8], sides: Sides | None = None
    ) -> tuple[Interval, ...]:
        """Of each partner how much AUC what its splits move brings to these trees' scores.

        Of rows on which no tree was grown, by DeLong's interval. It is taken out of these trees:
        trees grown without a partner would have other splits in place of its own, so that it is
        worth less where other columns say the same.

        Args:
            table, sides: as of `scores`.
            label: `[rows]`, 1 and 0, -1 where there is none.

        Raises as `scores` and `federated.evaluation.roc_curve`.
        """
        moved = self.reasons(table, sides)[:, -self.forest.partners :]
        return added(label, self.scores(table, sides), moved)

    def fits(self, other: FeatureModel, partner: int = 0) -> None:
        """Raise `MisuseError` unless the other part is of the same training, and that partner's."""
        known = self.trainings[partner] == other.training
        if not known or len(other.splits) != self.forest.splits_of[partner]:
            raise MisuseError("parts of trees of two different trainings")

    def to_bytes(self) -> bytes:
        """Versioned JSON. It holds edges and names of categories."""
        return saved("label", self.training, self.binning, self.forest.plain())

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelModel:
        """What `to_bytes` wrote. Raises `MisuseError` for anything else, or another version."""
        training, binning, rest = loaded("label", data, ("base", "trees"))
        partners = len(training) // _TRAINING
        return cls(training, binning, Forest.of(rest, binning.layout, partners))


def saved(part: str, training: bytes, binning: Binning, rest: Mapping[str, Any]) -> bytes:
    """The file of a part, by the training's name, the own bins and what else the part has."""
    head = {"format": FORMAT, "version": VERSION, "part": part, "training": training.hex()}
    whole = {**head, "bins": binning.as_dict(), **rest}
    return json.dumps(whole, indent=1, allow_nan=False).encode("utf-8")


def added(label: NDArray[np.int8], score: Floats, moved: Floats) -> tuple[Interval, ...]:
    """Of each column of `moved`, `float64[rows, columns]`, the AUC that it brings to a `score`.

    Rows whose `label` is -1 do not count.
    """
    held = np.asarray(label) >= 0
    rest = score[held, None] - moved[held]
    return tuple(auc_difference(label[held], score[held], each) for each in rest.T)


def loaded(part: str, data: bytes, names: Sequence[str]) -> tuple[bytes, Binning, dict[str, Any]]:
    """The training's name (a label party's of each partner), bins, and the rest, by these names.

    Raises `MisuseError` for anything that is no file of such a part, or of another version.
    """
    try:
        whole = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise MisuseError("this is no file of trees") from None
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise MisuseError("this is no file of trees")
    if whole.get("version") != VERSION:
        raise MisuseError(f"trees saved by another version; allowed: {VERSION}")
    if whole.get("part") != part:
        raise MisuseError(f"a file of trees that is not the {part} party's part")
    if set(whole) != {"format", "version", "part", "training", "bins", *names}:
        raise MisuseError("this is no file of trees")
    try:
        training = bytes.fromhex(whole["training"])
    except (TypeError, ValueError):
        raise MisuseError("this is no file of trees") from None
    several = range(1, (MOST_PARTNERS if part == "label" else 1) + 1)
    if len(training) not in [_TRAINING * partners for partners in several]:
        raise MisuseError("this is no file of trees")
    return training, Binning.from_dict(whole["bins"]), {name: whole[name] for name in names}
