"""Every attack by its name, the sizes to play them at, and how they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from benchmarks.attack import (
    bins,
    columns,
    dictionary,
    differencing,
    folds,
    hidden,
    horizontal,
    labels,
    lists,
    own_columns,
    tables,
    trees,
)
from benchmarks.attack.finding import Attack, Scale, found_by
from benchmarks.rows import Row
from psi.protocol import MisuseError

__all__ = ["ATTACKS", "SCALES", "measure", "print_findings", "verdict"]

ATTACKS: dict[str, Attack] = {
    "labels-from-folds": folds.folds,
    "labels-from-coefficients": labels.coefficients,
    "labels-from-own-columns": own_columns.partner,
    "labels-from-bins": bins.classifier,
    "labels-from-bins-of-one": bins.aimed,
    "labels-from-trees": trees.labels,
    "labels-from-trees-of-one": trees.aimed,
    "rows-from-trees": trees.rows,
    "labels-from-hidden-trees": hidden.labels,
    "rows-from-hidden-trees": hidden.rows,
    "rows-from-lists": lists.rows,
    "rows-from-vectors": columns.trainings,
    "rows-over-months": columns.months,
    "rows-by-bits-told": columns.shares,
    "rows-from-own-columns": own_columns.receiver,
    "differencing": differencing.repeats,
    "differencing-sums": differencing.sums,
    "noised-tables": tables.noised,
    "histogram-bins": tables.bins,
    "dictionary": dictionary.intersection,
    "steep-model": horizontal.steep,
}

EVERY_SET = (
    "labels-from-coefficients", "labels-from-own-columns", "rows-from-vectors",
    "rows-from-own-columns", "labels-from-bins", "labels-from-trees",
    "labels-from-trees-of-one", "rows-from-trees", "labels-from-hidden-trees",
    "rows-from-hidden-trees", "rows-from-lists",
)  # fmt: skip
"""Those that are played over each set in runs of every size."""

_REAL = ("credit_default", "bank_marketing", "berka")
SCALES = {
    "tiny": Scale("tiny", 1500, 2, 2048, ("invented",)),
    "quick": Scale("quick", 0, 2, 2048, _REAL),
    "full": Scale("full", 0, 10, 2048, _REAL, full=True),
}
"""`tiny` is for tests, `quick` takes some minutes, `full` is what the documentation tells."""


def measure(names: Sequence[str], scale: Scale, told: Callable[[str], None]) -> Iterator[Row]:
    """The rows of these attacks, of all for none.

    Raises MisuseError for a name that the registry does not have.
    """
    unknown = set(names) - set(ATTACKS)
    if unknown:
        raise MisuseError(f"{min(unknown)!r} found, {', '.join(ATTACKS)} allowed")
    for name in names or ATTACKS:
        told(name)
        # one set at a time, so that what one cannot be read for does not end the others
        sets = scale.sets if name in EVERY_SET else scale.sets[:0]
        for one in sets:
            yield from found_by(name, ATTACKS[name], replace(scale, sets=(one,)))
        if not sets:
            yield from found_by(name, ATTACKS[name], scale)


def verdict(row: Row) -> str:
    """In words: whether a bar holds, or that the product refused."""
    if row.error:
        return row.error
    if "refused" in row.metrics:
        return f"refused: {row.metrics['refused']}"
    if "held" not in row.metrics:
        return ""
    return "holds" if row.metrics["held"] else "DOES NOT HOLD"


def print_findings(rows: Sequence[Row]) -> None:
    """One line a figure."""
    table = Table("attack", "data", "who", "what", "figure", "without", "bar", "", box=None)
    for row in rows:
        numbers = [_number(row.metrics.get(name)) for name in ("figure", "baseline", "bar")]
        case = [str(row.case.get(name, "")) for name in ("data", "who", "what")]
        table.add_row(row.subject, *case, *numbers, verdict(row))
    Console(width=None if Console().is_terminal else 200).print(table)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else ""
