"""Tags that a partner keeps from one job to the next, through whole jobs."""

from __future__ import annotations

import secrets
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import read_ledger
from federated.node.in_process import Player, first_failed, play
from federated.node.participant import Participant
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.steps.kept_tags import DAY
from federated.steps.outcome import Outcome
from profiles.job import Job
from profiles.proposal import draft
from profiles.tables import open_tables
from psi.protocol import PeerGone, Refused

JOB = """
[job]
name = "companies we share"
purpose = "count"
entity = "company"
valid_hours = 2400
[[party]]
name = "bank"
table = "bank.companies"
keys = [["id"]]
[[party]]
name = "registry"
table = "registry.companies"
keys = [["id"]]
[align]
minimum_overlap = 0
keep_tags_days = 30
keep_tags_items = 10
"""
TABLES = """
[bank.companies]
path = "bank.parquet"
[registry.companies]
path = "registry.parquet"
"""
DELIVERY = "align/registry/tags"


class World:
    """Two organisations whose keys and kept tags outlive their jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.jobs = folder, 1.8e9, 0
        self.keys = {name: PartyKeys.generate(name) for name in ("bank", "registry")}
        self.shares: list[tuple[str, str, float]] = []

    def bind(self, name: str, ids: range) -> None:
        table = pa.table({"id": [f"id{i}" for i in ids]})
        pq.write_table(table, self.folder / f"{name}.parquet")

    def run(self, asked: range, table: str = "companies") -> tuple[Outcome, int]:
        """The bank's outcome, and the bytes that the registry sent it."""
        self.bind("bank", asked)
        self.jobs += 1
        (self.folder / "job.toml").write_text(JOB.replace("bank.companies", f"bank.{table}"))
        (self.folder / "tables.toml").write_text(TABLES.replace("bank.companies", f"bank.{table}"))
        job = Job.load(self.folder / "job.toml")
        source = open_tables(self.folder / "tables.toml")
        router, nonce = MemoryRouter(list(self.keys)), secrets.token_bytes(32)
        pinned = {name: keys.identity for name, keys in self.keys.items()}
        proposal = draft(job, pinned, nonce, self.now - 60)
        players = []
        for name, keys in self.keys.items():
            home = self.folder / f"job{self.jobs}" / name
            session = Session(
                nonce, keys, pinned, router.endpoint(name), home,
                clock=lambda: self.now, progress=lambda *told: self.shares.append(told),
            )  # fmt: skip
            kept = self.folder / f"{name}-tags"
            participant = Participant(session, source, kept=kept)
            players.append(Player(session, participant, proposal if name == "bank" else None))
        play(router, players)
        failed = first_failed(players)
        if failed is not None and failed.error is not None:
            raise failed.error
        (result,) = (player.result for player in players if player.name == "bank")
        assert result is not None
        return result[1], router.bytes_sent["registry", "bank"]

    def ledger(self, name: str) -> list[str]:
        lines = read_ledger(self.folder / f"job{self.jobs}" / name / "ledger.jsonl")
        return [str(line) for line in lines]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.bind("registry", range(100, 2100))
    return made


def test_a_second_job_costs_the_small_set_only(world: World) -> None:
    first, delivered = world.run(range(98, 102))
    assert first.rows.tolist() == [2, 3]
    made = [told for told in world.shares if told[:2] == ("registry", DELIVERY)]
    assert any(isinstance(share, float) and 0 < share <= 1 for _, _, share in made)
    second, online = world.run(range(102, 105))
    assert second.rows.tolist() == [0, 1, 2]
    assert delivered - online > 2000 * 16 * 0.95
    assert any("which of at most 10 records" in line for line in world.ledger("registry"))


def test_what_is_asked_is_counted_over_jobs(world: World) -> None:
    for asked in (range(4), range(4, 8)):
        world.run(asked)
    with pytest.raises((Refused, PeerGone), match="12 items asked of one set of tags, 10 allowed"):
        world.run(range(8, 12))
    assert world.run(range(8, 10))[0].rows.tolist() == []


def test_another_name_for_the_receivers_table_gets_no_allowance_of_its_own(world: World) -> None:
    world.run(range(8))
    assert world.run(range(8, 10), "clients")[0].rows.tolist() == []
    with pytest.raises((Refused, PeerGone), match="14 items asked of one set of tags"):
        world.run(range(10, 14), "prospects")


def test_other_records_and_an_expiry_make_new_tags(world: World) -> None:
    _, delivered = world.run(range(3))
    changed = range(99, 2100)
    world.bind("registry", changed)
    outcome, again = world.run(range(97, 101))
    assert outcome.rows.tolist() == [2, 3]
    assert abs(again - delivered) < 2000
    assert world.run(range(3))[1] < delivered / 2
    world.now += 31 * DAY
    assert world.run(range(3))[1] == pytest.approx(delivered, abs=2000)
    told = [line for line in world.ledger("bank") if "are new in it or gone" in line]
    assert told, "what a new set of tags tells is a listed disclosure"
