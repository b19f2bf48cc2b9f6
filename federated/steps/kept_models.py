"""After a training each party keeps its own part of the model, for scoring later (`scoring`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from federated.binning import EvidenceEncoder
from federated.contract.kinds.train import boosted, carded, private
from federated.contract.kinds.train_vertical import row_bits_of
from federated.contract.terms import Contract, TrainTerms
from federated.counted import auc_of_counts, width_of
from federated.evaluation import Interval, auc_difference, auc_interval, fold_aucs
from federated.hidden_trees import HiddenFeatureModel, HiddenLabelModel
from federated.models import LinearPart
from federated.scoring.fixed import FRACTION_BITS, fixed_scores
from federated.scoring.model_file import (
    FEATURE,
    LABEL,
    SALT,
    Brought,
    Deviation,
    ModelPart,
    model_id,
)
from federated.scoring.paths import most_levels
from federated.scoring.spread import Spread
from federated.steps.explained import explained
from federated.steps.outcome import Counted, Grown, HiddenGrown, Trained
from federated.steps.work import Work
from federated.tables.encoding import Encoder
from federated.tables.inferred import refuse_unclear
from federated.trees import FeatureModel, LabelModel
from psi.protocol import InputError

__all__ = ["keep_feature_part", "keep_label_part", "spread_of_part"]

_ROWS = 1 << 16


def keep_label_part(
    work: Work, trained: Trained, table: pa.Table, counted: Counted | None = None
) -> None:
    """Keep the label party's part; `table` holds its aligned rows. Nothing without a store.

    Args:
        work: of the job.
        trained: the model.
        table: the aligned rows.
        counted: what it is measured by where no row's score was told.
    """
    terms = trained.terms
    if work.models is None or terms.offset or trained.unusable:
        return  # nobody could say the offset of rows to come
    finite = bool(np.isfinite(trained.scores).all())
    scores = trained.model.link(trained.scores) if finite else None
    trees = trained.trees if isinstance(trained, Grown | HiddenGrown) else None
    regression: dict[str, Any] = {}
    if trees is None:
        regression = {"encoder": trained.encoder, "linear": trained.part}
    card = _label_card(trained)
    if counted is not None:
        card |= _by_counts(counted) | {"partners_mean": counted.partners_mean}
    _keep(work, terms, table, LABEL, scores, card, trees, **regression)


def keep_feature_part(
    work: Work,
    terms: TrainTerms,
    table: pa.Table,
    card: Mapping[str, Any],
    *,
    encoder: Encoder | EvidenceEncoder | None = None,
    linear: LinearPart | None = None,
    trees: FeatureModel | HiddenFeatureModel | None = None,
) -> None:
    """Keep a feature party's part; `table` holds its aligned rows. Nothing without a store."""
    if work.models is None or terms.offset:
        return
    more: dict[str, Any] = {}
    if encoder is not None and linear is not None:
        spread = spread_of_part(encoder, linear, table, work.table)
        more = {"encoder": encoder, "linear": linear, "of_part": spread}
    _keep(work, terms, table, FEATURE, None, card, trees, **more)


def spread_of_part(
    encoder: Encoder | EvidenceEncoder, linear: LinearPart, aligned: pa.Table, whole: pa.Table
) -> Deviation:
    """How a partner's part lies over its aligned rows; as wide as over its whole table at least.

    The receiver chose which rows are aligned: of rows that are all alike steps would be so fine
    that other rows, scored later, were told more than is booked.
    """
    part, every = (_parts(encoder, linear, each) for each in (aligned, whole))
    if not len(part):
        return Deviation(0.0, 0.0)
    return Deviation(float(part.mean()), float(max(part.std(), every.std())))


def _parts(
    encoder: Encoder | EvidenceEncoder, linear: LinearPart, table: pa.Table
) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = [np.zeros(0)]
    for low in range(0, table.num_rows, _ROWS):  # memory grows with chunks
        try:
            matrix, _ = encoder.transform(table.slice(low, _ROWS))
        except InputError:  # rows that were not aligned and that no scoring would read either
            continue
        units = fixed_scores(matrix, linear.coefficients).astype(np.float64)
        found.append(np.ldexp(units, -FRACTION_BITS))
    return np.concatenate(found)


def _keep(
    work: Work,
    terms: TrainTerms,
    table: pa.Table,
    side: str,
    scores: np.ndarray | None,
    card: Mapping[str, Any],
    trees: LabelModel | FeatureModel | HiddenLabelModel | HiddenFeatureModel | None,
    **more: Any,
) -> None:
    contract, me = work.contract, work.me.name
    assert work.models is not None  # noqa: S101  callers have looked
    name = model_id(contract.digest, terms.task)
    features = list(contract.features(terms, me))
    salt = work.session.keep(f"model-{name}", lambda: work.session.random(SALT))
    told = terms.score_bits
    if isinstance(trees, LabelModel):
        told = most_levels(trees.forest)
    elif isinstance(trees, FeatureModel):
        told = int(card["levels"])
    part = ModelPart(
        id=name,
        task=terms.task,
        model=terms.model,
        side=side,
        party=me,
        receiver=contract.receiver,
        partners=terms.partners,
        brought=_brought(contract, terms),
        contract=contract.digest.hex(),
        run=contract.nonce,
        made=int(work.session.clock()),
        job=contract.job,
        purpose=contract.purpose,
        purpose_class=contract.purpose_class,
        entity=contract.entity,
        types={name: refuse_unclear(table, name, work.me.table).kind for name in features},
        told=told,
        spread=Spread.of_training(table, features, scores),
        card={"rows": table.num_rows, **card, **_scale(terms), **_told(terms), **_asked(terms)},
        salt=salt.hex(),
        align=_align(contract),
        trees=trees,
        **more,
    )
    work.models.write(part)
    part = work.models.read(name)  # of a life before this one, if it was killed since
    work.session.ledger.once("model", step=f"train/{terms.task}", model=name, digest=part.digest)


def _scale(terms: TrainTerms) -> dict[str, Any]:
    """How a scorecard's points are made."""
    if not carded(terms):
        return {}
    return {n: getattr(terms, n) for n in ("points", "odds", "double", "high")}


def _asked(terms: TrainTerms) -> dict[str, Any]:
    """What the contract asked of trees: all of its parties know it."""
    if not boosted(terms):
        return {}
    names = ("trees", "depth", "least_rows", "early_stop")
    found: dict[str, Any] = {name: getattr(terms, name) for name in names}
    for name in ("learning_rate", "penalty", "least_weight", "subsample"):
        found[name] = getattr(terms, name) / 1000
    for name in ("rising", "falling"):
        found[name] = [f"{one.party}.{c}" for one in getattr(terms, name) for c in one.columns]
    return {"asked": found}


def _told(terms: TrainTerms) -> dict[str, Any]:
    """What a training told of a row that tells no row's score."""
    if not private(terms) or terms.score_bits:
        return {}
    bits = {"told_bits": round(row_bits_of(terms), 2)}
    return bits | {"listed": terms.listed, "listed_bits": terms.listed_bits}


def _brought(contract: Contract, terms: TrainTerms) -> tuple[Brought, ...]:
    names = (contract.receiver, *terms.partners)
    parties = [(contract.party(name), contract.features(terms, name)) for name in names]
    return tuple(Brought(p.name, p.table, p.keys, p.kinds, found) for p, found in parties)


def _align(contract: Contract) -> dict[str, Any]:
    """What a job file says of an alignment, of the first partner's."""
    first = contract.align[0]
    return {
        "protocol": first.protocol,
        "minimum_overlap": first.minimum_overlap,
        "minimum_checked_by": first.minimum_checked_by,
        "largest_set": first.largest_set,
    }


def _label_card(trained: Trained) -> dict[str, Any]:
    """How good it is, on rows that it did not see where there are any."""
    held = (trained.folds >= 0) & trained.known
    label, scores = trained.label, trained.fold_scores
    found: dict[str, Any] = {
        "label": trained.terms.label,
        "positive": trained.terms.positive,
        "labelled": int(trained.known.sum()),
        "positives": int((trained.label == 1).sum()) if trained.model.classes else 0,
        "partner_columns": trained.partner_columns,
        "by_party": _by_party(trained),
        "average": [] if isinstance(trained, HiddenGrown) else trained.average.tolist(),
        "partners_mean": 0.0 if isinstance(trained, HiddenGrown) else _partners_mean(trained),
    }
    if not held.any() or not np.isfinite(scores[held]).all() or len(np.unique(label[held])) < 2:
        return found
    if not trained.model.classes:
        far = float(np.abs(scores[held] - label[held]).max())  # a square of it may be no number
        error = far * float(
            np.sqrt(np.mean(np.square((scores[held] - label[held]) / (far or 1.0))))
        )
        return found | {"rmse": float(f"{error:.5g}"), "held_out_rows": int(held.sum())}
    if trained.part_held_out:
        more = auc_difference(label[held], scores[held], np.zeros(int(held.sum())))
        mean, low, high = (0.5 + end for end in (more.mean, more.low, more.high))
        interval = replace(more, mean=mean, low=low, high=high)
    else:
        interval = auc_interval(fold_aucs(label, scores, trained.folds))
    return found | _ends(interval) | {"held_out_rows": int(held.sum())}


def _by_counts(counted: Counted) -> dict[str, Any]:
    """How good it is by counts of held-out rows, under the partner's noise."""
    folds = counted.trained.terms.folds
    if counted.spoilt or not folds:
        return {"spoilt": counted.spoilt}
    noise = {"counts_noise": counted.noise}
    if not counted.trained.model.classes:
        found = explained(counted)
        share, rows = float(np.mean(found.shares[:folds])), int(found.rows[:folds].sum())
        return {"explained": round(share, 4), "held_out_rows": rows} | noise
    width = counted.blur * width_of(counted.middles)
    aucs = np.array([auc_of_counts(group, width) for group in counted.counts[:folds]])
    known = aucs[np.isfinite(aucs)]
    if not len(known):
        return {}
    rows = int(((counted.trained.folds >= 0) & counted.trained.known).sum())
    return _ends(auc_interval(known)) | {"held_out_rows": rows} | noise


def _ends(found: Interval) -> dict[str, float]:
    """An AUC and its interval."""
    ends = {"auc": found.mean, "auc_low": found.low, "auc_high": found.high}
    return {k: round(v, 4) for k, v in ends.items() if np.isfinite(v)}


def _by_party(trained: Trained) -> dict[str, float]:
    """The variance of each own column's contribution, added up, and of the partners' in all, as far
    as it is known: the report's shares are of these too."""
    if isinstance(trained, HiddenGrown):
        return {}  # whose part of a score it is nobody knows
    if isinstance(trained, Grown):
        rows, names = len(trained.moved), trained.terms.partners
        spread = trained.moved.std(axis=0)
        own, theirs = spread[: -len(names)], spread[-len(names) :]
    else:
        rows, own = len(trained.own_matrix), trained.part.importance(trained.own_matrix)[0]
        names, theirs = (" and ".join(trained.terms.partners),), [trained.partners().std()]
    sizes = {"own columns": float(np.square(own).sum())}
    sizes |= {name: float(size**2) for name, size in zip(names, theirs, strict=True)}
    if not rows or not all(np.isfinite(each) for each in sizes.values()):
        return {}
    return {name: round(each, 9) for name, each in sizes.items()}


def _partners_mean(trained: Trained) -> float:
    """The mean of the partners' part of scores, as it is in them; 0 where it is not known."""
    if isinstance(trained, Grown):
        return float(trained.average[-len(trained.terms.partners) :].sum())
    if not np.isfinite(trained.scores).all():
        return 0.0
    rest = trained.model.link(trained.scores) - trained.part.scores(trained.own_matrix)
    return float(rest.mean()) if len(rest) else 0.0
