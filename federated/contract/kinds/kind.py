"""What a kind of step says of itself, from a contract alone.

A kind is two files: here its terms and all that follows from them, in `federated.steps` how it
runs. Whoever needs something of every step (the contract's check, disclosures, an officer's words,
budgets, byte limits, policy, the plan's estimate) goes through `KINDS` and names none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from federated.contract.cost import Estimate, Rates
from federated.contract.parts import Disclosure, Release, Unnoised

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["Kind"]

T = TypeVar("T")


class Kind(ABC, Generic[T]):
    """One kind of step. What it does not override, it does not have."""

    name: ClassVar[str]
    """The contract's field of its terms, and what a policy's rules call it."""
    joined: ClassVar[bool] = False
    """Whether it stands on joined rows, which all alignments have to tell both sides."""

    @abstractmethod
    def terms(self, contract: Contract) -> Sequence[T]:
        """Its terms in a contract."""

    @abstractmethod
    def partners(self, terms: T) -> Sequence[str]:
        """Who takes part beside the receiver; for `check`, nobody needs to be a party yet."""

    def check(self, contract: Contract) -> None:
        """Raise `PeerError` unless its terms are whole and fit to the others."""

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        """The columns of one party that it reads, by use (see `columns.USES`)."""
        return iter(())

    def completed(self, contract: Contract) -> Contract:
        """The contract with what row and column counts decide of its terms.

        Raises:
            JobError: there is nothing that it could run on.
            Refused: every choice would disclose too much.
        """
        return contract

    @abstractmethod
    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        """Who learns what."""

    @abstractmethod
    def words(self, contract: Contract) -> Iterator[str]:
        """What it does, for an officer."""

    def guards(self, contract: Contract) -> Iterator[str]:
        """What bounds it, for an officer."""
        return iter(())

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        """What it tells the receiver of one party's columns, in order."""
        return iter(())

    def given(self, contract: Contract) -> Iterator[tuple[str, Release]]:
        """What it tells partners of the receiver's columns, in order, and which partner."""
        return iter(())

    def unnoised(self, contract: Contract, party: str) -> Iterator[tuple[int, Unnoised]]:
        """The epsilon in thousandths of each release of this party's, 0 for exact answers.

        And which limit of a policy exact ones need.
        """
        return iter(())

    @abstractmethod
    def limit(self, contract: Contract, step: str) -> int | None:
        """The most bytes that one peer may send in `step`; None if that is no step of its own."""

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        """What it takes with all parties on one machine of these rates."""
        return iter(())
