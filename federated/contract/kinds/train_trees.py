"""Boosted trees over joined rows whose columns are at two to four parties."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from federated.contract.cost import Estimate, Rates, trees_estimate
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
    shape_words,
    splits_limit,
    trees_plan,
)
from federated.contract.parts import Disclosure, FeatureTerms, Release
from federated.contract.rows import joined_rows
from federated.trees import TreesPlan
from federated.trees.plan import MANY_ROWS, MOST_PARTNERS, MOST_ROWS, NOISE
from psi.protocol import PeerError, Refused

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["TrainTrees", "check_sides", "grown_rows", "has_ways", "plan_of", "told_levels"]


class TrainTrees(TrainBoosted):
    """Trees that tell the label party its rows' sides of partners' splits."""

    most_partners = MOST_PARTNERS

    def terms(self, contract: Contract) -> Sequence[TrainTerms]:
        return [each for each in contract.train if boosted(each) and not hidden(each)]

    def plan(self, contract: Contract, terms: TrainTerms) -> TreesPlan:
        return plan_of(contract, terms)

    def check_told(self, contract: Contract, terms: TrainTerms) -> None:
        if terms.score_bits or terms.grid_bits or terms.column_bits:
            raise PeerError("trees tell bits of a row by level, and no score")
        if terms.folds <= 1 + bool(terms.early_stop):
            raise PeerError("trees that stop early with no part of the records left to grow on")
        names = (contract.receiver, *terms.partners)
        brought = {(name, each) for name in names for each in contract.features(terms, name)}
        going = [(one.party, each) for one in _going(terms) for each in one.columns]
        odd = [one for one in going if one not in brought or going.count(one) > 1]
        if odd:
            (party, column), there = odd[0], odd[0] in brought
            why = "named twice, once allowed" if there else "which it does not bring"
            raise PeerError(
                f"'{terms.task}' rising, falling: {party}.{column} found, {why}",
                hint="a column that is in features, in one of the two, once",
            )
        most, least = joined_rows(contract, terms.partners), _least(terms)
        if most < least and all(contract.party(name).rows for name in names):
            raise PeerError(f"trees of at most {most:,} rows, at least {least:,} needed")

    def check_rows(self, terms: TrainTerms, most: int) -> None:
        if most < (least := _least(terms)):
            raise Refused(
                f"'{terms.task}': at most {most:,} rows can be shared, at least {least:,} needed: "
                f"{least // 2} of each class, with one of {terms.folds} parts held out",
                hint="more rows with a label are needed",
            )
        if most > MOST_ROWS:
            raise Refused(
                f"'{terms.task}': up to {most:,} rows can be shared, {MOST_ROWS:,} allowed for "
                "trees",
                hint='a lower largest_set in [align], or model = "logistic"',
            )
        check_sides(terms, most, f"{most:,} rows can be shared at most")

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        me = contract.receiver
        for terms in self.terms(contract):
            step = f"train {terms.task}"
            for partner in terms.partners:
                bits, ways = told_levels(terms, partner), has_ways(terms, partner)
                yield Disclosure(
                    step,
                    me,
                    f"for each shared record, in {_bits(bits)} at most, on which side of "
                    f"{partner}'s split it lies: one for each level of a tree on which {partner} "
                    f"splits; of each of {_nodes(terms, partner):,} nodes at most whether "
                    f"{partner} splits it{', and by a column with a way' * ways}; how many bins "
                    f"each of {partner}'s columns has, and whether they are in order",
                    "train.row_bits",
                )
            for partner in terms.partners:
                others = (
                    "; of other partners, by the messages between its turns, when their bits are "
                    "spent"
                ) * (len(terms.partners) > 1)
                yield Disclosure(
                    step,
                    partner,
                    "which of its own splits the trees have, on which level of which tree, so "
                    "which of its columns go with the label"
                    f"{', and which way' * has_ways(terms, partner)}"
                    f"{_noise_words(contract, terms)}; how many trees there are"
                    f"{_stopped(terms)}; of records of {me} or their label nothing more{others}",
                    "train.trees",
                )

    def words(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in self.terms(contract):
            yield (
                f"{me} and {' and '.join(terms.partners)} grow '{terms.task}' by private sums: up "
                f"to {shape_words(terms)}{_turns_words(terms, me)}{_more_words(terms, me)}"
                f"{held_words(terms, me)}"
                f"{chosen_words(terms)}{later_words(contract, terms)}"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        for terms in self.terms(contract):
            for partner in terms.partners:
                yield from _partner_guards(contract, terms, partner)
            yield label_guard(contract, terms, WHOLE_LABEL, few=False)

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for terms in self.terms(contract):
            if party in terms.partners:
                yield Release(
                    step=f"train/{terms.task}",
                    columns=contract.features(terms, party),
                    bits=float(told_levels(terms, party)),
                    known=contract.known,
                )

    def bytes_limit(self, contract: Contract, terms: TrainTerms) -> int:
        nodes, rows = 1 << terms.depth, joined_rows(contract, terms.partners)
        lanes, found = plan_of(contract, terms).lanes, 0
        for partner in terms.partners:
            columns = len(contract.features(terms, partner))
            level = 2 * 4 * lanes * columns + 2 * (4 * terms.depth + 1) + 2 + nodes // 4
            row = SEEDS * columns + terms.trees * nodes * level
            found += rows * row + splits_limit(terms, columns)
        return found

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        for terms in self.terms(contract):
            rows, plan = joined_rows(contract, terms.partners), plan_of(contract, terms)
            for number, partner in enumerate(terms.partners):
                columns = len(contract.features(terms, partner))
                yield trees_estimate(rates, rows, columns, plan, number)


def _partner_guards(contract: Contract, terms: TrainTerms, partner: str) -> Iterator[str]:
    """What binds the receiver and one partner, and what does not."""
    me, bits = contract.receiver, told_levels(terms, partner)
    yield (
        f"{me} and {partner} both count levels of trees on which {partner} splits: one bit "
        f"of a record each, whatever {me} asks; after {bits} of them {partner} refuses "
        f"more, and all further splits{_on_its_levels(terms)} are {me}'s own"
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
        "labels, curvatures and which records have one under noise, if any"
    )
    yield (
        f"that a bin of {partner}'s holds 20 records is its own word: one that lies may "
        "have bins of one record, and who wins tells of these labels "
        + (_among(contract, terms, partner) if _noise(contract, terms) else "one a node")
        + f", below {MANY_ROWS:,} records one for each node" * _open(contract, terms)
    )
    if terms.least_rows:
        yield (
            f"that sides have {terms.least_rows:,} records is checked on {me}'s count, "
            f"under its noise if any, and on {partner}'s sums of it: either may count "
            f"others, and {me} sees the sides of its own records"
        )
    if has_ways(terms, partner):
        yield (
            f"that scores rise or fall with {partner}'s columns as said is {partner}'s own "
            f"word: {me} sees of its splits only which are of such a column"
        )


def _among(contract: Contract, terms: TrainTerms, partner: str) -> str:
    """What noise lets through of a maximum, by how many candidates it is of."""
    candidates = CANDIDATES * len(contract.features(terms, partner))
    bits = _nodes(terms, partner) * candidates.bit_length()
    return (
        "what the noise lets through: about .1 bits of a label in a node that it wins among 62 "
        f"candidates, .5 among 1,240 (here up to {candidates:,}), and of few, each of which it "
        f"asks again in other trees, the whole; all its wins have {bits:,} bits at most, of all "
        "records together"
    )


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


def told_levels(terms: TrainTerms, partner: str) -> int:
    """Bits of a row that trees tell of a partner at most: one a level on which it splits."""
    return min(terms.row_bits, len(_levels(terms, partner)))


def _levels(terms: TrainTerms, partner: str) -> list[int]:
    """The levels on which a partner is asked, through all trees."""
    plan, number = _plan(terms, 1), terms.partners.index(partner)
    return [level for level in range(plan.levels) if plan.turn(level) == number]


def _nodes(terms: TrainTerms, partner: str) -> int:
    """Nodes of these levels, at most."""
    return sum(1 << (level % terms.depth) for level in _levels(terms, partner))


def plan_of(contract: Contract, terms: TrainTerms) -> TreesPlan:
    """What both roles run."""
    return _plan(terms, max(1, joined_rows(contract, terms.partners)))


def _plan(terms: TrainTerms, rows: int) -> TreesPlan:
    return trees_plan(
        TreesPlan,
        terms,
        rows,
        patience=terms.early_stop,
        row_bits=terms.row_bits,
        partner_ways=any(has_ways(terms, name) for name in terms.partners),
        partners=len(terms.partners),
    )


def has_ways(terms: TrainTerms, party: str) -> bool:
    """Whether scores may go one way only with some of a party's columns."""
    return any(one.party == party for one in _going(terms))


def grown_rows(terms: TrainTerms, labelled: int) -> int:
    """Of so many rows with a label those that a tree is grown on, as parts fall in the mean."""
    parts = terms.folds - 1 - bool(terms.early_stop)
    return labelled * parts * terms.subsample // (1000 * terms.folds)


def check_sides(terms: TrainTerms, labelled: int, found: str) -> None:
    """Raise `Refused` where both sides of no split can have their least rows.

    `found` says where the rows with a label, so many at most, are.
    """
    rows = grown_rows(terms, labelled)
    if 2 * terms.least_rows > rows:
        raise Refused(
            f"'{terms.task}': least_rows = {terms.least_rows:,} found, at most {rows // 2:,} "
            f"allowed: {found}, and a tree is grown on {rows:,} of them, half for either side",
            hint="a lower least_rows in [[train]], or more rows with a label",
        )


def _going(terms: TrainTerms) -> tuple[FeatureTerms, ...]:
    """The columns that have a way."""
    return (*terms.rising, *terms.falling)


def _least(terms: TrainTerms) -> int:
    """Rows of both classes together."""
    return 2 * held_class_rows(terms.folds, terms.early_stop)


def _turns_words(terms: TrainTerms, me: str) -> str:
    """Whose splits a level may have, where there are several partners."""
    if len(terms.partners) == 1:
        return ""
    return (
        f"; on each level {me} asks one of them, in turns, so that a node has {me}'s best split or "
        "that partner's"
    )


def _on_its_levels(terms: TrainTerms) -> str:
    return " on its levels" * (len(terms.partners) > 1)


def _more_words(terms: TrainTerms, me: str) -> str:
    """How they grow besides."""
    said = drawn_words(terms, me)
    if terms.least_rows:
        said += (
            f"; each side of a split has {terms.least_rows:,} or more of the records that its tree "
            "is grown on, as sums that nobody sees count them"
        )
    for chosen, way in ((terms.rising, "rise"), (terms.falling, "fall")):
        each = (f"{one.party}'s {', '.join(one.columns)}" for one in chosen)
        said += f"; scores only {way} with {' and '.join(each)}" * bool(chosen)
    if terms.early_stop:
        said += (
            f"; they end when {terms.early_stop} trees bring nothing to a second part, on which "
            "none grows"
        )
    return said


def _stopped(terms: TrainTerms) -> str:
    """Of that part's labels one of as many runs as there are trees, whatever they are."""
    if not terms.early_stop:
        return ""
    bits = math.log2(terms.trees)
    return f", which follows from the labels of the second part: {bits:.1f} bits of all at most"


def _bits(count: int) -> str:
    return f"{count} bit{'s' * (count > 1)}"
