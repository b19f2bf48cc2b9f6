"""A horizontal job as it is for one of its parties, whose own rows it profiles and lists."""

from __future__ import annotations

from dataclasses import replace

from profiles.job import Job

__all__ = ["at_branch"]


def at_branch(job: Job, party: str) -> Job:
    """The party as the receiver, with tables of its own, entities named by the first fact.

    Args:
        job: horizontal, with facts.
        party: one of it.
    """
    (train,) = job.trains

    def own(table: str) -> str:
        return f"{party}.{table.split('.', 1)[1]}" if table else ""

    return replace(
        job,
        receiver=party,
        parties=tuple(replace(each, keys=((job.profile.facts[0],),)) for each in job.parties),
        trains=(replace(train, split="vertical", label_party=party, test_table=""),),
        targets=tuple(
            replace(t, managers=own(t.managers), history=own(t.history), effects=own(t.effects))
            for t in job.targets
        ),
        excludes=tuple(replace(rule, table=own(rule.table)) for rule in job.excludes),
    )
