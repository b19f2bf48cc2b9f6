"""Why a job's folder does not go on, in files beside its journal: for lists, after any restart.

    halted   the journal does not open, and never will: the job rests until somebody stops it
    why      the words of this party's last error, where they are nobody's but its own
    over     the job was let go: it has ended, and has no line of it in its own ledger

A ledger that was put back with its folder is older than the heads that the others hold of it. A
line more would make another account of it, so the end of such a job stands in the node's own ledger
(`federated.node.let_go`), and here.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

from federated.ledger.ending import OVER
from federated.store.files import write_atomic
from psi.protocol import EnvironmentFailed

__all__ = [
    "abandon",
    "goes_on",
    "halt",
    "let_go",
    "note_end",
    "told_over",
    "why_ended",
    "why_halted",
    "why_over",
]

_HALTED, _WHY = "halted", "why"
_LONGEST = 400


def halt(home: Path, why: str) -> None:
    """Note why the journal in `home` does not open, if the disk has room: nothing rests on it."""
    with contextlib.suppress(EnvironmentFailed):
        write_atomic(home / _HALTED, why[:_LONGEST], private=True, sync=False)


def note_end(home: Path, why: str) -> None:
    """Note the words of this party's error, if the disk has room: its ledger may go to others."""
    with contextlib.suppress(EnvironmentFailed):
        write_atomic(home / _WHY, why[:_LONGEST], private=True, sync=False)


def goes_on(home: Path) -> None:
    """It opens: whatever was noted before counts no more."""
    for name in (_HALTED, _WHY):
        with contextlib.suppress(OSError):
            (home / name).unlink(missing_ok=True)


def abandon(home: Path) -> None:
    """Remove a job's journal, its key first: nothing can go on from there any more."""
    (home / "journal" / "key").unlink(missing_ok=True)
    shutil.rmtree(home / "journal", ignore_errors=True)


def let_go(home: Path, why: str, **names: str) -> None:
    """End the job in this folder without a line in its ledger: nothing begins or goes on here.

    `names` (proposer, job, purpose) are what lists call it by, where its ledger does not say.
    """
    write_atomic(home / OVER, json.dumps(names | {"why": why[:_LONGEST]}), private=True)
    abandon(home)
    for name in ("call", _HALTED):
        (home / name).unlink(missing_ok=True)


def why_halted(home: Path) -> str:
    """What was noted; "" where it goes on, or nobody has tried yet."""
    return _read(home / _HALTED)


def why_ended(home: Path) -> str:
    """The words of its last error here; "" where it had none, or its ledger has them."""
    return _read(home / _WHY)


def why_over(home: Path) -> str:
    """Why it was let go; "" where it was not."""
    return told_over(home).get("why", "")


def told_over(home: Path) -> dict[str, str]:
    """That, and by which names it is listed; empty where it was not let go."""
    try:
        return {str(name): str(text) for name, text in json.loads(_read(home / OVER)).items()}
    except (ValueError, AttributeError):
        return {}


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):  # an officer who is another user does not see jobs
        return ""
