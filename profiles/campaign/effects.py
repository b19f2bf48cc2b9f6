"""What being listed changed: an outcome of the listed against that of a control group.

The control group was drawn at random from the same people, so the difference of means is the effect
of *being listed*, whether or not anybody was reached (intention to treat). Those who were reached
had a larger effect: the same difference over the share that was reached because it was listed
(listing as an instrument), which holds where a list changes nothing for a person but by contact.

All of it follows from counts, totals and totals of squares, so that a partner that holds the
outcome can give them by one encrypted aggregate, and nobody learns a row.

Intervals are two-sided, of 95%: for outcomes that are 0 or 1 by Newcombe ("Interval estimation for
the difference between independent proportions", Statistics in Medicine 17, 1998, method 10), for
others by Welch ("The generalization of Student's problem", Biometrika 34, 1947), a group in which
all are alike varying as all together do. For the reached they are put over the share by Fieller
("Some problems in interval estimation", J. R. Stat. Soc. B 16, 1954), which is open where too few
were reached to say anything. Several groups of one outcome are held to Holm's rule ("A
simple sequentially rejective multiple test procedure", Scand. J. Stat. 6, 1979) before one is said
to have an effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import ndtri, stdtr, stdtrit

from psi.protocol.errors import MisuseError

__all__ = ["LEVEL", "POWER", "Effect", "Reached", "Sums", "effect", "on_reached"]
__all__ += ["smallest_share", "verdicts"]

LEVEL = 0.95
"""Of every interval."""
POWER = 0.8
"""How often the smallest effect that a list can show is seen."""

_Z = float(ndtri(0.5 + LEVEL / 2))
_SEEN = _Z + float(ndtri(POWER))


@dataclass(frozen=True)
class Sums:
    """An outcome over some people: how many, its total and the total of its squares.

    Attributes:
        rows: people.
    """

    rows: int
    total: float
    squares: float

    def __post_init__(self) -> None:
        if self.rows < 0 or not math.isfinite(self.total) or not math.isfinite(self.squares):
            raise MisuseError("a count below 0 or a total that is no number found")

    @property
    def mean(self) -> float:
        """NaN of nobody."""
        return self.total / self.rows if self.rows else math.nan

    @property
    def variance(self) -> float:
        """Of one person, unbiased; NaN of fewer than two."""
        if self.rows < 2:
            return math.nan
        return max(0.0, self.squares - self.total * self.mean) / (self.rows - 1)

    @property
    def is_share(self) -> bool:
        """Whether every value can be 0 or 1: values and their squares add up to the same."""
        near = math.isclose(self.total, self.squares, rel_tol=1e-9, abs_tol=1e-9)
        return near and -1e-9 <= self.total <= self.rows + 1e-9


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The effect of being listed on the mean of an outcome, in the outcome's own unit.

    Attributes:
        listed, control: what it was made of.
        difference: mean of the listed minus that of the control group; NaN if either is empty.
        low, high: its 95% interval; infinite where fewer than two people are in a group.
        p: how often a difference as large comes about where there is no effect: both groups then
            vary alike.
        smallest: the effect that a list of this size shows in 80 of 100 cases; infinite as above.
    """

    listed: Sums
    control: Sums
    difference: float
    low: float
    high: float
    p: float
    smallest: float


@dataclass(frozen=True)
class Reached:
    """The effect on those who were reached because they were listed.

    `share` is how many more in 100 of the listed were reached than of the control group, as a
    fraction. `low` and `high` are infinite where the interval is open; else, of an outcome that is
    a share, nothing is beyond -1 and 1.

    Attributes:
        difference: of the outcome, of one who was reached.
    """

    share: float
    difference: float
    low: float
    high: float


def effect(listed: Sums, control: Sums) -> Effect:
    """The effect of being listed.

    Args:
        listed: the outcome over all who were listed, reached or not.
        control: over all who were held back from the list at random.
    """
    difference = listed.mean - control.mean
    if listed.rows < 2 or control.rows < 2:
        low, high, p, smallest = -math.inf, math.inf, 1.0, math.inf
    else:
        both_shares = listed.is_share and control.is_share
        low, high, p = (_of_shares if both_shares else _of_means)(listed, control)
        smallest = _SEEN * math.sqrt(_spread(listed, control))
    return Effect(
        listed=listed,
        control=control,
        difference=difference,
        low=low,
        high=high,
        p=p,
        smallest=smallest,
    )


def smallest_share(listed: int, control: int, share: float) -> float:
    """The smallest effect that groups of these sizes show, where so many have the outcome."""
    both = (Sums(rows, rows * share, rows * share) for rows in (listed, control))
    return effect(*both).smallest


def _spread(listed: Sums, control: Sums) -> float:
    """The variance of the difference if listing changes nothing: people vary as all together do."""
    everyone = Sums(
        listed.rows + control.rows,
        listed.total + control.total,
        listed.squares + control.squares,
    )
    return everyone.variance * (1 / listed.rows + 1 / control.rows)


def _of_shares(listed: Sums, control: Sums) -> tuple[float, float, float]:
    """Each group's score interval, put together: holds for few events too."""
    (p, low, high), (q, below, above) = (_score_interval(s) for s in (listed, control))
    error = math.sqrt(_spread(listed, control))
    tail = math.erfc(abs(p - q) / error / math.sqrt(2)) if error else 1.0
    return p - q - math.hypot(p - low, above - q), p - q + math.hypot(high - p, q - below), tail


def _score_interval(sums: Sums) -> tuple[float, float, float]:
    """A share and its interval by Wilson."""
    n, p = sums.rows, min(1.0, max(0.0, sums.mean))
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    wide = _Z / (1 + _Z**2 / n) * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n * n))
    return p, min(p, middle - wide), max(p, middle + wide)


def _of_means(listed: Sums, control: Sums) -> tuple[float, float, float]:
    together, middle = _spread(listed, control), listed.mean - control.mean
    if together == 0:
        return middle, middle, 1.0
    whole = together / (1 / listed.rows + 1 / control.rows)
    # six people who all spent nothing are no proof that nobody spends
    parts = [(sums.variance or whole) / sums.rows for sums in (listed, control)]
    spread = sum(parts)
    free = spread**2 / (parts[0] ** 2 / (listed.rows - 1) + parts[1] ** 2 / (control.rows - 1))
    wide = float(stdtrit(free, 0.5 + LEVEL / 2)) * math.sqrt(spread)
    # without an effect both groups vary alike; a small group of skewed amounts that lacks its few
    # large ones has too low a variance just where its mean is too low
    error = math.sqrt(together)
    tail = 2 * float(stdtr(listed.rows + control.rows - 2, -abs(middle) / error))
    return middle - wide, middle + wide, tail


def on_reached(
    listed: Sums, control: Sums, listed_reached: Sums, control_reached: Sums | None = None
) -> Reached:
    """The effect on those reached because they were listed.

    Args:
        listed, control: the outcome over everybody, as for `effect`.
        listed_reached: over those of the listed who were reached.
        control_reached: over those of the control group who were reached all the same; nobody by
            default.
    """
    control_reached = control_reached or Sums(0, 0.0, 0.0)
    if listed.rows < 2 or control.rows < 2:
        return Reached(math.nan, math.nan, -math.inf, math.inf)
    share, e_v, de_v = 0.0, 0.0, 0.0
    for sign, everyone, reached in ((1, listed, listed_reached), (-1, control, control_reached)):
        rate, n = reached.rows / everyone.rows, everyone.rows
        share += sign * rate
        e_v += rate * (1 - rate) / (n - 1)
        de_v += (reached.total / n - rate * everyone.mean) / (n - 1)
    found = effect(listed, control)
    gained = found.difference
    middle = gained / share if share else math.nan
    a = share**2 - _Z**2 * e_v
    if a <= 0:
        return Reached(share, middle, -math.inf, math.inf)
    b = gained * share - _Z**2 * de_v
    below, above = (
        math.sqrt(max(0.0, b * b - a * (gained**2 - wide**2)))
        for wide in (gained - found.low, found.high - gained)
    )
    if share < 0:
        below, above = above, below
    told = (middle, min(middle, (b - below) / a), max(middle, (b + above) / a))
    if listed.is_share and control.is_share:
        told = (_among(told[0]), _among(told[1]), _among(told[2]))
    return Reached(share, *told)


def _among(value: float) -> float:
    """What a difference of shares can be."""
    return min(1.0, max(-1.0, value))


def verdicts(found: Sequence[Effect]) -> list[str]:
    """What can be said of each group of one outcome: "more", "less" or "cannot tell".

    With one group: whether its interval leaves out 0 and `p` is below 5%. With several by Holm's
    rule, so that among many without an effect all are "cannot tell" in 95 of 100 cases.

    Args:
        found: the effects of one outcome, a group each.
    """
    order = sorted(range(len(found)), key=lambda i: found[i].p)
    said = ["cannot tell"] * len(found)
    for place, i in enumerate(order):
        if found[i].p > (1 - LEVEL) / (len(found) - place):
            break
        said[i] = "more" if found[i].low > 0 else "less" if found[i].high < 0 else "cannot tell"
    return said
