"""What an attack found: one line of the suite, and how large a run is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.rows import Row, machine
from psi.protocol import FedprofileError

__all__ = ["Attack", "Finding", "Scale", "found_by"]


@dataclass(frozen=True)
class Scale:
    """How large a run is.

    rows: the most aligned rows of a set, 0 for all;
    seeds: how often an attack that draws is played;
    key_bits: of Paillier keys where an attack runs the encrypted protocol;
    sets: names of the sets to play over, in order;
    full: whether the slow attacks run too.
    """

    name: str
    rows: int
    seeds: int
    key_bits: int
    sets: tuple[str, ...]
    full: bool = False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One figure of one attack.

    attack: its name in the registry, protocol: what it is played on;
    data: the set and its rows;
    who: the party that attacks, with "lies:" and what it does where it leaves the protocol;
    what: what `figure` counts, in words with its unit;
    figure: what the attacker gets, baseline: what it would get without the protocol;
    bar: the most that `figure - baseline` may be, where the issue or policy sets one;
    refused: why the product did not play along, empty where it did;
    more: further numbers worth keeping (rows, seeds, bits told, …).
    """

    attack: str
    protocol: str
    data: str
    who: str
    what: str
    figure: float | None = None
    baseline: float | None = None
    bar: float | None = None
    refused: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def above(self) -> float | None:
        """What the protocol added for the attacker."""
        if self.figure is None:
            return None
        return self.figure - (self.baseline or 0.0)

    @property
    def held(self) -> bool | None:
        """Whether the bar holds; None without one, or without a figure."""
        if self.bar is None or (self.above is None and not self.refused):
            return None
        return bool(self.refused) or (self.above or 0.0) <= self.bar

    def row(self, seconds: float) -> Row:
        """As a row of the benchmarks' one schema."""
        case = {
            "protocol": self.protocol, "data": self.data, "who": self.who, "what": self.what,
        }  # fmt: skip
        numbers = {"figure": self.figure, "baseline": self.baseline, "bar": self.bar}
        metrics: dict[str, Any] = {k: v for k, v in numbers.items() if v is not None}
        if self.held is not None:
            metrics["held"] = self.held
        if self.refused:
            metrics["refused"] = self.refused
        return Row(
            suite="attack",
            subject=self.attack,
            version="",
            case=case,
            metrics=metrics | self.more | {"seconds": seconds},
            cores=1,
            network="none",
            machine=machine(),
        )


Attack = Callable[[Scale], Iterator[Finding]]


def found_by(name: str, attack: Attack, scale: Scale) -> Iterator[Row]:
    """The rows of one attack. What the product refuses is a row, and so is a failure."""
    begun = time.perf_counter()
    try:
        for finding in attack(scale):
            now = time.perf_counter()
            yield replace(finding, attack=name).row(round(now - begun, 1))
            begun = now
    except (FedprofileError, ImportError) as error:
        why = f"{type(error).__name__}: {error}"[:300]
        failed = Finding(attack=name, protocol="", data="", who="", what="").row(
            round(time.perf_counter() - begun, 1)
        )
        yield replace(failed, metrics={"error": why})
