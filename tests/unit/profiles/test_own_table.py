"""What the outputs take of the receiver's own tables is looked at before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.own_table import check_own, sieved
from profiles.plan_text import describe
from profiles.run import run_job
from psi.protocol.errors import FedprofileError

JOB = """
[job]
name = "churn"
purpose = "retention"

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
features = ["balance"]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]
features = ["loans", "usage"]

[train]
task = "churn"
label = "bank.left"

[profile]
facts = ["number"]

[[target]]
product = "call"
managers = "bank.managers"
name = "full_name"
columns = ["phone"]
"""
PEOPLE = pa.table(
    {
        "number": ["c1", "c2", "c3", "c4"],
        "id": ["1", "2", "3", "4"],
        "full_name": ["a", "b", "c", "b"],
        "phone": ["5", "6", "7", "8"],
        "balance": [1.0, 2.0, 3.0, 4.0],
        "left": ["yes", "no", None, "no"],
    }
)


def world(
    folder: Path, *swaps: tuple[str, str], managers: Any = ("Ann", "Bo")
) -> tuple[Job, MemorySource]:
    text = JOB
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    (folder / "job.toml").write_text(text)
    tables = {"bank.people": PEOPLE, "bank.managers": pa.table({"manager": managers})}
    return Job.load(folder / "job.toml"), MemorySource(tables)


WRONG = [
    ('"full_name"', '"fullname"', "[[target]] 1 name: bank.people has no column 'fullname'"),
    ('["phone"]', '["mobile"]', "[[target]] 1 columns: bank.people has no column 'mobile'"),
    ('["number"]', '["numbr"]', "[profile] facts: bank.people has no column 'numbr'"),
    ('"bank.managers"', '"bank.staff"', "no table 'bank.staff'"),
    ('["phone"]', '["number"]', "[[target]] 1 columns: 'number' is in every list already"),
    (
        '["number"]',
        '["full_name", "number"]',
        "'full_name' of bank.people has 3 values in 4 rows, 0 of them empty",
    ),
    ('["phone"]', '["score"]', "[[target]] 1 columns: 'score' is in every list already"),
]


@pytest.mark.parametrize(("old", "new", "told"), WRONG, ids=[case[1] for case in WRONG])
def test_a_slip_ends_the_job_before_it_starts(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    job, source = world(tmp_path, (old, new))

    def over(*given: Any) -> Any:
        raise AssertionError("the parties were called")

    for start in (
        lambda: run_job(job, source, tmp_path / "out", over=over),
        lambda: describe(job, source, 10),
    ):
        with pytest.raises(FedprofileError) as error:
            start()
        assert told in error.value.message
        assert error.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["job.toml"]


def test_managers_are_looked_at_before_it_starts(tmp_path: Path) -> None:
    job, source = world(tmp_path, managers=("Ann", "Ann"))
    with pytest.raises(FedprofileError, match="0 of 2 rows have no name in 'manager', 1 repeat"):
        check_own(job, source)


@pytest.mark.parametrize(
    ("leave_out", "left"),
    [("", [0]), ("positive", [0]), ("labelled", [0, 1, 3]), ("none", [])],
)
def test_who_is_left_out_of_a_list(tmp_path: Path, leave_out: str, left: list[int]) -> None:
    line = f'\nleave_out = "{leave_out}"' if leave_out else ""
    job, source = world(tmp_path, ('columns = ["phone"]', f'columns = ["phone"]{line}'))
    check_own(job, source)
    (found,) = sieved(job, source, None)
    assert [row for row in range(4) if not found.rows[row]] == left
    assert sum(reason.people for reason in found.reasons) == len(left)
