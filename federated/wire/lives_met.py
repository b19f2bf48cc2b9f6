"""What a hub remembers of its nodes' lives, so that an older copy of one is known for what it is.

A node says "I was A, I am B" when it connects, and the hub keeps B; one that was something else is
older than what has been here. A hub learns nothing by it: names are random, one a start.

    lives.json    node -> the last life that was here
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from federated.store.files import write_atomic
from psi.protocol import EnvironmentFailed

__all__ = ["LivesMet"]

_SAID = re.compile(r"([0-9a-f]{16})?:([0-9a-f]{16})")


class LivesMet:
    """The lives in `folder`/lives.json."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "lives.json"

    def __repr__(self) -> str:
        return "<lives of nodes>"

    def comes(self, name: str, said: str) -> bool:
        """Note what a node says of itself; False if it is older than what has been here.

        One that says nothing of its past is new, or was accepted anew by its officer.
        """
        found = _SAID.fullmatch(said)
        if found is None:
            return said == ""  # a node of a version before
        former, present = found[1] or "", found[2]
        known = self._all()
        if former and known.get(name, present) not in (former, present):
            return False
        if known.get(name) != present:
            write_atomic(self._file, json.dumps(known | {name: present}, indent=1) + "\n")
        return True

    def forget(self) -> None:
        """A hub that was restored remembers too little to judge."""
        self._file.unlink(missing_ok=True)

    def _all(self) -> dict[str, str]:
        try:
            return {str(k): str(v) for k, v in json.loads(self._file.read_text("utf-8")).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError):
            raise EnvironmentFailed(
                "lives.json of the hub cannot be read", hint="remove it: lives are noted anew"
            ) from None
