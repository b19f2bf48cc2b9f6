"""Arms of a campaign in one spelling: `Listed`, ` listed` and `ｌｉｓｔｅｄ` are one arm."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from psi.identifiers.columns import fold_wide

__all__ = ["one_spelling"]


def one_spelling(arms: pa.Array, control: str) -> tuple[pa.Array, int]:
    """Each arm as most rows spell it, and how many rows spelled it in another way.

    Args:
        arms: large_string without outer blanks; a blank one is null in what is returned.
        control: what the control group is called: that spelling is kept.
    """
    names = pc.if_else(pc.equal(arms, ""), pa.scalar(None, arms.type), arms)
    folded = _folded(names)
    chosen = {_folded(pa.array([control], pa.large_string()))[0].as_py(): control}
    counts = pa.table({"folded": folded, "said": names}).group_by(["folded", "said"])
    rows = counts.aggregate([([], "count_all")]).to_pylist()
    for row in sorted(rows, key=lambda row: (-row["count_all"], row["said"] or "")):
        if row["said"] is not None:
            chosen.setdefault(row["folded"], row["said"])
    known = pa.array(list(chosen), pa.large_string())
    spelled = pa.array(list(chosen.values()), pa.large_string())
    found = spelled.take(pc.index_in(folded, value_set=known, skip_nulls=True))
    return found, int(pc.sum(pc.not_equal(found, names)).as_py() or 0)


def _folded(names: pa.Array) -> pa.Array:
    return pc.utf8_lower(pc.replace_substring_regex(fold_wide(names)[0], r"\s+", " "))
