"""Proposals that wait for an officer, and what officers said: small files that outlive a process.

    desk/SESSION.request         what is asked, by whom, since when, and which rule approved it, if
                                 one did; written by the party's process
    desk/SESSION.decision.USER   an officer's word, written by the officer's own command
    desk/SESSION.used            the session in which a decision took effect
    desk/paused                  no new jobs, since when and why

An officer is the user of this machine who owns the decision file: the kernel says who that is, and
a user other than root cannot make a file in another's name. The word is bound to what was asked
(`Contract.asked`), so it cannot be moved to another proposal; where a node lost the session, the
word counts for the next proposal that asks exactly the same, once.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from federated.approval.decision import Decision, Request
from federated.contract.terms import Contract
from federated.store.files import write_atomic
from psi.protocol import InputError, MisuseError, PeerError, Refused

__all__ = ["Inbox", "Waiting", "Word", "user_name"]

_LARGEST = 1 << 20


def user_name(uid: int) -> str:
    """The name of a user of this machine."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


@dataclass(frozen=True)
class Word:
    """What one officer said, and the user who owns the file."""

    approved: bool
    why: str
    asked: bytes
    user: int
    by: str
    made: int

    @property
    def decision(self) -> Decision:
        """As the desk speaks of it."""
        return Decision(self.approved, self.by, self.why)


@dataclass(frozen=True)
class Waiting:
    """A request on file with the words that count for it, denials first.

    `rule` is what approved it without a word, as the ledger names it ("rule monthly"), or "".
    """

    request: Request
    ends: int
    user: int
    words: tuple[Word, ...] = ()
    rule: str = ""

    @property
    def word(self) -> Word | None:
        """The word that decides."""
        return next(iter(self.words), None)

    @property
    def own(self) -> bool:
        """Whether this party proposes it itself."""
        return self.request.contract.proposer == self.request.me

    def state(self, now: float) -> str:
        """waiting, approved, denied or expired."""
        if self.rule:
            return "approved"
        if self.word is not None:
            return "approved" if self.word.approved else "denied"
        return "waiting" if now < self.ends else "expired"


Valid = Callable[[Word, Waiting], bool]


class Inbox:
    """The files of one desk. `valid` says whose word on a request counts."""

    def __init__(
        self,
        folder: Path,
        valid: Valid = lambda word, entry: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self._valid, self._clock = folder, valid, clock

    def __repr__(self) -> str:
        return f"<inbox in {self.folder.parent.name}>"

    def put(self, request: Request, ends: float, rule: str = "") -> None:
        """Keep a request until an officer has decided, or with the `rule` that did."""
        data = {
            "session": request.session.hex(),
            "me": request.me,
            "received": int(request.received),
            "ends": int(ends),
            "rule": rule,
            "contract": request.contract.to_bytes().decode(),
        }
        write_atomic(self._file(request.session, "request"), json.dumps(data), private=False)

    def first(self, request: Request) -> Request:
        """The request as it came first, if it is on file already: a restart asks again."""
        if not self._file(request.session, "request").exists():
            return request
        try:
            before = self._read(self._file(request.session, "request")).request
        except InputError:
            return request
        return before if before.contract == request.contract else request

    def all(self) -> list[Waiting]:
        """Every request on file that this version can read, oldest first."""
        return self._sorted()[0]

    def unread(self) -> list[str]:
        """Names of requests' files that this version cannot read: another's, or damaged."""
        return self._sorted()[1]

    def _sorted(self) -> tuple[list[Waiting], list[str]]:
        """A file that cannot be read must not hide the others: nobody could decide any more."""
        found, unread = [], []
        for file in sorted(self.folder.glob("*.request")):
            try:
                found.append(self._read(file))
            except InputError:
                unread.append(file.name)
        return sorted(found, key=lambda entry: entry.request.received), unread

    def find(self, name: str) -> Waiting:
        """By the first digits of its session; raises `InputError` if none or several fit."""
        few = len(name) >= 4 and name.isalnum()
        files = list(self.folder.glob(f"{name.lower()}*.request")) if few else []
        if len(files) != 1:
            many = f"{len(files)} requests begin with" if files else "no request"
            raise InputError(f"{many} {name[:64]!r}", hint="fedprofile node jobs lists them")
        return self._read(files[0])

    def decide(self, entry: Waiting, approved: bool, why: str = "") -> Word:
        """An officer's word, given as the user who runs this process.

        Raises `MisuseError` if the request is decided or expired, `Refused` if this user's word
        does not count.
        """
        state = entry.state(self._clock())
        if state != "waiting":
            raise MisuseError(f"{entry.request.id} is {state} already")
        sudo = os.environ.get("SUDO_USER", "") if os.geteuid() == 0 else ""
        data = {
            "approved": approved,
            "why": why,
            "asked": entry.request.contract.asked.hex(),
            "made": int(self._clock()),
            "sudo": sudo,
        }
        word = _word_of(data, os.geteuid())
        if not self._valid(word, entry):
            raise Refused(
                f"the word of {word.by} does not count here",
                hint="policy [officers]: users, and four_eyes for this party's own proposals",
            )
        kind = f"decision.{os.geteuid()}"
        write_atomic(self._file(entry.request.session, kind), json.dumps(data), private=False)
        return word

    def word(self, request: Request) -> tuple[Word, bytes] | None:
        """The word that counts for this request, and the session it was given in.

        That is this one, or an earlier one that asked the same and came to nothing.
        """
        asked, entries = request.contract.asked, self.all()
        mine = next((e for e in entries if e.request.session == request.session), None)
        for entry in entries if mine is not None else ():
            open_ = entry is mine or entry.ends > self._clock()
            for word in entry.words if open_ else ():
                counts = mine is not None and word.asked == asked and self._valid(word, mine)
                if counts and self._free(entry.request.session, request.session):
                    return word, entry.request.session
        return None

    def _free(self, decided: bytes, session: bytes) -> bool:
        mark = self._file(decided, "used")
        return not mark.exists() or mark.read_text("utf-8") == session.hex()

    def spend(self, session: bytes) -> bool:
        """Spend what approved this session, however often it is asked; False if nothing does.

        A rule's approval is the session's own; an officer's word is spent for all others.
        """
        mine = next((e for e in self.all() if e.request.session == session), None)
        if mine is None or mine.rule:
            return mine is not None
        found = self.word(mine.request)
        return found is not None and found[0].approved and self.use(found[1], session)

    def use(self, decided: bytes, session: bytes) -> bool:
        """Spend the word given in session `decided` on `session`; False if it is spent already.

        The mark is on the disk, whole, when this returns: a power failure brings no word back.
        """
        file = self._file(decided, "used")
        beside = file.with_name(f".{file.name}.{session.hex()}")
        write_atomic(beside, session.hex(), private=False)
        try:
            os.link(beside, file)
        except FileExistsError:
            return self._free(decided, session)
        finally:
            beside.unlink(missing_ok=True)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True

    def remove(self, session: bytes) -> None:
        """Forget a request and what belongs to it."""
        for file in self.folder.glob(f"{session.hex()}.*"):
            file.unlink(missing_ok=True)

    # no new jobs

    def pause(self, why: str) -> None:
        """From now on no proposal is heard."""
        data = {"why": why, "by": user_name(os.geteuid()), "since": int(self._clock())}
        write_atomic(self.folder / "paused", json.dumps(data), private=False)

    def unpause(self) -> bool:
        """Proposals are heard again; False if they were."""
        paused = self.paused is not None
        (self.folder / "paused").unlink(missing_ok=True)
        return paused

    @property
    def paused(self) -> dict[str, Any] | None:
        """Why, by whom and since when no new job is taken; None if jobs are taken."""
        found = _json(self.folder / "paused")
        return None if found is None else found[0]

    # reading

    def _file(self, session: bytes, kind: str) -> Path:
        return self.folder / f"{session.hex()}.{kind}"

    def _read(self, file: Path) -> Waiting:
        found = _json(file)
        try:
            data, user = found or ({}, 0)
            session = bytes.fromhex(str(data["session"]))
            contract = Contract.from_bytes(str(data["contract"]).encode())
            request = Request(session, str(data["me"]), contract, float(data["received"]))
            ends, rule = int(data["ends"]), str(data.get("rule", ""))
        except (KeyError, ValueError, TypeError, PeerError):
            raise InputError(
                f"{file.name}: not a request that this version can read",
                hint="another version's, or damaged: remove it; its job is proposed anew",
            ) from None
        entry = Waiting(request, ends, user, rule=rule)
        words = [word for word in self._words(session) if self._valid(word, entry)]
        return replace(entry, words=tuple(sorted(words, key=lambda w: (w.approved, w.made))))

    def _words(self, session: bytes) -> Iterator[Word]:
        for file in self.folder.glob(f"{session.hex()}.decision.*"):
            found = _json(file)
            if found is not None:
                yield _word_of(*found)


def _word_of(data: dict[str, Any], user: int) -> Word:
    try:
        by = user_name(user) + (f" (sudo: {data['sudo']})" if data["sudo"] and user == 0 else "")
        asked, made = bytes.fromhex(data["asked"]), int(data["made"])
        return Word(data["approved"] is True, str(data["why"]), asked, user, by, made)
    except (KeyError, ValueError, TypeError):
        raise InputError("an officer's decision is malformed", hint="remove it") from None


def _json(file: Path) -> tuple[dict[str, Any], int] | None:
    """What a file holds and who owns it; links are not followed. None if there is no file."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{file.name}: {error.strerror}") from None
    with os.fdopen(handle, "rb") as opened:
        about = os.fstat(opened.fileno())
        try:
            if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST:
                raise ValueError
            data = json.loads(opened.read(_LARGEST))
        except ValueError:
            raise InputError(f"{file.name}: malformed", hint="remove it") from None
    if not isinstance(data, dict):
        raise InputError(f"{file.name}: malformed", hint="remove it")
    return data, about.st_uid
