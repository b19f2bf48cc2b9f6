"""The ledger: what one party agreed to, sent, received and disclosed, line by line.

A JSON-lines file. Each line holds the hash of the one before it and a signature by the
party's organisation key, so a line cannot be changed or dropped unseen; at a job's end the
parties exchange and keep each other's signed heads, so neither can its tail. Lines hold
names, sizes and hashes, never a row, an identifier or a key.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federated.party.keys import Identity, PartyKeys
from psi.protocol import EnvironmentFailed, InputError, PeerError

__all__ = ["Head", "Ledger", "read_ledger", "verify_ledger"]

_START = "0" * 64


@dataclass(frozen=True)
class Head:
    """The last line's number and hash, signed: what other parties keep."""

    number: int
    digest: str
    signature: str


class Ledger:
    """Appends to one party's ledger file; opens and checks what is there already."""

    def __init__(self, path: Path, keys: PartyKeys, clock: Callable[[], float]) -> None:
        self._path, self._keys, self._clock = path, keys, clock
        self._number, self._last = 0, _START
        for line in _lines(path) if path.exists() else ():
            self._number, self._last = line["number"] + 1, line["hash"]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
            path.chmod(0o600)
        except OSError as error:
            raise EnvironmentFailed(f"ledger {path.name}: {error.strerror}") from None

    def __repr__(self) -> str:
        return f"<ledger of {self._keys.identity.name}, {self._number} lines>"

    def write(self, kind: str, **body: Any) -> None:
        """Append one line and flush it to the operating system."""
        line = {
            "number": self._number,
            "time": int(self._clock()),
            "party": self._keys.identity.name,
            "kind": kind,
            "body": body,
            "previous": self._last,
        }
        digest = _digest(line)
        signature = self._keys.sign_organisation(_signed(digest)).hex()
        line |= {"hash": digest, "signature": signature}
        try:
            self._file.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")
            self._file.flush()
        except OSError as error:
            raise EnvironmentFailed(f"ledger {self._path.name}: {error.strerror}") from None
        self._number, self._last = self._number + 1, digest

    def head(self) -> Head:
        """The signed head: hand it to the other parties."""
        signature = self._keys.sign_organisation(_signed(self._last)).hex()
        return Head(self._number - 1, self._last, signature)

    def close(self) -> None:
        """Sync to disk and close."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


def check_head(head: Head, owner: Identity) -> None:
    """Raise `PeerError` unless `owner` signed this head."""
    try:
        signature = bytes.fromhex(head.signature)
    except ValueError:
        raise PeerError("malformed ledger head") from None
    owner.check_organisation(signature, _signed(head.digest), "ledger head")


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """All lines of a ledger file."""
    return list(_lines(path))


def verify_ledger(path: Path, owner: Identity) -> int:
    """The number of lines, all chained and signed by `owner`; raises `InputError` if not."""
    last, count = _START, 0
    for count, line in enumerate(_lines(path), start=1):
        body = {k: v for k, v in line.items() if k not in ("hash", "signature")}
        where = f"{path.name}, line {count}"
        if line["number"] != count - 1 or line["previous"] != last:
            raise InputError(f"{where}: a line before it is missing or was moved")
        if line["hash"] != _digest(body):
            raise InputError(f"{where}: the line was altered")
        try:
            signature = bytes.fromhex(line["signature"])
            owner.check_organisation(signature, _signed(line["hash"]), where)
        except (ValueError, PeerError):
            raise InputError(f"{where}: not signed by {owner.name}") from None
        last = line["hash"]
    return count


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                try:
                    line = json.loads(text)
                    keys = {"number", "previous", "hash", "signature", "kind", "body"}
                    if not isinstance(line, dict) or not keys <= line.keys():
                        raise ValueError
                except ValueError:
                    raise InputError(f"{path.name}, line {number}: not a ledger line") from None
                yield line
    except OSError as error:
        raise InputError(f"ledger {path.name}: {error.strerror}") from None


def _digest(line: dict[str, Any]) -> str:
    text = json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _signed(digest: str) -> bytes:
    return b"fedprofile ledger v1\n" + digest.encode()
