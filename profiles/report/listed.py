"""Whom to approach: segments and target lists, as a report shows them."""

from __future__ import annotations

from dataclasses import dataclass

from profiles.campaign.people import Held
from profiles.exclusion.left_out import Reason
from profiles.offers.chosen import Money

__all__ = [
    "SegmentLine",
    "TargetLine",
    "TargetSummary",
]


@dataclass(frozen=True)
class SegmentLine:
    """One segment of the receiver's entities; `scores` are (task, mean score).

    Attributes:
        name: of the segment.
        description: what marks it, in words.
        size: entities.
        share: of all entities, 0 to 1.
    """

    name: str
    description: str
    size: int
    share: float
    scores: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class TargetLine:
    """One entity of a target list.

    Attributes:
        rank: from 1.
        score: 0 to 1.
        reasons: in words, the strongest first.
        manager: who is to call; "" for nobody.
        name: of the entity.
        segment: of the entity.
        unassigned: why nobody is to call.
        matched: whether a partner knows the entity.
        offer: what it is offered.
        left: the value less the cost of the offer.
    """

    rank: int
    entity: str
    score: float
    reasons: tuple[str, ...] = ()
    manager: str = ""
    name: str = ""
    segment: str = ""
    unassigned: str = ""
    matched: bool = True
    offer: str = ""
    left: float | None = None


@dataclass(frozen=True, kw_only=True)
class TargetSummary:
    """One target list: how long it is, how many have a manager, and its first lines.

    `assigned` is None where the job names no managers, `assigned_by` are (how, entities) of these;
    `unassigned` are (why, entities);
    `managers` are (manager, entities, their mean score), most entities first. `mean` is the mean
    score of the list and `average` that of all entities, None where there is none. `left_out`
    counts everybody else, each for one reason; `held` how many for a campaign's control group, None
    without one; `unknown` are (column of leads, of managers, leads whose value no manager has);
    `money` is what its offers come to, None without offers;
    `unmatched` of the listed have a score of the receiver's own model. `chances`: scores are, and
    not predicted numbers. `told`: partners told who is on the list; `own`: and no score, so order
    and scores are the receiver's own.

    Attributes:
        product: what is to be sold.
        total: entities on the list.
        file: where the whole list is.
    """

    product: str
    score: str
    total: int
    lines: tuple[TargetLine, ...]
    assigned: int | None = None
    unassigned: tuple[tuple[str, int], ...] = ()
    file: str = "targets.csv"
    mean: float | None = None
    average: float | None = None
    managers: tuple[tuple[str, int, float], ...] = ()
    left_out: tuple[Reason, ...] = ()
    unknown: tuple[tuple[str, str, int], ...] = ()
    money: Money | None = None
    unmatched: int = 0
    assigned_by: tuple[tuple[str, int], ...] = ()
    held: Held | None = None
    chances: bool = True
    told: bool = False
    own: bool = False
