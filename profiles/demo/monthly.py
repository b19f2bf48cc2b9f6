"""What comes and goes month after month in the demo's world: wages, rent, instalments, bills.

One payer or payee, one usual day, about one amount, as in life. Of wages some stop, some come from
another employer from some month on, some by an agency, and February's may come before the Spring
Festival.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from profiles.demo.texts import AGENCIES, EMPLOYERS

__all__ = ["monthly", "staff_pay"]

BILLS = {
    # type: (share of consumers, typical amount, how far a month is from another)
    "C.rent_paid": (0.2, 2200.0, 0.0),
    "C.mortgage": (0.2, 3800.0, 0.0),
    "C.telecom": (0.4, 90.0, 0.2),
    "C.utilities": (0.3, 180.0, 0.3),
    "C.property_fee": (0.15, 260.0, 0.0),
    "C.subscription": (0.15, 25.0, 0.0),
}
PAID, AGENCY, STOPS, MOVES = 0.6, 0.1, 0.08, 0.06
_HERE = 40
"""Employers that are companies of the bank; as many are not."""


def monthly(
    rng: np.random.Generator, consumers: int, companies: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A year's rows of `consumers`, and what of them stopped.

    Args:
        companies: the first account number of the bank's companies, some of which pay wages.

    Returns: account, day, type, amount (signed), code, payer (of wages, else ""), payer_account,
    series; and account, month (1 to 12, the first one missing).
    """
    rows: list[tuple[Any, ...]] = []
    stopped: list[tuple[int, int]] = []
    payers = [(f"Company {k}", str(companies + k)) for k in range(_HERE)]
    payers += [(name, "") for name in EMPLOYERS[:_HERE]]
    days, early = rng.integers(5, 17, len(payers)), rng.random(len(payers)) < 0.5
    series = 0
    for person in np.flatnonzero(rng.random(consumers) < PAID).tolist():
        who, last, moves = int(rng.integers(0, len(payers))), _last(rng, STOPS), 12
        agency, size = rng.random() < AGENCY, float(np.exp(rng.normal(8.9, 0.4)))
        if last < 12:
            stopped.append((person, last + 1))
        elif rng.random() < MOVES:
            moves = int(rng.integers(4, 9))
        for month in range(1, last + 1):
            name, account = payers[who if month <= moves else (who + 7) % len(payers)]
            if agency:
                name, account = AGENCIES[who % len(AGENCIES)], ""
            day = int(days[who] + rng.integers(-1, 2))
            if month == 2 and early[who]:  # the Spring Festival of 2025 was on 29 January
                date = f"2025-01-{24 + day % 4:02d}"
            else:
                date = f"2025-{month:02d}-{day:02d}"
            paid = size * float(rng.uniform(0.97, 1.03))
            rows.append((person, date, "salary", paid, "C.salary", name, account, series))
        series += 1
    for code, bill in BILLS.items():
        payers_of = np.flatnonzero(rng.random(consumers) < bill[0])
        _paid(rng, rows, stopped, payers_of, series, code, *bill[1:])
        series += len(payers_of)
    return _frames(rows, stopped)


def staff_pay(
    rng: np.random.Generator, accounts: np.ndarray, code: str, typical: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same of the wages that these accounts pay, as one sum a month each."""
    rows: list[tuple[Any, ...]] = []
    stopped: list[tuple[int, int]] = []
    _paid(rng, rows, stopped, accounts, 0, code, typical, 0.05)
    return _frames(rows, stopped)


def _paid(
    rng: np.random.Generator,
    rows: list[tuple[Any, ...]],
    stopped: list[tuple[int, int]],
    accounts: np.ndarray,
    series: int,
    code: str,
    typical: float,
    spread: float,
) -> None:
    """What each account pays month by month, on about one day."""
    for place, account in enumerate(accounts.tolist()):
        last, usual = _last(rng, STOPS), int(rng.integers(3, 26))
        size = typical * float(np.exp(rng.normal(0, 0.4)))
        if last < 12:
            stopped.append((account, last + 1))
        for month in range(1, last + 1):
            date = f"2025-{month:02d}-{usual + int(rng.integers(-1, 2)):02d}"
            paid = -size * float(np.exp(rng.normal(0, spread)))
            rows.append((account, date, "monthly", paid, code, "", "", series + place))


def _frames(
    rows: list[tuple[Any, ...]], stopped: list[tuple[int, int]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = ["account", "day", "type", "amount", "code", "payer", "payer_account", "series"]
    frame = pd.DataFrame(rows, columns=names)
    frame["day"] = pd.to_datetime(frame.day).astype("datetime64[s]")
    frame["amount"] = frame.amount.round(2)
    return frame, pd.DataFrame(stopped, columns=["account", "month"])


def _last(rng: np.random.Generator, share: float) -> int:
    """The last month that is paid: early enough for a break to be told by the year's end."""
    return int(rng.integers(5, 10)) if rng.random() < share else 12
