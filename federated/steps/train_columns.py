"""Trainings over joined rows whose columns are at several parties, at one of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import pyarrow as pa

from federated.contract.kinds.kind import Kind
from federated.contract.terms import Contract, TrainTerms
from federated.steps.step import Step
from federated.steps.training import check_label
from federated.steps.work import Work

__all__ = ["TrainColumns"]


class TrainColumns(Step):
    """Each task is a step: the receiver holds its label, partners the other columns."""

    kind: ClassVar[Kind[TrainTerms]]

    def __init__(self, work: Work) -> None:
        self._work = work

    @classmethod
    def check(cls, contract: Contract, party: str, table: pa.Table) -> None:
        for train in cls.kind.terms(contract):
            if contract.receiver == party:
                check_label(contract, table, train, contract.party(party), cls.class_rows(train))

    @staticmethod
    @abstractmethod
    def class_rows(terms: TrainTerms) -> int:
        """The fewest rows of a class; 0: those that folds take."""

    def run(self) -> None:
        work = self._work
        for terms in self.kind.terms(work.contract):
            if work.receives:
                self._label_party(terms)
            elif work.session.name in terms.partners:
                self._feature_party(terms)

    @abstractmethod
    def _label_party(self, terms: TrainTerms) -> None:
        """At the receiver."""

    @abstractmethod
    def _feature_party(self, terms: TrainTerms) -> None:
        """At a partner."""
