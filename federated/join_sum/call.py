"""Both parties in one process: the protocol as one call."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from federated.join_sum.noising import Noising
from federated.join_sum.placed import place_values
from federated.join_sum.receiver import JoinSumResult, SumReceiver
from federated.join_sum.sender import SumSender
from federated.paillier import DEFAULT_BITS, PrivateKey, generate_keypair
from psi.align import AlignSettings, intersect
from psi.protocol import Context, Pair

__all__ = ["join_and_sum"]


def join_and_sum(
    keys: Sequence[str | None],
    sender_keys: Sequence[str | None],
    values: Mapping[str, ArrayLike],
    statistics: Sequence[str] = (),
    *,
    minimum: int = 20,
    duplicates: str = "collapse",
    key: PrivateKey | None = None,
    epsilon: float = 0.0,
    ranges: Mapping[str, tuple[int, int]] | None = None,
) -> JoinSumResult:
    """Count and sum of the sender's `values` over the keys that both hold.

    Args:
        keys: the receiver's, one a row; None for a row without.
        sender_keys: the sender's.
        values: column to one number a sender's key, NaN where it is missing.
        statistics: "COLUMN:count", ":sum" or ":mean"; by default the sum of every column.
        minimum: the fewest shared keys, and values of a column, of which anything is told.
        duplicates: "collapse" takes a repeated key once, "join" every pair.
        key: the sender's; a fresh one of 3072 bits otherwise.
        epsilon: of the noise that the sender adds to all numbers, to a thousandth; 0: none.
        ranges: column to LOW and HIGH, within which it is clipped; needed with `epsilon`.

    Raises:
        Refused: fewer shared keys than `minimum`.
        MisuseError: a statistic or range of a column that is not given.

        >>> found = join_and_sum(["a", "b"], ["b", "c"], {"debt": [7.5, 1.0]}, minimum=1)
        >>> found.shared, found.values.tolist()
        (1, [7.5])
    """
    asked = [(c, s or "sum") for c, _, s in (t.partition(":") for t in statistics or values)]
    key = key or generate_keypair(DEFAULT_BITS)
    mine, theirs = intersect(keys, sender_keys, settings=AlignSettings(reveal="places"))
    matrix = np.column_stack([np.asarray(column, np.float64) for column in values.values()])
    placed = place_values(matrix, theirs.places, list(values), duplicates=duplicates)
    session, columns = secrets.token_bytes(32), list(values)
    noising = Noising(columns, ranges or {}, round(1000 * epsilon)) if epsilon else None
    summed = [any(c == name and s != "count" for c, s in asked) for name in columns]
    receiver = SumReceiver(
        Context(session, "join_sum", "receiver", secrets.token_bytes),
        "sender", mine.places, mine.size_sender, columns, asked, key_bits=key.bits,
        noising=noising,
    )  # fmt: skip
    context = Context(session, "join_sum", "sender", secrets.token_bytes)
    sender = SumSender(context, "receiver", key, placed, minimum, summed=summed, noising=noising)
    found: JoinSumResult = Pair(receiver, sender).run()["receiver"]
    return found
