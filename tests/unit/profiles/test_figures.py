"""A run's figures on the terminal."""

from __future__ import annotations

from dataclasses import replace

from profiles.cli.figures import MOST, group_lines
from profiles.report.grouped import Aggregated, GroupRow

ROWS = (
    GroupRow("mass", 1612, (0.5341, 12.0)),
    GroupRow("private", 40, (None, 13.0)),
    GroupRow("staff", None, (), "fewer than 20 shared records, or protects one"),
)
TABLE = Aggregated(
    partner="telecom",
    by="bank.segment",
    measures=("mean of plan_used", "variance of lines"),
    rows=ROWS,
    minimum_group=20,
)


def test_means_by_group_are_printed() -> None:
    head, mass, private, staff = group_lines(TABLE)
    assert head == "telecom by bank.segment"
    assert mass.startswith("  mass: 1,612, mean of plan_used 0.53")
    assert "mean of plan_used withheld, variance of lines 13" in private
    assert staff == "  staff: withheld, fewer than 20 shared records, or protects one"


def test_many_groups_are_for_the_report_and_sums_over_all_have_no_group() -> None:
    many = group_lines(replace(TABLE, rows=ROWS[:1] * (MOST + 3)))
    assert (len(many), many[-1]) == (MOST + 2, "  3 more groups stand in report.html")
    assert group_lines(replace(TABLE, by="")) == []
