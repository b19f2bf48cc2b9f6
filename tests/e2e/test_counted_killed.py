"""A whole job that tells counts by score and who is on a list, of which a party is killed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from federated.ledger.account import verify_ledger
from federated.models import LinearPart
from federated.tables.encoding import Encoder
from tests.e2e.test_resume_job import NAMES, PINNED, Party, play
from tests.e2e.test_trees_killed import prepare

COUNTED = """score_bits = 0
folds = 0
evaluations = 3
noise = 0

[[target]]
product = "p"
top = 100
tells = "list"
score_bits = 4
"""
LAST = 26
"""Frames of a party from the first count on, about: the fit's are killed elsewhere."""


def check(parties: dict[str, Party], small: Path, home: Path) -> None:
    """Counts, list and scores are those of the two parts that were trained."""
    for name, party in parties.items():
        assert party.error is None, [(p.party, p.error) for p in parties.values()]
        verify_ledger(home / name / "ledger.jsonl", PINNED[name])
        assert not (home / name / "journal").exists()
    mine, theirs = (parties[name].outcome for name in NAMES)
    assert mine is not None
    assert theirs is not None
    (counted,) = mine.counted
    part, told = theirs.parts["churn"], counted.told
    assert isinstance(part, LinearPart)
    assert told is not None
    table = pa.csv.read_csv(small / "bureau.csv").take(pa.array(theirs.rows))
    columns = [name for name in table.column_names if name != "id_no"]
    own = counted.trained.part.scores(counted.trained.own_matrix)
    added = part.scores(Encoder.fit(table, columns).transform(table)[0])
    total = own + added - added.mean()
    assert 60 < told.listed.sum() < 160
    assert total[told.listed].min() > np.quantile(total, 0.7)
    assert np.corrcoef(told.scores[told.listed], total[told.listed])[0, 1] > 0.9  # type: ignore[index]
    assert abs(int(counted.counts[0].sum()) - len(total)) < 100  # noise of 1 on each of 128
    order = np.argsort(-total)[: int(told.listed.sum())]
    assert told.listed[order].mean() > 0.9


@pytest.mark.slow
def test_a_job_goes_on_after_a_kill_among_counts_and_lists(small: Path, tmp_path: Path) -> None:
    prepare(small, COUNTED)
    plain = play(small, tmp_path / "plain", {})
    check(plain, small, tmp_path / "plain")
    for place, victim in enumerate(NAMES):
        kills = range(plain[victim].frames - LAST, plain[victim].frames + 1)
        if not os.environ.get("FEDPROFILE_EVERY_KILL"):
            kills = kills[8 + 10 * place :: LAST]
        for fatal in kills:
            home = tmp_path / f"{victim}-{fatal}"
            parties = play(small, home, {victim: fatal})
            assert parties[victim].lives == 2
            check(parties, small, home)
