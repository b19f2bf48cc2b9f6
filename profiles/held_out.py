"""Scores from models that did not see the row: what metrics rest on, row by row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from federated.steps.outcome import Outcome
from profiles.job import Job
from profiles.own_table import entity_column
from profiles.scoring import Alone

__all__ = ["held_out_notes", "held_out_scores"]


def held_out_scores(
    outcome: Outcome,
    alone: Mapping[str, Alone],
    facts: pa.Table,
    job: Job,
    admitted: np.ndarray | None = None,
) -> pa.Table | None:
    """`task`, `entity`, `fold`, `label`, `joined`, `own` of every labelled shared row, by task.

    Args:
        outcome: the receiver's.
        alone: by task, its own models with the same folds.
        facts: all rows of the receiver, the entity's column among them.
        job: names that column.
        admitted: bool[rows of `facts`], who may be in outputs; None: all.

    Returns: None where no training has folds.
    """
    entities, parts = facts.column(entity_column(job)), []
    for trained in outcome.trained:
        there = trained.folds >= 0
        if admitted is not None:
            there &= admitted[outcome.rows]
        held = np.flatnonzero(there)
        if not len(held):
            continue
        own = alone[trained.terms.task].fold_scores[held]
        parts.append(
            pa.table(
                {
                    "task": pa.array([trained.terms.task]).take(pa.array(np.zeros(len(held), int))),
                    "entity": entities.take(pa.array(outcome.rows[held])),
                    "fold": pa.array(trained.folds[held] + 1, pa.int16()),
                    "label": pa.array(trained.label[held], pa.int8()),
                    "joined": pa.array(trained.fold_scores[held]),
                    "own": pa.array(own),
                }
            )
        )
    return pa.concat_tables(parts) if parts else None


def held_out_notes(job: Job) -> dict[str, str]:
    """What the columns are, by name."""
    return {
        "task": "the training",
        "entity": f"{entity_column(job)} of {job.party(job.receiver).table}",
        "fold": "the part that the models of this row were not trained on, from 1",
        "label": "1: the outcome, 0: not",
        "joined": "probability by the joined model of the other folds",
        "own": f"probability by {job.receiver}'s own model of the other folds",
    }
