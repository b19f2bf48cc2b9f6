"""One party's own rows by the common model of a horizontal training: profiles, lists, a report.

Every party of the training has the model, so each does this for itself and tells nobody anything.
The job file is that of the training: its `[profile]`, `[[target]]`, `[[exclude]]` and `[[offer]]`
sections are read at each party with its own tables in the place of the receiver's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from federated.horizontal.branch import clipped
from federated.horizontal.model_file import RowsModel
from federated.models import LOGISTIC
from federated.store.files import write_atomic
from federated.tables.basis import BasisAsked
from federated.tables.kept_tables import Extract, KeptTables
from federated.tables.matrix import numeric_matrix
from federated.tables.source import Source
from profiles.at_branch import at_branch
from profiles.campaign.control import ControlGroup
from profiles.dictionary import (
    campaign_notes,
    dictionary,
    list_notes,
    noted,
    origin_of,
    profile_notes,
)
from profiles.exclusion.consent import admission_of, channels_of
from profiles.horizontal_outputs import branch_model, worse_note
from profiles.job import Job
from profiles.kept_segments import SegmentsFile
from profiles.lists import Lists, lists_of
from profiles.manager_pages import write_manager_pages
from profiles.model_metrics import model_metrics
from profiles.months import change_metrics, change_since
from profiles.own_table import entity_column, extracts, own_facts, own_table
from profiles.profile import build_profiles, write_parquet_atomic
from profiles.reasons import score_reasons
from profiles.report import ReportData
from profiles.report.measured import Model
from profiles.report.render import render_report
from profiles.report_data import segment_lines, target_summaries
from profiles.ruled import ruled_segments, stages
from profiles.said_tables import said_list, said_notes
from profiles.segments import Segments, segments
from profiles.several_lists import several_words
from profiles.spreadsheet import write_csv, write_workbook
from psi.protocol import JobError, MisuseError

__all__ = ["BranchRows", "branch_job", "copied", "write_branch_rows"]


@dataclass(frozen=True)
class BranchRows:
    """`profiles` and `targets`, None without lists, `report`, and the `files` that were written."""

    profiles: pa.Table
    targets: pa.Table | None
    report: ReportData
    files: tuple[str, ...]


def branch_job(job: Job, party: str, model: RowsModel) -> Job:
    """The job as it is for one party: it is the receiver, and tables are its own.

    Raises:
        JobError: the job is not horizontal, or names no column for an entity.
        MisuseError: the party, or the model, is not of this job.
    """
    if not job.horizontal:
        raise JobError(
            f"{job.file}: [train] split: rows at different parties are needed",
            hint='split = "horizontal"; of other jobs the receiver has the profiles',
        )
    names = [each.name for each in job.parties]
    if party not in names:
        raise MisuseError(f"no party {party!r} in {job.file}: {', '.join(names)}")
    if not job.profile.facts:
        raise JobError(
            f"{job.file}: [profile] facts: none found, one needed at least",
            hint="the first names the customer: a horizontal job has no keys",
        )
    (train,) = job.trains
    of = model.task, model.label, model.positive, model.features, sorted(model.parties)
    if of != (train.task, train.label, train.positive, job.party(party).features, sorted(names)):
        raise MisuseError(
            f"the model of {model.task!r} is of another task, label, features or parties than "
            f"{job.file}"
        )
    return at_branch(job, party)


@contextmanager
def copied(job: Job, source: Source) -> Iterator[KeptTables]:
    """This run's own copy of a party's tables, as a job takes one: read once, and without rows that
    have no basis for the job's purpose towards its parties. Sealed, and gone at the end.

    Args:
        job: from `branch_job`.
        source: the party's tables.

    Raises:
        Refused: no row has a basis.
    """
    (train,) = job.trains
    own = job.party(job.receiver)
    with TemporaryDirectory() as folder:
        tables = KeptTables(source, Path(folder), secrets.token_bytes(32), secrets.token_bytes)
        asked = BasisAsked(job.purpose, tuple(job.partners()), job.entity, date.today())
        label = Extract(own.table, (train.label, *own.features))
        tables.keep([label, *extracts(job, job.receiver, source)], asked)
        yield tables


def write_branch_rows(
    job: Job,
    model: RowsModel,
    tables: Source,
    folder: Path,
    *,
    campaign: ControlGroup | None = None,
    segments_file: SegmentsFile | None = None,
    earlier: Path | None = None,
) -> BranchRows:
    """Write profiles, lists, managers' pages, metrics and report of a party's rows into a folder.

    Args:
        job: from `branch_job`.
        model: the common one.
        tables: the party's.
        folder: is made; files of these names in it are replaced.
        campaign: who is held back.
        segments_file: the last run's segments.
        earlier: outputs of an earlier run: the report says what has changed since.

    Raises:
        InputError: a table or column that is not there or does not fit.
    """
    table = own_table(job, tables)
    where, total = job.party(job.receiver).table, table.num_rows
    x = numeric_matrix(table, model.features, where=where)
    whole = np.asarray(np.isfinite(x).all(axis=1))
    x[~whole] = model.fit.mean
    standard = clipped(x, model.fit.mean, model.fit.scale)
    del x  # of a million rows half a gigabyte
    score = np.where(whole, LOGISTIC.predict(model.fit.part.scores(standard)), np.nan)
    zeros = dict(zip(model.features, (-model.fit.mean / model.fit.scale).tolist(), strict=True))
    average = np.zeros(len(model.features))  # of all parties' rows
    why = score_reasons(standard, model.features, model.fit.part, zeros=zeros, average=average)
    why = pa.array(why.to_pylist(), pa.list_(pa.string()), mask=~whole)
    found = ruled_segments(job, tables, date.today())
    if found is None:
        found = _segments(job, standard, model, score, segments_file)
    del standard  # likewise
    facts, scores = table.select(own_facts(job, table)), {model.task: score}
    admission, today = admission_of(tables, where), date.today()
    profiles = build_profiles(
        facts, None, scores, found, {model.task: why}, entity=entity_column(job), as_of=today,
        stage=stages(job, tables, today), channels=channels_of(admission),
    )  # fmt: skip
    shown = profiles if admission is None else profiles.filter(pa.array(admission.rows))
    lists = lists_of(job, profiles, tables, campaign, key=bytes.fromhex(model.contract))
    measured = branch_model(job, model.fit, tables)
    report = _report(
        job, model, measured, lists, found, scores, total, int(np.count_nonzero(whole))
    )
    report = replace(report, synthetic=tables.about(where).synthetic)
    files = _write(job, folder, shown, lists)
    metrics = _metrics(job, model, report, score) | {"synthetic": report.synthetic}
    if earlier is not None:
        change = change_since(earlier, folder, metrics)
        report, metrics["since"] = replace(report, change=change), change_metrics(change)
    if lists.targets is not None:
        files += write_manager_pages(job, folder, lists.targets, report)
    write_atomic(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_atomic(folder / "report.html", render_report(report, job.spoken))
    return BranchRows(shown, lists.targets, report, (*files, "metrics.json", "report.html"))


def _segments(
    job: Job,
    matrix: np.ndarray,
    model: RowsModel,
    score: np.ndarray,
    file: SegmentsFile | None,
) -> Segments | None:
    if not len(matrix) or not model.features:
        return None
    before = None if file is None else file.before
    k, names = job.profile.segments, list(model.features)
    found = segments(matrix, k, job.seed, names, score=score, before=before)
    if file is not None:
        file.after = found.kept
    return found


def _report(
    job: Job,
    model: RowsModel,
    measured: Model | None,
    lists: Lists,
    segment: Segments | None,
    scores: dict[str, np.ndarray],
    total: int,
    whole: int,
) -> ReportData:
    targets = lists.targets
    worse = "" if measured is None else worse_note(measured, job.trains[0].row_bits)
    summaries = () if targets is None else target_summaries(
        job, targets, scores, held=lists.held, left_out=lists.left_out, unknown=lists.unknown,
        money=lists.money,
    )  # fmt: skip
    return ReportData(
        job=job.name,
        purpose=job.purpose,
        entity=job.entity,
        receiver=job.receiver,
        created=datetime.now(UTC),
        parties=(),
        contract=model.contract,
        keep_until=date.today() + timedelta(job.retention_days),
        entities=total,
        segments=() if segment is None else segment_lines(segment, scores),
        ruled=bool(job.segment_rules),
        models=() if measured is None else (measured,),
        looks=tuple(filter(None, (worse, "" if targets is None else several_words(targets)))),
        targets=summaries,
        notes=tuple(_notes(model, total, whole)),
        branch=job.receiver,
    )


def _notes(model: RowsModel, total: int, whole: int) -> Iterator[str]:
    parties = " and ".join(model.parties)
    yield f"{model.task} is scored by the common model of {parties}, from {model.fit.rows:,} rows."
    if lost := total - whole:
        yield f"{lost:,} rows have no score: a value of the model's columns is missing."


def _write(job: Job, folder: Path, profiles: pa.Table, lists: Lists) -> list[str]:
    own = f"of {job.party(job.receiver).table}, as it was read"
    (train,) = job.trains
    notes = profile_notes(job)
    notes |= {name: f"probability of {train.task} by the common model" for name in notes
              if name.startswith("score_")}  # fmt: skip
    tables = {"profiles": noted(profiles, notes, own, origin_of(job))}
    if lists.targets is not None:
        tables["targets"] = noted(lists.targets, list_notes(job), own)
    if lists.campaign is not None:
        tables["campaign"] = noted(lists.campaign, campaign_notes(job), own)
    for name, table in tables.items():
        write_parquet_atomic(table, folder / f"{name}.parquet")
    files = [f"{name}.parquet" for name in tables]
    if lists.targets is not None:
        said = said_list(lists.targets, job.spoken)
        write_csv(said, folder / "targets.csv")
        files += ["targets.csv"]
        if write_workbook(said, folder / "targets.xlsx"):
            files += ["targets.xlsx"]
    of_columns = dictionary((f"{name}.parquet", table) for name, table in tables.items())
    write_csv(said_notes(of_columns, job.spoken), folder / "dictionary.csv")
    return [*files, "dictionary.csv"]


def _metrics(job: Job, model: RowsModel, report: ReportData, score: np.ndarray) -> dict[str, Any]:
    """`entity` says how outputs name people: `fedprofile forget --out` reads it."""
    scored = np.isfinite(score)
    return {
        "job": job.name,
        "lang": job.lang,
        "titles": dict(job.titles),
        "party": job.receiver,
        "entities": report.entities,
        "scored": int(scored.sum()),
        "mean_score": round(float(score[scored].mean()), 6) if scored.any() else None,
        "models": {one.task: model_metrics(one) for one in report.models},
        "fold_aucs": [round(float(auc), 4) for auc in model.fit.fold_aucs],
        "targets": {target.product: target.total for target in report.targets},
        "entity": {"table": job.party(job.receiver).table, "column": entity_column(job)},
        "run": {"contract": report.contract},
    }
