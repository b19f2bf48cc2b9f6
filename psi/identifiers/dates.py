"""Row kernels for calendar dates, year first, alone or behind a name; read from the end.

The grammar, of text that `psi.identifiers.folding` or its like has made plain:

    date = (yyyymmdd | yyyy [ ] mark [ ] m[m] [ ] mark [ ] d[d] [[ ] 日]) [midnight]
    mark = - / . and behind the year 年, behind the month 月
    midnight = (space | t)... 0[0]:00[:00[.0...]]

It has three runs of digits at known places or one of eight, so reading backwards there is one way
at most. Kernels have the shape that `psi.identifiers.codes` describes, behind one argument more.
"""

from __future__ import annotations

import numpy as np

from psi.identifiers.codes import EMPTY, KEPT, NULL, WRONG_DATE, WRONG_FORMAT
from psi.kernels.cache import kernel

__all__ = ["BEHIND", "FRONT", "WHOLE", "dated"]

WHOLE, BEHIND, FRONT = 0, 1, 2
"""The date that a row is; the one behind a name; the name in front of it."""

_YEAR, _MONTH, _DAY = 0x5E74, 0x6708, 0x65E5  # 年 月 日
_MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
_SPACE, _ZERO, _NINE, _COLON, _DOT, _T, _CLOSE = 32, 48, 57, 58, 46, 116, 41


@kernel
def _sign(data, low, at, point):  # type: ignore[no-untyped-def]
    """Whether the three bytes before `at` are this character of the Basic Multilingual Plane."""
    return (
        at - low >= 3
        and data[at - 3] == 0xE0 | point >> 12
        and data[at - 2] == 0x80 | point >> 6 & 0x3F
        and data[at - 1] == 0x80 | point & 0x3F
    )


@kernel
def _digits(data, low, at, most):  # type: ignore[no-untyped-def]
    """How many digits, up to `most`, stand before `at`."""
    count = 0
    while count < most and at > low and _ZERO <= data[at - 1] <= _NINE:
        count += 1
        at -= 1
    return count


@kernel
def _value(data, start, stop):  # type: ignore[no-untyped-def]
    number = 0
    for i in range(start, stop):
        number = 10 * number + data[i] - _ZERO
    return number


@kernel
def _sixty(data, low, at):  # type: ignore[no-untyped-def]
    """Whether `:00` stands before `at`."""
    zeros = at - low >= 3 and data[at - 1] == _ZERO and data[at - 2] == _ZERO
    return zeros and data[at - 3] == _COLON


@kernel
def _midnight(data, low, high):  # type: ignore[no-untyped-def]
    """Where a time of midnight begins, with the space before it; `high` if there is none."""
    at, whole = high, False
    while at > low and data[at - 1] == _ZERO:
        at -= 1
    if at < high and at > low and data[at - 1] == _DOT:
        at, whole = at - 1, True
    else:
        at = high
    if not _sixty(data, low, at):
        return high
    at -= 3
    if _sixty(data, low, at):
        at -= 3
    elif whole:
        return high
    hours = 0
    while hours < 2 and at > low and data[at - 1] == _ZERO:
        at, hours = at - 1, hours + 1
    end = at
    while at > low and (data[at - 1] == _SPACE or data[at - 1] == _T):
        at -= 1
    return at if hours > 0 and at < end else high


@kernel
def _marked(data, low, at, sign):  # type: ignore[no-untyped-def]
    """Where a mark with a space on either side begins; -1 if there is none."""
    if at > low and data[at - 1] == _SPACE:
        at -= 1
    if at > low and (data[at - 1] == 45 or data[at - 1] == 46 or data[at - 1] == 47):  # - . /
        at -= 1
    elif _sign(data, low, at, sign):
        at -= 3
    else:
        return -1
    return at - 1 if at > low and data[at - 1] == _SPACE else at


@kernel
def _parse(data, low, high):  # type: ignore[no-untyped-def]
    """(where the date that ends at `high` begins, yyyymmdd); (-1, 0) if none does."""
    at = _midnight(data, low, high)
    count = _digits(data, low, at, 9)
    if count == 8:
        return at - 8, _value(data, at - 8, at)
    if _sign(data, low, at, _DAY):
        at -= 3
        if at > low and data[at - 1] == _SPACE:
            at -= 1
        count = _digits(data, low, at, 3)
    if count < 1 or count > 2:
        return -1, 0
    day, at = _value(data, at - count, at), _marked(data, low, at - count, _MONTH)
    count = _digits(data, low, at, 2)
    if count < 1:
        return -1, 0
    month, at = _value(data, at - count, at), _marked(data, low, at - count, _YEAR)
    if _digits(data, low, at, 4) < 4:
        return -1, 0
    return at - 4, _value(data, at - 4, at) * 10000 + month * 100 + day


@kernel
def _calendar(packed):  # type: ignore[no-untyped-def]
    """Whether yyyymmdd is a day of the years 1800 to 2099."""
    year, month, day = packed // 10000, packed // 100 % 100, packed % 100
    if year < 1800 or year > 2099 or month < 1 or month > 12 or day < 1:
        return False
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= _MONTH_DAYS[month] + leap


@kernel
def dated(wanted, data, offsets, valid, out, ends, state):  # type: ignore[no-untyped-def]
    """yyyymmdd of each row, or the name before it."""
    used = 0
    for row in range(valid.size):
        code = NULL
        if valid[row]:
            low, high = offsets[row], offsets[row + 1]
            code = EMPTY if low == high else WRONG_FORMAT
            if wanted != WHOLE:
                while high > low and (data[high - 1] == _SPACE or data[high - 1] == _CLOSE):
                    high -= 1
            start, packed = _parse(data, low, high)
            alone = start == low
            if wanted != WHOLE:
                alone = start > low and not _ZERO <= data[start - 1] <= _NINE
            if start >= 0 and alone:
                code = KEPT if _calendar(packed) else WRONG_DATE
            if code == KEPT and wanted == FRONT:
                for i in range(low, start):
                    out[used] = data[i]
                    used += 1
            elif code == KEPT:
                for place in range(7, -1, -1):
                    out[used + place] = _ZERO + packed % 10
                    packed //= 10
                used += 8
        state[row] = code
        ends[row] = used
    return used
