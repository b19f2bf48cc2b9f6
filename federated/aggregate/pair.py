"""Both parties of an aggregation in this process: for notebooks, tests and trying things out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from federated.aggregate.amount_party import AmountParty
from federated.aggregate.amounts import Amount
from federated.aggregate.binned import counted_alone
from federated.aggregate.categories import coded, with_other
from federated.aggregate.category_party import CategoryParty
from federated.aggregate.cells import Grouping
from federated.aggregate.history import history_of
from federated.aggregate.measure_party import MeasureParty
from federated.aggregate.result import AggregateResult, CategoryResult
from federated.aggregate.rows import MeasureSlots, Section
from federated.aggregate.rows_party import RowsReceiver, RowsSender
from federated.aggregate.segment_party import SegmentParty
from federated.aggregate.statistics import Statistic
from federated.paillier import DEFAULT_BITS, PrivateKey, generate_keypair
from psi.protocol import Context, MisuseError, Pair

__all__ = ["aggregate_by_category", "aggregate_by_segment", "grouped"]


def aggregate_by_segment(
    segment: Sequence[str | None],
    columns: Mapping[str, Any],
    measures: Sequence[str],
    *,
    minimum_group: int = 20,
    key: PrivateKey | None = None,
) -> AggregateResult:
    """Statistics of one party's columns by another's segment, under encryption.

        aggregate_by_segment(bank.segment, {"loans": bureau.loans}, ["loans:mean", "loans:share>2"])

    Args:
        segment: each row's group, None for none.
        columns: name to `float[rows]`, NaN where a value is missing; rows in the same order.
        measures: "COLUMN:STATISTIC", spelled as in a job file.
        minimum_group: groups of fewer rows are not told.
        key: the partner's; a fresh one of 3072 bits otherwise.

    Raises:
        MisuseError: measures of columns that are not given, or of another length.

    >>> loans = {"loans": [1.0, 3.0, 5.0, 7.0]}
    >>> found = aggregate_by_segment(["a", "a", "b", "b"], loans, ["loans:mean"], minimum_group=2)
    >>> found.groups, [column.tolist() for column in found.values]
    (['a', 'b'], [[2.0, 6.0]])
    """
    asked = [(c, Statistic.parse(text)) for c, _, text in (m.rpartition(":") for m in measures)]
    names = list(dict.fromkeys(column for column, _ in asked))
    unknown = [name for name in names if name not in columns]
    if unknown or not names or any(len(columns[name]) != len(segment) for name in names):
        raise MisuseError("measures of columns that are not given, or of another length")
    values = np.column_stack([np.asarray(columns[name], np.float64) for name in names])
    private = key or generate_keypair(DEFAULT_BITS)
    session = secrets.token_bytes(32)

    def context(party: str, step: str) -> Context:
        return Context(session, step, party, secrets.token_bytes)

    section, grouping = Section(tuple(asked), minimum_group), Grouping(*grouped(segment))
    slots = MeasureSlots([section], len(values), private.bits)
    history = history_of(np.arange(1, 1 + len(values), dtype=np.uint64), (), 0)
    counted = counted_alone(section, values, slots.grids)
    rows = Pair(
        RowsReceiver(context("receiver", "rows"), [section], [grouping], key_bits=private.bits),
        RowsSender(context("partner", "rows"), "receiver", private, slots, values, [counted]),
    ).run()
    receiver = SegmentParty(
        context("receiver", "aggregate"), "partner", [section], 0, grouping, rows["receiver"],
        key_bits=private.bits,
    )  # fmt: skip
    partner = MeasureParty(context("partner", "aggregate"), private, slots.of(0), counted, history)
    found: AggregateResult = Pair(receiver, partner).run()["receiver"]
    return found


def grouped(values: Sequence[str | None]) -> tuple[list[str], np.ndarray]:
    """Sorted names, and each row's number among them, -1 where it has none: `int64[rows]`."""
    names = sorted({value for value in values if isinstance(value, str)})
    number = {name: place for place, name in enumerate(names)}
    codes = [number[value] if isinstance(value, str) else -1 for value in values]
    return names, np.array(codes, np.int64)


def aggregate_by_category(
    category: Sequence[str | None],
    columns: Mapping[str, Any],
    measures: Sequence[str],
    categories: Sequence[str],
    *,
    epsilon: float = 1.0,
    segment: Sequence[str | None] | None = None,
    minimum_group: int = 20,
    key: PrivateKey | None = None,
) -> CategoryResult:
    """Counts, and sums of one party's amounts, by another's private category, with noise.

        aggregate_by_category(registry.industry, {"balance": bank.balance},
                              ["balance:sum[0,1000000]"], ["retail", "transport"])

    Args:
        category: each row's category; None and names not in `categories` count as `OTHER`.
        columns: name to `float[rows]` of the other party, in the same order; NaN counts as 0.
        measures: "COLUMN:sum[LOW,HIGH]"; counts come in any case.
        categories: the public list of names.
        epsilon: of the whole release; 0: no noise, and small categories are left out.
        segment: the other party's groups, for a two-way table.
        minimum_group: without noise, categories of fewer rows are left out.
        key: theirs; a fresh one of 3072 bits otherwise.

    Raises:
        MisuseError: measures of columns that are not given, or an epsilon below a thousandth.

    >>> amounts, industry = {"balance": [10.0, 30.0, 5.0]}, ["retail", "retail", "transport"]
    >>> found = aggregate_by_category(
    ...     industry, amounts, ["balance:sum[0,100]"], ["retail", "transport"],
    ...     epsilon=0, minimum_group=1,
    ... )
    >>> found.categories, found.counts.ravel().tolist()
    (['retail', 'transport', '(other)'], [2.0, 1.0, 0.0])
    """
    amounts = [Amount.parse(c, text) for c, _, text in (m.rpartition(":") for m in measures)]
    if any(len(columns.get(a.column, ())) != len(category) for a in amounts):
        raise MisuseError("measures of columns that are not given, or of another length")
    thousandths = round(1000 * epsilon)
    if thousandths < 0 or (epsilon and not thousandths):
        raise MisuseError("epsilon of 0.001 or more, or 0 for no noise")
    shape = (len(category), len(amounts))
    values = np.array([columns[a.column] for a in amounts], np.float64).T.reshape(shape)
    private = key or generate_keypair(DEFAULT_BITS)
    session = secrets.token_bytes(32)

    def context(party: str) -> Context:
        return Context(session, "category", party, secrets.token_bytes)

    names, segments = with_other(categories), [""]
    codes = np.zeros(len(category), np.int64)
    if segment is not None:
        segments, codes = grouped(segment)
    receiver = AmountParty(
        context("receiver"), "partner", private, amounts, values, names,
        epsilon=thousandths, segments=segments, codes=codes,
    )  # fmt: skip
    partner = CategoryParty(
        context("partner"), coded(category, names), len(names), amounts,
        epsilon=thousandths, minimum_group=minimum_group, parts=len(segments),
        key_bits=private.bits,
    )  # fmt: skip
    found: CategoryResult = Pair(receiver, partner).run()["receiver"]
    return found
