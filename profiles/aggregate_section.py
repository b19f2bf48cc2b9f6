"""The `[[aggregate]]` sections of a job file."""

from __future__ import annotations

from dataclasses import dataclass

from federated.aggregate import Statistic
from federated.party.sections import Section
from psi.protocol import MisuseError

__all__ = ["AggregateSpec", "read_aggregates"]


@dataclass(frozen=True)
class AggregateSpec:
    """One `[[aggregate]]`, split by partner: the receiver's column, one partner's measures.

    A measure is a column and a statistic as `Statistic.text` spells it.
    """

    by: str
    partner: str
    measures: tuple[tuple[str, str], ...]
    minimum_group: int


def read_aggregates(section: Section, names: list[str], receiver: str) -> list[AggregateSpec]:
    """What one section asks of each partner; raises `JobError`."""
    by = section.text("by")
    party, _, column = by.partition(".")
    if party != receiver or not column:
        raise section.fail("by", by, f'"{receiver}.COLUMN"', "groups are the receiver's")
    by_partner: dict[str, dict[tuple[str, str], None]] = {}
    for measure in section.texts("measures"):
        source, _, statistic = measure.partition(":")
        partner, _, measured = source.partition(".")
        if partner not in names or partner == receiver or not measured:
            raise section.fail("measures", measure, '"PARTNER.COLUMN:mean"')
        try:
            asked = Statistic.parse(statistic or "mean")
        except MisuseError as error:
            allowed = error.message.removesuffix(" allowed")
            raise section.fail("measures", measure, allowed) from None
        by_partner.setdefault(partner, {})[measured, asked.text] = None
    group = section.integer("minimum_group", 20, 3, 10**6)
    section.done()
    return [AggregateSpec(column, p, tuple(ms), group) for p, ms in by_partner.items()]
