"""What a run, and all before it, told its receiver of partners' rows: for metrics and report.

What a row holds is known where the partner's table is in this process; elsewhere the partner's own
node knows it.
"""

from __future__ import annotations

from typing import Any

from federated.contract.release import Release, planned
from federated.contract.terms import Contract
from federated.releases.holdings import Holdings
from federated.releases.label_bits import LabelBits
from federated.releases.row_bits import RowBits, row_bits
from profiles.federation import Federation
from profiles.report.data import Leakage

__all__ = ["leakage", "leakage_metrics"]


def leakage(federation: Federation) -> tuple[Leakage, ...]:
    """By partner, in the contract's order; a partner of whose columns nothing was told has none."""
    contract, found = federation.contract, []
    for name in contract.partners():
        told = [release for release in planned(contract, name) if release.columns]
        labels = tuple(one for one in federation.outcome.labels if one.partner == name)
        if told or labels:
            columns = list(dict.fromkeys(c for release in told for c in release.columns))
            each = [[r for r in told if column in r.columns] for column in columns]
            found.append(
                Leakage(
                    name,
                    _row(federation, contract, name),
                    max((len(releases) for releases in each), default=0),
                    max(map(_edges, each, columns), default=0),
                    max((sum(r.epsilon for r in releases) for releases in each), default=0.0),
                    labels,
                )
            )
    return tuple(found)


def _row(federation: Federation, contract: Contract, name: str) -> RowBits | None:
    before = federation.outcome.before
    told = None if before is None else before.get(name)
    row = row_bits(contract, name, told=told)
    if row is None or name not in federation.tables:
        return row
    held = Holdings(federation.tables[name], contract.party(name))(row.columns)
    return row_bits(contract, name, told=told, held=held)


def _edges(releases: list[Release], column: str) -> int:
    return len(set().union(*(release.edges(column) for release in releases)))


def leakage_metrics(found: tuple[Leakage, ...]) -> dict[str, Any]:
    """The same for `metrics.json`: null where it is not known here."""
    return {entry.partner: _metrics(entry) for entry in found}


def _label(one: LabelBits) -> dict[str, Any]:
    return {
        "bits_of_a_label": round(one.asked, 2),
        "bits_of_a_label_before": None if one.told is None else round(one.told, 2),
        "bits_of_a_label_allowed": one.allowed,
    }


def _metrics(entry: Leakage) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "releases_of_a_column": entry.releases,
        "thresholds_of_a_column": entry.thresholds,
        "epsilon_of_a_column": round(entry.epsilon, 6),
        "labels": {one.column: _label(one) for one in entry.labels},
    }
    row = entry.row
    if row is None:
        return counts | {"bits_of_a_row": 0.0}
    return counts | {
        "columns": len(row.columns),
        "bits_of_a_row": round(row.asked, 2),
        "bits_of_a_row_before": None if row.told is None else round(row.told, 2),
        "bits_a_row_holds": None if row.held is None else round(row.held, 2),
        "insider_decodes": None if row.share is None else round(row.share, 4),
    }
