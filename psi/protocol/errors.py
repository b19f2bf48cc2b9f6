"""One error root with four branches: misuse, peer misbehaved, refused, environment failed.

Messages are lower case, name what was found and what is allowed, and never hold an
identifier, a row, a key or a value. `exit_code` is what the command line returns
(docs/JOB_FILE.md lists the numbers).
"""

from __future__ import annotations

__all__ = [
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
]


class FedprofileError(Exception):
    """Root of all errors that fedprofile raises on purpose.

    `hint` says what to do next; `step` names the protocol step, where there is one.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.step = step

    def __str__(self) -> str:
        where = f"{self.step}: " if self.step else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.message}{hint}"


class MisuseError(FedprofileError):
    """The caller asked for something that cannot be; nothing was sent."""

    exit_code = 2


class JobError(MisuseError):
    """A job file or tables file is wrong: names the file, the key, found and allowed."""

    exit_code = 3


class InputError(MisuseError):
    """A table is missing, unreadable or does not hold what the job needs."""

    exit_code = 4


class PeerError(FedprofileError):
    """The other party sent what the protocol does not allow; the session ends."""

    exit_code = 5


class CodecError(PeerError):
    """Bytes that are no message: wrong type, length, bound, or trailing bytes."""


class PhaseError(PeerError):
    """A well-formed message that this step does not expect."""


class Refused(FedprofileError):
    """A rule of the contract or of a party's policy says no (too few matches, say)."""

    exit_code = 6


class Declined(Refused):
    """A party says no to a proposal, by policy or by its officer.

    Said before anything of a table is looked at, so the proposer is told the message.
    """


class EnvironmentFailed(FedprofileError):
    """Disk, memory, network or clock failed; the job can be run again or resumed."""

    exit_code = 7


class PeerGone(EnvironmentFailed):
    """The other party ended or cannot be reached."""

    exit_code = 8


def not_installed(what: str, package: str, needed: str) -> EnvironmentFailed:
    """The error of `what` an optional package does; `needed` is what pip installs for it."""
    return EnvironmentFailed(
        f"{what} needs {package}, which is not installed", hint=f"pip install '{needed}'"
    )
