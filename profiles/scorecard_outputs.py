"""What the receiver is shown of a scorecard: points by bin and by record, reasons, metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from federated.binning import CategoryBins, EvidenceEncoder
from federated.binning.coding import values_of
from federated.models import Part
from federated.steps.outcome import Carded, Trained
from federated.text import plain
from profiles.reasons import column_words, worded
from profiles.report.card import Card, CardLine
from profiles.spreadsheet import write_csv

__all__ = ["card_metrics", "card_points", "card_reasons", "card_shown", "write_cards"]

_TOP = 3
"""Own columns in a reason, at most."""
FILE = "scorecard.csv"


def card_shown(trained: Carded) -> Card:
    """The card in the report: this party's bins, and how far the partners' move a record."""
    scale = trained.scale
    moved = scale.moved(trained.partners())
    low, high = np.quantile(moved, (0.05, 0.95)) if moved.size else (0.0, 0.0)
    lines = tuple(
        CardLine(
            column=column_words(line["column"]),
            bin=plain(line["bin"], 120),
            rows=line["rows"],
            woe=line["woe"],
            points=line["points"],
        )
        for line in trained.lines()
    )
    return Card(
        base=round(trained.base),
        points=scale.points,
        odds=scale.odds,
        double=scale.double,
        high=scale.high,
        partners=" and ".join(trained.terms.partners),
        low=round(float(low)),
        most=round(float(high)),
        lines=lines,
    )


def card_points(
    trained: Iterable[Trained], scores: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Each row's points, by task, from its probability: no sum of rounded points of bins.

    `scores` are by task `float64[rows]`, NaN where there is none.
    """
    return {
        one.terms.task: one.scale.of(one.model.link(scores[one.terms.task]))
        for one in trained
        if isinstance(one, Carded)
    }


def card_reasons(
    encoder: EvidenceEncoder,
    matrix: np.ndarray,
    part: Part,
    average: np.ndarray,
    partners: Mapping[str, np.ndarray] | None = None,
    table: pa.Table | None = None,
) -> pa.Array:
    """The largest contributions of each row, largest first: list<string>[rows].

    Each reads like "balance from 100 to below 200 (+0.42)"; a partner's "partner bureau (+0.31)".

    Args:
        encoder: of own columns; matrix: `float64[rows, columns]` by it; part: of these columns.
        average: `float64[columns]`, the row that others are held against: the training's mean row.
        partners: name to `float64[rows]`.
        table: the rows; a missing value is said to be missing with it, whatever bin it counts in.
    """
    texts, codes = list[str](), []
    for at, column in enumerate(encoder.columns):
        levels, place = np.unique(column.levels, return_inverse=True)
        codes.append(len(texts) + np.searchsorted(levels, matrix[:, at]))
        said = column_words(column.name)
        said += " is" if isinstance(column.worth.bins, CategoryBins) else ""
        for level in range(len(levels)):
            same = np.flatnonzero(place.reshape(-1) == level).tolist()
            texts.append(f"{said} {plain(column.worth.words(same), 60)}")
        if table is not None:
            codes[-1][_gone(table, column.name)] = len(texts)
            texts.append(f"{column_words(column.name)} missing")
    moved = part.contributions(matrix, average)
    kept = np.argsort(-np.abs(moved), axis=1, kind="stable")[:, :_TOP]
    code = np.stack(codes, axis=1) if codes else np.zeros(matrix.shape, np.int64)
    code, moved = np.take_along_axis(code, kept, 1), np.take_along_axis(moved, kept, 1)
    for name, values in (partners or {}).items():
        code = np.hstack([code, np.full((len(code), 1), len(texts))])
        moved = np.hstack([moved, values[:, None]])
        texts.append(f"partner {plain(name, 60)}")
    return worded(texts, code, moved)


def _gone(table: pa.Table, column: str) -> np.ndarray:
    """Which rows have no value: `bool[rows]`."""
    values = values_of(table, column)
    if isinstance(values, np.ndarray):
        return np.isnan(values)
    return np.asarray(values.is_null().to_numpy(zero_copy_only=False))


def card_metrics(trained: Carded) -> dict[str, Any]:
    """Points and coefficients of the receiver's own part."""
    held = (trained.folds >= 0) & (trained.label >= 0)
    scale = trained.scale
    return {
        "held_out_rows": int(held.sum()),
        "factor": round(scale.factor, 3),
        "offset": round(scale.offset, 3),
        "base_points": round(trained.base, 2),
        "columns": list(trained.encoder.names),
    }


def write_cards(trained: Iterable[Trained], folder: Path) -> list[str]:
    """The receiver's part of every scorecard as one table; the names of what was written."""
    lines: list[dict[str, Any]] = []
    for one in trained:
        if isinstance(one, Carded):
            base = {"column": "", "bin": "the average record", "rows": int(len(one.label))}
            base |= {"points": round(one.base), "exact": round(one.base, 4)}
            lines += [{"task": one.terms.task, **line} for line in (base, *one.lines())]
    if not lines:
        return []
    names = ("task", "column", "bin", "rows", "positives", "negatives", "woe", "coefficient")
    table = {name: [line.get(name) for line in lines] for name in (*names, "points", "exact")}
    write_csv(pa.table(table), folder / FILE)
    return [FILE]
