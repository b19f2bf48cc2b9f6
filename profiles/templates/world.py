"""The invented tables of a template: a bank's customers, and what a partner knows of most of them.

Who has the outcome depends on columns of both, so that the partner's add something. Whom rules
leave out is drawn beside it. All from one seed: everybody has the same tables, on any one day.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from profiles.demo.people import credit_codes, identity_numbers, names

__all__ = ["BRANCHES", "SHARED", "customers", "records"]

CUSTOMERS, OTHERS, SHARED = 700, 200, 500
BRANCHES = ("Harbour", "Hill", "Market")
_SEGMENTS = {
    "consumer": ("basic", "silver", "gold"),
    "company": ("retail", "transport", "construction"),
    "government": ("school", "hospital", "district office"),
}
_AMOUNTS = ("balance", "income", "turnover", "inflow", "outflow", "takings", "budget", "orders_12m")
_COUNTS = (
    *("lines", "moves_6m", "open_loans", "overdue_12m"),
    *("late_payments", "terminals", "disputes", "tenders_12m"),
)


def _column(rng: np.random.Generator, name: str, rows: int) -> np.ndarray:
    """A column as such columns look."""
    if name.endswith(("_change", "_trend")):  # a share of what it was
        return rng.normal(0, 0.2, rows).round(3)
    if name.startswith(_AMOUNTS):
        return np.exp(rng.normal(9, 1, rows)).round()
    if name in _COUNTS:
        return rng.poisson(1.2, rows).astype(np.float64)
    if name == "age":  # of those to whom a bank lends and for whom a telecom has a contract
        return (18 + rng.gamma(3, 9, rows)).clip(18, 90).round()
    if name in ("tenure_months", "months", "years", "staff_insured"):
        return rng.gamma(6, 7, rows).round()
    if name == "delay_days":
        return rng.gamma(2, 14, rows).round()
    if name == "days_to_pay":
        return (10 + 80 * rng.beta(2, 3, rows)).round()
    return rng.normal(0, 1, rows).round(3)


def _standard(values: np.ndarray) -> np.ndarray:
    values = np.log1p(values) if values.min() >= 0 else values
    return np.asarray((values - values.mean()) / values.std())


def records(entity: str, columns: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """A row an entity of the world: its key, and what the partner knows of it.

    Args:
        entity: consumer, company or government.
        columns: of the partner.
        rng: of the template.
    """
    many = CUSTOMERS + OTHERS
    if entity == "consumer":
        keys = {"id_no": identity_numbers(rng, many)}
    else:
        keys = {"credit_code": credit_codes(rng, many, "91" if entity == "company" else "11")}
    return pd.DataFrame({**keys, **{name: _column(rng, name, many) for name in columns}})


def customers(
    entity: str, own: list[str], label: str, known: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """The bank's table: its customers are the first of the world.

    Args:
        entity: consumer, company or government.
        own: the bank's columns for training.
        label: the outcome's column, "" for none.
        known: from `records`.
        rng: of the template.
    """
    rows = np.arange(CUSTOMERS)
    key = known.columns[0]
    called = names(rng, CUSTOMERS) if entity == "consumer" else [f"{entity} {r}" for r in rows]
    found: dict[str, Any] = {
        "customer": [f"{entity[0].upper()}{row:05d}" for row in rows],
        "name": called,
        key: known[key][:CUSTOMERS],
        "branch": rng.choice(BRANCHES, CUSTOMERS),
        "segment": rng.choice(_SEGMENTS[entity], CUSTOMERS),
        **{name: _column(rng, name, CUSTOMERS) for name in own},
    }
    if label:
        theirs = [_standard(known[name].to_numpy()[:CUSTOMERS]) for name in known.columns[1:]]
        score = 0.5 * _standard(found[own[0]]) - 0.4 * _standard(found[own[1]])
        score = score + 1.3 * theirs[0] + 1.1 * theirs[1] - 0.7 * theirs[2]
        found[label] = (rng.random(CUSTOMERS) < 1 / (1 + np.exp(1.1 - score))).astype(int)
        found[label][0] = 0
    return pd.DataFrame(found | _set_apart(rng) | _margins(rng))


def _set_apart(rng: np.random.Generator) -> dict[str, Any]:
    """What rules look at."""

    def drawn(share: float) -> np.ndarray:
        return rng.random(CUSTOMERS) < share

    today = date.today()
    expired, unknown = drawn(0.06), drawn(0.02)
    expired[0] = unknown[0] = False
    until = np.where(expired, str(today - timedelta(40)), str(today + timedelta(400)))
    return {
        "kyc_until": np.where(unknown, None, until),  # type: ignore[call-overload]
        "grade": rng.choice(list("ABCDE"), CUSTOMERS, p=[0.3, 0.3, 0.2, 0.15, 0.05]),
        "staff": np.where(drawn(0.03), "yes", "no"),
        "do_not_call": np.where(drawn(0.08), "yes", "no"),
        "collections": np.where(drawn(0.04), "yes", "no"),
        "complaint": np.where(drawn(0.03), "open", "none"),
    }


def _margins(rng: np.random.Generator) -> dict[str, Any]:
    """What a merchant brings a month; the first is the one of 180."""
    takings = np.exp(rng.normal(11, 0.9, CUSTOMERS)).round(-2)
    takings[0] = 200_000.0
    fee, scheme = (takings * 0.0038).round(2), (-takings * 0.0030).round(2)
    balances = np.append(40.0, rng.gamma(2, 15, CUSTOMERS - 1).round(2))
    return {
        "contribution_fee": fee,
        "contribution_scheme": scheme,
        "contribution": (fee + scheme - 20 + balances).round(2),
    }
