"""What a run prints without a terminal: where it is, and for whom it waits."""

from __future__ import annotations

import re

import pytest

from federated.session.progress import APPROVAL, AWAY, OFFLINE
from profiles.cli.screen import progress_bar


def test_without_a_terminal_every_step_and_every_wait_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress_bar(["contract", "train/churn", "finish"], "bank") as report:
        for share in (0.0, 0.5, 1.0):
            report("bank", "contract", share)
            report("bureau", APPROVAL, 0.0)
        report("bureau", "train/churn", 0.0)  # another's steps are its own affair
        report("bank", "train/churn", 0.1)
        for step in (AWAY, "connected", AWAY):
            report("bureau", step, 0.0)
        report("bank", OFFLINE, 0.0)
        report("bank", "train/churn", 0.2)  # it is back
        report("bank", "finish", 1.0)
    lines = [line for line in capsys.readouterr().err.splitlines() if "compiled" not in line]
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    assert [line[9:] for line in lines] == [
        "bank: contract",
        "bureau: waits for approval there",
        "bank: train/churn",
        "bureau: is not connected to the hub",
        "bureau: is there",
        "bureau: is not connected to the hub",
        "bank: does not reach the hub; goes on when it is back",
        "bank: train/churn",
        "bank: done",
    ]
