"""What a party may still tell one receiver of its columns: sums over a contract and all before it.

Pure functions over what was told, what is asked and how many bits a row holds; `memory` keeps
the one, `release` derives the other, `entropy` measures the third.

`check_counts` needs no record: releases, distinct thresholds, epsilon and bits of a label, column
by column. So a policy can ask it of a contract alone, and a book before anything is sent.

`check_bits` bounds what is told of a record. Of each set of columns that a step asks for, and of
all columns told so far together: whatever was told by releases that touch one of them, this
contract's whole, may be at most `row_share` of the bits that a row holds in them, and leave
`row_left` of them. A release over more columns counts whole for each set that it touches, so asking
for parts first gains nothing.
Columns of which only noised tables were told are bounded by their epsilon instead, labels by what
their own limit allows.

A refusal tells what the asker knows (its own jobs, their records and bits, what it asks) and one
number of the whole table: on which side of its total the party's bound lies. The bound is rounded
down to a tenth of a bit. See docs/protocols/differencing.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from federated.contract.kinds.train_vertical import FINEST_SCORES
from federated.contract.release import Release
from federated.regression import told_bits
from federated.releases.book import ANY_EDGES, MICRO, Entry, micro
from federated.releases.likeness import Alike, apart
from federated.releases.limits import ReleaseLimits
from federated.text import compared
from psi.protocol import Declined

__all__ = ["Earlier", "Holds", "OverBudget", "allowed_bits", "check_bits", "check_counts"]
__all__ += ["passing_instead", "passing_row_bits", "passing_score_bits"]

DAY = 24 * 3600
_TENTH = MICRO // 10

Holds = Callable[[frozenset[str]], float]
"""How many bits a row of the table holds in these columns."""


class OverBudget(Declined):
    """More is asked than may be told. The asker is told in these words, which are worth it: it
    could work them out but for a bound of the whole table's, and learns what would pass.
    """


@dataclass(frozen=True)
class Earlier:
    """What an earlier job told, and when that is forgotten.

    `about` is `bool[records]`, which of those that are asked now; None: it may be any.
    """

    entries: tuple[Entry, ...]
    expires: int
    about: np.ndarray | None = None


def check_counts(
    table: str,
    limits: ReleaseLimits,
    asked: Sequence[Release],
    purpose: str,
    told: Sequence[tuple[str, Entry]] = (),
    alike: Alike = apart,
) -> None:
    """Raise `OverBudget` where a column's releases, thresholds or epsilon would pass a limit.

    `told` are this receiver's earlier releases with their purposes. Columns that are `alike` are
    one.
    """
    _check_same(table, limits, asked, [entry for _, entry in told], alike)
    every = {c for release in asked for c in release.columns}
    every |= {c for _, entry in told for c in entry.columns}
    for column in dict.fromkeys(c for release in asked for c in release.columns):
        kin = alike(column, every)
        fresh = [release for release in asked if kin.intersection(release.columns)]
        spent = [(why, entry) for why, entry in told if kin.intersection(entry.columns)]
        where, days = f"column {column!r} of {table}", limits.keep_days
        if len(kin) > 1:
            where += f" and {_listed(kin - {column})}, which say the same"
        found = sum(not _label_alone(entry) for _, entry in spent)
        found += sum(not _label_alone(release) for release in fresh)
        most = limits.releases_per_column
        if found > most:
            raise OverBudget(
                f"{where}: {found} releases asked within {days} days, {most} allowed by policy"
            )
        _check_squares(where, limits, kin, [*fresh, *(entry for _, entry in spent)])
        _check_hidden(where, limits, fresh, [entry for _, entry in spent])
        _check_edges(where, limits, kin, fresh, [entry for _, entry in spent])
        counting = [entry for why, entry in spent if _same_purpose(limits, why, purpose)]
        _check_epsilon(where, limits, fresh, counting)
        _check_label(where, limits, fresh, [entry for _, entry in spent])


def _check_same(
    table: str,
    limits: ReleaseLimits,
    asked: Sequence[Release],
    told: Sequence[Entry],
    alike: Alike,
) -> None:
    """Raise `OverBudget` where exact answers on two columns that say the same would be told.

    Differences and sections are audited column by column: of two such columns one has answers.
    """
    if not limits.minimum_difference:
        return
    fresh = dict.fromkeys(c for one in asked if _exact(one) for c in one.columns)
    every = {*fresh, *(c for entry in told if _exact(entry) for c in entry.columns)}
    for column in fresh:
        other = alike(column, every) - {column}
        if other:
            raise OverBudget(
                f"columns {column!r} and {_listed(other)} of {table} say the same: exact answers "
                f"on one of them to one receiver allowed within {limits.keep_days} days",
                hint=f"ask {_listed(other)} alone, or with noise",
            )


def _exact(one: Release | Entry) -> bool:
    """Sums and tables without noise; a training's numbers are counted in bits of all columns."""
    return not one.epsilon and one.step.split("/")[0] in ("aggregate", "join_sum", "category")


def _listed(columns: Iterable[str]) -> str:
    return " and ".join(repr(column) for column in sorted(columns))


def _same_purpose(limits: ReleaseLimits, one: str, other: str) -> bool:
    """A purpose that the policy does not name is whatever the asker calls it."""
    return one == other or not {one, other} <= set(limits.purposes)


def _check_hidden(
    where: str, limits: ReleaseLimits, fresh: Sequence[Release], spent: Sequence[Entry]
) -> None:
    """An exact sum over records that nobody learns cannot be compared, so it stands alone.

    Beside another exact one, over the same records but one, it would tell that one's value.
    """
    exact = [release.step for release in fresh if not release.epsilon]
    exact += [entry.step for entry in spent if not entry.epsilon]
    sums = [step for step in exact if step.split("/")[0] in ("aggregate", "join_sum")]
    if len(sums) > 1 and any(step.startswith("join_sum/") for step in sums):
        raise OverBudget(
            f"{where}: {len(sums)} exact sums asked in all within {limits.keep_days} days, one of "
            "them over records that nobody learns, which allows no other",
            hint="[[join_sum]] noise: two that differ by one record would tell its value",
        )


def _check_squares(
    where: str, limits: ReleaseLimits, columns: frozenset[str], told: Sequence[Release | Entry]
) -> None:
    """A column's squares are added up once, in one section, whoever keeps to its segments.

    A receiver that moves two records between two sections has x - y by their sums, and by sums of
    squares x^2 - y^2, so both values. A party that compares no answers has told as much by sums.
    """
    if not limits.minimum_difference:
        return
    found = sum(bool(columns.intersection(one.squares)) for one in told if not one.epsilon)
    if found > 1:
        raise OverBudget(
            f"{where}: a variance asked {found} times within {limits.keep_days} days, 1 allowed: "
            "ask its mean alone, or the variance of a column of this period",
            hint="two would tell values of rows to a receiver that lies about its segments",
        )


def _check_edges(
    where: str,
    limits: ReleaseLimits,
    columns: frozenset[str],
    fresh: Sequence[Release],
    spent: Sequence[Entry],
) -> None:
    asked = set().union(*(release.edges(c) for release in fresh for c in columns))
    if not asked:
        return
    told = set().union(*(entry.edges(c) for entry in spent for c in columns))
    most = limits.thresholds_per_column
    if ANY_EDGES in told:
        raise OverBudget(
            f"{where}: thresholds asked, and an earlier version has told nobody knows how many",
            hint=f"within {limits.keep_days} days, or until that job is forgotten",
        )
    if len(asked | told) > most:
        raise OverBudget(
            f"{where}: {len(asked | told)} thresholds asked in all, {most} allowed by policy"
        )


def _check_epsilon(
    where: str, limits: ReleaseLimits, fresh: Sequence[Release], spent: Sequence[Entry]
) -> None:
    exact = [one for one in fresh if one.epsilon <= 0 and not _label_alone(one)]
    if limits.epsilon is not None and exact:
        raise OverBudget(f"{where}: an answer without noise asked, policy allows noised ones only")
    budgets = [b for b in (limits.epsilon, limits.epsilon_per_column) if b is not None]
    asked, most = sum(micro(release.epsilon) for release in fresh), min(budgets)
    total = asked + sum(entry.epsilon for entry in spent)
    if asked and total > round(most * MICRO):
        raise OverBudget(
            f"{where}: epsilon {total / MICRO:g} asked in all, {most:g} allowed by policy"
        )


def _label_alone(one: Release | Entry) -> bool:
    """A training of a label of this party's: bounded by its bits, and by nothing else here."""
    label = one.label_bits if isinstance(one, Release) else one.label
    return bool(label) and not one.epsilon


def _check_label(
    where: str, limits: ReleaseLimits, fresh: Sequence[Release], spent: Sequence[Entry]
) -> None:
    """Of one record's label, by the noise of all trainings and binnings together.

    What was told of the column as one of many in another job may have been this label whole.
    """
    asked = sum(micro(release.label_bits) for release in fresh)
    before = label_before(spent)
    if over_label(asked, before, limits.label_bits):
        enough = math.ceil((asked + before) / MICRO * 100) / 100
        raise OverBudget(
            f"{where}: {round(asked / MICRO, 2):g} bits of one record's label asked, "
            f"{before / MICRO:.2g} told before to the same partner, {limits.label_bits:g} allowed "
            f"by policy within {limits.keep_days} days",
            hint="noise = 1 or more in [train], which of fewer than 16,384 records has none unless "
            "told to; fewer trainings of this label (trees count a whole one each), or of more "
            f"records; or label_bits = {enough:g} in this party's own policy, under [releases]",
        )


def label_before(spent: Iterable[Entry]) -> int:
    """Millionths of a bit that these entries told of one record's value in a column of theirs."""
    return sum(entry.label or min(entry.bits, MICRO) for entry in spent)


def over_label(asked: int, before: int, allowed: float) -> bool:
    """Whether so much of a label, in millionths of a bit, is more than is `allowed`, in bits."""
    return bool(asked) and asked + before > round(allowed * MICRO)


def allowed_bits(limits: ReleaseLimits, holds: float) -> int:
    """The bound, in millionths: a share of what a row holds, with some bits left, downwards to
    whole tenths of a bit.
    """
    most = min(holds, 1e6) * limits.row_share
    if limits.row_share < 1:
        most = min(most, holds - limits.row_left)
    return max(0, math.floor(most * 10 + 1e-9)) * _TENTH


def check_bits(
    table: str,
    limits: ReleaseLimits,
    holds: Holds,
    asked: Sequence[Release],
    own: Sequence[Entry],
    before: Sequence[Earlier],
    now: float,
    least: float = 0.0,
) -> None:
    """Raise `OverBudget` where a record would have been told more than its share of bits.

    Args:
        asked: what this contract is about to tell; `own`: what it has told already.
        before: earlier jobs to the same receiver.
        least: bits that a row held in columns of earlier jobs, which may be gone by now.
    """
    weighing = [r for r in asked if r.bits > 0 and not r.whole and not r.label_bits]
    if not weighing:
        return
    entries = [*own, *(Entry.of(release) for release in asked)]
    everything = [e for job in before for e in job.entries] + entries
    sets = [(frozenset(release.columns), False) for release in weighing]
    sets.append((frozenset(c for e in everything if e.bits for c in e.columns), True))
    for columns, whole in dict.fromkeys(sets):
        touching = [e for e in everything if _told(e, columns)]
        if all(entry.epsilon or entry.label for entry in touching):
            continue
        held = max(holds(columns), least) if whole else holds(columns)
        most = allowed_bits(limits, held)
        mine = sum(_told(entry, columns) for entry in entries)
        jobs = [(sum(_told(e, columns) for e in job.entries), job) for job in before]
        jobs = [(bits, job) for bits, job in jobs if bits]
        worst = _worst(jobs)
        if mine + worst > most:
            passing = list(_would_pass(weighing, entries, columns, jobs, most, now))
            figures = (mine + worst, most, mine, worst)
            _, may, now_asked, before_told = compared(*(bits / MICRO for bits in figures))
            raise OverBudget(
                f"{now_asked} bits of a row of {table} asked, {before_told} told before, "
                f"{may} allowed: a row holds {held:.1f} in "
                f"{len(columns)} columns; {' or '.join(passing) or 'nothing'} would pass",
                hint="policy: [releases] row_share, row_left",
            )


def _told(entry: Entry, columns: frozenset[str]) -> int:
    return max(entry.bits, entry.label) if columns.intersection(entry.columns) else 0


def _worst(jobs: Iterable[tuple[int, Earlier]]) -> int:
    """The most that was told of one of the records that are asked."""
    fixed, told = 0, np.zeros(1, np.int64)
    for bits, job in jobs:
        if job.about is None:
            fixed += bits
        else:
            told = told + bits * job.about
    return fixed + int(told.max(initial=0))


def passing_score_bits(scores: Sequence[Release], left: int) -> int:
    """The finest `score_bits` with which releases of scores come to no more than is left.

    Args:
        scores: releases with vectors.
        left: bits of a row that may be told still, in millionths.

    Returns: 0 where the coarsest tell more, or there are no scores.
    """
    for bits in range(FINEST_SCORES, 0, -1) if scores else ():
        told = (release.vectors * told_bits(bits) + release.besides for release in scores)
        if sum(map(micro, told)) <= left:
            return bits
    return 0


def passing_instead(asked: Sequence[Release], left: int) -> str:
    """The first of other terms with which releases come to no more than is left; "" for none.

    Args:
        asked: releases, of which some say what would tell less.
        left: bits of a row that may be told still, in millionths, with all that these ask.
    """
    for words in dict.fromkeys(words for release in asked for words, _ in release.instead):
        told = (dict(release.instead).get(words, release.bits) for release in asked)
        if sum(map(micro, told)) <= left:
            return words
    return ""


def passing_row_bits(asked: Sequence[Release], left: int) -> int:
    """The most `row_bits` with which trainings that have them come to no more than is left.

    Args:
        asked: releases, of which those of trainings without scores have `row_bits`.
        left: bits of a row that may be told still, in millionths, with all that these ask.

    Returns: 0 where none would pass, or no training has any.
    """
    capped = [r for r in asked if r.step.startswith("train/") and not (r.vectors or r.rounded)]
    rest = left - sum(micro(r.bits) for r in asked if r not in capped)
    return max(0, rest) // (MICRO * len(capped)) if capped else 0


def _would_pass(
    weighing: Sequence[Release],
    entries: Sequence[Entry],
    columns: frozenset[str],
    jobs: Sequence[tuple[int, Earlier]],
    most: int,
    now: float,
) -> Iterator[str]:
    """Finer noise, records that were told less, or waiting: what there is of these."""
    mine, worst = sum(_told(entry, columns) for entry in entries), _worst(jobs)
    scores = [r for r in weighing if r.vectors and columns.intersection(r.columns)]
    rest = mine - sum(micro(release.bits) for release in scores)
    if bits := passing_score_bits(scores, most - rest - worst):
        yield f"score_bits = {bits}"
    touching = [r for r in weighing if columns.intersection(r.columns)]
    others = mine - sum(micro(release.bits) for release in touching)
    if not bits and (words := passing_instead(touching, most - others - worst)):
        yield words
    if bits := passing_row_bits(touching, most - others - worst):
        yield f"row_bits = {bits}"
    if mine > most:
        return
    about = [job.about for _, job in jobs if job.about is not None]
    if about:
        spent = sum(bits * job.about for bits, job in jobs if job.about is not None)
        fixed = sum(bits for bits, job in jobs if job.about is None)
        fresh = int(np.count_nonzero(spent + fixed + mine <= most))
        if fresh:
            yield f"{fresh} of {len(about[0])} records"
    for day in sorted(job.expires for _, job in jobs):
        if mine + _worst((bits, job) for bits, job in jobs if job.expires > day) <= most:
            yield f"the same in {max(1, math.ceil((day - now) / DAY))} days"
            break
