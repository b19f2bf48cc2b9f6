"""The quick lane's choice of tests."""

from __future__ import annotations

import runpy
from pathlib import Path

TOOL = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "reached_tests.py"))


def names(*paths: str, steps: int = 2) -> list[str]:
    return [path.name for path in TOOL["reached"](paths, steps)]


def test_a_test_that_changed_comes_first_and_one_that_imports_the_change_is_there() -> None:
    found = names("tests/unit/test_text.py", "federated/text.py")
    assert found[0] == "test_text.py"
    assert "test_officer_texts.py" in found


def test_nearer_ones_come_first_and_further_ones_not_at_all() -> None:
    direct = names("federated/releases/budget.py", steps=1)
    assert direct
    assert set(direct) < set(names("federated/releases/budget.py", steps=3))
    assert names("README.md") == []
