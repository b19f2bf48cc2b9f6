"""The other parties a node knows: their identities, and whether their keys are confirmed.

An identity file that lies in `peers` is a claim. It counts once an officer has compared its
fingerprint out of band (`confirmed.json` keeps which, by whom and when), or once an authority that
this party named has signed it. A file that is replaced is a claim again.

    peers/NAME.json        identities
    peers/NAME.voucher     an identity with the signature of an authority
    authorities/NAME.json  identities of authorities, each confirmed when it was named
    confirmed.json         name -> fingerprint, by, on
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from federated.keys.identity_file import read_identity, write_identity
from federated.keys.party_keys import Identity, PartyKeys
from federated.store.files import write_atomic
from psi.protocol import InputError, MisuseError, PeerError, encode

__all__ = ["Peer", "Peers", "vouch"]


@dataclass(frozen=True)
class Peer:
    """One known party; `confirmed` says how its key was confirmed, "" if it was not."""

    identity: Identity
    confirmed: str


class Peers:
    """The peers of the node in `home`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder, self._authorities = home / "peers", home / "authorities"
        self._confirmed = home / "confirmed.json"

    def __repr__(self) -> str:
        return f"<peers in {self._home.name}>"

    def all(self) -> list[Peer]:
        """Every identity that lies here, the confirmed ones among them, by name."""
        book, authorities = self._book(), self.authorities()
        found = [read_identity(file) for file in sorted(self._folder.glob("*.json"))]
        peers = [Peer(one, self._how(one, book, authorities)) for one in found]
        return sorted(peers, key=lambda peer: (peer.identity.name, not peer.confirmed))

    def confirmed(self) -> dict[str, Identity]:
        """The identities that contracts may name."""
        return {peer.identity.name: peer.identity for peer in self.all() if peer.confirmed}

    def authorities(self) -> list[Identity]:
        """Those whose signature under an identity counts."""
        return [read_identity(file) for file in sorted(self._authorities.glob("*.json"))]

    def add(self, file: Path, me: Identity) -> Peer:
        """Take up an identity file, or a voucher: an identity that an authority has signed.

        It replaces an earlier one of that name, whose confirmation does not carry over.
        """
        identity = read_identity(file)
        if identity.name == me.name:
            raise MisuseError(f"{file.name}: {me.name} is this party's own name")
        write_identity(self._folder / f"{identity.name}.json", identity)
        voucher = self._folder / f"{identity.name}.voucher"
        voucher.unlink(missing_ok=True)
        if "voucher" in _load(file):
            write_atomic(voucher, file.read_bytes(), private=False)
        return Peer(identity, self._how(identity, self._book(), self.authorities()))

    def confirm(self, name: str, fingerprint: str, by: str) -> Peer:
        """An officer has compared the fingerprint; it must be the one of the file that is here."""
        peer = next((p for p in self.all() if p.identity.name == name), None)
        if peer is None:
            raise InputError(f"no identity of {name} here", hint="fedprofile node peers add FILE")
        check_fingerprint(peer.identity, fingerprint)
        entry = {"fingerprint": peer.identity.fingerprint, "by": by, "on": str(int(time.time()))}
        self._write(self._book() | {name: entry})
        return Peer(peer.identity, f"fingerprint compared by {by}")

    def remove(self, name: str) -> None:
        """Forget a peer, its confirmation too."""
        files = [f for f in self._folder.glob("*.json") if read_identity(f).name == name]
        if not files:
            raise InputError(f"no identity of {name} here")
        self._write({key: entry for key, entry in self._book().items() if key != name})
        for file in [*files, self._folder / f"{name}.voucher"]:
            file.unlink(missing_ok=True)

    def name_authority(self, file: Path, fingerprint: str) -> Identity:
        """From now on identities that this one signs are confirmed."""
        identity = read_identity(file)
        check_fingerprint(identity, fingerprint)
        write_identity(self._authorities / f"{identity.name}.json", identity)
        return identity

    def _how(self, one: Identity, book: dict[str, dict[str, str]], known: list[Identity]) -> str:
        entry = book.get(one.name)
        if entry is not None and entry["fingerprint"] == one.fingerprint:
            return f"fingerprint compared by {entry['by']}"
        voucher = self._folder / f"{one.name}.voucher"
        if voucher.exists() and read_identity(voucher) == one:
            for authority in known:
                if _signed_by(authority, one, _load(voucher).get("voucher")):
                    return f"signed by {authority.name}"
        return ""

    def _book(self) -> dict[str, dict[str, str]]:
        return _load(self._confirmed) if self._confirmed.exists() else {}

    def _write(self, book: dict[str, dict[str, str]]) -> None:
        # for officers, who are other users; the folder keeps everybody else out
        write_atomic(self._confirmed, json.dumps(book, indent=1) + "\n", private=False)


def vouch(keys: PartyKeys, identity: Identity, out: Path) -> None:
    """Write an identity with this party's signature: who names it an authority believes it."""
    signature = keys.sign_organisation(_signed(identity)).hex()
    write_identity(out, identity)
    text = json.dumps(_load(out) | {"voucher": signature}, indent=2) + "\n"
    write_atomic(out, text, private=False)


def check_fingerprint(identity: Identity, fingerprint: str) -> None:
    """Raise `MisuseError` unless this is the identity's fingerprint, spaces and case aside."""
    given, whole = "".join(fingerprint.split()).lower(), identity.fingerprint.replace(" ", "")
    if len(given) != len(whole) or set(given) - set("0123456789abcdef"):
        raise MisuseError(
            f"{len(given)} characters of a fingerprint found, {len(whole)} hex digits needed",
            hint="all of it, as the other officer reads it out",
        )
    if given != whole:
        raise MisuseError(
            f"this is not the fingerprint of the key of {identity.name} that is here",
            hint="somebody's file was altered or is old: do not go on, ask for it anew",
        )


def _signed(identity: Identity) -> bytes:
    return b"fedprofile voucher v1\n" + encode(identity)


def _signed_by(authority: Identity, identity: Identity, signature: object) -> bool:
    try:
        given = bytes.fromhex(signature) if isinstance(signature, str) else b""
        authority.check_organisation(given, _signed(identity), "voucher")
    except (ValueError, PeerError):
        return False
    return True


def _load(file: Path) -> dict[str, dict[str, str]]:
    try:
        data = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{file.name}: cannot be read") from None
    if not isinstance(data, dict):
        raise InputError(f"{file.name}: malformed")
    return data
