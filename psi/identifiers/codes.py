"""Row kernels for the coded identifiers: credit code, identity number, LEI, plain number.

Every kernel has one shape, so that `psi.identifiers.clean` can run any of them:

    kernel(data, offsets, valid, out, ends, state) -> bytes used

`data` uint8[b] and `offsets` int64[n+1] are an Arrow string buffer, `valid` bool[n].
Row i's clean form is `out[ends[i-1]:ends[i]]` (empty when unusable) and `state[i]` is one
of the codes below. `out` must hold `b + GROWTH * n` bytes. One pass, no allocation a row.

Sources: GB 32100-2015 (unified social credit code, modulus 31), GB 11643-1999 (identity
number, ISO 7064 MOD 11-2, and its 15-digit predecessor), ISO 17442 (LEI, ISO 7064
MOD 97-10).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel

__all__ = [
    "BAD_CHARACTER",
    "CHANGED",
    "EMPTY",
    "GROWTH",
    "INEXACT",
    "KEPT",
    "MASKED",
    "NULL",
    "PLACEHOLDER",
    "REASONS",
    "UNKNOWN_PREFIX",
    "UNKNOWN_REGION",
    "WRONG_CHECKSUM",
    "WRONG_DATE",
    "WRONG_FORMAT",
    "WRONG_LENGTH",
    "credit_code",
    "identity_number",
    "lei",
    "number",
]

KEPT, CHANGED = 0, 1
(
    NULL,
    EMPTY,
    MASKED,
    BAD_CHARACTER,
    WRONG_LENGTH,
    WRONG_CHECKSUM,
    WRONG_DATE,
    UNKNOWN_REGION,
    UNKNOWN_PREFIX,
    PLACEHOLDER,
    WRONG_FORMAT,
    INEXACT,
) = range(2, 14)

REASONS = {
    NULL: "null",
    EMPTY: "empty",
    MASKED: "masked",
    BAD_CHARACTER: "bad character",
    WRONG_LENGTH: "wrong length",
    WRONG_CHECKSUM: "wrong checksum",
    WRONG_DATE: "wrong date",
    UNKNOWN_REGION: "unknown region",
    UNKNOWN_PREFIX: "unknown prefix",
    PLACEHOLDER: "placeholder",
    WRONG_FORMAT: "wrong format",
    INEXACT: "number not exact",
}

# The most bytes a row can gain: "+86" before a phone, "19" and a check digit in an identity
# number.
GROWTH = 4


_SKIP, _MASK, _BAD = 64, 65, 66


def _character_table() -> np.ndarray[Any, np.dtype[np.uint8]]:
    table = np.full(256, _BAD, dtype=np.uint8)
    for value, char in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        table[ord(char)] = table[ord(char.lower())] = value
    for char in " \t\r\n\v\f-_./,;:=\"'`|()":
        table[ord(char)] = _SKIP
    table[ord("*")] = _MASK
    return table


_CHARACTERS = _character_table()
_GLYPHS = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)
_NO_DIGIT = 255


def _credit_digits() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Values 0..35 (0-9A-Z) to GB 32100's 0..30; I, O, S, V and Z do not occur."""
    table = np.full(36, _NO_DIGIT, dtype=np.uint8)
    for digit, char in enumerate("0123456789ABCDEFGHJKLMNPQRTUWXY"):
        table["0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(char)] = digit
    return table


_CREDIT = _credit_digits()
_CREDIT_WEIGHTS = np.array([pow(3, i, 31) for i in range(17)], dtype=np.int64)
_IDENTITY_WEIGHTS = np.array([pow(2, 17 - i, 11) for i in range(17)], dtype=np.int64)
_LETTER_X = 33


def _provinces() -> np.ndarray[Any, np.dtype[np.bool_]]:
    table = np.zeros(100, dtype=np.bool_)
    groups = ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 83))
    for first, last in groups:
        table[first : last + 1] = True
    return table


_PROVINCES = _provinces()
_MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)


@kernel
def _compact(data, low, high, buffer):  # type: ignore[no-untyped-def]
    """Values 0..35 of the row's letters and digits into `buffer`; count, or -state."""
    count = 0
    bad = False
    for i in range(low, high):
        value = _CHARACTERS[data[i]]
        if value < 36:
            if count < buffer.size:
                buffer[count] = value
            count += 1
        elif value == _MASK:
            return -MASKED
        elif value == _BAD:
            bad = True
    if bad:
        return -BAD_CHARACTER
    return count if count > 0 else -EMPTY


@kernel
def _emit(data, low, high, buffer, count, out, used):  # type: ignore[no-untyped-def]
    """Write `count` values as characters at `used`; KEPT or CHANGED."""
    same = high - low == count
    for i in range(count):
        char = _GLYPHS[buffer[i]]
        same = same and data[low + i] == char
        out[used + i] = char
    return KEPT if same else CHANGED


@kernel
def _credit_state(buffer, count):  # type: ignore[no-untyped-def]
    if count != 18:
        return WRONG_LENGTH
    total = 0
    spread = 0
    for i in range(18):
        digit = _CREDIT[buffer[i]]
        if digit == _NO_DIGIT or (2 <= i < 8 and digit > 9):
            return BAD_CHARACTER
        if i < 17:
            total += digit * _CREDIT_WEIGHTS[i]
        spread |= buffer[i] ^ buffer[0]
    if spread == 0:
        return PLACEHOLDER  # eighteen zeros pass the checksum
    if (31 - total % 31) % 31 != _CREDIT[buffer[17]]:
        return WRONG_CHECKSUM
    return KEPT


@kernel
def credit_code(data, offsets, valid, out, ends, state):  # type: ignore[no-untyped-def]
    """Unified social credit code: 18 characters, digits at 3-8, modulus-31 check.

    The first two characters may be letters (agricultural collectives begin with N).
    """
    buffer = np.empty(18, dtype=np.uint8)
    used = 0
    for row in range(valid.size):
        code = NULL
        if valid[row]:
            low, high = offsets[row], offsets[row + 1]
            count = _compact(data, low, high, buffer)
            code = -count if count < 0 else _credit_state(buffer, count)
            if code == KEPT:
                code = _emit(data, low, high, buffer, 18, out, used)
                used += 18
        state[row] = code
        ends[row] = used
    return used


@kernel
def _identity_check(buffer):  # type: ignore[no-untyped-def]
    """The check character's value (0..9, or X's) of 17 digits."""
    total = 0
    for i in range(17):
        total += buffer[i] * _IDENTITY_WEIGHTS[i]
    check = (12 - total % 11) % 11
    return _LETTER_X if check == 10 else check


@kernel
def _is_date(year, month, day):  # type: ignore[no-untyped-def]
    if year < 1800 or year > 2099 or month < 1 or month > 12 or day < 1:
        return False
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    return day <= _MONTH_DAYS[month - 1] + (1 if leap and month == 2 else 0)


@kernel
def _identity_state(buffer, count):  # type: ignore[no-untyped-def]
    """Validate, upgrading 15 digits in place to 18."""
    if count not in (15, 18):
        return WRONG_LENGTH
    for i in range(count - 1):
        if buffer[i] > 9:
            return BAD_CHARACTER
    if buffer[count - 1] > 9 and (count == 15 or buffer[17] != _LETTER_X):
        return BAD_CHARACTER
    if count == 15:
        for i in range(14, 5, -1):
            buffer[i + 2] = buffer[i]
        buffer[6], buffer[7] = 1, 9
        buffer[17] = _identity_check(buffer)
    elif buffer[17] != _identity_check(buffer):
        return WRONG_CHECKSUM
    year = buffer[6] * 1000 + buffer[7] * 100 + buffer[8] * 10 + buffer[9]
    if not _is_date(year, buffer[10] * 10 + buffer[11], buffer[12] * 10 + buffer[13]):
        return WRONG_DATE
    # Permanent residence cards for foreigners put a 9 before the province.
    at = 1 if buffer[0] == 9 else 0
    if not _PROVINCES[buffer[at] * 10 + buffer[at + 1]]:
        return UNKNOWN_REGION
    return KEPT


@kernel
def identity_number(data, offsets, valid, out, ends, state):  # type: ignore[no-untyped-def]
    """Resident identity number: 18 characters, or 15 digits upgraded to 18.

    Province, calendar date and check character are checked; the county is not, since
    counties are dissolved and numbers that name them stay.
    """
    buffer = np.empty(18, dtype=np.int64)
    used = 0
    for row in range(valid.size):
        code = NULL
        if valid[row]:
            low, high = offsets[row], offsets[row + 1]
            count = _compact(data, low, high, buffer)
            code = -count if count < 0 else _identity_state(buffer, count)
            if code == KEPT:
                code = _emit(data, low, high, buffer, 18, out, used)
                used += 18
        state[row] = code
        ends[row] = used
    return used


@kernel
def _lei_state(buffer, count):  # type: ignore[no-untyped-def]
    if count != 20:
        return WRONG_LENGTH
    if buffer[18] > 9 or buffer[19] > 9:
        return BAD_CHARACTER
    rest = 0
    for i in range(20):
        value = buffer[i]
        rest = (rest * (10 if value < 10 else 100) + value) % 97
    return KEPT if rest == 1 else WRONG_CHECKSUM


@kernel
def lei(data, offsets, valid, out, ends, state):  # type: ignore[no-untyped-def]
    """Legal entity identifier: 20 letters and digits, the last two a MOD 97-10 check."""
    buffer = np.empty(20, dtype=np.int64)
    used = 0
    for row in range(valid.size):
        code = NULL
        if valid[row]:
            low, high = offsets[row], offsets[row + 1]
            count = _compact(data, low, high, buffer)
            code = -count if count < 0 else _lei_state(buffer, count)
            if code == KEPT:
                code = _emit(data, low, high, buffer, 20, out, used)
                used += 20
        state[row] = code
        ends[row] = used
    return used


@kernel
def _number_row(data, low, high, out, used):  # type: ignore[no-untyped-def]
    """Digits of one row to `out`: (state, count)."""
    count = 0
    digits = 0
    fraction = False
    same = True
    for i in range(low, high):
        char = data[i]
        if 48 <= char <= 57:
            if fraction:
                if char != 48:
                    return BAD_CHARACTER, 0
                continue
            digits += 1
            if char == 48 and count == 0:
                continue
            out[used + count] = char
            count += 1
        elif char == 46 and digits > 0 and not fraction:
            fraction = True
        elif char == 42:
            return MASKED, 0
        elif _CHARACTERS[char] != _SKIP or char in (46, 44):
            return BAD_CHARACTER, 0
        elif char == 45 and digits == 0:
            return BAD_CHARACTER, 0  # a negative number is no identifier
    if digits == 0:
        return EMPTY, 0
    if count == 0:
        out[used] = 48
        count = 1
    same = high - low == count
    return KEPT if same else CHANGED, count


@kernel
def number(data, offsets, valid, out, ends, state):  # type: ignore[no-untyped-def]
    """Plain whole number: leading zeros, separators and a trailing `.0` go."""
    used = 0
    for row in range(valid.size):
        code, count = NULL, 0
        if valid[row]:
            code, count = _number_row(data, offsets[row], offsets[row + 1], out, used)
        used += count
        state[row] = code
        ends[row] = used
    return used
