"""The `[[aggregate]]` sections of a job file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from federated.aggregate import OTHER, Amount, Statistic
from federated.contract.summed import AGGREGATE_PROTOCOLS
from federated.toml_sections import TomlSection
from psi.protocol import MisuseError

__all__ = [
    "AggregateSpec",
    "CategorySpec",
    "read_aggregates",
    "settled",
    "split_measure",
    "summed_by",
    "unknown_party",
]


@dataclass(frozen=True)
class AggregateSpec:
    """A partner's measures by the receiver's column: one `[[aggregate]]`, split by partner.

    A measure is a column and a statistic as `Statistic.text` spells it. `protocol` is "paillier" or
    "sums"; `open`: the job file says "auto".
    """

    by: str
    partner: str
    measures: tuple[tuple[str, str], ...]
    minimum_group: int
    protocol: str = "paillier"
    open: bool = False


@dataclass(frozen=True, kw_only=True)
class CategorySpec:
    """The receiver's amounts by a partner's category, and by `segment` if it is not empty.

    `epsilon` is in thousandths, 0 without noise.
    """

    partner: str
    category: str
    categories: tuple[str, ...]
    segment: str
    amounts: tuple[Amount, ...]
    epsilon: int
    minimum_group: int
    protocol: str = "paillier"
    open: bool = False


def split_measure(measure: str) -> tuple[str, str]:
    """`(PARTY.COLUMN, STATISTIC)`, split at the last colon: a column may have one in its name."""
    source, colon, statistic = measure.rpartition(":")
    return (source, statistic) if colon else (measure, "")


def unknown_party(name: str, names: list[str]) -> str:
    """A hint where the part before the dot is no party of the job."""
    return "" if name in names else f"no party {name!r}: there are {', '.join(names)}"


def read_aggregates(
    section: TomlSection, names: list[str], receiver: str
) -> list[AggregateSpec | CategorySpec]:
    """What one section asks of each partner; raises `JobError`."""
    found: dict[bool, tuple[str, str]] = {}
    by = section.one_or_more("by")
    for column in by:
        party, _, name = column.partition(".")
        mine = party == receiver
        if party not in names or not name or mine in found:
            allowed = f'"{receiver}.COLUMN", "PARTNER.COLUMN" or one of each'
            raise section.fail("by", ", ".join(by), allowed, unknown_party(party, names))
        found[mine] = (party, name)
    if False not in found:
        return list(_by_segment(section, found[True][1], names, receiver))
    segment = found.get(True, ("", ""))[1]
    return [_by_category(section, *found[False], segment, receiver)]


def _by_segment(
    section: TomlSection, column: str, names: list[str], receiver: str
) -> list[AggregateSpec]:
    by_partner: dict[str, dict[tuple[str, str], None]] = {}
    for measure in section.texts("measures"):
        source, statistic = split_measure(measure)
        partner, _, measured = source.partition(".")
        if partner not in names or partner == receiver or not measured:
            hint = unknown_party(partner, names)
            raise section.fail("measures", measure, '"PARTNER.COLUMN:mean"', hint)
        try:
            asked = Statistic.parse(statistic or "mean")
        except MisuseError as error:
            allowed = error.message.removesuffix(" allowed")
            raise section.fail("measures", measure, allowed) from None
        by_partner.setdefault(partner, {})[measured, asked.text] = None
    group = section.integer("minimum_group", 20, 3, 10**6)
    protocol, left_open = summed_by(section)
    section.done()
    return [
        AggregateSpec(column, p, tuple(ms), group, protocol, left_open)
        for p, ms in by_partner.items()
    ]


def _by_category(
    section: TomlSection, partner: str, category: str, segment: str, receiver: str
) -> CategorySpec:
    categories = section.texts("categories")
    if OTHER in categories or not 0 < len(categories) <= 1000:
        allowed = f"1 to 1000 names; {OTHER} is always there"
        raise section.fail("categories", list(categories), allowed)
    amounts = []
    for measure in section.texts("measures", []):
        source, text = split_measure(measure)
        party, _, column = source.partition(".")
        if party != receiver or not column:
            hint = "counts come in any case"
            raise section.fail("measures", measure, f'"{receiver}.COLUMN:sum[LOW,HIGH]"', hint)
        try:
            amounts.append(Amount.parse(column, text))
        except MisuseError as error:
            allowed = error.message.removesuffix(", allowed")
            raise section.fail("measures", measure, allowed) from None
    noise = section.text("noise", "laplace", ("laplace", "none"))
    if noise == "none" and segment:
        hint = "nobody sees the small cells of a two-way table"
        raise section.fail("noise", noise, "laplace with two columns", hint)
    epsilon = 0
    if noise == "laplace":
        epsilon = round(1000 * section.number("epsilon", 1.0, 0.01, 20.0))
    group = section.integer("minimum_group", 20, 3, 10**6)
    protocol, left_open = summed_by(section)
    section.done()
    return CategorySpec(
        partner=partner,
        category=category,
        categories=categories,
        segment=segment,
        amounts=tuple(amounts),
        epsilon=epsilon,
        minimum_group=group,
        protocol=protocol,
        open=left_open,
    )


def settled(asked: Sequence[AggregateSpec]) -> tuple[AggregateSpec, ...]:
    """The same with one way to add up for each partner, where the job file leaves it open.

    That which another section of the partner names.
    """
    named = {a.partner: a.protocol for a in asked if not a.open}
    return tuple(
        replace(a, protocol=named[a.partner], open=False) if a.open and a.partner in named else a
        for a in asked
    )


def summed_by(section: TomlSection) -> tuple[str, bool]:
    """What adds up, and whether the job file leaves it open: Paillier, or what policies list."""
    named = section.text("protocol", "auto", ("auto", *AGGREGATE_PROTOCOLS))
    return ("paillier", True) if named == "auto" else (named, False)
