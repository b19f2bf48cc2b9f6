"""Whether the next run would end because columns are taken for something else than in the last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from federated.tables.frozen import FrozenColumns
from federated.tables.source import Source
from profiles.job import Job
from profiles.roles import roles_of

__all__ = ["check_held", "frozen_beside"]


def frozen_beside(job: Path, tables: Path | None) -> list[FrozenColumns]:
    """What runs of this job file, and the node whose tables file it is, took columns for.

    Nothing is noted in them.
    """
    found = [
        (
            job.with_suffix(".columns.json"),
            "fedprofile run --accept-columns takes them for what they are now",
        )
    ]
    if tables is not None and (tables.parent / "node.toml").exists():
        how = "fedprofile node table accept TABLE takes them for what they are now"
        found.append((tables.parent / "columns.json", how))
    return [FrozenColumns(path, lambda: 0.0, how=how) for path, how in found]


def check_held(
    job: Job, parties: Iterable[str], source: Source, frozen: Iterable[FrozenColumns]
) -> None:
    """Look at every column but keys that the job names of these parties' tables.

    Raises:
        InputError: a column is taken for something else than before.
    """
    held = list(frozen)
    for name in parties:
        spec, roles = job.party(name), roles_of(job, name)
        keys = [column for level in spec.keys for column in level]
        asked = [column for column in roles if column not in keys]
        table = source.load(spec.table, asked, keys=keys)
        for one in held:
            one.check(spec.table, table, [c for c in spec.features if c in asked])
