"""Proposals that wait for an officer, and what officers said: small files that outlive a process.

    desk/SESSION.request         what is asked, by whom, since when, and which rule approved it, if
                                 one did; written by the party's process
    desk/SESSION.decision.WHO    an officer's word, written by the officer's own command
    desk/paused                  no new jobs, since when and why
    spent/SESSION                the session in which a decision took effect; beside the desk, so
                                 that a desk put back from an older copy brings no word back

Where the party lists officers with keys of their own (`federated.keys.officers`), a word is signed
by one of them. Otherwise an officer is the user of this machine who owns the decision file: the
kernel says who that is, and a user other than root cannot make a file in another's name. The word
is bound to what was asked (`Contract.asked`), so it cannot be moved to another proposal; where a
node lost the session, the word counts for the next proposal that asks exactly the same, once.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from federated.approval.decision import Request
from federated.approval.words import (
    Anybody,
    Counting,
    Waiting,
    Word,
    current_user,
    user_name,
    word_of,
)
from federated.contract.terms import Contract
from federated.keys.officers import OfficerKey, Person
from federated.store.files import make_folder, sync_folder, write_atomic
from psi.protocol import InputError, MisuseError, PeerError, Refused

__all__ = ["Inbox", "Waiting", "Word", "owned_json", "user_name"]

_LARGEST = 1 << 20
_VOID = "taken back"


class Inbox:
    """The files of one desk. `counting` says whose word on a request counts."""

    def __init__(
        self,
        folder: Path,
        counting: Counting | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self._counting, self._clock = folder, counting or Anybody(), clock
        self._spent = folder.with_name("spent")

    def __repr__(self) -> str:
        return f"<inbox in {self.folder.parent.name}>"

    def put(
        self, request: Request, ends: float, rule: str = "", asker: Person | None = None
    ) -> None:
        """Keep a request until an officer has decided, or with the `rule` that did."""
        data = {
            "session": request.session.hex(),
            "me": request.me,
            "received": int(request.received),
            "ends": int(ends),
            "rule": rule,
            "asker": asdict(asker) if asker else None,
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

    def unread(self) -> list[Path]:
        """Files of requests that this version cannot read: another's, or damaged."""
        return self._sorted()[1]

    def _sorted(self) -> tuple[list[Waiting], list[Path]]:
        """A file that cannot be read must not hide the others: nobody could decide any more."""
        found, unread = [], list[Path]()
        for file in sorted(self.folder.glob("*.request")):
            try:
                found.append(self._read(file))
            except InputError:
                unread.append(file)
        return sorted(found, key=lambda entry: entry.request.received), unread

    def find(self, name: str) -> Waiting:
        """By the first digits of its session; raises `InputError` if none or several fit."""
        few = len(name) >= 4 and name.isalnum()
        files = list(self.folder.glob(f"{name.lower()}*.request")) if few else []
        if len(files) != 1:
            many = f"{len(files)} requests begin with" if files else "no request"
            raise InputError(f"{many} {name[:64]!r}", hint="fedprofile node jobs lists them")
        return self._read(files[0])

    def decide(
        self, entry: Waiting, approved: bool, why: str = "", key: OfficerKey | None = None
    ) -> Word:
        """An officer's word: signed by his `key`, or given as the user who runs this process.

        Raises `MisuseError` if the request is decided or expired, or this officer has approved it,
        `Refused` if his word does not count.
        """
        state = entry.state(self._clock())
        if state != "waiting":
            raise MisuseError(f"{entry.request.id} is {state} already")
        user, sudo = current_user()
        data: dict[str, Any] = {
            "approved": approved,
            "why": why,
            "asked": entry.request.contract.asked.hex(),
            "made": int(self._clock()),
        }
        if key is None:
            data["sudo"] = sudo
        else:
            bound = {"party": entry.request.me, "session": entry.request.session.hex()}
            data = key.sign_word(**bound, **data)
        word = word_of(data, user)
        if not self._counting(word, entry):
            raise Refused(
                f"the word of {word.by} does not count here",
                hint="`node officers` lists whose key counts, policy [officers] which users where "
                "nobody is listed; who proposes a job does not approve it. Where one person tries "
                "this alone: [officers] four_eyes = false in policy.toml",
            )
        if approved and word.voice in {said.voice for said in entry.words}:
            raise MisuseError(
                f"{word.by} has approved {entry.request.id}", hint="it waits for another officer"
            )
        kind = f"decision.{key.name if key else user}"
        write_atomic(self._file(entry.request.session, kind), json.dumps(data), private=False)
        return word

    def verdict(self, request: Request) -> tuple[Waiting, bytes] | None:
        """A request with the words that decide it, and the session they were given in.

        That is this one, or an earlier one that asked the same and came to nothing.
        """
        asked, entries = request.contract.asked, self.all()
        mine = next((e for e in entries if e.request.session == request.session), None)
        for entry in entries if mine is not None else ():
            if mine is None or (entry is not mine and entry.ends <= self._clock()):
                continue
            words = [w for w in entry.words if w.asked == asked and self._counting(w, mine)]
            found = replace(mine, words=tuple(words))
            if found.word and self._free(entry.request.session, request.session):
                return found, entry.request.session
        return None

    def _free(self, decided: bytes, session: bytes) -> bool:
        earlier = self._file(decided, "used")  # where earlier versions kept it
        marks = [mark for mark in (self._spent / decided.hex(), earlier) if mark.exists()]
        return all(mark.read_text("utf-8") == session.hex() for mark in marks)

    def spend(self, session: bytes) -> bool:
        """Spend what approved this session, however often it is asked; False if nothing does.

        A rule's approval is the session's own; an officer's word is spent for all others.
        """
        mine = next((e for e in self.all() if e.request.session == session), None)
        if mine is None or mine.rule:
            return mine is not None
        found = self.verdict(mine.request)
        if found is None or found[0].word is None or not found[0].word.approved:
            return False
        return self.use(found[1], session)

    def use(self, decided: bytes, session: bytes) -> bool:
        """Spend the word given in session `decided` on `session`; False if it is spent already.

        The mark is on the disk, whole, when this returns: a power failure brings no word back.
        """
        return self._mark(decided, session.hex()) or self._free(decided, session)

    def take_back(self, session: bytes) -> bool:
        """Void what officers approved in this session, for it and all others.

        False where no officer has approved it, or the words have taken effect.
        """
        mine = next((e for e in self.all() if e.request.session == session), None)
        if mine is None or mine.rule or mine.word is None or not mine.word.approved:
            return False
        return self._mark(session, _VOID)

    def _mark(self, decided: bytes, text: str) -> bool:
        """Write down, once for all, on what a session's words are spent; False if they are."""
        make_folder(self._spent)
        file = self._spent / decided.hex()
        beside = file.with_name(f".{file.name}.{text}")
        write_atomic(beside, text)
        try:
            os.link(beside, file)
        except FileExistsError:
            return False
        finally:
            beside.unlink(missing_ok=True)
        sync_folder(self._spent)
        return True

    def spent(self, session: bytes) -> bool:
        """Whether the words given in this session have taken effect."""
        return (self._spent / session.hex()).exists()

    def spent_on(self, session: bytes) -> str:
        """The session, in hexadecimal, in which the words given in this one have taken effect; ""
        where they have not, or an officer may not look."""
        try:
            text = (self._spent / session.hex()).read_text("utf-8")
        except OSError:
            return ""
        return "" if text == _VOID else text

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
        found = owned_json(self.folder / "paused")
        return None if found is None else found[0]

    # reading

    def _file(self, session: bytes, kind: str) -> Path:
        return self.folder / f"{session.hex()}.{kind}"

    def _read(self, file: Path) -> Waiting:
        found = owned_json(file)
        try:
            data, user = found or ({}, 0)
            session = bytes.fromhex(str(data["session"]))
            contract = Contract.from_bytes(str(data["contract"]).encode())
            request = Request(session, str(data["me"]), contract, float(data["received"]))
            ends, rule = int(data["ends"]), str(data.get("rule", ""))
            asker = Person(**data["asker"]) if data.get("asker") else None
        except (KeyError, ValueError, TypeError, PeerError):
            raise InputError(
                f"{file.name}: not a request that this version can read",
                hint="another version's, or damaged: remove it; its job is proposed anew",
            ) from None
        entry = Waiting(request=request, ends=ends, user=user, rule=rule, asker=asker)
        words = [word for word in self._words(session) if self._counting(word, entry)]
        words.sort(key=lambda word: (word.approved, word.made))
        needed, void = self._counting.needed(entry), self._void(session)
        return replace(entry, words=tuple(words), needed=needed, void=void)

    def _void(self, session: bytes) -> int:
        """Since when these words are void, 0 if they are not."""
        file = self._spent / session.hex()
        try:
            return int(file.stat().st_mtime) if file.read_text("utf-8") == _VOID else 0
        except OSError:  # there is none, or an officer who is another user may not look
            return 0

    def _words(self, session: bytes) -> Iterator[Word]:
        for file in self.folder.glob(f"{session.hex()}.decision.*"):
            found = owned_json(file)
            if found is None:
                continue
            data, user = found
            try:
                if data.get("session", session.hex()) == session.hex():  # not moved here
                    yield word_of(data, user)
            except (KeyError, ValueError, TypeError):
                raise InputError(f"{file.name}: malformed", hint="remove it") from None


def owned_json(file: Path) -> tuple[dict[str, Any], int] | None:
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
