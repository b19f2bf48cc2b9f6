"""The effect of a campaign by outcome and group: from people and what became of them, or from sums.

People are in one arm each: listed, or held back at random (`control`). Rows of an outcomes table
that speak of one person are added up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profiles.campaign.effects import Effect, Reached, Sums, effect, on_reached, verdicts
from psi.protocol.errors import InputError, MisuseError

__all__ = ["CONTROL", "Measured", "Uplift", "from_people", "from_sums"]

CONTROL = "control"
"""The arm of those who were held back, where nothing else is said."""
_EVERYBODY = ""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The effect of one arm on one outcome in one group; `group` is "" for everybody.

    `verdict` is "more", "less" or "cannot tell"; `reached` is None where nobody said who was
    reached.
    """

    outcome: str
    arm: str
    group: str
    effect: Effect
    verdict: str
    reached: Reached | None = None


@dataclass(frozen=True, kw_only=True)
class Uplift:
    """All effects, and what was left out: people and rows, by reason.

    Attributes:
        left_out: how many, by reason.
        notes: what was read, but may be meant otherwise.
    """

    effects: tuple[Measured, ...]
    left_out: Mapping[str, int]
    notes: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As plain data; what is not a finite number is None."""
        return {
            "effects": [_plain(found) for found in self.effects],
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
        }

    def table(self) -> pa.Table:
        """One row an effect."""
        rows = [_plain(found) for found in self.effects]
        return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _plain(found: Measured) -> dict[str, Any]:
    of = found.effect
    row: dict[str, Any] = {
        "outcome": found.outcome,
        "arm": found.arm,
        "group": found.group,
        "listed": of.listed.rows,
        "control": of.control.rows,
        "mean_listed": of.listed.mean,
        "mean_control": of.control.mean,
        "effect": of.difference,
        "low": of.low,
        "high": of.high,
        "p": of.p,
        "verdict": found.verdict,
        "smallest_effect": of.smallest,
    }
    reached = asdict(found.reached) if found.reached else {}
    for name, field in (
        ("reached_share", "share"),
        ("reached_effect", "difference"),
        ("reached_low", "low"),
        ("reached_high", "high"),
    ):
        row[name] = reached.get(field)
    return {name: _finite(value) for name, value in row.items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


_TEXT = ("outcome", "arm", "group", "verdict")
_COUNTS = ("listed", "control")
_SCHEMA = pa.schema(
    [
        (name, pa.string() if name in _TEXT else pa.int64() if name in _COUNTS else pa.float64())
        for name in (
            *("outcome", "arm", "group", "listed", "control", "mean_listed", "mean_control"),
            *("effect", "low", "high", "p", "verdict", "smallest_effect"),
            *("reached_share", "reached_effect", "reached_low", "reached_high"),
        )
    ]
)


def from_people(
    arms: pa.Array,
    outcomes: Mapping[str, np.ndarray],
    *,
    control: str = CONTROL,
    people: np.ndarray | None = None,
    reached: np.ndarray | None = None,
    groups: Sequence[tuple[str, pa.Array]] = (),
    left_out: Mapping[str, int] | None = None,
) -> Uplift:
    """The effects of each arm against the control group.

    Args:
        arms: text[rows], each one's arm.
        outcomes: float64[rows] by name, NaN where it is not known; those people are left out of
            that outcome and counted.
        control: the arm of those held back.
        people: int64[rows], whom each row is about: somebody on several lists counts once in each
            group; by default each row is about somebody else.
        reached: bool[rows], who was reached.
        groups: name and text[rows] of each grouping; nulls are no group.
        left_out: what was left out before, by reason.

    Raises:
        InputError: no control group, or nobody else.
    """
    codes, names = _codes(arms)
    if control not in names:
        shown = ", ".join(names) or "none"
        raise InputError(
            f"no control group: arms {shown} found, {control!r} is needed",
            hint="name the arm of those who were held back",
        )
    if len(names) < 2:
        raise InputError(f"all {len(arms):,} people are in the control group: nobody was listed")
    lost = dict(left_out or {})
    found: list[Measured] = []
    everybody = np.zeros(len(arms), np.int64)
    for outcome, values in outcomes.items():
        known = np.isfinite(values)
        if not known.all():
            lost[f"{outcome} not known"] = int(np.count_nonzero(~known))
        for name, places, labels in _groupings(everybody, groups):
            if (none := int(np.count_nonzero(places < 0))) and name:
                lost[f"rows of the campaign without {name}, in none of its groups"] = none
            kept = known & (places >= 0) & _once(people, places)
            cells = _cells(codes, places, reached, values, kept, len(names), len(labels))
            found += _measured(
                outcome, name, labels, names, names.index(control), cells, reached is not None
            )
    return Uplift(effects=tuple(found), left_out=lost)


def _groupings(
    everybody: np.ndarray, groups: Sequence[tuple[str, pa.Array]]
) -> Iterator[tuple[str, np.ndarray, list[str]]]:
    yield _EVERYBODY, everybody, [_EVERYBODY]
    for name, values in groups:
        codes, labels = _codes(values)
        yield name, codes, labels


def _once(people: np.ndarray | None, places: np.ndarray) -> np.ndarray:
    """`bool[rows]`: the first row of each person in each group."""
    first = np.ones(len(places), bool)
    if people is not None:
        first[:] = False
        first[np.unique(np.stack([people, places]), axis=1, return_index=True)[1]] = True
    return first


def _codes(values: pa.Array) -> tuple[np.ndarray, list[str]]:
    """`int64[rows]`, -1 for null, and the sorted texts."""
    names = sorted(text for text in pc.unique(values).to_pylist() if text is not None)
    found = pc.index_in(values, pa.array(names, values.type)).fill_null(-1)
    return found.to_numpy(zero_copy_only=False).astype(np.int64), names


def _cells(
    codes: np.ndarray,
    places: np.ndarray,
    reached: np.ndarray | None,
    values: np.ndarray,
    kept: np.ndarray,
    arms: int,
    groups: int,
) -> np.ndarray:
    """`float64[arms, groups, 2, 3]`: count, total, squares, of those not reached and reached."""
    kept = kept & (codes >= 0)
    met = np.zeros(len(values), np.int64) if reached is None else reached.astype(np.int64)
    cell = ((codes * groups + places) * 2 + met)[kept]
    some, size = values[kept], arms * groups * 2
    sums = [np.bincount(cell, weights, size) for weights in (None, some, some * some)]
    return np.stack(sums, axis=-1).reshape(arms, groups, 2, 3)


def _measured(
    outcome: str,
    grouping: str,
    labels: list[str],
    names: list[str],
    control: int,
    cells: np.ndarray,
    told: bool,
) -> Iterator[Measured]:
    for arm, name in enumerate(names):
        if arm == control:
            continue
        effects, met = [], []
        for g in range(len(labels)):
            listed, held = cells[arm, g].sum(axis=0), cells[control, g].sum(axis=0)
            effects.append(effect(_sums(listed), _sums(held)))
            parts = [_sums(cells[which, g, 1]) for which in (arm, control)]
            met.append(on_reached(_sums(listed), _sums(held), *parts) if told else None)
        for label, one, by, said in zip(labels, effects, met, verdicts(effects), strict=True):
            group = f"{grouping} {label}" if grouping else ""
            yield Measured(
                outcome=outcome, arm=name, group=group, effect=one, verdict=said, reached=by
            )


def _sums(cell: np.ndarray) -> Sums:
    return Sums(int(cell[0]), float(cell[1]), float(cell[2]))


def from_sums(
    groups: Sequence[str],
    rows: Sequence[int | None],
    outcomes: Mapping[str, Sequence[Sequence[float | None] | None]],
    *,
    control: str = CONTROL,
) -> Uplift:
    """The same from a partner's aggregate by arm: nobody learns who had which outcome.

    Args:
        groups: the arms, as the aggregate names them. An arm that ends in ", reached" holds those
            of an arm who were reached, and the arm without it the others.
        rows: people in each; None where it is not told.
        outcomes: by name their means and sample variances (divided by the count less one) in each
            arm, and how many have the outcome: None where all of `rows` do.
        control: the arm of those held back.

    Raises:
        InputError: no control group, nobody else, or an arm that the aggregate does not tell.
        MisuseError: columns of other lengths.
    """
    given = [rows, *(column for told in outcomes.values() for column in told if column is not None)]
    if any(len(column) != len(groups) for column in given):
        raise MisuseError("found columns of an aggregate of other lengths than its arms")
    untold = [group for group, count in zip(groups, rows, strict=True) if not count]
    if untold:
        raise InputError(
            f"the aggregate does not tell the arm {untold[0]!r}: too few people are in it",
            hint="an arm needs as many people as the contract's minimum group",
        )
    arms = [group.removesuffix(_REACHED) for group in groups]
    names = sorted(set(arms))
    if control not in names or len(names) < 2:
        raise InputError(
            f"arms {', '.join(names) or 'none'} found, {control!r} and another are needed",
            hint="name the arm of those who were held back",
        )
    met = [group.endswith(_REACHED) for group in groups]
    found: list[Measured] = []
    for outcome, (means, variances, counts) in outcomes.items():
        numbers = _numbers(outcome, groups, [counts or rows, means or (), variances or ()])
        cells = np.zeros((len(names), 1, 2, 3))
        for arm, reached, (n, mean, variance) in zip(arms, met, numbers.T, strict=True):
            squares = (n - 1) * variance + n * mean * mean
            cells[names.index(arm), 0, int(reached)] += (n, n * mean, squares)
        found += _measured(outcome, "", [""], names, names.index(control), cells, any(met))
    return Uplift(effects=tuple(found), left_out={})


def _numbers(
    outcome: str, groups: Sequence[str], told: Sequence[Sequence[float | None]]
) -> np.ndarray:
    """`float64[3, groups]`: count, mean and variance in each arm."""
    numbers = np.array([[np.nan if v is None else v for v in column] for column in told])
    untold = np.flatnonzero(~np.isfinite(numbers).all(axis=0))
    if len(untold):
        raise InputError(f"the aggregate does not tell {outcome} of the arm {groups[untold[0]]!r}")
    return numbers


_REACHED = ", reached"
