"""Boosted trees over joined rows whose columns are at two parties."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from federated.contract.cost import Estimate, Rates, trees_estimate
from federated.contract.few_rows import check_brought
from federated.contract.kinds.kind import Kind
from federated.contract.kinds.label import WHOLE_LABEL, label_guard, of_label
from federated.contract.kinds.train import (
    TrainTerms,
    boosted,
    check_features,
    check_train,
    chosen_words,
    hidden,
    later_words,
)
from federated.contract.parts import Disclosure, Release
from federated.contract.rows import FLOOR, joined_rows
from federated.regression.guards import CLASS_ROWS
from federated.trees import TreesPlan
from federated.trees.plan import MANY_ROWS, MOST_ROWS, NOISE
from psi.protocol import MisuseError, PeerError, Refused

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["MOST_GROWN", "TrainTrees", "held_class_rows", "plan_of", "told_levels"]

MOST_GROWN = 300
"""Trees of a job."""
_SEEDS = 2 * (4 * 5 + 16 * 4 + 10)
"""Bytes of a row and column for its tree of seeds, of 32 bins at most; twice what it takes."""
_CANDIDATES = 64
"""Splits of a column, at most."""
_CANDIDATE, _NODE = 2 * 2400, 4096
"""Bytes of a candidate in a node, and of a node, both ways; twice what they take."""


class TrainTrees(Kind[TrainTerms]):
    """XGBoost's trees on private sums, between the label party and one feature party."""

    name = "train"
    joined = True

    def terms(self, contract: Contract) -> Sequence[TrainTerms]:
        return [each for each in contract.train if boosted(each) and not hidden(each)]

    def partners(self, terms: TrainTerms) -> Sequence[str]:
        return terms.partners

    def check(self, contract: Contract) -> None:
        for terms in self.terms(contract):
            check_train(terms)
            if len(terms.partners) != 1:
                raise PeerError(
                    f"trees of '{terms.task}' with {len(terms.partners)} partners, one allowed"
                )
            check_features(contract, terms)
            if terms.evaluations or terms.fold_evaluations or terms.noise or terms.steps:
                raise PeerError("trees have neither evaluations nor steps nor noise")
            if terms.score_bits or terms.grid_bits or terms.column_bits:
                raise PeerError("trees tell bits of a row by level, and no score")
            if not 2 <= terms.folds <= 20:
                raise PeerError(
                    f"trees of '{terms.task}' with {terms.folds} folds, 2 to 20 allowed: one of "
                    "these parts is held out, for rows that trees were grown on measure nothing"
                )
            parts = 1 + bool(terms.early_stop)
            if terms.folds <= parts:
                raise PeerError("trees that stop early with no part of the records left to grow on")
            own = contract.features(terms, contract.receiver)
            going = (*terms.rising, *terms.falling)
            if len(set(going)) < len(going) or not set(going) <= set(own):
                raise PeerError("trees that rise or fall with columns that are not the receiver's")
            if terms.trees > MOST_GROWN:
                raise PeerError(f"{terms.trees} trees in a contract, {MOST_GROWN} allowed")
            if contract.joins(terms.partners[0]):
                raise PeerError(
                    'trees take each record once: duplicates = "join" found',
                    hint='take duplicates = "collapse"',
                )
            names = (contract.receiver, *terms.partners)
            most, least = joined_rows(contract, terms.partners), _least(terms)
            if most < least and all(contract.party(name).rows for name in names):
                raise PeerError(f"trees of at most {most:,} rows, at least {least:,} needed")
            try:
                plan_of(contract, terms)
            except MisuseError as error:
                raise PeerError(f"trees of the contract: {error.message}") from None

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in self.terms(contract):
            if party in (contract.receiver, *terms.partners):
                yield "feature", contract.features(terms, party)
            if party == contract.receiver:
                yield "label", [terms.label]
                yield "time", [terms.time] if terms.time else []

    def completed(self, contract: Contract) -> Contract:
        for terms in self.terms(contract):
            _check_rows(contract, terms)
        return contract

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        me = contract.receiver
        for terms in self.terms(contract):
            step, partner, bits = f"train {terms.task}", terms.partners[0], told_levels(terms)
            nodes = terms.trees * (2**terms.depth - 1)
            yield Disclosure(
                step,
                me,
                f"for each shared record, in {_bits(bits)} at most, on which side of {partner}'s "
                "split it lies: one for each level of a tree on which "
                f"{partner} splits; of each of {nodes:,} nodes at most whether {partner} splits "
                f"it; how many bins each of {partner}'s columns has, and whether they are in order",
                "train.row_bits",
            )
            yield Disclosure(
                step,
                partner,
                "which of its own splits the trees have, on which level of which tree, so which of "
                f"its columns go with the label{_noise_words(contract, terms)}; how many trees "
                f"there are{_stopped(terms)}; of records of {me} or their label nothing more",
                "train.trees",
            )

    def words(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in self.terms(contract):
            yield (
                f"{me} and {terms.partners[0]} grow '{terms.task}' by private sums: up to "
                f"{terms.trees} boosted trees of {terms.depth} levels (learning rate "
                f"{terms.learning_rate / 1000:g}, penalty {terms.penalty / 1000:g})"
                f"{_more_words(terms, me)}; one of {terms.folds} parts of the labelled records, by "
                f"a key of {me}'s own, is held out to measure them{chosen_words(terms)}"
                f"{later_words(contract, terms)}"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in self.terms(contract):
            partner, bits = terms.partners[0], told_levels(terms)
            yield (
                f"{me} and {partner} both count levels of trees on which {partner} splits: one bit "
                f"of a record each, whatever {me} asks; after {bits} of them {partner} refuses "
                f"more, and all further splits are {me}'s own"
            )
            yield (
                f"{partner} offers no split with fewer than 20 of all shared records on either "
                "side; a node's records it cannot see, so a split may set few of a node apart"
            )
            yield (
                f"{partner} cannot check what {me}'s sums are of: one that does not run this "
                "software as it is chooses which splits tell their bits, still one of a record for "
                f"each level; it may also turn 'who splits' into one bit a node about {partner}'s "
                f"sums, and {partner} its wins into a number of its columns about {me}'s: of "
                "labels under noise, if any, of curvatures and of which records have one exactly"
            )
            yield (
                f"that a bin of {partner}'s holds 20 records is its own word: one that lies may "
                "have bins of one record, and who wins tells of these labels "
                + ("what the noise lets through" if _noise(contract, terms) else "one a node")
                + f", below {MANY_ROWS:,} records one for each node" * _open(contract, terms)
            )
            yield label_guard(contract, terms, WHOLE_LABEL, few=False)

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for terms in self.terms(contract):
            if party in terms.partners:
                yield Release(
                    step=f"train/{terms.task}",
                    columns=contract.features(terms, party),
                    bits=float(told_levels(terms)),
                    known=contract.known,
                )

    def given(self, contract: Contract) -> Iterator[tuple[str, Release]]:
        for terms in self.terms(contract):
            yield terms.partners[0], of_label(terms, WHOLE_LABEL, known=contract.known)

    def limit(self, contract: Contract, step: str) -> int | None:
        for terms in self.terms(contract):
            if step == f"train/{terms.task}":
                return _limit(contract, terms)
        return None

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        for terms in self.terms(contract):
            columns = len(contract.features(terms, terms.partners[0]))
            rows = joined_rows(contract, terms.partners)
            yield trees_estimate(rates, rows, columns, plan_of(contract, terms))


def _open(contract: Contract, terms: TrainTerms) -> bool:
    """Whether rows are not stated yet."""
    return not all(contract.party(name).rows for name in (contract.receiver, *terms.partners))


def _noise(contract: Contract, terms: TrainTerms) -> float:
    """The receiver's, on the sums among which a winner is found; while rows are open as of many."""
    return NOISE if _open(contract, terms) else plan_of(contract, terms).noise


def _noise_words(contract: Contract, terms: TrainTerms) -> str:
    noise, me = _noise(contract, terms), contract.receiver
    if not noise:
        return ", WITHOUT noise"
    times = f"{noise:g} times " * (noise != 1)
    found = f", under two noises of {me}'s of {times}the most that one record can add to a sum"
    return found + f" (below {MANY_ROWS:,} records WITHOUT)" * _open(contract, terms)


def told_levels(terms: TrainTerms) -> int:
    """Bits of a row that trees tell at most: one for each level on which the partner splits."""
    return min(terms.row_bits, terms.trees * terms.depth)


def plan_of(contract: Contract, terms: TrainTerms) -> TreesPlan:
    """What both roles run."""
    return TreesPlan(
        rows=max(1, joined_rows(contract, terms.partners)),
        trees=terms.trees,
        depth=terms.depth,
        rate=terms.learning_rate / 1000,
        penalty=terms.penalty / 1000,
        least_weight=terms.least_weight / 1000,
        subsample=terms.subsample / 1000,
        patience=terms.early_stop,
        row_bits=terms.row_bits,
    )


def held_class_rows(folds: int, early_stop: int = 0) -> int:
    """The fewest rows of a class of which, one part held out by chance, enough are left: three
    standard deviations more. With an `early_stop` a second part is held out, and has as many."""
    most = 1 / max(2, folds)
    least = min(most, 1 - 2 * most) if early_stop else 1 - most
    return math.ceil((CLASS_ROWS + 3 * math.sqrt(CLASS_ROWS)) / least)


def _least(terms: TrainTerms) -> int:
    """Rows of both classes together."""
    return 2 * held_class_rows(terms.folds, terms.early_stop)


def _check_rows(contract: Contract, terms: TrainTerms) -> None:
    """Raise `Refused` for fewer rows than trees need, or more than their sums are exact for."""
    check_brought(contract, terms)
    most, least = joined_rows(contract, terms.partners), _least(terms)
    if most < least:
        raise Refused(
            f"'{terms.task}': at most {most:,} rows can be shared, at least {least:,} needed: "
            f"{least // 2} of each class, with one of {terms.folds} parts held out",
            hint="more rows with a label are needed",
        )
    if most > MOST_ROWS:
        raise Refused(
            f"'{terms.task}': up to {most:,} rows can be shared, {MOST_ROWS:,} allowed for trees",
            hint='a lower largest_set in [align], or model = "logistic"',
        )


def _limit(contract: Contract, terms: TrainTerms) -> int:
    """Twice what messages take: rows of chunks are filled up, and bins are 32 at most."""
    columns = len(contract.features(terms, terms.partners[0]))
    nodes = 1 << terms.depth
    level = 2 * 8 * columns + 2 * (4 * terms.depth + 1) + 2 + nodes // 4
    row = _SEEDS * columns + terms.trees * nodes * level
    splits = terms.trees * nodes * (_NODE + _CANDIDATE * _CANDIDATES * columns)
    return FLOOR + joined_rows(contract, terms.partners) * row + splits


def _more_words(terms: TrainTerms, me: str) -> str:
    """How they grow besides."""
    said = ""
    if terms.subsample < 1000:
        said += f"; each on {terms.subsample / 10:g}% of the records, drawn by {me} in secret"
    for columns, way in ((terms.rising, "rise"), (terms.falling, "fall")):
        said += f"; scores only {way} with {me}'s {', '.join(columns)}" * bool(columns)
    if terms.early_stop:
        said += (
            f"; they end when {terms.early_stop} trees bring nothing to a second part, on which "
            "none grows"
        )
    return said


def _stopped(terms: TrainTerms) -> str:
    return ", which follows from the labels of the second part" * bool(terms.early_stop)


def _bits(count: int) -> str:
    return f"{count} bit{'s' * (count > 1)}"
