"""A table is read once a job: what is written to it meanwhile belongs to the next job."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from federated.approval.decision import AutoDecider
from federated.contract.terms import Contract
from federated.session.routers import MemoryRouter
from federated.tables.source import Source
from profiles.federation import Federation, federate
from profiles.job import Job
from profiles.run import run_job
from profiles.tables import open_tables
from tests.e2e.test_resume_job import NAMES, Party
from tests.seeded import outputs, seed_sessions


def run(folder: Path, out: str, **options: Any) -> dict[str, bytes]:
    job, tables = Job.load(folder / "job.toml"), open_tables(folder / "tables.toml")
    run_job(job, tables, folder / out, **options)
    return outputs(folder / out)


def refresh(folder: Path) -> None:
    """Other rows in another order, as a nightly load leaves them; a column has another name."""
    for name, column in (("bank", "tenure"), ("bureau", "usage")):
        table = pd.read_csv(folder / f"{name}.csv")
        table = table[::-1][5:].rename(columns={column: "renamed"})
        table.to_csv(folder / f"{name}.csv", index=False)


@pytest.fixture
def managed(small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small job with managers, branches and rows that share a key, the same in every run."""
    seed_sessions(monkeypatch)
    bank = pd.read_csv(small / "bank.csv")
    bank["branch"] = ["north", "south"] * 130
    bank["id"] = ["id00003" if row == 7 else name for row, name in enumerate(bank["id"])]
    bank.to_csv(small / "bank.csv", index=False)
    pd.DataFrame({"manager": ["Ann", "Bo"], "branch": ["north", "south"]}).to_csv(
        small / "managers.csv", index=False
    )
    job, tables = small / "job.toml", small / "tables.toml"
    job.write_text(job.read_text() + 'managers = "bank.managers"\n')
    tables.write_text(tables.read_text() + '[bank.managers]\npath = "managers.csv"\n')
    return small


def test_tables_that_refresh_while_an_officer_thinks(
    managed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run(managed, "plain", baseline=True)
    refreshed = list[str]()

    class Slow(AutoDecider):
        def check(self, contract: Contract) -> None:
            if self._name == "bureau" and contract.party("bureau").rows and not refreshed:
                refreshed.append(contract.nonce)
                refresh(managed)
            super().check(contract)

    monkeypatch.setattr("federated.node.participant.AutoDecider", Slow)
    assert run(managed, "refreshed", baseline=True) == plain
    assert refreshed


def test_tables_that_refresh_before_the_outputs_are_written(managed: Path) -> None:
    plain = run(managed, "plain")

    def over(job: Job, sources: Mapping[str, Source], home: Path, progress: Any) -> Federation:
        found = federate(job, sources, home, progress=progress, hold=True)
        copies = list(home.glob("*/journal/table-*"))
        assert copies
        assert not any(b"planted" in file.read_bytes() for file in copies)
        refresh(managed)
        (managed / "managers.csv").unlink()
        return found

    assert run(managed, "refreshed", over=over) == plain
    assert not list(managed.rglob("journal"))


class Once:
    """A source of which every table is read once."""

    def __init__(self, source: Source) -> None:
        self._source, self.read = source, set[str]()
        self.columns: Callable[[str], list[str]] = source.columns
        self.permission, self.keys = source.permission, source.keys
        self.basis, self.about = source.basis, source.about

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        assert table not in self.read, "read again"
        self.read.add(table)
        return self._source.load(table, columns, keys=keys)


@pytest.mark.parametrize("victim", NAMES)
def test_a_killed_party_goes_on_with_what_it_has_read(
    small: Path, tmp_path: Path, victim: str
) -> None:
    """Killed at any frame up to the contract and beyond it: no party reads its table again."""
    text = (small / "job.toml").read_text()
    (small / "job.toml").write_text(text[: text.index("[[aggregate]]")])
    job, tables = Job.load(small / "job.toml"), open_tables(small / "tables.toml")
    waited = []
    for fatal in range(1, 14):
        router, nonce = MemoryRouter(list(NAMES)), secrets.token_bytes(32)
        home, parties = tmp_path / f"{fatal}", list[Party]()
        for name in NAMES:
            dies = fatal if name == victim else 0
            parties.append(Party(home, name, job, Once(tables), router, dies))
            parties[-1].nonce = nonce
            parties[-1].start()
        for party in parties:
            party.join(60)
            assert party.error is None, (fatal, party.party, party.error)
            assert party.outcome is not None
            assert len(party.outcome.rows) == 220
        waited.append(max(party.lives for party in parties))
    assert waited.count(2) > 5
