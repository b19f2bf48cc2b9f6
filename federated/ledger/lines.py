"""The ledger: what one party agreed to, sent, received and disclosed, line by line.

A JSON-lines file, one a job. Each line holds the hash of the one before it and a signature by
the party's organisation key over session, number and hash: the *head* at that line. Every frame
that leaves carries the sender's head of that moment, sealed, and its receiver notes it, so that
each party holds proof of the others' accounts from the first message on, even of a job that
broke off. Lines hold names, sizes and hashes, never a row, an identifier or a key. Each has a salt,
or whoever holds two heads would find a count in a line between them by trying all there are.

docs/LEDGER.md lists the kinds of lines and their fields.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federated.keys.party_keys import Identity, PartyKeys
from federated.store.files import disk_failed, make_folder
from psi.protocol import InputError, MisuseError, PeerError, Random

__all__ = [
    "FORMAT",
    "READ",
    "START",
    "Head",
    "Ledger",
    "check_head",
    "line_digest",
    "parse_lines",
    "read_ledger",
]

FORMAT = 3
READ = (2, FORMAT)
"""Formats that are read: lines of the first have no salt."""
HELD_WITHIN = 2.0
"""Seconds in which a process that was killed has let go of its ledger."""

START = "0" * 64
_KEYS = {
    "number": int,
    "time": int,
    "party": str,
    "kind": str,
    "body": dict,
    "previous": str,
    "hash": str,
    "signature": str,
}
_SALTED = {**_KEYS, "salt": str}
_SALT = 16
_SIZE = 8 + 32 + 64


@dataclass(frozen=True)
class Head:
    """A line's number and hash, signed by its owner for one session: what other parties keep."""

    number: int
    digest: str
    signature: str

    def to_bytes(self) -> bytes:
        """104 bytes: what a frame carries."""
        parts = bytes.fromhex(self.digest) + bytes.fromhex(self.signature)
        return self.number.to_bytes(8, "big") + parts

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """The head in a frame; raises `PeerError` on another length."""
        if len(data) != _SIZE:
            raise PeerError(f"a ledger head of {len(data)} bytes found, {_SIZE} expected")
        return cls(int.from_bytes(data[:8], "big"), data[8:40].hex(), data[40:].hex())

    def plain(self) -> list[Any]:
        """As a ledger line holds it."""
        return [self.number, self.digest, self.signature]


def check_head(head: Head, owner: Identity, session: bytes) -> None:
    """Raise `PeerError` unless `owner` signed this head for this session."""
    try:
        signature, signed = bytes.fromhex(head.signature), _signed(session, head)
    except (ValueError, OverflowError):
        raise PeerError("malformed ledger head") from None
    owner.check_organisation(signature, signed, "ledger head")


class Ledger:
    """Appends to one party's ledger of one job; opens and checks what is there already.

    `parties` are noted where the ledger begins. Whoever has it open holds it alone: two lives of a
    party in one job would write one account, and use the numbers of sealed frames twice. Raises
    `MisuseError` where another process, or another life in this one, has it.

    `frames[way, peer]` counts the frames noted in each direction, `heads[peer]` is the last head
    that came from a peer; `reopened` says whether an earlier life of this party has written here,
    `over` whether the job's end is noted.
    """

    def __init__(
        self,
        path: Path,
        keys: PartyKeys,
        clock: Callable[[], float],
        session: bytes,
        parties: Mapping[str, Identity],
        random: Random = secrets.token_bytes,
    ) -> None:
        self._path, self._keys, self._clock, self._session = path, keys, clock, session
        self._random = random
        self._number, self._last, self._signature = 0, START, ""
        self._facts: set[tuple[str, str]] = set()
        self._taken: dict[tuple[str, int], str] = {}
        self.frames: dict[tuple[str, str], int] = {}
        self.heads: dict[str, Head] = {}
        self.over = False
        self._file, self._found = _held(path), list[str]()
        for line in _whole_lines(path):
            self._found.append(line["hash"])
            self._take(line)
            if line["kind"] == "received":
                body = line["body"]
                self._taken[body["peer"], body["frame"]] = body["sha256"]
            if line["kind"] == "opened" and line["body"].get("session") != session.hex():
                raise InputError(f"{path.name} is of another session")
        self.reopened = self._number > 0
        if not self.reopened:
            who = {
                name: {"organisation": p.organisation.hex(), "fingerprint": p.fingerprint}
                for name, p in parties.items()
            }
            self.write("opened", format=FORMAT, session=session.hex(), parties=who)

    def __repr__(self) -> str:
        return f"<ledger of {self._keys.identity.name}, {self._number} lines>"

    def write(self, kind: str, **body: Any) -> None:
        """Append one line; a kill afterwards does not lose it."""
        line = {
            "number": self._number,
            "time": int(self._clock()),
            "party": self._keys.identity.name,
            "kind": kind,
            "body": body,
            "previous": self._last,
            "salt": self._random(_SALT).hex(),
        }
        digest = line_digest(line)
        signed = _signed(self._session, Head(self._number, digest, ""))
        line |= {"hash": digest, "signature": self._keys.sign_organisation(signed).hex()}
        self._append(_text(line).encode() + b"\n")
        self._take(line)

    def once(self, kind: str, **body: Any) -> None:
        """Append a line unless this very one is there: a party that comes back says it again."""
        if (kind, _text(body)) not in self._facts:
            self.write(kind, **body)

    def says(self, kind: str) -> bool:
        """Whether there is such a line, of any life of this party; not of frames."""
        return any(kind == said for said, _ in self._facts)

    def frame(self, way: str, peer: str, number: int, *, sha256: str, **body: Any) -> None:
        """Note frame `number` "sent" to or "received" from a peer, unless it was noted before.

        Raises `PeerError` where an earlier life of this party has taken another one in its place.
        """
        if number >= self.frames.get((way, peer), 0):
            self.write(way, peer=peer, frame=number, sha256=sha256, **body)
        elif way == "received" and self._taken.get((peer, number), sha256) != sha256:
            raise PeerError(f"frame #{number} of {peer} is another than before the restart")

    def head(self) -> Head:
        """The present head: what the next frame carries."""
        return Head(self._number - 1, self._last, self._signature)

    @property
    def at(self) -> tuple[int, str]:
        """How many lines there are, and the hash of the last."""
        return self._number, self._last

    def has(self, lines: int, last: str) -> bool:
        """Whether the file held so many lines when it was opened, the last with this hash."""
        return 0 < lines <= len(self._found) and self._found[lines - 1] == last

    def fileno(self) -> int:
        """The open file, for whoever syncs it together with others."""
        return self._file.fileno()

    def sync(self) -> None:
        """To the disk: before a head leaves, so that a power failure cannot take its line back."""
        try:
            os.fdatasync(self._file.fileno())
        except OSError as error:
            raise disk_failed(f"cannot write {self._path}", error) from None

    def close(self) -> None:
        """Sync and close."""
        if not self._file.closed:
            with self._file:
                self.sync()

    def _append(self, data: bytes) -> None:
        """One write a line, so that a kill leaves none of it half there."""
        file = self._file.fileno()
        before = os.fstat(file).st_size
        try:
            if os.write(file, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            os.ftruncate(file, before)
            raise disk_failed(f"cannot write {self._path}", error) from None

    def _take(self, line: Mapping[str, Any]) -> None:
        """Go on behind a line: one just written, or one from before a restart."""
        if line["number"] != self._number or line["previous"] != self._last:
            where = f"{self._path.name}, line {self._number + 1}"
            raise InputError(f"{where}: a line before it is missing or was moved")
        self._number, self._last = line["number"] + 1, line["hash"]
        self._signature = line["signature"]
        kind, body = line["kind"], line["body"]
        self.over |= kind == "finished"
        if "frame" in body:
            self.frames[kind, body["peer"]] = body["frame"] + 1
        else:
            self._facts.add((kind, _text(body)))
        if "head" in body:
            self.heads[body["peer"]] = Head(*body["head"])


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """All lines of a ledger file. Raises `InputError` if one is not a ledger line."""
    return parse_lines(path.name, _read(path))


def parse_lines(name: str, data: bytes) -> list[dict[str, Any]]:
    """The lines in a ledger's bytes; a broken one is named by `name` and its number."""
    texts = data.split(b"\n")
    if texts.pop():
        raise InputError(f"{name}, line {len(texts) + 1}: the line breaks off")
    lines = []
    for number, text in enumerate(texts, start=1):
        try:
            line = json.loads(text)
            if not isinstance(line, dict) or line.keys() not in (_KEYS.keys(), _SALTED.keys()):
                raise ValueError
            if any(type(line[key]) is not _SALTED[key] for key in line):
                raise ValueError
            if _text(line).encode() != text:
                raise ValueError  # spelled in another way than it was written
        except (ValueError, RecursionError):
            raise InputError(f"{name}, line {number}: not a ledger line") from None
        lines.append(line)
    return lines


def line_digest(line: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of all of a line but its hash and signature."""
    return hashlib.sha256(
        _text({k: v for k, v in line.items() if k not in ("hash", "signature")}).encode()
    ).hexdigest()


def _held(path: Path) -> io.FileIO:
    """The file, to append to, held alone until it is closed or nobody refers to it any more."""
    end = time.monotonic() + HELD_WITHIN
    try:
        make_folder(path.parent)
        file = io.FileIO(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))
        os.fchmod(file.fileno(), 0o600)
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except BlockingIOError:
                if time.monotonic() > end:
                    break
                time.sleep(0.05)
    except OSError as error:
        raise disk_failed(f"cannot write {path}", error) from None
    raise MisuseError(
        f"{path.parent.name[:8]}: another process writes this ledger",
        hint="a job is played by one process at a time: end the other, or let it go on",
    )


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """What is there; a last line that a power failure left half written is cut off."""
    if not path.exists():
        return []
    data = _read(path)
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    lines = parse_lines(path.name, whole)
    for number, line in enumerate(lines, start=1):
        if line["hash"] != line_digest(line):
            raise InputError(f"{path.name}, line {number}: the line was altered")
    return lines


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"ledger {path.name}: {error.strerror}") from None


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _signed(session: bytes, head: Head) -> bytes:
    number = head.number.to_bytes(8, "big")
    return b"fedprofile ledger v2\n" + session + number + bytes.fromhex(head.digest)
