"""A label party's own part of a model with the encoding it needs, to keep and to score rows by.

The partners' parts stay at the partners, so a score of these columns alone lacks theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from federated.binning import EvidenceEncoder
from federated.models import CARD, MODELS, Model, Part, load_part, save_part
from federated.tables.encoding import Encoder
from psi.protocol import MisuseError

__all__ = ["SavedModel"]


@dataclass(frozen=True)
class SavedModel:
    """What a label party keeps of a fit.

    Args:
        task: the training's name.
        model: what `part` is a part of.
        part: over the encoded columns of the label party.
        encoder: how its table becomes these columns.
    """

    task: str
    model: Model
    part: Part
    encoder: Encoder | EvidenceEncoder

    def to_bytes(self) -> bytes:
        """Versioned JSON. It holds means and category names of the table."""
        about = {"task": self.task, "encoder": self.encoder.as_dict()}
        return save_part(self.model, self.part, about)

    @classmethod
    def from_bytes(cls, data: bytes) -> SavedModel:
        """What `to_bytes` wrote.

        Raises:
            MisuseError: anything else, or of another version.
        """
        model, part, about = load_part(data, {**MODELS, CARD.name: CARD})
        if set(about) != {"task", "encoder"} or not isinstance(about["task"], str):
            raise MisuseError("this is no saved model of a table's columns")
        coded = isinstance(about["encoder"], dict) and "evidence" in about["encoder"]
        kind = EvidenceEncoder if coded else Encoder
        encoder = kind.from_dict(about["encoder"])
        if len(encoder.names) != part.width:
            raise MisuseError("a saved model whose encoding has another number of columns")
        return cls(about["task"], model, part, encoder)

    def scores(self, table: pa.Table) -> np.ndarray:
        """`float64[rows]`: what these columns add to each row's score, and the intercept.

        Raises:
            InputError: a value that is no finite number in a column of numbers.
        """
        return self.part.scores(self.encoder.transform(table)[0])

    def predict(self, table: pa.Table) -> np.ndarray:
        """`float64[rows]`: predictions of these columns alone. Raises as `scores`."""
        return self.model.predict(self.scores(table))
