"""A count of shared records says which records are shared, to who chooses its sets: nobody lies.

The partner sees blinded items, so it cannot compare two sets. Its noise is on sums; the count of
the intersection is the receiver's own, exact.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from federated.contract.summary import in_words
from psi.protocol import Declined
from tests.attacks.test_join_sum_differencing import HEAD, HIDDEN, ROWS
from tests.attacks.test_join_sum_differencing import bureau as with_ids
from tests.attacks.world import NEW_POLICY, Run, World

COUNT = HEAD + '\n[align]\nreveal = "cardinality"\nminimum_overlap = 100\n'
IDS = [f"{number:06d}" for number in range(ROWS)]


def bank(*more: str) -> pa.Table:
    return pa.table({"id": [*IDS[1:200], *more]})


def shared(run: Run) -> int:
    assert run.outcome is not None, run.errors
    return int(run.outcome.alignments["bureau"].matched)


@pytest.mark.parametrize(
    "job", [COUNT, HEAD + HIDDEN.format("[0,5000]", "epsilon = 0.4")], ids=["count", "sum"]
)
def test_two_counts_that_differ_in_one_record_tell_whether_it_is_shared(
    tmp_path: Path, job: str
) -> None:
    """Noise on sums hides no membership, and the contract says so."""
    world = with_ids(tmp_path)
    sets = ((), IDS[:1], ("x",))[: 2 if job != COUNT else 3]  # epsilon lets two sums pass
    base, *more = (shared(world.run(job, bank(*added))) for added in sets)
    assert [each - base for each in more] == [1, 0][: len(more)]
    text = "\n".join(in_words(world.officer.read[0]))
    assert "by two sets that differ in one record" in text
    assert "hides whether" not in text
    # who is told the count of a sum may change its own set by one record as well
    assert ("the like of bank by two sets of its own" in text) == (job != COUNT)


def test_levels_of_keys_tell_of_one_record_by_one_count(tmp_path: Path) -> None:
    """It alone has a second key: whether some shared record shares two is whether it is shared."""
    table = pa.table({"id": IDS, "phone": [f"p{each}" for each in IDS]})
    job = COUNT.replace('keys = [["id"]]', 'keys = [["id"], ["phone"]]')
    world = World(tmp_path, table, {"id": "never", "phone": "never"}, keys=("id", "phone"))
    for aimed in (IDS[0], "x"):
        phones = [None] * 199 + [f"p{aimed}"]
        run = world.run(job, bank(aimed).append_column("phone", pa.array(phones, pa.string())))
        assert run.outcome is not None, run.errors
        found = run.outcome.alignments["bureau"]
        assert found.matched == 199 + (aimed == IDS[0])
    assert "whose levels of keys no other of its set has" in "\n".join(
        in_words(world.officer.read[0])
    )


def test_a_policy_that_hides_membership_names_no_count(tmp_path: Path) -> None:
    policy = NEW_POLICY.replace('reveal = ["both", "receiver", "cardinality"]', 'reveal = ["both"]')
    assert policy != NEW_POLICY
    refused = with_ids(tmp_path, policy).run(COUNT, bank())
    assert isinstance(refused.errors["bureau"], Declined)
