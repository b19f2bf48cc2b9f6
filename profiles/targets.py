"""Target lists: whom to approach about a product, why, and which customer manager does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import SystemRandom
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from profiles.assignment.learned import Learned
from profiles.managers import assigned, column_of
from profiles.profile import reasons_column, score_column
from profiles.routing import Routing
from profiles.ties import Draw
from psi.protocol.errors import MisuseError

__all__ = ["RESERVED", "ranked", "target_list"]

Ints = np.ndarray[Any, np.dtype[np.int64]]

RESERVED = (
    *("product", "rank", "entity", "name", "task", "score", "matched"),
    *("segment", "segment_name", "reasons"),
    *("manager", "assigned_by", "unassigned"),
)
"""The columns of every list."""


def target_list(
    profiles: pa.Table,
    product: str,
    score: str,
    top: int,
    managers: pa.Table | None = None,
    *,
    eligible: np.ndarray | None = None,
    name: str = "",
    columns: Sequence[str] = (),
    routing: Routing = Routing(),  # noqa: B008
    learned: Learned | None = None,
    explore: float = 0.0,
    busy: Mapping[str, int] = MappingProxyType({}),
    rank: np.ndarray | None = None,
    offers: Callable[[np.ndarray], Mapping[str, pa.Array]] | None = None,
    key: bytes = b"",
) -> pa.Table:
    """The `top` entities by score, best first, with reasons and managers.

    Args:
        profiles: from `profiles.profile.build_profiles`.
        product: names the list.
        score: the task whose score ranks; entities without one are left out.
        top: the most entities.
        managers: their names, and optionally capacity (leads in all) and what they share with
            leads; None assigns nobody. Without a capacity each manager takes up to a quarter more
            than an even share.
        eligible: bool[rows], who may be on the list; all by default.
        name: a profiles' column to show beside the entity.
        columns: more of them, under their own names: what a manager needs to reach the entity.
        routing: which columns of profiles and managers are compared; each is used if it is there.
        learned: which manager does well with which leads; None gives leads out evenly.
        explore: the share of leads, drawn at random, that is given out evenly all the same.
        busy: by manager, how much of its capacity earlier lists took.
        rank: float64[rows], what ranks in place of the score; NaN is left out.
        offers: makes the columns of the list's offers, of these rows.
        key: of the draw between those whose score is the same (`profiles.ties`).

    Returns: `product`, `rank` from 1, `entity`, `name`, then `columns`, `task`, `score`, `matched`
        (false: by the receiver's own model, as nothing is known of the entity elsewhere),
        `segment`, `segment_name`, `reasons`, `manager`, `assigned_by` ("relationship", the columns
        shared, such as "branch", or "capacity"), `unassigned` (why).
        Ties in score are drawn.

    Raises:
        InputError: managers without a name, named twice, or with a negative capacity.
        MisuseError: no such score, or a mask that does not fit.
    """
    best = ranked(profiles, score, top, eligible, rank, Draw(key, product))
    chosen = profiles.take(pa.array(best))
    rows = chosen.num_rows
    found: dict[str, Any] = {
        "product": pa.array([product]).take(pa.array(np.zeros(rows, np.int64))),
        "rank": pa.array(np.arange(1, rows + 1)),
        "entity": chosen.column("entity"),
        "name": column_of(chosen, name, pa.string()) if name else pa.nulls(rows, pa.string()),
        **{column: chosen.column(column) for column in columns},
        "task": pa.array([score]).take(pa.array(np.zeros(rows, np.int64))),
        "score": chosen.column(score_column(score)),
        "matched": column_of(chosen, "matched", pa.bool_()),
        "segment": column_of(chosen, "segment", pa.int32()),
        "segment_name": column_of(chosen, "segment_name", pa.string()),
        "reasons": column_of(chosen, reasons_column(score), pa.list_(pa.string())),
        **(offers(best) if offers else {}),
    }
    leads = chosen
    for column in set(found) - set(chosen.column_names):
        leads = leads.append_column(column, found[column])
    drawn = _drawn(rows, explore)
    given = assigned(leads, managers, routing, learned, drawn, busy=busy)
    return pa.table({**found, **given})


def _drawn(rows: int, share: float) -> np.ndarray:
    """`bool[rows]`: as many as the share says, by the system's own randomness."""
    drawn = np.zeros(rows, bool)
    drawn[SystemRandom().sample(range(rows), round(share * rows))] = True
    return drawn


def ranked(
    profiles: pa.Table,
    task: str,
    top: int,
    eligible: np.ndarray | None = None,
    rank: np.ndarray | None = None,
    draw: Draw = Draw(b"", ""),  # noqa: B008
) -> Ints:
    """`int64[listed]`: rows of the `top` entities by score, the best first, ties as they are drawn.

    Args:
        profiles: from `profiles.profile.build_profiles`.
        task: whose score ranks; entities without one are left out.
        top: the most entities.
        eligible: bool[rows], who may be on the list; all by default.
        rank: float64[rows], what ranks before the score; NaN is left out.
        draw: who of those with the same rank and score comes first.

    Raises:
        MisuseError: no such score, or a mask that does not fit.
    """
    if score_column(task) not in profiles.column_names:
        raise MisuseError(f"the profiles have no score of {task!r}")
    if top < 1 or (eligible is not None and eligible.shape != (profiles.num_rows,)):
        raise MisuseError(f"found top = {top} or a mask that does not fit the profiles")
    score = profiles.column(score_column(task)).to_numpy().astype(np.float64)
    first = score if rank is None else np.where(np.isfinite(score), rank, np.nan)
    held = np.isfinite(first) if eligible is None else np.isfinite(first) & eligible
    rows = np.flatnonzero(held)
    if len(rows) > top:
        # only rows that can be among the best need an order; ties at the edge stay in
        edge = np.partition(first[rows], len(rows) - top)[len(rows) - top]
        rows = rows[first[rows] >= edge]
    drawn = draw.places(profiles.column("entity").take(pa.array(rows)))
    order = np.lexsort((rows, drawn, -score[rows], -first[rows]))
    return np.asarray(rows[order[:top]], np.int64)
