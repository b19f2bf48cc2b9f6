"""A party's public identity as a small JSON file that can be handed to others."""

from __future__ import annotations

import json
import re
from pathlib import Path

from federated.keys.party_keys import Identity
from federated.store.files import write_atomic
from psi.protocol import InputError

__all__ = ["read_identity", "write_identity"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def write_identity(path: Path, identity: Identity, *, private: bool = False) -> None:
    """Name, both public keys and the fingerprint: made to be handed on unless `private`."""
    data = {
        "name": identity.name,
        "organisation": identity.organisation.hex(),
        "sealing": identity.sealing.hex(),
        "fingerprint": identity.fingerprint,
    }
    write_atomic(path, json.dumps(data, indent=2) + "\n", private=private)


def read_identity(path: Path) -> Identity:
    """The identity in a file; raises `InputError` if it is malformed or its print differs."""
    try:
        data = json.loads(path.read_text("utf-8"))
        keys = bytes.fromhex(data["organisation"]), bytes.fromhex(data["sealing"])
        identity = Identity(str(data["name"]), *keys)
        if data["fingerprint"] != identity.fingerprint or len(keys[0] + keys[1]) != 64:
            raise ValueError
        if not _NAME.fullmatch(identity.name):
            raise ValueError  # a name is a file's name too
    except OSError as error:
        raise InputError(f"{path.name}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path.name}: not an identity file, or altered") from None
    return identity
