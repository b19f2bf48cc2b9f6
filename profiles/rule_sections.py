"""Reads `[[segment]]` and `[[stage]]` of a job file: groups by rules.

    [[segment]]                             # in order: the first whose conditions all hold
    name = "young savers"
    where = [{ column = "age", below = 30 }, { column = "deposit", above = 10000 }]

    [[stage]]
    name = "leaving"
    where = [{ column = "assets_change_90d", below = -0.3 }]

    [[stage]]
    name = "settled"                        # without conditions: everybody who is left

Conditions are those of `[[exclude]]`, on columns of the receiver's own table. A segment's number is
its place in the file; who fulfils no rule is in the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federated.toml_sections import TomlSection
from profiles.exclusion.rule import ExcludeSpec, read_condition

__all__ = ["NO_RULE", "RuleSpec", "read_rules"]

NO_RULE = "no rule"
"""The description of the segment of those who fulfil none."""
_MOST = 30


@dataclass(frozen=True)
class RuleSpec:
    """One `[[segment]]` or `[[stage]]`: all conditions of `where` hold; none: whoever is left."""

    name: str
    where: tuple[ExcludeSpec, ...] = ()


def read_rules(sections: Sequence[TomlSection], key: str) -> tuple[RuleSpec, ...]:
    """The sections `[[key]]`; raises `JobError` naming the key."""
    found = list[RuleSpec]()
    if len(sections) > _MOST:
        raise sections[0].fail("name", f"{len(sections)} sections", f"{_MOST} at most")
    for section in sections:
        name = section.text("name")
        inner = section.tables("where")
        where = tuple(read_condition(one, name, f"[[{key}]]") for one in inner)
        section.done()
        if name in (one.name for one in found) or name == NO_RULE:
            raise section.fail("name", name, f"another name than other rules, and than {NO_RULE!r}")
        if found and not found[-1].where:
            raise section.fail(
                "name", name, f"no rule after {found[-1].name!r}, which has no where"
            )
        found.append(RuleSpec(name, where))
    return tuple(found)
