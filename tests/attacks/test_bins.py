"""Histograms and shares that part few values from the rest.

A receiver asks for a threshold at each value, in one statistic or many, in several sections, by two
segments, or month after month. Groups are of the minimum and more throughout.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.aggregate import AggregateResult
from tests.attacks.world import NEW_POLICY, World

MANY = NEW_POLICY.replace("key_bits = 3072", "key_bits = 2048")
MANY = MANY.replace("thresholds_per_column = 20", "thresholds_per_column = 1000")
MANY = MANY.replace('protocols = ["sums"]', 'protocols = ["sums", "paillier"]')
HEAD = """
[job]
name = "segments"
purpose = "retention"
key_bits = 2048
[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]
[align]
minimum_overlap = 100
"""
N = 120
IDS = [f"id{i:04d}" for i in range(N)]
INCOME = np.random.default_rng(5).integers(10, 300, N).astype(float)
SEG = ["T"] * 20 + ["rest"] * (N - 20)


def section(by: str, *statistics: str) -> str:
    measures = ", ".join(f'"bureau.income:{text}"' for text in statistics)
    return f'[[aggregate]]\nby = "bank.{by}"\nmeasures = [{measures}]\nminimum_group = 20\n'


def histogram(edges: list[int]) -> str:
    return f"histogram[{','.join(map(str, edges))}]"


def world(folder: Path, policy: str = MANY, income: np.ndarray = INCOME) -> World:
    table = pa.table({"id": [f"id{i:04d}" for i in range(len(income))], "income": income})
    return World(folder, table, {"income": "aggregate"}, policy=policy)


def parts(result: AggregateResult, group: str) -> list[float]:
    """Every count of values between thresholds that a result tells of a group."""
    g, found = result.groups.index(group), list[float]()
    for (_, text), values in zip(result.statistics, result.values, strict=True):
        if text.startswith("histogram"):
            found += values[g][~np.isnan(values[g])].tolist()
    return found


def test_a_threshold_at_each_value_reads_no_value(tmp_path: Path) -> None:
    edges = [list(range(a, min(a + 50, 301))) for a in range(10, 301, 49)]
    asked = section("seg", *(histogram(each) for each in edges))
    job = HEAD + asked + 'protocol = "paillier"\n'  # more than private sums take
    bank = pa.table({"id": IDS, "seg": SEG})
    (tmp_path / "new").mkdir()
    done = world(tmp_path / "new", MANY.replace("= 1000", "= 20")).run(job, bank)
    assert "thresholds asked" in str(done.errors["bureau"])
    done = world(tmp_path).run(job, bank)
    assert done.outcome is not None, done.errors
    _, result = done.outcome.aggregates[0]
    for group in ("T", "rest"):
        assert all(count == 0 or count >= 20 for count in parts(result, group))
    # what is left is that whole ranges hold nobody: none of them is within the values
    told = [b for values in result.values for b in values[result.groups.index("T")]]
    assert sum(count == 0 for count in told) < 40


def test_two_shares_do_not_part_a_few_values(tmp_path: Path) -> None:
    """Thresholds beside each other, in two statistics of one section or in two sections."""
    low, high = np.sort(INCOME)[[60, 64]]
    one = HEAD + section("seg", f"share>={low:g}", f"share>={high:g}")
    two = HEAD + section("seg", f"share>={low:g}") + section("seg", f"share<{high:g}", "count")
    for number, job in enumerate((one, two)):
        (tmp_path / str(number)).mkdir()
        done = world(tmp_path / str(number)).run(job, pa.table({"id": IDS, "seg": ["all"] * N}))
        assert done.outcome is not None, done.errors
        told = [
            values[0]
            for _, result in done.outcome.aggregates
            for (_, text), values in zip(result.statistics, result.values, strict=True)
            if text.startswith("share")
        ]
        assert np.isnan(told).sum() == 1


def test_the_difference_of_two_segments_has_no_small_bins(tmp_path: Path) -> None:
    """Two segments differ in 25 persons: enough for a sum, too few for two bins of them."""
    one = ["a"] * 60 + ["b"] * 60
    two = ["a"] * 35 + ["b"] * 85
    edges = [int(np.median(INCOME))]
    job = HEAD + section("one", histogram(edges)) + section("two", histogram(edges))
    done = world(tmp_path).run(job, pa.table({"id": IDS, "one": one, "two": two}))
    assert done.outcome is not None, done.errors
    first, second = (result for _, result in done.outcome.aggregates)
    assert not np.isnan(first.values[0]).any()
    assert (second.there["income"] > 0).all()
    difference = first.values[0][0] - second.values[0][0]
    known = difference[~np.isnan(difference)]
    assert all(count == 0 or count >= 20 for count in known)
    assert np.isnan(difference).any()


def test_a_later_jobs_thresholds_are_audited_with_those_of_earlier_ones(tmp_path: Path) -> None:
    """The same customers but for thirty that came: the group of the others has not changed."""
    rng = np.random.default_rng(8)
    income = rng.integers(10, 300, 260).astype(float)
    place = world(tmp_path, income=income)
    ids = [f"id{i:04d}" for i in range(260)]
    stay, come = ids[:200], ids[200:260]
    low, high = np.sort(income[:200])[[100, 104]]
    first = place.run(
        HEAD + section("seg", f"share>={low:g}"), pa.table({"id": stay, "seg": ["a"] * 200})
    )
    assert first.outcome is not None, first.errors
    bank = pa.table({"id": [*stay, *come], "seg": ["a"] * 200 + ["b"] * 60})
    second = place.run(HEAD + section("seg", f"share>={high:g}"), bank)
    assert second.outcome is not None, second.errors
    _, told = second.outcome.aggregates[0]
    assert not np.isnan(first.outcome.aggregates[0][1].values[0]).any()
    assert np.isnan(told.values[0][told.groups.index("a")])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_all_that_a_contract_tells_of_a_group_parts_it_in_enough(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    income = rng.integers(0, 12, N).astype(float)
    cut = sorted(rng.choice(np.arange(1, 12), 4, replace=False).tolist())
    seg = rng.choice(["a", "b", "c"], N).tolist()
    job = HEAD + section("seg", histogram(cut[:2]), f"share>{cut[2]}")
    job += section("seg", histogram(cut[1:]), "mean")
    done = world(tmp_path, income=income).run(job, pa.table({"id": IDS, "seg": seg}))
    assert done.outcome is not None, done.errors
    for group in ("a", "b", "c"):
        known = {float("-inf"), float("inf")}
        for _, result in done.outcome.aggregates:
            g = result.groups.index(group)
            for (_, text), values in zip(result.statistics, result.values, strict=True):
                if text.startswith("share") and not np.isnan(values[g]):
                    known.add(cut[2] + 0.5)
                if text.startswith("histogram"):
                    edges = [float(e) for e in text[10:-1].split(",")]
                    bins = ~np.isnan(values[g])
                    known |= {e for e, a, b in zip(edges, bins, bins[1:], strict=False) if a or b}
        mine = income[np.array(seg) == group]
        for low, high in pairwise(sorted(known)):
            count = int(((mine >= low) & (mine < high)).sum())
            assert count == 0 or count >= 20
