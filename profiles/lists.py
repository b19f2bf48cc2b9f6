"""A job's target lists, and its campaign: whom they leave out so that their effect can be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from federated.tables.source import Source
from federated.text import plain
from profiles.assignment.of_list import learned_of
from profiles.campaign.control import ControlGroup
from profiles.campaign.effects import Sums, effect
from profiles.campaign.people import Held, campaign_table, held_back
from profiles.exclusion.consent import admission_of, reached
from profiles.exclusion.left_out import Reason
from profiles.job import Job
from profiles.offers.chosen import Money, Offered, offered
from profiles.offers.shown import COLUMNS, shown_effects, strange_groups
from profiles.own_table import managers_of, offer_columns, routed, sieved
from profiles.profile import score_column
from profiles.repeated import Persons
from profiles.routing import unknown
from profiles.specs import TargetSpec
from profiles.targets import ranked, target_list
from profiles.ties import Draw

__all__ = ["BEYOND", "Lists", "lists_of"]

BEYOND = "beyond the list's length"
"""Why somebody who may be on a list is not: it is full."""
NOT_TOLD = "below the list's threshold, or not shared"
"""The same where partners told who reaches it."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Lists:
    """All lists in one table, None where the job asks for none, and `rows` int64[leads], whose row
    of the receiver's each lead is; the campaign's people, None where
    there is no campaign; and by product what is held back, why others are not
    listed, and how many leads name a manager or a branch that no manager has, and
    what its offers come to; `looks` are sentences on what should be looked at."""

    targets: pa.Table | None = None
    campaign: pa.Table | None = None
    held: Mapping[str, Held] = field(default_factory=dict)
    left_out: Mapping[str, tuple[Reason, ...]] = field(default_factory=dict)
    unknown: Mapping[str, tuple[tuple[str, str, int], ...]] = field(default_factory=dict)
    money: Mapping[str, Money] = field(default_factory=dict)
    looks: tuple[str, ...] = ()
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def lists_of(
    job: Job,
    profiles: pa.Table,
    tables: Source,
    group: ControlGroup | None,
    told: Mapping[str, pa.Array] = MappingProxyType({}),
    *,
    key: bytes,
    persons: Persons | None = None,
) -> Lists:
    """The target lists of a job, best first in each.

    Args:
        job: as it was loaded.
        profiles: from `profiles.profile.build_profiles`, all rows of the job's copy.
        tables: the job's copies of the receiver's tables.
        group: the campaign's control group; None where the job has no campaign.
        told: by task who is on its list, bool[rows], where that was told and no score.
        key: what nobody knew before the job: of those who are alike it says who comes first.
        persons: which rows are one person: a list names it once, and it is held back in all its
            rows; None where each row is one.
    """
    if not job.targets:
        return Lists()
    everybody = np.ones(profiles.num_rows, bool)
    names = profiles.column("entity")
    names = names if persons is None else names.take(pa.array(persons.of))
    control = ~everybody if group is None else group.holds_back(names)
    admission = admission_of(tables, job.party(job.receiver).table)
    reach = {
        o.channel: reached(admission, o.channel) for o in job.offers if admission and o.channel
    }
    columns = offer_columns(job)
    table = tables.load(job.party(job.receiver).table, columns) if columns else profiles.select([0])
    lists, leads, parts, held, left_out, strange, money = [], [], [], {}, {}, {}, {}
    looks, taken = list[str](), dict[str, np.ndarray]()
    busy = dict[str, Counter[str]]()  # by the managers' table: their capacity is of all lists
    for target, found in zip(job.targets, sieved(job, tables, admission), strict=True):
        score = profiles.column(score_column(target.task)).to_numpy().astype(np.float64)
        may = found if persons is None else persons.once(found, score)
        effects = None
        if target.effects:
            shown = tables.load(target.effects, COLUMNS, keys=["group"])
            effects = shown_effects(shown, profiles, target.effects)
            looks += _strange(target, *strange_groups(shown, profiles, target.effects))
        people, draw = profiles.column("entity"), Draw(key, target.product)
        first = _first(target, taken, len(score))
        first = first if persons is None else persons.whole(first)
        could = may.rows & ~first
        chances = (score, could, control, reach, effects)
        offers = offered(target, job.offers, table, *chances, people=people, draw=draw)
        there = np.isfinite(score)
        if target.task in told:
            there &= told[target.task].fill_null(False).to_numpy(zero_copy_only=False)
        by_list = target.task in told
        sieve = _Sieve.of(could, control, there, offers, group, target.top, by_list=by_list)
        rank = None if offers is None or offers.by == "rule" else offers.expected
        listed = ranked(profiles, target.task, target.top, sieve.rows, rank, draw)
        earlier = int(np.count_nonzero(may.rows & first))
        others = (Reason("other list", ", ".join(target.after), earlier),) * bool(target.after)
        left_out[target.product] = (*may.reasons, *others, *sieve.reasons(len(listed)))
        taken[target.product] = _rows(len(score), listed)
        managers, routing = managers_of(target, tables), routed(job, target, tables)
        if managers is not None:
            strange[target.product] = unknown(routing, profiles.take(pa.array(listed)), managers)
        learned = learned_of(target, managers, tables, routing)
        if learned is not None and not learned.apart:
            looks.append(_alike(target, learned.chance))
            learned = None
        if offers is not None:
            money[target.product] = offers.money(listed)
        leads.append(listed)
        lists.append(
            target_list(
                profiles,
                target.product,
                target.task,
                target.top,
                managers,
                eligible=sieve.rows,
                name=target.name,
                columns=target.columns,
                routing=routing,
                learned=learned,
                explore=target.explore,
                busy=busy.setdefault(target.managers, Counter()),
                rank=rank,
                offers=None if offers is None else offers.columns,
                key=key,
            )
        )
        busy[target.managers].update(lists[-1].column("manager").drop_null().to_pylist())
        if group is not None:
            if target.task in told:
                back = np.flatnonzero(sieve.offered & control & there)
            elif rank is None:
                back = held_back(score, sieve.offered, control, listed, target.top, people, draw)
            else:  # the prices of the caps say who would have had an offer
                back = np.flatnonzero(sieve.offered & control & np.isfinite(score))
            parts.append((target.product, target.task, listed, back, offers))
            taken[target.product] |= _rows(len(score), back)
            held[target.product] = Held(len(back), _smallest(score, listed, back))
    targets = pa.concat_tables(lists, promote_options="default")
    keys = [column for level in job.party(job.receiver).keys for column in level]
    campaign = None if group is None else campaign_table(profiles, group, parts, keys)
    return Lists(
        targets=targets,
        campaign=campaign,
        held=held,
        left_out=left_out,
        unknown=strange,
        money=money,
        looks=tuple(looks),
        rows=np.concatenate(leads),
    )


def _first(target: TargetSpec, taken: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """`bool[rows]`: who is on a list that this one comes after, or held back from it."""
    found = np.zeros(rows, bool)
    for one in target.after:
        found |= taken[one]
    return found


def _rows(many: int, places: np.ndarray) -> np.ndarray:
    found = np.zeros(many, bool)
    found[places] = True
    return found


@dataclass(frozen=True, kw_only=True)
class _Sieve:
    """Of those who may be on a list: `rows`, who could be listed, and `offered`, who would have had
    an offer, held back or not; `before` and `after` the control group, why others are not. `beyond`
    are those of no offer only because the list is full."""

    rows: np.ndarray
    offered: np.ndarray
    before: tuple[Reason, ...]
    after: tuple[Reason, ...]
    beyond: int = 0

    @classmethod
    def of(
        cls,
        could: np.ndarray,
        control: np.ndarray,
        scored: np.ndarray,
        offers: Offered | None,
        group: ControlGroup | None,
        top: int,
        *,
        by_list: bool = False,
    ) -> _Sieve:
        """`could`, `control`, `scored`: bool[rows]; `top` are on the list at most. `by_list`: who
        is not `scored` is not told to be on it."""
        people = np.count_nonzero
        before, after, has, beyond = [], [], could, 0
        if offers is not None:
            has = could & offers.would
            if offers.by == "rule":
                none = int(people(could & ~has))
                before.append(Reason("offer", "within no tier of an offer", none))
                could = has
        if group is not None:
            before.append(Reason("control group", group.name, int(people(could & control))))
        left = could & ~control
        if unscored := int(people(left & ~scored)):
            words = NOT_TOLD if by_list else "without a score"
            after.append(Reason("rank", words, unscored))
        left &= scored
        if offers is not None and offers.by != "rule":
            made = offers.offer >= 0
            none = left & ~made
            if people(made) >= top:  # whoever an offer would pay for waits for a place
                beyond = int(people(none & offers.pays))
            words = "no offer brings more than its cost within the caps"
            after.append(Reason("offer", words, int(people(none)) - beyond))
            left &= made
        return cls(rows=left, offered=has, before=tuple(before), after=tuple(after), beyond=beyond)

    def reasons(self, listed: int) -> tuple[Reason, ...]:
        """All of them, where so many are listed."""
        beyond = self.beyond + int(np.count_nonzero(self.rows)) - listed
        return (*self.before, *self.after, Reason("rank", BEYOND, beyond))


def _strange(target: TargetSpec, groups: list[str], total: int) -> list[str]:
    """A sentence where effects are of groups that the list does not have."""
    if not groups:
        return []
    return [
        f"{target.product}: effects: {len(groups)} of {total} groups of {target.effects} are not "
        f"among those of the list, as {plain(groups[0], 60)!r}; who is in none of them has the "
        "effect of all. Take the effects of a campaign whose groups these are."
    ]


def _alike(target: TargetSpec, chance: float) -> str:
    """A sentence where a list's leads are spread evenly though there are earlier ones."""
    return (
        f"{target.product}: the results in {target.history} do not tell its managers apart (all "
        f"alike, they would differ as much in {100 * chance:.0f} of 100 cases): its leads are "
        "spread evenly."
    )


def _smallest(score: np.ndarray, listed: np.ndarray, back: np.ndarray) -> float:
    """Where the outcome comes about as often as the score says."""
    both = [Sums(len(rows), score[rows].sum(), score[rows].sum()) for rows in (listed, back)]
    return effect(*both).smallest
