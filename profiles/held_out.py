"""Scores from models that did not see the row: what metrics rest on, row by row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from federated.steps.outcome import Outcome
from profiles.alone import Alone
from profiles.job import Job
from profiles.own_table import entity_column

__all__ = ["held_out_notes", "held_out_scores"]


def held_out_scores(
    outcome: Outcome,
    alone: Mapping[str, Alone],
    facts: pa.Table,
    job: Job,
    admitted: np.ndarray | None = None,
) -> pa.Table | None:
    """`task`, `entity`, `fold`, `label`, `joined`, `own`, `own_trees`, `out_of_time`, by task, of
    every shared row with a label that has a fold or is from the validation period.

    Args:
        outcome: the receiver's.
        alone: by task, its own models with the same folds.
        facts: all rows of the receiver, the entity's column among them.
        job: names that column.
        admitted: bool[rows of `facts`], who may be in outputs; None: all.

    Returns: None where no training has folds or a validation period.
    """
    entities, parts = facts.column(entity_column(job)), []
    numbers = any(not trained.model.classes for trained in outcome.trained)
    for trained in outcome.trained:
        later = trained.known_later
        there = (trained.folds >= 0) | later
        if admitted is not None:
            there &= admitted[outcome.rows]
        held = np.flatnonzero(there)
        if not len(held):
            continue
        late, own = later[held], alone[trained.terms.task]
        joined = np.where(late, trained.scores[held], trained.fold_scores[held])
        label = np.where(late, trained.later[held], trained.label[held])
        parts.append(
            pa.table(
                {
                    "task": pa.array([trained.terms.task]).take(pa.array(np.zeros(len(held), int))),
                    "entity": entities.take(pa.array(outcome.rows[held])),
                    "fold": pa.array(trained.folds[held] + 1, pa.int16(), mask=late),
                    "label": pa.array(label, pa.float64() if numbers else pa.int8()),
                    "joined": pa.array(joined),
                    "own": pa.array(np.where(late, own.aligned[held], own.fold_scores[held])),
                    "own_trees": _trees(own, held),
                    "out_of_time": pa.array(late),
                }
            )
        )
    return pa.concat_tables(parts) if parts else None


def _trees(own: Alone, held: np.ndarray) -> pa.Array:
    """Empty where there are none, and out of time, which they do not score."""
    scores = np.full(len(held), np.nan) if own.trees is None else own.trees[held]
    return pa.array(scores, mask=np.isnan(scores))


def held_out_notes(job: Job) -> dict[str, str]:
    """What the columns are, by name."""
    return {
        "task": "the training",
        "entity": f"{entity_column(job)} of {job.party(job.receiver).table}",
        "fold": "the part that this row's models were not trained on, from 1; none out of time",
        "label": "1: the outcome, 0: not; of a model of numbers the number",
        "joined": "prediction by the joined model of the other folds, or of all: out of time",
        "own": f"prediction by {job.receiver}'s own model of the other folds; likewise",
        "own_trees": (
            f"prediction by {job.receiver}'s own boosted trees of the other folds, with which the "
            "joined model is compared where they are better; empty where none were grown, and out "
            "of time"
        ),
        "out_of_time": "from the validation period: in no model's training rows",
    }
