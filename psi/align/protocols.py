"""The protocols that an alignment can run, by the name a job gives.

A protocol is a pair of roles over sets of distinct items. Adding one is: its roles, a line here,
a chapter in docs/protocols, its suite in the contract; tests/unit/test_psi_conformance.py then
holds it to what every protocol promises.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from psi import ecdh, vole, vole_malicious
from psi.ecdh import Items, Matches
from psi.protocol import Context, Role

__all__ = ["ALTERNATIVE", "LARGE", "PROTOCOLS", "Intersection", "choose"]

ALTERNATIVE = "vole-malicious"
"""What `choose` takes for large sets: it holds against parties that lie, as ecdh does."""
LARGE = 100_000
"""Records a side from which on it is less of everything than ecdh: bytes are even there (8.0 MB,
where at 10^4 they are five times as many), and seconds 0.2 to 4.6 (docs/BENCHMARKS.md)."""
BALANCE = 10
"""How many times larger one side may be."""


class _Receiver(Protocol):
    def __call__(
        self,
        context: Context,
        peer: str,
        items: Items,
        *,
        reveal: str,
        minimum: int,
        largest: int,
    ) -> Role[Matches]: ...


class _Sender(Protocol):
    def __call__(
        self, context: Context, peer: str, items: Items, *, reveal: str, largest: int
    ) -> Role[Matches]: ...


@dataclass(frozen=True, kw_only=True)
class Intersection:
    """Both roles of one protocol, what it can reveal, and its suite's name in a contract."""

    receiver: _Receiver
    sender: _Sender
    reveals: tuple[str, ...]
    suite: str
    records: bool = False
    """Whether the sender can number the records that its items belong to."""
    blocks: bool = False
    """Whether large sets need a processor with AES and carry-less products."""
    trusting: bool = False
    """Whether a party that lies learns more than of items it names: taken where all name it."""


PROTOCOLS = {
    "ecdh": Intersection(
        receiver=ecdh.Receiver,
        sender=ecdh.Sender,
        reveals=("receiver", "both", "cardinality", "places"),
        suite="ecdh-curve25519-elligator2-sha512-v3",
        records=True,
    ),
    "vole": Intersection(
        receiver=vole.Receiver,
        sender=vole.Sender,
        reveals=vole.REVEALS,
        suite="vole-gf128-expandconvolute21-regular1321-blake2s-v3",
        blocks=True,
        trusting=True,
    ),
    "vole-malicious": Intersection(
        receiver=vole_malicious.Receiver,
        sender=vole_malicious.Sender,
        reveals=vole_malicious.REVEALS,
        suite="vole-malicious-gf128-expandconvolute21-regular1733-blake2s-v3",
        blocks=True,
    ),
}


def choose(sizes: Sequence[tuple[int, int]], allowed: Collection[str]) -> tuple[str, str]:
    """The protocol for sets of these sizes (receiver, sender), and why.

    `allowed` are the protocols that every party accepts. The alternative rests on a younger
    assumption than ecdh, so it is taken only where it saves much. Plain vole is never chosen.
    """
    if ALTERNATIVE not in allowed:
        return "ecdh", f"not every party's policy and processor allow {ALTERNATIVE}"
    if "ecdh" not in allowed:
        return ALTERNATIVE, "not every party's policy allows ecdh"
    if min(min(pair) for pair in sizes) < LARGE:
        return "ecdh", f"{ALTERNATIVE} pays from {LARGE:,} records a side on"
    if any(max(pair) > BALANCE * min(pair) for pair in sizes):
        return "ecdh", f"{ALTERNATIVE} pays where no side is more than {BALANCE} times as large"
    return ALTERNATIVE, "large sets of about equal size, and every party allows its assumption"
