"""One party's part of a trained model as a file: versioned JSON, which nothing runs when read.

A model is named by 16 hexadecimal digits that follow from the contract of its training and the
task, so both parties call it the same. The file says where it came from, which columns of which
types it takes, how these become numbers or bins, and what the party alone knows of the result: its
coefficients or splits, in what steps a partner tells its part, how rows were spread in training.
No row is in it. Its hash goes into contracts; as the file holds 32 random bytes, the hash tells a
partner nothing that could be guessed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from federated.binning import EvidenceEncoder, PointScale
from federated.hidden_trees import HiddenFeatureModel, HiddenLabelModel
from federated.models import BOOSTED, CARD, MODELS, LinearPart, Model
from federated.scoring.fixed import fixed_scores, shift_of
from federated.scoring.spread import Spread
from federated.tables.encoding import Encoder
from federated.tables.inferred import refuse_unclear
from federated.tables.matrix import numeric_matrix
from federated.trees import FeatureModel, LabelModel
from psi.protocol import MisuseError, Refused

__all__ = ["FEATURE", "LABEL", "TREES", "Brought", "Deviation", "ModelPart", "is_id", "model_id"]

FORMAT, VERSION = "fedprofile model part", 1
LABEL, FEATURE = "label", "feature"
"""The side of whoever has the label, and of the others."""
TREES = BOOSTED.name
SALT = 32
_HEX = frozenset("0123456789abcdef")
_DIGITS = 16


def model_id(contract: bytes, task: str) -> str:
    """The name of the model that a contract's task made: 16 hexadecimal digits."""
    drawn = hashlib.blake2s(contract + task.encode(), digest_size=8, person=b"modelid1")
    return drawn.hexdigest()


def is_id(name: str) -> bool:
    """Whether it is written as a model's name is."""
    return len(name) == _DIGITS and set(name) <= _HEX


@dataclass(frozen=True)
class Brought:
    """What a party brought: its table, the columns that name a row, kinds of keys, features."""

    party: str
    table: str
    keys: tuple[tuple[str, ...], ...]
    kinds: tuple[tuple[str, ...], ...]
    features: tuple[str, ...]


@dataclass(frozen=True)
class Deviation:
    """Mean and standard deviation of a party's part of the score, over the rows it was told of."""

    mean: float
    deviation: float


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelPart:
    """A part, with where it came from.

    `contract` and `run` name the training's contract and session, `made` is in seconds since 1970.
    `types` says of each of this party's columns whether it is a number or a category. A regression
    has `encoder`, `linear`, and in `of_part` how its part was spread; trees have `trees`. `told` is
    what training told of a row: `score_bits`, of trees that tell sides the levels with a partner's
    splits.
    `spread` says how columns and scores lay in training, `card` what a model card says.
    """

    id: str
    task: str
    model: str
    side: str
    party: str
    receiver: str
    partners: tuple[str, ...]
    brought: tuple[Brought, ...]
    contract: str
    run: str
    made: int
    job: str
    purpose: str
    purpose_class: str
    entity: str
    types: Mapping[str, str]
    told: int
    spread: Spread
    card: Mapping[str, Any]
    salt: str
    align: Mapping[str, Any] = field(default_factory=dict)
    encoder: Encoder | EvidenceEncoder | None = None
    linear: LinearPart | None = None
    of_part: Deviation = Deviation(0.0, 0.0)
    trees: FeatureModel | LabelModel | HiddenFeatureModel | HiddenLabelModel | None = None

    def __repr__(self) -> str:
        return f"<{self.side} part of model {self.id}>"

    @property
    def boosted(self) -> bool:
        """Whether it is of trees."""
        return self.model == TREES

    @property
    def hidden(self) -> bool:
        """Whether it is of trees that told no row's side, only scores in steps."""
        return isinstance(self.trees, HiddenFeatureModel | HiddenLabelModel)

    @property
    def answers(self) -> Model:
        """How its scores are read."""
        return {**MODELS, TREES: BOOSTED, CARD.name: CARD}[self.model]

    @property
    def scale(self) -> PointScale | None:
        """How a scorecard's points are made of log odds; None of any other model."""
        if self.model != CARD.name:
            return None
        return PointScale(*(self.card[name] for name in ("points", "odds", "double", "high")))

    @property
    def features(self) -> tuple[str, ...]:
        """This party's columns."""
        return self.of(self.party).features

    def of(self, party: str) -> Brought:
        """What a party brought. Raises `MisuseError` where it had no part."""
        found = next((each for each in self.brought if each.party == party), None)
        if found is None:
            raise MisuseError(f"model {self.id} has no part of {party}")
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of the file, hexadecimal: what contracts name."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def shift(self, score_bits: int) -> int:
        """How wide the steps are in which a partner's part is told: a power of two of 2^-30."""
        return shift_of(self.of_part.deviation, score_bits)

    def check_columns(self, table: pa.Table, where: str) -> None:
        """Look for the columns, each of the type that was trained on and of values it takes.

        Raises:
            Refused: a column that is missing, or of another type.
            InputError: a value that is no finite number in a column of numbers.
        """
        for name, kind in self.types.items():
            if name not in table.column_names:
                raise Refused(
                    f"{where}: column {name!r} is missing, model {self.id} of '{self.task}' takes "
                    f"{len(self.types)} columns",
                    hint="score tables that have the columns of the training",
                )
            found = refuse_unclear(table, name, where).kind
            if found != kind:
                raise Refused(
                    f"{where}: column {name!r} is a {found}, model {self.id} of '{self.task}' was "
                    f"trained on it as a {kind}",
                    hint="types in tables.toml say what a column is",
                )
            if kind == "number":
                numeric_matrix(table, [name], where=where)

    def fixed(self, table: pa.Table) -> NDArray[np.int64]:
        """This party's part of each row's score, in units of 2^-30; of a regression.

        Raises:
            InputError: a value that is no finite number in a column of numbers.
        """
        if self.encoder is None or self.linear is None:
            raise MisuseError(f"model {self.id} has trees and no coefficients")
        matrix, _ = self.encoder.transform(table)
        return fixed_scores(matrix, self.linear.coefficients, self.linear.intercept)

    def to_bytes(self) -> bytes:
        """The file: versioned JSON."""
        about = {name: getattr(self, name) for name in _ABOUT}
        whole = {
            "format": FORMAT,
            "version": VERSION,
            **about,
            "partners": list(self.partners),
            "brought": [asdict(each) for each in self.brought],
            "types": dict(self.types),
            "align": dict(self.align),
            "card": dict(self.card),
            "spread": self.spread.plain(),
            "part": self._plain(),
        }
        return json.dumps(whole, indent=1, allow_nan=False).encode("utf-8")

    def _plain(self) -> dict[str, Any]:
        if self.trees is not None:
            found: dict[str, Any] = json.loads(self.trees.to_bytes())
            return found
        assert self.encoder is not None  # noqa: S101  a regression has both
        assert self.linear is not None  # noqa: S101
        return {
            "encoder": self.encoder.as_dict(),
            **self.linear.plain(),
            **asdict(self.of_part),
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> ModelPart:
        """What `to_bytes` wrote. Raises `MisuseError` for anything else, or another version."""
        whole = _read(data)
        try:
            about = {name: _typed(whole[name], kind) for name, kind in _KINDS.items()}
            brought = tuple(_brought(each) for each in whole["brought"])
            made = cls(
                **about,
                partners=tuple(str(name) for name in whole["partners"]),
                brought=brought,
                types={str(k): str(v) for k, v in whole["types"].items()},
                align=dict(whole["align"]),
                card=dict(whole["card"]),
                spread=Spread.of(whole["spread"]),
            )
            return _with_part(made, whole["part"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise MisuseError("this is no file of a model's part") from None


_ABOUT = (
    "id", "task", "model", "side", "party", "receiver", "contract", "run", "made", "job",
    "purpose", "purpose_class", "entity", "told", "salt",
)  # fmt: skip
_KINDS = {name: int if name in ("made", "told") else str for name in _ABOUT}


def _read(data: bytes) -> dict[str, Any]:
    try:
        whole = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise MisuseError("this is no file of a model's part") from None
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise MisuseError("this is no file of a model's part")
    found = whole.get("version")
    if found != VERSION:
        raise MisuseError(
            f"a model's part of version {found if type(found) is int else 'unknown'} found, "
            f"{VERSION} is read here",
            hint="read it with the version of this software that wrote it, or train again",
        )
    return whole


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


def _brought(plain: Mapping[str, Any]) -> Brought:
    def levels(name: str) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(str(one) for one in level) for level in plain[name])

    features = tuple(str(one) for one in plain["features"])
    named = str(plain["party"]), str(plain["table"])
    return Brought(*named, levels("keys"), levels("kinds"), features)


def _with_part(made: ModelPart, plain: Mapping[str, Any]) -> ModelPart:
    if made.side not in (LABEL, FEATURE) or made.model not in (*MODELS, TREES, CARD.name):
        raise MisuseError(f"a part of a model that this version has not, allowed: {[*MODELS]}")
    if made.boosted:
        text = json.dumps(plain).encode()
        kinds: tuple[Any, Any] = (LabelModel, FeatureModel)
        if str(plain.get("part", "")).startswith("hidden"):
            kinds = (HiddenLabelModel, HiddenFeatureModel)
        kind: Any = kinds[made.side == FEATURE]
        return replace(made, trees=kind.from_bytes(text))
    linear = LinearPart.of({key: plain[key] for key in ("coefficients", "intercept")})
    kind = EvidenceEncoder if made.model == CARD.name else Encoder
    encoder = kind.from_dict(plain["encoder"])
    if len(encoder.names) != linear.width:
        raise MisuseError("a part of a model whose encoding has another number of columns")
    spread = Deviation(float(plain["mean"]), float(plain["deviation"]))
    if not np.isfinite([spread.mean, spread.deviation]).all() or spread.deviation < 0:
        raise MisuseError("a part of a model with numbers that are not finite")
    return replace(made, encoder=encoder, linear=linear, of_part=spread)
