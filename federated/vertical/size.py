"""How many joined rows one message of a training holds: known before a job."""

from __future__ import annotations

from federated.vertical.messages import MOST_ROWS
from federated.vertical.sums import Layout
from psi.protocol.envelope import LARGEST_PAYLOAD

__all__ = ["SPARE", "fits", "most_rows"]

SPARE = 1 << 16
"""Bytes of a message beside its ciphertexts."""


def fits(layout: Layout, rows: int, ciphertext: int) -> bool:
    """Whether the encrypted rows of a pass are one message; `ciphertext` is one's bytes."""
    return rows * ciphertext * (layout.row_groups + 1) <= LARGEST_PAYLOAD - SPARE


def most_rows(columns: int, key_bits: int) -> int:
    """The most joined rows of a training with so many columns of the label party's own."""
    low, high, size = 0, MOST_ROWS, key_bits // 4
    while low < high:
        rows = (low + high + 1) // 2
        good = fits(Layout(key_bits, rows, columns), rows, size)
        low, high = (rows, high) if good else (low, rows - 1)
    return low
