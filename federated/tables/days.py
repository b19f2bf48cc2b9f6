"""Days as a column holds or writes them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.advice import how_dated
from federated.readers.canonical import canonical_column
from federated.readers.dates import days_in
from federated.readers.settle import notes_of
from federated.tables.column_roles import check_role
from psi.protocol.errors import InputError

__all__ = ["days_of"]


def days_of(table: pa.Table, column: str, where: str) -> np.ndarray:
    """`datetime64[D][rows]`: dates and times as they are (their day in UTC where a zone is known),
    or text that begins with 2026-07-31; NaT where there is nothing.

    Raises:
        InputError: something else is written, with how often; or a type that no day can be.
    """
    values = canonical_column(table.column(column))
    check_role(pa.table({column: values}), column, "time", where=where)
    text = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)
    day = days_in(text)
    if wrong := day.null_count - text.null_count:
        declared = notes_of(table.schema.field(column)).get("declared") == "date"
        raise InputError(
            f"{where}: {wrong:,} of {table.num_rows:,} values of {column!r} are no days",
            hint=how_dated(text, column, declared=declared),
        )
    return np.asarray(day.to_numpy(zero_copy_only=False).astype("datetime64[D]"))
