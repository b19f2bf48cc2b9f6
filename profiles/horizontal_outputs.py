"""Outputs of a horizontal job: the model, its metrics and the report."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from federated.contract.kinds.train import TrainAsked
from federated.evaluation import auc, auc_interval
from federated.horizontal import HorizontalFit
from federated.models import Part, model_named
from federated.tables.matrix import binary_label, numeric_matrix
from federated.tables.source import Source
from profiles.baseline import Comparison
from profiles.central import central
from profiles.federation import Federation
from profiles.job import Job
from profiles.report.measured import Model, importance_of, paired_gain, scored

__all__ = ["branch_model", "compare_pooled", "horizontal_model", "worse_note"]

Rows = tuple[np.ndarray, np.ndarray]
CLEARLY = 0.01
"""So much less AUC is worth a look: honest trainings of one table differ by about as much."""
OWN_ROWS = 200_000
"""On so many rows at most a party's own model is fitted, every second or third of more: what that
moves in an AUC is far below what folds do, and a million rows took two gigabytes."""
_BLOCK = 1 << 16


def _rows(source: Source, table: str, features: tuple[str, ...], terms: TrainAsked) -> Rows:
    """Features and label of all rows that have a label."""
    found = source.load(table, [*features, terms.label])
    if found.column(terms.label).null_count:  # else no copy
        found = found.filter(found.column(terms.label).is_valid())
    label = binary_label(found, terms.label, positive=terms.positive, where=table)
    return numeric_matrix(found, features, where=table), label.astype(np.int64)


def _tested(job: Job) -> tuple[str, str]:
    """The table that no party trained on, or "", and who has the rows to measure on."""
    table = job.trains[0].test_table
    return table, table.split(".", 1)[0] if table else job.receiver


def _test_rows(job: Job, federation: Federation, terms: TrainAsked) -> Rows:
    table, owner = _tested(job)
    party = job.party(owner)
    return _rows(federation.tables[owner], table or party.table, party.features, terms)


def _central(terms: TrainAsked, rows: Rows) -> tuple[Part, np.ndarray, np.ndarray]:
    """The model of these rows alone, their means and scales."""
    x, y = rows
    mean, scale = x.mean(axis=0), np.where(x.std(axis=0) > 1e-9, x.std(axis=0), 1.0)
    return central(model_named(terms.model), (x - mean) / scale, y), mean, scale


def _scores(terms: TrainAsked, rows: Rows, x: np.ndarray) -> np.ndarray:
    """Predictions for `x` of the model of these rows alone."""
    part, mean, scale = _central(terms, rows)
    link = model_named(terms.model)
    return _by_blocks(lambda some: link.predict(part.scores((some - mean) / scale)), x)


def _by_blocks(predict: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """`float64[rows]`, without a copy of all of `x`: of a million rows half a gigabyte."""
    starts = range(0, len(x), _BLOCK)
    return np.concatenate([np.zeros(0), *(predict(x[at : at + _BLOCK]) for at in starts)])


def horizontal_model(job: Job, federation: Federation) -> tuple[Model, HorizontalFit]:
    """The common model beside one party's own, on rows that neither has seen."""
    terms, fit = federation.outcome.horizontal[0]
    table, owner = _tested(job)
    features = job.party(owner).features
    own = _rows(federation.tables[owner], job.party(owner).table, features, terms)
    test = _test_rows(job, federation, terms) if table else own
    seen = f"on {table}, rows that nobody trained on" if table else f"on {owner}'s own rows"
    return _measured(terms, fit, owner, features, own, test, seen), fit


def branch_model(job: Job, fit: HorizontalFit, tables: Source) -> Model | None:
    """The common model beside the party's own, on its own rows; None where they are of one class.

    Args:
        job: as it is at the party.
        fit: the common model.
        tables: the party's.
    """
    (terms,) = job.trains
    spec = job.party(job.receiver)
    x, y = _rows(tables, spec.table, spec.features, terms)
    whole = np.isfinite(x).all(axis=1)
    own = (x, y) if whole.all() else (x[whole], y[whole])
    if len(np.unique(own[1])) < 2:
        return None
    seen = f"on {job.receiver}'s own rows"
    return _measured(terms, fit, job.receiver, spec.features, own, own, seen)


def worse_note(model: Model, row_bits: int) -> str:
    """What to look at where the common model ranks rows clearly worse than the own one; else ""."""
    before, after = model.scores
    if after.mean_auc > before.mean_auc - CLEARLY:
        return ""
    whose = before.name.removesuffix(" alone")
    return (
        f"{model.task}: the model of all parties' rows has an AUC of {after.mean_auc:.3f}, "
        f"{whose}'s own one {before.mean_auc:.3f}. The noise of row_bits = {row_bits} over "
        f"{model.rows:,} rows may be why, a few very large values in a column, or rows of others "
        "that are unlike these."
    )


def _measured(
    terms: TrainAsked,
    fit: HorizontalFit,
    owner: str,
    features: tuple[str, ...],
    own: Rows,
    test: Rows,
    seen: str,
) -> Model:
    step = -(-len(own[1]) // OWN_ROWS) or 1
    some = (own[0][::step], own[1][::step])
    before = scored(f"{owner} alone", test[1], _scores(terms, some, test[0]))
    after = scored("all parties", test[1], _by_blocks(fit.predict, test[0]))
    bits = f"{terms.row_bits} {'bit' if terms.row_bits == 1 else 'bits'}"
    notes = [
        f"All sums of one party together tell at most {bits} of any of its rows: the noise for "
        "that is part of the model."
    ]
    if len(fit.fold_aucs):
        interval = auc_interval(fit.fold_aucs)
        notes.append(
            f"Cross-validation over all parties' rows, from masked and noised histograms: mean "
            f"AUC {interval.mean:.3f}, 95% interval {interval.low:.3f} to {interval.high:.3f}."
        )
    standard = (some[0] - fit.mean) / fit.scale
    return Model(
        task=terms.task,
        model=f"{model_named(terms.model).words} by masked and noised sums",
        scores=(before, after),
        rows=fit.rows,
        positives=fit.positives,
        split="horizontal",
        evaluation=seen,
        importance=importance_of("all parties", standard, features, fit.part),
        gain=paired_gain(before, after),
        notes=tuple(notes),
    )


def compare_pooled(job: Job, federation: Federation) -> Comparison:
    """The same model fitted on all parties' rows in one process, without bounds or noise.

    AUCs are of the rows that `horizontal_model` is measured on.
    """
    terms, fit = federation.outcome.horizontal[0]
    parts = [_rows(federation.tables[p.name], p.table, p.features, terms) for p in job.parties]
    pooled = np.vstack([x for x, _ in parts]), np.concatenate([y for _, y in parts])
    theirs, _, _ = _central(terms, pooled)
    x, y = _test_rows(job, federation, terms)
    return Comparison(
        task=terms.task,
        score_difference=float(np.abs(_scores(terms, pooled, x) - fit.predict(x)).max()),
        coefficient_difference=theirs.difference(fit.part),
        fold_score_difference=float("nan"),
        central_auc=auc(y, _scores(terms, pooled, x)),
        federated_auc=auc(y, fit.predict(x)),
    )
