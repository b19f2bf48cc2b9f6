"""How a party leaves a session before its end: the error's class and exit code, never its text.

    any party -> all others   Farewell   sealed, outside of the count of frames

The others learn whether its sender can come back. What a party that declines a proposal says of it
goes along, and which suites one of another version has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from federated.contract.terms import OtherVersion
from federated.text import plain
from psi.protocol import (
    Declined,
    EnvironmentFailed,
    FedprofileError,
    PeerError,
    PeerGone,
    Text,
    message,
)

__all__ = ["Farewell", "farewell", "may_go_on"]

_OVER = "PeerEnded"
"""What is said where another party's end has ended the job here too."""

_NOBODYS_FAULT = (PeerGone, EnvironmentFailed)
_MAY_GO_ON = (FedprofileError.exit_code, PeerGone.exit_code, EnvironmentFailed.exit_code)


@message(0xAA)
@dataclass(frozen=True)
class Farewell:
    """Class and exit code of an error; `reason` is that of a party that declines, or is of another
    version; empty otherwise."""

    kind: Annotated[str, Text(64)]
    code: int
    reason: Annotated[str, Text(1024)] = ""

    @property
    def returns(self) -> bool:
        """Whether its sender may come back to the job."""
        return self.code in _MAY_GO_ON

    @property
    def error(self) -> str:
        """The error's class, fit to be shown."""
        return "".join(c for c in self.kind if c.isalnum())

    @property
    def shown(self) -> str:
        """The reason, fit to be shown."""
        return plain(self.reason)


def farewell(error: BaseException, *, over: bool = False) -> Farewell:
    """What the others are told of this error; `over` says that this party does not come back."""
    code = error.exit_code if isinstance(error, FedprofileError) else 1
    reason = plain(error.message, 200) if isinstance(error, Declined | OtherVersion) else ""
    word = Farewell(type(error).__name__[:64], code, reason)
    return Farewell(_OVER, PeerError.exit_code) if over and word.returns else word


def may_go_on(error: BaseException) -> bool:
    """Whether a job that ended with this error at this party can go on here later.

    So it can after an exception that is not ours, as after a kill: a message that caused it has its
    line in the ledger, and no other is taken in its place (see `Ledger.frame`).
    """
    return not isinstance(error, FedprofileError) or isinstance(error, _NOBODYS_FAULT)
