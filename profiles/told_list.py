"""A list of which a partner tells one bit a row: who is on it, and no score."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from psi.protocol import JobError

if TYPE_CHECKING:
    from profiles.job import Job
    from profiles.specs import ScoreSpec, TargetSpec, TrainSpec

__all__ = ["check_told_list", "told_bits", "told_length"]


def told_length(job: Job, task: str) -> int:
    """How many rows a partner is to tell to be on the list of a task; 0: there is none.

    Those that a campaign is to hold back are among them.
    """
    told = sum(t.top for t in job.targets if t.task == task and t.tells == "list")
    return told if job.campaign is None else math.ceil(told / (1.0 - job.campaign.control))


def told_bits(job: Job, task: str) -> int:
    """How finely the scores of those on the list of a task are told; 0: they are not."""
    bits = (t.score_bits for t in job.targets if t.task == task and t.tells == "list")
    return max(bits, default=0)


def check_told_list(
    job: Job, place: int, target: TargetSpec, *, scored: Callable[[TrainSpec | ScoreSpec], bool]
) -> None:
    """Raise `JobError` unless it is of a training, or a scoring, that tells no score, and the only
    list of it.

    Args:
        job: that is being read.
        place: of the list in its job file, from 1.
        target: the list.
        scored: whether rows of a training, or a scoring, get a score.
    """
    where = f"{job.file}: [[target]] {place}"
    every: list[TrainSpec | ScoreSpec] = [*job.trains, *job.scores]
    of = next(one for one in every if one.task == target.task)
    if scored(of):
        raise JobError(
            f'{where} tells: "list" found for {target.task!r}, of score_bits = {of.score_bits}',
            hint="who is on a list is told by itself where [[train]], or [[score]], has score_bits "
            '= 0 (a regression); or tells = "scores"',
        )
    if len([one for one in job.targets if one.task == target.task]) > 1:
        raise JobError(
            f'{where} tells: "list" found for {target.task!r}, by which another list ranks too',
            hint="a bit a row says who is on one list: a [[train]] of its own for each, or scores",
        )
    if target.choose == "value":
        raise JobError(
            f'{where} choose: value found, rule allowed with tells = "list"',
            hint="what an offer brings hangs on a chance, which no row has: score_bits = 1 or more",
        )
