"""The flow map as a picture: where money comes from on the left, where it goes on the right.

SVG that needs no script: bars are places, ribbons the sums between them, all on one scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from markupsafe import Markup, escape

__all__ = ["sankey"]

_WIDTH, _HEIGHT, _BAR, _GAP, _TEXT = 960.0, 460.0, 14.0, 14.0, 190.0
Sums = Mapping[tuple[str, str], int]


def sankey(
    sums: Sums, title: str, named: Callable[[str], str], told: Callable[[int], str]
) -> Markup:
    """The picture as SVG; empty where nothing flowed.

    Args:
        sums: minor units by source and target.
        title: what the picture is of, for who does not see it.
        named: what a place is called.
        told: an amount in words.
    """
    sums = {pair: minor for pair, minor in sums.items() if minor > 0}
    if not sums:
        return Markup("")
    # a place stands on the left as a source, on the right as a target: no circle
    ends = [_sizes(sums, 0), _sizes(sums, 1)]
    room = _HEIGHT - _GAP * (max(len(end) for end in ends) - 1)
    scale = room / sum(sums.values())
    tops = [_tops(end, scale) for end in ends]
    parts = [_ribbons(sums, [dict(top) for top in tops], scale, named, told)]
    for side, (end, top) in enumerate(zip(ends, tops, strict=True)):
        bar, text = _places(side)
        anchor = "start" if side else "end"
        for place, minor in end.items():
            height = max(minor * scale, 1.0)
            parts.append(
                f'<rect class="place" x="{bar:.0f}" y="{top[place]:.1f}" width="{_BAR:.0f}" '
                f'height="{height:.1f}"/>'
                f'<text x="{text:.0f}" y="{top[place] + height / 2 + 4:.1f}" '
                f'text-anchor="{anchor}">{escape(named(place))}</text>'
            )
    size = f"0 0 {_WIDTH:.0f} {_HEIGHT + 8:.0f}"
    head = f'<svg viewBox="{size}" role="img" aria-label="{escape(title)}">'
    return Markup(f"{head}{''.join(parts)}</svg>")  # noqa: S704 texts are escaped


def _sizes(sums: Sums, side: int) -> dict[str, int]:
    """Each place's sum, the largest first."""
    found: dict[str, int] = {}
    for pair, minor in sums.items():
        found[pair[side]] = found.get(pair[side], 0) + minor
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def _tops(sizes: Mapping[str, int], scale: float) -> dict[str, float]:
    top, found = 2.0, {}
    for place, minor in sizes.items():
        found[place] = top
        top += max(minor * scale, 1.0) + _GAP
    return found


def _places(side: int) -> tuple[float, float]:
    """Where a side's bars and texts stand."""
    if side == 0:
        return _TEXT, _TEXT - 8
    return _WIDTH - _TEXT - _BAR, _WIDTH - _TEXT + 8


def _ribbons(
    sums: Sums,
    tops: list[dict[str, float]],
    scale: float,
    named: Callable[[str], str],
    told: Callable[[int], str],
) -> str:
    left, right = _TEXT + _BAR, _WIDTH - _TEXT - _BAR
    middle = (left + right) / 2
    order = [list(top) for top in tops]
    found = []
    for pair in sorted(sums, key=lambda p: (order[0].index(p[0]), order[1].index(p[1]))):
        thick = max(sums[pair] * scale, 0.5)
        starts = [tops[side][place] + thick / 2 for side, place in enumerate(pair)]
        for side, place in enumerate(pair):
            tops[side][place] += sums[pair] * scale
        title = f"{named(pair[0])} → {named(pair[1])}: {told(sums[pair])}"
        found.append(
            f'<path class="from-{escape(pair[0])}" stroke-width="{thick:.2f}" '
            f'd="M{left:.0f} {starts[0]:.1f}C{middle:.0f} {starts[0]:.1f} '
            f'{middle:.0f} {starts[1]:.1f} {right:.0f} {starts[1]:.1f}">'
            f"<title>{escape(title)}</title></path>"
        )
    return "".join(found)
