"""Two sums over hidden records, asked with sets that differ in one key: that key's value.

The sender sees blinded items, so it cannot compare the two. Nobody lies here: the bank changes its
own table by one record from one month to the next.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.contract.summary import in_words
from psi.protocol import Declined
from tests.attacks.world import NEW_POLICY, Run, World

ROWS, VALUE = 240, 4321.0
EXACT = NEW_POLICY.replace("[columns]\n", "unnoised_join_sums = true\n\n[columns]\n", 1)
HEAD = """
[job]
name = "debt in common"
purpose = "retention"
key_bits = 3072

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]
"""
HIDDEN = """
[align]
reveal = "cardinality"
minimum_overlap = 100

[[join_sum]]
measures = ["bureau.debt:sum{0}", "bureau.debt:count"]
{1}
"""
NOISED = HEAD + HIDDEN.format("[0,5000]", "epsilon = 0.4")
BARE = HEAD + HIDDEN.format("", 'noise = "none"')
GROUPS = (
    HEAD
    + """
[align]
minimum_overlap = 100

[[aggregate]]
by = "bank.seg"
measures = ["bureau.debt:sum"]
"""
)


def bureau(folder: Path, policy: str = NEW_POLICY) -> World:
    rng = np.random.default_rng(2)
    debt = rng.integers(0, 5000, ROWS).astype(float)
    debt[0] = VALUE
    table = pa.table({"id": [f"{i:06d}" for i in range(ROWS)], "debt": debt})
    return World(folder, table, {"id": "never", "debt": "aggregate"}, policy=policy)


def bank(first: int = 0) -> pa.Table:
    ids = [f"{i:06d}" for i in range(first, ROWS)]
    return pa.table({"id": ids, "seg": ["all"] * len(ids)})


def told(run: Run) -> np.ndarray:
    assert run.outcome is not None, run.errors
    return np.asarray(run.outcome.join_sums[0][1].values)


def test_the_difference_of_two_jobs_is_noise(tmp_path: Path) -> None:
    world = bureau(tmp_path)
    with_it, without = told(world.run(NOISED, bank())), told(world.run(NOISED, bank(1)))
    apart = with_it - without
    assert abs(apart[0] - VALUE) > 1  # exact to 2^-20 before
    assert float(with_it[1]).is_integer()
    # 3 numbers' share of epsilon .4: a sum's noise has a scale of 25,000, a count's of 5
    (line, *_) = [text for text in in_words(world.officer.read[0]) if "noise moves" in text]
    assert "a count by up to 15" in line
    assert "a sum of debt by up to 75,000" in line
    assert "as long as bank keeps to the protocol" in line


def test_noise_is_paid_for_over_jobs(tmp_path: Path) -> None:
    world = bureau(tmp_path)
    for _ in range(2):
        told(world.run(NOISED, bank()))
    refused = world.run(NOISED, bank(1))
    assert isinstance(refused.errors["bureau"], Declined)
    assert "epsilon 1.2 asked in all, 1 allowed" in str(refused.errors["bureau"])


def test_a_new_nodes_policy_lets_no_exact_sum_pass(tmp_path: Path) -> None:
    refused = bureau(tmp_path).run(BARE, bank())
    assert refused.outcome is None
    assert "without noise, not allowed by policy" in str(refused.errors["bureau"])


@pytest.mark.parametrize("then", [BARE, GROUPS])
def test_where_exact_ones_are_allowed_there_is_one(tmp_path: Path, then: str) -> None:
    """Another exact sum, hidden or by segment, would be the same over all records but one."""
    world = bureau(tmp_path, EXACT)
    assert told(world.run(BARE, bank()))[1] == ROWS
    refused = world.run(then, bank(1))
    assert refused.outcome is None
    assert "2 exact sums asked in all within 400 days" in str(refused.errors["bureau"])
    told(world.run(NOISED, bank(1)))


def test_an_exact_sum_after_segments_is_refused(tmp_path: Path) -> None:
    world = bureau(tmp_path, EXACT)
    assert world.run(GROUPS, bank()).outcome is not None
    assert "2 exact sums" in str(world.run(BARE, bank(1)).errors["bureau"])


def test_two_exact_sums_of_one_contract_are_refused(tmp_path: Path) -> None:
    twice = (
        BARE
        + """
[[join_sum]]
measures = ["bureau.debt:mean"]
noise = "none"
"""
    )
    refused = bureau(tmp_path, EXACT).run(twice, bank())
    assert "2 exact sums" in str(refused.errors["bureau"])
