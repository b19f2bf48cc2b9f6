"""What both ways to grow boosted trees over joined rows have alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from federated.contract.few_rows import check_brought
from federated.contract.kinds.kind import Kind
from federated.contract.kinds.label import WHOLE_LABEL, of_label
from federated.contract.kinds.train import TrainTerms, check_features, check_train
from federated.contract.parts import Release
from federated.contract.rows import FLOOR, joined_rows
from federated.trees import TreesPlan
from psi.protocol import MisuseError, PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["CANDIDATES", "MOST_GROWN", "SEEDS", "TrainBoosted"]
__all__ += ["drawn_words", "held_words", "nodes_of", "shape_words", "splits_limit", "trees_plan"]

P = TypeVar("P", bound=TreesPlan)

MOST_GROWN = 300
"""Trees of a job."""
CANDIDATES = 64
"""Splits of a column, at most."""
SEEDS = 2 * (4 * 5 + 16 * 4 + 10)
"""Bytes of a row and column for its tree of seeds, of 32 bins at most; twice what it takes."""
_CANDIDATE, _COUNTED, _NODE = 2 * 2400, 2 * 68 * 23, 4096
"""Bytes of a candidate in a node, of its count of rows, and of a node, both ways; twice what they
take."""


class TrainBoosted(Kind[TrainTerms]):
    """XGBoost's trees on private sums, between the label party and feature parties."""

    name = "train"
    joined = True
    most_partners: ClassVar[int] = 1

    def partners(self, terms: TrainTerms) -> Sequence[str]:
        return terms.partners

    def check(self, contract: Contract) -> None:
        for terms in self.terms(contract):
            check_train(terms)
            if not 1 <= len(set(terms.partners)) == len(terms.partners) <= self.most_partners:
                raise PeerError(
                    f"trees of '{terms.task}' with {len(terms.partners)} partners, "
                    f"1{f' to {self.most_partners}' * (self.most_partners > 1)} allowed"
                )
            check_features(contract, terms)
            if terms.evaluations or terms.fold_evaluations or terms.noise or terms.steps:
                raise PeerError("trees have neither evaluations nor steps nor noise")
            if not 2 <= terms.folds <= 20:
                raise PeerError(
                    f"trees of '{terms.task}' with {terms.folds} folds, 2 to 20 allowed: one of "
                    "these parts is held out, for rows that trees were grown on measure nothing"
                )
            if terms.trees > MOST_GROWN:
                raise PeerError(f"{terms.trees} trees in a contract, {MOST_GROWN} allowed")
            if any(contract.joins(name) for name in terms.partners):
                raise PeerError(
                    'trees take each record once: duplicates = "join" found',
                    hint='take duplicates = "collapse"',
                )
            self.check_told(contract, terms)
            try:
                self.plan(contract, terms)
            except MisuseError as error:
                raise PeerError(f"trees of the contract: {error.message}") from None

    @abstractmethod
    def check_told(self, contract: Contract, terms: TrainTerms) -> None:
        """Raise `PeerError` for terms that are not of what these trees tell, or how they grow."""

    @abstractmethod
    def plan(self, contract: Contract, terms: TrainTerms) -> TreesPlan:
        """What both roles run. Raises `MisuseError` for terms that make no model."""

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in self.terms(contract):
            if party in (contract.receiver, *terms.partners):
                yield "feature", contract.features(terms, party)
            if party == contract.receiver:
                yield "label", [terms.label]
                yield "time", [terms.time] if terms.time else []

    def completed(self, contract: Contract) -> Contract:
        for terms in self.terms(contract):
            check_brought(contract, terms, self.bringing(contract, terms))
            self.check_rows(terms, joined_rows(contract, terms.partners))
        return contract

    def bringing(self, contract: Contract, terms: TrainTerms) -> Sequence[str]:
        """Who has to have a column to train on."""
        return terms.partners

    @abstractmethod
    def check_rows(self, terms: TrainTerms, most: int) -> None:
        """Raise `Refused` where so many shared rows at most are too few for trees, or too many."""

    def given(self, contract: Contract) -> Iterator[tuple[str, Release]]:
        for terms in self.terms(contract):
            for name in terms.partners:
                yield name, of_label(terms, WHOLE_LABEL, known=contract.known)

    def limit(self, contract: Contract, step: str) -> int | None:
        for terms in self.terms(contract):
            if step == f"train/{terms.task}":
                return FLOOR + self.bytes_limit(contract, terms)
        return None

    @abstractmethod
    def bytes_limit(self, contract: Contract, terms: TrainTerms) -> int:
        """Twice what messages take: rows of chunks are filled up, and bins are 32 at most."""


def trees_plan(kind: Callable[..., P], terms: TrainTerms, rows: int, **more: int) -> P:
    """The plan of a contract's terms, with what a `kind` of it has `more`."""
    return kind(
        rows=rows,
        trees=terms.trees,
        depth=terms.depth,
        rate=terms.learning_rate / 1000,
        penalty=terms.penalty / 1000,
        least_weight=terms.least_weight / 1000,
        least_rows=terms.least_rows,
        subsample=terms.subsample / 1000,
        **more,
    )


def nodes_of(terms: TrainTerms) -> int:
    """Of all trees, at most."""
    return terms.trees * ((1 << terms.depth) - 1)


def splits_limit(terms: TrainTerms, columns: int) -> int:
    """Bytes that the search for splits takes at most, for so many columns."""
    each = _CANDIDATE + _COUNTED * (terms.least_rows > 0)
    return terms.trees * (1 << terms.depth) * (_NODE + each * CANDIDATES * columns)


def shape_words(terms: TrainTerms) -> str:
    """How many trees, and of which shape."""
    return (
        f"{terms.trees} boosted trees of {terms.depth} levels (learning rate "
        f"{terms.learning_rate / 1000:g}, penalty {terms.penalty / 1000:g})"
    )


def drawn_words(terms: TrainTerms, me: str) -> str:
    """Which records each tree is grown on, where it is not all of them."""
    some = f"; each on {terms.subsample / 10:g}% of the records, drawn by {me} in secret"
    return some * (terms.subsample < 1000)


def held_words(terms: TrainTerms, me: str) -> str:
    """What measures them."""
    return (
        f"; one of {terms.folds} parts of the labelled records, by a key of {me}'s own, is held "
        "out to measure them"
    )
