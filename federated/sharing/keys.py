"""Public keys of AES, drawn from a nonce that whoever they protect has sent.

Tree keys come from the value holder once the bin holder's transfers are in: a bin holder that knew
them before could look for transfers by which two rows' hidden leaves collide. Keys of a batch of
values come from the value holder too, with the batch: its nonce is a function of all that it has
received, so a party that goes on from an old copy of itself pads other values by other keys. Keys
of the trees' check come from the bin holder, after the trees.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

__all__ = ["NONCE", "public_keys"]

NONCE = 32
"""Bytes of a nonce."""

Keys = np.ndarray[Any, np.dtype[np.uint8]]


def public_keys(nonce: bytes, name: str, count: int) -> Keys:
    """`uint8[count, 16]` under the name of what they are for. Not secret.

    By SHAKE-128, so that keys are independent for whoever cannot look for nonces for ever.
    """
    text = b"fedprofile sharing v1|" + name.encode() + b"|" + nonce
    return np.frombuffer(hashlib.shake_128(text).digest(16 * count), np.uint8).reshape(count, 16)
