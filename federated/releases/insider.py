"""What an insider decodes of rows of which so many bits were told: figures that were measured.

The insider knows which rows the table has and how often each occurs, and some in full, so that it
has the directions of the score vectors; of a row it takes the likeliest. Measured on the ten
partner columns of credit_default (14.3 bits a row, 30,000 rows) with vectors in random directions,
which tell as much as so many bits can: one to six vectors at `score_bits` of 1 to 5, the worst of
three draws. The vectors of one training point nearly the same way and give less: two vectors of
4 bits, 8.0 in all, gave 0.9% of whole rows in a simulation where random directions give 7.5%.
Other tables differ, so it is a guide and no bound. `tests/attacks/test_insider.py` measures it
again.
"""

from __future__ import annotations

from bisect import bisect_left

__all__ = ["MEASURED", "insider_share"]

MEASURED = (
    (0.0, 0.001),
    (0.08, 0.002),
    (0.14, 0.005),
    (0.21, 0.006),
    (0.28, 0.010),
    (0.42, 0.028),
    (0.56, 0.075),
    (0.63, 0.094),
    (0.84, 0.30),
    (1.12, 0.55),
    (1.40, 0.80),
    (1.75, 0.94),
    (2.10, 1.0),
)
"""(bits told, as a share of those that a row holds; share of whole rows decoded)."""


def insider_share(told: float, held: float) -> float:
    """The share of whole rows that an insider decodes after `told` bits of rows that hold `held`.

    Between the figures in a straight line; a row that holds nothing is known.
    """
    if held <= 0:
        return 1.0
    ratio = max(0.0, told / held)
    place = bisect_left([at for at, _ in MEASURED], ratio)
    if place == len(MEASURED):
        return 1.0
    (low, before), (high, after) = MEASURED[max(0, place - 1)], MEASURED[place]
    return after if high <= low else before + (after - before) * (ratio - low) / (high - low)
