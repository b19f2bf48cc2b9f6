"""Model parts of two invented parties, made without a training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from federated.models import LinearPart
from federated.scoring.model_file import FEATURE, LABEL, TREES, Brought, Deviation, ModelPart
from federated.scoring.spread import Spread
from federated.tables.encoding import Encoder
from federated.trees import Binning, FeatureModel, LabelModel
from federated.trees.forest import OWN, PARTNER, Forest, Tree
from federated.trees.results import PartnerSplit

ROWS = 400


def table(seed: int = 1, rows: int = ROWS) -> pa.Table:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows)).round(4)
    return pa.table({"a": a, "b": b, "c": rng.choice(["x", "y", "z"], rows)})


BANK = Brought("bank", "bank.t", (("id",),), (("text",),), ("a", "c"))
BUREAU = Brought("bureau", "bureau.t", (("id",),), (("text",),), ("b", "c"))


def part(name: str = "00" * 8, side: str = LABEL, **more: Any) -> ModelPart:
    """A regression's part."""
    me = BANK if side == LABEL else BUREAU
    encoder = Encoder.fit(table(), me.features)
    weights = np.linspace(-1, 1, len(encoder.names)) / 3
    base = ModelPart(
        id=name,
        task="churn",
        model="logistic",
        side=side,
        party=me.party,
        receiver="bank",
        partners=("bureau",),
        brought=(BANK, BUREAU),
        contract="ab" * 32,
        run="cd" * 32,
        made=1_700_000_000,
        job="j",
        purpose="p",
        purpose_class="",
        entity="consumer",
        types=dict(zip(me.features, ("number", "category"), strict=True)),
        told=5,
        spread=Spread.of_training(table(), list(me.features), None),
        card={"rows": ROWS},
        salt="ef" * 32,
        encoder=encoder,
        linear=LinearPart(weights, 0.25 if side == LABEL else 0.0),
        of_part=Deviation(0.1, 0.4) if side == FEATURE else Deviation(0.0, 0.0),
    )
    return replace(base, **more)


def trees(side: str) -> ModelPart:
    """Two trees of two levels: the root of the first and a child of both are the partner's."""
    base = part(side=side, model=TREES, told=3, encoder=None, linear=None)
    me = BANK if side == LABEL else BUREAU
    binning = Binning.fit(table(), me.features)
    name = bytes(range(32))
    if side == FEATURE:
        lefts = [binning.layout.split(number) for number in (3, 9, 5)]
        splits = tuple(PartnerSplit(column, left) for column, left in lefts)
        return replace(base, trees=FeatureModel(name, binning, splits))
    value = np.arange(7) / 8
    first = Tree(
        kind=np.array([PARTNER, OWN, PARTNER, 0, 0, 0, 0], np.int8),
        split=np.array([0, 4, 1, -1, -1, -1, -1], np.int32),
        value=value,
        gain=np.ones(7),
    )
    second = Tree(
        kind=np.array([OWN, 0, PARTNER, 0, 0, 0, 0], np.int8),
        split=np.array([7, -1, 2, -1, -1, -1, -1], np.int32),
        value=-(value**2),
        gain=np.ones(7),
    )
    forest = Forest(0.5, (first, second), binning.layout)
    return replace(base, trees=LabelModel(name, binning, forest))
