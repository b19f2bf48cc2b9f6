"""What all steps of one job share at one party: its table, its keys, what was aligned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from federated.aggregate.pairs import Pairs
from federated.contract.terms import Contract
from federated.paillier import PrivateKey, generate_keypair
from federated.releases.memory import Releases
from federated.releases.told_scores import ToldScores
from federated.scoring.store import ModelStore
from federated.session.session import Session
from federated.steps.facts import load_table, without
from federated.steps.outcome import Outcome
from federated.steps.preconditions import check_packages
from federated.steps.release_guard import ReleaseGuard
from federated.tables.snapshot import snapshot_hash
from federated.tables.source import Source
from psi.protocol import PeerError, Role

__all__ = ["Work"]

R = TypeVar("R")


class Work:
    """One job at one party, step by step.

    `kept` is a folder for what outlives the job, `releases` this party's book, `models` its parts
    of models; None for none.
    Rows that are `gone` (bool[n]) have lost their basis since: they are in no step.
    Where rows repeat, with one partner only, the aligned rows are `pairs`; `own` is this party's
    own record of each, and one record is in `most` of them at most. `may` says of a task which of
    this party's rows may be on its list, `bool[n]`; None: all.

    Raises:
        PeerError: the table is not the one whose snapshot the contract has.
        EnvironmentFailed: a package that a step needs is not installed.
    """

    def __init__(
        self,
        session: Session,
        contract: Contract,
        source: Source,
        salt: bytes,
        kept: Path | None = None,
        releases: Releases | None = None,
        gone: np.ndarray | None = None,
        models: ModelStore | None = None,
        may: Callable[[str], np.ndarray | None] = lambda task: None,
    ) -> None:
        self.session, self.contract, self.source, self.kept = session, contract, source, kept
        self.releases, self.models, self.may = releases, models, may
        self.me = contract.party(session.name)
        self.receives = session.name == contract.receiver
        self.table = load_table(self.me, source)
        if snapshot_hash(self.table, salt=salt) != self.me.snapshot:
            raise PeerError("the table changed after the contract was signed", step="tables")
        if gone is not None:
            self.table = without(self.table, self.me, gone)
        check_packages(contract, session.name)  # told before anything is sent
        self.guard = ReleaseGuard(session, contract, source, salt, self.table, releases)
        self.outcome = Outcome(contract=contract)
        self.pairs: Pairs | None = None
        self.own: np.ndarray | None = None
        self.most = 1
        self._keys: dict[int, PrivateKey] = {}

    def takes_part(self, partner: str) -> bool:
        """Whether this party has a part in a step of the receiver's with `partner`."""
        return self.receives or partner == self.session.name

    def takes_part_in(self, partners: Sequence[str]) -> bool:
        """The same of a step with several."""
        return self.receives or self.session.name in partners

    def run(self, step: str, role: Role[R], peers: Sequence[str]) -> R:
        """Drive a role through the session to its result."""
        return self.session.run(step, role, list(peers))

    def reserve(
        self,
        step: str,
        *,
        hidden: bool = False,
        times: int = 1,
        scores: ToldScores | None = None,
    ) -> None:
        """Before a step discloses something of this party's columns, over all aligned rows.

        `hidden`: which records it is about is not known here. A record's numbers are told so many
        `times`, since it has as many rows; of `scores` what was told before is not told again.
        Raises `Refused` where this party's limits say no.
        """
        stands = None if self.pairs is None else self.pairs.stands
        if hidden:
            self.guard.before(step, None)
        else:
            self.guard.before(step, self.outcome.rows, stands, times, scores)

    def disclosed(self, step: str, **counts: int) -> None:
        """A ledger line for every disclosure of this step that concerns this party."""
        for entry in self.contract.disclosures:
            if entry.step == step:
                self.session.ledger.once(
                    "disclosure",
                    step=step,
                    to=entry.to,
                    learns=entry.learns,
                    line=entry.line,
                    **counts,
                )

    def aligned(self) -> pa.Table:
        """The aligned rows of this party's table, in the receiver's order."""
        return self.table.take(pa.array(self.outcome.rows))

    def paillier_key(self, bits: int) -> PrivateKey:
        """This party's key of so many bits for this job; made once, when it is first needed."""
        if bits not in self._keys:
            make = lambda: generate_keypair(bits, random=self.session.random).to_bytes()  # noqa: E731
            kept = self.session.keep(f"paillier-{bits}", make)
            self._keys[bits] = PrivateKey.from_bytes(kept)
        return self._keys[bits]
