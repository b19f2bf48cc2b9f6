"""One model over rows that are at different parties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from federated.contract.kinds.kind import Kind
from federated.contract.kinds.train import TrainTerms, check_train
from federated.contract.parts import Disclosure, Release
from federated.contract.rows import FLOOR
from federated.horizontal import Plan
from federated.horizontal.plan import BINS
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["HORIZONTAL_STEPS", "TrainHorizontal"]

HORIZONTAL_STEPS = 6
"""Steps where the draft leaves them open."""
_MOST_ROUNDS = 20
"""Steps, and folds."""


class TrainHorizontal(Kind[TrainTerms]):
    """Every party's rows answer the receiver's questions under masks, with noise."""

    name = "train"

    def terms(self, contract: Contract) -> Sequence[TrainTerms]:
        return [terms for terms in contract.train if terms.split == "horizontal"]

    def partners(self, terms: TrainTerms) -> Sequence[str]:
        return terms.partners

    def check(self, contract: Contract) -> None:
        for terms in self.terms(contract):
            check_train(terms)
            if terms.evaluations or terms.fold_evaluations or terms.noise:
                raise PeerError("a training whose rows are split has steps, and no evaluations")
            if terms.features:
                raise PeerError("a training whose rows are split takes the parties' features, all")
            if max(terms.steps, terms.folds) > _MOST_ROUNDS:
                raise PeerError(
                    f"more than {_MOST_ROUNDS} steps or folds of a training in the contract"
                )

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in self.terms(contract):
            yield "feature", contract.party(party).features
            yield "label", [terms.label]

    def completed(self, contract: Contract) -> Contract:
        train = tuple(
            replace(t, steps=t.steps or HORIZONTAL_STEPS) if t.split == "horizontal" else t
            for t in contract.train
        )
        return replace(contract, train=train)

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        for terms in self.terms(contract):
            yield from _horizontal(terms)

    def words(self, contract: Contract) -> Iterator[str]:
        for terms in self.terms(contract):
            yield (
                f"all parties train '{terms.task}' on their own rows in "
                f"{terms.steps or HORIZONTAL_STEPS} steps; {contract.receiver} sees each one's "
                "sums under a mask, and their total"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        for terms in self.terms(contract):
            yield _pooled_guard(terms)

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        mine = contract.party(party)
        for terms in self.terms(contract):
            if party != contract.receiver:
                columns = tuple(dict.fromkeys([*mine.features, terms.label]))
                bits = float(terms.row_bits)
                yield Release(step=f"train/{terms.task}", columns=columns, bits=bits, known=False)

    def limit(self, contract: Contract, step: str) -> int | None:
        width = max(len(party.features) for party in contract.parties) + 2
        for terms in self.terms(contract):
            rounds = range(Plan(0, terms.folds, terms.steps).rounds)
            names = {f"train/{terms.task}/{last}" for last in ("model", *rounds)}
            if step in names:
                return FLOOR + 16 * (terms.folds + 1) * (width * width + 2 * BINS)
        return None


def _horizontal(terms: TrainTerms) -> list[Disclosure]:
    steps = terms.steps or HORIZONTAL_STEPS
    told = (
        "the model, and sums over all parties' rows (positives, values, squares, products, scores "
        f"by label, and gradients in each of {steps} steps), each under noise of every party's "
        f"own: together at most {_bits(terms)} of any row, also to a receiver that asks "
        "what it likes; how many rows have a label"
    )
    return [Disclosure(f"train {terms.task}", "every party", told, "train.row_bits")]


def _bits(terms: TrainTerms) -> str:
    """ "1 bit", "4 bits": the most that all sums of a training whose rows are split tell."""
    return f"{terms.row_bits} {'bit' if terms.row_bits == 1 else 'bits'}"


def _pooled_guard(terms: TrainTerms) -> str:
    return (
        f"every party bounds what one of its rows adds to the sums of '{terms.task}' and adds noise"
        f" in proportion: all sums together tell at most {_bits(terms)} of a row, whatever "
        "is asked and whoever colludes; it answers nothing that fewer than 20 of its rows decide"
    )
