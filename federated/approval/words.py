"""What officers said of a proposal, and what of it counts."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass, field
from typing import Any, Protocol

from federated.approval.decision import Decision, Request
from federated.keys.officers import Person

__all__ = ["Anybody", "Counting", "Waiting", "Word", "current_user", "user_name", "word_of"]


def user_name(uid: int) -> str:
    """The name of a user of this machine."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


@dataclass(frozen=True, kw_only=True)
class Word:
    """What one officer said, and the user who owns the file.

    `signed` is the whole word with its officer's signature, where officers have keys of their own.
    """

    approved: bool
    why: str
    asked: bytes
    user: int
    by: str
    made: int
    signed: dict[str, Any] = field(default_factory=dict)

    @property
    def voice(self) -> str:
        """Whose it is: a key, or a user of the machine."""
        return str(self.signed.get("key", self.user))


def word_of(data: dict[str, Any], user: int) -> Word:
    """The word in a file that `user` owns. Raises `ValueError`, `KeyError` or `TypeError`."""
    asked, made, signed = bytes.fromhex(data["asked"]), int(data["made"]), dict[str, Any]()
    if "signature" in data:
        by, signed = str(data["officer"]), data
    else:
        by = user_name(user) + (f" (sudo: {data['sudo']})" if data["sudo"] and user == 0 else "")
    return Word(
        approved=data["approved"] is True,
        why=str(data["why"]),
        asked=asked,
        user=user,
        by=by,
        made=made,
        signed=signed,
    )


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A request on file with the words that count for it, denials first.

    `rule` is what approved it without a word, as the ledger names it ("rule monthly"), or "".
    `asker` is who had this party propose it, with a key of his own; `needed` how many officers
    must approve. `void`: when the job was stopped, approved and before the words took effect; 0
    where it was not.
    """

    request: Request
    ends: int
    user: int
    words: tuple[Word, ...] = ()
    rule: str = ""
    asker: Person | None = None
    needed: int = 1
    void: int = 0

    @property
    def word(self) -> Word | None:
        """The word that decides: a denial, or the approval that makes them enough."""
        if self.words and not self.words[0].approved:
            return self.words[0]
        voices = {word.voice: word for word in self.words}
        return [*voices.values()][-1] if len(voices) >= self.needed else None

    @property
    def decision(self) -> Decision:
        """What the words that count come to; there must be a deciding one."""
        if self.word is None or not self.word.approved:
            said = [self.words[0]]
        else:
            said = [*{word.voice: word for word in self.words}.values()]
        by = " and ".join(word.by for word in said)
        why = "; ".join(word.why for word in said if word.why)
        return Decision(said[0].approved, by, why, tuple(w.signed for w in said if w.signed))

    @property
    def own(self) -> bool:
        """Whether this party proposes it itself."""
        return self.request.contract.proposer == self.request.me

    def state(self, now: float) -> str:
        """waiting, approved, denied, expired, or refused: an approval that was taken back."""
        if self.void:
            return "refused"
        if self.rule:
            return "approved"
        if self.word is not None:
            return "approved" if self.word.approved else "denied"
        return "waiting" if now < self.ends else "expired"


class Counting(Protocol):
    """Whose word on a request counts, and how many are needed."""

    def __call__(self, word: Word, entry: Waiting) -> bool:
        """Whether this word counts."""

    def needed(self, entry: Waiting) -> int:
        """How many officers must approve."""


class Anybody:
    """One word, whoever gives it: for those who only read."""

    def __call__(self, word: Word, entry: Waiting) -> bool:
        """Yes."""
        del word, entry
        return True

    def needed(self, entry: Waiting) -> int:
        """One."""
        del entry
        return 1


def current_user() -> tuple[int, str]:
    """Who runs this process, and who became root by sudo for it."""
    user = os.geteuid()
    return user, os.environ.get("SUDO_USER", "") if user == 0 else ""
