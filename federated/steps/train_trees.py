"""Boosted trees that tell the label party its rows' sides of splits, at one of the parties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from federated.contract.kinds.train_trees import TrainTrees as Terms
from federated.contract.kinds.train_trees import check_sides, plan_of
from federated.contract.terms import Contract, TrainTerms
from federated.steps.kept_models import keep_feature_part, keep_label_part
from federated.steps.outcome import Boosted, Grown
from federated.steps.train_boosted import Brought, TrainBoosted
from federated.steps.training import split_in_time
from federated.tables.inferred import CATEGORY, refuse_unclear
from federated.trees import Binning, FeatureModel, FeatureParty, LabelModel, LabelParty
from psi.protocol import Context, Refused

__all__ = ["TrainTrees", "ways_of"]


class TrainTrees(TrainBoosted):
    """Each party keeps its part of the model."""

    kind = Terms()
    needs_own = False

    @classmethod
    def check(cls, contract: Contract, party: str, table: pa.Table) -> None:
        super().check(contract, party, table)
        where = contract.party(party).table
        for terms in cls.kind.terms(contract):
            for column in _ways(terms, party):
                if refuse_unclear(table, column, where).kind == CATEGORY:
                    raise _no_number(terms, party, column)
            if party == contract.receiver:
                found = int(np.count_nonzero(split_in_time(table, terms, where)[0] >= 0))
                check_sides(terms, found, f"{found:,} rows of {where} have a label")

    def _label_role(
        self,
        context: Context,
        terms: TrainTerms,
        brought: Brought,
        label: np.ndarray,
        valid: np.ndarray | None,
    ) -> LabelParty:
        return LabelParty(
            context,
            list(terms.partners),
            brought.bins,
            brought.binning.layout,
            label,
            plan=plan_of(self._work.contract, terms),
            valid=valid,
            ways=ways_of(terms, self._work.me.name, brought.binning),
            most=brought.most,
        )

    def _feature_role(self, context: Context, terms: TrainTerms, brought: Brought) -> FeatureParty:
        return FeatureParty(
            context,
            self._work.contract.receiver,
            brought.bins,
            brought.binning.layout,
            plan=plan_of(self._work.contract, terms),
            number=terms.partners.index(self._work.me.name),
            ways=ways_of(terms, self._work.me.name, brought.binning),
        )

    def _grown(self, trained: Boosted, fit: Any, table: pa.Table) -> Grown:
        grown = Grown(
            **vars(trained),
            trees=LabelModel.of(fit, trained.binning),
            told_levels=fit.told_levels,
            moved=fit.forest.moved(fit.places),
        )
        keep_label_part(self._work, grown, table)
        return grown

    def _won(self, terms: TrainTerms, fit: Any, brought: Brought) -> None:
        won = FeatureModel.of(fit, brought.binning)
        self._work.outcome.won[terms.task] = won
        card = {"columns": len(brought.binning.columns), "levels": fit.levels}
        keep_feature_part(self._work, terms, brought.table, card, trees=won)

    def _told(self, terms: TrainTerms, fit: Any) -> dict[str, int]:
        if len(terms.partners) > 1:  # no partner knows what the others told, and accounts agree
            return {}
        (told,) = fit.told_levels if isinstance(fit.told_levels, tuple) else (fit.told_levels,)
        return {"row_bits": told}


def ways_of(terms: TrainTerms, party: str, binning: Binning) -> list[int]:
    """Of each of a party's columns in bins 1 where scores may only rise, -1 where only fall, or 0.

    Raises `Refused` for one that is a category.
    """
    ways = _ways(terms, party)
    for column, each in zip(binning.layout.columns, binning.columns, strict=True):
        if each.name in ways and not column.ordered:
            raise _no_number(terms, party, each.name)
    return [ways.get(each.name, 0) for each in binning.columns]


def _ways(terms: TrainTerms, party: str) -> dict[str, int]:
    """Of a party's columns those with which scores may go one way only, and which."""
    both = (terms.rising, 1), (terms.falling, -1)
    return {
        c: way for going, way in both for one in going if one.party == party for c in one.columns
    }


def _no_number(terms: TrainTerms, party: str, column: str) -> Refused:
    key = "rising" if _ways(terms, party)[column] > 0 else "falling"
    return Refused(
        f"'{terms.task}' {key}: column '{party}.{column}' is a category, numbers allowed",
        hint="leave it out there, or say in tables.toml that it is a number (types)",
    )
