"""A small synthetic world: a bank, a telecom, a credit bureau and a business registry.

Everything is drawn from a fixed seed, so that everybody sees the same demo; nobody in it exists.
Who leaves, who defaults, and which company takes a credit line depends on facts that only the
partners hold: the bank alone can see a part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from profiles.demo.flows import behaviour, transactions
from profiles.demo.monthly import monthly, staff_pay
from profiles.demo.people import credit_codes, identity_numbers, names, phones, untidy
from profiles.demo.statements import statements

__all__ = ["World", "build"]

CONSUMERS, OTHERS = 2000, 800
COMPANIES, REGISTRY_ONLY = 1000, 800
GOVERNMENTS, BODIES_ONLY = 180, 120
FIRST = (0, 10**6, 2 * 10**6)
"""Account numbers of consumers, companies and government bodies begin here."""
BRANCHES = ("Harbour", "Hill", "Market", "North", "River", "Station")
KINDS = ("school", "hospital", "district office", "water board")
INDUSTRIES = ("construction", "manufacturing", "retail", "services", "transport", "wholesale")


@dataclass(frozen=True)
class World:
    """`tables` by logical name; the others say who stands behind each row, for tests.

    Attributes:
        people: arrays by name, a row a person of the world.
        firms: a row a company.
        bodies: a row a government body.
        truth: what transactions are, by serial (`types`), and what stopped (`breaks`).
    """

    tables: dict[str, pa.Table]
    people: dict[str, np.ndarray[Any, Any]]
    firms: dict[str, np.ndarray[Any, Any]]
    bodies: dict[str, np.ndarray[Any, Any]]
    truth: dict[str, pa.Table]


def build(seed: int = 20) -> World:
    """The whole world, in about a second.

    Args:
        seed: another one, another world.
    """
    rng = np.random.default_rng(seed)
    consumers, usage, repayment, people = _consumers(rng)
    companies, registry, firms = _companies(rng)
    governments, budgets, bodies = _governments(rng)
    managers = pd.DataFrame(
        {
            "manager": [f"{branch} {n}" for branch in BRANCHES for n in (1, 2)],
            "branch": [branch for branch in BRANCHES for _ in (1, 2)],
            "capacity": 40,
        }
    )
    owners = (consumers, companies, governments)
    stopped = [owner.pop("stopped") for owner in owners]
    parts = [
        owner.pop("moves").assign(kind=kind) for owner, kind in zip(owners, "CBG", strict=True)
    ]
    accounts = _accounts(owners)
    apart = np.random.default_rng(23)  # what is said of money moves nothing else
    moves, types = statements(
        apart,
        pd.concat(parts, ignore_index=True),
        dict(zip(accounts.account.astype(int), accounts.name, strict=True)),
        list(names(apart, 2000)),
    )
    frames = {
        "bank.consumers": pd.DataFrame(consumers),
        "bank.companies": pd.DataFrame(companies),
        "bank.governments": pd.DataFrame(governments),
        "bank.consents": _consents(consumers["customer"]),
        "bank.managers": managers,
        "bank.accounts": accounts,
        "bank.transactions": moves,
        "telecom.usage": usage,
        "bureau.repayment": repayment,
        "registry.companies": registry,
        "registry.public_bodies": budgets,
    }
    tables = {
        name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in frames.items()
    }
    ended = pd.concat(stopped).sort_values(["account", "month"])
    owner = dict(zip(accounts.account.astype(int), accounts.customer, strict=True))
    breaks = pd.DataFrame(
        {
            "entity": [owner[account] for account in ended.account],
            "month": [f"2025-{month:02d}" for month in ended.month],
        }
    )
    truth = {name: pa.Table.from_pandas(t) for name, t in (("types", types), ("breaks", breaks))}
    return World(tables, people, firms, bodies, truth)


def _accounts(owners: tuple[dict[str, Any], ...]) -> pd.DataFrame:
    """The current account of each customer; of a person who is in the table twice the first."""
    frames = []
    for owner, kind, first, count in zip(
        owners, "CBG", FIRST, (CONSUMERS, COMPANIES, GOVERNMENTS), strict=True
    ):
        frame = {name: owner[name][:count] for name in ("customer", "name", "branch")}
        account = [str(first + row) for row in range(count)]
        frames.append(pd.DataFrame({"account": account, "kind": kind, **frame}))
    return pd.concat(frames, ignore_index=True)


def _consents(customers: list[str]) -> pd.DataFrame:
    """Who agreed to what: one row for retention with the telecom, one for credit risk with the
    bureau. Of each hundred about two have withdrawn, one's has run out, and one was never asked."""
    rng = np.random.default_rng(22)
    frames = []
    for purpose, recipient in (("retention", "telecom"), ("credit risk", "bureau")):
        draw = rng.random(len(customers))
        frame = pd.DataFrame(
            {
                "customer": customers,
                "purpose": purpose,
                "given_to": recipient,
                "since": "2025-01-01",
                "until": np.where(draw < 0.02, "2025-12-31", ""),
                "withdrawn": np.where((draw >= 0.02) & (draw < 0.04), "2026-03-01", ""),
            }
        )
        frames.append(frame[draw >= 0.01])
    return pd.concat(frames, ignore_index=True)


def _event(rng: np.random.Generator, score: np.ndarray, rate: float) -> np.ndarray:
    """0 or 1 by a logistic model whose intercept gives about `rate` ones."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = float(np.mean(1 / (1 + np.exp(-(score + middle)))))
        low, high = (middle, high) if mean < rate else (low, middle)
    return (rng.random(len(score)) < 1 / (1 + np.exp(-(score + low)))).astype(np.int64)


def _z(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.mean()) / values.std())


def _consumers(
    rng: np.random.Generator,
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame, dict[str, np.ndarray]]:
    total = CONSUMERS + OTHERS
    identity, phone, name = identity_numbers(rng, total), phones(rng, total), names(rng, total)
    here = np.arange(CONSUMERS)
    there = np.sort(rng.choice(total, 2350, replace=False))
    age = rng.integers(20, 75, CONSUMERS)
    tenure = rng.gamma(3, 30, CONSUMERS).round()
    activity = np.exp(rng.normal(0, 0.5, CONSUMERS))
    moves = transactions(rng, CONSUMERS, activity, "consumer")
    regular, stopped = monthly(np.random.default_rng(24), CONSUMERS, FIRST[1])
    moves = pd.concat([moves, regular], ignore_index=True)
    seen = behaviour(moves, CONSUMERS)
    telecom = {
        "lines": rng.poisson(1.3, total),
        "late_bills_12m": rng.poisson(0.5, total),
        "plan_used": rng.beta(2, 3, total).round(3),
        "moves_6m": rng.poisson(1.0, total),
        "data_mb": np.exp(rng.normal(9, 1, total)).round(),
        "usage_trend": rng.normal(0, 1, total).round(3),
    }
    apart = np.random.default_rng(21)  # the bureau's draws move nothing else
    bureau = {
        "open_loans": apart.poisson(1.3, total),
        "overdue_12m": apart.poisson(0.5, total),
        "utilisation": apart.beta(2, 3, total).round(3),
        "inquiries_6m": apart.poisson(1.0, total),
    }
    columns = (telecom | bureau).items()
    hidden = {key: _z(value[:CONSUMERS].astype(float)) for key, value in columns}
    score = (
        -0.55 * _z(np.log1p(seen["balance"]))
        - 0.35 * _z(np.log1p(tenure))
        + 0.35 * _z(seen["leakage"])
        + 1.0 * hidden["usage_trend"]
        + 0.75 * hidden["moves_6m"]
        + 0.5 * hidden["plan_used"]
        - 0.35 * hidden["lines"]
    )
    strain = (
        0.9 * hidden["overdue_12m"]
        + 0.8 * hidden["utilisation"]
        + 0.6 * hidden["open_loans"]
        - 0.5 * _z(np.log1p(seen["inflow"]))
    )
    again = rng.choice(CONSUMERS, 30, replace=False)
    order = np.concatenate([here, again])
    value = np.log1p(seen["balance"])
    tier = np.digitize(value, np.quantile(value, [0.25, 0.5, 0.8, 0.95]))
    segment = np.array(["basic", "standard", "silver", "gold", "private"], object)[tier]
    consumers: dict[str, Any] = {
        "customer": [f"C{row:06d}" for row in range(len(order))],
        "name": name[order],
        "identity_number": untidy(rng, identity[order], missing=0.03, wrong=0.01),
        "phone": untidy(rng, phone[order], missing=0.02, wrong=0.005, prefix="+86 "),
        "branch": rng.choice(BRANCHES, CONSUMERS)[order],
        "segment": segment[order],
        "age": age[order].astype(float),
        "tenure_months": tenure[order],
        **{key: column[order] for key, column in seen.items()},
        "churned": _event(rng, score, 0.22)[order],
        "defaulted": _event(rng, strain, 0.12)[order],
        "moves": moves,
        "stopped": stopped,
    }
    tables = []
    for draws, facts, gap in ((rng, telecom, "plan_used"), (apart, bureau, "utilisation")):
        table = pd.DataFrame(
            {
                "id_no": untidy(draws, identity[there], missing=0.04, wrong=0.01),
                "mobile": untidy(draws, phone[there], missing=0.01, wrong=0.005, prefix="0086"),
                "full_name": name[there],
                **{key: column[there].astype(float) for key, column in facts.items()},
            }
        )
        table.loc[draws.random(len(table)) < 0.03, gap] = np.nan
        tables.append(table)
    return consumers, tables[0], tables[1], {"bank": order, "telecom": there, "bureau": there}


def _companies(
    rng: np.random.Generator,
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, np.ndarray]]:
    total = COMPANIES + REGISTRY_ONLY
    code = credit_codes(rng, total)
    there = np.sort(rng.choice(total, 1500, replace=False))
    activity = np.exp(rng.normal(1, 0.6, COMPANIES))
    moves = transactions(rng, COMPANIES, activity, "company", first=FIRST[1])
    paying = FIRST[1] + np.arange(0, COMPANIES, 2)
    wages, stopped = staff_pay(np.random.default_rng(25), paying, "B.payroll", 50000.0)
    moves = pd.concat([moves, wages], ignore_index=True)
    seen = behaviour(moves, COMPANIES, first=FIRST[1])
    facts = {
        "registered_capital": np.exp(rng.normal(14, 1.2, total)).round(),
        "years_since_founding": rng.gamma(3, 3, total).round(1),
        "employees_change": rng.normal(0, 0.2, total).round(3),
        "legal_cases": rng.poisson(0.7, total),
        "tax_credit_score": rng.normal(70, 12, total).round(),
        "patents": rng.poisson(1.0, total),
    }
    hidden = {key: _z(value[:COMPANIES].astype(float)) for key, value in facts.items()}
    score = (
        0.6 * _z(np.log1p(seen["turnover"]))
        + 0.3 * _z(seen["months_active"])
        + 0.9 * hidden["employees_change"]
        - 0.7 * hidden["legal_cases"]
        + 0.6 * hidden["tax_credit_score"]
        - 0.4 * hidden["years_since_founding"]
    )
    industry = rng.choice(INDUSTRIES, total)
    companies: dict[str, Any] = {
        "customer": [f"B{row:06d}" for row in range(COMPANIES)],
        "name": [f"Company {row}" for row in range(COMPANIES)],
        "credit_code": untidy(rng, code[:COMPANIES], missing=0.02, wrong=0.01),
        "branch": rng.choice(BRANCHES, COMPANIES),
        "segment": industry[:COMPANIES],
        **seen,
        "took_credit_line": _event(rng, score, 0.3),
        "moves": moves,
        "stopped": stopped,
    }
    registry = pd.DataFrame(
        {
            "uscc": untidy(rng, code[there], missing=0.01, wrong=0.01),
            **{key: column[there].astype(float) for key, column in facts.items()},
        }
    )
    return companies, registry, {"bank": np.arange(COMPANIES), "registry": there}


def _governments(
    rng: np.random.Generator,
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, np.ndarray]]:
    total = GOVERNMENTS + BODIES_ONLY
    code = credit_codes(rng, total, department="11")
    there = np.sort(rng.choice(total, 250, replace=False))
    kind = rng.choice(KINDS, total)
    first = FIRST[2]
    activity = np.exp(rng.normal(1, 0.5, GOVERNMENTS))
    moves = transactions(rng, GOVERNMENTS, activity, "government", first=first)
    paying = first + np.arange(GOVERNMENTS)
    wages, stopped = staff_pay(np.random.default_rng(26), paying, "G.payroll", 180000.0)
    moves = pd.concat([moves, wages], ignore_index=True)
    governments: dict[str, Any] = {
        "customer": [f"G{row:06d}" for row in range(GOVERNMENTS)],
        "name": [f"{kind[row]} {row}" for row in range(GOVERNMENTS)],
        "credit_code": untidy(rng, code[:GOVERNMENTS], missing=0.01, wrong=0.01),
        "branch": rng.choice(BRANCHES, GOVERNMENTS),
        "segment": kind[:GOVERNMENTS],
        **behaviour(moves, GOVERNMENTS, first=first),
        "moves": moves,
        "stopped": stopped,
    }
    budgets = pd.DataFrame(
        {
            "uscc": untidy(rng, code[there], missing=0.01, wrong=0.01),
            "annual_budget": np.exp(rng.normal(16, 1, total)).round()[there],
            "tenders_12m": rng.poisson(4.0, total).astype(float)[there],
            "payment_delay_days": rng.gamma(2, 12, total).round()[there],
        }
    )
    return governments, budgets, {"bank": np.arange(GOVERNMENTS), "registry": there}
