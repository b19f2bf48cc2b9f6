"""What the report says of a scorecard."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Card", "CardLine"]


@dataclass(frozen=True, kw_only=True)
class CardLine:
    """Points of one `bin` (or several together) of a `column`, with its `rows` and `woe`."""

    column: str
    bin: str
    rows: int
    woe: float
    points: int


@dataclass(frozen=True, kw_only=True)
class Card:
    """A scorecard: `points` at `odds` to 1 for the class that is `high`, `double` more double them.

    The average record has `base`; `partners` give nine records in ten `low` to `most`.
    """

    base: int
    points: int
    odds: int
    double: int
    high: str
    partners: str
    low: int
    most: int
    lines: tuple[CardLine, ...]
