"""Rows are scored by a kept model, at one party."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from federated.contract.parts import FeatureTerms
from federated.contract.terms import Contract, ScoreTerms
from federated.hidden_trees import HiddenFeatureModel, HiddenLabelModel
from federated.ledger.listing import releases_of
from federated.releases.told_scores import ToldScores
from federated.scoring.fixed import FRACTION_BITS, levels_of
from federated.scoring.model_file import FEATURE, LABEL, ModelPart
from federated.scoring.paths import PathPartner, PathReceiver
from federated.scoring.store import ModelStore
from federated.scoring.sums import SumPartner, SumReceiver
from federated.steps.list_rows import hear_list, tell_list
from federated.steps.outcome import Scored
from federated.steps.score_parts import hear_parts, tell_parts
from federated.steps.step import Step
from federated.steps.work import Work
from federated.trees import FeatureModel, LabelModel
from psi.protocol import PeerError, Refused

__all__ = ["Score", "stated_parts", "told_of"]


def stated_parts(
    contract: Contract, party: str, table: pa.Table, models: ModelStore | None
) -> tuple[str, ...]:
    """The hashes of a party's parts, which it states before anything is signed.

    Raises:
        Refused: it keeps no such model, or the contract asks for another model, other columns or
            other types than its part has.
        MisuseError: its part is of another version.
    """
    found = []
    for terms in contract.score:
        member = party in (contract.receiver, *terms.partners)
        part = _part(contract, terms, party, models) if member else None
        if part is not None:
            part.check_columns(table, contract.party(party).table)
        found.append(part.digest if part is not None else "")
    return tuple(found)


def _part(
    contract: Contract, terms: ScoreTerms, party: str, models: ModelStore | None
) -> ModelPart:
    """A party's part of the model that a contract scores by. Raises as `stated_parts`."""
    if models is None or not models.has(terms.model):
        raise Refused(
            f"{party} keeps no part of model {terms.model} of '{terms.task}'",
            hint="fedprofile model ls shows what a party keeps; a model is scored by whoever "
            "trained it",
        )
    part = models.read(terms.model)
    side = LABEL if party == contract.receiver else FEATURE
    asked = (terms.task, contract.receiver, terms.partners, party, side)
    kept = (part.task, part.receiver, part.partners, part.party, part.side)
    if asked != kept:
        raise Refused(
            f"model {part.id} at {party} is of '{part.task}' for {part.receiver} with "
            f"{' and '.join(part.partners)}; '{terms.task}' for {contract.receiver} with "
            f"{' and '.join(terms.partners)} asked"
        )
    shape = _hidden_shape(part)
    if shape != (terms.trees, terms.depth):
        said = "neither" if shape == (0, 0) else f"trees = {shape[0]}, depth = {shape[1]}"
        raise Refused(
            f"model {part.id} is of {shape[0] or 'no'} trees that tell nothing, {terms.trees} of "
            f"depth {terms.depth} asked",
            hint=f"[[score]] says {said} of it",
        )
    sides = part.boosted and not part.hidden
    if bool(terms.row_bits) != sides:
        wanted = "row_bits" if sides else "score_bits"
        raise Refused(f"model {part.id} is {part.answers.words}: [[score]] says {wanted} of it")
    if sides and part.told > terms.row_bits:
        raise Refused(
            f"model {part.id} has splits of a partner's on {part.told} levels, "
            f"row_bits = {terms.row_bits} asked",
            hint=f"row_bits = {part.told}",
        )
    for one in terms.features:
        _check_features(part, one)
    return part


def _hidden_shape(part: ModelPart) -> tuple[int, int]:
    """Trees that tell nothing, and their depth; 0 of any other model."""
    trees = part.trees
    if not isinstance(trees, HiddenLabelModel | HiddenFeatureModel):
        return 0, 0
    return trees.trees, trees.depth


def _check_features(part: ModelPart, asked: FeatureTerms) -> None:
    """Each party brings the columns that it brought to the training, as far as both know."""
    trained = set(part.of(asked.party).features)
    odd = sorted(trained.symmetric_difference(asked.columns))
    if odd:
        what = "asked, which it was not trained on" if odd[0] not in trained else "not asked"
        raise Refused(
            f"model {part.id} of '{part.task}': {asked.party}'s column {odd[0]!r} is {what}",
            hint=f"it takes {', '.join(part.of(asked.party).features)} of {asked.party}",
        )


class Score(Step):
    """Each scoring is a step; by trees that tell nothing, `federated.steps.score_hidden`."""

    hidden: ClassVar[bool] = False

    def __init__(self, work: Work) -> None:
        self._work = work

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        """What it needs hangs on the party's part of the model: see `stated_parts`."""

    def run(self) -> None:
        work = self._work
        for place, terms in enumerate(work.contract.score):
            if bool(terms.trees) != self.hidden or not work.takes_part_in(terms.partners):
                continue
            part = _part(work.contract, terms, work.me.name, work.models)
            if part.digest != work.me.parts[place]:
                raise PeerError(f"model {part.id} is another than the contract names")
            if work.receives:
                told = self._receiver(terms, part)
            else:
                told = self._partner(terms, part)
            work.disclosed(f"score {terms.task}", rows=len(work.outcome.rows), **told)

    def _receiver(self, terms: ScoreTerms, part: ModelPart) -> dict[str, int]:
        work, step, table = self._work, f"score/{terms.task}", self._work.aligned()
        context, count = work.session.context(step), table.num_rows
        if terms.listed:
            found = self._listed(terms, part)
        elif isinstance(part.trees, LabelModel):
            forest, bins = part.trees.forest, part.trees.binning.transform(table)
            paths = PathReceiver(context, terms.partners, part.trees, bins, count)
            ends = work.run(step, paths, terms.partners)
            moved = forest.moved(ends)
            scores = np.full(count, forest.base)
            for tree, places in zip(forest.trees, ends, strict=True):
                scores += tree.value[places]
            theirs = moved[:, len(bins) :].sum(axis=1)
            found = Scored(terms=terms, part=part, scores=scores, partners=theirs, moved=moved)
        else:
            role = SumReceiver(context, terms.partners, count)
            theirs = work.run(step, role, terms.partners)
            scores = np.ldexp((part.fixed(table) + theirs).astype(np.float64), -FRACTION_BITS)
            partners = np.ldexp(theirs.astype(np.float64), -FRACTION_BITS)
            found = Scored(terms=terms, part=part, scores=scores, partners=partners)
        self._keep(found)
        return told_of(terms)

    def _listed(self, terms: ScoreTerms, part: ModelPart) -> Scored:
        """Who is on a list, and no score but of those on it."""
        work, step = self._work, f"listed/{terms.task}/spread"
        own = np.ldexp(part.fixed(work.aligned()).astype(np.float64), -FRACTION_BITS)
        middle = float(own.mean())
        parts = hear_parts(work, step, terms.partners, own - middle)
        told = hear_list(work, terms, parts, middle)
        partners = np.full(len(own), float(part.card.get("partners_mean", 0.0)))
        if told.scores is not None:  # the partner's part there is less its mean in training
            partners += np.where(told.listed, told.scores - own, 0.0)
        return Scored(terms=terms, part=part, scores=own + partners, partners=partners, told=told)

    def _tell_listed(self, terms: ScoreTerms, part: ModelPart) -> None:
        """The partner's part of it. All rows are booked: it sees nobody's question."""
        work, step = self._work, f"listed/{terms.task}/spread"
        work.reserve(f"score/{terms.task}")
        own = np.ldexp(part.fixed(work.aligned()).astype(np.float64), -FRACTION_BITS)
        own -= part.of_part.mean
        parts = tell_parts(work, step, terms.partners, own, part.of_part.deviation)
        if parts is not None:
            tell_list(work, terms, parts, part.of_part.deviation)

    def _keep(self, found: Scored) -> None:
        """For the receiver's outputs, with who has released the model."""
        released = releases_of(self._work.session.ledger_file, found.part.id)
        self._work.outcome.scored.append(replace(found, released=released))

    def _partner(self, terms: ScoreTerms, part: ModelPart) -> dict[str, int]:
        work, step, table = self._work, f"score/{terms.task}", self._work.aligned()
        receiver, context = work.contract.receiver, work.session.context(step)
        if terms.listed:
            self._tell_listed(terms, part)
            return told_of(terms)
        if isinstance(part.trees, FeatureModel):
            work.reserve(step)
            sides = part.trees.sides(table)
            paths = PathPartner(context, receiver, part.trees, sides, terms.row_bits)
            work.run(step, paths, [receiver])
            return told_of(terms)
        scores, shift = part.fixed(table), part.shift(terms.score_bits)
        mean, deviation = part.of_part.mean, part.of_part.deviation
        levels = levels_of(scores, shift, mean, deviation)
        # of several partners the width of steps hangs on the others: what is told is not known here
        alone = terms.partners == (work.me.name,)
        work.reserve(step, scores=_kept(terms, part, levels) if alone else None)
        role = SumPartner(
            context, receiver, terms.partners, scores, shift=shift, mean=mean, deviation=deviation
        )
        others = [name for name in terms.partners if name != work.me.name]
        work.run(step, role, [receiver, *others])
        return told_of(terms)


def _kept(terms: ScoreTerms, part: ModelPart, levels: np.ndarray) -> ToldScores:
    """What is told of each row, to be held against what was told before."""
    about = f"{part.digest} {terms.score_bits}".encode()
    return ToldScores(hashlib.sha256(about).digest(), levels)


def told_of(terms: ScoreTerms) -> dict[str, int]:
    """For the ledger."""
    bits = {"score_bits": terms.score_bits, "row_bits": terms.row_bits, "listed": terms.listed}
    return {name: value for name, value in bits.items() if value}
