"""A bank that attacks and a bureau that is held to the product's own code, in one process.

The bureau has a policy file, a book of releases and the decider of a node without its peers; the
bank proposes, and may change the draft or the final contract as a proposer of bad faith would.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import pyarrow as pa

from federated.approval.decision import AutoDecider, Decider, Decision, Request
from federated.approval.policy import Policy, Rule
from federated.approval.policy_file import NEW_POLICY as OF_A_NEW_NODE
from federated.approval.policy_file import load_policy
from federated.contract.completion import complete
from federated.contract.disclosures import disclosures
from federated.contract.terms import Contract
from federated.keys.party_keys import PartyKeys
from federated.node.participant import Participant
from federated.releases.memory import Releases
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.steps.outcome import Outcome
from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.proposal import draft
from psi.protocol import Declined

__all__ = ["NAMES", "Change", "Run", "World", "drafted", "keep"]

NAMES = ("bank", "bureau")
KEYS = {name: PartyKeys.generate(name) for name in NAMES}
PINNED = {name: keys.identity for name, keys in KEYS.items()}
Change = Callable[[Contract], Contract]


def keep(contract: Contract) -> Contract:
    """No change."""
    return contract


def drafted(folder: Path, job: str) -> Contract:
    """The draft of a job, as an honest bank makes it."""
    (folder / "job.toml").write_text(job)
    asked = Job.load(folder / "job.toml").adding(("sums",))  # as new nodes do
    return draft(asked, PINNED, secrets.token_bytes(32), time.time())


class Bureau(MemorySource):
    """The bureau's tables, with the columns that its `tables.toml` names as keys."""

    def __init__(
        self, table: pa.Table, permissions: Mapping[str, str], keys: tuple[str, ...]
    ) -> None:
        super().__init__({"bureau.people": table}, {"bureau.people": permissions})
        self._keys = keys

    def keys(self, table: str) -> tuple[str, ...]:
        return self._keys


class Officer(AutoDecider):
    """Asks the policy at the draft too, as a desk does; notes which rule would have approved."""

    def __init__(self, source: MemorySource, policy: Policy) -> None:
        super().__init__("bureau", source, policy)
        self.source, self.policy = source, policy
        self.read, self.rule = list[Contract](), list[Rule | None]()

    def decide(self, request: Request, stop: threading.Event) -> Decision:
        del stop
        self.read.append(request.contract)
        me = request.contract.party("bureau")
        try:
            self.check(request.contract)
        except Declined as no:
            return Decision(False, "policy", no.message)
        self.rule.append(self.policy.rule(request.contract, me, self.source.keys(me.table)))
        return Decision(True, "officer")


def _unless_bank(check: Callable[[Contract], None]) -> Callable[[Contract], None]:
    """A proposer of bad faith does not stop at its own contract."""
    return lambda made: None if threading.current_thread().name == "bank" else check(made)


NEW_POLICY = OF_A_NEW_NODE.replace('basis = "persons"', 'basis = "none"')
"""A new node's, on tables without lawful bases: attacks are on what is told of rows that are in."""


@dataclass(frozen=True)
class Run:
    """What the bank came away with, and what each party met."""

    outcome: Outcome | None
    contract: Contract | None
    errors: dict[str, BaseException]


class World:
    """One bureau over several jobs. `policy`: the text of its policy file, or a new node's."""

    def __init__(
        self,
        folder: Path,
        bureau: pa.Table,
        permissions: Mapping[str, str],
        *,
        keys: tuple[str, ...] = ("id",),
        policy: str = NEW_POLICY,
    ) -> None:
        self.folder, self.jobs = folder, 0
        (folder / "policy.toml").write_text(policy)
        self.policy = load_policy(folder / "policy.toml")
        self.source = Bureau(bureau, permissions, keys)
        self.officer = Officer(self.source, self.policy)
        self.decider: Decider = self.officer
        self.releases = Releases(
            folder / "releases", self.policy.releases, secrets.token_bytes, time.time
        )

    def session(self, name: str, nonce: bytes, router: MemoryRouter, place: Path) -> Session:
        """One party's, in a folder of its own."""
        ends = router.endpoint(name)
        return Session(nonce, KEYS[name], PINNED, ends, place / name, timeout=60.0)

    def run(
        self,
        job: str,
        bank: pa.Table,
        change: Change = keep,
        final: Change = keep,
        *,
        listed: bool = True,
    ) -> Run:
        """Play a job whose draft the bank changes, and the final contract after its completion.

        Unless it is `listed` the draft's list of disclosures is as `change` leaves it.
        """
        self.jobs += 1
        place = self.folder / str(self.jobs)
        place.mkdir()
        asked, router = change(drafted(place, job)), MemoryRouter(list(NAMES))
        nonce = bytes.fromhex(asked.nonce)
        asked = replace(asked, disclosures=disclosures(asked)) if listed else asked
        errors, found = dict[str, BaseException](), list[tuple[Outcome, Contract]]()

        def play(name: str) -> None:
            session = self.session(name, nonce, router, place)
            try:
                if name == "bureau":
                    party = Participant(
                        session, self.source, decider=self.decider, releases=self.releases,
                        kept=self.folder / "kept-bureau",
                    )  # fmt: skip
                    party.join()
                    return
                source = MemorySource({"bank.people": bank})
                party = Participant(session, source, kept=self.folder / "kept-bank")
                agreed, outcome = party.propose(asked, lambda made: final(complete(made)))
                found.append((outcome, agreed.contract))
            except BaseException as error:
                errors[name] = error

        threads = [
            threading.Thread(target=play, args=(name,), daemon=True, name=name) for name in NAMES
        ]
        with mock.patch.object(Contract, "check", _unless_bank(Contract.check)):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
        outcome, contract = found[0] if found else (None, None)
        return Run(outcome, contract, errors)
