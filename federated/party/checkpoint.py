"""Sealed checkpoints: where a party stands in a job, so that a restart can go on.

One file a job, sealed by ChaCha20-Poly1305 under a key of this party's own (a file of mode
0600) and bound to the contract's hash. It is replaced, not appended to, before every send,
and destroyed with its key at the job's end.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from federated.party.files import write_atomic
from psi.protocol import (
    EnvironmentFailed,
    InputError,
    Length,
    Random,
    Text,
    decode,
    encode,
    message,
)

__all__ = ["Checkpoint", "CheckpointStore"]


@message(0xA8)
@dataclass(frozen=True)
class Checkpoint:
    """The present step's name, the role at rest, the channels, and frames to send again."""

    step: Annotated[str, Text(128)]
    role: Annotated[bytes, Length(1 << 31)]
    channels: Annotated[dict[str, Annotated[bytes, Length(1 << 28)]], Length(64)]
    outbox: Annotated[tuple[Annotated[bytes, Length(1 << 31)], ...], Length(1 << 20)]

    def __repr__(self) -> str:
        return f"<checkpoint at {self.step}, {len(self.outbox)} frames>"


class CheckpointStore:
    """Saves and loads the checkpoint of one job in `directory`."""

    def __init__(self, directory: Path, random: Random) -> None:
        self._path, self._key_path = directory / "checkpoint", directory / "checkpoint.key"
        self._random = random

    def save(self, contract: bytes, checkpoint: Checkpoint) -> None:
        """Seal and replace; `contract` is the contract's 32-byte hash."""
        nonce = self._random(12)
        sealed = ChaCha20Poly1305(self._key()).encrypt(nonce, encode(checkpoint), _bound(contract))
        write_atomic(self._path, nonce + sealed, private=True)

    def load(self, contract: bytes) -> Checkpoint | None:
        """The last checkpoint of this contract, or None if there is none."""
        if not self._path.exists():
            return None
        data = self._path.read_bytes()
        try:
            plain = ChaCha20Poly1305(self._key()).decrypt(data[:12], data[12:], _bound(contract))
        except (InvalidTag, ValueError):
            raise InputError(
                "the checkpoint is of another contract or was altered",
                hint="remove it and run the job again",
            ) from None
        return decode(plain, Checkpoint)

    def destroy(self) -> None:
        """Remove the checkpoint and its key."""
        self._path.unlink(missing_ok=True)
        self._key_path.unlink(missing_ok=True)

    def _key(self) -> bytes:
        if not self._key_path.exists():
            write_atomic(self._key_path, self._random(32), private=True)
        mode = self._key_path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise EnvironmentFailed("the checkpoint key can be read by others", hint="chmod 600")
        return self._key_path.read_bytes()


def _bound(contract: bytes) -> bytes:
    return b"fedprofile checkpoint v1" + contract
