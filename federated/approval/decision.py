"""Who gives a party's word on a proposed job, and on what.

A node is asked twice. First *admit*: another party calls for a session; nothing about the job is
known but who proposes it and who takes part. Then, inside the sealed session and before this
party has said anything about its tables, *decide*: the draft of the contract is there, and the
answer may come from a rule at once or from an officer after hours. What the final contract adds
to the draft (row counts, step numbers) goes through the policy again before it is signed.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from federated.approval.policy import ONE_PROCESS, Policy
from federated.contract.terms import Contract, SeriesTold
from federated.keys.party_keys import Identity
from federated.tables.source import Source
from psi.protocol import Declined, EnvironmentFailed

__all__ = ["NOBODY", "AutoDecider", "Call", "Decider", "Decision", "Request", "Undecided"]


NOBODY = "nobody"
"""By whom a proposal is refused on which no officer has decided in time."""


class Undecided(EnvironmentFailed):
    """Nobody has said yes or no, and this process stops asking: the proposal waits on."""


@dataclass(frozen=True)
class Call:
    """A party's call for a session: who calls, and everyone who is to take part.

    `parties` holds the identity that the caller claims for each, itself included; a node goes on
    only if they are those that it has pinned and confirmed.
    """

    session: bytes
    proposer: str
    parties: tuple[Identity, ...]

    def party(self, name: str) -> Identity | None:
        """The claimed identity of one party."""
        return next((p for p in self.parties if p.name == name), None)


@dataclass(frozen=True)
class Request:
    """A draft that waits for a decision. Row counts and snapshots are not in it yet."""

    session: bytes
    me: str
    contract: Contract
    received: float = field(default_factory=time.time)

    @property
    def id(self) -> str:
        """The name officers use for it: eight hexadecimal digits of the session."""
        return self.session.hex()[:8]


@dataclass(frozen=True)
class Decision:
    """Yes or no, by whom ("rule auto-1", an officer's name) and why.

    `words` are officers' signed words; `listed` is the list, signed by the party, that names them.
    `noted` is what else the ledger keeps: `releases`, by officers, of models that rows are to be
    scored by; `asker`, who had this party propose it, if he signed that.
    """

    approved: bool
    by: str
    why: str = ""
    words: tuple[dict[str, Any], ...] = ()
    listed: dict[str, Any] | None = None
    noted: dict[str, Any] = field(default_factory=dict)

    @property
    def signed(self) -> dict[str, Any]:
        """What a ledger line holds of signatures: nothing where officers have no keys."""
        found: dict[str, Any] = {"words": list(self.words)} if self.words else {}
        listed = {"officers": self.listed} if self.listed else {}
        return found | listed | self.noted

    def enforce(self) -> None:
        """Raise `Declined` if the answer is no."""
        if not self.approved:
            raise Declined(self.why or "refused by this party", hint=f"decided by {self.by}")


class Decider(Protocol):
    """This party's policy and officers. Called on the job's own thread, so it may wait."""

    def admit(self, call: Call) -> Decision:
        """Whether to open a session at all: known caller, confirmed keys, hours, job counts."""

    def decide(self, request: Request, stop: threading.Event) -> Decision:
        """Approve by rule, wait for an officer, or refuse with a reason.

        Raises `Undecided` soon after `stop` is set: the caller has gone or the node ends.
        """

    def allows(self, contract: Contract) -> None:
        """Whether the policy would allow this, nothing noted. Raises `Refused` if not."""

    def told_in_series(self, contract: Contract) -> tuple[SeriesTold, ...]:
        """What this party's earlier contracts of the contract's series tell; () where it keeps no
        count, or there is no series."""

    def check(self, contract: Contract) -> None:
        """Look at the final contract before it is signed. Raises `Refused`."""


class AutoDecider:
    """Approves whatever the floors of a `Policy` allow: tests, and parties of one process."""

    def __init__(self, name: str, source: Source, policy: Policy | None = None) -> None:
        self._name, self._source, self._policy = name, source, policy or ONE_PROCESS

    def admit(self, call: Call) -> Decision:
        """Every caller whose keys are pinned is let in."""
        del call
        return Decision(True, "no rule")

    def decide(self, request: Request, stop: threading.Event) -> Decision:
        """Yes where a given policy allows the draft: `check` looks once more, with row counts."""
        del stop
        try:
            if self._policy is not ONE_PROCESS:
                self.check(request.contract)
        except Declined as no:
            return Decision(False, "policy", no.message)
        return Decision(True, "no rule")

    def told_in_series(self, contract: Contract) -> tuple[SeriesTold, ...]:
        """Of one process nothing outlives a job: no series is counted."""
        del contract
        return ()

    def allows(self, contract: Contract) -> None:
        """The same as `check`."""
        self.check(contract)

    def check(self, contract: Contract) -> None:
        """Raise `Refused` below the policy's floors."""
        self._policy.approve(contract, contract.party(self._name), self._source)
