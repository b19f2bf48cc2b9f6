"""Numbers that a step takes from a table, looked at before a contract is signed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from federated.tables.matrix import numeric_matrix
from psi.protocol import InputError

__all__ = ["check_numbers"]


def check_numbers(
    table: pa.Table, columns: Iterable[str], where: str, *, most: float = np.inf
) -> None:
    """Raise `InputError` unless each column holds numbers, or nothing, below `most` in size."""
    for column in dict.fromkeys(columns):
        values = numeric_matrix(table, [column], where=where)[:, 0]
        over = int(np.count_nonzero(np.abs(values) >= most))
        if over:
            raise InputError(
                f"{where}: column {column!r}: {over:,} of {len(values):,} values are too large to "
                "add up",
                hint="divide them by 1000",
            )
