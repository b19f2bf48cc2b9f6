"""Whole jobs between a bank that asks and a partner, by the product's own nodes.

Both run `Participant` over the memory router. The partner has the policy of a new node and a book
of releases that outlives a job; its officer says yes to whatever the policy lets pass. The bank
may change its draft, and the final contract, as a proposer of bad faith would.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa

from federated.approval.policy_file import NEW_POLICY, load_policy
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
from psi.protocol import EnvironmentFailed, FedprofileError, PeerGone

__all__ = ["NAMES", "Result", "World", "heading", "why"]

NAMES = ("bank", "partner")
# a job that hangs ends after so many seconds
PATIENCE = 900.0

Change = Callable[[Contract], Contract]


class Result:
    """The bank's outcome and the partner's, and the contract that both signed."""

    def __init__(self, contract: Contract, bank: Outcome, partner: Outcome) -> None:
        self.contract, self.bank, self.partner = contract, bank, partner


POLICY = NEW_POLICY.replace('basis = "persons"', 'basis = "none"')
"""A new node's, on tables that state no lawful bases."""


class _Tables(MemorySource):
    """Tables whose key column is `id`."""

    def keys(self, table: str) -> tuple[str, ...]:
        return ("id",)


class World:
    """One partner over several jobs: its table, permissions, and the text of its policy."""

    def __init__(
        self, partner: pa.Table, permissions: Mapping[str, str], policy: str = POLICY
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fedprofile-attack-")
        self._home, self._jobs = Path(self._folder.name), 0
        (self._home / "policy.toml").write_text(policy, encoding="utf-8")
        self.policy = load_policy(self._home / "policy.toml")
        self._source = _Tables({"partner.table": partner}, {"partner.table": permissions})
        self._keys = {name: PartyKeys.generate(name) for name in NAMES}
        self._releases = Releases(
            self._home / "releases", self.policy.releases, secrets.token_bytes, time.time
        )

    def run(
        self,
        job: str,
        bank: pa.Table,
        change: Change = lambda made: made,
        final: Change = lambda made: made,
    ) -> Result:
        """Play one job. Raises what the party raised that stopped it."""
        self._jobs += 1
        home = self._home / str(self._jobs)
        home.mkdir()
        (home / "job.toml").write_text(job, encoding="utf-8")
        pinned = {name: keys.identity for name, keys in self._keys.items()}
        asked = draft(Job.load(home / "job.toml"), pinned, secrets.token_bytes(32), time.time())
        asked = change(asked)
        asked = replace(asked, disclosures=disclosures(asked))
        router = MemoryRouter(list(NAMES))
        errors: dict[str, BaseException] = {}
        found: dict[str, tuple[Contract, Outcome]] = {}

        def play(name: str) -> None:
            session = None
            try:
                session = Session(
                    bytes.fromhex(asked.nonce), self._keys[name], pinned, router.endpoint(name),
                    home / name, timeout=PATIENCE,
                )  # fmt: skip
                if name == "bank":
                    source = MemorySource({"bank.table": bank})
                    party = Participant(session, source, kept=self._home / "kept-bank")
                    agreed, outcome = party.propose(asked, lambda made: final(complete(made)))
                else:
                    party = Participant(
                        session, self._source, policy=self.policy, releases=self._releases,
                        kept=self._home / "kept-partner",
                    )  # fmt: skip
                    agreed, outcome = party.join()
                found[name] = agreed.contract, outcome
            except BaseException as error:
                errors[name] = error
                if session is not None:
                    session.close()

        threads = [
            threading.Thread(target=play, args=(name,), daemon=True, name=name) for name in NAMES
        ]
        with patch.object(Contract, "check", _unless_bank(Contract.check)):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
        if errors:
            raise min(errors.values(), key=lambda error: isinstance(error, PeerGone))
        if len(found) < len(NAMES):
            raise EnvironmentFailed("a job of the attack did not end")
        return Result(found["bank"][0], found["bank"][1], found["partner"][1])


def _unless_bank(check: Callable[[Contract], None]) -> Callable[[Contract], None]:
    """A proposer of bad faith does not stop at its own contract; an honest one changes none."""
    return lambda made: None if threading.current_thread().name == "bank" else check(made)


def heading(
    bank: tuple[str, ...] = (),
    partner: tuple[str, ...] = (),
    *,
    overlap: int = 100,
    align: str = "",
    key_bits: int = 3072,
) -> str:
    """A job's text up to its steps: two parties that share the key `id`."""

    def listed(columns: tuple[str, ...]) -> str:
        return ", ".join(f'"{column}"' for column in columns)

    return f"""
[job]
name = "attack"
purpose = "retention"
key_bits = {key_bits}
[[party]]
name = "bank"
table = "bank.table"
keys = [["id"]]
features = [{listed(bank)}]
[[party]]
name = "partner"
table = "partner.table"
keys = [["id"]]
features = [{listed(partner)}]
[align]
minimum_overlap = {overlap}
{align}
"""


def why(error: FedprofileError) -> str:
    """For a row: the class of a refusal and its words."""
    return f"{type(error).__name__}: {error.message}"[:240]
