"""The ledgers of a job's parties, set against each other two by two."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from federated.ledger.account import read_account
from federated.ledger.compare import compare

__all__ = ["assert_agree"]


def assert_agree(out: Path) -> None:
    """What honest parties note of a job is the same: `out` is the job's folder of outputs."""
    files = sorted((out / "parties").glob("*/ledger.jsonl"))
    assert len(files) >= 2
    for pair in combinations(files, 2):
        found = compare(*(read_account(file, name=file.parent.name) for file in pair))
        assert not found, [str(finding) for finding in found]
