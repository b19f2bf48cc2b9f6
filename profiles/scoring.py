"""The label party's own model beside the joined one: what the partners' data is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from federated.binning import against_evidence
from federated.evaluation import Interval, auc_difference
from federated.steps.outcome import Carded, Grown, HiddenGrown, Trained
from federated.tables.encoding import Encoder
from profiles.alone import Alone
from profiles.leaks import LEAK, partners_part, telling_columns
from profiles.numbers_outputs import ended, measured_numbers
from profiles.reasons import score_reasons, true_zeros
from profiles.report.measured import (
    Importance,
    Model,
    OutOfTime,
    Scored,
    importance_of,
    paired_gain,
    scored,
)
from profiles.scorecard_outputs import card_reasons, card_shown
from profiles.trees_outputs import (
    coarse_scores,
    hidden_notes,
    trees_importance,
    trees_notes,
    trees_reasons,
    without_split,
)

__all__ = ["measured", "reasons"]


def measured(trained: Trained, alone: Alone, receiver: str, aligned: pa.Table) -> Model:
    """The joined model and the receiver's own on rows that they did not see; what moves the first.

    Its own are the same model and, where rows are enough, boosted trees: the better one is what the
    joined model is compared with. `aligned` holds the receiver's features of the aligned rows as
    they were read.
    """
    if not trained.model.classes:
        return measured_numbers(trained, alone, receiver, aligned)
    folded = bool((trained.folds >= 0).any())
    folds, label, seen = trained.folds if folded else None, trained.label, "on held-out folds"
    if trained.part_held_out:  # one part of them is held out, and nothing else measures
        folds, label = None, np.where(trained.folds >= 0, label, np.int8(-1))
        seen = f"on one of {trained.terms.folds} parts, held out: {int((label >= 0).sum()):,} rows"
    elif not folded:
        seen = "on the training rows: no folds were asked for"
    joined = trained.fold_scores if folded else trained.scores
    own = {f"{receiver} alone": alone.fold_scores}
    if alone.trees is not None:
        own[f"{receiver} alone, trees"] = alone.trees
    rows = trained.part_held_out  # no folds: an interval over rows
    alones = [scored(name, label, found, folds, by_rows=rows) for name, found in own.items()]
    alones.sort(key=lambda one: -one.mean_auc)
    before = alones[0]
    after = scored("joined", label, joined, folds, by_rows=rows)
    labelled = trained.label[trained.label >= 0]
    names = " and ".join(trained.terms.partners)
    leaks = telling_columns(aligned, aligned.column_names, trained.terms.label, trained.label)
    warnings = [f"{receiver}'s {one.column}: {one.words}." for one in leaks]
    apart = not isinstance(trained, HiddenGrown)  # whose parts of a score nobody can tell apart
    if after.mean_auc > LEAK and apart:  # and not only where many columns meet few rows
        warnings += filter(None, [partners_part(trained.label, trained.partners(), names)])
    warnings += coarse_scores(trained) if isinstance(trained, HiddenGrown) else ()
    if isinstance(trained, Carded):
        weights = trained.part.coefficients.tolist()
        warnings += filter(None, [against_evidence(trained.encoder, weights, trained.scale)])
    no_split = without_split(trained) if isinstance(trained, Grown) else ()
    importance: tuple[Importance, ...]
    if isinstance(trained, HiddenGrown):
        importance = ()
    elif isinstance(trained, Grown):
        importance = trees_importance(trained, receiver)
    else:
        partners = {names: (trained.partners(), trained.partner_columns)}
        columns = trained.own_matrix, trained.columns, trained.part
        importance = importance_of(receiver, *columns, partners)
    if isinstance(trained, Carded):  # evidence rises with its bin's, whatever the column holds
        importance = tuple(replace(one, direction=0) for one in importance)
    notes = _notes(trained)
    return Model(
        task=trained.terms.task,
        model=trained.model.words,
        scores=(*alones, after),
        rows=len(labelled),
        positives=int(labelled.sum()),
        evaluation=seen,
        importance=importance,
        gain=paired_gain(before, after),
        out_of_time=_out_of_time(trained, alone, receiver),
        gain_rows=_gain_rows(trained, joined, own[before.name]),
        notes=(*notes, *ended(trained)),
        warnings=(*warnings, *no_split),
        no_split=bool(no_split),
        card=card_shown(trained) if isinstance(trained, Carded) else None,
    )


def _notes(trained: Trained) -> tuple[str, ...]:
    """Sentences beneath the model."""
    if isinstance(trained, HiddenGrown):
        return hidden_notes(trained)
    return trees_notes(trained) if isinstance(trained, Grown) else trained.encoder.notes


def _out_of_time(trained: Trained, alone: Alone, receiver: str) -> OutOfTime | None:
    """Both models on the shared rows of the validation period, which none was trained on."""
    terms, held = trained.terms, trained.later[trained.later >= 0]
    if not terms.time:
        return None
    both: tuple[Scored, ...] = ()
    if len(np.unique(held)) == 2:  # which rows are shared is known after the contract only
        both = (
            scored(f"{receiver} alone", trained.later, alone.aligned),
            scored("joined", trained.later, trained.scores),
        )
    return OutOfTime(
        column=terms.time,
        day=terms.validate_from,
        rows=len(held),
        positives=int(held.sum()),
        scores=both,
    )


def _gain_rows(trained: Trained, joined: np.ndarray, own: np.ndarray) -> Interval:
    """Over all rows with a label, in their folds where there are any."""
    held = trained.label >= 0
    if (trained.folds >= 0).any():
        held &= trained.folds >= 0
    return auc_difference(trained.label[held], joined[held], own[held])


def own_reasons(trained: Trained, alone: Alone) -> pa.Array:
    """The same of the receiver's own model, for every row: where no joined score is told."""
    zeros = true_zeros(trained.encoder) if isinstance(trained.encoder, Encoder) else {}
    return score_reasons(alone.matrix, trained.columns, alone.part, zeros=zeros)


def reasons(trained: Trained, alone: Alone, table: pa.Table, rows: np.ndarray) -> pa.Array:
    """For every row of the receiver's `table` the largest contributions in words.

    Shared rows have the joined model's, with the partners as one; the others have those of
    the receiver's own model.
    """
    names = " and ".join(trained.terms.partners)
    zeros = true_zeros(trained.encoder) if isinstance(trained.encoder, Encoder) else {}
    aligned = table.take(pa.array(rows))
    if isinstance(trained, HiddenGrown):  # which columns moved a row's score nobody knows
        joined = pa.array([[]] * len(rows), pa.list_(pa.string()))
    elif isinstance(trained, Grown):
        joined = trees_reasons(trained, aligned)
    elif isinstance(trained, Carded):
        joined = card_reasons(
            trained.encoder,
            trained.own_matrix,
            trained.part,
            trained.average,
            {names: trained.partners()},
            aligned,
        )
    else:
        columns = trained.own_matrix, trained.columns, trained.part
        partners = {names: trained.partners()}
        joined = score_reasons(*columns, partners, zeros=zeros, average=trained.average)
    if isinstance(trained, Carded):
        mean = alone.matrix.mean(axis=0) if len(alone.matrix) else np.zeros(alone.part.width)
        own = card_reasons(trained.encoder, alone.matrix, alone.part, mean, table=table)
    else:
        own = score_reasons(alone.matrix, trained.columns, alone.part, zeros=zeros)
    place = np.arange(table.num_rows)
    place[rows] = table.num_rows + np.arange(len(rows))
    return pa.concat_arrays([own, joined]).take(pa.array(place))
