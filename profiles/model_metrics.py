"""A trained task's measures as `metrics.json` has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from profiles.numbers_outputs import numbers_metrics
from profiles.report.measured import Model

__all__ = ["model_metrics", "rounded"]


def model_metrics(model: Model) -> dict[str, Any]:
    """Rows, gain and each score's measures, out of time too."""
    found = {
        "rows": model.rows,
        "positives": model.positives,
        "gain": _interval(model.gain),
        "gain_rows": _interval(model.gain_rows),
        "warnings": list(model.warnings),
        "dropped": list(model.dropped),
        "scores": {
            s.name: {
                "auc": rounded(s.auc),
                "ks": rounded(s.ks),
                "mean_auc": rounded(s.mean_auc),
                "interval": _interval(s.interval),
                "fold_aucs": [rounded(a) for a in s.fold_aucs],
            }
            for s in model.scores
        },
        "out_of_time": _out_of_time(model),
    }
    if model.numbers:
        found["numbers"] = numbers_metrics(model.numbers)
    return found


def rounded(value: float | None) -> float | None:
    """To four digits; None for what is no number."""
    return None if value is None or not np.isfinite(value) else round(float(value), 4)


def _out_of_time(model: Model) -> dict[str, Any] | None:
    """How both models did in the validation period; None where the job names none."""
    found = model.out_of_time
    if found is None:
        return None
    return {
        "time": found.column,
        "validate_from": found.day,
        "rows": found.rows,
        "positives": found.positives,
        "scores": {s.name: {"auc": rounded(s.auc), "ks": rounded(s.ks)} for s in found.scores},
        **({"numbers": numbers_metrics(found.numbers)} if found.numbers else {}),
    }


def _interval(found: Any) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {name: rounded(getattr(found, name)) for name in ("mean", "low", "high")}
