"""What a party lets others learn of one column over time: `[releases]` in its policy file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from federated.party.sections import Section, load_toml

__all__ = ["ReleaseLimits", "load_release_limits", "read_release_limits"]


@dataclass(frozen=True)
class ReleaseLimits:
    """Limits on what is disclosed of one column of a table to one receiver.

    `minimum_difference`: the fewest entities that any two answers, or any combination of
    answers, may leave apart; 0 turns the comparison off. `releases_per_column`: the most steps
    that may disclose something of a column. `epsilon`: the most differential privacy that a
    column may spend for one purpose; with it, only noised answers are given. None: no such
    budget. `keep_days`: for how long all this is remembered.
    """

    minimum_difference: int = 10
    releases_per_column: int = 24
    epsilon: float | None = None
    keep_days: int = 400


def read_release_limits(section: Section | None) -> ReleaseLimits:
    """The limits in a policy's `[releases]`; the defaults where there is none."""
    default = ReleaseLimits()
    if section is None:
        return default
    epsilon = section.number("epsilon", 0.0, 0.0, 1e6)
    found = ReleaseLimits(
        section.integer("minimum_difference", default.minimum_difference, 0, 10**6),
        section.integer("releases_per_column", default.releases_per_column, 0, 10**6),
        epsilon or None,
        section.integer("keep_days", default.keep_days, 1, 36500),
    )
    section.done()
    return found


def load_release_limits(policy: Path) -> ReleaseLimits:
    """The limits in a policy file; the defaults where there is no file."""
    if not policy.exists():
        return ReleaseLimits()
    return read_release_limits(Section(policy.name, "", load_toml(policy)).table("releases"))
