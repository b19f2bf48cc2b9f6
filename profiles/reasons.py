"""Why a score is what it is, in words: what each column contributes.

A contribution moves a score from that of the average entity, so an average entity has none; the
model says what it is. Of a partner the receiver knows one number a row: what all its columns
contribute together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.models import Part
from federated.tables.encoding import Encoder, NumberColumn
from federated.text import plain
from psi.protocol.errors import MisuseError

__all__ = [
    "column_words",
    "encoded_words",
    "phrase",
    "score_reasons",
    "true_zeros",
    "worded",
]

Floats = np.ndarray[Any, np.dtype[np.float64]]

# standard deviations from the mean at which a number is called something else
_LEVELS = (-1.5, -0.5, 0.0, 0.5, 1.5)
_NUMBER = ("very low", "low", "below average", "above average", "high", "very high")
_FALL, _RISE = ("falling fast", "falling", "falling slightly"), ("rising slightly", "rising")
_CHANGE = (*_FALL, *_RISE, "rising fast")
_CHANGE_WORDS = ("trend", "change", "slope", "growth", "delta", "momentum")
_SMALL = 0.005  # shown as 0.00, so not a reason
_SHARE = 0.1  # of the largest: what is less does not explain the score


def column_words(name: str) -> str:
    """A column's name as words: `overdue_12m` becomes "overdue 12m"."""
    return plain(name.replace("_", " "), 60) or "unnamed column"


def encoded_words(name: str) -> str:
    """An encoded column without a value: "channel is branch", "balance missing", "balance"."""
    encoded = "=" in name or name.rpartition(":")[2] in ("missing", "other")
    return phrase(name, 1.0) if encoded else column_words(name)


def true_zeros(encoder: Encoder) -> dict[str, float]:
    """The encoded value of 0 in each column of numbers: what "rising" and "falling" need."""
    numbers = (column for column in encoder.columns if isinstance(column, NumberColumn))
    return {column.name: -column.mean / column.scale for column in numbers}


def phrase(
    name: str,
    value: float,
    words: Mapping[str, str] | None = None,
    zero: float | None = None,
) -> str:
    """One encoded column at one value, in words.

    `name` is as `federated.tables.encoding` writes it: "balance" (a standardised number),
    "channel=branch", "balance:missing", "channel:other" (0 or 1). `words` says source columns
    otherwise than by their own names. `zero` is the encoded value of 0: with it, a column
    named as a change (trend, growth, …) rises or falls; without, it is high or low.
    """
    change = zero is not None and _is_change(name, words or {})
    level = np.searchsorted(_LEVELS, value - (zero or 0.0) * change)
    return _phrases(name, words or {}, change)[int(level)]


def score_reasons(
    matrix: Floats,
    names: Sequence[str],
    part: Part,
    partners: Mapping[str, Floats] | None = None,
    *,
    top: int = 3,
    words: Mapping[str, str] | None = None,
    zeros: Mapping[str, float] | None = None,
    average: Floats | None = None,
) -> pa.Array:
    """The largest contributions of each row, largest first: list<string>[rows].

    Args:
        matrix: float64[rows, d], the receiver's encoded columns.
        names: d names as the encoder writes them.
        part: the receiver's part of the model, of d columns.
        partners: name to float64[rows], from `Trained.partners`; each is one more reason.
            "bureau and registry" where only their sum is known.
        top: at most this many of the receiver's own columns.
        words: source column to what people call it.
        zeros: from `true_zeros`; a trend with values on both sides of 0 is then said to rise or
            fall. Where all of them have one sign, as a ratio has, it is above or below average.
        average: float64[d], the row that others are held against; None: these rows' mean.

    Each reads like "balance trend falling (+0.42)"; contributions that would show as 0.00, or
    are below a tenth of the row's largest, are left out. Ties go to the earlier column.

    Raises:
        MisuseError: shapes that do not fit.
    """
    matrix = np.asarray(matrix, np.float64)
    rows, width = matrix.shape
    if not len(names) == part.width == width:
        raise MisuseError(
            f"found {len(names)} names and a part of {part.width} for {width} columns"
        )
    others = {name: np.asarray(value, np.float64) for name, value in (partners or {}).items()}
    if any(value.shape != (rows,) for value in others.values()):
        raise MisuseError("a partner's contributions need one number a row")
    offset = matrix.mean(axis=0) if rows and average is None else np.zeros(width)
    if average is not None:
        offset = average
    kept, parts = _largest(matrix, offset, part, min(top, width))
    known = _inside(zeros or {}, names, matrix)
    change = [name in known and _is_change(name, words or {}) for name in names]
    shift = np.array([known[n] if c else 0.0 for n, c in zip(names, change, strict=True)])
    levels = np.searchsorted(_LEVELS, np.take_along_axis(matrix, kept, axis=1) - shift[kept])
    code = kept * len(_NUMBER) + levels
    pairs = zip(names, change, strict=True)
    texts = [text for name, moves in pairs for text in _phrases(name, words or {}, moves)]
    if others:
        first = len(texts)
        texts += [f"partner {plain(name, 60)}" for name in others]
        extra = np.arange(first, len(texts))
        code = np.hstack([code, np.broadcast_to(extra, (rows, len(extra)))])
        parts = np.hstack([parts, np.stack(list(others.values()), axis=1)])
    return worded(texts, code, parts)


def worded(texts: list[str], code: np.ndarray, parts: Floats) -> pa.Array:
    """Each row's contributions in words, the largest first: list<string>[rows].

    Args:
        texts: what contributions are called.
        code: int64[rows, k], which of the texts each is.
        parts: float64[rows, k], contributions.
    """
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")
    code, parts = np.take_along_axis(code, order, 1), np.take_along_axis(parts, order, 1)
    sizes = np.abs(parts)
    shown = sizes >= np.maximum(_SMALL, _SHARE * sizes[:, :1])
    flat = _joined(texts, code[shown], parts[shown])
    offsets = np.concatenate([[0], np.cumsum(shown.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def _inside(zeros: Mapping[str, float], names: Sequence[str], matrix: Floats) -> dict[str, float]:
    """The zeros that these rows lie on both sides of."""
    if not len(matrix):
        return {}
    values = {n: matrix[:, place] for place, n in enumerate(names) if n in zeros}
    return {n: zeros[n] for n, x in values.items() if x.min() < zeros[n] < x.max()}


def _largest(matrix: Floats, offset: Floats, part: Part, top: int) -> tuple[np.ndarray, Floats]:
    """Columns of the largest contributions and these, [rows, top]; in blocks, to save memory."""
    kept = np.empty((len(matrix), top), np.int64)
    parts = np.empty((len(matrix), top))
    block = max(1, 2**22 // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), block):
        stop = start + block
        found = part.contributions(matrix[start:stop], offset)
        order = np.argsort(-np.abs(found), axis=1, kind="stable")[:, :top]
        kept[start:stop] = order
        parts[start:stop] = np.take_along_axis(found, order, axis=1)
    return kept, parts


def _joined(texts: list[str], code: np.ndarray, parts: Floats) -> pa.Array:
    """Each text with its number: balance rising (+0.42)."""
    what = pa.array(texts, pa.string()).take(pa.array(code, pa.int64()))
    hundredths, place = np.unique(np.rint(parts * 100).astype(np.int64), return_inverse=True)
    numbers = pa.array([f"{value / 100:+.2f}" for value in hundredths.tolist()], pa.string())
    pieces = [" (", ")", ""]
    opening, closing, nothing = (pa.scalar(piece, pa.string()) for piece in pieces)
    number = pc.binary_join_element_wise(
        opening, numbers.take(pa.array(place.reshape(-1))), closing, nothing
    )
    return pc.binary_join_element_wise(what, number, nothing)


def _is_change(name: str, words: Mapping[str, str]) -> bool:
    said = words.get(name) or column_words(name)
    return any(word in said.lower() for word in _CHANGE_WORDS)


def _phrases(name: str, words: Mapping[str, str], change: bool) -> list[str]:
    """What a column is called at each level."""
    source, equals, category = name.partition("=")
    if equals and source:
        said = words.get(source) or column_words(source)
        return _binary(f"{said} is not {plain(category, 40)}", f"{said} is {plain(category, 40)}")
    source, colon, kind = name.rpartition(":")
    if colon and kind in ("missing", "other"):
        said = words.get(source) or column_words(source)
        if kind == "missing":
            return _binary(f"{said} known", f"{said} missing")
        return _binary(f"{said} is not a rare one", f"{said} is a rare one")
    said = words.get(name) or column_words(name)
    return [f"{said} {level}" for level in (_CHANGE if change else _NUMBER)]


def _binary(no: str, yes: str) -> list[str]:
    """An indicator is 0, which falls on the third level, or 1, on the fifth."""
    return [no, no, no, yes, yes, yes]
