"""The rule of states by itself, and the document: every cell."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

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
    assert state_of(Found(entry=None, told=told, folder=tmp_path), 0.0) == state
    live = Found(entry=None, told=told, folder=tmp_path, live="running")
    assert state_of(live, 0.0) == ("done" if told.finished else "running")
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "key").touch()
    (tmp_path / "journal" / "point").touch()
    if state == "failed":
        assert state_of(Found(entry=None, told=told, folder=tmp_path), 0.0) == "interrupted"


def test_the_document_has_every_cell() -> None:
    """States down, events across, nothing left out; and it knows the states of the code."""
    lines = DOC.read_text("utf-8").splitlines()
    begins = next(n for n, line in enumerate(lines) if line.startswith("| event |"))
    states = [cell.strip(" `") for cell in lines[begins].strip("|").split("|")][1:]
    rows = [line for line in lines[begins + 2 :] if line.startswith("|")]
    assert [row.split("|")[1].strip() for row in rows] == list(PLAYED)
    assert {len(cells) for cells in PLAYED.values()} == {len(states)}
    assert states == ["called", "waiting", "approved", "running", "interrupted"]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == len(states) + 1
        assert all(cells), row
    assert all(f"| `{state}` |" in "\n".join(lines) for state in STATES)


CALLED, WAITING, AT_REST = (
    f"tests.unit.states.test_{name}:test_" for name in ("called", "waiting", "at_rest")
)
_CALL, _WAITS = f"{CALLED}what_a_call_outlives", f"{WAITING}what_a_waiting_proposal_outlives"
_LIVES = f"{AT_REST}what_approved_and_running_jobs_outlive"
_OVER = "tests.unit.states.test_at_rest_ends:test_"
_ENDS = f"{_OVER}what_ends_approved_and_running_jobs"
_RESTS = f"{AT_REST}what_an_interrupted_job_outlives"
_BLIND = f"{AT_REST}what_a_running_job_does_not_look_at"
_DISK, _TABLE = f"{AT_REST}a_full_disk_leaves_a_job_at_rest", f"{AT_REST}a_table_that_changes"
_KILLED = "tests.e2e.test_hub_kill_matrix:test_killed_in_every_phase"
_OFFICER = "tests.e2e.test_officer:test_an_officer_reads_denies_and_approves"

PLAYED = {
    "stop, restart": (
        f"{_CALL} restart", f"{_WAITS} restart", f"{_LIVES} approved restarted",
        f"{_LIVES} running restarted", f"{_RESTS} hub_gone",
    ),
    "kill": (
        "tests.unit.test_node_interrupted:test_one_that_had_said_nothing_begins_afresh",
        _OFFICER, _OFFICER, _KILLED,
        "tests.unit.test_node_interrupted:"
        "test_what_may_come_back_is_away_and_what_has_ended_is_refused",
    ),
    "`keys rotate`": (
        f"{CALLED}new_keys_while_a_party_calls", f"{_WAITS} rotation",
        f"{_LIVES} approved new_keys", f"{_LIVES} running new_keys",
        f"{_LIVES} running new_keys",  # keys are made with the node stopped
    ),
    "policy saved": (
        f"{CALLED}a_policy_that_was_saved_meanwhile_decides", f"{_WAITS} saved_policy",
        f"{_ENDS} approved forbidden_since", f"{_BLIND} forbidding_policy",
        f"{_ENDS} running forbidden_over_a_restart",
    ),
    "policy broken": (
        f"{_CALL} policy_mended", f"{_WAITS} broken_policy",
        f"{_ENDS} approved policy_broken_meanwhile",
        f"{_BLIND} broken_policy", f"{_RESTS} policy_broken",
    ),
    "revoked": (
        f"{CALLED}what_ends_a_call revoked", f"{WAITING}a_node_that_is_revoked",
        f"{_ENDS} approved revoked", f"{_ENDS} running revoked", f"{_ENDS} running revoked_at_rest",
    ),
    "hub gone": (
        f"{_CALL} hub_gone", f"{_WAITS} hub_gone", f"{_LIVES} approved back",
        f"{_LIVES} running back", f"{_RESTS} hub_gone",
    ),
    "proposer gone": (
        f"{CALLED}what_ends_a_call proposer_gone", f"{WAITING}a_proposer_that_ends_for_good",
        f"{_ENDS} approved given_up", f"{_ENDS} running given_up",
        f"{_OVER}a_proposer_that_has_ended_while_no_node_ran",
    ),
    "table changed": (
        f"{_CALL} table_changed", f"{_TABLE}_is_read_once waiting",
        f"{_TABLE}_after_the_word before_it_starts", f"{_TABLE}_is_read_once running",
        f"{_TABLE}_after_the_word while_at_rest",
    ),
    "clock": (
        f"{CALLED}a_call_that_is_stale_or_from_the_future",
        f"{WAITING}what_ends_a_waiting_proposal too_late", f"{_ENDS} approved clock_far_ahead",
        f"{_BLIND} later",
        f"{_ENDS} running clock_far_ahead_over_a_restart",
    ),
    "disk full": (
        f"{CALLED}a_full_disk_refuses_a_call", f"{_DISK} waiting", f"{_DISK} approved",
        f"{_DISK} running", f"{_RESTS} disk_full",
    ),
}  # fmt: skip
"""Which test plays each cell, in the order of the states: its module and name, and of one with
parameters those that make the cell."""


@pytest.mark.parametrize(
    ("event", "cell"), [(event, n) for event, cells in PLAYED.items() for n in range(len(cells))]
)
def test_every_cell_is_played(event: str, cell: int) -> None:
    where, *asked = PLAYED[event][cell].split()
    module, name = where.split(":")
    test = getattr(import_module(module), name)
    marks = [m for m in getattr(test, "pytestmark", []) if m.name == "parametrize"]
    rows = [_words(values) for mark in marks for values in mark.args[1]]
    assert not asked or any(set(asked) <= row for row in rows), f"{asked} is no case of {name}"


def _words(values: Any) -> set[str]:
    """One row of parameters, by the names of what can be called and else as text."""
    values = getattr(values, "values", values)
    values = values if isinstance(values, tuple | list) else [values]
    return {str(getattr(value, "__name__", value)) for value in values}
