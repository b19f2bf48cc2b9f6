"""The `[[train]]` sections of a job file."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from federated.binning import HIGH
from federated.contract.kinds.scorecard import MOST_POINTS
from federated.contract.kinds.train import (
    AUTO,
    LONGEST_TASK,
    MOST_CLASS_WEIGHT,
    SCORECARD,
    SPLITS,
    TREES,
    is_class_weight,
    is_day,
    noise_text,
)
from federated.contract.kinds.train_boosted import MOST_GROWN
from federated.contract.kinds.train_vertical import FINEST_SCORES
from federated.contract.parts import FeatureTerms
from federated.hidden_trees.plan import MOST_SCORE_BITS
from federated.models import LINEAR, LOGISTIC, MODELS
from federated.regression import told_bits
from federated.regression.plan import MOST_EVALUATIONS
from federated.toml_sections import TomlSection
from federated.trees.plan import MOST_DEPTH, MOST_ROWS
from profiles.job_sections import with_views
from profiles.label_section import PREFIX, LabelSpec
from profiles.specs import PartySpec, TrainSpec

__all__ = ["SCORE_BITS", "features_of", "read_train"]

SCORE_BITS = 5
"""How finely a score is told where a job does not say: AUC off by .0001 (docs/PARAMETERS.md)."""
ROW_BITS = 5
"""Levels of trees that tell a bit of a row where a job does not say: as much as a score tells."""
TELLS = ("sides", "nothing")
"""What trees tell of a row besides: its sides of the partner's splits, or nothing."""
_OLD = {"steps": 20, "fold_steps": 10}
"""Keys of trainings of columns before private sums, to their most: they change nothing, so that a
job file written then keeps running."""

_REGRESSIONS = tuple(MODELS)
_MODELS_OF = {
    **dict.fromkeys(("trees", "depth", "learning_rate", "penalty", "least_weight"), (TREES,)),
    **dict.fromkeys(
        ("least_rows", "subsample", "early_stop", "rising", "falling", "tells"), (TREES,)
    ),
    **dict.fromkeys(("points", "odds", "double", "high"), (SCORECARD,)),
    **dict.fromkeys(("evaluations", "fold_evaluations"), (*_REGRESSIONS, SCORECARD)),
    "score_bits": (*_REGRESSIONS, SCORECARD, TREES),
    "noise": (*_REGRESSIONS, SCORECARD),
    "weight": tuple(name for name in _REGRESSIONS if name != LINEAR.name),
    "offset": _REGRESSIONS,
    "class_weight": (LOGISTIC.name,),
}
"""Keys that not all models have, by those that do."""


def read_train(
    section: TomlSection,
    parties: tuple[PartySpec, ...],
    receiver: str,
    entity: str,
    made: LabelSpec | None = None,
) -> TrainSpec:
    names = [party.name for party in parties]
    task = section.text("task")
    if len(task.encode()) > LONGEST_TASK:
        raise section.fail("task", task, f"at most {LONGEST_TASK} bytes of UTF-8")
    if "/" in task or not task:
        raise section.fail("task", task, "a name without a slash")
    model = section.text("model", LOGISTIC.name, (*MODELS, TREES, SCORECARD))
    split = section.text("split", "vertical", SPLITS)
    if split == "horizontal" and model != LOGISTIC.name:
        hint = (
            f"{MODELS[model].words if model in MODELS else model}: for columns at different parties"
        )
        raise section.fail("model", model, f"{LOGISTIC.name} where rows are split", hint)
    numbers = model in MODELS and not MODELS[model].classes
    if numbers and section.has("positive"):
        hint = f"{MODELS[model].words} predicts a number, not a class"
        raise section.fail("positive", section.text("positive"), "no key", hint)
    label = section.text("label")
    party, _, column = label.partition(".")
    if label.startswith(PREFIX):
        if made is None or label != PREFIX + made.task or split == "horizontal":
            if made is None:
                hint = (
                    f"write a [label] with task = {label.removeprefix(PREFIX)!r}, or name a column"
                )
                raise section.fail("label", label, f'"{receiver}.COLUMN" without a [label]', hint)
            hint = "[label] says how it is made"
            raise section.fail("label", label, f'"{PREFIX}{made.task}"', hint)
        party, column = receiver, made.column
    if split == "horizontal" and party not in names:
        party, column = "", label
    if split == "vertical" and party != receiver:
        raise section.fail("label", label, f'"{receiver}.COLUMN"', "the receiver holds the label")
    if split == "horizontal" and party:
        raise section.fail("label", label, '"COLUMN"', "every party has its own label column")
    test = section.text("test", "") if split == "horizontal" else ""
    if test and test.split(".", 1)[0] not in names:
        raise section.fail("test", test, '"PARTY.TABLE"')
    folds = section.integer("folds", 5, 0, 20)
    if folds == 0 and model in (TREES, SCORECARD):
        hint = "one of these parts is held out: rows that a model was made of measure nothing"
        plural = "trees" if model == TREES else "scorecards"
        raise section.fail("folds", "0", f"2 to 20 for {plural}", hint)
    if folds == 1:
        raise section.fail("folds", "1", "0 (no cross-validation) or 2 to 20")
    features = features_of(section, parties, entity)
    if model == TREES:
        solver = _boosted(section, parties, entity)
        if solver["early_stop"] and folds < 3:
            hint = "one part is held out to measure trees, another to end them"
            raise section.fail("folds", str(folds), "3 to 20 with early_stop", hint)
    else:
        rows = split == "horizontal"
        solver = _rows_split(section) if rows else _columns_split(section, receiver, model)
        solver |= _card(section, solver) if model == SCORECARD else {}
    time, validate_from = _validation(section, receiver) if split == "vertical" else ("", "")
    spec = TrainSpec(
        task=task,
        model=model,
        split=split,
        label_party=party,
        label=column,
        positive=section.text("positive", ""),
        folds=folds,
        test_table=test,
        features=features,
        time=time,
        validate_from=validate_from,
        **solver,
    )
    for key in (key for key in section.rest() if model not in _MODELS_OF.get(key, (model,))):
        models = " or ".join(f'"{name}"' for name in _MODELS_OF[key])
        raise section.fail(
            key, "a value", f'no key with model = "{model}"', f"model = {models} has it"
        )
    section.done()
    return spec


def _validation(section: TomlSection, receiver: str) -> tuple[str, str]:
    """The receiver's column of days, and the first day that is not trained on; "" for none."""
    if not section.has("time") and not section.has("validate_from"):
        return "", ""
    time, day = section.text("time"), section.text("validate_from")
    party, _, column = time.partition(".")
    if party != receiver or not column:
        raise section.fail("time", time, f'"{receiver}.COLUMN"', "the receiver holds the label")
    if not is_day(day):
        raise section.fail("validate_from", day, 'a day in quotes: "2025-10-01"')
    return column, day


def _columns_split(section: TomlSection, receiver: str, model: str) -> dict[str, Any]:
    """What a regression by private sums may be told."""
    for key in (key for key in section.rest() if key in _OLD):
        section.integer(key, 0, 0, _OLD[key])
    score_bits = section.integer("score_bits", SCORE_BITS, 0, FINEST_SCORES)
    if not score_bits and model == SCORECARD:
        hint = 'points are made of scores: model = "logistic" without them'
        raise section.fail("score_bits", "0", f"1 to {FINEST_SCORES} for {model}", hint)
    most = section.integer("row_bits", 8, 1, 1000) if section.has("row_bits") else 1000
    if score_bits and told_bits(score_bits) > most:
        needed = f"{told_bits(score_bits):.1f} or more with score_bits = {score_bits}"
        raise section.fail("row_bits", str(most), needed, "lower score_bits")
    noise = AUTO
    if section.has("noise"):
        noise = noise_text(round(section.number("noise", None, 0, 100), 3))
    return {
        **_row_weights(section, receiver, model),
        "evaluations": section.integer("evaluations", 0, 0, MOST_EVALUATIONS),
        "fold_evaluations": section.integer("fold_evaluations", 0, 0, MOST_EVALUATIONS),
        "noise": noise,
        "score_bits": score_bits,
    }


def _row_weights(section: TomlSection, receiver: str, model: str) -> dict[str, str]:
    """Columns by which rows count and scores are moved, and how much a positive row counts."""
    found = {}
    keys = () if model == SCORECARD else ("weight", "offset")
    for key in (key for key in keys if section.has(key)):
        text = section.text(key)
        party, _, column = text.partition(".")
        if party != receiver or not column:
            hint = "it stays with the label: nobody else sees it"
            raise section.fail(key, text, f'"{receiver}.COLUMN"', hint)
        if key == "weight" and model == LINEAR.name:
            hint = "scores of a linear model have no lookup, in which a weight would be hidden"
            raise section.fail(key, text, f"no key with model = {model!r}", hint)
        found[key] = column
    if model == LOGISTIC.name and section.has("class_weight"):
        given = section.scalars("class_weight")
        one = given[0] if len(given) == 1 else ""
        text = noise_text(one) if isinstance(one, float) else str(one)
        if not is_class_weight(text):
            allowed = f'"balanced", or how much a positive row counts: to {MOST_CLASS_WEIGHT:g}'
            raise section.fail("class_weight", text, allowed)
        found["class_weight"] = text
    return found


def _boosted(section: TomlSection, parties: tuple[PartySpec, ...], entity: str) -> dict[str, Any]:
    """How trees are grown, and on how many levels they may tell a bit of a row, or its score."""
    hidden = section.text("tells", TELLS[0], TELLS) == "nothing"
    if not hidden and section.has("score_bits"):
        hint = 'tells = "nothing" tells scores, and no side of a split'
        raise section.fail("score_bits", "a value", "no key where trees tell sides", hint)
    for key in _OF_SIDES if hidden else ():
        if section.has(key):
            raise section.fail(key, "a value", 'no key with tells = "nothing"', _OF_SIDES[key])
    told = {
        "row_bits": 0,
        "score_bits": section.integer("score_bits", SCORE_BITS, 1, MOST_SCORE_BITS),
    }
    sides = {"row_bits": section.integer("row_bits", ROW_BITS, 1, 1000), "score_bits": 0}
    return {
        **(told if hidden else sides),
        "trees": section.integer("trees", 20, 1, MOST_GROWN),
        "depth": section.integer("depth", 4, 1, MOST_DEPTH),
        "learning_rate": round(1000 * section.number("learning_rate", 0.3, 0.001, 1)),
        "penalty": round(1000 * section.number("penalty", 1.0, 0.001, 1000)),
        "least_weight": round(1000 * section.number("least_weight", 1.0, 0, 100_000)),
        "least_rows": section.integer("least_rows", 0, 0, MOST_ROWS),
        "subsample": round(1000 * section.number("subsample", 1.0, 0.05, 1)),
        "early_stop": section.integer("early_stop", 0, 0, MOST_GROWN),
        "rising": features_of(section, parties, entity, "rising"),
        "falling": features_of(section, parties, entity, "falling"),
    }


_OF_SIDES = {
    "row_bits": "no side of a split is told: score_bits says how finely scores are",
    "least_rows": "no count of a node's records is added up: least_weight says how small a side is",
    "early_stop": "nobody sees a score before all trees are grown: say how many trees",
    "rising": "whose split a node has would tell of it: leave it out, or let trees tell sides",
    "falling": "whose split a node has would tell of it: leave it out, or let trees tell sides",
}
"""Keys that trees have which tell sides, and why others have not."""


def _card(section: TomlSection, solver: dict[str, Any]) -> dict[str, Any]:
    """How a scorecard's points are made; it has no folds to fit in."""
    if found := solver["fold_evaluations"]:
        allowed = "0 for a scorecard, of which one part is held out"
        raise section.fail("fold_evaluations", str(found), allowed)
    return {
        "points": section.integer("points", 600, 1, MOST_POINTS),
        "odds": section.integer("odds", 50, 1, MOST_POINTS),
        "double": section.integer("double", 20, 1, MOST_POINTS),
        "high": section.text("high", HIGH[0], HIGH),
    }


def _rows_split(section: TomlSection) -> dict[str, Any]:
    """What a training over all parties' rows may be told."""
    return {
        "steps": section.integer("steps", 0, 0, 20),
        "score_bits": 0,
        "row_bits": section.integer("row_bits", 1, 1, 1000),
    }


def features_of(
    section: TomlSection, parties: tuple[PartySpec, ...], entity: str, key: str = "features"
) -> tuple[FeatureTerms, ...]:
    """Those of the parties' features that a key names: all that a training takes, or some of them.

    Empty where it says nothing.
    """
    if not section.has(key):
        return ()
    brought = {party.name: party.features for party in parties}
    chosen: dict[str, list[str]] = {name: [] for name in brought}
    wanted = section.texts(key)
    for name in brought:
        wanted = with_views(section, wanted, entity, f"{name}.")
    if not wanted:
        without = "all of them" if key == "features" else "none"
        raise section.fail(key, [], "one column or more", f"without it: {without}")
    for feature in wanted:
        name, _, column = feature.partition(".")
        if column not in brought.get(name, ()):
            known = [
                f"{party}.{column}" for party, columns in brought.items() for column in columns
            ]
            close = get_close_matches(feature, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else ""
            allowed = 'columns of the parties\' features, as "PARTY.COLUMN"'
            raise section.fail(key, feature, allowed, hint)
        chosen[name].append(column)
    return tuple(FeatureTerms(name, tuple(columns)) for name, columns in chosen.items() if columns)
