"""Our side of an aggregation, encrypted or by private sums: a role a step on the socket router."""

from __future__ import annotations

import importlib.metadata
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.ours_psi import SESSION, drive
from benchmarks.party import Stopwatch, meet, options
from federated.aggregate import (
    AggregateResult,
    Amount,
    AmountParty,
    CategoryParty,
    CategoryResult,
    Grouping,
    MeasureParty,
    MeasureSlots,
    RowsReceiver,
    RowsSender,
    Section,
    SegmentParty,
    Statistic,
)
from federated.aggregate.amounts import AmountRows, AmountSizes
from federated.aggregate.binned import counted_alone
from federated.aggregate.history import history_of
from federated.aggregate.lane_rows import LaneRows
from federated.aggregate.lanes import lanes_of
from federated.aggregate.rows import Asking
from federated.aggregate.section_audit import Earlier
from federated.aggregate.share_category import ShareAmountParty, ShareCategoryParty, lanes_for
from federated.aggregate.share_kinds import KindsReceiver, KindsSender
from federated.aggregate.share_measure import ShareMeasureParty
from federated.aggregate.share_messages import CELLS
from federated.aggregate.share_segment import ShareSegmentParty
from federated.join_sum import JoinSumResult, SumReceiver, SumSender, place_values
from federated.join_sum.share_lanes import PlaceLanes
from federated.join_sum.share_receiver import ShareSumReceiver
from federated.join_sum.share_sender import ShareSumSender
from federated.paillier import EncryptedVector, Plaintexts, generate_keypair
from federated.session.routers import SocketEndpoint
from federated.sharing.bin_holder import BinHolder
from federated.sharing.value_holder import ValueHolder
from psi.protocol import Context, Envelope, Pair, Role

MINIMUM = 20
LARGEST = 1e6
MISSING = 0.05

Case = dict[str, Any]
Run = Callable[[str, Callable[[Context], Role[Any]]], Any]
"""Drives the role of a step to its result."""
Side = Callable[[Run, Case], Any]


def names(case: Case) -> list[str]:
    return [f"m{number}" for number in range(case["measures"])]


def means(case: Case) -> list[tuple[str, str]]:
    return [(name, "mean") for name in names(case)]


def measures(case: Case) -> np.ndarray:
    """The partner's columns: uniform amounts to the cent, some of them missing."""
    rng = np.random.default_rng(7)
    values = np.round(rng.uniform(-LARGEST, LARGEST, (case["rows"], case["measures"])), 2)
    values[rng.random(values.shape) < MISSING] = np.nan
    return values


def section(case: Case) -> Section:
    return Section(tuple((name, Statistic("mean")) for name in names(case)), MINIMUM)


def segment_receiver(run: Run, case: Case) -> AggregateResult:
    """All sections, by a segment of its own each; the first one's result."""
    sections, groups = [section(case)] * case["sections"], [f"g{n}" for n in range(case["groups"])]
    rng, every = np.random.default_rng(8), list[np.ndarray]()
    for _ in sections:
        every.append(rng.permutation(np.arange(case["rows"]) % case["groups"]))
    groupings = [Grouping(groups, codes, tuple(every[:i])) for i, codes in enumerate(every)]
    added = run(
        "rows",
        lambda context: RowsReceiver(context, sections, groupings, key_bits=case["bits"]),
    )
    found: list[AggregateResult] = []
    for number, grouping in enumerate(groupings):
        told = [result.kept[0] for result in found]
        build = partial(
            SegmentParty, partner="sender", sections=sections, number=number, grouping=grouping,
            added=added, told=told, key_bits=case["bits"],
        )  # fmt: skip
        found.append(run(f"aggregate/{number}", build))
    return found[0]


def segment_sender(run: Run, case: Case) -> None:
    key, sections, values = generate_keypair(case["bits"]), [section(case)], measures(case)
    sections *= case["sections"]
    slots = MeasureSlots(sections, len(values), key.bits)
    history = history_of(np.arange(1, 1 + len(values), dtype=np.uint64), (), 0)
    counted = counted_alone(sections[0], values, slots.grids)
    every = [counted] * len(sections)
    run("rows", lambda context: RowsSender(context, "receiver", key, slots, values, every))
    earlier: list[Earlier] = []
    for number in range(len(sections)):
        build = partial(
            MeasureParty, key=key, slots=slots.of(number), counted=counted, history=history,
            earlier=tuple(earlier),
        )  # fmt: skip
        told = run(f"aggregate/{number}", build)
        earlier.append(Earlier(told.kept[:, 1 : 1 + len(slots.columns)], MINIMUM))


def one(build: Callable[[Context, Case], Role[Any]]) -> Side:
    """A side of a single role."""
    return lambda run, case: run("aggregate", lambda context: build(context, case))


def join_receiver(context: Context, case: Case) -> Role[Any]:
    places = np.random.default_rng(9).permutation(case["rows"])[: case["matched"]]
    return SumReceiver(
        context, "sender", np.sort(places), case["rows"], names(case), means(case),
        key_bits=case["bits"],
    )  # fmt: skip


def join_sender(context: Context, case: Case) -> Role[Any]:
    key = generate_keypair(case["bits"])
    placed = place_values(measures(case), np.arange(case["rows"]), names(case))
    return SumSender(context, "receiver", key, placed, MINIMUM)


def amounts(case: Case) -> list[Amount]:
    return [Amount(name, -int(LARGEST), int(LARGEST)) for name in names(case)]


def amount_receiver(context: Context, case: Case) -> Role[Any]:
    key, groups = generate_keypair(case["bits"]), [f"g{n}" for n in range(case["groups"])]
    return AmountParty(context, "sender", key, amounts(case), measures(case), groups, epsilon=0)


def category_sender(context: Context, case: Case) -> Role[Any]:
    codes = np.random.default_rng(8).permutation(np.arange(case["rows"]) % case["groups"])
    return CategoryParty(
        context, codes, case["groups"], amounts(case),
        epsilon=0, minimum_group=MINIMUM, key_bits=case["bits"],
    )  # fmt: skip


def shared_receiver(run: Run, case: Case) -> AggregateResult:
    """The first section's result, as in `segment_receiver`, by private sums."""
    sections, groups = [section(case)] * case["sections"], [f"g{n}" for n in range(case["groups"])]
    rng, every = np.random.default_rng(8), list[np.ndarray]()
    for _ in sections:
        every.append(rng.permutation(np.arange(case["rows"]) % case["groups"]))
    asking, found = Asking(sections, case["rows"]), list[AggregateResult]()
    flags = run("lanes", lambda context: KindsReceiver(context, sections)).own
    for number, codes in enumerate(every):
        grouping = Grouping(groups, codes, tuple(every[:number]), CELLS)
        cells, into = grouping.told([result.kept[0] for result in found])
        bins, size = into[grouping.place], max(2, len(cells))
        lanes = lanes_of(asking, number, [bool(own) for own in flags[number]])
        (shares,) = run(
            f"sums/{number}", partial(
                BinHolder, peer="sender", bins=[bins], sizes=[size], lanes=lanes.lanes
            )
        )  # fmt: skip
        build = partial(
            ShareSegmentParty, partner="sender", lanes=lanes, groups=groups, cells=cells,
            sizes=np.bincount(bins, minlength=len(cells)),
            rows=np.bincount(codes, minlength=len(groups)), shares=shares[: len(cells)],
        )  # fmt: skip
        found.append(run(f"aggregate/{number}", build))
    return found[0]


def shared_sender(run: Run, case: Case) -> None:
    sections, values = [section(case)] * case["sections"], measures(case)
    asking, history = (
        Asking(sections, len(values)),
        history_of(np.arange(1, 1 + len(values), dtype=np.uint64), (), 0),
    )
    counted = counted_alone(sections[0], values, asking.grids)
    bound = int.from_bytes(secrets.token_bytes(8), "little") | 1
    every = [LaneRows(asking, i, values, counted, bound) for i in range(len(sections))]
    flags = [rows.lanes.own for rows in every]
    run("lanes", lambda context: KindsSender(context, "receiver", flags))
    earlier: list[Earlier] = []
    for number, rows in enumerate(every):
        (shares,) = run(
            f"sums/{number}", partial(
                ValueHolder, peer="receiver", rows=len(values), lanes=rows.lanes.lanes,
                give=rows.give, columns=1,
            )
        )  # fmt: skip
        build = partial(
            ShareMeasureParty, lanes=rows.lanes, bound=bound, shares=shares, asking=asking,
            counted=counted, history=history, earlier=tuple(earlier),
        )  # fmt: skip
        told = run(f"aggregate/{number}", build)
        earlier.append(Earlier(told.kept[:, 1 : 1 + len(asking.columns)], MINIMUM))


def shared_amounts(run: Run, case: Case) -> CategoryResult:
    sizes = AmountSizes(amounts(case), 1, case["rows"], 0)
    rows = AmountRows(sizes, measures(case), np.zeros(case["rows"], np.int64))
    (shares,) = run(
        "sums", partial(
            ValueHolder, peer="sender", rows=case["rows"], lanes=lanes_for(sizes), give=rows.lanes,
            columns=1,
        )
    )  # fmt: skip
    names = [f"g{n}" for n in range(case["groups"])]
    build = partial(ShareAmountParty, rows=rows, categories=names, segments=[""], shares=shares)
    found: CategoryResult = run("aggregate", build)
    return found


def shared_category(run: Run, case: Case) -> None:
    codes = np.random.default_rng(8).permutation(np.arange(case["rows"]) % case["groups"])
    sizes = AmountSizes(amounts(case), 1, case["rows"], 0)
    (shares,) = run(
        "sums", partial(
            BinHolder, peer="receiver", bins=[codes], sizes=[case["groups"] + 1],
            lanes=lanes_for(sizes),
        )
    )  # fmt: skip
    run(
        "aggregate", partial(
            ShareCategoryParty, receiver="receiver", codes=codes, categories=case["groups"],
            sizes=sizes, minimum_group=MINIMUM, shares=shares,
        )
    )  # fmt: skip


def place_lanes(case: Case) -> PlaceLanes:
    return PlaceLanes((True,) * case["measures"], case["rows"])


def shared_joiner(run: Run, case: Case) -> JoinSumResult:
    places = np.random.default_rng(9).permutation(case["rows"])[: case["matched"]]
    bins, lanes = np.ones(case["rows"], np.int64), place_lanes(case)
    bins[places] = 0
    (shares,) = run(
        "sums", partial(BinHolder, peer="sender", bins=[bins], sizes=[2], lanes=lanes.lanes)
    )
    build = partial(
        ShareSumReceiver, sender="sender", lanes=lanes, shared=len(places), shares=shares,
        columns=names(case), statistics=means(case),
    )  # fmt: skip
    found: JoinSumResult = run("aggregate", build)
    return found


def shared_joined(run: Run, case: Case) -> None:
    placed = place_values(measures(case), np.arange(case["rows"]), names(case))
    lanes, bound = place_lanes(case), int.from_bytes(secrets.token_bytes(8), "little") | 1
    lanes.check(placed, names(case))
    (shares,) = run(
        "sums", partial(
            ValueHolder, peer="receiver", rows=case["rows"], lanes=lanes.lanes,
            give=partial(lanes.rows, placed, bound), columns=1,
        )
    )  # fmt: skip
    run(
        "aggregate", partial(
            ShareSumSender, lanes=lanes, bound=bound, shares=shares, minimum=MINIMUM
        )
    )  # fmt: skip


SIDES: dict[str, dict[str, Side]] = {
    # a direction is added by its two sides, and its name in benchmarks.aggregate
    "segment": {"receiver": segment_receiver, "sender": segment_sender},
    # exact, so that what came out can be checked: a noise of a hundred draws takes no time
    "category": {"receiver": one(amount_receiver), "sender": one(category_sender)},
    "join_sum": {"receiver": one(join_receiver), "sender": one(join_sender)},
}
SHARED: dict[str, dict[str, Side]] = {
    "segment": {"receiver": shared_receiver, "sender": shared_sender},
    "category": {"receiver": shared_amounts, "sender": shared_category},
    "join_sum": {"receiver": shared_joiner, "sender": shared_joined},
}
"""The same by private sums."""


def _covered(result: Any) -> int:
    """How many records stand behind what the receiver was told."""
    if isinstance(result, CategoryResult):
        return int(np.nansum(result.counts))
    return int(result.shared if isinstance(result, JoinSumResult) else result.rows.sum())


def warm(bits: int) -> None:
    """Load the compiled kernels: a node that runs has them."""
    key = generate_keypair(bits)
    vector = EncryptedVector.encrypt(key, Plaintexts.from_ints([1, 2, 3]))
    total = EncryptedVector.from_bytes(key.public, vector.to_bytes(), 3, bound_bits=4).sum()
    total.mask_uniform()[0].rerandomise(for_key_holder=True).decrypt(key)


def warm_sums() -> None:
    """The same for private sums: both roles once on few rows."""
    at = [Context(SESSION, "warm", party, secrets.token_bytes) for party in ("r", "s")]
    values = np.zeros((64, 2), np.uint64)
    bins, give = [np.zeros(64, np.int64)], lambda low, high: values[low:high]
    Pair(BinHolder(at[0], "s", bins, [4], 2), ValueHolder(at[1], "r", 64, 2, give, columns=1)).run()


def main() -> None:
    start = options()
    role, case = start.role, start.case
    sides = SIDES
    if case.get("protocol") == "sums":
        sides = SHARED
        warm_sums()
    else:
        warm(case["bits"])
    meet(role, start.port, start.hosts)
    endpoint = SocketEndpoint(role, start.addresses())
    watch = Stopwatch()
    waiting: list[Envelope] = []

    def run(step: str, build: Callable[[Context], Role[Any]]) -> Any:
        context = Context(SESSION, step, role, secrets.token_bytes)
        return drive(endpoint, build(context), waiting)

    result = sides[case["direction"]][role](run, case)
    covered = _covered(result) if role == "receiver" else 0
    watch.report(importlib.metadata.version("fedprofile"), covered, endpoint.bytes_sent)
    endpoint.close()


if __name__ == "__main__":
    main()
