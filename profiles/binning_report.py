"""What the report and `metrics.json` say of columns in bins: what each is worth, by party."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from federated.binning import noise_scale, own_worth
from federated.binning.evidence import chance
from federated.contract.terms import BinningTerms
from federated.steps.binning import CLASS_ROWS
from federated.steps.outcome import Binned
from profiles.binning_section import BinningSpec
from profiles.federation import Federation
from profiles.job import Job
from profiles.report.grouped import CUT, Binning, Valued

__all__ = ["binning_metrics", "binnings"]

Asked = tuple[str, str, int, int, int, float]


def binnings(job: Job, federation: Federation) -> tuple[Binning, ...]:
    """A table for each label and way to cut: own columns and partners', most worth first."""
    found: dict[Asked, list[Binned]] = {}
    for one in federation.outcome.binned:
        found.setdefault(_asked(one.terms), []).append(one)
    return tuple(_of_label(job, federation, same, found) for same in found.values())


def _asked(terms: BinningTerms | BinningSpec) -> Asked:
    """The label, and how its section cuts and counts columns: the words of `CUT`."""
    cut = (terms.bins, terms.minimum_group, int(terms.monotone), terms.epsilon / 1000)
    return terms.label, terms.positive, *cut


def _apart(asked: Asked, every: Collection[Asked]) -> tuple[tuple[str, float], ...]:
    """How it cuts, as far as other sections of one label cut otherwise."""
    others = [other for other in every if other[:2] == asked[:2]]
    pairs = zip(CUT, asked[2:], zip(*(other[2:] for other in others), strict=True), strict=True)
    return tuple((name, value) for name, value, found in pairs if len(set(found)) > 1)


def _of_label(
    job: Job, federation: Federation, same: list[Binned], every: Collection[Asked]
) -> Binning:
    label, terms = same[0].label, same[0].terms
    lines = [*_own(job, federation, same[0]), *(line for one in same for line in _told(one))]
    lines.sort(key=lambda line: (-line.value, line.party, line.column))
    return Binning(
        label=terms.label,
        apart=_apart(_asked(terms), every),
        positives=int(np.count_nonzero(label == 1)),
        negatives=int(np.count_nonzero(label == 0)),
        epsilon=tuple((one.terms.partner, one.terms.epsilon / 1000) for one in same),
        columns=tuple(lines),
    )


def _told(one: Binned) -> Iterator[Valued]:
    scale = noise_scale(len(one.terms.columns), one.terms.epsilon)
    for told in one.told:
        yield Valued(
            party=one.terms.partner,
            column=told.column,
            value=told.value,
            step=told.step,
            chance=_chance(one.label, told.bins, scale),
            bins=told.bins,
            drift=told.drift,
        )


def _chance(label: np.ndarray, bins: int, scale: int) -> float:
    """What a column without any worth would come to, in bins of equal size."""
    if bins < 2:
        return 0.0
    each = [np.count_nonzero(label == 1) / bins, np.count_nonzero(label == 0) / bins]
    return chance(np.tile(each, (bins, 1)), scale)


def _own(job: Job, federation: Federation, one: Binned) -> Iterator[Valued]:
    """The receiver's own columns, over the same records."""
    asked = [b for b in job.binnings if _asked(b) == _asked(one.terms)]
    own = list(dict.fromkeys(column for b in asked for column in b.own))
    if not own:
        return
    where, rows = job.party(job.receiver).table, pa.array(federation.outcome.rows)
    table = federation.tables[job.receiver].load(where, own).take(rows)
    for column in own:
        worth = own_worth(
            table, column, one.label, most=one.terms.bins, group=one.terms.minimum_group,
            least=CLASS_ROWS, monotone=one.terms.monotone,
        )  # fmt: skip
        groups = len(worth.counts)
        yield Valued(
            party=job.receiver,
            column=column,
            value=worth.value,
            step=0.0,
            chance=_chance(one.label, groups, 0),
            bins=groups,
            drift=None,
        )


def binning_metrics(found: tuple[Binning, ...]) -> list[dict[str, Any]]:
    """The same as plain data: a partner's values carry noise, so they differ from run to run."""
    return [
        {
            "label": one.label,
            "apart": dict(one.apart),
            "positives": one.positives,
            "negatives": one.negatives,
            "columns": [
                {
                    "party": line.party,
                    "column": line.column,
                    "information_value": round(line.value, 4),
                    "rounded_to": line.step,
                    "by_chance": round(line.chance, 4),
                    "bins": line.bins,
                    "state": line.state,
                    "drift": line.drift,
                }
                for line in one.columns
            ],
        }
        for one in found
    ]
