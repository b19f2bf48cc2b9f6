"""A job of a bank and a bureau for boosted trees, whole and in memory, and tables for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["BUREAU", "TELECOM", "tables_of", "trees_job"]

BANK = {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["z", "c"]}
BUREAU = {"name": "bureau", "table": "bureau.t", "keys": [["id"]], "features": ["a", "b"]}
TELECOM = {"name": "telecom", "table": "telecom.t", "keys": [["id"]], "features": ["q"]}


def trees_job(*partners: dict[str, Any], align: Any = None, **train: Any) -> dict[str, Any]:
    asked = {"task": "churn", "label": "bank.y", "model": "trees", "folds": 2, "depth": 2}
    return {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048},
        "party": [BANK, *(partners or (BUREAU,))],
        "align": {"minimum_overlap": 20} | (align or {}),
        "train": [asked | train],
    }


def tables_of(rows: int, shared: int) -> dict[str, pa.Table]:
    """The label hangs on a product of both parties' columns, which no regression sees."""
    rng = np.random.default_rng(3)
    ids = [f"c{i}" for i in range(rows)]
    z, a, b = rng.normal(size=(3, rows))
    c = rng.choice(["x", "y"], rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(-3 * np.sign(a) * (z > 0) - (c == "x")))).astype(float)
    y[::50] = np.nan
    return {
        "bank.t": pa.table({"id": ids, "z": z, "c": c, "y": y}),
        "bureau.t": pa.table({"id": ids[:shared], "a": a[:shared], "b": b[:shared]}),
    }
