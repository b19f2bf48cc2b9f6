"""A whole job with boosted trees, or a scorecard, of which a party is killed: it goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from federated.contract.kinds import train_hidden
from federated.evaluation import auc
from federated.hidden_trees import party
from federated.ledger.account import verify_ledger
from federated.scoring.store import ModelStore
from federated.steps.outcome import Carded, HiddenGrown
from tests.e2e.test_resume_job import NAMES, PINNED, Party, play

EACH = 1 if os.environ.get("FEDPROFILE_EVERY_KILL") else 20
"""Kills are at every so many messages: of one party at others than of the other."""
TREES = """
model = "trees"
trees = 2
depth = 2
folds = 2
row_bits = 4
least_rows = 30
rising = ["bureau.loans", "bank.balance"]
falling = ["bureau.overdue"]
"""
HIDDEN = 'model = "trees"\ntells = "nothing"\ntrees = 2\ndepth = 2\nfolds = 2'
CARD = """
model = "scorecard"
folds = 2

[[binning]]
label = "bank.churned"
epsilon = 10
bins = 3
"""
TELECOM = """
[[party]]
name = "telecom"
table = "telecom.use"
keys = [["id_no"]]
features = ["usage", "queries"]"""
ROWS = 900


def prepare(folder: Path, train: str) -> None:
    """The small job with this training alone, over more rows: noise leaves no column idle."""
    rng = np.random.default_rng(5)
    ids, hidden = [f"id{i:05d}" for i in range(ROWS)], rng.normal(size=(ROWS, 6)).round(4)
    churned = rng.random(ROWS) < 1 / (1 + np.exp(-hidden @ [1.2, -0.8, 0.5, 0.0, 0.5, 0.0]))
    bureau = pd.DataFrame(hidden[:, :4], columns=["loans", "overdue", "usage", "queries"])
    bureau.insert(0, "id_no", ids)
    bank = pd.DataFrame(hidden[:, 4:], columns=["balance", "tenure"])
    bank = bank.assign(id=ids, name=ids, segment="basic", churned=churned.astype(int))
    bank.to_csv(folder / "bank.csv", index=False)
    bureau[: ROWS - 100].to_csv(folder / "bureau.csv", index=False)
    path = folder / "job.toml"
    text = path.read_text()
    head, rest = text.split("[[aggregate]]")[0], text.split("[train]")[1].split("\n\n")[0]
    kept = [line for line in rest.splitlines() if line.split(" =")[0] in ("task", "label")]
    path.write_text(f"{head}\n[train]\n" + "\n".join(kept) + f"\n{train}\n")


def check(parties: dict[str, Party], small: Path, home: Path) -> np.ndarray:
    """Both parts are of one training, and give the scores that were told: log odds."""
    for name, player in parties.items():
        assert player.error is None, [(p.party, p.error) for p in parties.values()]
        verify_ledger(home / name / "ledger.jsonl", PINNED[name])
        assert not (home / name / "journal").exists()
    mine, theirs = (parties[name].outcome for name in NAMES)
    assert mine is not None
    assert theirs is not None
    trained: Any = mine.trained[0]
    tables = [
        pa.Table.from_pandas(pd.read_csv(small / f"{name}.csv")).take(pa.array(outcome.rows))
        for name, outcome in zip(NAMES, (mine, theirs), strict=True)
    ]
    told = np.asarray(trained.model.link(trained.scores))
    if isinstance(trained, HiddenGrown):
        assert len(told) == len(mine.rows) == len(theirs.rows)
        assert auc(trained.label, told) > 0.6
        return told
    if isinstance(trained, Carded):
        task = trained.terms.task
        part: Any = theirs.parts[task]
        theirs_scores = part.scores(theirs.coded[task].transform(tables[1])[0])
        again = trained.part.scores(trained.own_matrix) + theirs_scores
        assert np.corrcoef(told, again)[0, 1] > 0.99  # noise of 2^-5 of the partner's part
        return told
    trained.trees.fits(theirs.won[trained.terms.task])
    sides = theirs.won[trained.terms.task].sides(tables[1])
    again = trained.trees.scores(tables[0], sides)
    assert np.allclose(again, told, atol=1e-9)
    return told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "kills"),
    [(TREES, {"bank": 0.8, "bureau": 0.7}), (CARD, {"bureau": 0.9}), (HIDDEN, {"bureau": 0.8})],
    ids=["trees", "scorecard", "trees that tell nothing"],
)
def test_a_job_goes_on_after_a_kill(
    small: Path,
    tmp_path: Path,
    train: str,
    kills: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (train_hidden, party):  # noise of four rows on a sum of some hundred
        monkeypatch.setattr(module, "FEWEST_ROWS", 500)
    prepare(small, train)
    plain = play(small, tmp_path / "plain", {})
    check(plain, small, tmp_path / "plain")
    for victim, part in kills.items():
        home = tmp_path / victim
        parties = play(small, home, {victim: int(plain[victim].frames * part)})
        assert parties[victim].lives == 2
        check(parties, small, home)


@pytest.mark.slow
@pytest.mark.parametrize("victim", NAMES)
def test_trees_go_on_wherever_a_party_is_killed(small: Path, tmp_path: Path, victim: str) -> None:
    prepare(small, TREES)
    frames = play(small, tmp_path / "plain", {})[victim].frames
    back = 0
    for fatal in range(3 + 5 * NAMES.index(victim), frames + 1, EACH):
        home = tmp_path / f"{victim}-{fatal}"
        parties = play(small, home, {victim: fatal})
        back += parties[victim].lives == 2
        check(parties, small, home)
    assert back >= (frames - 8) // EACH


def three(small: Path) -> None:
    """The job with a telecom that has half of the bureau's columns."""
    prepare(small, TREES.replace("trees = 2", "trees = 3").replace("row_bits = 4", "row_bits = 1"))
    whole = pd.read_csv(small / "bureau.csv")
    whole[["id_no", "usage", "queries"]].to_csv(small / "telecom.csv", index=False)
    whole[["id_no", "loans", "overdue"]].to_csv(small / "bureau.csv", index=False)
    with (small / "tables.toml").open("a") as file:
        file.write('[telecom.use]\npath = "telecom.csv"\n')
    job = (small / "job.toml").read_text()
    job = job.replace('"overdue", "usage", "queries"]', f'"overdue"]\n{TELECOM}')
    (small / "job.toml").write_text(job)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [*NAMES, "telecom"])
def test_trees_of_three_parties_and_a_scoring_by_them_go_on_after_kills(
    small: Path, tmp_path: Path, victim: str
) -> None:
    three(small)
    models = tmp_path / "models"
    plain = play(small, tmp_path / "plain", {}, models=models)
    outcome = plain["bank"].outcome
    assert outcome is not None
    trained: Any = outcome.trained[0]
    for share in (0.5, 0.8, 0.9):
        parties = play(small, tmp_path / f"{share}", {victim: int(plain[victim].frames * share)})
        assert [each.error for each in parties.values()] == [None] * 3
        assert parties[victim].lives == 2
        again = parties["bank"].outcome
        assert again is not None
        for number, name in enumerate(("bureau", "telecom")):
            won = parties[name].outcome
            assert won is not None
            again.trained[0].trees.fits(won.won["churn"], number)  # type: ignore[attr-defined]
    said = ModelStore(models / "bank").find("churn")
    asked = f'task = "churn"\nmodel = "{said.id}"\nrow_bits = {said.told}\n'
    text = (small / "job.toml").read_text().split("[train]")[0]
    (small / "score.toml").write_text(f"{text}[[score]]\n{asked}")
    given: dict[str, Any] = {"job_file": "score.toml", "models": models}
    frames = play(small, tmp_path / "scored", {}, **given)[victim].frames
    for share in (0.7, 0.9):
        home = tmp_path / f"scored-{share}"
        parties = play(small, home, {victim: int(frames * share)}, **given)
        assert [each.error for each in parties.values()] == [None] * 3
        scored = parties["bank"].outcome
        assert scored is not None
        found = scored.scored[0]
        assert np.allclose(found.part.answers.predict(found.scores), trained.scores, atol=1e-12)


@pytest.mark.slow
def test_a_scoring_by_trees_that_tell_nothing_goes_on_after_a_kill(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fourth message: the same scores, and those of the training."""
    for module in (train_hidden, party):
        monkeypatch.setattr(module, "FEWEST_ROWS", 500)
    prepare(small, HIDDEN)
    models = tmp_path / "models"
    grown = play(small, tmp_path / "grown", {}, models=models)["bank"].outcome
    assert grown is not None
    (trained,) = grown.trained
    text = (small / "job.toml").read_text()
    said = ModelStore(models / "bank").find(trained.terms.task)
    asked = f'task = "{said.task}"\nmodel = "{said.id}"\nscore_bits = {said.told}'
    score = f"[[score]]\n{asked}\ntrees = 2\ndepth = 2\n"
    (small / "score.toml").write_text(text.split("[train]")[0] + score)

    def scored(home: Path, fatal: dict[str, int]) -> dict[str, Party]:
        parties = play(small, home, fatal, job_file="score.toml", models=models)
        assert [each.error for each in parties.values()] == [None, None]
        for name in NAMES:
            verify_ledger(home / name / "ledger.jsonl", PINNED[name])
        outcome = parties["bank"].outcome
        assert outcome is not None
        (found,) = outcome.scored
        assert np.array_equal(found.part.answers.predict(found.scores), trained.scores)
        return parties

    plain = scored(tmp_path / "plain", {})
    for victim in NAMES:
        for fatal in range(3, plain[victim].frames + 1, 4):
            home = tmp_path / f"{victim}-{fatal}"
            assert scored(home, {victim: fatal})[victim].lives == 2
