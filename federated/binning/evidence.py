"""What bins say of a label, from their counts: weight of evidence, information value, stability.

With p_i and n_i the shares of all positives and of all negatives that are in bin i, the weight of
evidence is ln(p_i / n_i): above 0 where positives are more frequent than on the whole. (Books on
credit risk often turn the sign.) The information value is the sum of (p_i - n_i) ln(p_i / n_i), the
population stability index of two periods the same sum of their shares. A count below a half counts
as a half, so that no logarithm is of nothing; in the bins of a column that would else be one, a
count below what a group must have counts as that (`merged`).

Sources: Kullback 1959 (divergence); Siddiqi 2006 (WOE, IV and PSI in scorecards); Barlow,
Bartholomew, Bremner and Brunk 1972 (pooling adjacent violators).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "auc_of_bins",
    "chance",
    "grouped",
    "information_value",
    "merged",
    "stability",
    "weight_of_evidence",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
LEAST = 0.5


def weight_of_evidence(counts: Floats, floor: float = LEAST) -> Floats:
    """Of each bin, from `[bins, 2]` positives and negatives, `floor` at least: `float64[bins]`."""
    shares = _shares(counts, floor)
    return np.asarray(np.log(shares[:, 0] / shares[:, 1]))


def information_value(counts: Floats, floor: float = LEAST) -> float:
    """Of a column, from `[bins, 2]` positives and negatives, `floor` at least; 0 for one bin."""
    shares = _shares(counts, floor)
    if len(shares) < 2:
        return 0.0
    return float(((shares[:, 0] - shares[:, 1]) * weight_of_evidence(counts, floor)).sum())


def stability(before: Floats, after: Floats) -> float:
    """The population stability index of two periods' rows by bin, both `[bins]`."""
    shares = _shares(np.column_stack([before, after]))
    return float(((shares[:, 1] - shares[:, 0]) * np.log(shares[:, 1] / shares[:, 0])).sum())


def chance(counts: Floats, scale: float = 0.0) -> float:
    """The information value that a column without any would have in the mean.

    Of so many rows, and where positives and rows with a label carry noise of this `scale`
    (discrete Laplace, of about twice its square as variance): the first term of the expansion.
    """
    shares = counts.sum(axis=1) / counts.sum()
    positives, negatives = counts.sum(axis=0)
    drawn = (len(counts) - 1) * (1 / positives + 1 / negatives)
    noise = 2 * scale**2
    spread = noise * (1 / positives**2 + 2 / negatives**2 + 2 / (positives * negatives))
    return float(drawn + spread * (1 / np.maximum(shares, 1e-9)).sum())


def auc_of_bins(counts: Floats) -> float:
    """The AUC of the weight of evidence as a score, from `[bins, 2]` positives and negatives."""
    order = np.argsort(weight_of_evidence(counts), kind="stable")
    positives, negatives = np.maximum(counts[order], 0).T
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / (positives.sum() * negatives.sum()))


def grouped(counts: Floats, groups: Codes) -> Floats:
    """Counts `[groups, 2]` of groups of bins: `groups` is each bin's."""
    found = np.zeros((int(groups.max(initial=0)) + 1, counts.shape[1]))
    np.add.at(found, groups, counts)
    return found


def merged(
    counts: Floats, ordered: int, least: float, *, monotone: bool, one_sided: bool = False
) -> Codes:
    """Which bins go together: `int64[bins]`, groups from 0 on.

    Args:
        counts: `[bins, 2]` positives and negatives.
        ordered: so many first bins have an order, and go with neighbours; the others with the one
            whose rate is next, but for a bin behind ordered ones (missing values), which goes with
            the largest.
        least: positives and negatives that a group must have.
        monotone: whether the rate of positives may only rise, or only fall, over ordered bins: of
            both ways that of the higher information value is taken.
        one_sided: whether a group has enough of a class of which its rows would have `least` on
            the whole: what it lacks is then what it says. Its count is to be taken as `least`,
            which makes it say less, never more.
    """
    share = counts.sum(axis=0) / max(counts.sum(), 1.0) if one_sided else np.zeros(2)
    first = ordered or len(counts)
    order = np.arange(first) if ordered else np.argsort(_rates(counts), kind="stable")
    runs = _enough([[int(place)] for place in order], counts, least, share)
    if monotone and ordered:
        ways = [_pooled(runs, counts, sign) for sign in (1.0, -1.0)]
        runs = max(ways, key=lambda way: information_value(_sums(way, counts)))
    for place in range(first, len(counts)):
        if _fewest(counts[[place]], share)[0] >= least:
            runs.append([place])
        else:
            max(runs, key=lambda run: counts[run].sum()).append(place)
    groups = np.zeros(len(counts), np.int64)
    for number, run in enumerate(runs):
        groups[run] = number
    return groups


def _shares(counts: Floats, floor: float = LEAST) -> Floats:
    floored = np.maximum(np.asarray(counts, np.float64), floor)
    return np.asarray(floored / np.maximum(counts.sum(axis=0), LEAST))


def _rates(counts: Floats) -> Floats:
    floored = np.maximum(counts, LEAST)
    return np.asarray(floored[:, 0] / floored.sum(axis=1))


def _sums(runs: Sequence[Sequence[int]], counts: Floats) -> Floats:
    return np.array([counts[list(run)].sum(axis=0) for run in runs])


def _fewest(sums: Floats, share: Floats) -> Floats:
    """Of each group its rarer class: as counted, or as its rows would have by the `share` of it."""
    return np.asarray(np.maximum(sums, sums.sum(axis=1, keepdims=True) * share).min(axis=1))


def _enough(runs: list[list[int]], counts: Floats, least: float, share: Floats) -> list[list[int]]:
    """Join the run that lacks most with the neighbour of the nearer rate, until none lacks any."""
    while len(runs) > 1:
        sums = _sums(runs, counts)
        fewest = _fewest(sums, share)
        small = int(fewest.argmin())
        if fewest[small] >= least:
            break
        rates = _rates(sums)
        beside = [place for place in (small - 1, small + 1) if 0 <= place < len(runs)]
        low = min(small, min(beside, key=lambda place: abs(rates[place] - rates[small])))
        runs = [*runs[:low], runs[low] + runs[low + 1], *runs[low + 2 :]]
    return runs


def _pooled(runs: list[list[int]], counts: Floats, sign: float) -> list[list[int]]:
    """Pool adjacent runs whose rates go the other way."""
    found: list[list[int]] = []
    for run in runs:
        found.append(list(run))
        while len(found) > 1:
            before, last = sign * _rates(_sums(found[-2:], counts))
            if before < last:
                break
            found[-2:] = [found[-2] + found[-1]]
    return found
