"""What every column of the outputs is: notes in the Parquet files, and dictionary.csv.

A field of a Parquet file has its meaning (`description`), and where they are known its `unit`, its
`source`, the table or step that it is from, and whose it is (`party`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa

from federated.contract.kinds.train import SCORECARD
from profiles.job import Job
from profiles.own_table import entity_column
from profiles.profile import listed_column, points_column, reasons_column, score_column
from profiles.specs import ScoreSpec

__all__ = [
    "NOTE",
    "ORIGINS",
    "Origin",
    "campaign_notes",
    "dictionary",
    "list_notes",
    "noted",
    "origin_of",
    "profile_notes",
]

Origin = tuple[str, str, str]
"""A column's unit, source and party, each "" where nothing is known."""
ORIGINS = ("unit", "source", "party")
NUMBERS = ("linear", "poisson")
"""Models whose scores are no probabilities."""

NOTE = b"description"
"""The key under which a field's note stands in a Parquet file."""

_KNOWN = "true: all partners know the entity; false: they do not"


def profile_notes(job: Job) -> dict[str, str]:
    """What the columns of profiles.parquet are, by name; facts are the receiver's own columns."""
    table, own = job.party(job.receiver).table, entity_column(job)
    notes = {"entity": f"{own} of {table}, as it was read: names the entity"}
    for train in job.trains:
        chance = "prediction" if train.model in NUMBERS else "probability"
        notes[score_column(train.task)] = (
            f"{chance} of {train.task}: by the joined model where matched is true, by "
            f"{job.receiver}'s own model where it is false"
        )
        lists = {one.task: one.score_bits for one in job.targets if one.tells == "list"}
        if train.task in lists:
            told = ", of those on the list by the joined one" * bool(lists[train.task])
            notes[score_column(train.task)] = (
                f"{chance} of {train.task} by {job.receiver}'s own model{told}"
            )
            notes[listed_column(train.task)] = (
                f"whether the joined score of {train.task} reaches the threshold of its list, one "
                "bit that the partner told; empty where nothing was asked"
            )
        if train.model == SCORECARD:
            notes[points_column(train.task)] = (
                f"points of {train.task}: {train.points} at odds of {train.odds} to 1 for the "
                f"{train.high} class, {train.double} more double them"
            )
        notes[reasons_column(train.task)] = (
            f"what moves the score of {train.task} most, each with its part of the log-odds "
            "against the average; partners' columns count as one"
        )
    for score in job.scores:
        notes[score_column(score.task)] = (
            f"score of {score.task} by model {score.model}{_part(job, score)}; empty where "
            "not matched"
        )
        notes[points_column(score.task)] = (
            f"points of {score.task} by scorecard {score.model}, on the scale of its training"
        )
        notes[reasons_column(score.task)] = (
            f"what moves the score of {score.task} most, each with its part of the log-odds "
            "against the average of the training; partners' columns count as one"
        )
    ruled = bool(job.segment_rules)
    return notes | {
        "stage": "stage of the life cycle by the job's rules; empty where none holds",
        "segment": "segment of the entity by the job's rules, from 1"
        if ruled
        else f"cluster of the entity by {job.receiver}'s own features, from 1",
        "segment_name": "the rule's name" if ruled else "what sets the cluster apart",
        "matched": _mark(job),
        "match_grade": "level of the keys that found the entity, from 1; empty where not matched",
        "channels": "by which channels a lawful basis lets the entity be reached on that day",
        "as_of": "the day on which the rows were read",
    }


_UNITS = {
    "rank": "place", "segment": "number", "match_grade": "level", "fold": "number",
    "as_of": "day", "began": "day", "offer_value": "currency", "offer_cost": "currency",
    "offer_left": "currency", "expected": "currency",
}  # fmt: skip


def origin_of(job: Job) -> Callable[[str], Origin]:
    """Unit, source and party of the columns of `profiles.parquet`, by name."""
    own, table = job.party(job.receiver), job.party(job.receiver).table
    units = {}
    if own.viewed:
        from profiles.views import VIEWS  # an engine's library is behind it

        units = {one.name: one.unit for view in VIEWS.values() for one in view.columns}
    everybody = ", ".join(party.name for party in job.parties)
    found: dict[str, Origin] = {}
    for task in (*(one.task for one in job.trains), *(one.task for one in job.scores)):
        of = f"model of {task}"
        numbers = [one.task for one in job.trains if one.model in NUMBERS]
        unit = "the label's unit" if task in numbers else "probability"
        found |= {
            score_column(task): (unit, of, everybody),
            points_column(task): ("points", of, everybody),
            reasons_column(task): ("log-odds", of, everybody),
            listed_column(task): ("", of, everybody),
        }
    matched = ("", "alignment", everybody)
    found |= dict.fromkeys(("segment", "segment_name", "stage"), ("", "segments", own.name))
    found |= {"matched": matched, "match_grade": matched, "as_of": ("", "this run", own.name)}
    found["channels"] = ("", "table of bases", own.name)

    def origin(name: str) -> Origin:
        unit, source, party = found.get(name, ("", table, own.name))
        known = units.get(name, "") if name in own.viewed else ""
        return unit or known or _UNITS.get(name, ""), source, party

    return origin


def _part(job: Job, score: ScoreSpec) -> str:
    """Where a list is told by a kept model: which rows' score has the partner's part."""
    lists = [one for one in job.targets if one.task == score.task and one.tells == "list"]
    if not lists:
        return ""
    whose = f"{job.receiver}'s own columns, the partner's at their mean"
    return f", {whose}" + "; of those on the list of both, with noise" * bool(lists[0].score_bits)


def _mark(job: Job) -> str:
    """What `matched` says of scores: nothing where only lists told by a bit a row have any."""
    if job.horizontal:
        return "empty: a party's own rows are matched with nobody's"
    lists = {one.task for one in job.targets if one.tells == "list"}
    tasks = {one.task for one in job.trains} | {one.task for one in job.scores}
    return f"{_KNOWN}, and scores are own ones" if tasks - lists or not lists else _KNOWN


def _whose(job: Job) -> str:
    """By whose model the scores of lists are."""
    if job.horizontal:
        return " by the common model"
    told = [one for one in job.targets if one.tells == "list"]
    own = [one.product for one in told if not one.score_bits]
    joined = [one.product for one in told if one.score_bits]
    said = [f"of {', '.join(own)} by {job.receiver}'s own columns"] if own else []
    said += [f"of {', '.join(joined)} by the joined model, with noise"] if joined else []
    if len(told) < len(job.targets):
        where = "else " if told else ""
        said.append(f"{where}by the joined model, where not matched by {job.receiver}'s own")
    return f"; {'; '.join(said)}"


def _in_unit(job: Job) -> str:
    """The currency and time of offers, of each list if they differ."""
    units = {one.product: one.unit for one in job.targets if one.unit}
    if not units:
        return "in a unit that the job does not name"
    if len(set(units.values())) == 1 and len(units) == len(job.targets):
        return f"in {next(iter(units.values()))}"
    return "in " + ", ".join(f"{unit} ({product})" for product, unit in units.items())


def list_notes(job: Job) -> dict[str, str]:
    """What the columns of the target lists are, by name."""
    several = any(train.model in NUMBERS for train in job.trains)
    return {
        "product": "names the list",
        "rank": "from 1, the best first in each list",
        "entity": profile_notes(job)["entity"],
        "name": "the column that the job names to show beside the entity",
        "task": "the training by whose score the list is ranked",
        "score": f"{'probability or prediction' if several else 'probability'} of the task"
        f"{_whose(job)}",
        "matched": _mark(job),
        "segment": "cluster of the entity, from 1",
        "segment_name": "what sets the cluster apart",
        "reasons": "what moves the score most, each with its part of the log-odds",
        "offer": "which offer of the job the entity is made",
        "offer_channel": "by which channel",
        "offer_value": f"what it is worth if it works, {_in_unit(job)}",
        "offer_cost": "what it costs, the same",
        "offer_left": "net: offer_value less offer_cost, if the offer works",
        "expected": "chance x offer_value - offer_cost; empty where offers go by rule",
        "manager": "who approaches the entity; empty: nobody, see unassigned",
        "assigned_by": "relationship, the columns that lead and manager share, or capacity",
        "unassigned": "why nobody approaches the entity",
    }


def campaign_notes(job: Job) -> dict[str, str]:
    """What the columns of campaign.parquet are, by name; the others are keys of the receiver's."""
    of_lists = {name: note for name, note in list_notes(job).items() if name != "rank"}
    return of_lists | {
        "campaign": "names the campaign",
        "began": "the day of its first list",
        "arm": "listed, or control: held back from all lists of the campaign, drawn at random",
        "rank": "in the list, from 1; empty in the control group",
        "offer": "which offer of the job the entity is made, or would be: in the control group",
    }


def noted(
    table: pa.Table,
    notes: Mapping[str, str],
    of_others: str,
    origin: Callable[[str], Origin] | None = None,
) -> pa.Table:
    """The table with notes on each column.

    Args:
        table: one of the outputs.
        notes: what columns are, by name.
        of_others: the same of all others.
        origin: unit, source and party by name; None: not told.
    """
    fields = []
    for field in table.schema:
        told = {NOTE.decode(): notes.get(field.name, f"{field.name} {of_others}")}
        if origin is not None:
            told |= dict(zip(ORIGINS, origin(field.name), strict=True))
        fields.append(field.with_metadata({key: value for key, value in told.items() if value}))
    return table.cast(pa.schema(fields))


def dictionary(files: Iterable[tuple[str, pa.Table]]) -> pa.Table:
    """One row a column of these noted tables: file, column, type, unit, source, party, meaning."""
    keys = (*ORIGINS, NOTE.decode())
    rows = [
        (
            *(file, field.name, str(field.type)),
            *((field.metadata or {}).get(key.encode(), b"").decode() for key in keys),
        )
        for file, table in files
        for field in table.schema
    ]
    names = ("file", "column", "type", *keys)
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})
