"""Which columns of a party's table a job uses, and as what."""

from __future__ import annotations

from collections.abc import Iterator

from profiles.job import Job

__all__ = ["roles_of"]


def roles_of(job: Job, party: str) -> dict[str, list[str]]:
    """The roles of each column of `party` that the job names, in the order of the job file."""
    found: dict[str, list[str]] = {}
    for column, role in _pairs(job, party):
        roles = found.setdefault(column, [])
        if role not in roles:
            roles.append(role)
    return found


def _pairs(job: Job, party: str) -> Iterator[tuple[str, str]]:
    spec, receiver = job.party(party), party == job.receiver
    yield from ((column, "key") for level in spec.keys for column in level)
    yield from ((column, "feature") for column in spec.features)
    if receiver or job.horizontal:
        yield from ((train.label, "label") for train in job.trains)
        yield from ((binning.label, "label") for binning in job.binnings)
        yield from ((train.time, "time") for train in job.trains if train.time)
        of_rows = (column for train in job.trains for column in (train.weight, train.offset))
        yield from ((column, "measure") for column in of_rows if column)
    for section in job.aggregates:
        if receiver:
            yield section.by, "segment"
        if section.partner == party:
            yield from ((column, "measure") for column, _ in section.measures)
    for asked in job.categories:
        if receiver:
            yield from ((segment, "segment") for segment in [asked.segment] if segment)
            yield from ((amount.column, "measure") for amount in asked.amounts)
        if asked.partner == party:
            yield asked.category, "category"
    for binning in job.binnings:
        columns = binning.own if receiver else binning.columns * (binning.partner == party)
        yield from ((column, "feature") for column in columns)
    for sums in job.join_sums:
        if sums.partner == party:
            yield from ((column, "measure") for column, _ in sums.measures)
    if receiver and not job.horizontal:
        yield from ((column, "fact") for column in job.profile.facts)
        for target in job.targets:
            yield from ((column, "name") for column in [target.name] if column)
            yield from ((column, "list column") for column in target.columns)
