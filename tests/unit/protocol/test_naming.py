"""What stands for a message at the party that has it."""

from __future__ import annotations

import hashlib
import secrets

import pytest

from psi.protocol.naming import LARGE, name_of


@pytest.mark.parametrize("size", [0, 5, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE])
def test_a_name_hangs_on_all_of_a_message_and_on_the_secret_of_a_large_one(size: int) -> None:
    data, secret, other = secrets.token_bytes(size), bytes(32), b"x" * 32
    name = name_of(data, secret)
    assert len(name) == 32
    assert name == name_of(bytes(data), secret)
    assert (name == name_of(data, other)) == (size < LARGE)
    plain = hashlib.sha256(data).digest()
    assert name_of(data, b"") == plain
    assert (name == plain) == (size < LARGE)
    for at in {0, size // 2, size - 1} if size else ():
        altered = bytearray(data)
        altered[at] ^= 1
        assert name_of(bytes(altered), secret) != name
    assert name_of(data + b"\0", secret) != name
