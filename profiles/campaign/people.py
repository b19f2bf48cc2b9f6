"""Whom a campaign concerns: the listed, and those held back who would have been listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from profiles.campaign.control import ControlGroup
from profiles.campaign.uplift import CONTROL
from profiles.managers import column_of
from profiles.offers.chosen import Offered
from profiles.profile import score_column
from profiles.ties import Draw

__all__ = ["LISTED", "Held", "campaign_table", "held_back"]

LISTED = "listed"


@dataclass(frozen=True)
class Held:
    """How many a list leaves out for the control group, and the smallest effect that it then shows:
    a share of people, by their mean score; infinite where a group has fewer than two."""

    people: int
    smallest: float


def held_back(
    score: np.ndarray,
    could: np.ndarray,
    control: np.ndarray,
    listed: np.ndarray,
    top: int,
    people: pa.Array | pa.ChunkedArray,
    draw: Draw,
) -> np.ndarray:
    """`int64[held]`: rows of those whom a list leaves out for the control group's sake.

    Of those with the score of the last on the list only whom the draw would have put before that
    one: who is listed and who is held back are then alike.

    Args:
        score: float64[rows], NaN where there is none.
        could: bool[rows], who may be on the list.
        control: bool[rows], who is in the campaign's control group.
        listed: int64[listed], the rows on the list, best first.
        top: the most rows it has.
        people: their names.
        draw: the list's.
    """
    back = np.flatnonzero(could & control & np.isfinite(score))
    if len(listed) < top:
        return back
    last = listed[-1]
    back = back[score[back] >= score[last]]
    drawn = draw.places(people.take(pa.array(np.append(back, last))))
    return np.asarray(back[(score[back] > score[last]) | (drawn[:-1] < drawn[-1])], np.int64)


def campaign_table(
    profiles: pa.Table,
    group: ControlGroup,
    lists: Sequence[tuple[str, str, np.ndarray, np.ndarray, Offered | None]],
    keys: Sequence[str],
) -> pa.Table:
    """One row a person and list, the listed first.

    Args:
        profiles: from `profiles.profile.build_profiles`.
        group: the campaign's.
        lists: product, task, rows of the listed and of those held back, and offers, of each.
        keys: columns of profiles that partners know people by, carried under their own names: a
            later job asks them for the outcome.
    """
    parts = []
    for product, task, listed, held, offers in lists:
        both = np.concatenate([listed, held])
        chosen = profiles.take(pa.array(both))
        rank = np.concatenate([np.arange(1, len(listed) + 1), np.zeros(len(held), np.int64)])
        arm = np.repeat([LISTED, CONTROL], [len(listed), len(held)])
        n = chosen.num_rows
        found = {
            "campaign": pa.repeat(pa.scalar(group.name), n),
            "began": pa.repeat(pa.scalar(group.began), n),
            "product": pa.repeat(pa.scalar(product), n),
            "entity": chosen.column("entity"),
            "arm": pa.array(arm.tolist(), pa.string()),
            "rank": pa.array(rank, mask=rank == 0),
            "task": pa.repeat(pa.scalar(task), n),
            "score": chosen.column(score_column(task)),
            "matched": column_of(chosen, "matched", pa.bool_()),
            "segment": column_of(chosen, "segment", pa.int32()),
            "segment_name": column_of(chosen, "segment_name", pa.string()),
            "offer": pa.nulls(n, pa.string()) if offers is None else offers.names(both),
        }
        own = [key for key in keys if key in chosen.column_names and key not in found]
        parts.append(pa.table(found | {key: chosen.column(key) for key in own}))
    return pa.concat_tables(parts, promote_options="default")
