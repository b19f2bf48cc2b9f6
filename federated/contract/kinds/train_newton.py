"""One model over joined rows whose columns are at three parties or more, on encrypted rows.

With one partner it is `train_vertical`. This way goes when that one takes several.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from federated.contract.cost import Estimate, Rates, train_estimate
from federated.contract.few_rows import check_training
from federated.contract.kinds.kind import Kind
from federated.contract.kinds.train import (
    TrainTerms,
    check_features,
    check_train,
    chosen_words,
    later_words,
    private,
    trained_on,
)
from federated.contract.parts import Disclosure, Release
from federated.contract.rows import FLOOR, joined_rows
from federated.vertical import DIRECTION_BITS, choose_steps, told_bits
from federated.vertical.messages import MOST_COLUMNS
from federated.vertical.plan import TrainingPlan, passes
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["TrainNewton"]

_FINEST = 12
"""The most `score_bits` of a vector."""


class TrainNewton(Kind[TrainTerms]):
    """Newton steps on encrypted rows, between the label party and feature parties."""

    name = "train"
    joined = True

    def terms(self, contract: Contract) -> Sequence[TrainTerms]:
        return [t for t in contract.train if t.split != "horizontal" and not private(t)]

    def partners(self, terms: TrainTerms) -> Sequence[str]:
        return terms.partners

    def check(self, contract: Contract) -> None:
        for terms in self.terms(contract):
            check_train(terms)
            check_features(contract, terms)
            if terms.evaluations or terms.fold_evaluations or terms.noise or not terms.key_bits:
                raise PeerError(
                    "a training with several partners has steps and a key, and no evaluations"
                )
            if not 1 <= terms.score_bits <= _FINEST:
                raise PeerError(
                    f"scores of {terms.score_bits} bits in the contract, 1 to {_FINEST} allowed"
                )
            if told_bits(terms.score_vectors, terms.score_bits) > terms.row_bits:
                raise PeerError(
                    f"{terms.score_vectors} numbers of {terms.score_bits} bits in the contract, "
                    f"{terms.row_bits} bits of a row allowed by it"
                )

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in self.terms(contract):
            if party in (contract.receiver, *terms.partners):
                yield "feature", contract.features(terms, party)
            if party == contract.receiver:
                yield "label", [terms.label]
                yield "time", [terms.time] if terms.time else []

    def completed(self, contract: Contract) -> Contract:
        mine = self.terms(contract)
        train = tuple(_fixed(contract, t) if t in mine else t for t in contract.train)
        return replace(contract, train=train)

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        for terms in self.terms(contract):
            yield from _vertical(contract, terms)

    def words(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in self.terms(contract):
            chosen = "as many Newton steps as its rows and columns allow"
            steps = f"{terms.steps} Newton steps" if terms.steps else chosen
            in_folds = f", and {terms.fold_steps or 'a few'} in each of {terms.folds} folds"
            yield (
                f"{me} and {', '.join(terms.partners)} fit '{terms.task}': {steps}"
                f"{in_folds * bool(terms.folds)}, on rows encrypted under {me}'s "
                f"{terms.key_bits}-bit key{chosen_words(terms)}"
                f"{later_words(contract, terms)}"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        for terms in self.terms(contract):
            yield _score_guard(terms)
            yield _columns_guard(contract, terms)

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for terms in self.terms(contract):
            if party in terms.partners:
                least = 0 if terms.score_vectors else _least(terms).score_vectors
                yield Release(
                    step=f"train/{terms.task}",
                    columns=contract.features(terms, party),
                    bits=_bits(terms),
                    vectors=terms.score_vectors,
                    known=contract.known,
                    open=not terms.score_vectors,
                    least_bits=told_bits(least, terms.score_bits) if least else 0.0,
                    least_vectors=least,
                )

    def limit(self, contract: Contract, step: str) -> int | None:
        for terms in self.terms(contract):
            if step == f"train/{terms.task}":
                return _limit(contract, terms)
        return None

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        rows = {party.name: party.rows for party in contract.parties}
        for terms in self.terms(contract):
            shared = min(rows[name] for name in (contract.receiver, *terms.partners))
            own = contract.design_columns(terms, contract.receiver) + 1
            columns = sum(contract.design_columns(terms, name) for name in terms.partners)
            plan = passes(shared, terms.steps, terms.folds, terms.fold_steps)
            yield train_estimate(rates, shared, own, columns, plan, terms.key_bits)


def _limit(contract: Contract, terms: TrainTerms) -> int:
    names, key = [contract.receiver, *terms.partners], terms.key_bits // 4
    columns = sum(min(contract.design_columns(terms, n), MOST_COLUMNS) for n in names) + 1
    steps = terms.steps + terms.folds * terms.fold_steps + 2
    joined = joined_rows(contract, terms.partners)
    return FLOOR + (key + 64) * joined * steps * 2 + key * columns * columns * steps


def _vertical(contract: Contract, terms: TrainTerms) -> list[Disclosure]:
    step, line, me = f"train {terms.task}", "train", contract.receiver
    others = " and ".join(terms.partners)
    summed = " (their sum only)" if len(terms.partners) > 1 else ""
    rows = "row of a " * any(contract.joins(name) for name in terms.partners)
    found = [
        Disclosure(
            step,
            me,
            f"for each {rows}shared record {_told_words(terms)} of the score part of "
            f"{others}{summed}, the final score among them; of a record without a label only that",
            "train.score_vectors",
        ),
        Disclosure(
            step,
            me,
            f"sums over the training rows of {others}'s columns, in bases that only they know "
            "and that are new wherever products of columns are summed; how many independent "
            "columns they have",
            line,
        ),
    ]
    if len(terms.partners) > 1:
        canonical = "how far the partners' columns are correlated with each other"
        found.append(Disclosure(step, me, canonical, line))
    for name in terms.partners:
        own = f"the coefficients of its own columns after every step, and how many columns {me} has"
        found.append(Disclosure(step, name, own, line))
        fold = f"{trained_on(terms)}, and their validation fold"
        found.append(Disclosure(step, name, fold, "train.folds"))
    return found


def _told_words(terms: TrainTerms) -> str:
    """How much a training tells of a record: "2 numbers (the final one of 4 bits, …)"."""
    each = f"(the final one of {terms.score_bits} bits, any other of {DIRECTION_BITS})"
    if not terms.score_vectors:
        return f"some numbers {each}, {terms.row_bits} bits a record at most in the mean,"
    told = told_bits(terms.score_vectors, terms.score_bits)
    return f"{terms.score_vectors} numbers {each}, {told:.1f} bits a record at most in the mean,"


def _fixed(contract: Contract, terms: TrainTerms) -> TrainTerms:
    columns = sum(contract.design_columns(terms, name) for name in terms.partners)
    rows = min(party.rows for party in contract.parties)
    check_training(contract, terms)
    chosen = choose_steps(
        rows,
        columns,
        terms.folds,
        score_bits=terms.score_bits,
        row_bits=terms.row_bits,
        wanted=(terms.steps or None, terms.fold_steps or None),
    )
    return replace(
        terms,
        steps=chosen.steps,
        folds=chosen.folds,
        fold_steps=chosen.fold_steps,
        score_vectors=chosen.score_vectors,
    )


def _score_guard(terms: TrainTerms) -> str:
    one = len(terms.partners) == 1
    adds, counts = ("adds", "counts") if one else ("add", "count")
    return (
        f"{', '.join(terms.partners)} {adds} fresh noise to every number of a score, "
        f"2^-{terms.score_bits} of its standard deviation to a record's final one and "
        f"2^-{DIRECTION_BITS} to any other, and {counts} them: {_told_words(terms)} "
        "whatever is asked"
    )


def _columns_guard(contract: Contract, terms: TrainTerms) -> str:
    every = " and ".join([contract.receiver, *terms.partners])
    return (
        f"{every} cannot check what the others' sums are made of: one that does not run this "
        "software as it is reads rows of the others', or labels, beyond the bits counted here, "
        "and nothing shows it; train with parties whose software you trust"
    )


def _least(terms: TrainTerms) -> TrainingPlan:
    """The fewest passes that row and column counts can come to."""
    in_folds = (terms.fold_steps or 1) if terms.folds else 0
    return TrainingPlan(terms.steps or 1, terms.folds, in_folds)


def _bits(terms: TrainTerms) -> float:
    if not terms.score_vectors:
        return float(terms.row_bits)
    return told_bits(terms.score_vectors, terms.score_bits)
