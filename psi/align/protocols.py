"""The protocols that an alignment can run, by the name a job gives.

A protocol is a pair of roles over sets of distinct items. Adding one is: its roles, a line here,
a chapter in docs/protocols, its suite in the contract; tests/unit/test_psi_conformance.py then
holds it to what every protocol promises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from psi import ecdh, vole
from psi.ecdh import Items, Matches
from psi.protocol import Context, Role

__all__ = ["PROTOCOLS", "Intersection"]


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


@dataclass(frozen=True)
class Intersection:
    """Both roles of one protocol, what it can reveal, and its suite's name in a contract."""

    receiver: _Receiver
    sender: _Sender
    reveals: tuple[str, ...]
    suite: str


PROTOCOLS = {
    "ecdh": Intersection(
        ecdh.Receiver,
        ecdh.Sender,
        ("receiver", "both", "cardinality", "places"),
        "ecdh-curve25519-elligator2-sha512-v2",
    ),
    "vole": Intersection(
        vole.Receiver,
        vole.Sender,
        vole.REVEALS,
        "vole-gf128-expandconvolute21-regular1321-blake2s-v1",
    ),
}
