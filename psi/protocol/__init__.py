"""What every protocol role speaks: envelope, codec, errors, role, store."""

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
