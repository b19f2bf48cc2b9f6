"""Unified social credit codes by the million, as untidy as files have them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["credit_codes"]

_ALPHABET = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRTUWXY", np.uint8)
_WEIGHTS = np.array([1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28])


def credit_codes(role: str, case: dict[str, Any]) -> list[str]:
    """The party's codes: the first `matched` of both are the same organisations.

    Every sixteenth is in lower case and every sixteenth has blanks around it.
    """
    size = case["size_a"] if role == "receiver" else case["size_b"]
    serial = np.arange(size)
    serial[case["matched"] :] += 10**8 * (1 if role == "receiver" else 2)
    values = np.zeros((size, 18), np.int64)
    values[:, 0], values[:, 1] = 9, 1
    values[:, 2:8] = [1, 1, 0, 0, 0, 0]
    for place in range(16, 7, -1):
        values[:, place] = serial % 10
        serial //= 10
    values[:, 17] = (31 - values[:, :17] @ _WEIGHTS % 31) % 31
    letters = _ALPHABET[values]
    codes = letters.astype(np.uint8).tobytes().decode("ascii")
    found = [codes[start : start + 18] for start in range(0, len(codes), 18)]
    found[3::16] = [code.lower() for code in found[3::16]]
    found[7::16] = [f" {code} " for code in found[7::16]]
    return found
