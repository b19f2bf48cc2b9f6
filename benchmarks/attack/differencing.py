"""Answers that differ in one person: of the same question over two jobs, or within one.

`repeats`: aggregates. The bank asks for a mean twice, the second time without one person of its
table; or names two segments that differ in one person; or repeats one person's row in its own
table until it is a group of its own (`duplicates = "join"`). `sums`: a join and sum, asked twice
with tables that differ in one key. Each aims at several people; a value counts as read within a
hundredth of the column's standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from benchmarks.attack.data import Bound, Floats, bound
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.world import World, heading, why
from federated.tables.matrix import numeric_matrix
from psi.protocol import FedprofileError

__all__ = ["repeats", "sums"]

ROWS = 400
AIMED = 2
COPIES = 25
CLOSE = 0.01
COLUMNS = {"credit_default": "x0", "bank_marketing": "age", "berka": "balance_mean"}
KEY_BITS = 3072


def repeats(scale: Scale) -> Iterator[Finding]:
    """Means of one of the partner's columns by the bank's segments."""
    plays: tuple[tuple[str, str, Callable[[Bound, str], float]], ...] = (
        ("bank, semi-honest", "the same mean in two jobs, one person fewer", _two_jobs),
        ("bank, semi-honest", "two segments that differ in one person", _segments),
        ("bank, lies: repeats rows of its table", 'one person as a group, "join"', _copies),
    )
    for name in scale.sets[:1]:
        tables, column = _sample(name)
        for who, how, play in plays:
            yield _played(
                "aggregate, whole jobs", name, who, f"values of single people read: {how}",
                play, tables, column,
            )  # fmt: skip


def sums(scale: Scale) -> Iterator[Finding]:
    """A column's sum over hidden shared records, with one key more."""
    for name in scale.sets[:1]:
        tables, column = _sample(name)
        yield _played(
            "join and sum, whole jobs", name, "bank, semi-honest",
            "values of single people read: two jobs that differ by one key", _sums, tables, column,
        )  # fmt: skip


def _sample(name: str) -> tuple[Bound, str]:
    found = bound(name)
    rows = np.sort(np.random.default_rng(3).permutation(len(found.own))[:ROWS])
    return found.take(rows), COLUMNS.get(name, found.features[1][0])


def _played(
    protocol: str,
    name: str,
    who: str,
    what: str,
    play: Callable[[Bound, str], float],
    tables: Bound,
    column: str,
) -> Finding:
    data = f"{name}, {len(tables.own):,} rows, column {column}"
    try:
        return Finding(
            attack="",
            protocol=protocol,
            data=data,
            who=who,
            what=what,
            figure=play(tables, column),
            baseline=0.0,
        )
    except FedprofileError as error:
        return Finding(
            attack="",
            protocol=protocol,
            data=data,
            who=who,
            what=what,
            figure=None,
            baseline=0.0,
            refused=why(error),
        )


def _world(tables: Bound, column: str) -> World:
    return World(tables.partner.select(["id", column]), {column: "aggregate"})


def _values(tables: Bound, column: str) -> Floats:
    return numeric_matrix(tables.partner, [column])[:, 0]


def _asked(column: str, align: str = "") -> str:
    return (
        heading(align=align, key_bits=KEY_BITS)
        + f"""
[[aggregate]]
by = "bank.segment"
protocol = "sums"
measures = ["partner.{column}:sum", "partner.{column}:count"]
minimum_group = 20
"""
    )


def _read(guesses: Floats, truth: Floats, values: Floats) -> float:
    """Share of guesses that are close; a value that was not told is no guess."""
    close = CLOSE * float(values.std())
    return float(np.mean(np.abs(np.nan_to_num(guesses, nan=np.inf) - truth) < close))


def _two_jobs(tables: Bound, column: str) -> float:
    world, values, n = _world(tables, column), _values(tables, column), len(tables.own)
    ids = tables.own.column("id")
    segment = pa.array(["all"] * n)
    totals = []
    for number in range(AIMED + 1):
        keep = pa.array(np.delete(np.arange(n), np.arange(number)))
        bank = pa.table({"id": ids.take(keep), "segment": segment.take(keep)})
        totals.append(world.run(_asked(column), bank).bank.aggregates[0][1].values[0][0])
    return _read(-np.diff(np.array(totals)), values[:AIMED], values)


def _segments(tables: Bound, column: str) -> float:
    """Two sections of one job, over segments that differ in one person."""
    world, values, n = _world(tables, column), _values(tables, column), len(tables.own)
    half = np.arange(n) < n // 2
    moved = half.copy()
    moved[0] = False
    names = np.array(["rest", "group"])
    bank = pa.table({
        "id": tables.own.column("id"),
        "segment": names[half.astype(int)],
        "other": names[moved.astype(int)],
    })  # fmt: skip
    job = _asked(column) + _asked(column).partition("[[aggregate]]")[2].replace(
        'by = "bank.segment"', '[[aggregate]]\nby = "bank.other"'
    )
    (_, first), (_, second) = world.run(job, bank).bank.aggregates
    told = [one.values[0][one.groups.index("group")] for one in (first, second)]
    return _read(np.array([told[0] - told[1]]), values[:1], values)


def _copies(tables: Bound, column: str) -> float:
    world, values, n = _world(tables, column), _values(tables, column), len(tables.own)
    ids = tables.own.column("id").to_pylist()
    aimed = [one for one in ids[:AIMED] for _ in range(COPIES)]
    segment = ["rest"] * (n - AIMED) + [f"T{i}" for i in range(AIMED) for _ in range(COPIES)]
    bank = pa.table({"id": ids[AIMED:] + aimed, "segment": segment})
    result = world.run(_asked(column, 'duplicates = "join"'), bank).bank.aggregates[0][1]
    told = [
        result.values[0][result.groups.index(f"T{i}")] / COPIES
        if f"T{i}" in result.groups else np.nan
        for i in range(AIMED)
    ]  # fmt: skip
    return _read(np.array(told), values[:AIMED], values)


def _sums(tables: Bound, column: str) -> float:
    world, values = _world(tables, column), _values(tables, column)
    ids, n = tables.own.column("id"), len(tables.own)
    low, high = int(np.floor(np.nanmin(values))), int(np.ceil(np.nanmax(values)))
    job = (
        heading(align='reveal = "cardinality"', key_bits=KEY_BITS)
        + f"""
[[join_sum]]
protocol = "sums"
measures = ["partner.{column}:sum[{low},{high}]"]
epsilon = {0.9 / (AIMED + 1):g}
minimum_group = 20
"""
    )
    totals = []
    for number in range(AIMED + 1):
        bank = pa.table({"id": ids.take(pa.array(np.delete(np.arange(n), np.arange(number))))})
        totals.append(world.run(job, bank).bank.join_sums[0][1].values[0])
    return _read(-np.diff(np.array(totals)), values[:AIMED], values)
