"""What the parties' tables say together: a job, its run, its results.

    from profiles import Job, open_tables, run_job

    job = Job.load("job.toml")  # or its text, or a dict
    tables = open_tables("tables.toml")  # or {"bank.people": frame, "bureau.people": other}
    result = run_job(job, tables, "out")
    result.targets  # a DataFrame

The names below are all that is meant to be imported from here; the rest may move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psi.lazy import handed_out, listed

if TYPE_CHECKING:
    from profiles.flows.flows import Flows
    from profiles.flows.taxonomy import Taxonomy
    from profiles.job import Job
    from profiles.plan_text import describe
    from profiles.run import JobResult, run_job
    from profiles.tables import open_tables

__all__ = ["Flows", "Job", "JobResult", "Taxonomy", "describe", "open_tables", "run_job"]

__getattr__ = handed_out(
    __name__,
    {
        "Flows": "profiles.flows.flows",
        "Job": "profiles.job",
        "JobResult": "profiles.run",
        "Taxonomy": "profiles.flows.taxonomy",
        "describe": "profiles.plan_text",
        "open_tables": "profiles.tables",
        "run_job": "profiles.run",
    },
)
__dir__ = listed(__name__)
