"""Officers and analysts of a party: keys of their own, named in a list that the party signs.

An officer's key is Ed25519, in a file of his own under a passphrase of his own; its public half is
a card that he hands to whoever keeps the party's keys. The list, `officers.json`, says whose word
counts: an *officer* approves and denies, an *analyst* proposes. A word on a proposal is a signature
over the party, the session, what was asked, yes or no, why, and when; so it cannot be moved to
another proposal or party, nor be given by whoever can merely write to the desk.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federated.keys.identity_file import read_identity
from federated.keys.keyfile import open_sealed, save_sealed
from federated.keys.party_keys import Identity, PartyKeys
from federated.store.files import write_atomic
from psi.protocol import InputError, MisuseError, Random, Refused

__all__ = [
    "ANALYST",
    "OFFICER",
    "OfficerKey",
    "OfficerList",
    "Person",
    "check_signed",
    "check_word",
    "load_officers",
    "read_card",
    "write_officers",
]

OFFICER, ANALYST = "officer", "analyst"
ROLES = (OFFICER, ANALYST)
_USE = b"fedprofile officer v1"
_LIST, _WORD = b"fedprofile officers v1\n", b"fedprofile word v1\n"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_FIELDS = ("party", "session", "asked", "approved", "why", "made", "officer", "key")


@dataclass(frozen=True)
class Person:
    """A name, a public key in hexadecimal, what it is for, and since when (seconds since 1970)."""

    name: str
    key: str
    role: str = OFFICER
    since: int = 0

    @property
    def fingerprint(self) -> str:
        """What is read out: SHA-256 of name and key, in groups of four."""
        data = _USE + self.name.encode() + bytes.fromhex(self.key)
        text = hashlib.sha256(data).hexdigest()[:40]
        return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


class OfficerKey:
    """The private key of one person. Never printed, never sent."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self.name, self._private = name, private
        self.public = private.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"<key of {self.name}>"

    @classmethod
    def make(cls, name: str, file: Path, passphrase: bytes, random: Random) -> OfficerKey:
        """A new key in `file`, mode 0600, under the passphrase. Raises `MisuseError`."""
        if not _NAME.fullmatch(name):
            raise MisuseError(f"{name!r}: letters, digits, dot, dash and underline make a name")
        if file.exists():
            raise MisuseError(f"{file} exists", hint="a key is not written over: name another")
        made = cls(name, Ed25519PrivateKey.generate())
        save_sealed(file, _USE, name, made._private.private_bytes_raw(), passphrase, random)
        return made

    @classmethod
    def load(cls, file: Path, passphrase: bytes) -> OfficerKey:
        """The key in a file; raises `InputError` where it does not open."""
        name, plain = open_sealed(file, _USE, passphrase)
        return cls(name, Ed25519PrivateKey.from_private_bytes(plain))

    def write_card(self, file: Path) -> Person:
        """The public half, to be handed to whoever keeps the party's keys."""
        person = Person(self.name, self.public)
        data = {"name": self.name, "key": self.public, "fingerprint": person.fingerprint}
        write_atomic(file, json.dumps(data, indent=1) + "\n", private=False)
        return person

    def sign_word(self, **word: Any) -> dict[str, Any]:
        """A word on a proposal with this person's name, key and signature.

        Args:
            word: `party`, `session` and `asked` (hexadecimal), `approved`, `why`, `made`.
        """
        said = word | {"officer": self.name, "key": self.public}
        return said | {"signature": self._private.sign(_signed(_WORD, said)).hex()}

    def sign(self, use: bytes, data: bytes) -> str:
        """A signature over other data, for one use, in hexadecimal."""
        return self._private.sign(use + data).hex()


@dataclass(frozen=True)
class OfficerList:
    """Whose word counts at a party. `number` grows with every change."""

    party: str
    number: int
    people: tuple[Person, ...]
    signature: str = ""

    def find(self, name: str, *roles: str) -> Person | None:
        """The person of this name, in one of these roles (an officer, if none is named)."""
        wanted = roles or (OFFICER,)
        return next((p for p in self.people if p.name == name and p.role in wanted), None)

    def plain(self) -> dict[str, Any]:
        """As a file and a ledger line hold it."""
        return asdict(self) | {"people": [asdict(person) for person in self.people]}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any], owner: Identity) -> OfficerList:
        """A list that its owner has signed. Raises `InputError` where it has not."""
        try:
            people = tuple(
                Person(str(p["name"]), str(p["key"]), str(p["role"]), int(p["since"]))
                for p in data["people"]
            )
            found = cls(str(data["party"]), int(data["number"]), people, str(data["signature"]))
            roles = all(p.role in ROLES and len(bytes.fromhex(p.key)) == 32 for p in people)
            if found.party != owner.name or not roles:
                raise ValueError
            _verify(owner.organisation, found.signature, _signed(_LIST, found._said()))
        except (KeyError, ValueError, TypeError, AttributeError, InvalidSignature):
            raise InputError(
                f"the list of officers is not signed by {owner.name}",
                hint="fedprofile node officers add writes it anew",
            ) from None
        return found

    def changed(
        self, people: tuple[Person, ...], keys: PartyKeys, clock: Callable[[], float] = time.time
    ) -> OfficerList:
        """The next list, signed by the party's organisation key."""
        dated = tuple(p if p.since else Person(p.name, p.key, p.role, int(clock())) for p in people)
        draft = OfficerList(keys.identity.name, self.number + 1, dated)
        signature = keys.sign_organisation(_signed(_LIST, draft._said())).hex()
        return OfficerList(draft.party, draft.number, dated, signature)

    def _said(self) -> dict[str, Any]:
        return {name: value for name, value in self.plain().items() if name != "signature"}


def check_word(word: Mapping[str, Any], listed: OfficerList) -> Person:
    """The officer whose word this is. Raises `Refused` unless the list names him and he signed."""
    try:
        if set(word) != {*_FIELDS, "signature"}:
            raise ValueError
        person = listed.find(str(word["officer"]))
        said = {name: word[name] for name in _FIELDS}
        if person is None or person.key != word["key"]:
            raise Refused(f"no officer of {listed.party} by this name and key")
        if word["party"] != listed.party:
            raise Refused("a word for another party")
        _verify(bytes.fromhex(person.key), str(word["signature"]), _signed(_WORD, said))
    except (KeyError, ValueError, TypeError, InvalidSignature):
        raise Refused("a word that its officer has not signed") from None
    return person


def check_signed(person: Person, use: bytes, data: bytes, signature: str) -> None:
    """Raise `Refused` unless this person signed `data` for this use."""
    try:
        _verify(bytes.fromhex(person.key), signature, use + data)
    except (ValueError, TypeError, InvalidSignature):
        raise Refused(f"not signed by {person.name}") from None


def load_officers(home: Path, owner: Identity | None = None) -> OfficerList | None:
    """The list in a party's folder, signed by `owner`, or whom the folder says it is.

    None where nobody is listed. Raises `InputError`.
    """
    try:
        text = (home / "officers.json").read_text("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"officers.json: {error.strerror}") from None
    try:
        data = json.loads(text)
    except ValueError:
        raise InputError("officers.json: malformed") from None
    signer = owner or read_identity(home / "identity.json")
    return OfficerList.from_plain(data if isinstance(data, dict) else {}, signer)


def write_officers(home: Path, listed: OfficerList) -> None:
    """Put a list into a party's folder; officers read it."""
    write_atomic(home / "officers.json", json.dumps(listed.plain(), indent=1), private=False)


def read_card(file: Path) -> Person:
    """The public half in a card; raises `InputError` if it is malformed or its print differs."""
    try:
        data = json.loads(file.read_text("utf-8"))
        person = Person(str(data["name"]), str(data["key"]))
        whole = len(bytes.fromhex(person.key)) == 32 and _NAME.fullmatch(person.name)
        if not whole or data["fingerprint"] != person.fingerprint:
            raise ValueError
    except OSError as error:
        raise InputError(f"{file.name}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{file.name}: not an officer's card, or altered",
            hint="fedprofile node officers key NAME makes one",
        ) from None
    return person


def _signed(use: bytes, said: Mapping[str, Any]) -> bytes:
    text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return use + text.encode()


def _verify(public: bytes, signature: str, data: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signature), data)
