"""What the report and `metrics.json` say of aggregates: tables of groups, and their histograms."""

from __future__ import annotations

import math
from typing import Any

from federated.aggregate import AggregateResult, Statistic
from federated.party.contract import AggregateTerms
from federated.party.outcome import Outcome
from profiles.report.data import Aggregated, GroupRow, Histogram, HistogramRow

__all__ = ["aggregate_metrics", "by_segment"]


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
        terms.partner,
        terms.by,
        tuple(f"{asked[s].words} of {result.statistics[s][0]}" for s in flat),
        tuple(lines),
        terms.minimum_group,
        terms.key_bits,
        kinds=tuple(asked[s].kind for s in flat),
        histograms=tuple(histograms),
    )


def _histogram(result: AggregateResult, number: int) -> Histogram:
    column, text = result.statistics[number]
    rows = []
    for group, counts, kept in zip(
        result.groups, result.values[number], result.kept[number], strict=True
    ):
        if kept:
            rows.append(HistogramRow(group, tuple(int(count) for count in counts)))
    return Histogram(column, Statistic.parse(text).bins, tuple(rows))


def aggregate_metrics(outcome: Outcome) -> list[dict[str, Any]]:
    """The same as plain data, None where a value is not told."""
    return [
        {"partner": terms.partner, "by": terms.by, "table": _plain(result)}
        for terms, result in outcome.aggregates
    ]


def _plain(result: AggregateResult) -> dict[str, list[Any]]:
    return {
        name: [None if isinstance(v, float) and math.isnan(v) else v for v in column]
        for name, column in result.table().items()
    }
