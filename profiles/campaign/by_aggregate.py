"""The effect of a campaign through a partner that holds the outcome.

The receiver's segment is the arm; the partner's mean and variance of the outcome by segment come
from one encrypted aggregate, as the run's `metrics.json` has them. The partner learns no arm, the
bank no outcome.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from profiles.campaign.uplift import Uplift, from_sums
from psi.protocol.errors import InputError

__all__ = ["uplift_by_aggregate"]


def uplift_by_aggregate(
    out: Path, outcomes: Sequence[str], *, arm: str = "arm", control: str = "control"
) -> Uplift:
    """The effects of each arm on these columns of a partner.

    Args:
        out: the folder of a run with `[[aggregate]] by = "RECEIVER.ARM"` and, of each outcome,
            `:mean` and `:variance`.
        outcomes: the partner's columns.
        arm: the receiver's column of arms.
        control: the arm of those held back.

    Raises:
        InputError: no such run, aggregate or statistic.
    """
    try:
        metrics = json.loads((out / "metrics.json").read_text("utf-8"))
        tables = [a["table"] for a in metrics["aggregates"] if a["by"] == arm]
    except OSError as error:
        raise InputError(f"{out}/metrics.json: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{out}/metrics.json: not the metrics of a run") from None
    for table in tables:
        if all(f"{o}:{s}" in table for o in outcomes for s in ("mean", "variance")):
            return _of(table, outcomes, control)
    there = sorted({name for table in tables for name in table if ":" in name})
    raise InputError(
        f"{out}: no aggregate by {arm!r} with mean and variance of {', '.join(outcomes)}; found "
        f"{', '.join(there) or 'none'}",
        hint=f'[[aggregate]] by = "RECEIVER.{arm}", measures = ["PARTNER.COLUMN:mean", '
        '"PARTNER.COLUMN:variance"]',
    )


def _of(table: dict[str, list[Any]], outcomes: Sequence[str], control: str) -> Uplift:
    return from_sums(
        table["group"],
        table["rows"],
        {o: tuple(table.get(f"{o}:{s}") for s in ("mean", "variance", "count")) for o in outcomes},
        control=control,
    )
