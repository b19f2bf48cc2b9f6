"""One model over joined rows whose columns are at several parties, by private sums."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from federated.contract.cost import Estimate, Rates, regression_estimate
from federated.contract.few_rows import check_training
from federated.contract.kinds.counted import (
    A_COUNTED_ROW,
    count_bits,
    counted_estimates,
    counted_guard,
    counted_how,
    counted_limit,
    counted_words,
)
from federated.contract.kinds.kind import Kind
from federated.contract.kinds.label import label_guard, of_label, regression_bits
from federated.contract.kinds.listed import (
    check_listed,
    instead_of_list,
    joined_guard,
    list_bits,
    list_guard,
    list_limit,
    listed_end,
    listed_words,
    spread_words,
)
from federated.contract.kinds.scorecard import card_words, check_card
from federated.contract.kinds.train import (
    AUTO,
    TrainTerms,
    carded,
    check_features,
    check_train,
    chosen_words,
    classes,
    later_words,
    linked,
    noise_text,
    private,
    trained_on,
    weight_words,
    weighted,
)
from federated.contract.parts import Disclosure, Release
from federated.contract.rows import FLOOR, REPEATED, joined_rows
from federated.models import LINEAR, MODELS
from federated.regression import (
    FINEST_SCORES,
    MANY_ROWS,
    Opened,
    RegressionPlan,
    label_bits,
    opened_numbers,
    planned,
    told_bits,
)
from federated.regression.messages import MOST_COLUMNS
from federated.regression.noise import LIKE, TERM
from federated.sharing import SUITE as SUMS
from psi.protocol import MisuseError, PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["FINEST_SCORES", "TrainVertical", "opened_to", "plan_of", "row_bits_of"]

_LOOKUP = 64
"""Numbers that one lookup takes of a row, at most."""
_TREE = 4 * 12 + 16 * 11 + 64
"""Bytes of a row for one tree: its transfers, levels and check."""


class TrainVertical(Kind[TrainTerms]):
    """A regression on private sums, between the label party and feature parties."""

    name = "train"
    joined = True

    def terms(self, contract: Contract) -> Sequence[TrainTerms]:
        return [terms for terms in contract.train if private(terms)]

    def partners(self, terms: TrainTerms) -> Sequence[str]:
        return terms.partners

    def check(self, contract: Contract) -> None:
        for terms in self.terms(contract):
            check_train(terms)
            check_features(contract, terms)
            if carded(terms):
                check_card(contract, terms)
            if carded(terms) and not terms.score_bits:
                raise PeerError("a scorecard without scores, which are what its points are made of")
            if not terms.score_bits and any(contract.joins(name) for name in terms.partners):
                raise PeerError(
                    'rows counted by score with duplicates = "join": a record has many',
                    hint='take duplicates = "collapse", or score_bits = 1 or more',
                )
            check_listed(terms)
            if terms.steps or terms.row_bits:
                raise PeerError("a training of columns has evaluations, and no steps")
            if not _is_number(terms.noise) and (terms.noise != AUTO or terms.grid_bits):
                raise PeerError("the contract states a noise that is no plain number")
            try:
                plan_of(contract, _rounded_out(terms))
            except MisuseError as error:
                raise PeerError(f"a training of the contract: {error.message}") from None

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in self.terms(contract):
            if party in (contract.receiver, *terms.partners):
                yield "feature", contract.features(terms, party)
            if party == contract.receiver:
                yield "label", [terms.label]
                yield "time", [terms.time] if terms.time else []
                yield "weight", [column for column in (terms.weight, terms.offset) if column]

    def completed(self, contract: Contract) -> Contract:
        mine = self.terms(contract)
        train = tuple(_fixed(contract, t) if t in mine else t for t in contract.train)
        return replace(contract, train=train)

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        for terms in self.terms(contract):
            yield from _told(contract, terms)

    def words(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in self.terms(contract):
            most = f"up to {terms.evaluations}" if terms.evaluations else "some"
            more = f"up to {terms.fold_evaluations}" if terms.fold_evaluations else "some"
            more = "none" if terms.grid_bits and not terms.fold_evaluations else more
            each = f"{most} evaluations of the gradient"
            folds = f", and {more} more in each of {terms.folds} folds" * bool(_folds(terms))
            end = "before the final score"
            if not terms.score_bits:
                whose = "but of the listed" if terms.listed_bits else "at all"
                end = f"{whose}: {counted_how(terms)}, by private sums ({SUMS})"
            end += listed_end(terms)
            card = card_words(contract, terms) if carded(terms) else ""
            yield (
                f"{me} and {_partners(terms)} fit '{terms.task}' by private sums"
                f"{_model_words(terms)}: {each}{folds}; "
                f"nobody sees a row's number {end}{chosen_words(terms)}{card}"
                f"{weight_words(contract, terms)}"
                f"{later_words(contract, terms)}"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        for terms in self.terms(contract):
            yield _score_guard(terms) if terms.score_bits else counted_guard(terms)
            if terms.listed:
                yield list_guard(contract, terms)
            yield _support_guard(contract, terms)
            yield _trust_guard(contract, terms)
            bits = regression_bits(contract, terms, _folds(terms))
            yield label_guard(contract, terms, bits, few=terms.noise == AUTO)
            if len(terms.partners) > 1:
                yield _together_guard(contract, terms)
            if not terms.score_bits:
                yield from joined_guard(contract, terms)

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for terms in self.terms(contract):
            if party in terms.partners:
                yield Release(
                    step=f"train/{terms.task}",
                    columns=contract.features(terms, party),
                    bits=row_bits_of(terms),
                    vectors=int(terms.score_bits > 0),
                    known=contract.known,
                    rounded=not terms.score_bits,
                    instead=tuple(_instead(contract, terms)),
                )

    def given(self, contract: Contract) -> Iterator[tuple[str, Release]]:
        for terms in self.terms(contract):
            bits = regression_bits(contract, terms, _folds(terms))
            for name in terms.partners:
                yield name, of_label(terms, bits, known=contract.known)

    def limit(self, contract: Contract, step: str) -> int | None:
        for terms in self.terms(contract):
            if step == f"train/{terms.task}":
                return _limit(contract, terms)
            rows = joined_rows(contract, terms.partners)
            if (found := counted_limit(terms, step, rows)) is not None:
                return found
            if (found := list_limit(terms, step, rows, A_COUNTED_ROW)) is not None:
                return found
        return None

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        for terms in self.terms(contract):
            names = (contract.receiver, *terms.partners)
            rows = min(contract.party(name).rows for name in names)
            features = sum(len(contract.features(terms, name)) for name in names)
            yield regression_estimate(rates, rows, features, plan_of(contract, terms))
            if not terms.score_bits:
                yield from counted_estimates(rates, rows, terms)


def plan_of(contract: Contract, terms: TrainTerms) -> RegressionPlan:
    """What both roles run, from terms that are complete."""
    pairs = REPEATED if contract.joins(terms.partners[0]) else 1
    return RegressionPlan(
        rows=max(1, pairs * joined_rows(contract, terms.partners)),
        partners=len(terms.partners),
        link=linked(terms),
        evaluations=terms.evaluations,
        folds=_folds(terms),
        fold_evaluations=terms.fold_evaluations,
        noise=float(terms.noise),
        score_bits=terms.score_bits,
        grid_bits=terms.grid_bits,
        column_bits=terms.column_bits,
        weighted=weighted(terms),
    )


def row_bits_of(terms: TrainTerms) -> float:
    """The most that is told of a row at the end: of its final score, or by all counts of rows and
    whether it is listed."""
    if terms.score_bits:
        return told_bits(terms.score_bits)
    return count_bits(terms) + list_bits(terms)


def _instead(contract: Contract, terms: TrainTerms) -> Iterator[tuple[str, float]]:
    """Other terms that tell less of a row, and how much: coarser scores a budget knows itself."""
    if terms.listed:
        yield from instead_of_list(terms, count_bits(terms))
    joins = any(contract.joins(name) for name in terms.partners)
    if terms.score_bits and not joins and not carded(terms):
        yield "score_bits = 0", count_bits(terms)


def opened_to(contract: Contract, terms: TrainTerms, party: str) -> Opened | None:
    """How many sums over rows `party` gets to know; None while the draft leaves it open."""
    columns = contract.design_columns(terms, party)
    if not terms.grid_bits or terms.noise == AUTO or not contract.party(party).rows:
        return None
    return opened_numbers(plan_of(contract, terms), columns)


def _folds(terms: TrainTerms) -> int:
    """Those of the cross-validation: of a scorecard one part is held out, and nothing goes on."""
    return 0 if carded(terms) else terms.folds


def _is_number(text: str) -> bool:
    try:
        return noise_text(float(text)) == text
    except ValueError:
        return False


def _rounded_out(terms: TrainTerms) -> TrainTerms:
    """The terms with anything in the place of what a draft leaves open, to look at the rest."""
    if terms.grid_bits:
        return terms
    noise = "0" if terms.noise == AUTO else terms.noise
    return replace(
        terms, evaluations=terms.evaluations or 1, noise=noise, grid_bits=8, column_bits=8
    )


def _fixed(contract: Contract, terms: TrainTerms) -> TrainTerms:
    check_training(contract, terms)
    plan = planned(
        joined_rows(contract, terms.partners),
        folds=_folds(terms),
        partners=len(terms.partners),
        link=linked(terms),
        evaluations=terms.evaluations,
        fold_evaluations=terms.fold_evaluations or None,
        noise=None if terms.noise == AUTO else float(terms.noise),
        score_bits=terms.score_bits,
    )
    return replace(
        terms,
        evaluations=plan.evaluations,
        fold_evaluations=plan.fold_evaluations,
        noise=noise_text(plan.noise),
        grid_bits=plan.grid_bits,
        column_bits=plan.column_bits,
    )


def _limit(contract: Contract, terms: TrainTerms) -> int:
    names = [contract.receiver, *terms.partners]
    columns = sum(min(contract.design_columns(terms, n), MOST_COLUMNS) for n in names) + 1
    models = terms.evaluations + _folds(terms) * terms.fold_evaluations
    vectors = models + _folds(terms)
    row = 2 * columns * (_TREE + 8 * vectors) + models * (_TREE + 2 * 8 * _LOOKUP)
    return FLOOR + joined_rows(contract, terms.partners) * row


def _told(contract: Contract, terms: TrainTerms) -> list[Disclosure]:
    step, me, partners = f"train {terms.task}", contract.receiver, _partners(terms)
    row = "row of a " * any(contract.joins(name) for name in terms.partners)
    summed = " (their sum only)" if len(terms.partners) > 1 else ""
    score = (
        f"for each {row}shared record one number, the final one of {partners}'s part of the score"
        f"{summed}, of {terms.score_bits} bits ({told_bits(terms.score_bits):.1f} bits a record at "
        "most in the mean); no number of a record before it"
    )
    if not terms.score_bits:
        score = counted_words(contract, terms, _folds(terms))
    span = f"at each evaluation the range of {partners}'s part, to a quarter, at the end its mean"
    start = f"of {me}'s own model the mean score and curvature, once, roughly where sums have noise"
    folds = trained_on(terms) + ", and their validation fold" * bool(_folds(terms))
    folds += _label_words(contract, terms)
    found = [
        Disclosure(step, me, score, "train.score_bits" if terms.score_bits else "train.counts"),
        *([listed_words(contract, terms)] if terms.listed else []),
        Disclosure(step, me, f"{_sums(contract, terms, me)}; {span}", "train.noise"),
    ]
    for name in terms.partners:
        sums = f"{_sums(contract, terms, name)}; {start}"
        found.append(Disclosure(step, name, sums, "train.noise"))
        found.append(Disclosure(step, name, folds, "train.folds"))
        if not terms.score_bits:
            wide = spread_words(contract, terms.partners, name)
            found.append(Disclosure(step, name, wide, "train.spread"))
    return found


def _label_words(contract: Contract, terms: TrainTerms) -> str:
    """What the units of a label that is a number say of it."""
    me = contract.receiver
    if classes(terms):
        largest = f"; how much {me}'s row that counts most does, to a power of two"
        return largest * weighted(terms)
    linear = terms.model == LINEAR.name
    far = " (its distance from the mean), and the standard deviation that its own columns leave"
    largest = f"{me}'s largest {terms.label}" + ", times its weight," * weighted(terms)
    return f"; how large {largest} is{far * linear}, to a power of two"


def _model_words(terms: TrainTerms) -> str:
    """Which model, where it is not the usual one."""
    return "" if classes(terms) else f", {MODELS[terms.model].words}"


def _partners(terms: TrainTerms) -> str:
    return " and ".join(terms.partners)


def _sums(contract: Contract, terms: TrainTerms, to: str) -> str:
    opened = opened_to(contract, terms, to)
    counts = ("some", "some") if opened is None else (opened.gradients, opened.products)
    gradients, products = (f"{n:,}" if isinstance(n, int) else n for n in counts)
    most = "up to " * (opened is not None)
    several = len(terms.partners) > 1
    noise = terms.partners[-1] if to == contract.receiver else contract.receiver
    lasting = ", and as much again that is the same in all evaluations"
    lasting *= terms.noise not in (AUTO, "0") and to != contract.receiver
    others = [name for name in (contract.receiver, *terms.partners) if name != to]
    added = " of each" if several and to == contract.receiver else ", added up" * several
    # a partner's columns are told to the receiver alone, and the receiver's to the last partner
    seen = others if to == contract.receiver else [contract.receiver] * (to == terms.partners[-1])
    has = "have" if len(seen) > 1 else "has"
    width = f"; how many columns {' and '.join(seen)} {has}, and of about how many values each"
    return (
        f"{most}{gradients} sums over the training rows, of its own columns, "
        f"{_noise(terms, noise)}{lasting}, and with them its own coefficients; {most}{products} "
        f"inner products of {' and '.join(others)}'s gradients and steps{added}, of 16 bits, with "
        "noise of their own where sums have any"
        f"{width * bool(seen)}"
    )


def _noise(terms: TrainTerms, other: str) -> str:
    if terms.noise == AUTO:
        return f"with noise of {other}'s from {MANY_ROWS:,} rows on, WITHOUT noise below"
    if terms.noise == "0":
        return "WITHOUT noise"
    return f"each with noise of {other}'s of {terms.noise} times the most that one row can add"


def _score_guard(terms: TrainTerms) -> str:
    one = len(terms.partners) == 1
    adds, tells = ("adds", "tells it") if one else ("add", "tell their sum")
    return (
        f"{_partners(terms)} {adds} fresh noise to the final score of a record, "
        f"2^-{terms.score_bits} of its standard deviation, and {tells} once: "
        f"{told_bits(terms.score_bits):.1f} bits a record at most in the mean, whatever is asked"
    )


def _support_guard(contract: Contract, terms: TrainTerms) -> str:
    return (
        f"{contract.receiver} and {_partners(terms)} refuse columns of their own in which fewer "
        "than 20 records differ from the most frequent value, fewer than four labelled records "
        "for each column of all, and uneven folds: no sum runs over a handful of records"
    )


def _trust_guard(contract: Contract, terms: TrainTerms) -> str:
    """What a party that lies reads: at best by columns of its choice, else by spoilt messages."""
    me, partners = contract.receiver, _partners(terms)
    several = len(terms.partners) > 1
    more = "about a bit of " + ("another partner's score" if several else f"{partners}'s score")
    columns = (
        f"{_aimed_bits(LIKE):.2g} bits at most of each, which is a flag or a category whole, and a "
        "bit more in each further evaluation that it spends on the record,"
    )
    if terms.noise == AUTO:
        aimed = (
            f"from {MANY_ROWS:,} rows on under the noise that the contract will state, else in full"
        )
        more += f", below {MANY_ROWS:,} rows in full"
        columns += f" below {MANY_ROWS:,} rows all,"
    elif terms.noise == "0":
        aimed, more = "in full", more.replace("about a bit of ", "") + " in full"
        columns = "all"
    else:
        folds = terms.folds, terms.fold_evaluations
        label = label_bits(float(terms.noise), *folds, linked(terms))
        own = label_bits(TERM * float(terms.noise), 0, 0, linked(terms))
        aimed = (
            f"of a score {_aimed_bits(float(terms.noise)):.2g} bits at most from each sum, of a "
            f"label {label:.2g} bits at most from all sums of a column and, by who knows all other "
            f"labels, {own:.2g} from inner products over each of {me}'s columns, under the noise"
        )
    enlarges = f"{me}, or a partner," if several else me
    more_records = ", and in the last one of another for each fold" if terms.folds else ""
    return (
        f"{me} and {partners} cannot check what the others' sums are of: one that does not run "
        "this software as it is may take columns that are zero but for one record, and learn from "
        f"its sums a label, or a score, of that record: {aimed}; {enlarges} may enlarge the "
        f"record's part in it too, and read {more}; off inner products either may so read, of "
        f"about one record in each evaluation{more_records}, {columns} of the other's columns. "
        "Nothing shows it, and columns, of which none is more than stated, add up: train with "
        "parties whose software you trust"
    )


def _together_guard(contract: Contract, terms: TrainTerms) -> str:
    each = "in full" if terms.noise == "0" else "moved at random, about a bit a record"
    each += f" (below {MANY_ROWS:,} rows in full)" * (terms.noise == AUTO)
    return (
        f"{contract.receiver} and one of {_partners(terms)} who put together what they see read "
        f"another partner's part of the score of every record at every evaluation, {each}: take "
        f"part only where {contract.receiver} and no other partner would"
    )


def _aimed_bits(noise: float) -> float:
    """The most that a number of at most 1 tells under this noise (Shannon 1948)."""
    return 0.5 * math.log2(1.0 + noise**-2)
