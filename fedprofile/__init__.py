"""The public names of the whole in one place.

    import fedprofile

    job = fedprofile.Job.load("job.toml")  # or its text, or a dict
    tables = fedprofile.open_tables("tables.toml")  # or DataFrames by name
    result = fedprofile.run_job(job, tables, "out")
    result.targets  # a DataFrame

What they are stands in `docs/API.md`; they live in `psi`, `federated` and `profiles`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import federated
import profiles
import psi
from psi.lazy import handed_out, listed

if TYPE_CHECKING:
    from federated import (
        MODELS,
        Model,
        Part,
        SavedModel,
        aggregate_by_category,
        aggregate_by_segment,
        auc,
        boost_trees,
        calibration,
        join_and_sum,
        ks,
        lift,
        verify_ledger,
    )
    from profiles import Flows, Job, JobResult, Taxonomy, describe, open_tables, run_job
    from psi import (
        KINDS,
        PROTOCOLS,
        Alignment,
        AlignSettings,
        Cleaned,
        Declined,
        EnvironmentFailed,
        FedprofileError,
        InputError,
        JobError,
        MisuseError,
        PeerError,
        PeerGone,
        Refused,
        clean,
        combine,
        guess_kind,
        intersect,
    )

__all__ = [
    "KINDS",
    "MODELS",
    "PROTOCOLS",
    "AlignSettings",
    "Alignment",
    "Cleaned",
    "Declined",
    "EnvironmentFailed",
    "FedprofileError",
    "Flows",
    "InputError",
    "Job",
    "JobError",
    "JobResult",
    "MisuseError",
    "Model",
    "Part",
    "PeerError",
    "PeerGone",
    "Refused",
    "SavedModel",
    "Taxonomy",
    "aggregate_by_category",
    "aggregate_by_segment",
    "auc",
    "boost_trees",
    "calibration",
    "clean",
    "combine",
    "describe",
    "guess_kind",
    "intersect",
    "join_and_sum",
    "ks",
    "lift",
    "open_tables",
    "run_job",
    "verify_ledger",
]

__getattr__ = handed_out(
    __name__,
    {name: package.__name__ for package in (psi, federated, profiles) for name in package.__all__},
)
__dir__ = listed(__name__)
