"""How many joined rows a training takes is known before a job, and said by `plan`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federated.vertical.size import fits, most_rows
from federated.vertical.sums import Layout
from profiles.job import Job
from profiles.plan_text import describe
from psi.protocol import Refused


@pytest.mark.parametrize("columns", [0, 1, 9, 40])
@pytest.mark.parametrize("bits", [2048, 3072])
def test_one_row_more_than_the_most_does_not_fit(columns: int, bits: int) -> None:
    most = most_rows(columns, bits)
    assert fits(Layout(bits, most, columns), most, bits // 4)
    assert not fits(Layout(bits, most + 1, columns), most + 1, bits // 4)
    assert most > 10_000


JOB = """
[job]
name = "j"
purpose = "p"
[[party]]
name = "bank"
table = "bank.t"
keys = [["id"]]
features = ["x"]
[[party]]
name = "bureau"
table = "bureau.t"
keys = [["id"]]
features = ["y"]
[[party]]
name = "telecom"
table = "telecom.t"
keys = [["id"]]
features = ["z"]
[train]
task = "churn"
label = "bank.left"
"""


def test_plan_says_where_more_may_be_shared() -> None:
    job, most = Job.load(JOB), most_rows(1, 3072)
    told = f"training 'churn' takes {most:,} joined rows at most"
    assert told not in describe(job, None, most)
    assert told in describe(job, None, most + 1)
    assert job.align is not None
    sure = replace(job, align=replace(job.align, minimum_overlap=most + 1))
    with pytest.raises(Refused, match=f"{most + 1:,} found, training 'churn' takes {most:,} rows"):
        describe(sure, None, most + 1)
