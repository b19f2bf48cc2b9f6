"""Who is on a list, where no row's score is told: at one party, after a training whose rows were
counted by score, or in the place of a scoring.

With several partners the last one has a share of all scores and is the partner here.
`listed/TASK/counts` and `listed/TASK/open`: rows that may be on it, by the score, under the
partner's noise; by these the receiver finds the threshold. `listed/TASK/told`: a bit a row.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from federated.contract.kinds.listed import Listing, noise_of_list
from federated.counted import (
    LANES,
    MOST_RANGES,
    OTHER,
    CountsGiver,
    CountsTaker,
    ListHearer,
    ListTeller,
    RingGrid,
    ScoredHearer,
    ScoredTeller,
    ScoreGrid,
    WideHearer,
    WideScoreHearer,
    WideScoreTeller,
    WideTeller,
    aimed,
    asked_places,
    bins_of,
    codes_of,
    lanes_of,
    leaves_of,
    questions,
    ring_codes,
    ring_scores,
    scores_of,
    threshold,
)
from federated.sharing import BinHolder, ValueHolder
from federated.steps.outcome import ToldList
from federated.steps.score_parts import Parts
from federated.steps.work import Work

__all__ = ["hear_list", "tell_list"]


def hear_list(work: Work, terms: Listing, parts: Parts, middle: float) -> ToldList:
    """The receiver's part.

    Args:
        work: of the job.
        terms: of the training or the scoring.
        parts: what it has of each aligned row's score.
        middle: the mean of its part, by which that is centred.
    """
    context, peer, own = work.session.context, parts.peer, parts.own
    may, grid = _who_may(work, terms.task), _finer(parts.grid)
    bins = bins_of(grid, parts.cut, np.where(may, 0, OTHER).astype(np.int8))
    step, noise = f"listed/{terms.task}/counts", noise_of_list(terms)
    holder = BinHolder(context(step), peer, [bins], [leaves_of(grid)], LANES)
    shares = work.run(step, holder, [peer])
    step = f"listed/{terms.task}/open"
    (counts,) = work.run(step, CountsTaker(context(step), shares, grid), [peer])
    rows = int(np.count_nonzero(may))
    end = threshold(counts[0], grid, aimed(terms.listed, noise, rows))
    whole = rows <= terms.listed  # everybody who may be on it is: there is nothing to ask
    step = f"listed/{terms.task}/told"
    if whole and terms.listed_bits:
        end, whole = -np.inf, False  # the lowest edge, for the scores' sake
    if isinstance(grid, RingGrid):
        joined, ask = parts.shared(), may & (not whole)
        places = asked_places(own, joined.pads, ask, end, grid, joined.far)
        if not terms.listed_bits:
            told = work.run(step, WideHearer(context(step), peer, places), [peer])
            return ToldList(asked=may, listed=may & ((told > 0) | whole), noise=noise)
        told = work.run(step, WideScoreHearer(context(step), peer, places), [peer])
        scores = own + middle + ring_scores(told, joined.pads, grid)
        listed = may & (told & 1 > 0)
        scores = np.where(listed, scores, np.nan)
        return ToldList(asked=may, listed=listed, noise=noise, scores=scores)
    asked = questions(own, may & (not whole), end, grid)
    if not terms.listed_bits:
        told = work.run(step, ListHearer(context(step), peer, asked), [peer])
        return ToldList(asked=may, listed=may & ((told > 0) | whole), noise=noise)
    told = work.run(step, ScoredHearer(context(step), peer, asked), [peer])
    listed = may & (told > 0)
    scores = np.where(listed, own + middle + scores_of(told, grid), np.nan)
    return ToldList(asked=may, listed=listed, noise=noise, scores=scores)


def tell_list(work: Work, terms: Listing, parts: Parts, deviation: float = 0.0) -> None:
    """The partner's part, of several the last one's; `parts` is what it has of all scores.

    `deviation` is the least that counts as its standard deviation.
    """
    context, peer, own = work.session.context, parts.peer, parts.own
    grid = _finer(parts.grid)
    points = grid.theirs(parts.cut)
    step = f"listed/{terms.task}/counts"
    holder = ValueHolder(
        context(step),
        peer,
        len(own),
        LANES,
        lambda low, high: lanes_of(points[low:high]),
        columns=1,
    )
    shares = work.run(step, holder, [peer])
    step = f"listed/{terms.task}/open"
    seed = work.session.keep(f"listed-{terms.task.encode().hex()}", lambda: work.session.random(32))
    giver = CountsGiver(context(step), peer, shares, grid, noise_of_list(terms), seed)
    work.run(step, giver, [peer])
    step = f"listed/{terms.task}/told"
    if isinstance(grid, RingGrid):
        if not terms.listed_bits:
            work.run(step, WideTeller(context(step), peer, parts.cut), [peer])
            return
        drawn = parts.shared().deviation * 2.0**-terms.listed_bits
        codes = ring_codes(parts.cut, grid, drawn, seed)
        work.run(step, WideScoreTeller(context(step), peer, parts.cut, codes), [peer])
        return
    if not terms.listed_bits:
        work.run(step, ListTeller(context(step), peer, own, grid), [peer])
        return
    codes = codes_of(own, grid, terms.listed_bits, seed, deviation)
    work.run(step, ScoredTeller(context(step), peer, own, grid, codes), [peer])


def _finer(grid: ScoreGrid | RingGrid) -> ScoreGrid | RingGrid:
    return replace(grid, most=MOST_RANGES)


def _who_may(work: Work, task: str) -> np.ndarray:
    """`bool[rows]`: which aligned rows may be on the list, as it was when first asked for."""
    rows = work.outcome.rows

    def asked() -> bytes:
        found = work.may(task)
        may = np.ones(len(rows), bool) if found is None else found[rows]
        return np.packbits(may).tobytes()

    kept = work.session.keep(f"may-{task.encode().hex()}", asked)
    return np.unpackbits(np.frombuffer(kept, np.uint8), count=len(rows)).astype(bool)
