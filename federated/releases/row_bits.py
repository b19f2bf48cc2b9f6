"""How many bits of a row a contract tells, were told before, and a row holds: data and words.

`plan`, `node show`, metrics and the report say the same from here. From the contract alone comes
what it tells; what was told before and what a row holds is known at home only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from federated.contract.kinds.train import hidden
from federated.contract.release import planned
from federated.contract.terms import Contract
from federated.hidden_trees.plan import score_step
from federated.releases.book import MICRO
from federated.releases.budget import (
    allowed_bits,
    passing_instead,
    passing_row_bits,
    passing_score_bits,
)
from federated.releases.insider import insider_share
from federated.releases.limits import ReleaseLimits
from federated.text import compared

__all__ = ["RowBits", "row_bits", "row_words", "told_words"]

_FINE = 4
"""Bits of a score of hidden trees that cost next to nothing of AUC."""


@dataclass(frozen=True, kw_only=True)
class RowBits:
    """Bits of a row of one party's table, told to a contract's receiver; None: not known here.

    `asked` is what the contract tells; `told` what was told
    before of some row, by releases that touch one of the `columns`; `held` what a row holds in
    these, `allowed` what may be told in all. `passing`: the finest `score_bits` with which all
    would be within that, `levels` the most `row_bits`; 0 where none is, or nothing is too much.
    `step`: in log odds, of scores of hidden trees, told with `passing` where that is named; 0 where
    it is fine, or there are no such trees.
    `instead`: other terms with which all would be, in words.
    """

    party: str
    receiver: str
    columns: tuple[str, ...]
    asked: float
    told: float | None = None
    held: float | None = None
    allowed: float | None = None
    passing: int = 0
    levels: int = 0
    instead: str = ""
    step: float = 0.0

    @property
    def total(self) -> float:
        """This contract's and, where known, all before it."""
        return self.asked + (self.told or 0.0)

    @property
    def share(self) -> float | None:
        """What an insider decodes at that point, of whole rows."""
        return None if self.held is None else insider_share(self.total, self.held)


def row_bits(
    contract: Contract,
    party: str,
    *,
    told: float | None = None,
    held: float | None = None,
    limits: ReleaseLimits | None = None,
) -> RowBits | None:
    """What `contract` tells of a row of a party's table; None where that is nothing."""
    weighed = [release for release in planned(contract, party) if release.bits > 0]
    if not weighed:
        return None
    columns = tuple(dict.fromkeys(c for release in weighed for c in release.columns))
    asked = sum(release.bits for release in weighed)
    allowed = allowed_bits(limits, held) / MICRO if limits and held is not None else None
    passing, levels, instead = 0, 0, ""
    if allowed is not None and asked + (told or 0.0) > allowed:
        scores = [release for release in weighed if release.vectors]
        rest = asked - sum(release.bits for release in scores) + (told or 0.0)
        passing = passing_score_bits(scores, math.floor((allowed - rest) * MICRO))
        left = math.floor((allowed - (told or 0.0)) * MICRO)
        levels = passing_row_bits(weighed, left)
        instead = "" if passing else passing_instead(weighed, left)
    return RowBits(
        party=party,
        receiver=contract.receiver,
        columns=columns,
        asked=asked,
        told=told,
        held=held,
        allowed=allowed,
        passing=passing,
        levels=levels,
        instead=instead,
        step=_coarse_step(contract, passing),
    )


def _coarse_step(contract: Contract, passing: int) -> float:
    bits = [passing or terms.score_bits for terms in contract.train if hidden(terms)]
    return score_step(min(bits)) if bits and min(bits) < _FINE else 0.0


def row_words(row: RowBits) -> list[str]:
    """Sentences for an officer or an analyst."""
    what = f"{len(row.columns)} column{'s' * (len(row.columns) > 1)}"
    most = row.total if row.allowed is None else row.allowed
    total, may, asked, told = compared(row.total, most, row.asked, row.told or 0.0)
    text = f"this contract tells {row.receiver} {asked} bits of a row of {row.party}"
    lines = [f"{text}, in {what}"]
    if row.told is not None:
        lines.append(f"{told} bits of some rows were told before: {total} in all")
    if row.held is not None:
        allowed = f"; {may} may be told" if row.allowed is not None else ""
        if row.allowed is not None and row.allowed >= row.held:
            allowed = "; whole rows may be told"
        lines.append(f"a row holds {row.held:.1f} bits in them{allowed}")
    if row.share is not None:
        lines.append(_insider(row.share))
    if row.allowed is not None and row.total > row.allowed:
        both = {"score_bits": row.passing, "row_bits": row.levels}
        named = [f"{key} = {most}" for key, most in both.items() if most]
        named += [row.instead] if row.instead else []
        passes = " or ".join(named) or "nothing"
        lines.append(f"rows of which more would be told are refused: {passes} would pass")
    if row.step:
        lines.append(
            f"trees that tell nothing send scores in steps of {row.step:g} log odds then: "
            "score_bits = 5 cost .0005 of AUC on two tables, 4 .002, and each bit fewer about four "
            "times as much"
        )
    return lines


def told_words(row: RowBits) -> str:
    """One line on what a receiver was told so far; `party` is the table's name."""
    total, allowed = compared(row.total, row.allowed or 0.0)
    what = f"{row.receiver} was told {total} bits of a row of {row.party} at most"
    if not row.held:
        return f"{what}; what a row held was not measured then"
    return (
        f"{what}, in {len(row.columns)} columns that held {row.held:.1f}: {allowed} "
        f"may be told; {_insider(row.share or 0.0)}"
    )


def _insider(share: float) -> str:
    return (
        f"an insider, who knows which rows there are and some in full, decodes {share:.1%} of "
        "whole rows at that point, by what was measured on one table"
    )
