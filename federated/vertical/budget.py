"""How many numbers a row the label party may learn, and the steps that fit below it."""

from __future__ import annotations

from dataclasses import dataclass

from psi.protocol import Refused

__all__ = ["Steps", "choose_steps", "score_vectors"]


@dataclass(frozen=True)
class Steps:
    """Newton steps over all rows, folds, Newton steps in each fold, and what they disclose."""

    steps: int
    folds: int
    fold_steps: int

    @property
    def score_vectors(self) -> int:
        """Numbers a row that the label party learns of the partners' score part."""
        return score_vectors(self.steps, self.folds, self.fold_steps)


def score_vectors(steps: int, folds: int, fold_steps: int) -> int:
    """One for each step over all rows; each fold discloses its training rows for all but its
    last step, and its held-out rows once."""
    return steps + ((folds - 1) * (fold_steps - 1) + 1 if folds else 0)


def choose_steps(
    rows: int, columns: int, folds: int, *, wanted: tuple[int | None, int | None] = (None, None)
) -> Steps:
    """Steps that disclose fewer numbers a row than the partners have `columns`.

    Two or three steps reach 1e-4 of the central solution where rows are plenty; few rows a
    column need more. `wanted` fixes either number. Raises `Refused` if nothing fits.
    """
    few = rows < 20 * columns
    steps = [wanted[0]] if wanted[0] else ([6, 5, 4, 3, 2, 1] if few else [3, 2, 1])
    inner = [wanted[1]] if wanted[1] else ([3, 2, 1] if few else [2, 1])
    pairs = [(s, f) for f in (inner if folds else [0]) for s in steps if s > 1 or wanted[0]]
    pairs += [(1, f) for f in inner[-1:] if not wanted[0]]
    for outer, each in pairs:
        found = Steps(outer, folds, each)
        if found.score_vectors < columns:
            return found
    least = min(score_vectors(s, folds, f) for s, f in pairs)
    raise Refused(
        f"training would disclose {least} numbers a row, but the partners have {columns} columns",
        hint="fewer folds or steps in [train], or more partner columns",
    )
