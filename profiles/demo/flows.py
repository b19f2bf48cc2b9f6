"""A year of transactions, and what the bank reads from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["behaviour", "transactions"]

CONSUMER_TYPES = {
    # type: (share, sign, typical amount)
    "salary": (0.08, 1, 9000.0),
    "transfer in": (0.07, 1, 1500.0),
    "shopping": (0.35, -1, 180.0),
    "utilities": (0.1, -1, 220.0),
    "rent or mortgage": (0.05, -1, 3500.0),
    "travel": (0.08, -1, 400.0),
    "cash": (0.1, -1, 600.0),
    "wealth product elsewhere": (0.03, -1, 5000.0),
    "own account elsewhere": (0.05, -1, 2500.0),
    "insurance": (0.04, -1, 700.0),
    "transfer out": (0.05, -1, 1200.0),
}
COMPANY_TYPES = {
    "sales": (0.3, 1, 40000.0),
    "loan drawn": (0.02, 1, 200000.0),
    "suppliers": (0.3, -1, 30000.0),
    "payroll": (0.1, -1, 50000.0),
    "tax": (0.08, -1, 15000.0),
    "rent": (0.08, -1, 12000.0),
    "own account elsewhere": (0.06, -1, 60000.0),
    "fees": (0.06, -1, 300.0),
}
GOVERNMENT_TYPES = {
    "grant": (0.08, 1, 900000.0),
    "fees collected": (0.3, 1, 20000.0),
    "payroll": (0.1, -1, 180000.0),
    "procurement": (0.3, -1, 45000.0),
    "construction": (0.05, -1, 250000.0),
    "utilities": (0.12, -1, 8000.0),
    "own account elsewhere": (0.05, -1, 120000.0),
}
_TYPES = {
    "consumer": CONSUMER_TYPES,
    "company": COMPANY_TYPES,
    "government": GOVERNMENT_TYPES,
}
LEAKAGE = ("wealth product elsewhere", "own account elsewhere")
_YEAR = np.datetime64("2025-01-01")


def transactions(
    rng: np.random.Generator, entities: int, activity: np.ndarray, kind: str, first: int = 0
) -> pd.DataFrame:
    """One row a transaction: account, day, type, amount (signed)."""
    types = _TYPES[kind]
    count = rng.poisson(55 * activity / activity.mean())
    owner = np.repeat(np.arange(entities), count)
    names = np.array(list(types), object)
    shares = np.array([share for share, _, _ in types.values()])
    code = rng.choice(len(names), len(owner), p=shares / shares.sum())
    sign = np.array([s for _, s, _ in types.values()])[code]
    size = np.array([amount for _, _, amount in types.values()])[code]
    amount = sign * size * np.exp(rng.normal(0, 0.7, len(owner))) * np.sqrt(activity[owner])
    day = _YEAR + rng.integers(0, 365, len(owner))
    frame = {"account": owner + first, "day": day, "type": names[code], "amount": amount.round(2)}
    return pd.DataFrame(frame)


def behaviour(moves: pd.DataFrame, entities: int, first: int = 0) -> dict[str, Any]:
    """One number an entity for each feature, from its transactions of the year."""
    owner = moves.account.to_numpy() - first
    amount, month = moves.amount.to_numpy(), moves.day.dt.month.to_numpy()

    def total(weights: np.ndarray) -> np.ndarray:
        return np.bincount(owner, weights, entities)

    income, spent = total(np.maximum(amount, 0)), total(np.maximum(-amount, 0))
    away = total(np.where(moves.type.isin(LEAKAGE), -amount, 0.0))
    late = total(np.where(month > 6, amount, 0.0))
    active = np.zeros((entities, 13))
    active[owner, month] = 1
    return {
        "balance": np.maximum(income - spent, 0).round(2) + 100,
        "turnover": (income + spent).round(2),
        "inflow": income.round(2),
        "leakage": (away / np.maximum(spent, 1)).round(4),
        "half_year_change": (late / np.maximum(income, 1)).round(4),
        "months_active": active.sum(axis=1),
        "transactions": np.bincount(owner, minlength=entities).astype(float),
    }
