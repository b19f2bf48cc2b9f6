"""Numbers for a monitor, of a node or a hub, and what of them is wrong.

Numbers count jobs and bytes; none is about a person, a table or a result.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["DAYS", "LEAST_DISK", "Health", "Measure", "disk_measure", "ends_in", "text_format"]

DAYS = 30.0
"""Days of a certificate below which it is to be renewed."""

LEAST_DISK = 2 << 30


@dataclass(frozen=True)
class Measure:
    """One number: its name without prefix, what it is, and labels."""

    name: str
    what: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Health:
    """Numbers, and sentences on what is wrong; well if there is none."""

    measures: tuple[Measure, ...]
    problems: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """For programs."""
        numbers: dict[str, Any] = {}
        for one in self.measures:
            if not one.labels:
                numbers[one.name] = one.value
                continue
            (label,) = one.labels.values()
            numbers.setdefault(one.name, {})[label] = one.value
        return {"well": not self.problems, "problems": list(self.problems), **numbers}


def ends_in(days: float) -> str:
    """What a certificate does in so many days, or did before."""
    return f"ends in {days:.0f} days" if days > 0 else f"has ended {-days:.0f} days ago"


def disk_measure(path: Path) -> Measure:
    """What is free where a folder is."""
    return Measure("disk_free_bytes", "free on the folder's disk", shutil.disk_usage(path).free)


def text_format(health: Health, prefix: str) -> str:
    """The text that Prometheus reads (exposition format 0.0.4): gauges, and one that says all."""
    lines, told = [], set()
    well = Measure("well", "1 where nothing is wrong", float(not health.problems))
    for one in (well, *health.measures):
        name = f"{prefix}_{one.name}"
        if name not in told:
            told.add(name)
            lines += [f"# HELP {name} {one.what}", f"# TYPE {name} gauge"]
        labels = ",".join(f'{key}="{value}"' for key, value in one.labels.items())
        lines.append(f"{name}{'{' + labels + '}' if labels else ''} {one.value:.15g}")
    return "\n".join(lines) + "\n"
