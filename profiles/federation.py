"""All parties of a job in this process, one thread each, over the memory router.

Exactly the code of a deployment: each party has its own keys, ledger, journal and tables,
and speaks to the others through sealed frames only.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from federated.approval.policy import Policy
from federated.contract.negotiation import Agreed
from federated.contract.summed import AGGREGATE_PROTOCOLS
from federated.contract.terms import Contract
from federated.keys.identity_file import write_identity
from federated.keys.party_keys import PartyKeys
from federated.node.in_process import Player, first_failed, play
from federated.node.participant import Participant
from federated.session.routers import MemoryRouter
from federated.session.session import Progress, Session, StepRecord
from federated.steps.outcome import Outcome
from federated.tables.frozen import FrozenColumns
from federated.tables.source import Source
from profiles.job import Job
from profiles.own_table import extracts, who_may_be_told
from profiles.proposal import draft
from psi.protocol import FedprofileError, PeerGone

__all__ = ["Federation", "federate"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Federation:
    """What came out at each party, the contract, and what every step took."""

    outcomes: dict[str, Outcome]
    agreed: Agreed
    records: dict[str, list[StepRecord]]
    wire_bytes: dict[tuple[str, str], int]
    seconds: float
    tables: Mapping[str, Source]
    """The job's own copies of the tables of those parties that are here, until it is settled."""
    models: Path | None = None
    """Where the receiver keeps its parts of models; None: nowhere."""
    settle: Callable[[], None] = lambda: None
    """To be called once its outputs are in place: what it could be made from again goes."""
    wrote: Callable[[Callable[[str], dict[str, str]]], None] = lambda hashes: None
    """To be called when they are made: notes their names and hashes in the receiver's ledger."""
    failed: Callable[[BaseException], None] = lambda error: None
    """To be called where they cannot be made: notes why, for lists of runs."""

    def __repr__(self) -> str:
        return f"<Federation of {', '.join(self.outcomes)}>"

    @property
    def outcome(self) -> Outcome:
        """The receiver's."""
        return self.outcomes[self.contract.receiver]

    @property
    def contract(self) -> Contract:
        """The signed contract."""
        return self.agreed.contract


def federate(
    job: Job,
    sources: Mapping[str, Source],
    home: Path,
    *,
    progress: Progress | None = None,
    policies: Mapping[str, Policy] | None = None,
    hold: bool = False,
    frozen: FrozenColumns | None = None,
    models: Path | None = None,
) -> Federation:
    """Run the job; `home` gets one folder a party with its ledger and identity.

    `frozen` says what the parties' columns were taken for in the last job. In `models` each party
    has a folder for its parts of models; None: they are not kept.

    With `hold` the parties' copies of their tables stay until `wrote` is called: outputs are made
    of them.

    Raises the error of the party that failed first, not those of the parties that it left.
    """
    begun = time.monotonic()
    names = [party.name for party in job.parties]
    keys = {name: PartyKeys.generate(name) for name in names}
    pinned = {name: keys[name].identity for name in names}
    router, nonce = MemoryRouter(names), secrets.token_bytes(32)
    limits = [policy.limits.aggregate_protocols for policy in (policies or {}).values()]
    allowed = set(AGGREGATE_PROTOCOLS).intersection(*limits)
    asked = draft(job.adding(allowed), pinned, nonce, time.time())
    players, tables = list[Player](), dict[str, Source]()
    for name in names:
        folder = home / name
        session = Session(
            nonce, keys[name], pinned, router.endpoint(name), folder, progress=progress, hold=hold
        )
        write_identity(folder / "identity.json", pinned[name], private=True)
        source, policy = sources[name], (policies or {}).get(name)
        also, may = partial(extracts, job, name, source), partial(who_may_be_told, job)
        place = None if models is None else models / name
        participant = Participant(
            session, source, policy, also=also, frozen=frozen, models=place, may=may
        )
        tables[name] = participant.tables
        players.append(Player(session, participant, asked if name == job.receiver else None))
    play(router, players)
    _raise_first(players)
    results = {player.name: player.result for player in players}
    outcomes = {name: result[1] for name, result in results.items() if result}
    ended = results[job.receiver]
    if ended is None or len(outcomes) < len(names):
        raise FedprofileError("a party ended without a result")
    records = {player.name: player.session.records for player in players}
    seconds = time.monotonic() - begun
    sessions = {player.name: player.session for player in players}

    def wrote(hashes: Callable[[str], dict[str, str]]) -> None:
        sessions[job.receiver].note_outputs(hashes)
        for session in sessions.values():
            session.forget()

    traffic = dict(router.bytes_sent)
    return Federation(
        outcomes=outcomes,
        agreed=ended[0],
        records=records,
        wire_bytes=traffic,
        seconds=seconds,
        tables=tables,
        models=None if models is None else models / job.receiver,
        wrote=wrote,
    )


def _raise_first(players: list[Player]) -> None:
    failed = first_failed(players)
    if failed is None or failed.error is None:
        return
    error = failed.error
    if isinstance(error, FedprofileError) and not isinstance(error, PeerGone):
        error.step = f"{failed.name}, {error.step}" if error.step else failed.name
    raise error
