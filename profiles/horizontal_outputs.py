"""Outputs of a horizontal job: the model, its metrics and the report."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from federated.contract.terms import TrainTerms
from federated.evaluation import auc, auc_interval
from federated.horizontal import HorizontalFit
from federated.tables.matrix import binary_label, numeric_matrix
from federated.tables.source import Source
from profiles.baseline import Comparison
from profiles.federation import Federation
from profiles.job import Job
from profiles.report.data import Model, linear_importance, paired_gain, scored

__all__ = ["compare_pooled", "horizontal_model"]

Rows = tuple[np.ndarray, np.ndarray]


def _rows(source: Source, table: str, features: tuple[str, ...], terms: TrainTerms) -> Rows:
    """Features and label of all rows that have a label."""
    found = source.load(table, [*features, terms.label])
    found = found.filter(found.column(terms.label).is_valid())
    label = binary_label(found, terms.label, positive=terms.positive, where=table)
    return numeric_matrix(found, features, where=table), label.astype(np.int64)


def _tested(job: Job) -> tuple[str, str]:
    """The table that no party trained on, or "", and who has the rows to measure on."""
    table = job.trains[0].test_table
    return table, table.split(".", 1)[0] if table else job.receiver


def _test_rows(job: Job, federation: Federation, terms: TrainTerms) -> Rows:
    table, owner = _tested(job)
    party = job.party(owner)
    return _rows(federation.tables[owner], table or party.table, party.features, terms)


def _central(rows: Rows) -> tuple[LogisticRegression, np.ndarray, np.ndarray]:
    x, y = rows
    mean, scale = x.mean(axis=0), np.where(x.std(axis=0) > 1e-9, x.std(axis=0), 1.0)
    model = LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=1000)
    return model.fit((x - mean) / scale, y), mean, scale


def _scores(rows: Rows, x: np.ndarray) -> np.ndarray:
    model, mean, scale = _central(rows)
    return np.asarray(model.predict_proba((x - mean) / scale)[:, 1])


def horizontal_model(job: Job, federation: Federation) -> tuple[Model, HorizontalFit]:
    """The common model beside one party's own, on rows that neither has seen."""
    terms, fit = federation.outcome.horizontal[0]
    table, owner = _tested(job)
    features = job.party(owner).features
    own = _rows(federation.tables[owner], job.party(owner).table, features, terms)
    test = _test_rows(job, federation, terms)
    seen = f"on {table}, rows that nobody trained on" if table else f"on {owner}'s own rows"
    before = scored(f"{owner} alone", test[1], _scores(own, test[0]))
    after = scored("all parties", test[1], fit.predict(test[0]))
    notes = [
        f"All sums of one party together tell at most {terms.row_bits} bits of any of its rows: "
        "the noise for that is part of the model."
    ]
    if len(fit.fold_aucs):
        interval = auc_interval(fit.fold_aucs)
        notes.append(
            f"Cross-validation over all parties' rows, from masked and noised histograms: mean "
            f"AUC {interval.mean:.3f}, 95% interval {interval.low:.3f} to {interval.high:.3f}."
        )
    standard = (own[0] - fit.mean) / fit.scale
    model = Model(
        task=terms.task,
        model="logistic regression by masked and noised sums",
        scores=(before, after),
        rows=fit.rows,
        positives=fit.positives,
        split="horizontal",
        evaluation=seen,
        importance=linear_importance("all parties", standard, features, fit.coefficients),
        gain=paired_gain(before, after),
        notes=tuple(notes),
    )
    return model, fit


def compare_pooled(job: Job, federation: Federation) -> Comparison:
    """The same model fitted on all parties' rows in one process, without bounds or noise.

    AUCs are of the rows that `horizontal_model` is measured on.
    """
    terms, fit = federation.outcome.horizontal[0]
    parts = [_rows(federation.tables[p.name], p.table, p.features, terms) for p in job.parties]
    pooled = np.vstack([x for x, _ in parts]), np.concatenate([y for _, y in parts])
    model, _, _ = _central(pooled)
    theirs = np.concatenate([model.coef_[0], model.intercept_])
    ours = np.concatenate([fit.coefficients, [fit.intercept]])
    x, y = _test_rows(job, federation, terms)
    return Comparison(
        task=terms.task,
        score_difference=float(np.abs(_scores(pooled, x) - fit.predict(x)).max()),
        coefficient_difference=float(np.abs(theirs - ours).max() / np.abs(theirs[:-1]).max()),
        fold_score_difference=float("nan"),
        central_auc=auc(y, _scores(pooled, x)),
        federated_auc=auc(y, fit.predict(x)),
    )
