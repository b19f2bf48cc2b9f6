"""A job's target lists, and its campaign: whom they leave out so that their effect can be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from federated.tables.source import Source
from profiles.assignment.of_list import learned_of
from profiles.campaign.control import ControlGroup
from profiles.campaign.effects import Sums, effect
from profiles.campaign.people import Held, campaign_table, held_back
from profiles.exclusion.consent import admission_of
from profiles.exclusion.left_out import Reason
from profiles.job import Job
from profiles.own_table import managers_of, routed, sieved
from profiles.profile import score_column
from profiles.routing import unknown
from profiles.targets import ranked, target_list

__all__ = ["Lists", "lists_of"]


@dataclass(frozen=True)
class Lists:
    """All lists in one table, None where the job asks for none; the campaign's people, None where
    there is no campaign; and by product what is held back, why others are not
    listed, and how many leads name a manager or a branch that no manager has."""

    targets: pa.Table | None = None
    campaign: pa.Table | None = None
    held: Mapping[str, Held] = field(default_factory=dict)
    left_out: Mapping[str, tuple[Reason, ...]] = field(default_factory=dict)
    unknown: Mapping[str, tuple[tuple[str, str, int], ...]] = field(default_factory=dict)


def lists_of(job: Job, profiles: pa.Table, tables: Source, group: ControlGroup | None) -> Lists:
    """The target lists of a job, best first in each.

    Args:
        job: as it was loaded.
        profiles: from `profiles.profile.build_profiles`, all rows of the job's copy.
        tables: the job's copies of the receiver's tables.
        group: the campaign's control group; None where the job has no campaign.
    """
    if not job.targets:
        return Lists()
    everybody = np.ones(profiles.num_rows, bool)
    control = ~everybody if group is None else group.holds_back(profiles.column("entity"))
    lists, parts, held, left_out, strange = [], [], {}, {}, {}
    admission = admission_of(tables, job.party(job.receiver).table)
    for target, may in zip(job.targets, sieved(job, tables, admission), strict=True):
        could = may.rows
        listed = ranked(profiles, target.task, target.top, could & ~control)
        score = profiles.column(score_column(target.task)).to_numpy().astype(np.float64)
        left_out[target.product] = (
            *may.reasons,
            *_beyond(could, control, np.isfinite(score), len(listed), group),
        )
        managers, routing = managers_of(target, tables), routed(job, target, tables)
        if managers is not None:
            strange[target.product] = unknown(routing, profiles.take(pa.array(listed)), managers)
        lists.append(
            target_list(
                profiles,
                target.product,
                target.task,
                target.top,
                managers,
                eligible=could & ~control,
                name=target.name,
                columns=target.columns,
                routing=routing,
                learned=learned_of(target, managers, tables, routing),
                explore=target.explore,
            )
        )
        if group is not None:
            back = held_back(score, could, control, listed, target.top)
            parts.append((target.product, target.task, listed, back))
            held[target.product] = Held(len(back), _smallest(score, listed, back))
    keys = [column for level in job.party(job.receiver).keys for column in level]
    people = None if group is None else campaign_table(profiles, group, parts, keys)
    return Lists(
        pa.concat_tables(lists, promote_options="default"), people, held, left_out, strange
    )


def _beyond(
    could: np.ndarray,
    control: np.ndarray,
    scored: np.ndarray,
    listed: int,
    group: ControlGroup | None,
) -> list[Reason]:
    """Why those who may be on a list are not: the last reasons."""
    people = np.count_nonzero
    found = []
    if group is not None:
        found.append(Reason("control group", group.name, int(people(could & control))))
    left = could & ~control
    if unscored := int(people(left & ~scored)):
        found.append(Reason("rank", "without a score", unscored))
    beyond = int(people(left & scored)) - listed
    return [*found, Reason("rank", "beyond the list's length", beyond)]


def _smallest(score: np.ndarray, listed: np.ndarray, back: np.ndarray) -> float:
    """Where the outcome comes about as often as the score says."""
    both = [Sums(len(rows), score[rows].sum(), score[rows].sum()) for rows in (listed, back)]
    return effect(*both).smallest
