"""A party's private keys at rest: one file, mode 0600, under a passphrase.

scrypt (N = 2^15, r = 8, p = 1; RFC 7914) turns the passphrase into a ChaCha20-Poly1305 key; the
associated data binds the party's name. A file that others can read is refused.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from federated.keys.party_keys import PartyKeys
from federated.store.files import write_atomic
from psi.protocol import (
    EnvironmentFailed,
    InputError,
    Length,
    Random,
    Text,
    decode,
    encode,
    message,
)

__all__ = ["check_private", "load_keys", "open_sealed", "save_keys", "save_sealed"]

_COST = 1 << 15
_PARTY = b"fedprofile keys v1"


@message(0xD8)
@dataclass(frozen=True)
class _KeyFile:
    name: Annotated[str, Text(64)]
    salt: Annotated[bytes, Length(32)]
    nonce: Annotated[bytes, Length(12)]
    sealed: Annotated[bytes, Length(1 << 10)]

    def __repr__(self) -> str:
        return f"<sealed keys of {self.name}>"


def check_private(path: Path) -> None:
    """Raise `EnvironmentFailed` if anyone but the owner can read or write the file."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise InputError(f"{path.name}: {error.strerror}") from None
    if mode & 0o077:
        raise EnvironmentFailed(
            f"{path.name} has mode {mode:04o}: others can read it, 0600 allowed",
            hint=f"chmod 600 {path}",
        )


def save_keys(path: Path, keys: PartyKeys, passphrase: bytes, random: Random) -> None:
    """Write both private keys, sealed under the passphrase."""
    save_sealed(path, _PARTY, keys.identity.name, keys.private_bytes(), passphrase, random)


def load_keys(path: Path, passphrase: bytes) -> PartyKeys:
    """The keys in a file; raises `InputError` on a wrong passphrase or an altered file."""
    name, plain = open_sealed(path, _PARTY, passphrase)
    return PartyKeys.from_private(name, plain)


def save_sealed(
    path: Path, use: bytes, name: str, plain: bytes, passphrase: bytes, random: Random
) -> None:
    """Write private keys, sealed under the passphrase, for one use and under one name."""
    salt, nonce = random(32), random(12)
    sealed = _cipher(passphrase, salt).encrypt(nonce, plain, use + name.encode())
    write_atomic(path, encode(_KeyFile(name, salt, nonce, sealed)), private=True)


def open_sealed(path: Path, use: bytes, passphrase: bytes) -> tuple[str, bytes]:
    """Name and private bytes; raises `InputError` on a wrong passphrase, use or file."""
    check_private(path)
    try:
        file = decode(path.read_bytes(), _KeyFile)
        cipher = _cipher(passphrase, file.salt)
        return file.name, cipher.decrypt(file.nonce, file.sealed, use + file.name.encode())
    except (InvalidTag, ValueError):
        raise InputError(
            f"{path} does not open", hint="is this the passphrase it was made with?"
        ) from None


def _cipher(passphrase: bytes, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(Scrypt(salt, 32, _COST, 8, 1).derive(passphrase))
