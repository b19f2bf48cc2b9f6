"""A draft with open numbers, and a final contract that fills them in as its proposer likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.contract.kinds.train_horizontal import HORIZONTAL_STEPS
from federated.contract.summary import in_words
from federated.contract.terms import Contract, suites_for
from psi.protocol import PeerError
from tests.attacks.world import NEW_POLICY, World, keep

COLUMNS, ROWS = 24, 240
HEAD = """
[job]
name = "churn"
purpose = "retention"
key_bits = 3072
"""
FEATURES = [f"b{j}" for j in range(COLUMNS)]
PARTY = """
[[party]]
name = "{0}"
table = "{0}.people"
features = {1}
"""
VERTICAL = f"""{HEAD}
{PARTY.format("bank", '["a"]')}
keys = [["id"]]
{PARTY.format("bureau", FEATURES).replace("'", '"')}
keys = [["id"]]

[align]
minimum_overlap = 100

[train]
task = "churn"
label = "bank.left"
folds = 0
evaluations = 6
"""
HORIZONTAL = f"""{HEAD}
{PARTY.format("bank", '["a"]')}
{PARTY.format("bureau", '["a"]')}

[train]
task = "churn"
split = "horizontal"
label = "left"
folds = 0
"""


def tables() -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(3)
    ids, own = [f"id{i:04d}" for i in range(ROWS)], rng.normal(size=ROWS)
    left = rng.integers(0, 2, ROWS)
    bureau = {"id": ids, "a": own, "left": left}
    bureau |= {name: rng.normal(size=ROWS) for name in FEATURES}
    return pa.table({"id": ids, "a": own, "left": left}), pa.table(bureau)


def world(folder: Path) -> World:
    allowed = {"id": "never", "a": "feature", "left": "label"} | dict.fromkeys(FEATURES, "feature")
    # the book says yes to all: what an officer is asked is looked at here
    policy = NEW_POLICY.replace("row_share = 0.4", "row_share = 1.0")
    policy = policy.replace("row_left = 7", "row_left = 0")
    return World(folder, tables()[1], allowed, policy=policy)


def trained(**changes: object) -> Callable[[Contract], Contract]:
    return lambda made: replace(made, train=(replace(made.train[0], **changes),))  # type: ignore[arg-type]


def by_vole(made: Contract) -> Contract:
    """What the draft allows for large sets, at these small ones."""
    other = [terms for terms in ("vole", "vole-malicious") if terms != made.align[0].protocol]
    align = (replace(made.align[0], protocol=other[-1], alternative=""),)
    return replace(made, align=align, suites=suites_for(align, (), made.train))


@pytest.mark.parametrize(
    ("job", "final"),
    [
        (VERTICAL, trained(evaluations=64)),
        (VERTICAL, trained(noise="0.001")),
        (VERTICAL, trained(score_bits=12)),
        (VERTICAL, trained(grid_bits=6)),
        (VERTICAL, by_vole),
        (VERTICAL, lambda made: replace(made, suites=replace(made.suites, seal="none"))),
        (HORIZONTAL, trained(steps=20)),
        (HORIZONTAL, trained(steps=1)),
    ],
)
def test_a_final_contract_is_what_its_draft_comes_to(
    tmp_path: Path, job: str, final: Callable[[Contract], Contract]
) -> None:
    here = world(tmp_path)
    found = here.run(job, tables()[0], final=final)
    assert found.outcome is None
    assert len(here.officer.read) == 1
    assert isinstance(found.errors["bureau"], PeerError)


def facts(party: str, **told: object) -> Callable[[Contract], Contract]:
    return lambda made: made.with_party(replace(made.party(party), **told))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (trained(evaluations=6, grid_bits=8, column_bits=8, noise="1"), "numbers of a training"),
        (trained(column_bits=8), "numbers of a training"),
        (facts("bureau", design_columns=(1000,)), "another party's table"),
        (facts("bureau", rows=10**6), "another party's table"),
        (facts("bureau", protocols=("vole",)), "another party's table"),
    ],
)
def test_a_draft_does_not_say_what_is_only_derived(
    tmp_path: Path, change: Callable[[Contract], Contract], said: str
) -> None:
    """An officer would read numbers that the final contract does not hold to."""
    here = world(tmp_path)
    found = here.run(VERTICAL, tables()[0], change)
    assert found.outcome is None
    assert here.officer.read == []
    assert said in str(found.errors["bureau"])


def test_a_draft_that_leaves_a_disclosure_out_is_read_by_no_officer(tmp_path: Path) -> None:
    here = world(tmp_path)

    def silent(made: Contract) -> Contract:
        return replace(made, disclosures=made.disclosures[:1])

    found = here.run(VERTICAL, tables()[0], silent, listed=False)
    assert found.outcome is None
    assert here.officer.read == []
    assert "list of disclosures" in str(found.errors["bureau"])


def test_the_officer_reads_the_most_that_open_numbers_come_to(tmp_path: Path) -> None:
    for job, most in (
        (VERTICAL, "5.0 bits a record at most"),
        (HORIZONTAL, f"{HORIZONTAL_STEPS} steps"),
    ):
        place = tmp_path / str(len(most))
        place.mkdir()
        here = world(place)
        here.run(job, tables()[0], keep, final=trained(folds=20))
        (asked,) = here.officer.read
        assert any(most in line for line in in_words(asked))
        assert any(most in entry.learns for entry in asked.disclosures)
