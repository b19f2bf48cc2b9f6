"""Rows are scored by a model that was trained before and that each party kept its part of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from federated.contract.cost import Estimate, Rates
from federated.contract.kinds.counted import (
    A_COUNTED_ROW,
    list_estimate,
    spread_limit,
    widths,
)
from federated.contract.kinds.kind import Kind
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
from federated.contract.kinds.train import LONGEST_TASK
from federated.contract.parts import Disclosure, FeatureTerms, Release
from federated.contract.rows import FLOOR, joined_rows
from federated.regression import FINEST_SCORES, told_bits
from federated.regression.plan import MOST_PARTNERS
from federated.scoring.model_file import is_id
from federated.trees.plan import MOST_DEPTH, MOST_TREES
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["Score", "ScoreTerms", "features_of", "part_guard", "row_bits_of", "score_words"]

_LEVEL = 2 * (4 * 6 + 8 + 2)
"""Bytes of a row and level of trees, both ways; twice what they take."""


@dataclass(frozen=True, kw_only=True)
class ScoreTerms:
    """Scores by `model`, whose `task` it was, for the receiver; partners in the model's order.

    `features` are the columns that the parts take. Of a regression a partner tells each row's part
    in steps of which `score_bits` says the width; of trees one bit a row on `row_bits` levels: one
    of the two is 0. Of trees that tell nothing, `trees` of them of a `depth`, `score_bits` bits of
    the score are told; both are 0 of any other model. The parts' hashes are in the parties' terms.
    `listed`: of a regression a bit a row is told in the place of a score, whether it is on a list
    of this length, and with `listed_bits` the score of those on it (`kinds.listed`); 0: no list.
    """

    task: str
    model: str
    partners: tuple[str, ...]
    features: tuple[FeatureTerms, ...]
    score_bits: int = 0
    row_bits: int = 0
    trees: int = 0
    depth: int = 0
    listed: int = 0
    listed_bits: int = 0


class Score(Kind[ScoreTerms]):
    """The receiver learns its rows' scores; each party takes its own part from its own store."""

    name = "score"
    joined = True

    def terms(self, contract: Contract) -> Sequence[ScoreTerms]:
        return [terms for terms in contract.score if not terms.trees]

    def partners(self, terms: ScoreTerms) -> Sequence[str]:
        return terms.partners

    def check(self, contract: Contract) -> None:
        for terms in contract.score:  # of both kinds
            check_score(contract, terms)
        tasks = [terms.task for terms in contract.score]
        if len(set(tasks)) < len(tasks):
            raise PeerError("a contract scores one task twice")
        for party in contract.parties:
            if party.parts and len(party.parts) != len(contract.score):
                raise PeerError("a party names parts of other models than the contract scores by")
            for terms, digest in zip(contract.score, party.parts, strict=False):
                member = party.name in (contract.receiver, *terms.partners)
                if member != bool(digest) or (digest and not _is_digest(digest)):
                    raise PeerError("a party names a model's part that it cannot have, or none")

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in self.terms(contract):
            for chosen in terms.features:
                if chosen.party == party:
                    yield "feature", chosen.columns

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        me = contract.receiver
        for terms in self.terms(contract):
            step, partners = f"score {terms.task}", " and ".join(terms.partners)
            if terms.listed:
                wide = f"how wide {partners}'s {widths(terms.partners)}"
                yield Disclosure(step, me, wide, "train.spread")
                for name in terms.partners:
                    wide = spread_words(contract, terms.partners, name)
                    yield Disclosure(step, name, wide, "train.spread")
                yield listed_words(contract, terms)
                learns = f"of records of {me} nothing"
            elif terms.row_bits:
                for name in terms.partners:
                    yield Disclosure(
                        step,
                        me,
                        f"for each shared record on which side of {name}'s split it lies, one bit "
                        f"on each of {terms.row_bits} levels of trees at most, which tell the "
                        "score",
                        "score.row_bits",
                    )
                learns = f"on how many levels of trees its splits stand; of records of {me} nothing"
            else:
                summed = " (their sum only)" * (len(terms.partners) > 1)
                yield Disclosure(
                    step,
                    me,
                    f"for each shared record one number, {partners}'s part of the score{summed} in "
                    f"steps: {told_bits(terms.score_bits):.1f} bits a record at most in the mean; "
                    "the same for a record that has not changed; how wide a step is",
                    "score.score_bits",
                )
                learns = f"of records of {me} nothing"
                learns += "; how wide the others' steps are" * (len(terms.partners) > 1)
            for name in terms.partners:
                yield Disclosure(step, name, learns, "score.model")

    def words(self, contract: Contract) -> Iterator[str]:
        for terms in self.terms(contract):
            yield score_words(contract, terms) + listed_end(terms)

    def guards(self, contract: Contract) -> Iterator[str]:
        for terms in self.terms(contract):
            yield part_guard(terms)
            if terms.listed:
                yield list_guard(contract, terms)
                yield from joined_guard(contract, terms)
            elif terms.row_bits:
                for name in terms.partners:
                    yield (
                        f"{name} tells one bit of a record on each level, whatever "
                        f"{contract.receiver} asks, and {terms.row_bits} at most"
                    )
            else:
                yield (
                    f"{contract.receiver} sends nothing in this step: whatever it does, it gets "
                    f"each record's step and no more; a record far from the mean is told as eight "
                    "deviations from it"
                )

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for terms in self.terms(contract):
            columns = features_of(terms, party)
            if party in terms.partners:
                yield Release(
                    step=f"score/{terms.task}",
                    columns=columns,
                    bits=row_bits_of(terms),
                    vectors=int(not (terms.row_bits or terms.listed)),
                    known=contract.known,
                    rounded=True,
                    instead=tuple(instead_of_list(terms, 0.0)) if terms.listed else (),
                )

    def limit(self, contract: Contract, step: str) -> int | None:
        for terms in self.terms(contract):
            rows = joined_rows(contract, terms.partners)
            if terms.listed and step == f"listed/{terms.task}/spread":
                return spread_limit(terms.partners, rows)
            if (found := list_limit(terms, step, rows, A_COUNTED_ROW)) is not None:
                return found
            if step == f"score/{terms.task}" and not terms.listed:
                a_row = 16 + _LEVEL * terms.row_bits * len(terms.partners)
                return FLOOR + rows * a_row
        return None

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        for terms in self.terms(contract):
            rows = joined_rows(contract, terms.partners)
            if terms.listed:
                yield list_estimate(rates, rows, terms)
                continue
            levels = terms.row_bits * len(terms.partners)
            told = 8.0 * len(terms.partners) + _LEVEL / 2 * levels
            seconds = rows * (2 + 40 * levels) * rates.align().tag
            memory = rows * (40.0 + 64.0 * levels)
            yield Estimate(seconds, memory, rows * told, 1.0 + MOST_DEPTH * bool(terms.row_bits))


def row_bits_of(terms: ScoreTerms) -> float:
    """Bits of a row that its score tells at most, in the mean of rows as those trained on."""
    if terms.listed:
        return list_bits(terms)
    return float(terms.row_bits) if terms.row_bits else told_bits(terms.score_bits)


def score_words(contract: Contract, terms: ScoreTerms) -> str:
    """By which model, and which columns, rows are scored."""
    return (
        f"{contract.receiver} and {' and '.join(terms.partners)} score the shared records "
        f"by model {terms.model} of '{terms.task}', of which each has its own part: by "
        f"{'; '.join(_columns(one) for one in terms.features)}{_hashes(contract, terms)}"
    )


def part_guard(terms: ScoreTerms) -> str:
    """What each party looks at before anything is told."""
    return (
        f"each party takes its part from its own store and refuses before anything is "
        f"aligned if the part, or the types of its columns, are not those of model "
        f"{terms.model}"
    )


def features_of(terms: ScoreTerms, party: str) -> tuple[str, ...]:
    """The columns of a party that its part takes."""
    return next((one.columns for one in terms.features if one.party == party), ())


def _columns(chosen: FeatureTerms) -> str:
    return f"{chosen.party}'s {', '.join(chosen.columns)}"


def _hashes(contract: Contract, terms: ScoreTerms) -> str:
    """The parts that parties have named, once they have."""
    at = contract.score.index(terms)
    named = [(p.name, p.parts[at]) for p in contract.parties if len(p.parts) > at and p.parts[at]]
    told = ", ".join(f"{name} {digest[:16]}" for name, digest in named)
    return f" (parts: {told})" if told else ""


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def check_score(contract: Contract, terms: ScoreTerms) -> None:
    """Raise `PeerError` unless the terms of a scoring are whole."""
    if not is_id(terms.model):
        raise PeerError("a scoring names no model: 16 hexadecimal digits")
    if not terms.task or "/" in terms.task or len(terms.task.encode()) > LONGEST_TASK:
        raise PeerError("a scoring names no task, or one with a slash or a long name")
    most = 1 if terms.trees else MOST_PARTNERS
    if not 1 <= len(set(terms.partners)) == len(terms.partners) <= most:
        raise PeerError(f"a scoring with {len(terms.partners)} partners, 1 to {most} allowed")
    named = [one.party for one in terms.features]
    if len(set(named)) < len(named) or not set(named) <= {contract.receiver, *terms.partners}:
        raise PeerError("a scoring names columns of a party that has no part in it, or twice")
    if not all(features_of(terms, name) for name in terms.partners):
        raise PeerError("a scoring names a partner that brings no column to it")
    if bool(terms.score_bits) + bool(terms.row_bits) + bool(terms.listed) != 1:
        raise PeerError(
            "a scoring tells steps (score_bits), sides of splits (row_bits) or who is on a list"
        )
    check_listed(terms)
    if terms.listed and terms.task in [one.task for one in contract.train]:
        raise PeerError("a list by a kept model, and a training, of one task")
    if terms.score_bits > FINEST_SCORES or terms.row_bits > MOST_TREES * MOST_DEPTH:
        raise PeerError(f"a scoring of more than {FINEST_SCORES} score_bits, or of too many levels")
    if any(contract.joins(name) for name in terms.partners):
        raise PeerError('a scoring takes each record once: duplicates = "join" found')
