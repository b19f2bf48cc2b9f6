"""The receiver recovers the partner's rows from what trainings tell it: blind, and as an insider.

`trainings`: one training, as the product tells it now. `months`: the same job each month on nearly
the same records, by whole jobs under a new node's policy, until it refuses; then both attacks on
everything that was told. `shares`: what the insider decodes from a given share of the bits that
the columns hold, whoever chose the directions: what a budget is to be read by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from benchmarks.attack import insider, lattice
from benchmarks.attack.data import Bound, Floats, Joined, bound, joined, load
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.folds import trained
from benchmarks.attack.plain import Fit, fitted
from benchmarks.attack.world import World, why
from federated.regression import told_bits
from federated.releases.budget import allowed_bits
from federated.releases.limits import ReleaseLimits
from profiles.train_section import SCORE_BITS
from psi.protocol import FedprofileError

__all__ = ["ASKED", "BAR", "CHURN", "MONTHS", "largest_cell", "months"]
__all__ += ["shares", "trainings", "whole_rows"]

MONTHS = 12
# records that are not in a month's job, others each month
CHURN = 20
# the job's defaults, what a smaller table lets through, and what leaves room for more months
ASKED = (0, 3, 2, 1)
BAR = 0.05
# shares of the bits held that `shares` spends, and on how many vectors; fewer in a quick run
SHARES, SOME_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0), (0.4, 0.6)
VECTORS, SOME_VECTORS = (1, 2, 4, 7), (1, 2)
SHARE_SEEDS = 3
# rows of sets whose columns are continuous are all distinct: a lattice has nothing to find
DISCRETE = ("credit_default", "bank_marketing", "invented")


def trainings(scale: Scale) -> Iterator[Finding]:
    """One training by the product's roles; what the receiver was told, attacked."""
    for name in scale.sets:
        found = load(name, scale.rows)
        try:
            fit = fitted(found)
        except FedprofileError as error:
            yield Finding(
                attack="",
                protocol="vertical",
                data=found.told,
                who="receiver",
                what="",
                refused=why(error),
            )
            continue
        allowed = allowed_bits(ReleaseLimits(), found.entropy) / 1e6
        passes = told_bits(SCORE_BITS) <= allowed
        when = "" if passes else f"; a new node refuses it, {allowed:.1f} bits allowed"
        bar = BAR if passes else None
        yield from _recovered(found, [fit], "vertical, one partner", when, bar)


def months(scale: Scale) -> Iterator[Finding]:
    """Twelve jobs on nearly the same records under the policy of a new node."""
    for name in scale.sets if scale.full else scale.sets[:1]:
        tables = bound(name)
        if scale.rows:
            tables = tables.take(np.arange(min(scale.rows, len(tables.own))))
        for score_bits in ASKED:
            yield from _months(tables, score_bits)


def _months(tables: Bound, score_bits: int) -> Iterator[Finding]:
    """Jobs that ask for so many score bits, and what is recovered from all that ran."""
    world = World(tables.partner, dict.fromkeys(tables.features[1], "feature"))
    fits: list[Fit] = []
    refused = ""
    rows = np.arange(len(tables.own))
    for month in range(MONTHS):
        # some records leave and others come, or the guard would refuse the same records at once
        left = rows[month * CHURN : (month + 1) * CHURN]
        bank = tables.own.take(pa.array(np.delete(rows, left)))
        try:
            result, fit = trained(replace(tables, own=bank), world, score_bits)
            fits.append(_spread(fit, result.partner.rows, len(rows)))
        except FedprofileError as error:
            refused = why(error)
            break
    design = joined(tables)
    protocol = "vertical, one partner, whole jobs"
    asked = f"score_bits = {score_bits}" if score_bits else "the job's defaults"
    yield Finding(
        attack="",
        protocol=protocol,
        data=design.told,
        who="receiver",
        what=f"monthly jobs that a new node runs, {asked}",
        figure=float(len(fits)),
        more={"of": MONTHS, "then": refused, "score_bits": score_bits},
    )
    if fits:
        yield from _recovered(design, fits, protocol, f", after {len(fits)} jobs, {asked}")


def shares(scale: Scale) -> Iterator[Finding]:
    """Bits told over bits held, against whole rows decoded."""
    seeds = min(scale.seeds, SHARE_SEEDS) if scale.full else 1
    for name in scale.sets if scale.full else scale.sets[:1]:
        found = load(name, scale.rows)
        rank = int(np.linalg.matrix_rank(found.partner))
        for share in SHARES if scale.full else SOME_SHARES:
            worst: dict[str, tuple[float, int]] = {}
            for count in VECTORS if scale.full else SOME_VECTORS:
                each = share * found.entropy / count
                if each < insider.bits_of(1) or count > rank:
                    continue
                score_bits = insider.score_bits_for(each)
                for family, played in insider.families(found, count, score_bits, seeds):
                    worst[family] = max(worst.get(family, (0.0, 0)), (played, count))
            for family, (figure, count) in worst.items():
                yield Finding(
                    attack="",
                    protocol="vertical, score vectors with noise",
                    data=found.told,
                    who="receiver, lies: steers the directions"
                    if family == "chosen"
                    else "receiver",
                    what=f"whole rows by an insider, share {share:g} of the bits told, {family}",
                    figure=figure,
                    baseline=found.mode,
                    more={
                        "share": share,
                        "family": family,
                        "vectors": count,
                        "bits_held": found.entropy,
                        "bits_told": share * found.entropy,
                    },
                )


def _recovered(
    found: Joined, fits: list[Fit], protocol: str, when: str = "", bar: float | None = BAR
) -> Iterator[Finding]:
    told = np.column_stack([fit.held for fit in fits])
    # held-out scores of one fold lie along one direction each
    rows = largest_cell(np.column_stack([fit.fold for fit in fits]))
    numbers = told[rows]
    numbers = numbers[:, np.isfinite(numbers).all(axis=0)]
    insides, blind, bits = whole_rows(found, rows, numbers)
    more = {"vectors": int(numbers.shape[1]), "bits_told": bits, "bits_held": found.entropy}
    for figure, how in ((insides, "by an insider"), (blind, "knowing none (up to one linear map)")):
        if figure is not None:
            yield Finding(
                attack="",
                protocol=protocol,
                data=found.told,
                who="receiver, semi-honest",
                what=f"whole rows of the partner recovered{when}, {how}",
                figure=figure,
                baseline=found.mode,
                bar=bar,
                more=more,
            )


def whole_rows(
    found: Joined, rows: np.ndarray, numbers: Floats
) -> tuple[float, float | None, float]:
    """What share of these rows is recovered: by an insider, and by one who knows none.

    Args:
        found: all of them, as the partner has them.
        rows: those whose numbers lie along the same directions.
        numbers: `float64[rows, jobs]`, what was told of them.

    Returns both shares, the second None where there is nothing for a lattice to find, and the bits
    that were told of a row in the mean.
    """
    signal, noise = _split(found.partner[rows], numbers)
    bits = float(0.5 * np.log2(1.0 + (signal / np.maximum(noise, 1e-12)) ** 2).sum())
    blind = None
    if found.name in DISCRETE:
        blind = lattice.decoded_blind(numbers, found.partner[rows])
    return _insider(found, rows, numbers, noise), blind, bits


def _spread(fit: Fit, at: np.ndarray, rows: int) -> Fit:
    """A fit over some rows of a table as one over all: NaN, and fold -2, where it had none."""
    held, fold = np.full(rows, np.nan), np.full(rows, -2, dtype=np.int64)
    held[at], fold[at] = fit.held, fit.fold
    return replace(fit, held=held, fold=fold)


def largest_cell(folds: np.ndarray) -> np.ndarray:
    """Rows that were in the same fold in every job: their numbers share their directions."""
    together = np.unique(folds, axis=0, return_inverse=True)
    cells = np.asarray(together[1]).reshape(-1)
    return np.flatnonzero(cells == np.argmax(np.bincount(cells)))


def _split(partner: Floats, numbers: Floats) -> tuple[Floats, Floats]:
    """Standard deviations of what the columns explain, and of the noise."""
    design = np.column_stack([partner, np.ones(len(partner))])
    exact = design @ np.linalg.lstsq(design, numbers, rcond=None)[0]
    return exact.std(axis=0), (numbers - exact).std(axis=0)


def _insider(found: Joined, rows: np.ndarray, numbers: Floats, noise: Floats) -> float:
    """Share of these rows whose tuple the insider gets, with directions known exactly."""
    design = np.column_stack([found.partner, np.ones(len(found.partner))])
    directions = np.linalg.lstsq(design[rows], numbers, rcond=None)[0]
    first, which, counts = found.tuples
    tried = np.random.default_rng(0).permutation(len(rows))[: insider.TRIED]
    guess = insider.decode(
        numbers[tried], design[first] @ directions, noise, np.log(counts / len(which))
    )
    return float((guess == which[rows][tried]).mean())
