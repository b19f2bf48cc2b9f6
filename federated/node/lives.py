"""Is this folder the party's last state, or an older copy of it that has forgotten something?

What a guard has forgotten it cannot know by itself, so others remember for it:

- `restore` leaves a mark, `copy`: the folder is a copy, made at that time;
- `life` names the folder it was begun in by its inode: one that was copied by hand has another;
- `life` also says when the hub met it last, which is how old a copy is that shows no other time;
- each start of a node is a *life* with a name of its own. It says to the hub "I was A, I am B", and
  the hub keeps B. An older copy that is started, of a disk image too, says "I was" something that
  the hub has forgotten already, and is turned away.

Whichever it is, the node answers nothing until its officer accepts (`copies.accept`). What cannot
be known: a disk image that is put back while the hub was put back as well, and a hub that lies to
its own profit. One that lies to harm can only keep a node from working, as it can anyway.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from federated.store.files import write_atomic
from psi.protocol import EnvironmentFailed, InputError

__all__ = [
    "Copy",
    "OlderCopy",
    "adopt",
    "begin",
    "check_is_last",
    "copy_of",
    "mark",
    "mark_older",
    "met",
    "waits_for_word",
]

_NAME = 8


class OlderCopy(EnvironmentFailed):
    """This folder is a copy, or an older state, of a party: it may have forgotten what it told."""


@dataclass(frozen=True)
class Copy:
    """Why a folder is taken for a copy; `made` is when, 0 if unknown.

    `running`: the party was at work when it was made, so it is not its last state.
    """

    why: str
    made: int = 0
    running: bool = False


def begin(home: Path) -> str:
    """A new life of the node in `home`: what it says to its hub, "FORMER:PRESENT".

    Raises `OlderCopy` where the folder is a copy that nobody has accepted.
    """
    check_is_last(home)
    life = _read(home)
    if not life.get("next"):
        life["next"] = secrets.token_hex(_NAME)
    _write(home, life)
    return f"{life.get('met', '')}:{life['next']}"


def met(home: Path, said: str) -> None:
    """The hub has taken the life that `begin` gave; another start may have begun one since."""
    life, present = _read(home), said.rpartition(":")[2]
    if life.get("met") != present:
        coming, now = life.get("next", ""), int(time.time())
        _write(home, {"met": present, "next": "" if coming == present else coming, "seen": now})


def check_is_last(home: Path) -> None:
    """Raise `OlderCopy` where the folder is a copy that its officer has not accepted."""
    found = copy_of(home)
    if found is not None:
        raise OlderCopy(
            f"{home}: {found.why}; what this party has told since may be forgotten here, "
            "so it answers nothing",
            hint=f"its officer looks and accepts: fedprofile node accept-copy --home {home}",
        )


def copy_of(home: Path) -> Copy | None:
    """What shows that this folder is a copy; None if nothing does."""
    file = home / "copy"
    if file.exists():
        try:
            data: dict[str, Any] = json.loads(file.read_text("utf-8"))
            return Copy(str(data["why"]), int(data["made"]), bool(data["running"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Copy("it is marked as a copy, and the mark cannot be read", running=True)
    try:
        begun = _read(home).get("folder")
    except InputError:
        return Copy("what says which life of the party it is cannot be read", running=True)
    if begun is not None and begun != _folder(home):
        return Copy("this folder was copied, or moved to another disk", _changed(home), True)
    return None


def waits_for_word(home: Path) -> bool:
    """Whether nobody has accepted this folder, a copy, as far as any of the officers can see."""
    return (home / "copy").exists() or (os.access(home / "life", os.R_OK) and bool(copy_of(home)))


def mark(home: Path, found: Copy) -> None:
    """From now on the folder counts as a copy."""
    write_atomic(home / "copy", json.dumps(asdict(found)) + "\n", private=True)


def mark_older(home: Path) -> None:
    """The hub has met a later state: the folder is a copy, of when the hub met it last."""
    try:
        seen = int(_read(home).get("seen", 0))
    except InputError:
        seen = 0
    mark(home, Copy("the hub has met a later state of this node", seen, running=True))


def adopt(home: Path, *, last: bool) -> None:
    """The folder as it is is the party from now on.

    As its `last` state it tells the hub which life came before, so that the hub can say that it was
    not; otherwise it is to the hub a new party.
    """
    made = (copy_of(home) or Copy("")).made
    try:
        life = _read(home) if last else {}
    except InputError:
        life = {}
    _write(home, life | ({"seen": made} if made else {}))
    (home / "copy").unlink(missing_ok=True)


def _read(home: Path) -> dict[str, Any]:
    try:
        data = json.loads((home / "life").read_text("utf-8"))
        seen = int(data.get("seen", 0))  # an earlier version did not say
        known = {"met": str(data["met"]), "next": str(data["next"]), "seen": seen}
        return known | {"folder": int(data["folder"])}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{home / 'life'}: malformed", hint="fedprofile node accept-copy, then start again"
        ) from None


def _write(home: Path, life: dict[str, Any]) -> None:
    known = {name: life.get(name, "") for name in ("met", "next")}
    known |= {"folder": _folder(home), "seen": life.get("seen", 0)}
    write_atomic(home / "life", json.dumps(known) + "\n", private=True)


def _folder(home: Path) -> int:
    """A folder that is made once; not the home itself, for a mounted disk's root is always 2."""
    try:
        return (home / "jobs").stat().st_ino
    except OSError:
        return 0


def _changed(home: Path) -> int:
    try:
        return int((home / "life").stat().st_mtime)
    except OSError:
        return 0
