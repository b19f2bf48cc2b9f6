"""Private set intersection: who is in both sets, and nothing else.

    from psi import clean, combine, intersect

    mine, theirs = intersect(["ann", "bo"], ["bo", "cy"])  # both parties in this process
    mine.rows  # array([1])

Keys are cleaned to one spelling first (`clean`, by kind). Each party's side of a protocol is a
role without IO (`psi.ecdh`, `psi.vole`, `psi.vole_malicious`); `docs/API.md` says more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psi.lazy import handed_out, listed

if TYPE_CHECKING:
    from psi.align.call import intersect
    from psi.align.protocols import PROTOCOLS
    from psi.align.runs import Alignment, AlignSettings
    from psi.identifiers.clean import KINDS, Cleaned, clean
    from psi.identifiers.guess import guess_kind
    from psi.identifiers.keys import combine
    from psi.protocol.errors import (
        Declined,
        EnvironmentFailed,
        FedprofileError,
        InputError,
        JobError,
        MisuseError,
        PeerError,
        PeerGone,
        Refused,
    )

__all__ = [
    "KINDS",
    "PROTOCOLS",
    "AlignSettings",
    "Alignment",
    "Cleaned",
    "Declined",
    "EnvironmentFailed",
    "FedprofileError",
    "InputError",
    "JobError",
    "MisuseError",
    "PeerError",
    "PeerGone",
    "Refused",
    "clean",
    "combine",
    "guess_kind",
    "intersect",
]

_ERRORS = (
    "Declined",
    "EnvironmentFailed",
    "FedprofileError",
    "InputError",
    "JobError",
    "MisuseError",
    "PeerError",
    "PeerGone",
    "Refused",
)

__getattr__ = handed_out(
    __name__,
    {
        "KINDS": "psi.identifiers.clean",
        "PROTOCOLS": "psi.align.protocols",
        "AlignSettings": "psi.align.runs",
        "Alignment": "psi.align.runs",
        "Cleaned": "psi.identifiers.clean",
        "clean": "psi.identifiers.clean",
        "combine": "psi.identifiers.keys",
        "guess_kind": "psi.identifiers.guess",
        "intersect": "psi.align.call",
    }
    | dict.fromkeys(_ERRORS, "psi.protocol.errors"),
)
__dir__ = listed(__name__)
