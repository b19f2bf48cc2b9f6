"""What the parties' tables say together: a job, its run, its results.

    from profiles import Job, open_tables, run_job

    job = Job.load("job.toml")  # or its text, or a dict
    tables = open_tables("tables.toml")  # or {"bank.people": frame, "bureau.people": other}
    result = run_job(job, tables, "out")
    result.targets  # a DataFrame

The names below are all that is meant to be imported from here; the rest may move.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from profiles.job import Job
    from profiles.plan import describe
    from profiles.run import JobResult, run_job
    from profiles.tables import open_tables

__all__ = ["Job", "JobResult", "describe", "open_tables", "run_job"]

_WHERE = {
    "Job": "profiles.job",
    "JobResult": "profiles.run",
    "describe": "profiles.plan",
    "open_tables": "profiles.tables",
    "run_job": "profiles.run",
}


def __getattr__(name: str) -> Any:
    """Imported when it is asked for: a command that only prints its help waits for none of it."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
