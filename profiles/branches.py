"""A folder for each branch: its own customers' profiles, its leads and a report, of nobody else.

    branches/NAME/   profiles.parquet, targets.parquet, targets.csv, targets.xlsx, report.html
    branches.csv     which folder is whose, with its customers and leads: for head office

Whose a customer is says one column of the receiver's, `[profile] branches`: that of the main
account. Who has no branch there is in none of the folders, and counted in branches.csv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.store.files import write_atomic
from profiles.folder_names import BRANCHES, folder_names
from profiles.job import Job
from profiles.offers.chosen import Money
from profiles.profile import write_parquet_atomic
from profiles.report import ReportData
from profiles.report.render import render_report
from profiles.report_data import segment_lines, target_summaries
from profiles.routing import compared
from profiles.said_tables import said_list
from profiles.segments import Segments
from profiles.several_lists import several_words
from profiles.spreadsheet import write_csv, write_workbook

__all__ = ["Cut", "write_branches"]

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What folders are cut from.

    Attributes:
        owner: whose each of the receiver's rows is.
        shown: bool[rows], who is in outputs; None: everybody.
        profiles: of those who are shown, in their order.
        targets: the lists, None where the job asks for none.
        leads: int64[leads], the receiver's row of each.
        segment: of all rows.
        scores: task to float64[rows].
        report: of all branches.
    """

    owner: pa.ChunkedArray
    shown: np.ndarray | None
    profiles: pa.Table
    targets: pa.Table | None
    leads: Ints
    segment: Segments | None
    scores: Mapping[str, np.ndarray]
    report: ReportData


def write_branches(job: Job, folder: Path, cut: Cut) -> list[str]:
    """Write all of them into `folder`/branches, and `folder`/branches.csv; the names of these two.

    Args:
        job: as it was loaded.
        folder: of its outputs.
        cut: what is cut up.
    """
    code, names = _codes(cut.owner)
    rows = np.arange(len(code)) if cut.shown is None else np.flatnonzero(cut.shown)
    places, of_lead = _places(code[rows], len(names)), _places(code[cut.leads], len(names))
    folders = folder_names(names)
    for number, name in enumerate(names):
        home, mine = folder / BRANCHES / folders[name], places[number]
        write_parquet_atomic(_alone(cut.profiles, mine), home / "profiles.parquet")
        listed = None if cut.targets is None else _alone(cut.targets, of_lead[number])
        if listed is not None:
            write_parquet_atomic(listed, home / "targets.parquet")
            said = said_list(listed, job.spoken)
            write_csv(said, home / "targets.csv")
            write_workbook(said, home / "targets.xlsx")
        page = render_report(_report(job, cut, name, rows[mine], listed), job.spoken)
        write_atomic(home / "report.html", page)
    counts = [len(found) for found in places], [len(found) for found in of_lead]
    write_csv(_index(names, folders, *counts), folder / "branches.csv")
    return [BRANCHES, "branches.csv"] if names else ["branches.csv"]


def _codes(owner: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """Each row's branch, one beyond the last for none; and the branches' names in order."""
    texts = compared(owner)
    names = sorted(text for text in pc.unique(texts).to_pylist() if text is not None)
    found = pc.index_in(texts, value_set=pa.array(names, pa.string()), skip_nulls=True)
    code = found.fill_null(len(names)).to_numpy(zero_copy_only=False)
    return np.asarray(code, np.int64), names


def _places(code: Ints, many: int) -> list[Ints]:
    """The places of each code up to `many`, in their order."""
    order = np.argsort(code, kind="stable")
    return np.split(order, np.searchsorted(code[order], np.arange(1, many + 1)))


def _alone(table: pa.Table, rows: Ints) -> pa.Table:
    """These rows, and no value of any other: a dictionary would keep all that its column has."""
    found = table.take(pa.array(rows))
    for place, field in enumerate(found.schema):
        if pa.types.is_dictionary(field.type):
            plain = found.column(place).cast(field.type.value_type)
            found = found.set_column(place, field.with_type(plain.type), plain)
    return found


def _report(job: Job, cut: Cut, name: str, rows: Ints, listed: pa.Table | None) -> ReportData:
    """The whole report's head, with segments and lists of these rows alone."""
    scores = {task: score[rows] for task, score in cut.scores.items()}
    whole = cut.report
    numbers = [model.task for model in whole.models if model.numbers]
    money = {target.product: target.money for target in whole.targets if target.money}
    looks = whole.looks
    if listed is not None and cut.targets is not None:
        of_all, own = several_words(cut.targets), several_words(listed)
        looks = tuple(filter(None, (*(one for one in looks if one != of_all), own)))
        of_product = {p: listed.filter(pc.equal(listed.column("product"), p)) for p in money}
        money = {p: Money.of(of_product[p], found) for p, found in money.items()}
    return ReportData(
        job=whole.job,
        purpose=whole.purpose,
        entity=whole.entity,
        receiver=whole.receiver,
        created=whole.created,
        parties=(),
        synthetic=whole.synthetic,
        ruled=whole.ruled,
        keep_until=whole.keep_until,
        contract=whole.contract,
        entities=len(rows),
        segments=() if cut.segment is None else segment_lines(cut.segment.of(rows), scores),
        looks=looks,
        kept_numbers=(*whole.kept_numbers, *numbers),
        targets=()
        if listed is None
        else target_summaries(job, listed, scores, money=money, numbers=whole.kept_numbers),
        branch=name,
    )


def _index(
    names: Sequence[str], folders: Mapping[str, str], customers: list[int], leads: list[int]
) -> pa.Table:
    """The last line counts those of no branch, where there are any."""
    lines = len(names) + (customers[-1] > 0)
    return pa.table(
        {
            "branch": pa.array([*names, None], pa.string()),
            "folder": pa.array([*(folders[name] for name in names), None], pa.string()),
            "customers": pa.array(customers),
            "leads": pa.array(leads),
        }
    ).slice(0, lines)
