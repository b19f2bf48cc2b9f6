"""Parts of a kept model for parties that are not there, so that a scoring can be rehearsed.

A part fits the rehearsing party's own in all that messages hang on: task, parties, columns, the
training's name, how many splits of a partner's there are and on how many levels. Its coefficients
and splits are made up. The rehearsing party does not know how its splits lie in the other's trees:
these are invented with as many levels as training told it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from federated.contract.terms import Contract, ScoreTerms
from federated.hidden_trees import HiddenFeatureModel, HiddenLabelModel
from federated.hidden_trees.plan import MOST_SCORE_BITS
from federated.models import CARD, LOGISTIC, LinearPart
from federated.scoring.model_file import FEATURE, LABEL, SALT, Brought, Deviation, ModelPart
from federated.scoring.spread import Spread
from federated.scoring.store import ModelStore
from federated.steps.score import stated_parts
from federated.tables.encoding import Encoder
from federated.trees import Binning, FeatureModel, Forest, LabelModel
from federated.trees.forest import OWN, PARTNER, Tree
from federated.trees.layout import Layout
from federated.trees.results import PartnerSplit
from psi.protocol import MisuseError

__all__ = ["Parts", "grown", "invented_part"]

Rng = np.random.Generator


@dataclass(frozen=True, repr=False)
class Parts:
    """By party its parts of the models that a contract scores by, in order."""

    mine: tuple[ModelPart, ...]
    found: dict[str, list[ModelPart]]

    @classmethod
    def of(cls, contract: Contract, me: str, table: pa.Table, folder: Path | None) -> Parts:
        """Of the rehearsing party, whose `table` it is: real ones, read from its folder of models.

        Raises:
            Refused: it has no such part, or one that the contract does not fit.
            MisuseError: the contract scores without this party; a part is of another version.
        """
        if not contract.score:
            return cls((), {})
        for terms in contract.score:
            if me not in (contract.receiver, *terms.partners):
                raise MisuseError(
                    f"scores of '{terms.task}', in which {me} has no part, are not rehearsed"
                )
        if folder is None:
            raise MisuseError("a scoring is rehearsed by parts of its models, none given")
        store = ModelStore(folder)
        stated_parts(contract, me, table, store)
        mine = tuple(store.read(terms.model) for terms in contract.score)
        return cls(mine, {me: list(mine)})

    def invent(self, contract: Contract, name: str, table: pa.Table, rng: Rng) -> None:
        """Of another party, with an invented table."""
        for mine, terms in zip(self.mine, contract.score, strict=True):
            if name in (contract.receiver, *terms.partners):
                part = invented_part(mine, terms, name, table, rng)
                self.found.setdefault(name, []).append(part)

    def write(self, name: str, folder: Path) -> Path | None:
        """Keep a party's parts in a folder of their own; None: it has none."""
        if name not in self.found:
            return None
        for part in self.found[name]:
            ModelStore(folder).write(part)
        return folder


def invented_part(
    mine: ModelPart, terms: ScoreTerms, name: str, table: pa.Table, rng: Rng
) -> ModelPart:
    """The part of the party `name`, whose columns are those of its invented `table`.

    `mine` is the rehearsing party's own part of the same model.
    """
    side = LABEL if name == mine.receiver else FEATURE
    chosen = {one.party: tuple(one.columns) for one in terms.features}
    columns = list(chosen.get(name, ()))
    brought = tuple(Brought(party, "", (), (), own) for party, own in chosen.items())
    part = replace(
        mine,
        model=LOGISTIC.name if mine.model == CARD.name else mine.model,
        side=side,
        party=name,
        brought=brought,
        types=dict.fromkeys(columns, "number"),
        spread=Spread.of_training(table, columns, None),
        card={"rows": table.num_rows},
        salt=secrets.token_hex(SALT),
        encoder=None,
        linear=None,
        trees=None,
    )
    if mine.trees is not None:
        trees = _trees(mine, terms, name, Binning.fit(table, columns), rng)
        return replace(part, trees=trees)
    encoder = Encoder.fit(table, columns)
    weights = rng.normal(size=len(encoder.names)) / 3
    scores = encoder.transform(table)[0] @ weights
    spread = Deviation(float(scores.mean()), float(scores.std())) if side == FEATURE else None
    return replace(
        part,
        encoder=encoder,
        linear=LinearPart(weights, 0.0),
        of_part=spread or Deviation(0.0, 0.0),
    )


def _trees(
    mine: ModelPart, terms: ScoreTerms, name: str, binning: Binning, rng: Rng
) -> LabelModel | FeatureModel | HiddenLabelModel | HiddenFeatureModel:
    """Of the party `name`; other partners than a rehearsing one have no splits."""
    assert mine.trees is not None  # noqa: S101  the caller has looked
    if isinstance(mine.trees, HiddenLabelModel | HiddenFeatureModel):
        return _hidden(mine.trees, binning, rng)
    if isinstance(mine.trees, LabelModel):
        at = terms.partners.index(name)
        wanted = rng.integers(0, binning.layout.candidates, mine.trees.forest.splits_of[at])
        found = [PartnerSplit(*binning.layout.split(int(one))) for one in wanted]
        return FeatureModel(mine.trees.trainings[at], binning, tuple(found))
    if name != mine.receiver:
        return FeatureModel(_named(name), binning, ())
    at, several = terms.partners.index(mine.party), len(terms.partners)
    trees = grown(len(mine.trees.splits), mine.told, binning.layout, rng, at)
    names = [mine.trees.training if n == mine.party else _named(n) for n in terms.partners]
    return LabelModel(b"".join(names), binning, Forest(0.0, trees, binning.layout, several))


def _named(party: str) -> bytes:
    """What stands for the training at an invented partner."""
    return hashlib.sha256(b"invented training at " + party.encode()).digest()


def _hidden(
    mine: HiddenLabelModel | HiddenFeatureModel, binning: Binning, rng: Rng
) -> HiddenLabelModel | HiddenFeatureModel:
    """Splits in the nodes that the rehearsing party does not split: whose they are both know."""
    drawn = rng.integers(0, binning.layout.candidates, mine.splits.shape)
    splits = np.where(mine.splits >= 0, -1, drawn)
    if isinstance(mine, HiddenLabelModel):
        return HiddenFeatureModel(mine.training, binning, splits)
    values = rng.integers(-(1 << 12), 1 << 12, (len(splits), splits.shape[1] + 1))
    return HiddenLabelModel(mine.training, binning, splits, values, 0.0, MOST_SCORE_BITS)


def grown(splits: int, levels: int, layout: Layout, rng: Rng, partner: int = 0) -> tuple[Tree, ...]:
    """Trees with so many splits of a partner's on so many levels: a tree a level, own splits above.

    Raises:
        MisuseError: there is no own column to split by.
    """
    if not layout.candidates:
        raise MisuseError("trees whose receiver has no column of its own are not rehearsed")
    trees, number, levels = list[Tree](), 0, min(levels, splits)
    for level in range(levels):
        count = splits // levels + (level < splits % levels)
        depth = (count - 1).bit_length()
        tree = Tree.empty(depth + 1)
        above, last = (1 << depth) - 1, (1 << depth) - 1 + count
        tree.kind[:above], tree.kind[above:last] = OWN, PARTNER + partner
        tree.split[:above] = rng.integers(0, layout.candidates, above)
        tree.split[above:last] = number + np.arange(count)
        tree.value[:] = rng.normal(size=len(tree.value)) / 10
        trees.append(tree)
        number += count
    return tuple(trees)
