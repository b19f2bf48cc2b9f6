"""Whole jobs by the checked intersection: over every wire, under policies, and after a kill."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from federated.approval.decision import AutoDecider
from federated.approval.policy import Limits, Policy
from federated.contract.terms import Contract
from federated.ledger.account import verify_ledger
from federated.ledger.lines import read_ledger
from federated.node.participant import Participant
from federated.steps.outcome import Outcome
from profiles.job import Job
from profiles.plan_text import describe
from profiles.run import run_job
from profiles.tables import open_tables
from psi.protocol import Declined
from tests.e2e.conftest import JOB
from tests.e2e.hub_world import World
from tests.e2e.test_hub import BUREAU
from tests.e2e.test_resume_job import NAMES, PINNED, Party, play
from tests.e2e.test_routers import Sockets

ASKED = JOB.split("[align]")[0].replace('features = ["loans", "overdue", "usage", "queries"]', "")


@pytest.fixture
def job(small: Path) -> Path:
    """A job that only aligns, by the checked protocol."""
    return asking(small, 'protocol = "vole-malicious"')


def asking(small: Path, protocol: str = "") -> Path:
    (small / "job.toml").write_text(f"{ASKED}[align]\nminimum_overlap = 50\n{protocol}\n")
    return small


def check(parties: dict[str, Party], small: Path, home: Path) -> None:
    """Both sides have the shared records, in one order, and ledgers that say by what protocol."""
    bank, bureau = (pd.read_csv(small / f"{name}.csv").iloc[:, 0] for name in NAMES)
    ids = []
    for name, party in parties.items():
        assert party.error is None, party.error
        assert party.outcome is not None
        (align,) = party.outcome.contract.align
        assert (align.protocol, align.alternative) == ("vole-malicious", "")
        ids.append((bank if name == "bank" else bureau)[party.outcome.rows].tolist())
        verify_ledger(home / name / "ledger.jsonl", PINNED[name])
        assert not (home / name / "journal").exists()
    assert ids[0] == ids[1] == bank[bank.isin(bureau)].tolist()
    lines = read_ledger(home / "bureau" / "ledger.jsonl")
    taken = [line["body"].get("message") for line in lines if line["kind"] == "received"]
    assert {"Rows", "Extension", "Challenge", "Encoded", "Report"} <= set(taken)


def test_over_sockets_and_in_memory(job: Path, tmp_path: Path) -> None:
    check(play(job, tmp_path / "memory", {}), job, tmp_path / "memory")
    source, router, nonce = open_tables(job / "tables.toml"), Sockets(), secrets.token_bytes(32)
    asked, home = Job.load(job / "job.toml"), tmp_path / "sockets"
    parties = {name: Party(home, name, asked, source, router, 0) for name in NAMES}
    for party in parties.values():
        party.nonce = nonce
        party.start()
    for party in parties.values():
        party.join(120)
    check(parties, job, home)


@pytest.mark.parametrize(("victim", "fatal"), [("bank", 14), ("bureau", 12)])
def test_goes_on_after_a_kill(job: Path, tmp_path: Path, victim: str, fatal: int) -> None:
    """The frames of the intersection are the 8th to the 18th of either party."""
    parties = play(job, tmp_path / "home", {victim: fatal})
    assert parties[victim].lives == 2
    check(parties, job, tmp_path / "home")


def test_a_party_comes_back_with_the_set_that_it_signed(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copy of the table, under the contract's hash, is its set across a kill too."""
    play_once = Party._play

    def meddle(party: Party, participant: Participant) -> Outcome:
        if party.lives == 2:
            bureau = pd.read_csv(job / "bureau.csv")
            bureau["id_no"] = "x" + bureau["id_no"]  # nobody would be shared
            bureau.to_csv(job / "bureau.csv", index=False)
        return play_once(party, participant)

    expected = play(job, tmp_path / "plain", {})["bank"].outcome
    monkeypatch.setattr(Party, "_play", meddle)
    parties = play(job, tmp_path / "home", {"bureau": 12})
    assert parties["bureau"].lives == 2
    assert parties["bureau"].error is None
    found = parties["bank"].outcome
    assert found is not None
    assert expected is not None
    assert np.array_equal(found.rows, expected.rows)
    assert len(found.rows)
    assert not (tmp_path / "home" / "bureau" / "journal").exists()


@pytest.mark.slow
@pytest.mark.parametrize("victim", NAMES)
def test_goes_on_wherever_it_is_killed(job: Path, tmp_path: Path, victim: str) -> None:
    for fatal in range(7 + NAMES.index(victim), 19, 2):
        home = tmp_path / f"{fatal}"
        check(play(job, home, {victim: fatal}), job, home)


def test_a_policy_without_its_assumption_refuses(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that allows the plain protocol has not allowed this one."""
    policy = Policy(limits=Limits(protocols=("ecdh", "vole")))

    class Own(AutoDecider):
        def __init__(self, name: str, source: object, given: Policy | None) -> None:
            super().__init__(name, source, policy if name == "bureau" else given)  # type: ignore[arg-type]

    monkeypatch.setattr("federated.node.participant.AutoDecider", Own)
    with pytest.raises(Declined, match="protocol 'vole-malicious' asked, ecdh or vole allowed"):
        run_job(Job.load(job / "job.toml"), open_tables(job / "tables.toml"), job / "out")


@pytest.mark.parametrize(
    ("allowed", "taken"),
    [
        (("*",), "vole-malicious"),
        (("ecdh", "vole-malicious"), "vole-malicious"),
        (("ecdh", "vole"), "ecdh"),
        (("vole-malicious",), "vole-malicious"),
    ],
)
def test_auto_takes_it_for_large_sets_and_never_the_plain_one(
    small: Path, monkeypatch: pytest.MonkeyPatch, allowed: tuple[str, ...], taken: str
) -> None:
    class Own(AutoDecider):
        def __init__(self, name: str, source: object, given: Policy | None) -> None:
            policy = Policy(limits=Limits(protocols=allowed))
            super().__init__(name, source, policy if name == "bureau" else given)  # type: ignore[arg-type]

    monkeypatch.setattr("psi.align.protocols.LARGE", 200)
    monkeypatch.setattr("federated.node.participant.AutoDecider", Own)
    folder = asking(small)
    asked, source = Job.load(folder / "job.toml"), open_tables(folder / "tables.toml")
    assert "set intersection by vole-malicious" in describe(asked, source, 0)
    contract: Contract = run_job(asked, source, folder / "out").federation.contract
    assert contract.align[0].protocol == taken
    assert contract.suites.align.startswith(taken)


@pytest.mark.slow
def test_over_a_hub(job: Path) -> None:
    """Real processes, a hub between them: the rows that one process finds alone."""
    world = World(job / "world", party="bank")
    try:
        world.start_hub()
        bureau = world.join("bureau")
        world.introduce(world.hub / "party", bureau)
        world.start_node("bureau", BUREAU.format(folder=job))
        words = ("run", str(job / "job.toml"), "--tables", str(job / "tables.toml"), "--quiet")
        world.command(*words, "--out", str(job / "hub"), "--hub", str(world.hub))
        (ledger,) = (world.node("bureau") / "jobs").glob("*/ledger.jsonl")
        lines = read_ledger(ledger)
    finally:
        world.stop()
    run_job(Job.load(job / "job.toml"), open_tables(job / "tables.toml"), job / "memory")
    one, two = (pd.read_parquet(job / out / "profiles.parquet") for out in ("hub", "memory"))
    pd.testing.assert_frame_equal(one, two)
    taken = [line["body"].get("message") for line in lines if line["kind"] == "received"]
    assert {"Rows", "Challenge", "Report"} <= set(taken)
    (signed,) = (line["body"]["terms"] for line in lines if line["kind"] == "contract")
    assert signed["align"][0]["protocol"] == "vole-malicious"
