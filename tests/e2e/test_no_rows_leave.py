"""Identifiers and values stay at home: not in ledgers, logs, errors or what crosses the wire."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from federated.keys.identity_file import read_identity
from federated.ledger.account import read_account
from federated.ledger.compare import compare
from federated.session.routers import MemoryRouter
from federated.steps import sections_told, work
from profiles.federation import federate
from profiles.job import Job
from profiles.tables import open_tables
from psi.protocol import InputError

ROW = "planted name 7, id00007, 0.1234"


def identifiers(small: Path) -> re.Pattern[bytes]:
    """Every identifier of both tables, and the values of one column."""
    bank, bureau = pd.read_csv(small / "bank.csv"), pd.read_csv(small / "bureau.csv")
    found = {"planted", *bank.id, *bureau.id_no, *(str(v) for v in bureau.loans if len(str(v)) > 5)}
    return re.compile("|".join(map(re.escape, sorted(found))).encode())


class Tapped(MemoryRouter):
    """A router that keeps all that went over it."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(names)
        self.frames: list[bytes] = []

    def deliver(self, sender: str, receiver: str, frame: bytes | None) -> None:
        self.frames.append(frame or b"")
        super().deliver(sender, receiver, frame)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> list[Tapped]:
    made: list[Tapped] = []

    def router(names: list[str]) -> Tapped:
        made.append(Tapped(names))
        return made[-1]

    monkeypatch.setattr("profiles.federation.MemoryRouter", router)
    return made


def run(small: Path) -> Path:
    job, source = Job.load(small / "job.toml"), open_tables(small / "tables.toml")
    home = small / "parties"
    federate(job, {party.name: source for party in job.parties}, home)
    return home


def test_a_whole_job_writes_no_identifier_anywhere(
    small: Path, wire: list[Tapped], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    home, planted = run(small), identifiers(small)
    assert wire[0].frames
    for data in [*wire[0].frames, caplog.text.encode()]:
        assert not planted.search(data)
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        assert not planted.search(path.read_bytes()), path
    names = ("bank", "bureau")
    accounts = [
        read_account(
            home / name / "ledger.jsonl", read_identity(home / name / "identity.json"), name
        )
        for name in names
    ]
    for one, other in combinations(accounts, 2):
        assert compare(one, other) == []


@pytest.mark.parametrize("error", [ValueError, InputError])
@pytest.mark.parametrize(
    ("module", "place"),
    [(sections_told, "numeric_matrix"), (work, "snapshot_hash"), (sections_told, "MeasureParty")],
)
def test_an_exception_with_a_row_crosses_as_a_class_and_a_code(
    small: Path,
    wire: list[Tapped],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Callable[[str], Exception],
    module: ModuleType,
    place: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    text = (small / "job.toml").read_text().split("[train]")[0]
    (small / "job.toml").write_text(text)

    def broken(*args: object, **more: object) -> None:
        raise error(ROW)

    monkeypatch.setattr(module, place, broken)
    with pytest.raises(Exception, match="planted"):  # where it happened, its owner may read it
        run(small)
    planted = identifiers(small)
    for data in [*wire[0].frames, caplog.text.encode()]:
        assert not planted.search(data)
    for path in (small / "parties").rglob("*.jsonl"):
        assert not planted.search(path.read_bytes())
