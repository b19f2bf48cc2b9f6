"""Rows are scored by kept trees that tell no row's side: on shares, and told in steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from federated.contract.cost import Estimate, Rates, hidden_score_estimate
from federated.contract.kinds.kind import Kind
from federated.contract.kinds.score import ScoreTerms, features_of, part_guard, score_words
from federated.contract.kinds.train import boosted, hidden
from federated.contract.kinds.train_boosted import MOST_GROWN
from federated.contract.parts import Disclosure, Release
from federated.contract.rows import FLOOR, joined_rows
from federated.hidden_trees.plan import MOST_SCORE_BITS, rounding_bytes
from federated.trees.plan import MOST_DEPTH
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["ScoreHidden"]

_GROUP = 2 * 2 * (4 + 4)
"""Bytes of a row and group of leaves, both ways: a transfer and a value; four times what they take,
for a chunk's transfers are filled up."""
_SCORED = 128
"""Bytes of a row besides: checks of its transfers."""


class ScoreHidden(Kind[ScoreTerms]):
    """The receiver learns its rows' scores in steps, and the partner nothing."""

    name = "score"
    joined = True

    def terms(self, contract: Contract) -> Sequence[ScoreTerms]:
        return [terms for terms in contract.score if terms.trees]

    def partners(self, terms: ScoreTerms) -> Sequence[str]:
        return terms.partners

    def check(self, contract: Contract) -> None:
        for terms in contract.score:
            if bool(terms.trees) != bool(terms.depth) or terms.trees < 0 or terms.depth < 0:
                raise PeerError("a scoring by trees without a depth, or a depth without trees")
        for terms in self.terms(contract):
            if terms.trees > MOST_GROWN or terms.depth > MOST_DEPTH:
                raise PeerError(
                    f"a scoring by {terms.trees} trees of depth {terms.depth}, {MOST_GROWN} and "
                    f"{MOST_DEPTH} allowed"
                )
            if terms.row_bits or not 1 <= terms.score_bits <= MOST_SCORE_BITS:
                raise PeerError(
                    f"a scoring by trees that tell nothing with {terms.score_bits} score_bits, "
                    f"1 to {MOST_SCORE_BITS} allowed, and no row_bits"
                )
            if not features_of(terms, contract.receiver):
                raise PeerError("a scoring by trees that tell nothing, without a receiver's column")
            if any(boosted(each) and not hidden(each) for each in contract.train):
                raise PeerError("trees that tell sides and scores by some that do not")

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in self.terms(contract):
            if columns := features_of(terms, party):
                yield "feature", columns

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        me = contract.receiver
        for terms in self.terms(contract):
            step, partner = f"score {terms.task}", terms.partners[0]
            yield Disclosure(
                step,
                me,
                f"for each shared record the step that its score lies in, {terms.score_bits} bits; "
                "the same for a record that has not changed",
                "score.score_bits",
            )
            yield Disclosure(step, partner, f"of records of {me} nothing", "score.model")

    def words(self, contract: Contract) -> Iterator[str]:
        for terms in self.terms(contract):
            yield (
                f"{score_words(contract, terms)}; these are {terms.trees} trees of {terms.depth} "
                "levels, and no record's side of a split is told"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        for terms in self.terms(contract):
            yield part_guard(terms)
            yield (
                f"{terms.partners[0]} sends {terms.score_bits} bits of a record and scoring, "
                f"whatever {contract.receiver}'s software does: one that does not run this "
                "software makes them bits of its choosing"
            )

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for terms in self.terms(contract):
            if party in terms.partners:
                yield Release(
                    step=f"score/{terms.task}",
                    columns=features_of(terms, party),
                    bits=float(terms.score_bits),
                    vectors=1,
                    known=contract.known,
                    rounded=True,
                )

    def limit(self, contract: Contract, step: str) -> int | None:
        for terms in self.terms(contract):
            if step == f"score/{terms.task}":
                rows = joined_rows(contract, terms.partners)
                rounding = 2 * rounding_bytes(terms.trees, terms.score_bits)
                return FLOOR + rows * (rounding + _SCORED + _GROUP * _leaves(terms))
        return None

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        for terms in self.terms(contract):
            rows = joined_rows(contract, terms.partners)
            rounding = rounding_bytes(terms.trees, terms.score_bits)
            yield hidden_score_estimate(rates, rows, _leaves(terms), rounding)


def _leaves(terms: ScoreTerms) -> int:
    """Of all trees: as many groups of them there are at most."""
    return terms.trees << terms.depth
