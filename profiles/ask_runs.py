"""Runs that a `job serve` left when it was killed: they may be at work still, or done."""

from __future__ import annotations

from pathlib import Path

from profiles.runs import RunFolder, runs_in

__all__ = ["LeftRun", "left_run"]


class LeftRun:
    """One, in the place of a child process: this one is nobody's child any more.

    Args:
        run: its folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.returncode = 0

    def poll(self) -> int | None:
        """None while its process is at work, else 0 for a run that is done and 1 for others."""
        if self.run.alive():
            return None
        self.returncode = 0 if self.run.load().state == "done" else 1
        return self.returncode

    @property
    def goes_on(self) -> bool:
        """Whether its process has ended in mid-job, and another can go on."""
        return self.poll() is not None and self.run.resumable

    def send_signal(self, number: int) -> None:
        """It is left at work: the next service finds it."""

    def wait(self, patience: float) -> None:
        """It is not waited for."""


def left_run(jobs: Path, out: Path) -> LeftRun | None:
    """The last run whose outputs go to `out`; None where none had begun.

    Args:
        jobs: the party's folder of jobs.
        out: an ask's folder of outputs.
    """
    found = (run for run in runs_in(jobs) if Path(run.load().started.out) == out)
    return next((LeftRun(run) for run in found), None)
