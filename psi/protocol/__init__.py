"""What every protocol role speaks: envelope, codec, errors, role, store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psi.lazy import handed_out, listed

if TYPE_CHECKING:
    from psi.protocol.codec import Array, Length, Range, Text, decode, encode, message
    from psi.protocol.envelope import Envelope
    from psi.protocol.errors import (
        CodecError,
        Declined,
        EnvironmentFailed,
        FedprofileError,
        InputError,
        JobError,
        MisuseError,
        PeerError,
        PeerGone,
        PhaseError,
        Refused,
        not_installed,
    )
    from psi.protocol.harness import Pair
    from psi.protocol.role import Context, Done, Idle, Outgoing, Random, Role, Share, Turn
    from psi.protocol.store import MemoryStore, Store, gathered

__all__ = [
    "Array",
    "CodecError",
    "Context",
    "Declined",
    "Done",
    "Envelope",
    "EnvironmentFailed",
    "FedprofileError",
    "Idle",
    "InputError",
    "JobError",
    "Length",
    "MemoryStore",
    "MisuseError",
    "Outgoing",
    "Pair",
    "PeerError",
    "PeerGone",
    "PhaseError",
    "Random",
    "Range",
    "Refused",
    "Role",
    "Share",
    "Store",
    "Text",
    "Turn",
    "decode",
    "encode",
    "gathered",
    "message",
    "not_installed",
]

_FROM = {
    "psi.protocol.codec": (
        "Array",
        "Length",
        "Range",
        "Text",
        "decode",
        "encode",
        "message",
    ),
    "psi.protocol.envelope": ("Envelope",),
    "psi.protocol.errors": (
        "CodecError",
        "Declined",
        "EnvironmentFailed",
        "FedprofileError",
        "InputError",
        "JobError",
        "MisuseError",
        "PeerError",
        "PeerGone",
        "PhaseError",
        "Refused",
        "not_installed",
    ),
    "psi.protocol.harness": ("Pair",),
    "psi.protocol.role": (
        "Context",
        "Done",
        "Idle",
        "Outgoing",
        "Random",
        "Role",
        "Share",
        "Turn",
    ),
    "psi.protocol.store": (
        "MemoryStore",
        "Store",
        "gathered",
    ),
}
__getattr__ = handed_out(__name__, {name: at for at, names in _FROM.items() for name in names})
__dir__ = listed(__name__)
