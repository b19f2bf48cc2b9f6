"""Columns that leads go to managers by: named by the job, and refused before anything is sent."""

from __future__ import annotations

import pyarrow as pa
import pytest

from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.own_table import check_own, routed
from profiles.routing import Routing, unknown
from psi.protocol import FedprofileError, InputError, JobError

JOB = """
[job]
name = "j"
purpose = "p"
[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]
features = ["x"]
[train]
task = "t"
label = "bank.left"
[[target]]
product = "renewal"
managers = "bank.managers"
"""


def source(own: dict[str, list[object]], managers: dict[str, list[object]]) -> MemorySource:
    people = {"id": ["a", "b"], "left": [0, 1], **own}
    return MemorySource({"bank.people": pa.table(people), "bank.managers": pa.table(managers)})


def test_a_branch_under_another_name_reaches_its_managers() -> None:
    job = Job.load(
        JOB + 'branch = "支行"\nrelationship = "经理"\n'
        'managers_columns = { manager = "姓名", "支行" = "网点", capacity = "名额" }\n'
    )
    tables = source(
        {"支行": ["0010", "0020"], "经理": [None, "Bo"]},
        {"姓名": ["Ann", "Bo"], "网点": ["0010", "0020"], "名额": [1, 1]},
    )
    check_own(job, tables)
    found = routed(job, job.targets[0], tables)
    assert found.shared == (("支行", "网点"),)
    assert (found.relationship, found.manager, found.capacity) == ("经理", "姓名", "名额")


@pytest.mark.parametrize(
    ("more", "own", "managers", "message"),
    [
        ("", {"支行": ["1", "2"]}, {"branch": ["1"]}, "has a column 'branch', and bank.people has"),
        ('branch = "支行"', {}, {"branch": ["1"]}, "bank.people has no column '支行'"),
        ('branch = "z"', {"z": ["1", "2"]}, {"zone": ["1"]}, "bank.managers has no column 'z'"),
        ('relationship = "who"', {}, {}, "bank.people has no column 'who'"),
        ('managers_columns = { manager = "m" }', {}, {}, "bank.managers has no column 'm'"),
        ('managers_columns = { boss = "m" }', {}, {}, "managers_columns: 'boss' found, manager"),
        ("", {"branch": [10, 20]}, {"branch": ["0010"]}, "none of the 2 different values"),
        ("", {"branch": ["1", "2"]}, {"capacity": [0]}, "all 1 managers have a capacity below 1"),
        ("managers_columns = 3", {}, {}, "a table of text = text allowed"),
    ],
)
def test_what_would_send_leads_anywhere_is_refused_before_anything_is_sent(
    more: str, own: dict[str, list[object]], managers: dict[str, list[object]], message: str
) -> None:
    with pytest.raises((InputError, JobError), match=message) as caught:
        check_own(Job.load(f"{JOB}{more}\n"), source(own, {"manager": ["Ann"], **managers}))
    assert isinstance(caught.value, FedprofileError)


def test_leads_that_name_what_no_manager_has_are_counted() -> None:
    leads = pa.table({"branch": ["n", "x", None], "manager": ["Bo", "Ann ", "Cy"]})
    managers = pa.table({"manager": ["Ann"], "branch": ["n"]})
    found = unknown(Routing(), leads, managers)
    assert found == (("manager", "manager", 2), ("branch", "branch", 1))


def test_a_job_may_go_without_a_branch() -> None:
    tables = source({"支行": ["1", "2"]}, {"manager": ["Ann"], "branch": ["1"]})
    job = Job.load(f"{JOB}branch = []\n")
    check_own(job, tables)
    assert routed(job, job.targets[0], tables).shared == ()


def test_what_is_called_so_is_taken_where_nothing_is_named() -> None:
    tables = source(
        {"branch": ["n", "s"], "manager": ["Ann", None]}, {"manager": ["Ann"], "branch": ["n"]}
    )
    job = Job.load(JOB)
    check_own(job, tables)
    found = routed(job, job.targets[0], tables)
    assert (found.shared, found.relationship) == ((("branch", "branch"),), "manager")
