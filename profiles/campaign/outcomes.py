"""What became of the people of a campaign: tables of people, outcomes and contacts, put together.

campaign   one row a person and list: entity, arm, and what the list said
outcomes   rows about people: entity, and outcomes as numbers; several rows add up
contacts   one row a person who was reached: entity
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.settle import notes_of
from federated.tables.column_report import stand_ins
from federated.tables.days import days_of
from federated.tables.matrix import numeric_matrix
from federated.tables.plain_file import plain_file, without_tables_file
from federated.tables.spelled import ALIKE, nearly
from profiles.campaign.arms import one_spelling
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
    with without_tables_file():
        return _uplift_of(campaign, outcomes, asked, contacts)


def _uplift_of(
    campaign: Path, outcomes: Path | None, asked: Asked, contacts: Path | None
) -> Uplift:
    named = asked.entity != Asked.entity or asked.entity in _columns(campaign)
    wanted = [asked.entity] if outcomes or contacts or named else []
    own = [] if outcomes else list(asked.outcomes)
    people = _load(campaign, [*wanted, asked.arm, *asked.by], own)
    lost, notes = dict[str, int](), list[str]()
    people = _armed(people, asked, lost, notes)
    if outcomes is None:
        people = _known(people, campaign, asked, lost) if wanted else people
        values = numeric_matrix(people, own, where=campaign.name)
        if wanted:
            _alike(values, people, campaign, asked)
        notes += [*_parted(people, own), *_stand_ins(values, own)]
    else:
        people = _known(people, campaign, asked, lost)
        values = _joined(people, campaign, outcomes, asked, lost, notes)
    reached = None if contacts is None else _reached(people, campaign, contacts, asked, lost, notes)
    found = from_people(
        _text(people, asked.arm),
        {name: values[:, place] for place, name in enumerate(asked.outcomes)},
        control=asked.control,
        people=_numbered(people, asked) if asked.entity in wanted else None,
        reached=reached,
        groups=[(name, _text(people, name)) for name in asked.by],
        left_out=lost,
    )
    if asked.entity in wanted:
        notes += _in_several(people, asked)
    return replace(found, notes=tuple(notes))


def _alike(values: np.ndarray, people: pa.Table, campaign: Path, asked: Asked) -> None:
    """Refuse people whose rows have other outcomes: each counts once, by one of them."""
    number = _numbered(people, asked)
    _, first = np.unique(number, return_index=True)
    same = np.asarray(values[first[number]])
    other = ~((values == same) | (np.isnan(values) & np.isnan(same))).all(axis=1)
    if many := len(np.unique(number[other])):
        raise InputError(
            f"{campaign.name}: {many:,} people have several rows with other outcomes",
            hint="a person counts once: one outcome in all rows, or rows to add up in --outcomes",
        )


def _columns(campaign: Path) -> list[str]:
    return [] if campaign.is_dir() else list(plain_file(campaign).columns())


def _in_several(people: pa.Table, asked: Asked) -> list[str]:
    """A word on people in several groups of a column, as those on two lists are."""
    found = []
    for column in asked.by:
        pairs = pa.table({"who": _text(people, asked.entity), "group": _text(people, column)})
        once = pairs.drop_null().group_by(["who", "group"], use_threads=False).aggregate([])
        counts = once.group_by("who", use_threads=False).aggregate([("group", "count")])
        if many := int(pc.sum(pc.greater(counts.column("group_count"), 1)).as_py() or 0):
            found.append(
                f"{many:,} people are in several groups of {column} and count in each: what a "
                "group shows of them is the effect of all their lists"
            )
    return found


def _numbered(people: pa.Table, asked: Asked) -> np.ndarray:
    """`int64[rows]`: whom each row is about."""
    found = _text(people, asked.entity).dictionary_encode().indices
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def _armed(people: pa.Table, asked: Asked, lost: dict[str, int], notes: list[str]) -> pa.Table:
    """The people with an arm, each arm in one spelling."""
    arms, otherwise = one_spelling(_text(people, asked.arm), asked.control)
    if none := arms.null_count:
        lost["rows of the campaign without an arm"] = none
    if otherwise:
        notes.append(
            f"{otherwise:,} rows of the campaign spell an arm in another way (case, width or "
            "blanks), and are taken for it"
        )
    place = people.column_names.index(asked.arm)
    return people.set_column(place, asked.arm, arms).filter(pc.is_valid(arms))


def _parted(table: pa.Table, names: Sequence[str]) -> list[str]:
    """What is said of numbers whose points may part thousands."""
    return [
        f"{name}: its points may part thousands (1.234 beside 950), and are read as fractions: "
        "where they do, write 1234"
        for name in names
        if notes_of(table.schema.field(name)).get("thousands")
    ]


def _stand_ins(values: np.ndarray, names: Sequence[str]) -> list[str]:
    """What is said of numbers that stand for a missing value, perhaps."""
    found = []
    for name, column in zip(names, values.T, strict=True):
        known = column[np.isfinite(column)]
        # none and one are outcomes also where nobody has them: absent people had none
        codes = stand_ins(np.append(known, (0.0, 1.0)))
        found += [
            f"{name}: {int(np.count_nonzero(known == code)):,} rows hold {code:.0f}, apart from "
            "all others: it is taken for a number; if it stands for a missing value, leave it blank"
            for code in codes
        ]
    return found


def _load(path: Path, texts: Sequence[str], numbers: Sequence[str]) -> pa.Table:
    if path.is_dir() and (path / CAMPAIGN).exists():
        raise InputError(f"{path} is a folder of outputs", hint=f"name {path / CAMPAIGN}")
    table = plain_file(path)
    wanted = list(dict.fromkeys([*texts, *numbers]))
    return table.load(wanted, keys=list(dict.fromkeys(texts)))


def _text(table: pa.Table, column: str) -> pa.Array:
    found = table.column(column).combine_chunks().cast(pa.large_string())
    return pc.utf8_trim_whitespace(found)


def _known(people: pa.Table, campaign: Path, asked: Asked, lost: dict[str, int]) -> pa.Table:
    """The people with a name; nobody twice in one arm and another."""
    named = pc.is_valid(people.column(asked.entity))
    if nameless := people.num_rows - int(pc.sum(named).as_py() or 0):
        lost["people of the campaign without a name"] = nameless
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
    return people


def _joined(
    people: pa.Table,
    campaign: Path,
    outcomes: Path,
    asked: Asked,
    lost: dict[str, int],
    notes: list[str],
) -> np.ndarray:
    """`float64[people, outcomes]`: each one's rows added up."""
    days = [asked.day] if asked.day else []
    found = _load(outcomes, [asked.entity, *days], asked.outcomes)
    names = _text(people, asked.entity)
    notes += _about(_text(found, asked.entity), names, outcomes, campaign)
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
    notes += [*_parted(found, asked.outcomes), *_stand_ins(numbers, asked.outcomes)]
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


def _about(found: pa.Array, names: pa.Array, file: Path, campaign: Path) -> list[str]:
    """Refuses rows none of which names anybody of the campaign, or most only in another spelling:
    they would have had nothing. A word on fewer that do."""
    known = pc.is_in(found, value_set=names)
    met = int(pc.sum(known).as_py() or 0)
    near = nearly(found.filter(pc.invert(known)), names) if met < len(found) else 0
    if len(found) and (not met or near > met):
        said = f", {near:,} do {ALIKE}" if near else ""
        raise InputError(
            f"{file.name}: {met or 'none'} of {len(found):,} rows names one of {len(names):,} "
            f"people of {campaign.name}{said}",
            hint="are they written alike in both? spreadsheets drop zeros in front; letters "
            "count as they are",
        )
    if not near:
        return []
    return [
        f"{file.name}: {near:,} rows name nobody in the campaign as they are written, and somebody "
        f"{ALIKE}: they do not count"
    ]


def _reached(
    people: pa.Table,
    campaign: Path,
    contacts: Path,
    asked: Asked,
    lost: dict[str, int],
    notes: list[str],
) -> np.ndarray:
    """`bool[people]`: who was reached."""
    met = pc.drop_null(pc.unique(_text(_load(contacts, [asked.entity], ()), asked.entity)))
    names = _text(people, asked.entity)
    notes += _about(met, names, contacts, campaign)
    if others := int(pc.sum(pc.invert(pc.is_in(met, names))).as_py() or 0):
        lost["contacts with nobody in the campaign"] = others
    return np.asarray(pc.is_in(names, met).to_numpy(zero_copy_only=False), bool)
