"""What became of the people of a campaign: tables of people, outcomes and contacts, put together.

campaign   one row a person and list: entity, arm, and what the list said
outcomes   rows about people: entity, and outcomes as numbers; several rows add up
contacts   one row a person who was reached: entity
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.bindings import table_of
from federated.tables.days import days_of
from federated.tables.matrix import numeric_matrix
from profiles.campaign.uplift import CONTROL, Uplift, from_people
from psi.protocol.errors import InputError

__all__ = ["Asked", "uplift_of"]

CAMPAIGN = "campaign.parquet"
"""Of a run's outputs, who was listed and who was held back."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a campaign's files.

    Attributes:
        outcomes: columns of the outcomes table, numbers.
        entity: the column of all three tables that names a person.
        arm, control: the campaign's column of arms, and the arm of those held back.
        by: columns of the campaign to look at separately.
        absent_is_zero: people of whom the outcomes table says nothing had none of them; else they
            are refused.
        day, since: the outcomes' column of days, and the first day that counts; rows before it,
            which no list can have caused, are left out and counted.
    """

    outcomes: Sequence[str]
    entity: str = "entity"
    arm: str = "arm"
    control: str = CONTROL
    by: Sequence[str] = ()
    absent_is_zero: bool = False
    day: str = ""
    since: date | None = None


def uplift_of(
    campaign: Path, outcomes: Path | None, asked: Asked, contacts: Path | None = None
) -> Uplift:
    """The effect of a campaign.

    Args:
        campaign: CSV or Parquet, as `fedprofile run` writes `campaign.parquet`.
        outcomes: CSV or Parquet; None where the campaign's own table has the outcomes.
        asked: which columns are what.
        contacts: CSV or Parquet with everybody who was reached.

    Raises:
        InputError: a file, a column or a value that is not there or does not fit.
    """
    wanted = [asked.entity] if outcomes or contacts else []
    own = [] if outcomes else list(asked.outcomes)
    people = _load(campaign, [*wanted, asked.arm, *asked.by], own)
    lost: dict[str, int] = {}
    if outcomes is None:
        values = numeric_matrix(people, own, where=campaign.name)
    else:
        people, lost = _known(people, campaign, asked)
        values = _joined(people, campaign, outcomes, asked, lost)
    reached = None if contacts is None else _reached(people, campaign, contacts, asked, lost)
    return from_people(
        _text(people, asked.arm),
        {name: values[:, place] for place, name in enumerate(asked.outcomes)},
        control=asked.control,
        people=_numbered(people, asked) if asked.entity in wanted else None,
        reached=reached,
        groups=[(name, _text(people, name)) for name in asked.by],
        left_out=lost,
    )


def _numbered(people: pa.Table, asked: Asked) -> np.ndarray:
    """`int64[rows]`: whom each row is about."""
    found = _text(people, asked.entity).dictionary_encode().indices
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def _load(path: Path, texts: Sequence[str], numbers: Sequence[str]) -> pa.Table:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir() and (path / CAMPAIGN).exists():
        raise InputError(f"{path} is a folder of outputs", hint=f"name {path / CAMPAIGN}")
    table = table_of(path.name, {"path": str(path.resolve())}, path)
    wanted = list(dict.fromkeys([*texts, *numbers]))
    return table.load(wanted, keys=list(dict.fromkeys(texts)))


def _text(table: pa.Table, column: str) -> pa.Array:
    found = table.column(column).combine_chunks().cast(pa.large_string())
    return pc.utf8_trim_whitespace(found)


def _known(people: pa.Table, campaign: Path, asked: Asked) -> tuple[pa.Table, dict[str, int]]:
    """The people with a name; nobody twice in one arm and another."""
    named = pc.is_valid(people.column(asked.entity))
    lost = people.num_rows - int(pc.sum(named).as_py() or 0)
    people = people.filter(named)
    pairs = pa.table(
        {"entity": _text(people, asked.entity), "arm": _text(people, asked.arm)}
    ).group_by(["entity", "arm"], use_threads=False)
    entities = pairs.aggregate([]).column("entity")
    both = len(entities) - int(pc.count_distinct(entities).as_py())
    if both:
        raise InputError(
            f"{campaign.name}: {both:,} people are in more than one arm",
            hint="a person is listed or held back in all lists of a campaign",
        )
    return people, ({"people of the campaign without a name": lost} if lost else {})


def _joined(
    people: pa.Table, campaign: Path, outcomes: Path, asked: Asked, lost: dict[str, int]
) -> np.ndarray:
    """`float64[people, outcomes]`: each one's rows added up."""
    days = [asked.day] if asked.day else []
    found = _load(outcomes, [asked.entity, *days], asked.outcomes)
    names = _text(people, asked.entity)
    _about(_text(found, asked.entity), names, outcomes, campaign)
    if asked.day and asked.since is not None:
        found = _since(found, outcomes, asked, lost)
    whole = pc.unique(names)
    place = pc.index_in(_text(found, asked.entity), whole)
    others = place.null_count
    if others:
        lost["rows of the outcomes about nobody in the campaign"] = others
    rows = place.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    kept = rows >= 0
    numbers = numeric_matrix(found, asked.outcomes, where=outcomes.name)[kept]
    added = np.column_stack(
        [np.bincount(rows[kept], numbers[:, j], len(whole)) for j in range(numbers.shape[1])]
    )
    there = np.bincount(rows[kept], minlength=len(whole)) > 0
    if not asked.absent_is_zero and not there.all():
        absent = int(np.count_nonzero(~there))
        raise InputError(
            f"{outcomes.name}: says nothing of {absent:,} of {len(whole):,} people of "
            f"{campaign.name}",
            hint="--absent-is-zero, where a person without a row had no such outcome",
        )
    of = pc.index_in(names, whole).to_numpy(zero_copy_only=False)
    return np.asarray(added[of], np.float64)


def _since(found: pa.Table, outcomes: Path, asked: Asked, lost: dict[str, int]) -> pa.Table:
    day = days_of(found, asked.day, outcomes.name)
    if wrong := int(np.count_nonzero(np.isnat(day))):
        raise InputError(
            f"{outcomes.name}: {wrong:,} of {found.num_rows:,} rows have no day in {asked.day!r}",
            hint="days are written 2026-07-31",
        )
    early = day < np.datetime64(asked.since, "D")
    if early.any():
        lost["rows of the outcomes from before the campaign"] = int(early.sum())
    return found.filter(pa.array(~early))


def _about(found: pa.Array, names: pa.Array, file: Path, campaign: Path) -> None:
    """Refuses rows none of which names anybody of the campaign: all would have had nothing."""
    if len(found) and not pc.any(pc.is_in(found, value_set=names)).as_py():
        raise InputError(
            f"{file.name}: none of {len(found):,} rows names one of {len(names):,} people of "
            f"{campaign.name}",
            hint="are they written alike in both? spreadsheets drop zeros in front; letters "
            "count as they are",
        )


def _reached(
    people: pa.Table, campaign: Path, contacts: Path, asked: Asked, lost: dict[str, int]
) -> np.ndarray:
    """`bool[people]`: who was reached."""
    met = pc.drop_null(pc.unique(_text(_load(contacts, [asked.entity], ()), asked.entity)))
    names = _text(people, asked.entity)
    _about(met, names, contacts, campaign)
    if others := int(pc.sum(pc.invert(pc.is_in(met, names))).as_py() or 0):
        lost["contacts with nobody in the campaign"] = others
    return np.asarray(pc.is_in(names, met).to_numpy(zero_copy_only=False), bool)
