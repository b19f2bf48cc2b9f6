"""`flows score`: types, leaks and breaks held against what they really are, kept aside for this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "ENOUGH",
    "UNDECIDED",
    "PairScore",
    "TypeScore",
    "score_pairs",
    "score_types",
    "typed_as",
]

ENOUGH = 50
"""Rows from which on a type counts in the mean over types."""
UNDECIDED = ""
"""What the truth says of a row that nobody could type."""


@dataclass(frozen=True, kw_only=True)
class TypeScore:
    """Of the rows that both tables have; a share is None where there is nothing to take it of.

    `macro` is the mean F1 over the types with 50 rows of truth; `precision` that of all typed rows
    whose truth is known; `undecided` the share of undecidable rows that stay untyped. `types`: code
    to (rows of truth, precision, recall, F1).
    """

    rows: int
    unknown: int
    twice: int
    macro: float | None
    precision: float | None
    undecided: float | None
    types: dict[str, tuple[int, float, float, float]]


@dataclass(frozen=True)
class PairScore:
    """What was found of what there is; a share is 0 where there is nothing to take it of."""

    precision: float
    recall: float

    @property
    def both(self) -> float:
        """F1."""
        whole = self.precision + self.recall
        return 2 * self.precision * self.recall / whole if whole else 0.0


def score_pairs(found: Any, truth: Any, keys: tuple[str, str]) -> PairScore:
    """How much of what was found is there, and how much of what is there was found.

    Args:
        found, truth: Ibis tables on one engine.
        keys: two columns of both, text or whole numbers, that name one thing: inflow and outflow
            of a leak, entity and month of a break. A row that comes again counts once.
    """
    one, other = (
        t.select(**{k: t[k].cast("string") for k in keys}).distinct() for t in (found, truth)
    )
    other = other.rename({f"t_{k}": k for k in keys})
    both = one.inner_join(other, [one[k] == other[f"t_{k}"] for k in keys])
    right, told, real = (int(t.count().to_pyarrow().as_py()) for t in (both, one, other))
    return PairScore(right / told if told else 0.0, right / real if real else 0.0)


def typed_as(typed: Any, truth: Any) -> Any:
    """Typed rows with the types of the truth in place of theirs; "" where the truth has none."""
    real = truth.select(of=truth.id.cast("string"), real=truth.type.fill_null(UNDECIDED))
    rows = typed.left_join(real, typed.id == real.of)
    return rows.mutate(type=rows.real.fill_null(UNDECIDED)).drop("of", "real")


def score_types(typed: Any, truth: Any) -> TypeScore:
    """How right types are.

    Args:
        typed: Ibis table with id and type.
        truth: Ibis table on the same engine with id and type, "" where nobody could say. One row an
            id.

    `unknown` counts rows of truth that the flows do not have: they were left out, or never there.
    `twice` counts ids of the truth in several rows, each of which then counts.
    """
    real = truth.select(of=truth.id.cast("string"), real=truth.type.fill_null(UNDECIDED))
    joined = real.left_join(typed.select("id", "type"), real.of == typed.id)
    unknown = int(joined.filter(joined.id.isnull()).count().to_pyarrow().as_py())
    times = real.group_by("of").agg(n=real.count())
    twice = int(times.filter(times.n > 1).count().to_pyarrow().as_py())
    found = joined.filter(joined.id.notnull())
    pairs = found.group_by(["real", "type"]).agg(rows=found.count()).to_pyarrow().to_pylist()
    rows = {(one["real"], one["type"]): int(one["rows"]) for one in pairs}
    told: dict[str, int] = {}
    true: dict[str, int] = {}
    for (real_type, type_), count in rows.items():
        true[real_type] = true.get(real_type, 0) + count
        if real_type != UNDECIDED:
            told[type_] = told.get(type_, 0) + count
    types = {}
    for code in sorted(true):
        if code != UNDECIDED:
            right = rows.get((code, code), 0)
            precision = right / told[code] if told.get(code) else 0.0
            recall = right / true[code]
            both = 2 * precision * recall / (precision + recall) if right else 0.0
            types[code] = (true[code], precision, recall, both)
    large = [one[3] for one in types.values() if one[0] >= ENOUGH]
    typed_rows = sum(count for type_, count in told.items() if type_)
    right = sum(rows.get((code, code), 0) for code in types)
    open_rows = true.get(UNDECIDED, 0)
    return TypeScore(
        rows=sum(true.values()),
        unknown=unknown,
        twice=twice,
        macro=sum(large) / len(large) if large else None,
        precision=right / typed_rows if typed_rows else None,
        undecided=rows.get((UNDECIDED, ""), 0) / open_rows if open_rows else None,
        types=types,
    )
