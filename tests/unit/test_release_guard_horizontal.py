"""Horizontal training under a party's limits on what is disclosed of a column."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from federated.contract.guards import guards
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import read_ledger
from federated.node.in_process import Player, first_failed, play
from federated.node.participant import Participant
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.proposal import draft, nameless_draft
from psi.protocol import Refused

JOB = """
[job]
name = "pooled"
purpose = "test"

[[party]]
name = "north"
table = "north.clients"
features = ["age", "debt"]

[[party]]
name = "south"
table = "south.clients"
features = ["age", "debt"]

[train]
task = "default"
split = "horizontal"
label = "bad"
steps = 1
folds = 0
"""
NAMES = ("north", "south")
KEYS = {name: PartyKeys.generate(name) for name in NAMES}
PINNED = {name: keys.identity for name, keys in KEYS.items()}


def run(folder: Path, releases: Releases) -> tuple[BaseException | None, list[str]]:
    """One job: the cause of its end, and the steps in which the south sent something."""
    rng, nonce, router = (
        np.random.default_rng(1),
        secrets.token_bytes(32),
        MemoryRouter(list(NAMES)),
    )
    (folder / "job.toml").write_text(JOB)
    asked = draft(Job.load(folder / "job.toml"), PINNED, nonce, time.time())
    players = []
    for name in NAMES:
        columns = {"age": rng.normal(size=60), "debt": rng.normal(size=60)}
        table = pa.table(columns | {"bad": rng.integers(0, 2, 60)})
        home = folder / nonce.hex() / name
        session = Session(nonce, KEYS[name], PINNED, router.endpoint(name), home, timeout=60)
        source = MemorySource({f"{name}.clients": table})
        participant = Participant(session, source, releases=releases if name == "south" else None)
        players.append(Player(session, participant, asked if name == "north" else None))
    play(router, players)
    failed = first_failed(players)
    lines = read_ledger(folder / nonce.hex() / "south" / "ledger.jsonl")
    error = failed.error if failed else None
    return error, [e["body"]["step"] for e in lines if e["kind"] == "sent"]


def book(folder: Path, **limits: object) -> Releases:
    found = ReleaseLimits(**{"row_left": 0.0} | limits)  # type: ignore[arg-type]  # 60 rows hold 5.9
    return Releases(folder / "releases", found, secrets.token_bytes, time.time)


def test_a_job_of_many_rounds_is_one_release_of_features_and_label(tmp_path: Path) -> None:
    error, steps = run(tmp_path, book(tmp_path, releases_per_column=1))
    assert error is None
    assert sum(step.startswith("train/") for step in steps) > 1
    (line,) = book(tmp_path).lines()
    assert (line["step"], line["columns"]) == ("train/default", "age, debt, bad")
    error, steps = run(tmp_path, book(tmp_path, releases_per_column=1))
    assert isinstance(error, Refused)
    assert "2 releases asked" in error.message
    assert not any(step.startswith("train/") for step in steps)
    assert len(book(tmp_path).lines()) == 1


def test_a_budget_of_noise_refuses_it(tmp_path: Path) -> None:
    error, steps = run(tmp_path, book(tmp_path, epsilon=1.0))
    assert isinstance(error, Refused)
    assert "an answer without noise asked" in error.message
    assert not any(step.startswith("train/") for step in steps)


def test_plan_and_show_say_that_it_is_counted_and_not_compared(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(JOB)
    contract = nameless_draft(Job.load(tmp_path / "job.toml"))
    pooled, capped = guards(contract, "south")
    assert "north cannot choose the rows, so no comparison" in pooled
    assert "south caps how often a column is disclosed to north" in capped
    assert guards(contract, "north") == []
