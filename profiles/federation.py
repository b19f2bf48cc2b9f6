"""All parties of a job in this process, one thread each, over the memory router.

Exactly the code of a deployment: each party has its own keys, ledger, journal and tables,
and speaks to the others through sealed frames only.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from federated.party.contract import Contract
from federated.party.identity_file import write_identity
from federated.party.keys import PartyKeys
from federated.party.negotiation import Agreed
from federated.party.outcome import Outcome
from federated.party.participant import Participant
from federated.party.policy import Policy
from federated.party.session import Progress, Session, StepRecord
from federated.party.source import Source
from federated.wire.routers import MemoryRouter
from profiles.job import Job
from profiles.proposal import complete, draft
from psi.protocol import FedprofileError, PeerGone

__all__ = ["Federation", "federate"]


@dataclass(frozen=True)
class Federation:
    """What came out at each party, the contract, and what every step took."""

    outcomes: dict[str, Outcome]
    agreed: Agreed
    records: dict[str, list[StepRecord]]
    wire_bytes: dict[tuple[str, str], int]
    seconds: float
    settle: Callable[[], None] = lambda: None
    """To be called once its outputs are in place: what it could be made from again goes."""
    wrote: Callable[[dict[str, str]], None] = lambda files: None
    """Notes names and hashes of output files in the receiver's ledger."""

    @property
    def outcome(self) -> Outcome:
        """The receiver's."""
        return self.outcomes[self.contract.receiver]

    @property
    def contract(self) -> Contract:
        """The signed contract."""
        return self.agreed.contract


class _Party(threading.Thread):
    """One participant on a thread of its own; keeps its result or its error."""

    def __init__(self, participant: Participant, session: Session, job: Job) -> None:
        super().__init__(name=session.name, daemon=True)
        self._participant, self.session, self._job = participant, session, job
        self.result: tuple[Agreed, Outcome] | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            if self.session.name == self._job.receiver:
                identities = self.session.pinned
                asked = draft(self._job, identities, self.session.id, time.time())
                self.result = self._participant.propose(asked, lambda c: complete(self._job, c))
            else:
                self.result = self._participant.join()
        except BaseException as error:
            self.error = error
            self.session.close()  # whatever failed, the others must not wait for it


def federate(
    job: Job,
    sources: Mapping[str, Source],
    home: Path,
    *,
    progress: Progress | None = None,
    policies: Mapping[str, Policy] | None = None,
) -> Federation:
    """Run the job; `home` gets one folder a party with its ledger and identity.

    Raises the error of the party that failed first, not those of the parties that it left.
    """
    begun = time.monotonic()
    names = [party.name for party in job.parties]
    keys = {name: PartyKeys.generate(name) for name in names}
    pinned = {name: keys[name].identity for name in names}
    router, nonce = MemoryRouter(names), secrets.token_bytes(32)
    threads = []
    for name in names:
        folder = home / name
        session = Session(
            nonce, keys[name], pinned, router.endpoint(name), folder, progress=progress
        )
        write_identity(folder / "identity.json", pinned[name])
        policy = (policies or {}).get(name)
        threads.append(_Party(Participant(session, sources[name], policy), session, job))
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # short, so that Ctrl-C is heard
    except KeyboardInterrupt:
        _stop(router, threads)
        raise
    _raise_first(threads)
    results = {thread.session.name: thread.result for thread in threads}
    outcomes = {name: result[1] for name, result in results.items() if result}
    ended = results[job.receiver]
    if ended is None or len(outcomes) < len(names):
        raise FedprofileError("a party ended without a result")
    records = {thread.session.name: thread.session.records for thread in threads}
    seconds = time.monotonic() - begun
    (receiver,) = (t.session for t in threads if t.session.name == job.receiver)
    return Federation(
        outcomes, ended[0], records, dict(router.bytes_sent), seconds, wrote=receiver.note_outputs
    )


def _stop(router: MemoryRouter, threads: list[_Party], patience: float = 20.0) -> None:
    """Say goodbye to every party in the name of the others, and wait until they have ended."""
    for thread in threads:
        router.endpoint(thread.session.name).close()
    end = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _raise_first(threads: list[_Party]) -> None:
    errors = [(t.session.name, t.error) for t in threads if t.error is not None]
    for name, error in errors:
        if not isinstance(error, PeerGone):
            if isinstance(error, FedprofileError) and len(threads) > 1:
                error.step = f"{name}, {error.step}" if error.step else name
            raise error
    for _, error in errors:
        raise error
