"""Budgets inside whole jobs: after a kill, over columns of earlier jobs, and before alignment."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.approval.decision import AutoDecider, Decision, Request
from federated.ledger.lines import read_ledger
from federated.releases.budget import OverBudget
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.session.session import Session
from federated.tables.source import MemorySource
from profiles.job import Job
from psi.protocol import Refused
from tests.unit.test_release_guard import JOB, World

COLUMNS = ("b0", "b1", "b2", "b3", "b4", "b5")
HEAD = JOB.split("[[aggregate]]", maxsplit=1)[0]
ROWS = 1024
NUMBER = np.arange(ROWS)
IDS = [f"p{number:04d}" for number in NUMBER]


def training(columns: Sequence[str] = COLUMNS, score_bits: int = 2) -> str:
    job = HEAD.replace('keys = [["id"]]', 'keys = [["id"]]\nfeatures = ["a"]', 1)
    first, bureau, rest = job.partition('table = "bureau.people"')
    named = ", ".join(f'"{column}"' for column in columns)
    rest = rest.replace('keys = [["id"]]', f'keys = [["id"]]\nfeatures = [{named}]', 1)
    train = f"""
[train]
task = "t"
label = "bank.y"
folds = 0
evaluations = 4
score_bits = {score_bits}
"""
    return first + bureau + rest + train


class Months(World):
    """A bureau of 1,024 people and ten bits a row: each column but b0 to b2 says nothing new."""

    def __init__(self, folder: Path, job: str) -> None:
        super().__init__(folder, job)
        columns = {"b0": NUMBER % 16, "b1": NUMBER // 16 % 8, "b2": NUMBER // 128}
        columns |= {f"b{n + 3}": 3 * values + 1 for n, values in enumerate(columns.values())}
        self.bureau = MemorySource({"bureau.people": pa.table({"id": IDS, **columns})})

    def asking(self, people: Sequence[str]) -> pa.Table:
        rng = np.random.default_rng(len(people))
        size = len(people)
        labels = rng.integers(0, 2, size)
        return pa.table({"id": people, "a": rng.normal(size=size), "y": labels, "segment": labels})

    def ask(self, job: str) -> None:
        """Another job from now on."""
        (self.folder / "job.toml").write_text(job)
        self.job = Job.load(self.folder / "job.toml")

    def steps(self) -> set[str]:
        """The steps in which the bureau sent something in the last job."""
        lines = read_ledger(self.home / "bureau" / "ledger.jsonl")
        return {line["body"]["step"] for line in lines if line["kind"] == "sent"}

    def limit(self, **limits: float) -> None:
        self.releases._limits = ReleaseLimits(**{"row_left": 0.0, **limits})  # type: ignore[arg-type]


class Killed(BaseException):
    pass


def test_killed_before_a_training_tells_anything_it_goes_on_and_pays_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, nonce = Months(tmp_path, training()), secrets.token_bytes(32)
    people, reserve = IDS[:400], Releases.reserve

    def dying(self: Releases, *args: object) -> None:
        reserve(self, *args)  # type: ignore[arg-type]
        raise Killed

    monkeypatch.setattr(Releases, "reserve", dying)
    monkeypatch.setattr(Session, "abort", lambda self, error: self.close())
    assert isinstance(world.run(people, nonce)[1]["bureau"], Killed)
    monkeypatch.undo()
    told = world.releases.told("bureau.people", "bank")
    assert told == pytest.approx(2.04, abs=0.01)
    outcome, errors = world.run(people, nonce, tmp_path / "1")
    assert not errors
    assert outcome is not None
    assert world.releases.told("bureau.people", "bank") == told
    world.limit(row_share=0.4)  # four bits of ten
    outcome, errors = world.run(IDS[20:400])
    assert outcome is None
    assert isinstance(errors["bureau"], OverBudget)
    assert "2.0 bits of a row of bureau.people asked, 2.0 told before, 4.0 allowed" in str(
        errors["bureau"]
    )
    world.limit(row_share=0.41)
    assert not world.run(IDS[20:400])[1]


def test_copies_of_columns_told_before_hold_nothing_more(tmp_path: Path) -> None:
    """The job's own copy of the table brings along the columns that earlier jobs were told of."""
    world = Months(tmp_path, training(COLUMNS[:3]))
    world.limit(row_share=0.4)
    assert not world.run(IDS[:400])[1]
    world.ask(training(COLUMNS[3:]))
    outcome, errors = world.run(IDS[20:420])
    assert outcome is None
    assert "2.0 told before, 4.0 allowed: a row holds 10.0 in 6 columns" in str(errors["bureau"])
    assert "20 of 400 records" in str(errors["bureau"])


def test_a_threshold_at_each_value_is_refused_before_a_signature(tmp_path: Path) -> None:
    edges = [range(start, start + 50) for start in range(10, 200, 50)]
    measures = [f'"bureau.b0:histogram[{",".join(map(str, each))}]"' for each in edges]
    section = f'[[aggregate]]\nby = "bank.segment"\nmeasures = [{", ".join(measures)}]\n'
    world = Months(tmp_path, HEAD + section)
    outcome, errors = world.run(IDS[:400])
    assert outcome is None
    assert isinstance(errors["bureau"], Refused)
    assert "column 'b0' of bureau.people: 200 thresholds asked in all, 50 allowed" in str(
        errors["bureau"]
    )
    assert world.steps() <= {"contract"}


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"releases_per_column": 0}, "1 releases asked within 400 days, 0 allowed by policy"),
        # a draft says how much it tells of a row
        ({"row_share": 0.1}, "bits of a row of bureau.people asked, 0.0 told before, 1.0 allowed"),
    ],
)
def test_a_draft_that_the_book_refuses_waits_for_no_officer(
    limits: dict[str, float], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, decide = list[str](), AutoDecider.decide

    def noted(self: AutoDecider, request: Request, stop: threading.Event) -> Decision:
        asked.append(request.me)
        return decide(self, request, stop)

    monkeypatch.setattr(AutoDecider, "decide", noted)
    world = Months(tmp_path, training())
    world.limit(**limits)
    errors = world.run(IDS[:400])[1]
    assert said in str(errors["bureau"])
    assert asked == ["bank"]


def two_trainings(score_bits: int) -> str:
    one = training(score_bits=score_bits).replace("[train]", "[[train]]")
    return one + one[one.index("[[train]]") :].replace('"t"', '"u"').replace(
        "bank.y", "bank.segment"
    )


def test_trainings_of_one_job_are_weighed_together_before_alignment(tmp_path: Path) -> None:
    """What would pass is named, passes, and is one job in the book."""
    world = Months(tmp_path, two_trainings(4))
    world.limit(row_share=0.6)  # six bits of ten
    outcome, errors = world.run(IDS[:400])
    assert outcome is None
    assert "8.0 bits of a row of bureau.people asked, 0.0 told before, 6.0 allowed" in str(
        errors["bureau"]
    )
    assert "score_bits = 2 would pass" in str(errors["bureau"])
    assert world.steps() <= {"contract"}
    world.ask(two_trainings(2))
    outcome, errors = world.run(IDS[:400])
    assert not errors
    assert outcome is not None
    assert [trained.terms.task for trained in outcome.trained] == ["t", "u"]
    assert world.releases.told("bureau.people", "bank") == pytest.approx(4.09, abs=0.01)
