"""What a training asks of each party's rows, and the noise that goes with every answer.

An answer is a sum over rows, so it says most about a row where the question makes that row's part
of it large. Therefore every party bounds what one row can add, whatever the question, and adds
Gaussian noise in proportion. With parts of length at most A around a centre that the other rows
fix, and noise of sd s in each number, an answer tells at most A² / 2s² nats of a row, to one who
knows every other row and chooses each question by all answers before (the divergence of two
Gaussians; Bun and Steinke 2016). These add up over answers. A plan divides its `bits` among them
and takes s from that: nobody's question can change it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["BINS", "CLIP", "LEAST", "RADIUS", "Plan"]

BINS = 32
"""Of a histogram of held-out scores."""

CLIP = 6.0
"""Standard deviations beyond which a value counts as that far out, in training and in scores."""

RADIUS = 1.5
"""Times the root mean square length of a standardised row: longer ones are shortened to that."""

LEAST = 20
"""Rows of a party that an answer must rest on."""

SHARES = {
    "sums": 0.03, "spread": 0.03, "products": 0.14, "step": 0.35, "folds": 0.20, "scores": 0.25,
}  # fmt: skip
"""Of the bits, by what they are spent on; those of folds go to the steps where there are none."""


@dataclass(frozen=True)
class Plan:
    """Columns, folds (0: none), Newton steps, bits a row, parties.

    `bits` is what all answers of one party together tell of one of its rows, at most.

    Attributes:
        columns: how many there are.
    """

    columns: int
    folds: int = 5
    steps: int = 6
    bits: int = 1
    parties: int = 2

    @property
    def rounds(self) -> int:
        """Sums, spread, steps (the first with the products), and folds with their scores."""
        return 2 + self.steps + (2 if self.folds else 0)

    def stage(self, number: int) -> str:
        """What round `number` asks for."""
        if number < 3:
            return ("sums", "spread", "products")[number]
        if number < 2 + self.steps:
            return "step"
        return "folds" if number == 2 + self.steps else "scores"

    @property
    def width(self) -> int:
        """Columns and the intercept."""
        return self.columns + 1

    @property
    def products(self) -> int:
        """Products of two columns, each pair once."""
        return self.width * (self.width + 1) // 2

    @property
    def radius(self) -> float:
        """The longest a standardised row may be, its 1 for the intercept included."""
        return RADIUS * math.sqrt(self.width)

    def models(self, stage: str) -> int:
        """Models that a question of this stage brings."""
        return {"sums": 0, "spread": 0, "scores": self.folds}.get(stage, 1)

    def edges(self, stage: str) -> int:
        """Edges of bins that it brings."""
        return BINS - 1 if stage == "scores" else 0

    def size(self, stage: str) -> int:
        """Numbers that answer it."""
        return {
            "sums": 2 + 2 * self.columns,
            "spread": self.columns,
            "products": self.products + self.width,
            "step": self.width,
            "folds": self.folds * self.width,
            "scores": 2 * self.folds * BINS,
        }[stage]

    def nats(self, part: str) -> float:
        """What one answer tells of a row by this part, at most.

        A question for products brings a step's gradient, which is a part of its own.
        """
        share = SHARES[part]
        if part == "step":
            spare = 0.0 if self.folds else SHARES["folds"] + SHARES["scores"]
            share = (share + spare) / self.steps
        elif part in ("folds", "scores") and not self.folds:
            return 0.0
        return share * self.bits * math.log(2.0)

    def noise(self, part: str) -> float:
        """The noise's sd in every number of this part, as a multiple of a row's longest."""
        return 1.0 / math.sqrt(2.0 * self.nats(part))
