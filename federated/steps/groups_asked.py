"""The receiver's groups of earlier jobs, row by row: what a later audit needs of them.

    asked/SESSION-NUMBER-DAY    the groups of a section's aligned rows, sealed; DAY they may go
    asked/key                   opens them (0600)

No record is named: a row is a place in the order that the job had. The partner remembers whom it
stood for (`federated.releases`), and says in a later job which rows are still aligned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from federated.store.files import disk_failed, make_folder
from federated.store.vault import Vault
from psi.protocol import Array, Length, Random, Text, decode, encode, message

__all__ = ["AskedSection", "GroupsAsked"]

KEEP_DAYS = 731
DAY = 24 * 3600


@message(0xD5)
@dataclass(frozen=True)
class AskedSection:
    """What a section asked of whom, and the group of each row, -1 for none or one not told."""

    partner: Annotated[str, Text(128)]
    columns: Annotated[tuple[Annotated[str, Text(256)], ...], Length(1 << 10)]
    codes: Annotated[np.ndarray, Array("int32", most=1 << 30)]


class GroupsAsked:
    """One receiver's earlier sections in a folder of its own."""

    def __init__(self, folder: Path, random: Random, clock: Callable[[], float]) -> None:
        self._folder, self._clock = folder, clock
        self._vault = Vault(folder, "key", b"fedprofile asked v1", random)

    def __repr__(self) -> str:
        return f"<sections asked, in {self._folder.name}>"

    def keep(self, session: str, number: int, section: AskedSection) -> None:
        """Keep a section, in place of what was kept of it; those whose day has come go."""
        try:
            make_folder(self._folder)
        except OSError as error:
            raise disk_failed(f"cannot write into {self._folder}", error) from None
        today, name = int(self._clock()) // DAY, f"{session}-{number}"
        for file in self._folder.glob("*-*-*"):
            if file.name.rpartition("-")[2].isdigit() and int(file.name.rpartition("-")[2]) < today:
                file.unlink(missing_ok=True)
        file = self._file(name) or self._folder / f"{name}-{today + KEEP_DAYS}"
        self._vault.write(file.name, encode(section), name.encode())

    def find(self, session: str, number: int) -> AskedSection | None:
        """What was kept of a section."""
        name = f"{session}-{number}"
        file = self._file(name)
        data = self._vault.read(file.name, name.encode()) if file else None
        return decode(data, AskedSection) if data is not None else None

    def _file(self, name: str) -> Path | None:
        # compared as it stands: a peer named the session, and a pattern would be followed
        return next((f for f in self._folder.glob("*-*-*") if f.name.startswith(f"{name}-")), None)
