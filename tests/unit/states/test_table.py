"""The rule of states by itself, and the document: every cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from federated.ledger.ending import Told
from federated.node.states import STATES, Found, state_of

DOC = Path(__file__).parents[3] / "docs" / "STATES.md"


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (Told(), "failed"),
        (Told(word="approved", signed=True), "failed"),
        (Told(word="approved", ended="Refused"), "refused"),
        (Told(word="approved", finished=True), "done"),
        (Told(word="refused", by="policy"), "refused"),
    ],
)
def test_of_a_job_that_no_officer_was_asked_for(tmp_path: Path, told: Told, state: str) -> None:
    assert state_of(Found(None, told, tmp_path), 0.0) == state
    live = Found(None, told, tmp_path, "running")
    assert state_of(live, 0.0) == ("done" if told.finished else "running")
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "key").touch()
    (tmp_path / "journal" / "point").touch()
    if state == "failed":
        assert state_of(Found(None, told, tmp_path), 0.0) == "interrupted"


def test_the_document_has_every_cell() -> None:
    """States down, events across, nothing left out; and it knows the states of the code."""
    lines = DOC.read_text("utf-8").splitlines()
    begins = next(n for n, line in enumerate(lines) if line.startswith("| event |"))
    states = [cell.strip(" `") for cell in lines[begins].strip("|").split("|")][1:]
    rows = [line for line in lines[begins + 2 :] if line.startswith("|")]
    assert [row.split("|")[1].strip() for row in rows] == EVENTS
    assert states == ["called", "waiting", "approved", "running", "interrupted"]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == len(states) + 1
        assert all(cells), row
    assert all(f"| `{state}` |" in "\n".join(lines) for state in STATES)


EVENTS = ["stop, restart", "kill", "`keys rotate`", "policy saved", "policy broken", "revoked"]
EVENTS += ["hub gone", "proposer gone", "table changed", "clock", "disk full"]
