"""Jobs that ask for boosted trees, whole and in memory: what is measured, told and refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from federated.contract.completion import complete
from federated.contract.disclosures import disclosures
from federated.contract.parts import FeatureTerms
from federated.contract.release import planned
from federated.contract.rows import FLOOR
from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.evaluation import auc
from federated.steps.byte_limits import step_limit
from federated.steps.outcome import Grown
from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.plan_text import describe
from profiles.preconditions import in_the_way, in_the_way_together
from profiles.proposal import nameless_draft
from profiles.run import JobResult, run_job
from profiles.trees_outputs import without_split
from psi.protocol import FedprofileError, JobError, PeerError, Refused
from tests.e2e.ledgers import assert_agree
from tests.e2e.trees_world import BUREAU, TELECOM, tables_of, trees_job

ROWS, SHARED, BITS = 700, 640, 4


def job(*partners: dict[str, Any], **given: Any) -> dict[str, Any]:
    return trees_job(*partners, **{"trees": 3, "row_bits": BITS} | given)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    out = tmp_path_factory.mktemp("trees") / "out"
    return out, run_job(Job.load(job()), tables_of(ROWS, SHARED), out, baseline=True)


def test_what_is_measured_is_measured_on_rows_that_were_held_out(
    done: tuple[Path, JobResult],
) -> None:
    out, result = done
    metrics = json.loads((out / "metrics.json").read_text())
    model, ended = metrics["models"]["churn"], metrics["run"]["trainings"]["churn"]
    held = pq.read_table(out / "held_out.parquet").to_pandas()
    assert len(held) == ended["held_out_rows"] < model["rows"]
    # one of two parts, dealt by chance: within 6 standard deviations of a half
    assert abs(len(held) - model["rows"] / 2) < 6 * np.sqrt(model["rows"]) / 2
    again = auc(held["label"].to_numpy(np.int64), held["joined"].to_numpy())
    assert again == pytest.approx(model["scores"]["joined"]["auc"], abs=1e-4)
    assert f"held out: {len(held):,} rows" in (out / "report.html").read_text()
    trained = result.federation.outcome.trained[0]
    assert np.isnan(trained.fold_scores[trained.folds < 0]).all()
    # the same trees grown on the joined columns in one process, whose rounding of gains is finer
    (check,) = metrics["run"]["plaintext_baseline"]
    assert abs(check["fold_auc_difference"]) < 0.1
    assert model["scores"]["joined"]["auc"] > model["scores"]["bank alone"]["auc"]


def test_bits_that_were_told_are_counted_and_shown(done: tuple[Path, JobResult]) -> None:
    assert_agree(done[0])
    out, result = done
    metrics = json.loads((out / "metrics.json").read_text())
    ended = metrics["run"]["trainings"]["churn"]
    assert 0 < ended["row_bits_told"] <= ended["row_bits"] == BITS
    assert metrics["leakage"]["bureau"]["bits_of_a_row"] == BITS
    assert ended["partner_splits"] > 0
    assert set(ended["gain"]) == {"z", "c", "partner data"}
    won = result.federation.outcomes["bureau"].won["churn"]
    assert len(won.splits) == ended["partner_splits"]
    trained = result.federation.outcome.trained[0]
    trained.saved().fits(won)  # type: ignore[union-attr]
    reasons = pq.read_table(out / "profiles.parquet").column("reasons_churn").to_pylist()
    said = {reason.rsplit(" (", 1)[0] for one in reasons for reason in one}
    assert "partner bureau" in said
    assert any(one.startswith(("z up to", "z over")) for one in said)
    assert {(p.party) for p in result.outputs.report.models[0].importance} == {"bank", "bureau"}


def test_the_part_held_out_has_an_interval_over_its_rows(done: tuple[Path, JobResult]) -> None:
    (scores,) = (model["scores"] for model in done[1].metrics["models"].values())
    for one in scores.values():
        assert one["interval"]["low"] < one["auc"] < one["interval"]["high"]


def test_reasons_add_up_to_the_score(done: tuple[Path, JobResult]) -> None:
    trained: Any = done[1].federation.outcome.trained[0]
    forest = trained.trees.forest
    roots = sum(float(tree.value[0]) for tree in forest.trees)
    margin = np.log(trained.scores / (1 - trained.scores))
    assert np.allclose(trained.moved.sum(axis=1) + forest.base + roots, margin)


def test_the_contract_says_it_to_everybody(done: tuple[Path, JobResult]) -> None:
    contract: Contract = done[1].federation.contract
    said = "\n".join(in_words(contract))
    assert "grow 'churn' by private sums: up to 3 boosted trees of 2 levels" in said
    told = {d.to: d.learns for d in contract.disclosures if d.step == "train churn"}
    assert f"in {BITS} bits at most, on which side of bureau's split it lies" in told["bank"]
    assert "which of its own splits the trees have" in told["bureau"]
    (release,) = [r for r in planned(contract, "bureau") if r.step == "train/churn"]
    assert (release.bits, release.vectors, release.columns) == (BITS, 0, ("a", "b"))
    assert contract.suites.trees
    assert not contract.suites.train


def test_messages_are_within_half_of_what_a_step_may_bring(done: tuple[Path, JobResult]) -> None:
    federation = done[1].federation
    limit = step_limit(federation.contract, "train/churn") - FLOOR
    for records in federation.records.values():
        (found,) = [one for one in records if one.step == "train/churn"]
        assert 0 < found.sent < limit / 2


def test_trees_stop_early_on_a_part_of_their_own_and_go_one_way(tmp_path: Path) -> None:
    more = {"subsample": 0.8, "least_weight": 2, "rising": ["bank.z"], "row_bits": 2}
    more |= {"falling": ["bureau.a"]}  # the data say that it rises, so b is what is left
    more |= {"least_rows": 25}
    asked = job(folds=4, trees=40, early_stop=2, **more)
    result = run_job(Job.load(asked), tables_of(ROWS, SHARED), tmp_path / "out")
    trained: Any = result.federation.outcome.trained[0]
    forest = trained.trees.forest
    assert 0 < len(forest.trees) < 40
    trained.saved().fits(result.federation.outcomes["bureau"].won["churn"])
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["run"]["trainings"]["churn"]["trees"] == len(forest.trees)
    assert trained.trees.names[0] == "z"
    told = np.zeros((forest.partner_splits, 1), np.bool_)
    rest = [np.zeros(1, np.uint16) for _ in forest.layout.columns[1:]]
    cells = [np.full(1, cell, np.uint16) for cell in range(forest.layout.columns[0].cells)]
    scores = [forest.scores([cell, *rest], told)[0] for cell in cells]
    assert (np.diff(scores) >= -1e-12).all()
    ends = np.concatenate([tree.kind for tree in forest.trees])
    assert (ends != 0).any()
    said = "\n".join(in_words(result.federation.contract))
    assert "; each side of a split has 25 or more of the records that its tree is grown on" in said
    assert "that sides have 25 records is checked on bank's count" in said
    assert "each on 80% of the records, drawn by bank in secret" in said
    assert "; scores only rise with bank's z; scores only fall with bureau's a" in said
    assert "whether bureau splits it, and by a column with a way; how many bins" in said
    assert "which of its columns go with the label, and which way, WITHOUT noise" in said
    assert "they end when 2 trees bring nothing to a second part" in said
    assert "trees there are, which follows from the labels of the second part: 5.3 bits of" in said


def test_a_partner_s_column_goes_its_way(tmp_path: Path) -> None:
    asked, world = job(falling=["bureau.a"], row_bits=6), tables_of(ROWS, SHARED)
    turned = pc.negate(world["bureau.t"]["a"])
    world["bureau.t"] = world["bureau.t"].set_column(1, "a", turned)
    result = run_job(Job.load(asked), world, tmp_path / "out", baseline=True)
    trained: Any = result.federation.outcome.trained[0]
    won = result.federation.outcomes["bureau"].won["churn"]
    forest, layout = trained.trees.forest, won.binning.layout
    rows = layout.columns[0].cells
    bins = [np.arange(rows, dtype=np.uint16), np.zeros(rows, np.uint16)]
    told = np.array([~split.left[bins[split.column]] for split in won.splits])
    own = [np.zeros(rows, np.uint16) for _ in forest.layout.columns]
    assert (np.diff(forest.scores(own, told)) <= 1e-12).all()
    said = [words for words in won.words() if words.startswith("a ")]
    assert said
    assert all(words.startswith("a > ") for words in said)  # what goes left has the lower scores
    (check,) = result.metrics["run"]["plaintext_baseline"]
    assert abs(check["fold_auc_difference"]) < 0.1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"rising": ["bank.c"]}, "'churn' rising: column 'bank.c' is a category, numbers allowed"),
        ({"falling": ["bureau.b"]}, "falling: column 'bureau.b' is a category, numbers allowed"),
        (
            {"least_rows": 161},
            "least_rows = 161 found, at most 160 allowed: 640 rows can be shared",
        ),
        ({"folds": 5, "early_stop": 3, "least_rows": 193}, "at most 192 .* grown on 384 of them"),
        ({"subsample": 0.05, "least_rows": 9}, "at most 8 allowed"),
    ],
)
def test_what_no_tree_could_go_by_is_known_before_anything_is_signed(
    asked: dict[str, Any], said: str, tmp_path: Path
) -> None:
    tables = tables_of(ROWS, SHARED)
    if "falling" in asked:
        words = pa.array(["x", "y"] * (SHARED // 2))
        tables["bureau.t"] = tables["bureau.t"].set_column(2, "b", words)
    wanted, source = Job.load(job(**asked)), MemorySource(tables)
    with pytest.raises(Refused, match=said):
        describe(wanted, source)
    found = [way for party in ("bank", "bureau") for way in in_the_way(wanted, party, source)[0]]
    together = (
        []
        if found
        else in_the_way_together(
            wanted,
            {
                party: terms
                for party in ("bank", "bureau")
                if (terms := in_the_way(wanted, party, source)[1])
            },
            source,
            (),
        )
    )
    assert re.search(said, " ".join(found + together))
    with pytest.raises(Refused, match=said):
        run_job(wanted, tables, tmp_path / "out")
    assert not list((tmp_path / "out").glob("parties/*/ledger.jsonl")), "no step has begun"


def test_labels_are_counted_where_they_are() -> None:
    tables, asked = tables_of(ROWS, SHARED), job(least_rows=150)
    y = tables["bank.t"]["y"].to_numpy().copy()
    y[::2] = np.nan
    tables["bank.t"] = tables["bank.t"].set_column(3, "y", pa.array(y))
    with pytest.raises(Refused, match=r"allowed: 350 rows of bank\.t have a label, and a tree"):
        describe(Job.load(asked), MemorySource(tables))


def test_trees_without_a_split_say_why(tmp_path: Path) -> None:
    result = run_job(Job.load(job(least_weight=10000)), tables_of(ROWS, SHARED), tmp_path / "out")
    (model,) = result.metrics["models"].values()
    (why,) = model["warnings"]
    assert re.search(r"No tree has a split, .* with least_rows = 0 and least_weight = 10000", why)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "No tree has a split" in page
    assert "no better than chance" not in page
    (trained,) = result.federation.outcome.trained
    assert isinstance(trained, Grown)
    few = replace(trained, terms=replace(trained.terms, least_rows=300))
    (why,) = without_split(few)  # where fewer records are shared than tables have
    assert "least_rows = 300 is above half of the 313 shared records" in why


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (job(folds=2, early_stop=3), "folds: '2' found, 3 to 20 with early_stop"),
        (job(rising=["bureau.z"]), "rising: 'bureau.z' found, columns of the parties' features"),
        (job(subsample=0), "subsample: 0"),
        (job(folds=0), "folds: '0' found, 2 to 20 for trees allowed"),
        (
            job(BUREAU, *(TELECOM | {"name": f"t{n}", "table": f"t{n}.t"} for n in range(3))),
            "columns of 4 partners found",
        ),
        (job(trees=301), "trees: 301 found, 1 to 300"),
        (job(evaluations=3), "evaluations"),
    ],
)
def test_what_trees_cannot_be_is_refused_in_the_job_file(asked: Any, said: str) -> None:
    with pytest.raises(JobError, match=said):
        Job.load(asked)


def test_trees_of_pairs_and_of_split_rows_are_refused() -> None:
    with pytest.raises(JobError, match='take each record once: duplicates = "join"'):
        nameless_draft(Job.load(job(align={"duplicates": "join"})))
    rows = job(split="horizontal", label="y")
    del rows["align"]
    rows["party"] = [{k: v for k, v in p.items() if k != "keys"} for p in rows["party"]]
    with pytest.raises(JobError, match="model: 'trees' found, logistic where rows are split"):
        Job.load(rows)


def drafted(**fields: int) -> Contract:
    made = nameless_draft(Job.load(job()))
    parties = tuple(
        replace(p, rows=fields.get("rows", 5000), design_columns=(2,), protocols=("ecdh",))
        for p in made.parties
    )
    return replace(made, parties=parties)


def test_too_few_and_too_many_rows_are_refused_before_a_signature() -> None:
    with pytest.raises(Refused, match="at most 100 rows can be shared, at least 134 needed"):
        complete(drafted(rows=100))
    with pytest.raises(Refused, match="5,000,000 rows can be shared, 4,000,000 allowed for trees"):
        complete(drafted(rows=5_000_000))
    few = complete(drafted())
    few = replace(few, parties=tuple(replace(p, rows=100) for p in few.parties))
    with pytest.raises(PeerError, match="trees of at most 100 rows, at least 134 needed"):
        replace(few, disclosures=disclosures(few)).check()  # whoever proposed it
    idle = drafted()
    idle = idle.with_party(replace(idle.party("bureau"), design_columns=(0,)))
    with pytest.raises(JobError, match="no usable column of bureau"):
        complete(idle)


@pytest.mark.parametrize(
    "change",
    [
        {"partners": ("bureau", "telecom")},
        {"partners": ()},
        {"folds": 0},
        {"trees": 0},
        {"depth": 7},
        {"learning_rate": 0},
        {"penalty": 0},
        {"subsample": 0},
        {"early_stop": 5},
        {"rising": (FeatureTerms("bank", ("a",)),)},
        {"rising": (FeatureTerms("telecom", ("z",)),)},
        {"rising": (FeatureTerms("bureau", ("a",)),), "falling": (FeatureTerms("bureau", ("a",)),)},
        {"row_bits": 0},
        {"score_bits": 5},
        {"evaluations": 2},
        {"model": "logistic"},
        {"split": "horizontal"},
    ],
)
def test_a_partner_refuses_terms_that_make_no_trees(change: dict[str, Any]) -> None:
    made = complete(drafted())
    made = replace(made, disclosures=disclosures(made))
    made.check()
    with pytest.raises(PeerError):
        replace(made, train=(replace(made.train[0], **change),)).check()


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (np.zeros(ROWS), "1 class|0 rows of its rarer class|one class|two"),
        (np.where(np.arange(ROWS) < 30, 1.0, 0.0), "30 rows of its rarer class, at least 67"),
    ],
)
def test_a_label_that_trees_cannot_learn_ends_a_job_before_anything_is_told(
    label: np.ndarray, said: str, tmp_path: Path
) -> None:
    world = tables_of(ROWS, SHARED)
    world["bank.t"] = world["bank.t"].drop_columns("y").append_column("y", pa.array(label))
    with pytest.raises(FedprofileError, match=said):
        run_job(Job.load(job()), world, tmp_path / "out")
