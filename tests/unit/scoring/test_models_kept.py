"""Parts of models as files: what comes back, what is refused, who may read them."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.regression import told_bits
from federated.scoring.card import card, importance, numbers
from federated.scoring.fixed import levels_of, shift_of
from federated.scoring.model_file import FEATURE, LABEL, ModelPart
from federated.scoring.store import ModelStore
from federated.steps.kept_models import spread_of_part
from federated.tables.encoding import Encoder
from federated.trees import FeatureModel, LabelModel
from profiles.cli import app
from profiles.score_job import receivers_part
from psi.protocol import FedprofileError, InputError, MisuseError, Refused
from tests.unit.scoring.parts import ROWS, part, table, trees

PARTS = {
    "regression": part(),
    "partner's": part(side=FEATURE),
    "trees": trees(LABEL),
    "partner's trees": trees(FEATURE),
}


@pytest.mark.parametrize("which", PARTS)
def test_a_part_comes_back_as_it_was(which: str) -> None:
    one = PARTS[which]
    again = ModelPart.from_bytes(one.to_bytes())
    assert again.to_bytes() == one.to_bytes()
    assert again.digest == one.digest != replace(one, salt="00" * 32).digest
    assert one.id in repr(one)
    assert "0.25" not in repr(one)
    said = dict(card(again))
    assert {"model", "purpose", "quality", "told then", "limits", "hash"} <= set(said)
    assert importance(again)
    heads, rows = numbers(again)
    assert rows
    assert all(len(row) == len(heads) for row in rows)


@pytest.mark.parametrize("told", [table(), table(5)])
def test_trees_scores_can_be_made_anew_from_both_exports(told: pa.Table) -> None:
    """From the numbers alone, walked by what they say goes left."""
    label, feature = trees(LABEL), trees(FEATURE)
    _, rows = numbers(label)
    base = sum(float(row[-1]) for row in rows if row[2] == "intercept")
    nodes = {(int(row[0]), int(row[1])): row for row in rows if row[0]}
    assert isinstance(label.trees, LabelModel)
    assert isinstance(feature.trees, FeatureModel)
    _, theirs = numbers(feature)
    assert [text for _, text in theirs] == list(feature.trees.words())
    sides, own = feature.trees.sides(told), label.trees.binning.transform(told)
    layout, words = label.trees.binning.layout, label.trees.binning.words
    lefts = {words(*layout.split(n)): layout.split(n) for n in range(layout.candidates)}
    found = np.full(told.num_rows, base)
    for row in range(told.num_rows):
        for tree in (0, 1):
            place = 0
            while (at := nodes[tree, place])[2] != "leaf":
                if at[2] in lefts:
                    column, left = lefts[at[2]]
                    goes = left[own[column][row]]
                else:
                    goes = not sides[int(at[2].split()[-1]), row]
                place = 2 * place + (1 if goes else 2)
            found[row] += float(at[4])
    np.testing.assert_allclose(found, label.trees.scores(told, sides), atol=1e-6)


_COUNTED = {"told_bits": 0.72, "listed": 0, "listed_bits": 0}
_COUNTS = {"auc": 0.7, "auc_low": 0.6, "auc_high": 0.8, "held_out_rows": 90, "counts_noise": 2.0}


@pytest.mark.parametrize(
    ("card_says", "quality", "told"),
    [
        (
            _COUNTED | _COUNTS,
            "AUC 0.700 (0.600 to 0.800) on 90 rows held out, by counts of them with noise of 2",
            "0.72 bits of a row of bureau at most, and no score of any row: rows were counted",
        ),
        (
            {"told_bits": 2.4, "listed": 2000, "listed_bits": 0},
            "not measured here: no rows were held out",
            "and no row's score: rows were counted by it, and one bit a row said who is on a list "
            "of 2,000",
        ),
        (
            {"told_bits": 4.7, "listed": 200, "listed_bits": 3, "spoilt": True},
            "not measured here: the counts that the partner told cannot be those of these rows",
            "4.7 bits of a row of bureau at most, and no score of any row but those listed: rows",
        ),
        ({}, "see the training's report", "rows were counted by their score: see the training"),
    ],
)
def test_a_card_says_what_counted_rows_told_and_that_scoring_tells_more(
    card_says: dict[str, Any], quality: str, told: str
) -> None:
    """The last is a part that an earlier version kept."""
    said = dict(card(part(told=0, card={"rows": ROWS} | card_says)))
    assert said["quality"].endswith(quality)
    assert told in said["told then"]
    assert said["to score"].endswith(
        "score_bits = 5: tells 5.0 bits of each row, where the training told no score"
    )
    partner = dict(card(part(side=FEATURE, told=0, card={"rows": ROWS} | card_says)))
    assert partner["told then"] == said["told then"]
    assert "to score" not in partner
    number = {"rows": ROWS, "rmse": 1.5, "held_out_rows": 80}
    assert dict(card(part(model="linear", card=number)))["quality"] == (
        "off by 1.5 (RMSE) on 80 rows held out"
    )


def test_files_of_another_version_or_kind_are_refused() -> None:
    whole = json.loads(part().to_bytes())
    with pytest.raises(MisuseError, match="version 2 found, 1 is read here"):
        ModelPart.from_bytes(json.dumps(whole | {"version": 2}).encode())
    with pytest.raises(MisuseError, match="a model that this version has not"):
        ModelPart.from_bytes(json.dumps(whole | {"model": "forest"}).encode())
    short = whole | {"part": whole["part"] | {"coefficients": [0.5]}}
    for wrong in (
        b"[]",
        b"{",
        json.dumps(whole | {"made": "x"}).encode(),
        json.dumps(short).encode(),
    ):
        with pytest.raises(
            MisuseError, match=r"no file of a model's part|another number of columns"
        ):
            ModelPart.from_bytes(wrong)


def test_columns_of_another_type_or_none_are_refused_by_name() -> None:
    good = table()
    part().check_columns(good, "bank.t")
    text = good.set_column(0, "a", good.column("c"))
    with pytest.raises(Refused, match=r"bank\.t: column 'a' is a category"):
        part().check_columns(text, "bank.t")
    with pytest.raises(Refused, match="column 'c' is missing"):
        part().check_columns(good.drop_columns(["c"]), "bank.t")


def test_a_store_seals_keeps_the_first_and_finds_by_name_or_task(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models", secrets.token_bytes)
    one, later = part("ab" * 8), part("ac" * 8, made=1_800_000_000)
    for each in (one, later, replace(one, salt="11" * 32)):  # what contracts name stays
        store.write(each)
    assert store.read(one.id).digest == one.digest
    assert [each.id for each in store.parts()[0]] == [later.id, one.id]
    assert store.find("churn").id == store.find("ac").id == later.id
    assert store.others(later) == [f"{one.id} (logistic) trained 2023-11-14"]
    for named, why in (
        ("a", "2 models begin"),
        ("x", "no model or task"),
        ("", "no model or task"),
    ):
        with pytest.raises(MisuseError, match=why):
            store.find(named)
    for file in (tmp_path / "models").iterdir():
        assert file.stat().st_mode & 0o077 == 0
        assert b"coefficients" not in file.read_bytes()
    (tmp_path / "models" / one.id).write_bytes((tmp_path / "models" / later.id).read_bytes())
    with pytest.raises(InputError):
        store.read(one.id)
    assert store.parts()[1] == [one.id]
    store.remove(one.id)
    for gone in (one.id, "../../etc"):
        with pytest.raises(FedprofileError, match="is kept here"):
            store.read(gone)


def test_a_name_that_scores_nothing_is_told_what_is_kept_and_why_none_may_be(
    tmp_path: Path,
) -> None:
    """Of a training with an offset there is no folder at all."""
    folder = tmp_path / "models"

    def refused() -> MisuseError:
        with pytest.raises(MisuseError, match="no model 'gone'") as found:
            receivers_part(folder, "gone")
        assert "trainings with an offset keep no model" in found.value.hint
        return found.value

    assert refused().message.endswith(f"none is kept in {folder}")
    ModelStore(folder / "bureau").write(part(side=FEATURE))
    assert "a partner's part scores nothing by itself" in refused().hint
    ModelStore(folder / "bank").write(part())
    assert refused().message.endswith("which has those of churn")
    assert receivers_part(folder, "churn").side == LABEL


def test_the_commands_list_show_and_export(tmp_path: Path) -> None:
    ModelStore(tmp_path).write(part())
    run = CliRunner()
    nowhere = run.invoke(app, ["model", "ls"]).exception  # no --home, no --models
    assert isinstance(nowhere, InputError)
    assert "--models models/PARTY" in nowhere.hint
    listed = json.loads(
        run.invoke(app, ["model", "ls", "--json", "--models", str(tmp_path)]).output
    )
    assert [one["model"] for one in listed] == [part().id]
    shown = run.invoke(app, ["model", "show", "churn", "--models", str(tmp_path)]).output
    assert "intercept" in shown
    assert f'model = "{part().id}"' in shown
    for name in ("m.json", "m.csv"):
        out = tmp_path / name
        asked = ["model", "export", "churn", "--out", str(out), "--models", str(tmp_path)]
        assert run.invoke(app, asked).exit_code == 0
        assert out.stat().st_mode & 0o077 == 0
        assert "ef" * 32 not in out.read_text()  # the salt would open the hash
    assert json.loads((tmp_path / "m.json").read_text())["numbers"][0]["column"] == "a"


def test_a_card_says_how_trees_were_grown() -> None:
    """As the contract asked; who has the label knows how many trees there are."""
    asked = {
        "trees": 40, "depth": 2, "learning_rate": 0.2, "penalty": 1.0, "least_weight": 1.0,
        "least_rows": 20, "subsample": 1.0, "early_stop": 5,
        "rising": ["bank.a"], "falling": ["bureau.b"],
    }  # fmt: skip
    own, theirs = (
        replace(one, card={**one.card, "asked": asked}) for one in (trees(LABEL), trees(FEATURE))
    )
    said = dict(card(own))["grown"]
    assert said == (
        "2 of up to 40 trees of up to 2 levels; learning rate 0.2; penalty 1; least weight of a "
        "side 1; 20 rows on each side of a split at least; ended after 5 trees that bring nothing "
        "(early_stop); scores only rise with bank.a; scores only fall with bureau.b"
    )
    assert dict(card(theirs))["grown"] == said.removeprefix("2 of ")
    assert "grown" not in dict(card(trees(LABEL))), "a part of an earlier version"


def test_models_are_removed_by_name_all_or_none(tmp_path: Path) -> None:
    """One of another version goes too; a task with two models does not say which is meant."""
    store, run = ModelStore(tmp_path), CliRunner()
    ids = ["ab" * 8, "ac" * 8, "bb" * 8, "cc" * 8]
    for at, name in enumerate(ids):
        store.write(part(name, task="bought" if at == 3 else "churn"))
    (tmp_path / ids[2]).write_bytes(b"of another version")

    def rm(*named: str) -> Any:
        return run.invoke(app, ["model", "rm", *named, "--models", str(tmp_path)])

    for named, why in (
        ("a", "2 models begin"),
        ("churn", "2 models of 'churn'"),
        ("x", "no model"),
    ):
        refused = rm("bought", named)
        assert isinstance(refused.exception, MisuseError)
        assert why in str(refused.exception)
        if named == "churn":  # all are named: the choice is whoever asks'
            trained = "trained 2023-11-14"
            assert refused.exception.hint == f"{ids[0]} {trained}, {ids[1]} {trained}"
    assert "would be removed" in rm("bought", "--dry-run").output
    assert store.ids() == ids
    done = rm("bought", "bb", "ab", ids[0])
    assert done.output.splitlines() == [
        f"model {ids[3]} of 'bought' with bureau, trained 2023-11-14: removed",
        f"model {ids[2]}, which cannot be read here: removed",
        f"model {ids[0]} of 'churn' with bureau, trained 2023-11-14: removed",
    ]
    assert store.ids() == [ids[1]]
    assert rm("churn").exit_code == 0, "the last one of its task"


def test_a_training_on_rows_that_are_alike_makes_no_fine_steps() -> None:
    """The receiver chooses what is aligned, and later scores others: they have 2.3 bits more."""
    whole = table(rows=2000)
    b = whole["b"].to_numpy()
    alike = whole.filter(pa.array(np.abs(b - 0.5) < 0.2))
    given = part(side=FEATURE)
    assert isinstance(given.encoder, Encoder)
    assert given.linear is not None
    spread = spread_of_part(given.encoder, given.linear, alike, whole)
    every = spread_of_part(given.encoder, given.linear, whole, whole)
    assert spread.deviation == every.deviation
    assert spread_of_part(given.encoder, given.linear, alike, alike).deviation < every.deviation
    levels = levels_of(given.fixed(whole), shift_of(spread.deviation, 5), 0.0, 9.0)
    counts = np.unique(levels, return_counts=True)[1] / len(levels)
    assert -(counts * np.log2(counts)).sum() < told_bits(5)
