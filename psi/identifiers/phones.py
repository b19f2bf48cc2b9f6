"""Row kernel for phone numbers, to E.164: mainland China by rule, others by country code.

A number without `+` or `00` is a mainland number. The kernel has the shape that
`psi.identifiers.codes` describes. Sources: ITU-T E.164 and its list of assigned country
codes; the numbering plan of mainland China (mobile 1[3-9] and nine digits, area codes 10,
2x and [3-9]xx, service numbers 400 and 800).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.identifiers.codes import (
    BAD_CHARACTER,
    CHANGED,
    EMPTY,
    KEPT,
    MASKED,
    NULL,
    UNKNOWN_PREFIX,
    WRONG_LENGTH,
)
from psi.kernels.cache import kernel

__all__ = ["phone"]

_ASSIGNED = (
    "1 7 20 27 30-34 36 39-41 43-49 51-58 60-66 81 82 84 86 90-95 98 "
    "211-213 216 218 220-258 260-269 290 291 297-299 350-359 370-378 380-383 385-387 389 "
    "420 421 423 500-509 590-599 670 672-683 685-692 800 808 850 852 853 855 856 870 878 "
    "880-883 886 888 960-968 970-977 979 992-996 998"
)
# A zero dialled before the area code at home, never from abroad: "+44 (0)20" or "+44 020".
_TRUNK_ZERO = (
    "20 27 31-33 40 41 43 44 46 49 51 53 54 55 57 58 60-64 66 81 82 84 90-95 98 "
    "211-213 218 231-234 243 249-252 254-256 260-265 291 353 355 358 359 373 374 377 "
    "380-383 385-387 389 421 423 590 591 593-596 598 850 855 856 880 886 961-964 966 967 "
    "970-972 976 977 994-996"
)


def _members(text: str) -> list[str]:
    found: list[str] = []
    for part in text.split():
        first, _, last = part.partition("-")
        found.extend(str(code) for code in range(int(first), int(last or first) + 1))
    return found


def _prefix_table(text: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Length of the listed code that each three-digit prefix begins with, or 0."""
    table = np.zeros(1000, dtype=np.uint8)
    for code in _members(text):
        span = 10 ** (3 - len(code))
        start = int(code) * span
        table[start : start + span] = len(code)
    return table


_COUNTRY = _prefix_table(_ASSIGNED)
_TRUNK = _prefix_table(_TRUNK_ZERO)
_DIGITS_KEPT = 24


@kernel
def _float_tail(data, low, high):  # type: ignore[no-untyped-def]
    """2 if the row is digits with `.0` behind (a number once read as a float), else 0."""
    if high - low < 10 or data[high - 1] != 48 or data[high - 2] != 46:
        return 0
    for i in range(low, high - 2):
        if data[i] < 48 or data[i] > 57:
            return 0
    return 2


@kernel
def _dial(data, low, high, digits):  # type: ignore[no-untyped-def]
    """Digits of the row: (count or -state, whether it begins with +)."""
    high -= _float_tail(data, low, high)
    count = 0
    plus = False
    i = low
    while i < high:
        char = data[i]
        if 48 <= char <= 57:
            if count < digits.size:
                digits[count] = char - 48
            count += 1
        elif char == 43:  # +
            if plus or count > 0:
                return -BAD_CHARACTER, plus
            plus = True
        elif char == 42:
            return -MASKED, plus
        elif char == 40:  # ( : drop a whole "(0)" inside an international number
            abroad = plus or (count > 2 and digits[0] == 0 and digits[1] == 0)
            if abroad and count > 0 and i + 2 < high and data[i + 1] == 48 and data[i + 2] == 41:
                i += 2
        elif not (
            char == 32 or 9 <= char <= 13 or char in (41, 45, 46, 47, 95, 34, 39, 96)
        ):  # ) - . / _ " ' `
            return -BAD_CHARACTER, plus
        i += 1
    return (count if count > 0 else -EMPTY), plus


@kernel
def _mainland(digits, start, count):  # type: ignore[no-untyped-def]
    """State of the national number at `start`, its trunk zero already gone."""
    size = count - start
    if size < 10 or size > 11:
        return WRONG_LENGTH
    first, second = digits[start], digits[start + 1]
    if first == 1 and second >= 3:
        return KEPT if size == 11 else WRONG_LENGTH
    if first == 1:
        area = 2 if second == 0 else 0
    elif first == 2:
        area = 2 if second != 6 else 0
    else:
        area = 3
    if first == 0 or area == 0:
        return UNKNOWN_PREFIX
    service = first in (4, 8) and second == 0 and digits[start + 2] == 0
    if size == 11 and (area == 2 or service):
        return WRONG_LENGTH
    return KEPT


@kernel
def _abroad(digits, start, count):  # type: ignore[no-untyped-def]
    """(state, number of digits in front of the trunk zero to drop, or 0)."""
    size = count - start
    if size < 7 or size > 16:
        return WRONG_LENGTH, 0
    prefix = digits[start] * 100 + digits[start + 1] * 10 + digits[start + 2]
    code = _COUNTRY[prefix]
    if code == 0:
        return UNKNOWN_PREFIX, 0
    drop = 0
    if _TRUNK[prefix] == code and digits[start + code] == 0:
        drop = code
        size -= 1
    national = size - code
    if size > 15 or national < 4:
        return WRONG_LENGTH, 0
    if digits[start] == 1:
        if national != 10:
            return WRONG_LENGTH, 0
        if digits[start + 1] < 2 or digits[start + 4] < 2:
            return UNKNOWN_PREFIX, 0
    if prefix in (852, 853) and national != 8:
        return WRONG_LENGTH, 0
    return KEPT, drop


@kernel
def _phone_state(digits, count, plus):  # type: ignore[no-untyped-def]
    """Rewrite `digits` to country code and national number: (state, count)."""
    if count > 20:
        return WRONG_LENGTH, 0
    start = 0
    abroad = plus
    if count > 2 and digits[0] == 0 and digits[1] == 0:
        start, abroad = 2, True
    china = count - start > 2 and digits[start] == 8 and digits[start + 1] == 6
    if abroad and not china:
        state, drop = _abroad(digits, start, count)
        if state != KEPT:
            return state, 0
        kept = 0
        for i in range(start, count):
            if drop > 0 and i == start + drop:
                continue
            digits[kept] = digits[i]
            kept += 1
        return KEPT, kept
    # No national number has more than eleven digits: a longer one carries the country code.
    if china and (abroad or count - start >= 12):
        start += 2
    if count - start > 10 and digits[start] == 0:
        start += 1
    state = _mainland(digits, start, count)
    if state != KEPT:
        return state, 0
    size = count - start
    if start >= 2:
        for i in range(size):
            digits[2 + i] = digits[start + i]
    else:
        for i in range(size - 1, -1, -1):
            digits[2 + i] = digits[start + i]
    digits[0], digits[1] = 8, 6
    return KEPT, size + 2


@kernel
def phone(data, offsets, valid, out, ends, state):  # type: ignore[no-untyped-def]
    """Phone number to E.164. Extensions are refused: a switchboard is not a person."""
    digits = np.empty(_DIGITS_KEPT, dtype=np.int64)
    used = 0
    for row in range(valid.size):
        code = NULL
        if valid[row]:
            low, high = offsets[row], offsets[row + 1]
            count, plus = _dial(data, low, high, digits)
            code = -count
            if count > 0:
                code, count = _phone_state(digits, count, plus)
            if code == KEPT:
                same = high - low == count + 1 and data[low] == 43
                out[used] = 43
                for i in range(count):
                    char = digits[i] + 48
                    same = same and data[low + 1 + i] == char
                    out[used + 1 + i] = char
                used += count + 1
                code = KEPT if same else CHANGED
        state[row] = code
        ends[row] = used
    return used
