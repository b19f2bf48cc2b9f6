"""What the report says of one job, gathered from contract, outcome and outputs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.contract.kinds.train import classes
from federated.contract.terms import Contract, PartyTerms
from federated.tables.basis import left_out_words
from profiles.aggregate_report import by_category, by_segment
from profiles.baseline import Comparison
from profiles.binning_report import binnings
from profiles.campaign.people import Held
from profiles.exclusion.consent import admission_of
from profiles.exclusion.left_out import Reason
from profiles.federation import Federation
from profiles.job import Job
from profiles.label_counts import counted_words
from profiles.leakage import leakage
from profiles.lists import BEYOND
from profiles.offers.chosen import Money
from profiles.plan import PATHS
from profiles.report.data import Match, PartyLine, ReportData, RunFacts, Stage, StepFacts
from profiles.report.grouped import Aggregated, GroupRow
from profiles.report.listed import SegmentLine, TargetLine, TargetSummary
from profiles.report.measured import Model
from profiles.score_outputs import average_note, release_note, score_note, unlike_notes
from profiles.segments import Segments
from profiles.series_report import series_notes
from profiles.several_lists import several_words
from psi.kernels.montgomery import best_path

__all__ = ["keep_until", "report_data", "segment_lines", "target_summaries"]

SHOWN = 25


NO_BASIS = (
    "{table} states no lawful basis, so nobody is left off a list for want of one. A new node "
    "refuses a job about persons on such a table."
)


def report_data(
    job: Job,
    federation: Federation,
    *,
    models: Sequence[Model],
    segment: Segments | None,
    scores: Mapping[str, np.ndarray],
    targets: pa.Table | None,
    held: Mapping[str, Held] = MappingProxyType({}),
    left_out: Mapping[str, tuple[Reason, ...]] = MappingProxyType({}),
    unknown: Mapping[str, tuple[tuple[str, str, int], ...]] = MappingProxyType({}),
    money: Mapping[str, Money] = MappingProxyType({}),
    entities: int | None,
    synthetic: bool,
    created: datetime,
    checks: Sequence[Comparison] = (),
    scored: Mapping[str, Any] | None = None,
    looks: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> ReportData:
    """The report's data; every section that the job lacks is left out."""
    contract, outcome = federation.contract, federation.outcome
    kept = scored or {}
    of_kept = {s.terms.task: s.part.answers.classes for s in federation.outcome.scored}
    return ReportData(
        job=job.name,
        purpose=job.purpose,
        entity=job.entity,
        receiver=job.receiver,
        created=created,
        keep_until=keep_until(federation),
        parties=tuple(_party(contract, terms) for terms in contract.parties),
        synthetic=synthetic,
        ruled=bool(job.segment_rules),
        contract=contract.digest.hex(),
        entities=entities,
        matched=_matched(federation),
        funnel=tuple(_funnel(job, federation, entities, scores, targets, left_out)),
        matches=tuple(_match(job, federation, name) for name in outcome.alignments),
        models=tuple(models),
        aggregates=(
            *(by_segment(terms, result) for terms, result in outcome.aggregates),
            *_join_sums(federation),
        ),
        categories=tuple(by_category(t, r, job.entity) for t, r in outcome.categories),
        binnings=binnings(job, federation),
        segments=segment_lines(segment, scores) if segment else (),
        kept_numbers=tuple(task for task, chances in of_kept.items() if not chances),
        targets=target_summaries(
            job,
            targets,
            scores,
            held=held,
            left_out=left_out,
            unknown=unknown,
            money=money,
            numbers=[task for task, chances in of_kept.items() if not chances],
        )
        if targets is not None
        else (),
        disclosures=contract.disclosures,
        leakage=leakage(federation),
        run=_run(federation),
        notes=(
            *_left_out(job, federation),
            *notes,
            *series_notes(contract),
            *counted_words(job, federation.tables[job.receiver]),
            *(_check(check) for check in checks),
            *(score_note(task, said) for task, said in kept.items() if not said["moved"]),
            *filter(None, (release_note(task, said) for task, said in kept.items())),
            *filter(None, (average_note(task, said) for task, said in kept.items())),
        ),
        looks=(
            *looks,
            *filter(None, (several_words(targets) if targets is not None else "",)),
            *(score_note(task, said) for task, said in kept.items() if said["moved"]),
            *(note for task, said in kept.items() for note in unlike_notes(task, said)),
        ),
    )


def keep_until(federation: Federation) -> date:
    """The last day on which the contract lets the receiver keep what is made of it today."""
    return (datetime.now(UTC) + timedelta(days=federation.contract.retention_days)).date()


def _left_out(job: Job, federation: Federation) -> list[str]:
    """How many of the receiver's own rows have no lawful basis for the job, and why."""
    table = job.party(job.receiver).table
    admission = admission_of(federation.tables[job.receiver], table)
    if admission is None:
        asked = job.targets and job.entity == "consumer"
        return [NO_BASIS.format(table=table)] if asked else []
    counts = dict(admission.left_out)
    lost = len(admission.rows) - int(admission.rows.sum())
    counts |= {"lost since the job was agreed on": lost} if lost else {}
    return [left_out_words(table, counts) + "."]


def _matched(federation: Federation) -> int | None:
    """The receiver's entities that all partners share; None where it cannot know."""
    aligned = federation.contract.align
    if not aligned or (len(aligned) > 1 and any(a.reveal != "both" for a in aligned)):
        return None
    found = federation.outcome.alignments[aligned[0].partner]
    if aligned[0].reveal == "cardinality":
        return found.matched
    rows = found.rows if aligned[0].reveal == "receiver" else federation.outcome.rows
    return len(np.unique(rows))


def _funnel(
    job: Job,
    federation: Federation,
    entities: int | None,
    scores: Mapping[str, np.ndarray],
    targets: pa.Table | None,
    left_out: Mapping[str, tuple[Reason, ...]],
) -> Iterator[Stage]:
    """How many of the receiver's entities each number of the page is about."""
    if entities is None:
        return
    yield Stage("everybody", entities)
    admission = admission_of(federation.tables[job.receiver], job.party(job.receiver).table)
    if admission is not None:
        yield Stage("admitted", int(admission.rows.sum()))
    if (matched := _matched(federation)) is not None:
        yield Stage("matched", matched)
    counted = [one.trained for one in federation.outcome.counted]
    for trained in (*federation.outcome.trained, *counted):
        known = trained.known | trained.known_later
        yield Stage("labelled", int(np.count_nonzero(known)), trained.terms.task)
    kept = {one.terms.task for one in federation.outcome.scored if one.told is None}
    told = (target for target in job.targets if target.tells == "list")
    whose = {one.task: "listed_scored" if one.score_bits else "own_scored" for one in told}
    for task, score in scores.items():
        key = "kept" if task in kept else whose.get(task, "scored")
        yield Stage(key, int(np.isfinite(score).sum()), task)
    if targets is None:
        return
    for spec in job.targets:
        name = spec.product
        listed = int(pc.sum(pc.equal(targets.column("product"), name)).as_py() or 0)
        beyond = [r.people for r in left_out.get(name, ()) if r.words == BEYOND]
        yield Stage("may", listed + sum(beyond), name)
        yield Stage("listed", listed, name)


def _party(contract: Contract, terms: PartyTerms) -> PartyLine:
    horizontal = any(t.split == "horizontal" for t in contract.train)
    use = "training" if contract.train else "scores" if contract.score else "its segments"
    if terms.name == contract.receiver:
        role = "receiver, holds the label" if terms.labels else "receiver"
    else:
        role = "feature party" if terms.features else "partner"
    binned = {c for one in contract.binning if one.partner == terms.name for c in one.columns}
    counts = {
        use: len(terms.features),
        "bins": len(binned),
        "aggregates": len(set(terms.measures) - binned),
    }
    uses = [f"{n} column{'s' * (n != 1)} for {what}" for what, n in counts.items() if n]
    return PartyLine(
        terms.name, "branch" if horizontal else role, terms.rows, ", ".join(uses) or "keys only"
    )


def _match(job: Job, federation: Federation, partner: str) -> Match:
    found = federation.outcome.alignments[partner]
    reveal = next(a.reveal for a in federation.contract.align if a.partner == partner)
    keys = job.party(job.receiver).keys
    counts = np.bincount(found.grade, minlength=len(keys)).tolist() if len(found.grade) else []
    grades = tuple((" and ".join(k), int(n)) for k, n in zip(keys, counts, strict=False))
    left = tuple(
        (why, n)
        for why, n in (("no usable key", found.nulls), ("key held twice", found.duplicates))
        if n > 0
    )
    rows = federation.contract.party(job.receiver).rows
    partner_rows = federation.contract.party(partner).rows
    return Match(
        partner=partner,
        receiver_rows=rows,
        partner_rows=partner_rows,
        matched=found.matched,
        reveal=reveal,
        grades=grades,
        left_out=left,
    )


def _join_sums(federation: Federation) -> list[Aggregated]:
    found = []
    for terms, result in federation.outcome.join_sums:
        values = tuple(
            float(value) if kept else None
            for value, kept in zip(result.values, result.kept, strict=True)
        )
        measures = tuple(f"{m.statistic} of {m.column}" for m in terms.measures)
        line = GroupRow("all, not known which", result.shared, values)
        found.append(
            Aggregated(
                partner=terms.partner,
                by="",
                measures=measures,
                rows=(line,),
                minimum_group=terms.minimum_group,
                key_bits=terms.key_bits,
                shared=terms.shared,
            )
        )
    return found


def segment_lines(segment: Segments, scores: Mapping[str, np.ndarray]) -> tuple[SegmentLine, ...]:
    """Each segment with its entities, and the mean of each of `scores` (of the same rows)."""
    total = max(1, len(segment.number))
    lines = []
    for i, name in enumerate(segment.names):
        inside = segment.place == i
        means = tuple(
            (task, float(np.nanmean(s[inside])))
            for task, s in scores.items()
            if np.isfinite(s[inside]).any()
        )
        size = segment.sizes[i]
        lines.append(SegmentLine(name, segment.descriptions[i], size, size / total, means))
    return tuple(lines)


def target_summaries(
    job: Job,
    targets: pa.Table,
    scores: Mapping[str, np.ndarray],
    *,
    held: Mapping[str, Held] = MappingProxyType({}),
    left_out: Mapping[str, tuple[Reason, ...]] = MappingProxyType({}),
    unknown: Mapping[str, tuple[tuple[str, str, int], ...]] = MappingProxyType({}),
    money: Mapping[str, Money] = MappingProxyType({}),
    numbers: Collection[str] = (),
) -> tuple[TargetSummary, ...]:
    """Each list as a page shows it; `numbers` are tasks of kept models that predict numbers."""
    found, trained = [], {train.task: classes(train) for train in job.trains}
    for spec in job.targets:
        chances = trained.get(spec.task, spec.task not in numbers)
        part = targets.filter(pc.equal(targets.column("product"), spec.product))
        rows = part.slice(0, SHOWN).to_pylist()
        lines = tuple(
            TargetLine(
                rank=int(row["rank"]),
                entity=str(row["entity"]),
                score=float(row["score"]),
                reasons=tuple(row.get("reasons") or ()),
                manager=str(row.get("manager") or ""),
                offer=str(row.get("offer") or ""),
                left=row.get("offer_left"),
                name=str(row.get("name") or ""),
                segment=str(row.get("segment") or ""),
                unassigned=str(row.get("unassigned") or ""),
                matched=row.get("matched") is not False,
            )
            for row in rows
        )
        named = bool(spec.managers)
        found.append(
            TargetSummary(
                product=spec.product,
                score=spec.task,
                total=part.num_rows,
                lines=lines,
                assigned=part.num_rows - part.column("manager").null_count if named else None,
                unassigned=_counted(part, "unassigned") if named else (),
                mean=_mean(part.column("score").to_numpy()) if chances else None,
                average=_mean(scores.get(spec.task, np.empty(0))) if chances else None,
                managers=_by_manager(part) if named else (),
                left_out=left_out.get(spec.product, ()),
                unknown=unknown.get(spec.product, ()),
                money=money.get(spec.product),
                assigned_by=_counted(part, "assigned_by") if named else (),
                held=held.get(spec.product),
                chances=chances,
                told=spec.tells == "list",
                own=spec.tells == "list" and not spec.score_bits,
                unmatched=int(pc.sum(pc.invert(part.column("matched"))).as_py() or 0),
            )
        )
    return tuple(found)


def _counted(part: pa.Table, column: str) -> tuple[tuple[str, int], ...]:
    """Each value of a column with its rows, in the order of the list."""
    found = part.column(column).drop_null().value_counts().to_pylist()
    return tuple((str(one["values"]), int(one["counts"])) for one in found)


def _mean(score: np.ndarray) -> float | None:
    known = score[np.isfinite(score)]
    return float(known.mean()) if len(known) else None


def _by_manager(part: pa.Table) -> tuple[tuple[str, int, float], ...]:
    """(manager, leads, their mean score), most leads first."""
    held = part.filter(pc.is_valid(part.column("manager"))).group_by("manager")
    rows = held.aggregate([("score", "count"), ("score", "mean")]).to_pylist()
    found = ((str(r["manager"]), int(r["score_count"]), float(r["score_mean"])) for r in rows)
    return tuple(sorted(found, key=lambda line: (-line[1], line[0])))


def _run(federation: Federation) -> RunFacts:
    contract = federation.contract
    records = federation.records[contract.receiver]
    steps = tuple(
        StepFacts(_step_name(r.step), r.seconds, r.sent, r.received, r.messages) for r in records
    )
    bits = [t.key_bits for t in contract.aggregate] + [t.key_bits for t in contract.join_sum]
    bits += [t.key_bits for t in contract.category]
    suites = contract.suites
    facts: tuple[tuple[str, str], ...]
    facts = (("sealing", suites.seal), ("signatures", suites.sign), ("paillier", suites.aggregate))
    kernel = PATHS[best_path()]
    if suites.trees:
        facts += (("trees", suites.trees),)
    if suites.sums:
        facts += (("private sums", suites.sums),)
    return RunFacts(max(bits, default=0), suites.align, kernel, federation.seconds, steps, facts)


_STEPS = {
    "contract": "the signing of the contract",
    "known": "what earlier jobs told of {partner}",
    "finish": "the end of the job",
}


def _step_name(step: str) -> str:
    """align/bureau/0 -> align with bureau, key 1."""
    kind, _, rest = step.partition("/")
    first, _, second = rest.partition("/")
    if whole := _STEPS.get(kind):
        return whole.format(partner=rest)
    if kind == "align" and second == "order":
        return f"align with {first}, the order of rows"
    if kind == "align":
        return f"align with {first}, " + (f"key {int(second) + 1}" if second.isdigit() else second)
    if kind in ("aggregate", "join_sum", "category", "binning", "sums"):
        return f"{kind.replace('_', ' and ')} with {second}"
    if kind == "counted":
        return f"counts of {first}"
    if kind in ("rows", "lanes"):
        return f"{kind} of {first}"
    return f"{kind} {rest}".strip()


def _check(check: Comparison) -> str:
    scores, coefficients = check.score_difference, check.coefficient_difference
    text = (
        f"{check.task}: compared with the same model fitted on all data in one process, scores "
        f"differ by at most {scores:.1e}"
    )
    if np.isfinite(coefficients):  # trees have none
        text += f", coefficients by {coefficients:.1e} of the largest"
    gap, folds = abs(check.fold_auc_difference), np.isfinite(check.fold_score_difference)
    what = f"the mean {check.quality} of the folds" if folds else f"the {check.quality}"
    return f"{text}, {what} by {gap:.1e}." if np.isfinite(gap) else f"{text}."
