"""An alignment with both parties in this process: for notebooks, tests and comparisons."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from psi.align.runs import Alignment, AlignSettings, Runs, receive, send
from psi.protocol import Context, Pair

__all__ = ["intersect"]


def intersect(
    keys: Sequence[str | None] | pa.Array,
    sender_keys: Sequence[str | None] | pa.Array,
    *,
    settings: AlignSettings | None = None,
) -> tuple[Alignment, Alignment]:
    """Which keys both have, as two parties would find out: through every message, as bytes.

    Args:
        keys: the receiver's, one a row; None for a row without.
        sender_keys: the sender's.
        settings: protocol, what is revealed, how repeated keys count; ECDH, both sides and once
            otherwise.

    Returns:
        The receiver's and the sender's side. `rows` are row numbers, pair by pair the same at both.

    Raises:
        Refused: fewer matches than `settings.minimum_overlap`.

    >>> mine, theirs = intersect(["ann", "bo", None], ["cy", "bo"])
    >>> mine.rows.tolist(), theirs.rows.tolist(), mine.matched
    ([1], [1], 1)
    """
    agreed = settings or AlignSettings()
    sides = {
        "receiver": receive("sender", [pa.array(keys, pa.string())], agreed),
        "sender": send("receiver", [pa.array(sender_keys, pa.string())], agreed),
    }
    return _played(sides)


def _played(sides: dict[str, Runs]) -> tuple[Alignment, Alignment]:
    """Run after run, until both generators have ended."""
    session = secrets.token_bytes(32)
    ends: dict[str, Alignment] = {}
    results: dict[str, Any] = dict.fromkeys(sides)
    while len(ends) < len(sides):
        roles = []
        for name, side in sides.items():
            try:
                run, build = side.send(results[name])
            except StopIteration as stop:
                ends[name] = stop.value
                continue
            roles.append(build(Context(session, f"align/{run}", name, secrets.token_bytes)))
        if roles:
            results = Pair(*roles).run()
    return ends["receiver"], ends["sender"]
