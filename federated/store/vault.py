"""Sealed files of a party's own: ChaCha20-Poly1305 under a key that lies beside them (0600).

What is sealed protects against copies of the files without the key (a backup, a shared disk),
and whoever may read the key may read the rest; see docs/THREAT_MODEL.md.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from federated.store.files import disk_failed, write_atomic
from psi.protocol import EnvironmentFailed, InputError, Random

__all__ = ["TAG", "Vault"]

_NONCE = 12
TAG = _NONCE + 16
"""Bytes that a sealed file has more than its data."""


class Vault:
    """Seals and opens files of one folder; `label` separates the uses of a key."""

    def __init__(self, folder: Path, key_file: str, label: bytes, random: Random) -> None:
        self._folder, self._key_path = folder, folder / key_file
        self._label, self._random = label, random
        self._opened: ChaCha20Poly1305 | None = None

    def __repr__(self) -> str:
        return f"<vault {self._key_path.name}>"

    def write(self, name: str, data: bytes, bound: bytes = b"", *, sync: bool = True) -> None:
        """Seal and replace `name`; `bound` must be given again to open it."""
        write_atomic(self._folder / name, self.seal(data, bound), private=True, sync=sync)

    def read(self, name: str, bound: bytes = b"") -> bytes | None:
        """What was written, None if nothing was. Raises `InputError` if it does not open."""
        try:
            data = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_failed(f"cannot read {self._folder / name}", error) from None
        return self.open(name, data, bound)

    def seal(self, data: bytes, bound: bytes = b"") -> bytes:
        """What a file of this data is to hold."""
        nonce = self._random(_NONCE)
        return nonce + self._cipher().encrypt(nonce, data, self._label + bound)

    def sealing(self, bound: bytes) -> Callable[[memoryview], tuple[bytes, bytes]]:
        """The same for another thread: a function that gives nonce and sealed data apart."""
        nonce, cipher = self._random(_NONCE), self._cipher()
        return lambda data: (nonce, cipher.encrypt(nonce, data, self._label + bound))

    def open(self, name: str, data: bytes | memoryview, bound: bytes = b"") -> bytes:
        """The data in what file `name` holds. Raises `InputError` if it does not open."""
        try:
            return self._cipher().decrypt(data[:_NONCE], data[_NONCE:], self._label + bound)
        except (InvalidTag, ValueError):
            raise InputError(
                f"{name} is of another contract or was altered",
                hint="remove it and run the job again",
            ) from None

    def destroy(self) -> None:
        """Remove the key: what it sealed is lost."""
        self._key_path.unlink(missing_ok=True)
        self._opened = None

    def _cipher(self) -> ChaCha20Poly1305:
        if self._opened is None:
            if not self._key_path.exists():
                write_atomic(self._key_path, self._random(32), private=True)
            if stat.S_IMODE(self._key_path.stat().st_mode) & 0o077:
                name = self._key_path.name
                raise EnvironmentFailed(f"{name} can be read by others", hint=f"chmod 600 {name}")
            self._opened = ChaCha20Poly1305(self._key_path.read_bytes())
        return self._opened
