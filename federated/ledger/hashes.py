"""Hashes of files in a ledger, which nobody who is shown it can find by trying contents.

Each is made with a secret that lies beside the ledger, and the file's name: who shows one file to
be that of the ledger shows its key alone, and so no other file (docs/LEDGER.md).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from federated.store.files import write_atomic
from psi.protocol import Random

__all__ = ["FILE", "hash_apart", "secret_beside"]

FILE = "outputs.secret"
"""Where the secret lies."""


def secret_beside(folder: Path, random: Random) -> str:
    """64 hexadecimal digits, which stay in the ledger's folder; made where there are none."""
    file = folder / FILE
    if not file.exists():
        write_atomic(file, random(32).hex())
    return file.read_text("ascii")


def hash_apart(secret: str, name: str, digest: str) -> str:
    """Of a file's name and SHA-256, in hexadecimal."""
    key = hashlib.sha256(f"{secret} {name}".encode()).hexdigest()
    return hashlib.sha256(f"{key} {digest}\n".encode()).hexdigest()
