"""What lists that are told by one bit a row tell an insider: whole rows of the partner's.

Trainings and lists are by the product's own roles. The insider knows every tuple of the partner's
columns with its frequency, and the partner's part of each one's score exactly: it takes the most
frequent tuple that agrees with all that was answered of a row. A receiver that lies asks each row
by an edge of its own, so that half of the tuples left, by frequency, reach it: list after list of
the same model, as many as a new node's book has bits for, and until edges are used up.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack.data import Floats, Ints, Joined, load
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.insider import TRIED
from benchmarks.attack.labels import MANY
from federated.counted import (
    LANES,
    MOST_RANGES,
    CountsGiver,
    CountsTaker,
    ListHearer,
    ListTeller,
    ScoreGrid,
    SpreadHearer,
    SpreadTeller,
    aimed,
    answer_bits,
    bins_of,
    lanes_of,
    leaves_of,
    list_noise,
    questions,
    threshold,
)
from federated.counted.threshold import edges
from federated.regression import FeatureParty, LabelParty, count_noise, counted_bits, planned
from federated.releases.budget import allowed_bits
from federated.releases.limits import ReleaseLimits
from federated.sharing import BinHolder, ValueHolder
from psi.protocol import Context, MemoryStore, Pair

__all__ = ["rows"]

Told = NDArray[np.bool_]
Asked = NDArray[np.uint8]
HALVINGS = 7
"""Lists after which 127 edges have nothing left to halve."""
WHOLE_ROWS = 0.05


@dataclass(frozen=True, repr=False)
class _Fit:
    """Both parties' parts of all rows' scores, the receiver's centred; how they are cut."""

    own: Floats
    theirs: Floats
    grid: ScoreGrid
    noise: float


def rows(scale: Scale) -> Iterator[Finding]:
    """One honest list of a tenth of the rows; what a receiver that lies gets from several."""
    for name in scale.sets:
        found = load(name, scale.rows)
        fit, length = _fitted(found), len(found.label) // 10
        noise = list_noise(fit.noise, length)
        booked = answer_bits(0) + counted_bits(noise) + counted_bits(count_noise(fit.noise))
        allowed = allowed_bits(ReleaseLimits(), found.entropy) / 1e6
        may = int(allowed / booked) if len(found.label) >= MANY else 0
        which = found.tuples[1]
        tried = np.random.default_rng(0).permutation(len(which))[:TRIED]
        answered = [_listed(fit, length, noise)]
        cases = [("receiver, semi-honest", f"one list of {length:,}", 1, answered)]
        for number in sorted({may, HALVINGS} - {0}):
            lists = f"{number} list{'s' * (number > 1)} of one model"
            lists += ", a new node's most" if number == may else "; a new node refuses it"
            told = _halved(found, fit, number)
            cases.append(("receiver, lies: edges of its choosing", lists, number, told))
        for who, what, number, told in cases:
            guess = _decoded(found, fit, tried, told)
            yield Finding(
                attack="",
                protocol="lists by one bit a row, one partner",
                data=found.told,
                who=who,
                what=f"whole rows of the partner recovered, by an insider; {what}",
                figure=float((guess == which[tried]).mean()),
                baseline=found.mode,
                bar=WHOLE_ROWS if number <= may else None,
                more={"lists": number, "bits_booked": number * booked, "bits_held": found.entropy},
            )


def _context(party: str) -> Context:
    return Context(b"a" * 32, "listed/t", party, secrets.token_bytes, MemoryStore())


def _fitted(found: Joined) -> _Fit:
    """A training that tells no row's score, at a job's defaults but for folds: one direction."""
    plan = planned(len(found.label), folds=0, score_bits=0)
    fits = Pair(
        LabelParty(_context("bank"), ["partner"], found.own, found.label, plan=plan),
        FeatureParty(_context("partner"), "bank", found.partner, plan=plan),
    ).run()
    own, theirs = fits["bank"].own, fits["partner"].own
    spread = Pair(
        SpreadTeller(_context("partner"), "bank", float(theirs.std())),
        SpreadHearer(_context("bank"), own),
    ).run()
    grid = replace(spread["bank"], most=MOST_RANGES)
    return _Fit(own - own.mean(), theirs, grid, plan.noise)


def _listed(fit: _Fit, length: int, noise: float) -> tuple[Asked, Told]:
    """What an honest receiver asks of each row, and what it is told."""
    bins = bins_of(fit.grid, fit.own, np.zeros(len(fit.own), np.int8))
    lanes, place = lanes_of(fit.grid.theirs(fit.theirs)), _context("partner")
    shares = Pair(
        BinHolder(_context("bank"), "partner", [bins], [leaves_of(fit.grid)], LANES),
        ValueHolder(place, "bank", len(fit.own), LANES, lambda i, j: lanes[i:j], columns=1),
    ).run()
    seed = secrets.token_bytes(32)
    counts = Pair(
        CountsTaker(_context("bank"), shares["bank"], fit.grid),
        CountsGiver(_context("partner"), "bank", shares["partner"], fit.grid, noise, seed),
    ).run()["bank"]
    end = threshold(counts[0][0], fit.grid, aimed(length, noise, len(fit.own)))
    return _told(fit, questions(fit.own, np.ones(len(fit.own), np.bool_), end, fit.grid))


def _told(fit: _Fit, asked: Asked) -> tuple[Asked, Told]:
    pair = Pair(
        ListHearer(_context("bank"), "partner", asked),
        ListTeller(_context("partner"), "bank", fit.theirs, fit.grid),
    )
    return asked, pair.run()["bank"] > 0


def _halved(found: Joined, fit: _Fit, lists: int) -> list[tuple[Asked, Told]]:
    """Each row asked by the edge that halves what is left of it, by frequency."""
    first, _, counts = found.tuples
    at = np.searchsorted(edges(fit.grid), fit.theirs[first], side="right")
    before = np.concatenate([[0], np.cumsum(np.bincount(at, counts, len(edges(fit.grid)) + 1))])
    low = np.zeros(len(fit.theirs), np.int64)
    high = np.full(len(fit.theirs), len(before) - 1)
    answered = []
    for _ in range(lists):
        asked = _middle(before, low, high)
        both = _told(fit, asked.astype(np.uint8))
        low = np.where(both[1], np.maximum(low, asked + 1), low)
        high = np.where(both[1], high, np.minimum(high, asked + 1))
        answered.append(both)
    return answered


def _middle(before: Floats, low: Ints, high: Ints) -> Ints:
    """The edge between ranges `low` and `high` with half of their rows on each side, or nearly."""
    half = np.searchsorted(before, (before[low] + before[high]) / 2)
    return np.asarray(np.clip(np.clip(half, low + 1, high - 1) - 1, 0, len(before) - 3))


def _decoded(found: Joined, fit: _Fit, tried: Ints, told: list[tuple[Asked, Told]]) -> Ints:
    """The most frequent tuple that agrees with all answers, of each tried row."""
    first, _, counts = found.tuples
    ends, theirs = edges(fit.grid), fit.theirs[first]
    agrees = np.ones((len(tried), len(first)), np.bool_)
    for asked, answer in told:
        agrees &= (theirs[None, :] >= ends[asked[tried]][:, None]) == answer[tried][:, None]
    return np.asarray(np.where(agrees, counts[None, :], 0).argmax(axis=1))
