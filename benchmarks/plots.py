"""Races of set intersection as drawings: time against size, and time against bandwidth.

The color says on what a subject rests, solid or dashed whether it is ours. Time over a network is
computed from what was measured over loopback; where a race was run over a network of a rate, what
it took is drawn over the line as a diamond.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.networks import LOOPBACK, rate_of, told_rate
from benchmarks.rows import Row
from benchmarks.svg import Line, chart
from federated.store.files import write_atomic
from psi.protocol import InputError

__all__ = ["plot_bandwidth", "plot_sizes", "races", "seconds_over"]

BANDWIDTHS = tuple(10.0 ** (7 + step / 8) for step in range(25))
"""Bits a second: 10 Mb/s to 10 Gb/s."""
# Okabe and Ito's palette, told apart by color-blind readers too
_COLORS = (
    ("vole-malicious", "#d55e00"), ("rr22-malicious", "#d55e00"),
    ("vole", "#0072b2"), ("rr22", "#0072b2"), ("csv", "#0072b2"),
    ("kkrt", "#cc79a7"), ("ecdh", "#009e73"), ("ub", "#009e73"), ("openmined", "#8a6d00"),
)  # fmt: skip
_OTHER = "#5c5c5c"
_EXPONENTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def seconds_over(row: Row, bandwidth: float) -> float:
    """Time over a network of so many bits a second, computed: the measured time over loopback,
    and all bytes one after the other, as if nothing overlapped and no round took longer."""
    wall, sent = float(row.metrics["wall_s"]), float(row.metrics["wire_bytes"])
    return wall + 8 * sent / bandwidth


def races(rows: Sequence[Row], network: str = "") -> list[Row]:
    """Races that ended: balanced ones, from memory, over loopback or (`""`) over any network."""
    return [
        row
        for row in rows
        if row.suite == "psi"
        and not row.error
        and row.case["size_a"] == row.case["size_b"]
        and row.case.get("source", "memory") == "memory"
        and network in ("", row.network)
    ]


def plot_sizes(rows: Sequence[Row], path: Path) -> None:
    """Time against the items of each side, one line a subject. Raises `InputError` on no rows."""
    found = _some(races(rows, LOOPBACK), path)
    lines = [
        Line(
            subject,
            sorted(
                (float(row.case["size_b"]), float(row.metrics["wall_s"]))
                for row in found
                if row.subject == subject
            ),
            _color(subject),
            subject.startswith("ours"),
        )
        for subject in dict.fromkeys(row.subject for row in found)
    ]
    drawn = chart(
        lines,
        title="Private set intersection of two sets of one size",
        subtitle="time by the clock, two processes over loopback, ids in memory; "
        + found[0].machine,
        across="items of each side",
        tell_across=_power,
        tell_up=_seconds,
    )
    write_atomic(path, drawn)


def plot_bandwidth(rows: Sequence[Row], path: Path, size: int = 0) -> None:
    """Time against bandwidth for sets of a size: by default the one raced over networks, else
    the largest that most subjects were raced on. Raises `InputError` on no rows."""
    all_races = races(rows)
    size = size or _usual_size(all_races)
    found = _some([row for row in races(rows, LOOPBACK) if row.case["size_b"] == size], path)
    lines = []
    for row in found:
        marks = [
            (float(rate_of(other.network)), float(other.metrics["wall_s"]))
            for other in all_races
            if (other.subject, other.case) == (row.subject, row.case) and other.network != LOOPBACK
        ]
        points = [(bandwidth, seconds_over(row, bandwidth)) for bandwidth in BANDWIDTHS]
        ours = row.subject.startswith("ours")
        lines.append(Line(row.subject, points, _color(row.subject), ours, marks, dots=False))
    measured = any(line.marks for line in lines)
    drawn = chart(
        lines,
        title=f"Private set intersection of {_power(size)} × {_power(size)} over a network",
        subtitle="time computed from time and bytes over loopback"
        + ("; ◆ measured over a cable of that rate" if measured else ""),
        across="bandwidth",
        tell_across=told_rate,
        tell_up=_seconds,
    )
    write_atomic(path, drawn)


def _some(rows: list[Row], path: Path) -> list[Row]:
    if not rows:
        raise InputError(f"no races over loopback to draw for {path}")
    return rows


def _usual_size(found: Sequence[Row]) -> int:
    shaped = [row.case["size_b"] for row in found if row.network != LOOPBACK]
    counts = {
        size: len({row.subject for row in found if row.case["size_b"] == size})
        for size in (shaped or [row.case["size_b"] for row in found])
    }
    return max(counts, key=lambda size: (counts[size], size), default=0)


def _color(subject: str) -> str:
    return next((color for end, color in _COLORS if subject.endswith(end)), _OTHER)


def _power(value: float) -> str:
    """10⁶, or 3·10⁵."""
    text = f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    digit, _, exponent = text.partition("e")
    power = "10" + exponent.translate(_EXPONENTS)
    return power if digit == "1" else f"{digit}·{power}"


def _seconds(value: float) -> str:
    return f"{value:g} s"
