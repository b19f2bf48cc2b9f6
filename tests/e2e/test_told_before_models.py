"""Slips in a scoring, in trees that tell nothing and in keys: told before anything is disclosed."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated.contract.kinds import train_hidden
from federated.hidden_trees import party as hidden_party
from federated.scoring.model_file import is_id
from federated.scoring.store import ModelStore
from profiles.job import Job
from profiles.run import run_job
from psi.protocol import FedprofileError
from tests.e2e.slips import BANK, BUREAU, ODD, ROWS, TELECOM, Tables, asked, world
from tests.e2e.test_told_before import begun, disclosures, foretold, played, source

__all__ = ["begun"]

TREES = {"model": "trees", "trees": 2, "depth": 2}
KINDS: dict[str, dict[str, Any]] = {
    "regression": {"score_bits": 5},
    "trees": TREES | {"row_bits": 4},
    "hidden trees": TREES | {"tells": "nothing", "score_bits": 5},
}
NUMBERS = [f"{i:,}.5" for i in range(3000, 3000 + ROWS)]


def fewest(patch: pytest.MonkeyPatch) -> None:
    """Trees that tell nothing of as few rows as there are here."""
    for module in (train_hidden, hidden_party):
        patch.setattr(module, "FEWEST_ROWS", 60)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each kind, by its name, at both parties."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        fewest(patch)
        for kind, train in KINDS.items():
            job = asked(train=train | {"task": kind})
            made = folder / kind
            run_job(Job.load(job), source(world()), made / "out", models=made / "models")
    return folder


def scoring(folder: Path, kind: str, **changes: Any) -> dict[str, Any]:
    """A job that scores by the model of a kind."""
    part = ModelStore(folder / kind / "models" / "bank").find(kind)
    said: dict[str, Any] = {"task": kind, "model": part.id}
    said |= {
        "regression": {}, "trees": {"row_bits": max(1, part.told)},
        "hidden trees": {"trees": 2, "depth": 2},
    }[kind]  # fmt: skip
    job = asked()
    del job["train"]
    return job | {"score": [said | changes.pop("score", {})]} | changes


Change = Callable[[Tables], dict[str, Any]]


def held(party: str, name: str, values: Any) -> Change:
    """Another column in a table."""
    return lambda tables: (tables[party].update({name: values}), {})[1]


def without(party: str, name: str) -> Change:
    return lambda tables: (tables[party].pop(name), {})[1]


ODD_FEATURES: dict[str, tuple[str, Change]] = {
    f"{kind} as {name} of {party}": (f"'{name}'", held(party, name, values))
    for party, name in (("bank", "z"), ("bureau", "a"))
    for kind, values in ODD.items() if kind != "nothing"
}  # fmt: skip
SCORINGS: dict[str, tuple[str, Change]] = {
    "own column gone": ("'z'", without("bank", "z")),
    "partner's column gone": ("'a'", without("bureau", "a")),
    "categories now": ("'z'", held("bank", "z", ["x", "y"] * (ROWS // 2))),
    "partner's categories now": ("'a'", held("bureau", "a", ["x", "y"] * (ROWS // 2))),
    "text that is mostly numbers": ("'z'.*spell", held("bank", "z", NUMBERS)),
    "infinite": ("'z'.*infinite", held("bank", "z", [np.inf] * ROWS)),
    "partner's infinite": ("'a'.*infinite", held("bureau", "a", [-np.inf] * ROWS)),
    "another model": ("keeps no part", lambda tables: {"score": {"model": "0" * 16}}),
    "another task": ("is of '", lambda tables: {"score": {"task": "other"}}),
    "other partner": ("is of '", lambda tables: {"party": [BANK, TELECOM]}),
    "a partner more": ("is of '|2 partners", lambda tables: {"party": [BANK, BUREAU, TELECOM]}),
    "a column more": ("'m' is asked", lambda tables: {
        "party": [BANK, BUREAU | {"features": ["a", "b", "m"]}]
    }),
    "a column fewer": ("'b' is not asked", lambda tables: {
        "party": [BANK, BUREAU | {"features": ["a"]}]
    }),
    "a receiver that was the partner": ("is of '|with", lambda tables: {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048, "receiver": "bureau"}
    }),
    "nobody's rows are known": ("reveal", lambda tables: {
        "align": {"reveal": "cardinality", "minimum_overlap": 1}
    }),
}  # fmt: skip
OF_KIND: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sides without row_bits": ("trees", "row_bits", {"score_bits": 5, "row_bits": None}),
    "row_bits of a regression": ("regression", "score_bits", {"row_bits": 3}),
    "a shape of a regression": ("regression", "no trees", {"trees": 2, "depth": 2}),
    "other trees": ("hidden trees", "of 2 trees", {"trees": 3, "depth": 2}),
    "another depth": ("hidden trees", "of 2 trees", {"trees": 2, "depth": 3}),
    "no shape": ("hidden trees", "of 2 trees", {"trees": None, "depth": None}),
}


def refused(
    folder: Path, job: dict[str, Any], tables: Tables, said: str, begun: set[str], **more: Any
) -> None:
    with pytest.raises(FedprofileError, match=said) as caught:
        played(folder, job, tables, **more)
    assert caught.value.exit_code in (3, 4, 6)
    assert begun <= {"contract"}
    assert not disclosures(folder)


@pytest.mark.parametrize(
    ("kind", "name"),
    # what types a column may have is one check for all kinds of models
    [*itertools.product(KINDS, SCORINGS), *zip(itertools.cycle(KINDS), ODD_FEATURES)],
)
def test_a_slip_in_a_scoring(
    name: str, kind: str, models: Path, begun: set[str], tmp_path: Path
) -> None:
    said, change = (SCORINGS | ODD_FEATURES)[name]
    tables = world()
    job = scoring(models, kind, **change(tables))
    refused(tmp_path, job, tables, said, begun, models=models / kind / "models")


@pytest.mark.parametrize("name", OF_KIND)
def test_a_slip_in_what_a_scoring_says_of_its_model(
    name: str, models: Path, begun: set[str], tmp_path: Path
) -> None:
    kind, said, score = OF_KIND[name]
    job = scoring(models, kind)
    found = job["score"][0] | score
    job["score"] = [{key: value for key, value in found.items() if value is not None}]
    refused(tmp_path, job, world(), said, begun, models=models / kind / "models")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("party", ["bank", "bureau"])
def test_a_part_that_is_gone_or_damaged(
    party: str, kind: str, models: Path, begun: set[str], tmp_path: Path
) -> None:
    job, kept = scoring(models, kind), tmp_path / "models"
    shutil.copytree(models / kind / "models", kept)
    (file,) = (file for file in (kept / party).iterdir() if is_id(file.name))
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    refused(tmp_path, job, world(), "model", begun, models=kept)
    file.unlink()
    refused(tmp_path, job, world(), "keeps no part", begun, models=kept)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_slip_a_scoring_begins_and_discloses(
    kind: str, models: Path, begun: set[str], tmp_path: Path
) -> None:
    played(tmp_path, scoring(models, kind), world(), models=models / kind / "models")
    assert f"score/{kind}" in begun
    assert disclosures(tmp_path)


HIDDEN = KINDS["hidden trees"]
TRAININGS: dict[str, tuple[str, Change]] = {
    "no column of its own": ("receiver's", lambda tables: {"party": [
        BANK | {"features": []}, BUREAU
    ]}),
    "constants of its own": ("no usable column of bank", held("bank", "z", [1.0] * ROWS)),
    "nothing in its column": ("no usable column of bank", held("bank", "z", pa.nulls(ROWS))),
    "partner's constants": ("no usable column of bureau", lambda tables: (
        tables["bureau"].update(a=[1] * ROWS, b=[1] * ROWS), {}
    )[1]),
    "three classes": ("found 3 classes", held("bank", "y", [0, 1, 2] * 80)),
    "one class": ("found 1 classes", held("bank", "y", [1] * ROWS)),
    "few of a class": ("rarer class", held("bank", "y", [1] * 30 + [0] * 210)),
    "two partners": ("partner", lambda tables: {"party": [BANK, BUREAU, TELECOM]}),
    "pairs": ("join", lambda tables: {"align": {"duplicates": "join"}}),
    "row bits": ("row_bits", lambda tables: {"train": HIDDEN | {"row_bits": 3}}),
    "an early end": ("early_stop", lambda tables: {"train": HIDDEN | {"early_stop": 3}}),
    "no score": ("score_bits", lambda tables: {"train": HIDDEN | {"score_bits": 0}}),
    "a rising column": ("rising", lambda tables: {"train": HIDDEN | {"rising": ["bank.z"]}}),
}  # fmt: skip
TRAININGS |= ODD_FEATURES


@pytest.mark.parametrize("name", TRAININGS)
def test_a_slip_in_trees_that_tell_nothing(
    name: str, begun: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewest(monkeypatch)
    said, change = TRAININGS[name]
    tables = world()
    job = asked(**({"train": HIDDEN} | change(tables)))
    refused(tmp_path, job, tables, said, begun)
    assert said.strip("'") in " ".join(foretold(job, tables))


@pytest.mark.parametrize("party", ["bank", "bureau"])
def test_too_few_rows_for_trees_that_tell_nothing(
    party: str, begun: set[str], tmp_path: Path
) -> None:
    job = asked(train=HIDDEN)
    refused(tmp_path, job, world(), "need 16,384", begun)
    assert ["need 16,384" in said for said in foretold(job, world())] == [True, True]


KEYS: dict[str, tuple[str, dict[str, Any]]] = {
    "kinds of other width": ("kinds", {"kinds": [["text", "text"]]}),
    "kinds of more levels": ("kinds", {"kinds": [["text"], ["text"]]}),
    "a smaller largest set than the overlap": ("largest_set|minimum_overlap", {
        "largest_set": 10, "minimum_overlap": 20
    }),
    "tags of a count": ("keep_tags", {"reveal": "cardinality", "keep_tags_days": 3}),
    "fewer items under kept tags than rows": ("240 different keys, 100 allowed by keep_tags_i", {
        "keep_tags_days": 3, "keep_tags_items": 100
    }),
    "kept tags without ecdh": ("keep_tags|protocol", {"protocol": "vole", "keep_tags_days": 3}),
    "a count by vole": ("reveal|protocol", {"protocol": "vole", "reveal": "cardinality"}),
    "a minimum that vole cannot check": ("minimum_checked_by|protocol", {
        "protocol": "vole-malicious", "minimum_checked_by": "partner"
    }),
    "an unknown protocol": ("protocol", {"protocol": "rsa"}),
    "an unknown reveal": ("reveal", {"reveal": "all"}),
    "rows that only the receiver knows": ("reveal", {"reveal": "receiver"}),
}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_a_slip_in_how_rows_are_matched(name: str, begun: set[str], tmp_path: Path) -> None:
    said, align = KEYS[name]
    refused(tmp_path, asked(align=align), world(), said, begun)
