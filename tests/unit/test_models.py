"""What every model promises: its link, its loss, its parts, its file, and a fit to compare with."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from federated.contract.kinds.train import check_train
from federated.models import (
    CARD,
    LOGISTIC,
    MODELS,
    LinearPart,
    Logistic,
    Model,
    load_part,
    model_named,
    save_part,
)
from federated.steps.saved_model import SavedModel
from federated.tables.encoding import Encoder
from profiles.central import CENTRAL, central
from profiles.job import Job
from profiles.proposal import nameless_draft
from psi.protocol import JobError, MisuseError

JOB = """
[job]
name = "toys"
purpose = "test"

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
features = ["age"]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]
features = ["loans"]

[align]
minimum_overlap = 20

[train]
task = "churn"
label = "bank.left"
TASK
"""

SCORES = np.linspace(-4, 4, 33)
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))


def rows(model: Model, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Encoded columns, and answers that the model could have given."""
    random = np.random.default_rng(5)
    matrix = random.normal(size=(count, 3))
    expected = model.predict(matrix @ [0.7, -0.4, 0.2] - 0.3)
    return matrix, (random.uniform(size=count) < expected).astype(np.int64)


@each_model
def test_link_turns_predictions_back_into_scores(model: Model) -> None:
    assert model.link(model.predict(SCORES)) == pytest.approx(SCORES, abs=1e-9)
    assert np.isfinite(model.link(model.predict(np.array([-1e4, 1e4])))).all()


@each_model
def test_slope_and_curvature_are_those_of_the_loss(model: Model) -> None:
    answer, step = rows(model, len(SCORES))[1], 1e-5
    for z, y in zip(SCORES, answer, strict=True):
        one, near = np.array([y]), [model.loss(np.array([z + d]), np.array([y])) for d in
                                    (-step, 0.0, step)]  # fmt: skip
        slope = float(model.slope(np.array([z]), one)[0])
        assert slope == pytest.approx((near[2] - near[0]) / (2 * step), abs=1e-7)
        slopes = [float(model.slope(np.array([z + d]), one)[0]) for d in (-step, step)]
        curvature = float(model.curvature(np.array([z]))[0])
        assert curvature == pytest.approx((slopes[1] - slopes[0]) / (2 * step), abs=1e-7)


@each_model
def test_nothing_overflows(model: Model) -> None:
    with np.errstate(over="raise", invalid="raise"):
        far = np.array([-1e4, 1e4])
        assert np.isfinite(model.predict(far)).all()
        assert np.isfinite(model.loss(far, np.array([1, 0])))
        assert np.isfinite(model.curvature(far)).all()


@each_model
def test_a_central_fit_is_where_the_penalised_loss_is_least(model: Model) -> None:
    matrix, label = rows(model)
    part = central(model, matrix, label)
    slope = model.slope(part.scores(matrix), label)
    assert slope.sum() == pytest.approx(0, abs=1e-5)  # no penalty on the intercept
    found = part.scores(np.eye(3)) - part.scores(np.zeros((1, 3)))
    assert matrix.T @ slope == pytest.approx(-found, abs=1e-5)
    assert set(CENTRAL) == {*MODELS, CARD.name}


@each_model
def test_contributions_add_up_and_importance_is_their_spread(model: Model) -> None:
    matrix, label = rows(model)
    part = central(model, matrix, label)
    average = matrix.mean(axis=0)
    told = part.contributions(matrix, average)
    rest = part.scores(matrix) - part.scores(average[None])
    assert told.sum(axis=1) == pytest.approx(rest, abs=1e-9)
    sizes, signs = part.importance(matrix)
    assert sizes == pytest.approx(told.std(axis=0))
    assert signs.tolist() == [1, -1, 1]
    assert part.importance(matrix[:0])[0].tolist() == [0, 0, 0]


@each_model
def test_parts_of_parties_join(model: Model) -> None:
    matrix, label = rows(model)
    part = central(model, matrix, label)
    joined = part.joined([part])
    twice = np.hstack([matrix, matrix])
    assert joined.scores(twice) == pytest.approx(2 * part.scores(matrix))
    assert joined.width == 2 * part.width
    assert joined.difference(joined) == 0
    with pytest.raises(MisuseError):
        joined.difference(part)


@each_model
def test_a_saved_part_is_the_same_to_the_last_bit(model: Model) -> None:
    matrix, label = rows(model)
    part = central(model, matrix, label)
    data = save_part(model, part, {"task": "t"})
    again, loaded, about = load_part(data, MODELS)
    assert again is model
    assert about == {"task": "t"}
    assert loaded.scores(matrix).tobytes() == part.scores(matrix).tobytes()
    whole = json.loads(data)
    for key, value in (("format", "x"), ("version", 2), ("model", "trees"), ("part", {}),
                       ("about", 1), ("more", 1)):  # fmt: skip
        with pytest.raises(MisuseError):
            load_part(json.dumps(whole | {key: value}).encode(), MODELS)
    for broken in (b"", b"\x80", b"[]", data[:-2]):
        with pytest.raises(MisuseError):
            load_part(broken, MODELS)


@each_model
def test_nothing_of_a_fit_is_in_a_repr(model: Model) -> None:
    matrix, label = rows(model)
    part = central(model, matrix, label)
    assert not any(c.isdigit() and c != str(part.width) for c in repr(part) + repr(model))


def test_a_saved_model_scores_rows_of_its_table() -> None:
    random = np.random.default_rng(2)
    table = pa.table({"age": random.normal(50, 9, 200), "kind": ["a", "b"] * 100})
    encoder = Encoder.fit(table, ["age", "kind"])
    matrix = encoder.transform(table)[0]
    kept = SavedModel("churn", LOGISTIC, LinearPart(np.array([0.5, -1.0]), 0.25), encoder)
    loaded = SavedModel.from_bytes(kept.to_bytes())
    assert loaded.task == "churn"
    expected = LOGISTIC.predict(matrix @ [0.5, -1.0] + 0.25)
    assert loaded.predict(table) == pytest.approx(expected, abs=1e-15)
    for about in ({}, {"task": "t", "encoder": {}}, {"task": 1, "encoder": encoder.as_dict()}):
        with pytest.raises(MisuseError):
            SavedModel.from_bytes(save_part(LOGISTIC, kept.part, about))
    with pytest.raises(MisuseError, match="number of columns"):
        SavedModel.from_bytes(save_part(LOGISTIC, LinearPart(np.ones(3)), {"task": "t"} | {
            "encoder": encoder.as_dict()}))  # fmt: skip


def test_an_unknown_model_is_named_with_those_that_are_allowed() -> None:
    with pytest.raises(MisuseError, match="found model 'trees', allowed: logistic"):
        model_named("trees")


class Toy(Logistic):
    """A model that nobody has written yet."""

    name = "toy"
    words = "a toy"


def test_a_new_model_is_its_file_a_line_and_a_central_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Job files, contracts and comparisons take it from `MODELS`; its solver is the third file.

    The solver says in `LINKS` what it fits.
    """
    text = JOB.replace("TASK", 'model = "toy"')
    allowed = "logistic or linear or poisson or trees or scorecard allowed"
    with pytest.raises(JobError, match=f"'toy' found, {allowed}"):
        Job.load(text)
    monkeypatch.setitem(MODELS, "toy", Toy())
    monkeypatch.setitem(CENTRAL, "toy", CENTRAL["logistic"])
    monkeypatch.setattr("federated.regression.plan.LINKS", ("logistic", "toy"))
    contract = nameless_draft(Job.load(text))
    (terms,) = contract.train
    check_train(terms)
    assert terms.model == "toy"
    matrix, label = rows(MODELS["toy"])
    part = central(model_named(terms.model), matrix, label)
    assert load_part(save_part(MODELS["toy"], part, {}), MODELS)[0] is MODELS["toy"]
