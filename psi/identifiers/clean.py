"""Clean a column of identifiers: one spelling for each, null for what cannot be one.

`clean(clean(x).values) == clean(x)`, and no error, log line or `repr` holds a value. The
coded kinds, and plain text, run as numba kernels over Arrow buffers, in threads and with no Python
loop over rows; only distinct values of other characters pay for Unicode normalisation. Rarer kinds
(`rarer`) are checked by python-stdnum and phonenumbers, over distinct values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.identifiers import codes, phones, rarer, text
from psi.identifiers.columns import as_text, fold_wide
from psi.identifiers.rows import Kernel, run_rows
from psi.protocol.errors import MisuseError

__all__ = ["KINDS", "Cleaned", "check_kind", "clean"]

_KERNELS: dict[str, Kernel] = {
    "identity_number": codes.identity_number,
    "credit_code": codes.credit_code,
    "lei": codes.lei,
    "phone": phones.phone,
    "number": codes.number,
}
_EXPRESSIONS: dict[str, Callable[[pa.Array], text.Parsed]] = {
    "email": text.email,
    "name": text.name,
    "name_birth_date": text.name_birth_date,
    "date": text.date,
    "text": text.free_text,
}

KINDS: tuple[str, ...] = (*_KERNELS, *_EXPRESSIONS)
"""The kinds that `clean` knows by itself; `stdnum:MODULE` and `phone:REGION` come on top."""


@dataclass(frozen=True)
class Cleaned:
    """A cleaned column.

    `values` is a large_string array of the input's length, null where unusable; `kind` what it was
    cleaned as; `reasons` counts the unusable rows by reason; `changed` counts usable rows whose
    spelling changed.
    """

    values: pa.Array = field(repr=False)
    kind: str
    reasons: Mapping[str, int]
    changed: int

    @property
    def rows(self) -> int:
        """Rows in all."""
        return len(self.values)

    @property
    def usable(self) -> int:
        """Rows that have a clean identifier."""
        return len(self.values) - int(self.values.null_count)

    @property
    def invalid(self) -> int:
        """Rows that held something, but no identifier of this kind."""
        return self.rows - self.usable - sum(self.reasons.get(r, 0) for r in ("null", "empty"))


def check_kind(kind: str) -> None:
    """Raise what `clean` raises of a kind: `MisuseError`, or `EnvironmentFailed` for a package."""
    _rare(kind)


def _rare(kind: str) -> rarer.Check | None:
    """The function of a rarer kind; None for one of `KINDS`."""
    if kind in KINDS:
        return None
    if str(kind).startswith(rarer.PREFIXES):
        return rarer.checker(kind)
    words = [one for one in KINDS if one in str(kind).lower().split("_")]
    near = words or get_close_matches(str(kind), KINDS, n=1)
    raise MisuseError(
        f"found identifier kind {kind!r}, allowed: {', '.join(KINDS)}, stdnum:MODULE, phone:REGION",
        hint=f"did you mean {near[0]}?" if near else "",
    )


def clean(
    column: pa.Array | pa.ChunkedArray | Sequence[Any],
    kind: str,
    *,
    threads: int = 0,
    progress: rarer.Progress | None = None,
) -> Cleaned:
    """Normalise and check a column of identifiers of one kind.

    Args:
        column: text, whole numbers, dates, or a dictionary of text: an Arrow array, a Series or
            a list.
        kind: one of `KINDS`, `stdnum:MODULE` or `phone:REGION`.
        threads: for the coded kinds; 0 takes what all kernels take.
        progress: of the rarer kinds, told the share that is done.

    Raises:
        MisuseError: unknown kind.
        InputError: a column type that holds no identifiers, or text that is not valid UTF-8.
        EnvironmentFailed: a package that the kind needs is not installed.

    >>> cleaned = clean(pa.array(["O'Brien,  ANN", ""]), "name")
    >>> cleaned.values.to_pylist(), cleaned.reasons
    (['obrien ann', None], {'empty': 1})
    """
    rare = _rare(kind)
    given, inexact = as_text(column)
    if kind in _KERNELS:
        folded, wide = fold_wide(given, crosses=kind == "identity_number")
        values, state = run_rows(_KERNELS[kind], folded, threads)
        if wide is not None:
            state[wide & (state == codes.KEPT)] = codes.CHANGED
    elif rare is not None:
        values, state = _express(lambda rows: rarer.over_distinct(rare, rows, progress), given)
    else:
        values, state = _express(_EXPRESSIONS[kind], given)
    counts = np.bincount(state, minlength=max(codes.REASONS) + 1)
    counts[codes.NULL] -= inexact
    counts[codes.INEXACT] += inexact
    reasons = {reason: int(counts[code]) for code, reason in codes.REASONS.items() if counts[code]}
    return Cleaned(values, kind, reasons, int(counts[codes.CHANGED]))


def _express(
    function: Callable[[pa.Array], text.Parsed], given: pa.Array
) -> tuple[pa.Array, np.ndarray[Any, np.dtype[np.uint8]]]:
    """Run an Arrow expression; give its states the shape that the kernels' have."""
    values, failed = function(given)
    state = np.where(failed == 0, codes.WRONG_FORMAT, failed).astype(np.uint8)
    usable = pc.is_valid(values).to_numpy(zero_copy_only=False)
    same = pc.fill_null(pc.equal(values, given), False).to_numpy(zero_copy_only=False)
    state[usable] = np.where(same[usable], codes.KEPT, codes.CHANGED)
    state[pc.is_null(given).to_numpy(zero_copy_only=False)] = codes.NULL
    return values, state
