"""Which columns of a party a contract's steps use, and what for: one pure function of the contract.

Policy, rules, words and the contract's own check stand on it, so that what is asked about, what is
approved and what is read are the same columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federated.contract.kinds import KINDS
from federated.text import plain
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["KEY", "USES", "check_columns", "columns_used"]

KEY = "key"
MEASURES = ("aggregate", "category", "join and sum", "amount", "binning")
"""Uses of a party's measures: its numbers by a segment, its private category, its numbers over an
intersection that nobody sees, amounts that it gives away encrypted, and columns whose worth for a
label it tells."""
USES = (KEY, *MEASURES, "segment", "feature", "label", "time", "weight")


def columns_used(contract: Contract, party: str) -> dict[str, tuple[str, ...]]:
    """The columns of one party that steps of the contract read, by use, each once and in order.

    The keys are `USES`, all of them. Raises `PeerError` if the contract has no such party.
    """
    contract.party(party)
    used: dict[str, list[str]] = {use: [] for use in USES}
    for kind in KINDS:
        for use, columns in kind.used(contract, party):
            used[use] += columns
    return {use: tuple(dict.fromkeys(columns)) for use, columns in used.items()}


def check_columns(contract: Contract) -> None:
    """Raise `PeerError` unless each party's terms name the columns that steps use, for that use.

    Nor may they name any that no step uses: the terms are what a party's officer reads.
    """
    for terms in contract.parties:
        used = columns_used(contract, terms.name)
        named = {
            KEY: [column for level in terms.keys for column in level],
            "measure": terms.measures,
            "segment": terms.segments,
            "feature": terms.features,
            "label": terms.labels,
            "time": terms.times,
            "weight": terms.weights,
        }
        plain_uses = (KEY, "segment", "feature", "label", "time", "weight")
        read = {use: set(used[use]) for use in plain_uses}
        read["measure"] = {column for use in MEASURES for column in used[use]}
        for use, columns in named.items():
            more, idle = read[use] - set(columns), set(columns) - read[use]
            if more:
                raise PeerError(
                    f"a step uses {_quoted(more)} of {plain(terms.name)} as {use}, which its terms "
                    "do not name for that"
                )
            if idle:
                raise PeerError(
                    f"the terms of {plain(terms.name)} name {_quoted(idle)} as {use}, which no "
                    "step uses"
                )


def _quoted(columns: set[str]) -> str:
    first, *more = sorted(columns)
    return f"{plain(first, 60)!r}" + (f" and {len(more)} more" if more else "")
