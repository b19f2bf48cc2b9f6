"""How a kind of step runs at one party: what a new kind gives beside its terms."""

from __future__ import annotations

from abc import ABC, abstractmethod

import pyarrow as pa

from federated.contract.terms import Contract
from federated.steps.work import Work

__all__ = ["Step"]


class Step(ABC):
    """All steps of one kind in one job, at one party."""

    @staticmethod
    @abstractmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        """What these steps need of this party's table, looked at before it signs.

        Raises:
            InputError: names the column, and how many values are in the way.
            Refused: too few rows of a class.
        """

    @abstractmethod
    def __init__(self, work: Work) -> None:
        """At the start of the job."""

    @abstractmethod
    def run(self) -> None:
        """Each step in the contract's order; results go to `work.outcome`."""
