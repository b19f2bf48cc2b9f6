"""What the receiver is left with: profiles, targets, metrics and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from federated.scoring.model_file import model_id
from federated.scoring.store import ModelStore
from federated.steps.outcome import Boosted, Carded, Grown, HiddenGrown, Outcome, Trained
from federated.store.files import write_atomic
from federated.tables.encoding import Encoder
from federated.tables.source import Source
from profiles.aggregate_report import aggregate_metrics, category_metrics, join_sum_metrics
from profiles.alone import Alone, fit_alone
from profiles.baseline import Comparison, compare, compare_counted
from profiles.binning_report import binning_metrics
from profiles.branches import Cut, write_branches
from profiles.campaign.control import ControlGroup
from profiles.counted_outputs import counted_metrics, measured_counts, told_rows, told_scores
from profiles.dictionary import (
    campaign_notes,
    dictionary,
    list_notes,
    noted,
    origin_of,
    profile_notes,
)
from profiles.exclusion.consent import admission_of, channels_of
from profiles.exclusion.nobody import nobody_metrics, nobody_of
from profiles.federation import Federation
from profiles.held_out import held_out_notes, held_out_scores
from profiles.horizontal_outputs import compare_pooled, horizontal_model, worse_note
from profiles.job import Job
from profiles.kept_segments import SegmentsFile
from profiles.label_counts import counted
from profiles.language import Language
from profiles.leakage import leakage_metrics
from profiles.lists import Lists, lists_of
from profiles.manager_pages import write_manager_pages
from profiles.model_metrics import model_metrics, rounded
from profiles.model_outputs import KeptCut, ModelOutputs, segments_of_models
from profiles.months import change_metrics, change_since
from profiles.own_table import entity_column, own_facts, own_table
from profiles.own_trees import tree_scores
from profiles.partners_dropped import partners_dropped
from profiles.profile import build_profiles, spread, write_parquet_atomic
from profiles.repeated import repeated_in, repeats_words, standing, standing_arrow
from profiles.report import ReportData, TargetSummary
from profiles.report.render import render_report
from profiles.report_data import keep_until, report_data
from profiles.ruled import rule_counts, ruled_segments, rules_metrics, stages
from profiles.said_tables import said_list, said_notes
from profiles.score_outputs import score_metrics, scored_points, scored_rows
from profiles.scorecard_outputs import card_metrics, card_points, write_cards
from profiles.scoring import measured, own_reasons, reasons
from profiles.segments import Segments, segments
from profiles.series_report import series_metrics
from profiles.several_lists import also_on
from profiles.spreadsheet import write_csv, write_workbook
from profiles.trees_outputs import compare_trees, hidden_metrics, trees_metrics

__all__ = ["Outputs", "write_outputs"]


@dataclass(frozen=True, repr=False)
class Outputs:
    """The tables and numbers that were written, and the files' names."""

    profiles: pa.Table | None
    targets: pa.Table | None
    metrics: dict[str, Any]
    report: ReportData
    files: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Outputs {', '.join(self.files)}>"


def write_outputs(
    job: Job,
    federation: Federation,
    folder: Path,
    *,
    baseline: bool,
    synthetic: bool,
    campaign: ControlGroup | None = None,
    segments_file: SegmentsFile | None = None,
    earlier: Path | None = None,
) -> Outputs:
    """Write profiles, target lists and held-out scores, metrics.json and report.html.

    A horizontal job has the last two. All rows are those of the job's copies of the tables, so
    that they are the rows that the steps saw.
    """
    if job.horizontal:
        return _write_horizontal(job, federation, folder, baseline, synthetic)
    tables = federation.tables[job.receiver]
    table = own_table(job, tables)
    outcome = federation.outcome
    total = table.num_rows
    fitted = (*outcome.trained, *(one.trained for one in outcome.counted))
    alone = {t.terms.task: fit_alone(t, table, _moved(job, t, tables)) for t in fitted}
    for t in outcome.trained:
        trees = tree_scores(t, _aligned(t, outcome, table))
        alone[t.terms.task] = replace(alone[t.terms.task], trees=trees)
    scores, why = _scores(federation, alone, table)
    scored, reasons_of = scored_rows(outcome, total, table)
    drifted = score_metrics(outcome, table)
    found, strange = _segments(job, federation, table, scores, segments_file)
    grades = np.full(total, -1, np.int64)
    grades[outcome.rows] = outcome.grades
    facts = table.select(own_facts(job, table))
    points = card_points(outcome.trained, scores) | scored_points(outcome, total)
    persons = repeated_in(outcome, table)
    stands = None if persons is None else persons.stand_ins(outcome.rows)
    grades = grades if stands is None else grades[stands]
    every, points = standing(scores | scored, stands), standing(points, stands)
    whys = standing_arrow(why | reasons_of, stands)
    told = standing_arrow(told_rows(outcome, total), stands)
    profiles = build_profiles(
        facts,
        None,
        every,
        found,
        whys,
        grades,
        points=points,
        entity=entity_column(job),
        told=told,
        stage=stages(job, tables, date.today()),
        channels=channels_of(admission_of(tables, job.party(job.receiver).table)),
        as_of=date.today(),
    )
    repeats = 0 if persons is None else persons.repeats
    own = job.party(job.receiver).table
    repeated = [repeats_words(own, repeats)] if repeats else []
    rules = rule_counts(job, tables, date.today())
    nobody = nobody_of(job, tables, entity_column(job))
    strange = [*strange, *filter(None, (one.words() for one in nobody))]
    admitted = _admitted(job, tables)
    shown = profiles if admitted is None else profiles.filter(pa.array(admitted))
    key = outcome.contract.digest
    lists = lists_of(job, profiles, tables, campaign, told, key=key, persons=persons)
    targets = lists.targets
    held_out = held_out_scores(outcome, alone, facts, job, admitted)
    files, noted_tables = _write_tables(job, folder, shown, lists, held_out)
    files += write_cards(outcome.trained, folder)
    models = [
        measured(t, alone[t.terms.task], job.receiver, _aligned(t, outcome, table))
        for t in outcome.trained
    ]
    for one in outcome.counted:
        models.append(measured_counts(one, alone[one.trained.terms.task], job.receiver))
    models = [
        replace(model, notes=(*model.notes, *partners_dropped(federation.contract, one)))
        for model, one in zip(models, fitted, strict=True)
    ]
    checks = []
    if baseline:
        both = federation.outcomes, federation.tables
        checks = [
            compare_trees(t, *both) if isinstance(t, Boosted) else compare(t, *both)
            for t in outcome.trained
        ]
        checks += [compare_counted(one, *both) for one in outcome.counted]
    report = report_data(
        job,
        federation,
        models=models,
        segment=found,
        scores=every,
        targets=targets,
        held=lists.held,
        left_out=lists.left_out,
        unknown=lists.unknown,
        money=lists.money,
        entities=total,
        synthetic=synthetic,
        created=_now(),
        looks=lists.looks,
        notes=[*strange, *repeated, *filter(None, (one.words(own) for one in rules))],
        checks=checks,
        scored=drifted,
    )
    if job.profile.branches:
        cut = Cut(
            owner=table.column(job.profile.branches),
            shown=admitted,
            profiles=noted_tables["profiles"],
            targets=noted_tables.get("targets"),
            leads=lists.rows,
            segment=found,
            scores=every,
            report=report,
        )
        files += write_branches(job, folder, cut)
    if targets is not None:
        files += write_manager_pages(job, folder, targets, report)
    metrics = _metrics(job, federation, report, checks, synthetic)
    metrics["on_several_lists"] = 0 if targets is None else len(also_on(targets))
    metrics["repeated_rows"] = repeats
    metrics["rules"] = rules_metrics(rules)
    metrics["nobody"] = nobody_metrics(nobody)
    if drifted:
        metrics["scored"] = drifted
    if earlier is not None:
        change = change_since(earlier, folder, metrics)
        report = replace(report, change=change)
        metrics["since"] = change_metrics(change)
    files += _write_texts(folder, metrics, report, job.spoken)
    return Outputs(profiles, targets, metrics, report, tuple(files))


def _moved(job: Job, trained: Trained, tables: Source) -> pa.Table | None:
    """The offsets of all the receiver's rows; None where a training has none."""
    column = trained.terms.offset
    return tables.load(job.party(job.receiver).table, [column]) if column else None


def _aligned(trained: Trained, outcome: Outcome, table: pa.Table) -> pa.Table:
    """The receiver's features of one training, of the shared rows."""
    chosen = outcome.contract.features(trained.terms, outcome.contract.receiver)
    return table.select(list(dict.fromkeys(chosen))).take(pa.array(outcome.rows))


def _admitted(job: Job, tables: Source) -> np.ndarray | None:
    """bool[rows]: all but those who have lost the basis for this job since it was agreed on."""
    admission = admission_of(tables, job.party(job.receiver).table)
    return None if admission is None else np.asarray(admission.rows, bool)


def _write_tables(
    job: Job,
    folder: Path,
    profiles: pa.Table,
    lists: Lists,
    held_out: pa.Table | None,
) -> tuple[list[str], dict[str, pa.Table]]:
    """Write the tables, each column with its note, and the dictionary of all of them."""
    own = f"of {job.party(job.receiver).table}, as it was read"
    tables = {"profiles": noted(profiles, profile_notes(job), own, origin_of(job))}
    targets = lists.targets
    if targets is not None:
        tables["targets"] = noted(targets, list_notes(job), own)
    if lists.campaign is not None:
        tables["campaign"] = noted(lists.campaign, campaign_notes(job), own)
    if held_out is not None:
        tables["held_out"] = noted(held_out, held_out_notes(job), own)
    for name, table in tables.items():
        write_parquet_atomic(table, folder / f"{name}.parquet")
    files = [f"{name}.parquet" for name in tables]
    if targets is not None:
        said = said_list(targets, job.spoken)
        write_csv(said, folder / "targets.csv")
        files += ["targets.csv"]
        if write_workbook(said, folder / "targets.xlsx"):
            files += ["targets.xlsx"]
    notes = dictionary((f"{name}.parquet", table) for name, table in tables.items())
    write_csv(said_notes(notes, job.spoken), folder / "dictionary.csv")
    return [*files, "dictionary.csv"], tables


def _write_horizontal(
    job: Job,
    federation: Federation,
    folder: Path,
    baseline: bool,
    synthetic: bool,
) -> Outputs:
    model, fit = horizontal_model(job, federation)
    checks = [compare_pooled(job, federation)] if baseline else []
    worse = worse_note(model, job.trains[0].row_bits)
    report = report_data(
        job,
        federation,
        models=[model],
        segment=None,
        scores={},
        targets=None,
        entities=None,
        synthetic=synthetic,
        created=_now(),
        looks=[worse] if worse else [],
        checks=checks,
    )
    metrics = _metrics(job, federation, report, checks, synthetic)
    names = job.parties[0].features
    metrics["coefficients"] = dict(
        zip(names, np.round(fit.coefficients, 6).tolist(), strict=True)
    ) | {"intercept": round(fit.intercept, 6)}
    metrics["fold_aucs"] = [rounded(value) for value in fit.fold_aucs]
    files = _write_texts(folder, metrics, report, job.spoken)
    return Outputs(None, None, metrics, report, files)


def _now() -> datetime:
    return datetime.now(UTC)


def _write_texts(
    folder: Path, metrics: dict[str, Any], report: ReportData, t: Language
) -> tuple[str, ...]:
    write_atomic(folder / "metrics.json", json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")
    write_atomic(folder / "report.html", render_report(report, t))
    return "metrics.json", "report.html"


def _scores(
    federation: Federation, alone: Mapping[str, Alone], table: pa.Table
) -> tuple[dict[str, np.ndarray], dict[str, pa.Array]]:
    """Joined scores for shared entities, the receiver's own model for the others."""
    rows, total = federation.outcome.rows, table.num_rows
    scores, why = {}, {}
    for trained in federation.outcome.trained:
        task = trained.terms.task
        joined = spread(trained.scores, rows, total)
        scores[task] = np.where(np.isnan(joined), alone[task].everyone, joined)
        why[task] = reasons(trained, alone[task], table, rows)
    for one in federation.outcome.counted:
        if one.told is not None:  # who is listed is told, and no score
            task = one.trained.terms.task
            scores[task] = told_scores(one, rows, alone[task].everyone)
            why[task] = own_reasons(one.trained, alone[task])
    return scores, why


def _segments(
    job: Job,
    federation: Federation,
    table: pa.Table,
    scores: Mapping[str, np.ndarray],
    file: SegmentsFile | None,
) -> tuple[Segments | None, list[str]]:
    """The segments of all rows, and notes on them. A training keeps its own beside its models; a
    scoring has those of the first model whose columns are there."""
    trained, own = federation.outcome.trained, job.party(job.receiver).features
    store = None if federation.models is None else ModelStore(federation.models)
    notes = list[str]()
    by_rules = ruled_segments(job, federation.tables[job.receiver], date.today())
    every = (*trained, *(one.trained for one in federation.outcome.counted))
    if by_rules is None and store is not None and not every and table.num_rows:
        found, notes = segments_of_models(job, store, table)
        if found is not None:
            return found, notes
    whole = [one.encoder for one in trained if not one.terms.features]  # by all own columns
    plain = [one for one in whole if isinstance(one, Encoder)]
    encoder = plain[0] if plain else Encoder.fit(table, own) if own else None
    found = by_rules
    if found is None and encoder is not None and encoder.names and table.num_rows:
        matrix, names = encoder.transform(table)
        first = next(iter(scores.values()), None)
        before = None if file is None else file.before
        found = segments(matrix, job.profile.segments, job.seed, names, score=first, before=before)
        if file is not None:
            file.after = found.kept
    if store is not None:
        digest = federation.contract.digest
        cut = None
        if found is not None and by_rules is None and encoder is not None:
            cut = KeptCut.of(found, encoder)
        made = [model_id(digest, one.terms.task) for one in every]
        ModelOutputs(lang=job.lang, cut=cut, titles=job.titles).keep(store, made)
    return found, notes if found is not None else []


def _entity(job: Job) -> dict[str, str] | None:
    """By which column of which table outputs name an entity; None: they name nobody."""
    if job.horizontal:
        return None
    return {"table": job.party(job.receiver).table, "column": entity_column(job)}


def _training(trained: Trained) -> dict[str, Any]:
    """How a training by private sums ended, and what it opened to its label party."""
    opened, terms = trained.opened, trained.terms
    return {
        "evaluations": terms.evaluations,
        "fold_evaluations": terms.fold_evaluations,
        "gradient_left": _short(trained.gradient_left or 0.0),
        "noise": float(terms.noise),
        "score_bits": terms.score_bits,
        "sums": opened.gradients if opened else 0,
        "inner_products": opened.products if opened else 0,
        "bounded_values": trained.bounded,
        "spoilt": trained.spoilt,
    }


def _metrics(
    job: Job,
    federation: Federation,
    report: ReportData,
    checks: list[Comparison],
    synthetic: bool,
) -> dict[str, Any]:
    """Numbers that depend on job and data only; under `run` those of this run, and under `leakage`
    what was told of partners' rows, by it and before."""
    models = {model.task: model_metrics(model) for model in report.models}
    run: dict[str, Any] = {
        "contract": federation.contract.digest.hex(),
        "keep_until": keep_until(federation).isoformat(),
        "seconds": round(federation.seconds, 2),
        "wire_bytes": {f"{a} to {b}": n for (a, b), n in sorted(federation.wire_bytes.items())},
    }
    trained = federation.outcome.trained
    ended = {t.terms.task: _training(t) for t in trained if t.opened}
    for one in federation.outcome.counted:
        ended[one.trained.terms.task] = _training(one.trained) | counted_metrics(one)
    ended |= {t.terms.task: trees_metrics(t) for t in trained if isinstance(t, Grown)}
    ended |= {t.terms.task: hidden_metrics(t) for t in trained if isinstance(t, HiddenGrown)}
    for card in trained:
        if isinstance(card, Carded):
            ended[card.terms.task] = ended.get(card.terms.task, {}) | card_metrics(card)
    # what a [[score]] names, where parties have kept their parts
    for each in (*trained, *(one.trained for one in federation.outcome.counted)):
        terms = each.terms
        kept = not (isinstance(each, HiddenGrown) or terms.offset or each.unusable)
        if terms.task in ended and kept:
            ended[terms.task]["model"] = model_id(federation.contract.digest, terms.task)
    if ended:
        run["trainings"] = ended
    if federation.outcome.categories:
        run["categories"] = category_metrics(federation.outcome)
    if report.binnings:
        run["binnings"] = binning_metrics(report.binnings)
    if checks:
        run["plaintext_baseline"] = [
            {
                "task": c.task,
                "score_difference": _short(c.score_difference),
                "model_difference": _short(c.model_difference),
                "coefficient_difference": _short(c.coefficient_difference),
                "fold_score_difference": _short(c.fold_score_difference),
                "fold_auc_difference": _short(c.fold_auc_difference),
                "central_mean_auc": rounded(c.central_auc),
            }
            for c in checks
        ]
    return {
        "job": job.name,
        "lang": job.lang,
        "titles": dict(job.titles),
        "synthetic": synthetic,
        "entities": report.entities,
        "matched": _pairs(federation, report),
        "matched_entities": report.matched,
        "models": models,
        "aggregates": aggregate_metrics(federation.outcome),
        "join_sums": join_sum_metrics(federation.outcome),
        "targets": {t.product: t.total for t in report.targets},
        "left_out": {t.product: _left_out(t) for t in report.targets},
        "money": {t.product: asdict(t.money) for t in report.targets if t.money},
        "held_back": {t.product: t.held.people for t in report.targets if t.held},
        "assigned": {t.product: dict(t.assigned_by) for t in report.targets if t.assigned_by},
        "leakage": leakage_metrics(report.leakage),
        "series": series_metrics(federation.contract),
        "basis": _basis(job, federation),
        "labels": counted(job, federation.tables[job.receiver]),
        "entity": _entity(job),
        "run": run,
    }


def _left_out(target: TargetSummary) -> dict[str, dict[str, int]]:
    """By stage and reason."""
    found: dict[str, dict[str, int]] = {}
    for reason in target.left_out:
        stage = found.setdefault(reason.stage, {})
        stage[reason.words] = stage.get(reason.words, 0) + reason.people
    return found


def _basis(job: Job, federation: Federation) -> dict[str, Any] | None:
    """How many of the receiver's own rows are in the job, and the others by reason."""
    table = job.party(job.receiver).table
    admission = admission_of(federation.tables[job.receiver], table)
    if admission is None:
        return None
    admitted = int(admission.rows.sum())
    lost = len(admission.rows) - admitted
    return {"admitted": admitted, "left_out": admission.left_out, "lost_since": lost}


def _pairs(federation: Federation, report: ReportData) -> int | None:
    """What steps count: pairs of rows where both sides know them, else the shared records."""
    both = all(terms.reveal == "both" for terms in federation.contract.align)
    return len(federation.outcome.rows) if federation.contract.align and both else report.matched


def _short(value: float) -> float | None:
    return float(f"{value:.2e}") if np.isfinite(value) else None
