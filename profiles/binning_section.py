"""The `[[binning]]` sections of a job file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from federated.binning import MOST_BINNED, MOST_BINS
from federated.contract.kinds.train import SCORECARD
from federated.toml_sections import TomlSection
from profiles.job_sections import with_views
from profiles.specs import PartySpec, TrainSpec

__all__ = ["BinningSpec", "of_scorecards", "read_binnings"]

_BINS, _GROUP, _EPSILON = 10, 20, 1.0
"""Bins of a column, records of a bin, and the label's epsilon where a section does not say."""


@dataclass(frozen=True, kw_only=True)
class BinningSpec:
    """One `[[binning]]`, split by partner; `own` are the receiver's columns, binned at home.

    `epsilon` is in thousandths, 0 without noise.
    """

    partner: str
    columns: tuple[str, ...]
    own: tuple[str, ...]
    label: str
    positive: str
    bins: int
    minimum_group: int
    monotone: bool
    epsilon: int


def read_binnings(
    section: TomlSection, parties: tuple[PartySpec, ...], receiver: str, entity: str
) -> list[BinningSpec]:
    label = section.text("label")
    party, _, column = label.partition(".")
    if party != receiver or not column:
        raise section.fail("label", label, f'"{receiver}.COLUMN"', "the receiver holds the label")
    chosen = _columns(section, parties, entity)
    noised = section.text("noise", "laplace", ("laplace", "none")) == "laplace"
    if not noised and section.has("epsilon"):
        raise section.fail("epsilon", "found", 'no epsilon with noise = "none"')
    bins = section.integer("bins", _BINS, 2, MOST_BINS)
    epsilon = round(1000 * section.number("epsilon", _EPSILON, 0.01, 20.0)) if noised else 0
    positive = section.text("positive", "")
    group = section.integer("minimum_group", _GROUP, 3, 10**6)
    monotone = section.flag("monotone", False)
    partners = [name for name, columns in chosen.items() if columns and name != receiver]
    if not partners:
        raise section.fail(
            "columns", "no partner's", "columns of a partner", "own columns alone need no job"
        )
    section.done()
    return [
        BinningSpec(
            partner=name,
            columns=chosen[name],
            own=tuple(c for c in chosen[receiver] if c != column),
            label=column,
            positive=positive,
            bins=bins,
            minimum_group=group,
            monotone=monotone,
            epsilon=epsilon,
        )
        for name in partners
    ]


def of_scorecards(
    trains: Sequence[TrainSpec],
    binnings: Sequence[BinningSpec],
    parties: tuple[PartySpec, ...],
    receiver: str,
) -> list[BinningSpec]:
    """The binnings that scorecards stand on and no section asks for: one a partner and label."""
    found: list[BinningSpec] = []
    for train in trains:
        if train.model != SCORECARD:
            continue
        chosen = {one.party: one.columns for one in train.features}
        columns = {p.name: chosen.get(p.name, ()) if chosen else p.features for p in parties}
        for partner, brought in columns.items():
            asked = [
                b for b in (*binnings, *found)
                if (b.partner, b.label, b.positive) == (partner, train.label, train.positive)
            ]  # fmt: skip
            if partner == receiver or not brought:
                continue
            if any(set(brought) <= set(b.columns) for b in asked):
                continue
            found.append(
                BinningSpec(
                    partner=partner,
                    columns=brought,
                    own=columns[receiver],
                    label=train.label,
                    positive=train.positive,
                    bins=_BINS,
                    minimum_group=_GROUP,
                    monotone=False,
                    epsilon=round(1000 * _EPSILON),
                )
            )
    return found


def _columns(
    section: TomlSection, parties: tuple[PartySpec, ...], entity: str
) -> dict[str, tuple[str, ...]]:
    """The columns by party: those named, or all of the parties' features."""
    names = [party.name for party in parties]
    if not section.has("columns"):
        return {party.name: party.features for party in parties}
    wanted = section.texts("columns")
    for name in names:
        wanted = with_views(section, wanted, entity, f"{name}.")
    found: dict[str, list[str]] = {name: [] for name in names}
    for text in wanted:
        name, _, column = text.partition(".")
        if name not in found or not column:
            close = get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else ""
            raise section.fail("columns", text, '"PARTY.COLUMN"', hint)
        if column in found[name]:
            raise section.fail("columns", text, "each column once")
        found[name].append(column)
    for name, columns in found.items():
        if len(columns) > MOST_BINNED:
            raise section.fail("columns", len(columns), f"at most {MOST_BINNED} of {name}")
    return {name: tuple(columns) for name, columns in found.items()}
