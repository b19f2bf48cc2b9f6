"""A job as its node plays it: where it stands, and what the node shows of it."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from federated.approval.decision import Call, Decider, Undecided
from federated.contract.terms import Contract, SeriesTold
from federated.session.reasons import Stopped
from federated.wire.post import PostEndpoint
from psi.protocol import FedprofileError

__all__ = ["Job", "Noting"]

_log = logging.getLogger("fedprofile.node")


@dataclass(kw_only=True)
class Job:
    """A job at this node. `state` is waiting, running, done, refused or failed.

    `to_end`: it was taken up only to be ended, as its officer has said while it was at rest.
    """

    call: Call
    endpoint: PostEndpoint
    stop: threading.Event = field(default_factory=threading.Event)
    state: str = "waiting"
    step: str = ""
    share: float = 0.0
    draft: Contract | None = None
    contract: Contract | None = None
    error: str = ""
    hint: str = ""
    began: float = field(default_factory=time.time)
    thread: threading.Thread | None = None
    ending: FedprofileError | None = None
    to_end: bool = False

    @property
    def id(self) -> str:
        """The name officers use for it."""
        return self.call.session.hex()[:8]

    @property
    def live(self) -> bool:
        """Whether it is still to end."""
        return self.state in ("waiting", "running")

    def end(self) -> None:
        """End it for good, by this party's officer: the others are told, nothing else is sent."""
        self.ending = Stopped("stopped by this party's officer")
        self.endpoint.stop(self.ending)
        self.stop.set()

    @property
    def about(self) -> dict[str, str]:
        """What a line of the log says of it for programs."""
        return {"job": self.id, "step": self.step, "party": self.call.proposer}

    def summary(self) -> dict[str, Any]:
        """What `node jobs` shows."""
        asked = self.contract or self.draft
        return {
            "id": self.id,
            "session": self.call.session.hex(),
            "proposer": self.call.proposer,
            "parties": [party.name for party in self.call.parties],
            "job": asked.job if asked else "",
            "purpose": asked.purpose if asked else "",
            "state": self.state,
            "step": self.step,
            "share": round(self.share, 3),
            "error": self.error,
            "hint": self.hint,
            "began": int(self.began),
            "direct": sorted(self.endpoint.beside),
        }


class Noting:
    """A decider that also notes the final contract at the job, for limits and `jobs`."""

    def __init__(self, decider: Decider, job: Job) -> None:
        self._decider, self._job = decider, job

    def admit(self, call: Call) -> Any:
        """Whether this party lets it call."""
        return self._decider.admit(call)

    def decide(self, request: Any, stop: threading.Event) -> Any:
        """This party's word; the job waits meanwhile."""
        self._job.state, self._job.draft = "waiting", request.contract
        try:
            found = self._decider.decide(request, stop)
        except Undecided as error:
            raise (self._job.ending or error) from None
        word, job = "approved" if found.approved else "refused", self._job
        why = f": {found.why}" if found.why else ""
        _log.info("job %s is %s by %s%s", job.id, word, found.by, why, extra=job.about)
        return found

    def allows(self, contract: Contract) -> None:
        """Raise `Declined` where policy forbids it."""
        self._decider.allows(contract)

    def told_in_series(self, contract: Contract) -> tuple[SeriesTold, ...]:
        """What earlier contracts of its series tell."""
        return self._decider.told_in_series(contract)

    def check(self, contract: Contract) -> None:
        """Raise `Declined` where the final contract may not be signed; else the job runs."""
        self._decider.check(contract)
        self._job.contract, self._job.state = contract, "running"
