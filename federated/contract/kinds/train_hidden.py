"""Boosted trees over joined rows of two parties, of which no row's side is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from federated.contract.cost import Estimate, Rates, hidden_estimate
from federated.contract.few_rows import held_class_rows
from federated.contract.kinds.label import WHOLE_LABEL, label_guard
from federated.contract.kinds.train import (
    TrainTerms,
    boosted,
    chosen_words,
    hidden,
    later_words,
)
from federated.contract.kinds.train_boosted import (
    CANDIDATES,
    SEEDS,
    TrainBoosted,
    drawn_words,
    held_words,
    nodes_of,
    shape_words,
    splits_limit,
    trees_plan,
)
from federated.contract.parts import Disclosure, Release
from federated.contract.rows import joined_rows
from federated.hidden_trees import HiddenPlan
from federated.hidden_trees.plan import (
    FEWEST_ROWS,
    MOST_HIDDEN,
    MOST_SCORE_BITS,
    SUM_NOISE,
    rounding_bytes,
)
from federated.hidden_trees.slopes import ENTRIES
from psi.protocol import PeerError, Refused

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["TrainHidden", "besides", "hidden_plan", "told_of_all"]


class TrainHidden(TrainBoosted):
    """Trees whose sums, sides and scores stay shared."""

    def terms(self, contract: Contract) -> Sequence[TrainTerms]:
        return [terms for terms in contract.train if hidden(terms)]

    def plan(self, contract: Contract, terms: TrainTerms) -> HiddenPlan:
        return hidden_plan(contract, terms)

    def check_told(self, contract: Contract, terms: TrainTerms) -> None:
        if any(boosted(each) and not hidden(each) for each in contract.train):
            raise PeerError("trees that tell sides of splits and trees that do not in one contract")
        if not contract.features(terms, contract.receiver):
            raise PeerError(f"trees of '{terms.task}' without a column of the receiver's")
        if terms.row_bits or terms.grid_bits or terms.column_bits:
            raise PeerError("hidden trees tell scores in steps, and no side of a split")
        if terms.score_bits > MOST_SCORE_BITS:
            raise PeerError(
                f"hidden trees with {terms.score_bits} score_bits: 1 to {MOST_SCORE_BITS} allowed"
            )
        if terms.early_stop or terms.rising or terms.falling or terms.least_rows:
            raise PeerError(
                "hidden trees that end early, whose scores rise with a column, or that count rows"
            )

    def bringing(self, contract: Contract, terms: TrainTerms) -> Sequence[str]:
        return _both(contract, terms)

    def check_rows(self, terms: TrainTerms, most: int) -> None:
        least = max(FEWEST_ROWS, 2 * held_class_rows(terms.folds))
        if most < least:
            raise Refused(
                f"'{terms.task}': at most {most:,} rows can be shared, trees that tell nothing "
                f"need {least:,}: fewer do not bear the noise",
                hint='tells = "sides" (the default) with few row_bits, or model = "logistic"',
            )
        if most > MOST_HIDDEN:
            raise Refused(
                f"'{terms.task}': up to {most:,} rows can be shared, {MOST_HIDDEN:,} allowed for "
                "trees that tell nothing",
                hint='a lower largest_set in [align], tells = "sides", or model = "logistic"',
            )

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        me = contract.receiver
        for terms in self.terms(contract):
            step, partner = f"train {terms.task}", terms.partners[0]
            g, h = SUM_NOISE
            yield Disclosure(
                step,
                me,
                "for each shared record its score by all trees, once, in "
                f"{terms.score_bits} bits; of each of {nodes_of(terms):,} nodes whether {partner} "
                f"splits it, and which own split it has where {partner} does not; the sums of each "
                f"node's slopes and curvatures, with {partner}'s noise of {g:g} and {h:g} records; "
                f"how many bins each of {partner}'s columns has, and whether they are in order",
                "train.score_bits",
            )
            yield Disclosure(
                step,
                partner,
                "which of its own splits the trees have, in which node, so which of its columns go "
                f"with the label, under two noises of {me}'s of the most that one record can add "
                f"to a sum; how many bins each of {me}'s columns has, and whether they are in "
                f"order; of records of {me} or their label nothing more",
                "train.trees",
            )

    def words(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in self.terms(contract):
            yield (
                f"{me} and {terms.partners[0]} grow '{terms.task}' by private sums and tell no "
                f"record's side of a split: {shape_words(terms)}{drawn_words(terms, me)}"
                f"{held_words(terms, me)}{chosen_words(terms)}"
                f"{later_words(contract, terms)}"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in self.terms(contract):
            partner, told = terms.partners[0], told_of_all(contract, terms)
            plan = hidden_plan(contract, terms)
            yield (
                f"{partner} sends {terms.score_bits} bits of each record's score, whatever {me}'s "
                "software does: one that does not run this software makes them bits of its choosing"
            )
            yield (
                f"all that {me} is told of nodes has {told:,} bits, of all records together: sums "
                f"under {partner}'s noise tell {plan.sum_bits:.2g} bits of one record at most; one "
                "that does not run this software makes them sums of its choosing, and may read few "
                "records' sides of many splits"
            )
            yield (
                f"that a bin holds 20 records is its owner's word; {partner}'s noise is on what "
                f"{me}'s columns win by, and {me}'s on every sum of slopes"
            )
            yield (
                f"{partner} may leave its noise out, and choose the records of a node and the "
                f"splits of {me}'s that may win there: all that it is told has "
                f"{told_partner(contract, terms):,} bits of all records together, of labels "
                f"and which records have one under {me}'s noise, of {me}'s columns in full"
            )
            yield label_guard(contract, terms, WHOLE_LABEL, few=False)

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for terms in self.terms(contract):
            if party in terms.partners:
                yield Release(
                    step=f"train/{terms.task}",
                    columns=contract.features(terms, party),
                    bits=terms.score_bits + besides(contract, terms),
                    besides=besides(contract, terms),
                    vectors=1,
                    known=contract.known,
                )

    def bytes_limit(self, contract: Contract, terms: TrainTerms) -> int:
        columns = sum(len(contract.features(terms, name)) for name in _both(contract, terms))
        nodes, plan = 1 << terms.depth, hidden_plan(contract, terms)
        tree = 8 * ENTRIES + 36 + 4 * nodes * columns + 14 * nodes + 9 * nodes
        rounding = 2 * rounding_bytes(terms.trees, terms.score_bits)
        row = SEEDS * columns + 2 * terms.trees * tree + rounding
        return plan.rows * row + splits_limit(terms, columns)

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        for terms in self.terms(contract):
            columns = [len(contract.features(terms, name)) for name in _both(contract, terms)]
            rows = joined_rows(contract, terms.partners)
            yield hidden_estimate(rates, rows, sum(columns), hidden_plan(contract, terms))


def hidden_plan(contract: Contract, terms: TrainTerms) -> HiddenPlan:
    """What both roles run; in a draft whose rows are open as with the fewest."""
    rows = max(FEWEST_ROWS, joined_rows(contract, terms.partners))
    return trees_plan(HiddenPlan, terms, rows, score_bits=terms.score_bits)


def told_of_all(contract: Contract, terms: TrainTerms) -> int:
    """Bits that the label party is told of nodes, of all records together: sums and winners."""
    plan = hidden_plan(contract, terms)
    own = CANDIDATES * len(contract.features(terms, contract.receiver))
    return plan.sums_told + nodes_of(terms) * plan.node_bits(own)


def told_partner(contract: Contract, terms: TrainTerms) -> int:
    """Bits that the partner is told, of all records together: who won each node, and by what."""
    candidates = CANDIDATES * len(contract.features(terms, terms.partners[0]))
    return nodes_of(terms) * hidden_plan(contract, terms).node_bits(candidates)


def besides(contract: Contract, terms: TrainTerms) -> float:
    """Bits of a record beside its score, in the mean of records, whatever the label party does."""
    return round(told_of_all(contract, terms) / hidden_plan(contract, terms).rows, 2)


def _both(contract: Contract, terms: TrainTerms) -> tuple[str, str]:
    return contract.receiver, terms.partners[0]
