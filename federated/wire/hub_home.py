"""The folder of a hub: settings, certificates, who is registered, which invites are open.

    hub.toml                  address, host names, limits
    authority.crt, .key       the certificate authority (key 0600)
    server.crt, server.key    what nodes see (key 0600)
    nodes.json                name, public key, since when, whether revoked
    invites.json              hashes of open invites' tokens, never the tokens
    lives.json                the last life of each node, so that an older copy is known (lives_met)
    hub.sock                  for commands and for a party mounted in the hub; the owner's only

Registrations and revocations are files, so a running hub sees them when the file changes, and a
restart forgets nothing. What nodes send is in memory only.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import re
import secrets
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from federated.store.files import check_layout, make_folder, write_atomic
from federated.wire.certificates import (
    Authority,
    certificate_key,
    hosts_of,
    make_key,
    read_certificate,
    read_key,
    write_key,
)
from federated.wire.lives_met import LivesMet
from psi.protocol import EnvironmentFailed, InputError, MisuseError, PeerError

__all__ = ["HubHome", "Invite", "NodeEntry", "read_invite", "write_invite"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_LAYOUT = 1


@dataclass(frozen=True)
class NodeEntry:
    """A registered node. `key` is its public key (DER, hexadecimal)."""

    name: str
    key: str
    since: int
    revoked: int = 0

    @property
    def active(self) -> bool:
        """Whether the hub talks to it."""
        return not self.revoked


@dataclass(frozen=True)
class Invite:
    """What an invite file holds: where the hub is, how to know it, and a token used once."""

    hub: str
    name: str
    authority: str
    token: str
    expires: int

    def __repr__(self) -> str:
        return f"<invite for {self.name}>"


class HubHome:
    """One hub's folder."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path, self._clock = path, clock
        self.lives = LivesMet(path)
        try:
            data = tomllib.loads((path / "hub.toml").read_text("utf-8"))
            check_layout(path / "hub.toml", data["version"], _LAYOUT)
            self.address = str(data["address"])
            self.host, self.port = str(data["listen"]), int(data["port"])
            self.megabytes = int(data.get("megabytes", 512))
            self.megabytes_a_step = int(data.get("megabytes_a_step", 8192))
        except OSError:
            raise InputError(f"{path}: no hub here", hint="fedprofile hub init") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, ValueError):
            raise InputError("hub.toml: malformed") from None

    def __repr__(self) -> str:
        return f"<hub at {self.address}>"

    @classmethod
    def create(cls, path: Path, hosts: list[str], port: int, listen: str) -> HubHome:
        """A new hub: authority, server certificate, keys. Raises `MisuseError` if one is there."""
        if (path / "hub.toml").exists():
            raise MisuseError(f"{path} holds a hub already", hint="give another --home")
        make_folder(path)
        path.chmod(0o700)
        authority, key = Authority.create("fedprofile hub"), make_key()
        write_atomic(path / "authority.key", authority.key_bytes(), private=True)
        write_atomic(path / "authority.crt", authority.pem())
        write_atomic(path / "server.key", write_key(key, None), private=True)
        write_atomic(path / "server.crt", authority.server(key.public_key(), hosts))
        for name in ("nodes.json", "invites.json"):
            write_atomic(path / name, "[]\n", private=True)
        address = f"{hosts[0]}:{port}"
        text = (
            f"version = {_LAYOUT}\n"
            f'address = "{address}"      # what invites say\n'
            f'listen = "{listen}"\n'
            f"port = {port}\n"
            "megabytes = 512              # of parcels in memory for a receiver, at most\n"
            "megabytes_a_step = 8192      # from one party to another in a step, at most\n"
        )
        write_atomic(path / "hub.toml", text)
        return cls(path)

    @property
    def authority(self) -> Authority:
        """The certificate authority with its key."""
        return Authority.load(self.path / "authority.key", self.path / "authority.crt")

    @property
    def expires(self) -> dt.datetime:
        """When the hub's certificate ends."""
        return read_certificate((self.path / "server.crt").read_bytes()).not_valid_after_utc

    def renew(self) -> None:
        """Certificates of hub and authority for longer, under the same keys and host names.

        Nodes keep what they have: they know the authority by its key, and get its new certificate
        with the invite by which they renew their own. Killed between, either pair holds.
        """
        authority, server = self.authority.renewed(), self.path / "server.crt"
        hosts = hosts_of(read_certificate(server.read_bytes()))
        key = read_key(self.path / "server.key", None).public_key()
        write_atomic(self.path / "authority.crt", authority.pem())
        write_atomic(server, authority.server(key, hosts))

    @property
    def socket(self) -> Path:
        """The local socket of a running hub."""
        return self.path / "hub.sock"

    @property
    def mounted(self) -> str:
        """The party that takes part in this hub's own process, "" if there is none."""
        try:
            return str(
                tomllib.loads((self.path / "party" / "node.toml").read_text("utf-8"))["name"]
            )
        except (OSError, tomllib.TOMLDecodeError, KeyError, UnicodeDecodeError):
            return ""

    def nodes(self) -> dict[str, NodeEntry]:
        """All registered nodes by name, revoked ones too."""
        return {entry["name"]: NodeEntry(**entry) for entry in self._read("nodes.json")}

    def invite(self, name: str, hours: float = 72.0) -> Invite:
        """A new invite; an open one of the same name is void from now on."""
        if not _NAME.fullmatch(name):
            raise MisuseError(
                "a node's name has 1 to 32 of a-z, 0-9, - and _",
                hint="fedprofile hub invite bureau",
            )
        if name == self.mounted:
            raise MisuseError(
                f"{name} is mounted in this hub, which needs no invite",
                hint="a node of that name would keep the hub from starting",
            )
        known = self.nodes().get(name)
        if known is not None and known.active:
            raise MisuseError(f"{name} is registered", hint=f"fedprofile hub revoke {name} first")
        token = secrets.token_urlsafe(32)
        expires = int(self._clock() + hours * 3600)
        entry = {"name": name, "token": _hashed(token), "expires": expires}
        self._write("invites.json", [*self._open_invites(but=name), entry])
        return Invite(self.address, name, self.authority.pem().decode(), token, expires)

    def enrol(self, name: str, token: str, request: bytes) -> bytes:
        """Use up an invite: the node's certificate in PEM. Raises `PeerError`."""
        found = None
        for entry in self._read("invites.json"):
            if hmac.compare_digest(entry["token"], _hashed(token)) and entry["name"] == name:
                found = entry
        if found is None:
            raise PeerError("this invite is unknown or was used", hint="ask for a new invite")
        if found["expires"] < self._clock():
            raise PeerError("this invite has expired", hint="ask for a new invite")
        certificate = self.authority.node(request, name)
        node = NodeEntry(name, certificate_key(certificate).hex(), int(self._clock()))
        self._write("invites.json", self._open_invites(but=name))
        others = [entry for entry in self.nodes().values() if entry.name != name]
        self._write("nodes.json", [asdict(entry) for entry in [*others, node]])
        return certificate

    def revoke(self, name: str) -> None:
        """From now on the hub hears nothing from this node."""
        nodes = self.nodes()
        if name not in nodes or not nodes[name].active:
            known = ", ".join(n.name for n in nodes.values() if n.active) or "none"
            raise MisuseError(f"no registered node {name!r}", hint=f"registered: {known}")
        nodes[name] = replace(nodes[name], revoked=int(self._clock()))
        self._write("nodes.json", [asdict(entry) for entry in nodes.values()])

    def restored(self) -> list[str]:
        """After a copy was restored: open invites are void, lives unknown; the nodes in it.

        An invite that was used since would register a second node, and a node that was revoked
        since is registered again: its owner has to know.
        """
        self._write("invites.json", [])
        self.lives.forget()
        return [entry.name for entry in self.nodes().values() if entry.active]

    def check(self) -> None:
        """Raise `EnvironmentFailed` if others can read a private file."""
        for name in ("authority.key", "server.key", "nodes.json", "invites.json"):
            mode = (self.path / name).stat().st_mode & 0o777
            if mode & 0o077:
                raise EnvironmentFailed(
                    f"{name} has mode {mode:04o}: others can read it, 0600 allowed",
                    hint=f"chmod 600 {self.path / name}",
                )

    def _open_invites(self, *, but: str) -> list[dict[str, Any]]:
        now = self._clock()
        return [e for e in self._read("invites.json") if e["name"] != but and e["expires"] >= now]

    def _read(self, name: str) -> list[dict[str, Any]]:
        try:
            data = json.loads((self.path / name).read_text("utf-8"))
        except (OSError, ValueError):
            raise EnvironmentFailed(f"{name} of the hub cannot be read") from None
        return list(data)

    def _write(self, name: str, entries: list[dict[str, Any]]) -> None:
        write_atomic(self.path / name, json.dumps(entries, indent=1) + "\n", private=True)


def read_invite(path: Path) -> Invite:
    """The invite in a file; raises `InputError` if it is malformed."""
    try:
        data = json.loads(path.read_text("utf-8"))
        invite = Invite(**{name: data[name] for name in Invite.__dataclass_fields__})
        if not all(isinstance(getattr(invite, n), str) for n in ("hub", "name", "token")):
            raise ValueError
    except OSError as error:
        raise InputError(f"{path.name}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path.name}: not an invite") from None
    if not _NAME.fullmatch(invite.name):
        raise InputError(f"{path.name}: not an invite")
    return invite


def write_invite(path: Path, invite: Invite) -> None:
    """One JSON file, mode 0600: whoever holds it first can register under its name."""
    write_atomic(path, json.dumps(asdict(invite), indent=1) + "\n", private=True)


def _hashed(token: str) -> str:
    return hashlib.sha256(b"fedprofile invite v1" + token.encode()).hexdigest()
