"""What a party lets others learn of its columns over time: `[releases]` in its policy file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from federated.toml_sections import TomlSection, load_toml

__all__ = ["NEW_LABEL_BITS", "ReleaseLimits", "load_release_limits", "read_release_limits"]


NEW_LABEL_BITS = 1.0
"""What a new node's file says of `label_bits`: once a whole label of two classes."""


@dataclass(frozen=True, kw_only=True)
class ReleaseLimits:
    """Limits on what is disclosed of the columns of a table to one receiver.

    `minimum_difference`: the fewest entities that any two answers, or any combination of
    answers, may leave apart; 0 turns the comparison off. `releases_per_column`: the most steps
    that may disclose something of a column. `epsilon`: the most differential privacy that a
    column may spend for one purpose; with it, only noised answers are given. None: no such
    budget. `keep_days`: for how long all this is remembered.

    `row_share`: the share of the bits that a row holds which all that is told of it may come to.
    `row_left`: the bits of a row that must stay untold at least, for a table that holds few; with
    a `row_share` of 1 or more, whole rows are allowed and it does not count.
    `epsilon_per_column`: the most differential privacy that noised answers may spend on a column
    for one purpose, beside exact ones. `thresholds_per_column`: the most distinct thresholds of
    shares and histograms. `label_bits`: the most that trainings and binnings of a label of this
    party's may tell one partner of one record's. `purposes`: those that the policy names, each
    with an epsilon of its own; none: whoever asks names a purpose, so all of them share one.
    """

    minimum_difference: int = 10
    releases_per_column: int = 24
    epsilon: float | None = None
    keep_days: int = 400
    row_share: float = 0.4
    row_left: float = 7.0
    epsilon_per_column: float = 10.0
    thresholds_per_column: int = 50
    label_bits: float = 10.0
    purposes: tuple[str, ...] = ()


def read_release_limits(
    section: TomlSection | None, purposes: tuple[str, ...] = ()
) -> ReleaseLimits:
    """The limits in a policy's `[releases]`; the defaults where there is none."""
    default = ReleaseLimits(purposes=() if "*" in purposes else purposes)
    if section is None:
        return default
    epsilon = section.number("epsilon", 0.0, 0.0, 1e6)
    found = replace(
        default,
        minimum_difference=section.integer(
            "minimum_difference", default.minimum_difference, 0, 10**6
        ),
        releases_per_column=section.integer(
            "releases_per_column", default.releases_per_column, 0, 10**6
        ),
        epsilon=epsilon or None,
        keep_days=section.integer("keep_days", default.keep_days, 1, 36500),
        row_share=section.number("row_share", default.row_share, 0.0, 1000.0),
        row_left=section.number("row_left", default.row_left, 0.0, 64.0),
        epsilon_per_column=section.number(
            "epsilon_per_column", default.epsilon_per_column, 0.0, 1e6
        ),
        thresholds_per_column=section.integer(
            "thresholds_per_column", default.thresholds_per_column, 0, 10**6
        ),
        label_bits=section.number("label_bits", default.label_bits, 0.0, 1000.0),
    )
    section.done()
    return found


def load_release_limits(policy: Path) -> ReleaseLimits:
    """The limits in a policy file; the defaults where there is no file."""
    if not policy.exists():
        return ReleaseLimits()
    root = TomlSection(policy.name, "", load_toml(policy))
    proposals = root.table("proposals")
    purposes = proposals.texts("purposes", ["*"]) if proposals else ()
    return read_release_limits(root.table("releases"), tuple(purposes))
