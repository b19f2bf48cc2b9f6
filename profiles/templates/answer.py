"""What a template's run has to say, worked out in one place from all tables: plain pandas."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from profiles.exclusion import ExcludeSpec
from profiles.job import Job

__all__ = ["answer"]

_GAIN = 0.03
"""By which the partner's columns better the AUC at least; they are made to do far more."""


def answer(job: Job, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """The numbers of metrics.json that follow from the tables alone.

    Args:
        job: the template's.
        tables: by logical name.

    Returns:
        `matched_entities`; of each list `left_out`, rules of eligibility and suppression, and
        `money` where offers go by tiers; `aggregates`, group by group; `gain_at_least`.
    """
    own, theirs = (tables[party.table] for party in job.parties)
    both = own.merge(theirs, on=job.parties[0].keys[0][0])
    found: dict[str, Any] = {"entities": len(own), "matched_entities": len(both)}
    for target in job.targets:
        left, counts = np.ones(len(own), bool), dict[str, dict[str, int]]()
        rules = [
            (rule.stage, rule.reason, _out(rule, target.product, tables)) for rule in job.excludes
        ]
        label = own[job.trains[0].label].to_numpy() == 1
        done = ("eligibility", "has the outcome already", label)
        for stage, words, out in [
            *(rule for rule in rules if rule[0] == "eligibility"),
            done,
            *(rule for rule in rules if rule[0] == "suppression"),
        ]:
            counts.setdefault(stage, {})[words] = int((left & out).sum())
            left &= ~out
        found.setdefault("left_out", {})[target.product] = counts
        if target.choose == "rule" and job.offers:
            found["money"] = {target.product: _money(job, own[left])}
    if job.trains:
        found["gain_at_least"] = _GAIN
    for asked in job.aggregates:
        found.setdefault("aggregates", []).append(_means(asked.by, asked.measures, both))
    return found


def _out(rule: ExcludeSpec, product: str, tables: dict[str, pd.DataFrame]) -> np.ndarray:
    """The rules that templates have."""
    own = tables["bank.customers"]
    if rule.table:
        rows = tables[rule.table]
        rows = rows[(rows["product"] == product) & rows[rule.column].isin(rule.equal)]
        return np.asarray(own.customer.isin(rows.customer))
    column = own[rule.column]
    if rule.before_days is not None:
        return np.asarray(column.isna() | (column < str(date.today())))
    return np.asarray(column.isin(rule.equal))


def _money(job: Job, left: pd.DataFrame) -> dict[str, Any]:
    """The first tier that holds."""
    offers, value, cost = dict.fromkeys((offer.name for offer in job.offers), 0), 0.0, 0.0
    for offer in job.offers:
        held = left[left[offer.column] >= offer.least]
        left = left.drop(held.index)
        offers[offer.name] = len(held)
        value += float(held[list(offer.value_of)].sum().sum())
        each = offer.share * held[list(offer.cost_of)].sum(axis=1)
        cost += float(each.round(2).sum())  # as lists have it
    return {"offers": offers, "value": value, "cost": cost, "left": value - cost}


def _means(
    by: str, measures: tuple[tuple[str, str], ...], both: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """Means, and shares above a threshold, by group."""
    found = {}
    for column, statistic in measures:
        values, threshold = both[column], statistic.partition(">")[2]
        values = values > float(threshold) if threshold else values
        means = values.groupby(both[by]).mean()
        found[f"{column}:{statistic}"] = {str(k): float(v) for k, v in means.items()}
    return found
