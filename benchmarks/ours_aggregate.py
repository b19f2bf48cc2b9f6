"""Our side of an encrypted aggregation: one role a party over the socket router."""

from __future__ import annotations

import importlib.metadata
import secrets
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.ours_psi import SESSION, drive
from benchmarks.party import Stopwatch, meet, options
from federated.aggregate import (
    Amount,
    AmountParty,
    CategoryParty,
    CategoryResult,
    MeasureParty,
    SegmentParty,
    Statistic,
)
from federated.join_sum import JoinSumResult, SumReceiver, SumSender, place_values
from federated.paillier import EncryptedVector, Plaintexts, generate_keypair
from federated.wire.routers import SocketEndpoint
from psi.protocol import Context, Role

MINIMUM = 20
LARGEST = 1e6
MISSING = 0.05

Case = dict[str, Any]
Build = Callable[[Context, Case], Role[Any]]


def names(case: Case) -> list[str]:
    return [f"m{number}" for number in range(case["measures"])]


def means(case: Case) -> list[tuple[str, str]]:
    return [(name, "mean") for name in names(case)]


def asked(case: Case) -> list[tuple[str, Statistic]]:
    return [(name, Statistic("mean")) for name in names(case)]


def measures(case: Case) -> np.ndarray:
    """The partner's columns: uniform amounts to the cent, some of them missing."""
    rng = np.random.default_rng(7)
    values = np.round(rng.uniform(-LARGEST, LARGEST, (case["rows"], case["measures"])), 2)
    values[rng.random(values.shape) < MISSING] = np.nan
    return values


def segment_receiver(context: Context, case: Case) -> Role[Any]:
    groups = [f"g{number}" for number in range(case["groups"])]
    codes = np.random.default_rng(8).permutation(np.arange(case["rows"]) % case["groups"])
    return SegmentParty(
        context, "sender", groups, codes, asked(case), minimum_key_bits=case["bits"]
    )


def segment_sender(context: Context, case: Case) -> Role[Any]:
    key = generate_keypair(case["bits"])
    return MeasureParty(context, "receiver", key, measures(case), asked(case), MINIMUM)


def join_receiver(context: Context, case: Case) -> Role[Any]:
    places = np.random.default_rng(9).permutation(case["rows"])[: case["matched"]]
    return SumReceiver(
        context, "sender", np.sort(places), case["rows"], names(case), means(case),
        minimum_key_bits=case["bits"],
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
        epsilon=0, minimum_group=MINIMUM, minimum_key_bits=case["bits"],
    )  # fmt: skip


ROLES: dict[str, dict[str, Build]] = {
    # a direction is added by its two roles, and its name in benchmarks.aggregate
    "segment": {"receiver": segment_receiver, "sender": segment_sender},
    # exact, so that what came out can be checked: a noise of a hundred draws takes no time
    "category": {"receiver": amount_receiver, "sender": category_sender},
    "join_sum": {"receiver": join_receiver, "sender": join_sender},
}


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


def main() -> None:
    start = options()
    role, case = start.role, start.case
    warm(case["bits"])
    meet(role, start.port, start.hosts)
    endpoint = SocketEndpoint(role, start.addresses())
    watch = Stopwatch()
    context = Context(SESSION, "aggregate", role, secrets.token_bytes)
    result = drive(endpoint, ROLES[case["direction"]][role](context, case), [])
    covered = _covered(result) if role == "receiver" else 0
    watch.report(importlib.metadata.version("fedprofile"), covered, endpoint.bytes_sent)
    endpoint.close()


if __name__ == "__main__":
    main()
