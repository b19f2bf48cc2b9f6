"""What the report and `metrics.json` say of aggregates: tables of groups, and their histograms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from federated.aggregate import AggregateResult, CategoryResult, Statistic
from federated.contract.terms import AggregateTerms, CategoryTerms
from federated.steps.outcome import Outcome
from profiles.language import language
from profiles.report.grouped import (
    Aggregated,
    CategoryMeasure,
    CategoryTable,
    GroupRow,
    Histogram,
    HistogramRow,
)

__all__ = ["aggregate_metrics", "by_category", "by_segment", "category_metrics", "join_sum_metrics"]


def by_segment(terms: AggregateTerms, result: AggregateResult) -> Aggregated:
    """A partner's statistics by the receiver's segment."""
    asked = [Statistic.parse(text) for _, text in result.statistics]
    flat = [s for s, statistic in enumerate(asked) if not statistic.bins]
    lines = []
    for g, group in enumerate(result.groups):
        count = int(result.rows[g])
        values = tuple(float(result.values[s][g]) if result.kept[s][g] else None for s in flat)
        why = "" if count else f"fewer than {terms.minimum_group} shared records, or protects one"
        lines.append(GroupRow(group, count or None, values if count else (), why))
    histograms = [_histogram(result, s) for s, statistic in enumerate(asked) if statistic.bins]
    return Aggregated(
        partner=terms.partner,
        by=terms.by,
        measures=tuple(f"{asked[s].words} of {result.statistics[s][0]}" for s in flat),
        rows=tuple(lines),
        minimum_group=terms.minimum_group,
        key_bits=terms.key_bits,
        kinds=tuple(asked[s].kind for s in flat),
        shared=terms.protocol == "sums",
        histograms=tuple(histograms),
    )


def _histogram(result: AggregateResult, number: int) -> Histogram:
    column, text = result.statistics[number]
    told = zip(result.groups, result.values[number], result.there[column].tolist(), strict=True)
    rows = []
    for group, counts, there in told:
        if there:
            known = tuple(None if math.isnan(count) else int(count) for count in counts)
            rows.append(HistogramRow(group, known, there))
    return Histogram(column, Statistic.parse(text).bins, tuple(rows))


def join_sum_metrics(outcome: Outcome) -> list[dict[str, Any]]:
    """Counts and sums over hidden intersections; null where too few values stand behind one."""
    return [
        {
            "partner": terms.partner,
            "shared": int(result.shared),
            "values": {
                f"{column}:{statistic}": float(value) if kept else None
                for (column, statistic), value, kept in zip(
                    result.statistics, result.values, result.kept, strict=True
                )
            },
        }
        for terms, result in outcome.join_sums
    ]


def by_category(terms: CategoryTerms, result: CategoryResult, entity: str) -> CategoryTable:
    """The receiver's amounts by a partner's category."""
    names = [
        f"shared {language('en').form('who', entity)}",
        *(f"sum of {name}" for name in result.amounts),
    ]
    cells = [result.counts, *result.sums]
    noise = [3 * scale for scale in result.scales]  # in 95 of 100 cases
    measures = [
        CategoryMeasure(name, _cells(values), float(off), clipped)
        for name, values, off, clipped in zip(
            names, cells, noise, [0, *result.clipped], strict=True
        )
    ]
    return CategoryTable(
        partner=terms.partner,
        category=terms.category,
        categories=tuple(result.categories),
        segment=terms.segment,
        segments=tuple(result.segments),
        measures=tuple(measures),
        epsilon=terms.epsilon / 1000,
        minimum_group=terms.minimum_group,
    )


def _cells(values: np.ndarray) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(None if math.isnan(v) else v for v in row) for row in values.tolist())


def category_metrics(outcome: Outcome) -> list[dict[str, Any]]:
    """Counts and sums by category: with noise they differ from run to run."""
    return [
        {"partner": terms.partner, "by": terms.category, "table": _plain(result.table())}
        for terms, result in outcome.categories
    ]


def aggregate_metrics(outcome: Outcome) -> list[dict[str, Any]]:
    """The same as plain data, None where a value is not told."""
    return [
        {"partner": terms.partner, "by": terms.by, "table": _plain(result.table())}
        for terms, result in outcome.aggregates
    ]


def _plain(table: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {
        name: [None if isinstance(v, float) and math.isnan(v) else v for v in column]
        for name, column in table.items()
    }
