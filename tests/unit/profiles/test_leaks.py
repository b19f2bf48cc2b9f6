"""A column that tells the outcome by itself is pointed at; honest ones are not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from federated.tables.column_report import columns_taken
from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.leaks import (
    partners_jump,
    partners_part,
    telling_columns,
    telling_numbers,
    with_leaks,
)
from psi.protocol.errors import JobError

ROWS = 600
RNG = np.random.default_rng(11)
LABEL = (RNG.random(ROWS) < 0.2).astype(np.int8)
LEFT = LABEL == 1

LEAKS = {
    "copy": LABEL.astype(np.float64),
    "turned": 5.0 - LABEL + RNG.normal(size=ROWS) * 0.01,
    "closed": np.where(LEFT, RNG.normal(size=ROWS), np.nan),
    "open_days": np.where(LEFT, np.nan, RNG.normal(size=ROWS)),
    "reason": np.where(LEFT, np.where(RNG.random(ROWS) < 0.5, "moved", "price"), "none"),
    "code": np.where(LEFT, 5, RNG.choice([1, 9], ROWS)),
    "as_text": [f"{3000 * int(x) + 0.001 * i:.3f}" for i, x in enumerate(LABEL)],
}
HONEST = {
    "noise": RNG.normal(size=ROWS),
    "good": LABEL + RNG.normal(size=ROWS),
    "city": RNG.choice(["a", "b", "c"], ROWS),
    "one_each": [f"customer {i}" for i in range(ROWS)],
    "gaps": np.where(RNG.random(ROWS) < 0.5, np.nan, 1.0),
    "constant": np.ones(ROWS),
}


def table(columns: dict[str, object]) -> pa.Table:
    made = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    return MemorySource({"p.t": made}).load("p.t", made.column_names)


@pytest.mark.parametrize("name", LEAKS)
def test_a_column_that_tells_the_label_alone_is_found(name: str) -> None:
    found = telling_columns(table(LEAKS), [name], "left", LABEL)
    assert [(one.column, one.label) for one in found] == [(name, "left")]
    assert found[0].auc > 0.99
    assert "leak" in found[0].words


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_column_is_not(name: str) -> None:
    assert telling_columns(table(HONEST), [name], "left", LABEL) == []


def test_rows_without_a_label_and_a_class_of_few_rows_say_nothing() -> None:
    few = np.where(np.cumsum(LEFT) <= 19, LABEL, -1).astype(np.int8)
    assert telling_columns(table(LEAKS), list(LEAKS), "left", few) == []


JOB = """
[job]
name = "j"
purpose = "p"
[[party]]
name = "bank"
table = "bank.t"
keys = [["id"]]
features = ["copy", "noise"]
[[party]]
name = "bureau"
table = "bureau.t"
keys = [["id"]]
features = ["x"]
[train]
task = "t"
label = "bank.left"
"""


def test_plan_and_preflight_say_it_of_the_receivers_own_columns() -> None:
    own = table({"id": np.arange(ROWS), "left": LABEL, **LEAKS, **HONEST})
    roles = {"copy": ["feature"], "noise": ["feature"]}
    job = Job.load(JOB)
    found = with_leaks(job, "bank", own, columns_taken(own, roles))
    told = {one.column: " ".join(one.wrong) for one in found}
    assert "tells 'left' with an AUC of 1.000" in told["copy"]
    assert "AUC" not in told["noise"]
    assert not any(one.problem for one in found)
    theirs = with_leaks(job, "bureau", own, columns_taken(own, roles))
    assert "AUC" not in " ".join(text for one in theirs for text in one.wrong)


def test_a_plan_says_it_of_a_label_that_is_a_number() -> None:
    spent = RNG.gamma(2, 100, ROWS)
    own = table({"copy": spent * 3, "noise": RNG.normal(size=ROWS), "left": spent})
    roles = {"copy": ["feature"], "noise": ["feature"]}
    job = Job.load(JOB + 'model = "linear"\n')
    told = {
        one.column: " ".join(one.wrong)
        for one in with_leaks(job, "bank", own, columns_taken(own, roles))
    }
    assert "alone it explains 1.000 of 'left': a leak" in told["copy"]
    assert "explains" not in told["noise"]
    theirs = with_leaks(job, "bureau", own, columns_taken(own, roles))
    assert "explains" not in " ".join(text for one in theirs for text in one.wrong)


def test_the_partners_part_of_a_score_is_asked_the_same() -> None:
    assert "bureau adds" in partners_part(LABEL, LABEL + RNG.normal(size=ROWS) * 0.01, "bureau")
    assert partners_part(LABEL, RNG.normal(size=ROWS), "bureau") == ""


def test_a_heavy_tail_is_named_and_a_normal_column_is_not() -> None:
    rng = np.random.default_rng(3)
    wide, normal = rng.lognormal(0, 2, 5000), rng.normal(size=5000)
    steps = rng.choice([0.0] * 999 + [1.0], 5000)
    own = table(
        {"wide": wide, "normal": normal, "flag": steps, "spread": rng.exponential(size=5000)}
    )
    found = columns_taken(own, {name: ["feature"] for name in own.column_names})
    told = {one.column: " ".join(one.wrong) for one in found}
    assert "a heavy tail" in told["wide"]
    assert "logarithm" in told["wide"]
    assert not told["normal"] + told["spread"]
    assert "heavy" not in told["flag"]


def test_a_column_that_is_the_number_is_found_and_one_that_half_explains_it_is_not() -> None:
    spent = RNG.gamma(2, 100, ROWS)
    own: dict[str, object] = {
        "copy": spent * 3 + RNG.normal(size=ROWS),
        "half": spent + RNG.normal(size=ROWS) * 150,
        "kind": np.where(LEFT, "a", "b"),
    }
    known = np.where(np.arange(ROWS) < 100, np.nan, spent)
    (found,) = telling_numbers(table(own), "spent", known, "bank")
    assert found.startswith("bank's copy: alone it explains 1.000 of 'spent': a leak")
    grouped = np.where(LEFT, 10.0, 20.0)
    (found,) = telling_numbers(table(own), "spent", grouped, "bank")
    assert "bank's kind" in found


def test_a_jump_with_partners_columns_is_asked_about() -> None:
    assert "With what bureau adds, 0.998 of 'spent' is" in partners_jump(
        0.058, 0.998, "bureau", "spent"
    )
    assert partners_jump(0.5, 0.9, "bureau", "spent") == ""
    assert partners_jump(0.99, 0.999, "bureau", "spent") == ""


def test_a_list_by_a_number_leaves_nobody_out_by_default() -> None:
    text = JOB + 'model = "linear"\n[[target]]\nproduct = "p"\n'
    assert Job.load(text).targets[0].leave_out == "none"
    assert Job.load(text.replace('"linear"', '"logistic"')).targets[0].leave_out == "positive"
    with pytest.raises(JobError, match='"positive" found'):
        Job.load(text + 'leave_out = "positive"\n')


def test_a_plan_of_columns_in_bins_points_at_an_own_one_that_is_the_label() -> None:
    job = Job.load(JOB[: JOB.index("[train]")] + '[[binning]]\nlabel = "bank.left"\n')
    own = table({"copy": LEAKS["copy"], "noise": HONEST["noise"], "left": LABEL})
    roles = {name: ["feature"] for name in ("copy", "noise")}
    found = {c.column: c.wrong for c in with_leaks(job, "bank", own, columns_taken(own, roles))}
    assert [len(found[name]) for name in roles] == [1, 0]
    assert "AUC of 1.000: a leak" in found["copy"][0]
