"""Tables under noise asked again and again, and histograms cut finely.

`noised`: counts by the partner's category and the bank's segments, each person a segment of its
own, under noise of the largest epsilon that the policy lets pass; then as many tables of epsilon 1
as a contract, and jobs after it, are given. The bank averages and takes the largest category.
`bins`: a histogram with a threshold at every value of a column, over a smallest group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from benchmarks.attack.data import Bound, Floats, bound
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.world import World, heading, why
from federated.contract.terms import Contract
from federated.tables.matrix import numeric_matrix
from psi.protocol import FedprofileError

__all__ = ["bins", "noised"]

ROWS = 200
TABLES = 24
GROUP = 20
# a text column of the partner with a few frequent categories, and a number, for each set
CATEGORIES = {"bank_marketing": "marital", "invented": "b1"}
NUMBERS = {"credit_default": "x4", "bank_marketing": "age", "berka": "transactions_per_month"}
EDGES = 50
KEY_BITS = 3072


def noised(scale: Scale) -> Iterator[Finding]:
    """A person's category from noised tables, in one contract and over jobs."""
    for name in [name for name in scale.sets if name in CATEGORIES][:1]:
        column = CATEGORIES[name]
        found = bound(name)
        rows = np.sort(np.random.default_rng(5).permutation(len(found.own))[:ROWS])
        found = found.take(rows)
        text = pa.array([str(value) for value in found.partner.column(column).to_pylist()])
        truth = np.array(text.to_pylist())
        values, counts = np.unique(truth, return_counts=True)
        common = [str(v) for v in values[np.argsort(-counts)][:3]]
        categories = pa.table({"id": found.partner.column("id"), "category": text})
        where, base = f"{name}, {ROWS} people, column {column}", float(counts.max() / ROWS)
        for epsilon, tables, jobs in ((10, 1, 1), (1, TABLES, 1), (1, 1, TABLES)):
            what = f"category right: {tables} tables of epsilon {epsilon} a contract"
            played, refused, totals, names = 0, "", list[Floats](), np.array([""])
            world = World(categories, {"category": "aggregate"})
            for _ in range(jobs):
                try:
                    names, told = _tables(world, found, common, epsilon, tables)
                except FedprofileError as error:
                    refused = why(error)
                    break
                totals, played = totals + told, played + 1
            what += f", {jobs} jobs" * (jobs > 1)
            more = {"jobs": played, "then": refused} if played and refused else {"jobs": played}
            if not totals:
                yield Finding(
                    attack="",
                    protocol="category, whole jobs",
                    data=where,
                    who="bank, semi-honest",
                    what=what,
                    figure=None,
                    baseline=base,
                    refused=refused,
                    more=more,
                )
                continue
            guess = names[np.argmax(np.mean(totals, axis=0), axis=0)]
            right = np.where(np.isin(truth, common), truth, names[-1]) == guess
            yield Finding(
                attack="",
                protocol="category, whole jobs",
                data=where,
                who="bank, semi-honest",
                what=what,
                figure=float(right.mean()),
                baseline=base,
                more=more,
            )


def _tables(
    world: World, found: Bound, common: list[str], epsilon: float, tables: int
) -> tuple[np.ndarray, list[Floats]]:
    """The categories of one job, and its noised counts, `float64[categories, people]` each.

    The same table twice in a contract is refused: each asks for a thousandth of epsilon more.
    """
    ids = found.own.column("id")
    listed = ", ".join(f'"{value}"' for value in common)
    job = (
        heading(key_bits=KEY_BITS)
        + f"""
[[aggregate]]
by = ["bank.segment", "partner.category"]
protocol = "sums"
categories = [{listed}]
epsilon = {epsilon}
"""
    )

    def many(made: Contract) -> Contract:
        one = made.category[0]
        each = tuple(replace(one, epsilon=one.epsilon + number) for number in range(tables))
        return replace(made, category=each)

    result = world.run(job, pa.table({"id": ids, "segment": ids}), many)
    told, names = [], np.array(result.bank.categories[0][1].categories)
    for _, one in result.bank.categories:
        place = {segment: at for at, segment in enumerate(one.segments)}
        order = [place[person] for person in ids.to_pylist()]
        told.append(np.asarray(one.counts, dtype=np.float64).reshape(-1, len(place))[:, order])
    return names, told


def bins(scale: Scale) -> Iterator[Finding]:
    """Every value of a group of the smallest size that is allowed."""
    for name in [name for name in scale.sets if name in NUMBERS or name == "invented"][:1]:
        found = bound(name)
        column = NUMBERS.get(name, found.features[1][0])
        rows = np.sort(np.random.default_rng(5).permutation(len(found.own))[:ROWS])
        found = found.take(rows)
        values = numeric_matrix(found.partner, [column])[:, 0]
        cuts = np.unique(values).tolist()
        edges = [cuts[at : at + EDGES] for at in range(0, len(cuts), EDGES - 1)]
        asked = ", ".join(
            f'"partner.{column}:histogram[{",".join(f"{e:.10g}" for e in part)}]"'
            for part in edges if len(part) > 1
        )  # fmt: skip
        job = (
            heading(key_bits=KEY_BITS)
            + f"""
[[aggregate]]
by = "bank.segment"
protocol = "sums"
measures = [{asked}]
minimum_group = {GROUP}
"""
        )
        segment = ["aimed"] * GROUP + ["rest"] * (ROWS - GROUP)
        bank = pa.table({"id": found.own.column("id"), "segment": segment})
        world = World(found.partner.select(["id", column]), {column: "aggregate"})
        where = f"{name}, a group of {GROUP} of {ROWS}, column {column}"
        what = "values of the group read, from a threshold at each value"
        protocol, who = "aggregate, whole jobs", "bank, semi-honest"
        try:
            result = world.run(job, bank).bank.aggregates[0][1]
        except FedprofileError as error:
            yield Finding(
                attack="",
                protocol=protocol,
                data=where,
                who=who,
                what=what,
                figure=None,
                baseline=0.0,
                refused=why(error),
            )
            continue
        place = result.groups.index("aimed")
        read: list[float] = []
        for part, told in zip((p for p in edges if len(p) > 1), result.values, strict=True):
            counts = np.nan_to_num(np.asarray(told[place]))
            for at in range(1, len(part)):
                read += [part[at - 1]] * int(round(counts[at]))
        truth = sorted(values[:GROUP].tolist())
        right = sum(min(read.count(v), truth.count(v)) for v in set(truth)) / GROUP
        yield Finding(
            attack="", protocol=protocol, data=where, who=who, what=what, figure=right, baseline=0.0
        )
