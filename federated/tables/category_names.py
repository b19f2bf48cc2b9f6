"""Whether a category column holds the names that a job lists: if not, all are `(other)`."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.matrix import categorical
from psi.protocol import InputError

__all__ = ["names_missed"]


def names_missed(table: pa.Table, column: str, names: Sequence[str]) -> str:
    """What to tell the column's owner where fewer than half of its values are among `names`.

    "" where they are, where there is no value, and where the column cannot be a category. Counts
    only, never a value.
    """
    if column not in table.column_names:
        return ""
    try:
        values = categorical(table, column).drop_null()
    except InputError:
        return ""  # said by its role
    held = int(pc.sum(pc.is_in(values, value_set=pa.array(names, values.type))).as_py() or 0)
    if 2 * held >= len(values):
        return ""
    count = "none" if not held else f"{held:,}"
    return (
        f"{count} of {len(values):,} values are among the job's {len(names):,} categories, all "
        "others count as (other): are they written alike, case and blanks included?"
    )
