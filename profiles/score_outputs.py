"""What the receiver is left with of rows that were scored by a kept model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from federated.binning import EvidenceEncoder
from federated.contract.kinds.listed import Listing, list_bits
from federated.scoring.spread import evened
from federated.steps.outcome import Outcome, Scored, ToldList
from federated.trees import LabelModel
from profiles.profile import spread
from profiles.reasons import score_reasons, true_zeros
from profiles.scorecard_outputs import card_reasons
from profiles.trees_outputs import path_reasons

__all__ = [
    "MUCH",
    "SOME",
    "average_note",
    "list_metrics",
    "release_note",
    "score_metrics",
    "score_note",
    "scored_points",
]
__all__ += ["scored_rows", "unlike_notes"]

SOME, MUCH = 0.1, 0.25
"""Population stability from which on something, and much, has moved (Siddiqi 2006)."""
WORTH_A_WORD = 0.01
"""Of rows with a value that training had next to none of: fewer are in metrics alone."""


def scored_rows(
    outcome: Outcome, total: int, table: pa.Table
) -> tuple[dict[str, np.ndarray], dict[str, pa.Array]]:
    """Chances of all rows of the receiver's `table`, NaN where not shared, and reasons by task."""
    scores, why, rows = {}, {}, outcome.rows
    aligned = table.take(pa.array(rows))
    for scored in outcome.scored:
        task = scored.terms.task
        scores[task] = spread(scored.part.answers.predict(scored.scores), rows, total)
        found = np.full(total, -1, np.int64)
        found[rows] = np.arange(len(rows))
        place = pa.array(found, mask=found < 0)
        why[task] = _reasons(scored, aligned).take(place)
    return scores, why


def scored_points(outcome: Outcome, total: int) -> dict[str, np.ndarray]:
    """By task of a scorecard points on the scale of its training: `float64[total]`, NaN: none."""
    found = {}
    for scored in outcome.scored:
        if scored.part.scale is not None and scored.told is None:
            points = scored.part.scale.of(scored.scores)
            found[scored.terms.task] = spread(points, outcome.rows, total)
    return found


def _reasons(scored: Scored, aligned: pa.Table) -> pa.Array:
    """Own columns by name and value; the partners' part as one, which the score itself tells. Each
    is held against the training's average, which the part has kept, whoever else is scored.

    None of trees that tell nothing: which columns moved a row's score nobody knows.
    """
    if scored.part.hidden:
        return pa.array([[]] * len(scored.scores), pa.list_(pa.string()))
    part, names = scored.part, " and ".join(scored.terms.partners)
    average = np.array(part.card.get("average", []), np.float64)  # of an old part none
    if isinstance(part.trees, LabelModel) and scored.moved is not None:
        bins = part.trees.binning.transform(aligned)
        moved = scored.moved - average if len(average) else scored.moved
        return path_reasons(part.trees.binning.columns, bins, moved, scored.terms.partners, aligned)
    assert part.encoder is not None  # noqa: S101  a regression has both
    assert part.linear is not None  # noqa: S101
    matrix, columns = part.encoder.transform(aligned)
    theirs = scored.partners - float(part.card.get("partners_mean", 0.0))
    average = average if len(average) else np.zeros(len(columns))
    if isinstance(part.encoder, EvidenceEncoder):
        return card_reasons(part.encoder, matrix, part.linear, average, {names: theirs}, aligned)
    return score_reasons(
        matrix,
        list(columns),
        part.linear,
        {names: theirs},
        zeros=true_zeros(part.encoder),
        average=average,
    )


def list_metrics(told: ToldList, terms: Listing) -> dict[str, Any]:
    """How many rows were asked about, and how many are told to be on the list."""
    return {
        "asked": int(told.asked.sum()),
        "told": int(told.listed.sum()),
        "noise": told.noise,
        "score_bits": terms.listed_bits,
        "row_bits": round(list_bits(terms), 4),
    }


def score_metrics(outcome: Outcome, table: pa.Table) -> dict[str, Any]:
    """By task: which model, how many rows, how far columns and scores have moved since training."""
    aligned = table.take(pa.array(outcome.rows))
    return {scored.terms.task: _metrics(scored, aligned) for scored in outcome.scored}


def score_note(task: str, said: Mapping[str, Any]) -> str:
    """A sentence of the report, from `score_metrics` of one task."""
    text = f"{task} is scored by model {said['model']}: {said['rows']:,} shared records"
    if found := said.get("list"):
        text = (
            f"Who is on the list of {task} was told by model {said['model']}, one bit a row: "
            f"{found['told']:,} of the {found['asked']:,} shared records that were asked about"
        )
    if not said["moved"]:
        return f"{text}, and no column has moved much since its training."
    what = " and ".join(said["moved"])
    return (
        f"{text}. Moved since its training (population stability of .25 or more): {what}. Look "
        "before the scores are used."
    )


def release_note(task: str, said: Mapping[str, Any]) -> str:
    """A sentence on who has released the model; "" where no policy asks for that."""
    if not said.get("released"):
        return ""
    who = " and ".join(one["by"] for one in said["released"])
    last = min(one["until"] for one in said["released"])
    return f"{task}: {who} released model {said['model']}, until {last}."


def average_note(task: str, said: Mapping[str, Any]) -> str:
    """A sentence of the report where a part of an earlier version has no averages; "" else."""
    if not said.get("no_average"):
        return ""
    return (
        f"{task}: model {said['model']} was kept by an earlier version, without averages: its "
        "reasons are parts of the log odds as they are, not against the average."
    )


def unlike_notes(task: str, said: Mapping[str, Any]) -> list[str]:
    """Sentences of the report on values that the training had next to none of."""
    found = []
    for column, shares in said.get("unlike", {}).items():
        words = "no value", "a value that its training did not know"
        found += [
            f"{task}: {share:.1%} of the scored records have {what} in {column}, of which its "
            "training had next to none. Look before they are scored by it."
            for what, share in zip(words, shares.values(), strict=True)
            if share >= WORTH_A_WORD
        ]
    return found


def _drift_of_scores(scored: Scored) -> float | None:
    """How far scores have moved, of a regression's anywhere in the step that was told."""
    scores = scored.scores
    if scored.told is not None:
        return None  # no row's score is known
    if scored.moved is None and not scored.part.hidden:
        own, told = scores - scored.partners, evened(scored.partners, len(scored.terms.partners))
        if told is None:
            return None
        scores = own + told
    return scored.part.spread.drift_of_scores(scores)


def _metrics(scored: Scored, aligned: pa.Table) -> dict[str, Any]:
    part = scored.part
    chances = part.answers.predict(scored.scores)
    drift = {name: round(value, 4) for name, value in part.spread.drift(aligned).items()}
    of_scores = _drift_of_scores(scored)
    unlike = {
        name: {"missing": round(missing, 4), "unseen": round(unseen, 4)}
        for name, (missing, unseen) in part.spread.unlike(aligned).items()
    }
    moved = [name for name, value in drift.items() if value >= MUCH]
    if of_scores is not None and of_scores >= MUCH:
        moved.append("score")
    return {
        "model": part.id,
        "trained": part.made,
        "rows": len(chances),
        "mean": round(float(chances.mean()), 6) if len(chances) and scored.told is None else None,
        "score_bits": scored.terms.score_bits,
        "row_bits": scored.terms.row_bits,
        "drift": drift,
        "drift_of_scores": None if of_scores is None else round(of_scores, 4),
        "moved": moved,
        **({"unlike": unlike} if unlike else {}),
        **({"no_average": True} if _no_average(scored) else {}),
        **({"list": list_metrics(scored.told, scored.terms)} if scored.told is not None else {}),
        **({"released": [_released(one) for one in scored.released]} if scored.released else {}),
    }


def _no_average(scored: Scored) -> bool:
    return isinstance(scored.part.trees, LabelModel) and not scored.part.card.get("average")


def _released(release: Mapping[str, Any]) -> dict[str, str]:
    last = datetime.fromtimestamp(release["until"] - 1, UTC)
    return {"by": str(release["officer"]), "until": last.strftime("%Y-%m-%d")}
