"""A series that a bank signs again and again, taking each job's alignment and leaving behind it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from federated.approval.officer import NodeDecider
from federated.contract.series import SeriesTerms
from federated.contract.terms import Contract
from federated.keys.identity_file import write_identity
from federated.keys.peers import Peers
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from tests.attacks.test_budgets import COLUMNS, HEAD, POLICY, TRAIN
from tests.attacks.world import KEYS, PINNED, World

RULE = '\n[[approve]]\nname = "year"\njobs = 9\nseries = ["churn"]\n'


class Leaving(Session):
    """The bank's, whose software is its own."""

    took: np.ndarray | tuple[()] = ()

    def run(self, step, role, peers=None):  # type: ignore[no-untyped-def]
        if step.startswith("train"):
            raise RuntimeError("the bank leaves")
        found = super().run(step, role, peers)
        if step.startswith("align"):
            self.took = found
        return found


class Node(World):
    """A bureau with the decider of a node, for which a rule signs."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        columns = {name: rng.normal(size=1200) for name in COLUMNS}
        people = pa.table({"id": [f"p{n}" for n in range(1200)], **columns})
        super().__init__(folder, people, dict.fromkeys(COLUMNS, "feature"), policy=POLICY + RULE)
        (folder / "desk").mkdir()
        bank = KEYS["bank"].identity
        write_identity(folder / "peers" / "bank.json", bank)
        Peers(folder).confirm("bank", bank.fingerprint, "ann")
        self.decider = NodeDecider(name="bureau", home=folder, source=self.source)
        self.left = list[Leaving]()

    def session(self, name: str, nonce: bytes, router: MemoryRouter, place: Path) -> Session:
        ends = router.endpoint(name)
        if name == "bureau":
            home = self.folder / "jobs" / nonce.hex()
            return Session(nonce, KEYS[name], PINNED, ends, home, timeout=60.0)
        leaving = Leaving(nonce, KEYS[name], PINNED, ends, place / name, timeout=60.0)
        self.left.append(leaving)
        return leaving


def test_a_job_whose_alignment_was_told_counts(tmp_path: Path) -> None:
    """Nine of nine contracts were signed of a series of two: no step that the book knows began."""
    node, rng = Node(tmp_path), np.random.default_rng(1)
    job = HEAD.format(
        own='features = ["own"]', partner=f"features = {COLUMNS}".replace("'", '"')
    ) + TRAIN.format(score_bits=2)

    def of_two(made: Contract) -> Contract:
        return replace(made, series=(SeriesTerms(name="churn", jobs=2),))

    for _ in range(3):
        ids = [f"p{n}" for n in range(400)]
        labels = rng.integers(0, 2, 400).astype(float)
        run = node.run(job, pa.table({"id": ids, "own": rng.normal(size=400), "y": labels}), of_two)
    assert [len(one.took) for one in node.left] == [400, 400, 0]
    assert "the series 'churn' comes to 3 jobs in all, 2 agreed" in str(run.errors["bureau"])
