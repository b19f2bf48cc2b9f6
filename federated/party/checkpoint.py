"""Sealed checkpoints: where a party stands in a job, so that a restart can go on.

One file a job, sealed by ChaCha20-Poly1305 under a key of this party's own (a file of mode
0600) and bound to the contract's hash. It is replaced, not appended to, before every send,
and destroyed with its key at the job's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from federated.party.vault import Vault
from psi.protocol import (
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
        self._vault = Vault(directory, "checkpoint.key", b"fedprofile checkpoint v1", random)

    def save(self, contract: bytes, checkpoint: Checkpoint) -> None:
        """Seal and replace; `contract` is the contract's 32-byte hash."""
        self._vault.write("checkpoint", encode(checkpoint), contract)

    def load(self, contract: bytes) -> Checkpoint | None:
        """The last checkpoint of this contract, or None if there is none."""
        data = self._vault.read("checkpoint", contract)
        return None if data is None else decode(data, Checkpoint)

    def destroy(self) -> None:
        """Remove the checkpoint and its key."""
        self._vault.remove("checkpoint", "checkpoint.key")
