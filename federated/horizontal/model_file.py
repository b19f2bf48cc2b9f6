"""The common model of a horizontal training as a file: what every party of it knows anyway.

JSON, which nothing runs when read. No row is in it, and no number that a party had alone: it may
go from one party of the training to another as it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from federated.horizontal.logistic import HorizontalFit
from psi.protocol import InputError

__all__ = ["MODEL_FILE", "RowsModel", "read_rows_model"]

MODEL_FILE = "model.json"
"""What it is called in a party's job folder."""
FORMAT, VERSION = "fedprofile model of rows", 1
_MOST = 1 << 24
"""Bytes of a file that is read."""
_ARRAYS = ("coefficients", "mean", "scale")


@dataclass(frozen=True, kw_only=True)
class RowsModel:
    """`fit` with what it is of: `features` in its order, `contract` the digest of its training's,
    `made` in seconds since 1970, `parties` whose rows it was trained on."""

    task: str
    label: str
    positive: str
    features: tuple[str, ...]
    parties: tuple[str, ...]
    contract: str
    purpose: str
    made: int
    fit: HorizontalFit

    def text(self) -> str:
        """As the file has it."""
        fit = {name: getattr(self.fit, name).tolist() for name in _ARRAYS}
        fit |= {name: getattr(self.fit, name) for name in ("intercept", "rows", "positives")}
        fit["fold_aucs"] = [round(float(auc), 6) for auc in self.fit.fold_aucs]
        said = {"format": FORMAT, "version": VERSION, **asdict(self), "fit": fit}
        return json.dumps(said, indent=1, ensure_ascii=False) + "\n"


def read_rows_model(path: Path) -> RowsModel:
    """Read one; raises `InputError` where it is none, or not whole."""
    try:
        if path.stat().st_size > _MOST:
            raise InputError(f"{path}: too large for a model")
        said = json.loads(path.read_text("utf-8"))
        if said["format"] != FORMAT or said["version"] != VERSION:
            raise InputError(f"{path}: no {FORMAT} of version {VERSION}")
        fit, features = said["fit"], tuple(map(str, said["features"]))
        arrays = {name: _numbers(fit[name], len(features)) for name in _ARRAYS}
        if (arrays["scale"] <= 0).any():
            raise ValueError
        return RowsModel(
            features=features,
            parties=tuple(map(str, said["parties"])),
            made=int(said["made"]),
            fit=HorizontalFit(
                **arrays,
                intercept=float(_numbers([fit["intercept"]], 1)[0]),
                rows=int(fit["rows"]),
                positives=int(fit["positives"]),
                fold_aucs=np.array(fit["fold_aucs"], np.float64),
                log=np.zeros(0),
            ),
            **{k: str(said[k]) for k in ("task", "label", "positive", "contract", "purpose")},
        )
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, UnicodeError, RecursionError):
        raise InputError(
            f"{path}: no model of a horizontal training",
            hint="each party's job folder has one, model.json, when such a job has ended",
        ) from None


def _numbers(values: Any, many: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = np.array(values, np.float64)
    if found.shape != (many,) or not np.isfinite(found).all():
        raise ValueError
    return found
