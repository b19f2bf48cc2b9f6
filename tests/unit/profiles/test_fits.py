"""A job that its own tables pass by is told so before anything is sent."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from federated.tables.column_report import columns_taken
from federated.tables.source import MemorySource
from profiles.fits import unnamed_branches, with_categories
from profiles.job import Job

JOB = """
[job]
name = "j"
purpose = "p"
[[party]]
name = "bank"
table = "bank.t"
keys = [["id"]]
features = ["z"]
[[party]]
name = "registry"
table = "registry.t"
keys = [["id"]]
features = ["x"]
[[aggregate]]
by = "registry.industry"
categories = ["retail", "transport"]
[train]
task = "t"
label = "bank.y"
[profile]
facts = ["id", "支行"]
[[target]]
product = "p"
managers = "bank.m"
"""
PLACES = ["north", "south", "east", "west"]
OWN = pa.table(
    {
        "id": [f"{i}" for i in range(80)],
        "z": np.arange(80.0),
        "branch": [PLACES[i % 4] for i in range(80)],
        "支行": [f"{i % 4}" for i in range(80)],
        "sex": ["f", "m"] * 40,
    }
)


@pytest.mark.parametrize(
    ("managers", "advice"),
    [
        ({"网点": PLACES}, 'branch = "branch" and managers_columns = { branch = "网点" }'),
        ({"office": [0, 1, 2, 3]}, 'branch = "支行" and managers_columns = { "支行" = "office" }'),
        ({"支行": ["0", "1", "2", "9"]}, 'branch = "支行" goes by it'),
        ({"phone": ["1", "22", "333", "4444"]}, ""),
        ({"branch": PLACES}, ""),
        ({"level": ["north"] * 4}, ""),
    ],
)
def test_branches_that_nobody_named_are_pointed_at(
    managers: dict[str, list[object]], advice: str
) -> None:
    theirs = pa.table({"manager": ["a", "b", "c", "d"], **managers})
    source = MemorySource({"bank.t": OWN, "bank.m": theirs})
    found = unnamed_branches(Job.load(JOB), source)
    assert advice in found.get("p", "")
    assert bool(found) is bool(advice)
    if found:
        text = found["p"].partition("does; ")[2].partition(" goes by it")[0]
        written = Job.load(JOB + text.replace(" and ", "\n") + "\n")  # the advice is taken
        assert unnamed_branches(written, source) == {}
        assert unnamed_branches(Job.load(JOB + "branch = []\n"), source) == {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["Retail", "Transport"], "none of 40 values are among the job's 2 categories"),
        (["retail", "farms", "mines", "banks"], "10 of 40 values are among"),
        (["retail", "farms"], ""),
        ([None, "retail"], ""),
    ],
)
def test_a_partner_without_the_categories_is_told(values: list[str | None], said: str) -> None:
    table = pa.table({"id": [str(i) for i in range(40)], "industry": values * (40 // len(values))})
    roles = {"industry": ["category"]}
    found = with_categories(Job.load(JOB), "registry", table, columns_taken(table, roles))
    assert said in " ".join(found[0].wrong)
    assert ("categories" in " ".join(found[0].wrong)) is bool(said)
    assert not found[0].problem
    receiver = with_categories(Job.load(JOB), "bank", table, columns_taken(table, roles))
    assert "categories" not in " ".join(receiver[0].wrong)
