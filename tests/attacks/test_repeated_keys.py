"""A receiver that holds one person's row many times, where all pairs are joined.

Its input is its own and every message is by the product's code. A person of the bureau's must not
become a group by being there 25 times, nor outweigh the noise by being there 500 times; and the
other way round, a customer of the bank's must not show the bureau its segment by having many rows.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated.aggregate.section_audit import SectionAudit
from federated.regression import FeatureParty, LabelParty, told_bits
from psi.protocol import JobError, PeerError, Refused
from tests.attacks.world import NEW_POLICY, World, drafted
from tests.unit.regression.world import World as World_
from tests.unit.regression.world import context, plan

JOINED = NEW_POLICY.replace('duplicates = ["collapse"]', 'duplicates = ["collapse", "join"]')
JOINED = JOINED.replace("key_bits = 3072", "key_bits = 2048")
HEAD = """
[job]
name = "segments"
purpose = "retention"
key_bits = 2048
[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]
[align]
minimum_overlap = 100
duplicates = "join"
"""
MEAN = """
[[aggregate]]
by = "bank.seg"
measures = ["bureau.income:mean"]
minimum_group = 20
"""
CATEGORY = """
[[aggregate]]
by = "bureau.sector"
categories = ["public", "private"]
epsilon = 0.1
"""
ALLOW = {"income": "aggregate", "sector": "aggregate"}
N = 200
IDS = [f"id{i:04d}" for i in range(N)]
TARGET = IDS[17]


TRAIN = """
[train]
task = "churn"
label = "bank.y"
folds = 0
evaluations = 4
"""


def bureau(seed: int = 5, more: int = 0) -> pa.Table:
    """One row a person; the target has `more` besides."""
    rng = np.random.default_rng(seed)
    income = np.round(rng.lognormal(10, 0.5, N + more), 2)
    sector = [["public", "private", "none"][i] for i in rng.integers(0, 3, N + more)]
    return pa.table({"id": [*IDS, *[TARGET] * more], "income": income, "sector": sector})


def world(folder: Path, table: pa.Table, policy: str = JOINED) -> World:
    return World(folder, table, ALLOW, policy=policy)


def test_a_new_node_joins_no_repeats(tmp_path: Path) -> None:
    policy = NEW_POLICY.replace("key_bits = 3072", "key_bits = 2048")
    done = world(tmp_path, bureau(), policy).run(HEAD + MEAN, pa.table({"id": IDS, "seg": IDS}))
    assert done.outcome is None
    assert "duplicates 'join' asked, collapse allowed" in str(done.errors["bureau"])


@pytest.mark.parametrize("book", [True, False])
def test_one_person_many_times_is_no_group(tmp_path: Path, book: bool) -> None:
    policy = JOINED if book else JOINED.replace("minimum_difference = 10", "minimum_difference = 0")
    people = [i for i in IDS if i != TARGET] + [TARGET] * 25
    bank = pa.table({"id": people, "seg": ["rest"] * (N - 1) + ["T"] * 25})
    done = world(tmp_path, bureau(), policy).run(HEAD + MEAN, bank)
    assert done.outcome is not None, done.errors
    _, told = done.outcome.aggregates[0]
    assert np.isnan(told.values[0]).all()  # the others' sum would give hers by the total


@pytest.mark.parametrize("book", [True, False])
def test_weights_do_not_isolate_a_person_between_two_groups(tmp_path: Path, book: bool) -> None:
    """Both groups are of the same twenty persons and more, but one holds the target 25 times."""
    policy = JOINED if book else JOINED.replace("minimum_difference = 10", "minimum_difference = 0")
    others = [i for i in IDS if i != TARGET][:40]
    people = others + [TARGET] * 25 + others + [TARGET] + IDS[60:]
    seg = ["one"] * 65 + ["two"] * 41 + ["rest"] * (N - 60)
    table = bureau()
    done = world(tmp_path, table, policy).run(HEAD + MEAN, pa.table({"id": people, "seg": seg}))
    assert done.outcome is not None, done.errors
    _, told = done.outcome.aggregates[0]
    one, two = (told.values[0][told.groups.index(g)] for g in ("one", "two"))
    income = table.column("income")[17].as_py()
    assert not np.isclose((one * 65 - two * 41) / 24, income)


@pytest.mark.parametrize("moved", ["person", "row"])
@pytest.mark.parametrize("apart", [False, True])
def test_two_segments_that_differ_in_one_row_of_a_repeated_person_do_not_tell_it(
    tmp_path: Path, moved: str, apart: bool
) -> None:
    """The target has two rows. One of them is in another group in the second segment, of the same
    job or of one a month later; for comparison both are. The difference of sums is her income."""
    people = [*IDS, TARGET]
    first = ["one" if n < 100 else "two" for n in range(N)] + ["one"]
    second = [*first[:-1], "two"]
    if moved == "person":
        second[17] = "two"
    sums = MEAN.replace("income:mean", "income:sum")
    again = sums.replace("bank.seg", "bank.also")
    table, place = pa.table({"id": people, "seg": first, "also": second}), world(tmp_path, bureau())
    found = []
    for job in [HEAD + sums, HEAD + again] if apart else [HEAD + sums + again]:
        done = place.run(job, table)
        if done.outcome is not None:
            found += [
                told.values[0][told.groups.index("one")] for _, told in done.outcome.aggregates
            ]
    assert not np.isnan(found[0])
    if apart:
        assert len(found) == 1
        assert "too few records apart from earlier answers" in str(done.errors["bureau"])
    else:
        assert np.isnan(found[1])


def test_noise_covers_all_pairs_of_a_person(tmp_path: Path) -> None:
    """500 rows of one person move a count by 500: at epsilon .1 the noise is of scale 10,000."""
    people = [i for i in IDS if i != TARGET] + [TARGET] * 500
    done = world(tmp_path, bureau()).run(HEAD + CATEGORY, pa.table({"id": people}))
    assert done.outcome is not None, done.errors
    _, told = done.outcome.categories[0]
    assert told.scales == [2 * 500 * 10]


def test_many_rows_at_the_bureau_do_not_show_it_a_customers_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer with 300 loans is one more in the counts that the bureau opens, not 300."""
    opened: list[np.ndarray] = []
    real = SectionAudit.told

    def told_(self: SectionAudit, cells: Any, groups: int, counts: Any, atoms: Any) -> Any:
        opened.append(counts)
        return real(self, cells, groups, counts, atoms)

    monkeypatch.setattr(SectionAudit, "told", told_)
    bank = pa.table({"id": IDS, "seg": ["a", "b"] * (N // 2)})
    done = world(tmp_path, bureau(more=299)).run(HEAD + MEAN, bank)
    assert done.outcome is not None, done.errors
    assert opened[0].tolist() == [[N // 2, N // 2]] * 2
    _, told = done.outcome.aggregates[0]
    assert told.rows.tolist() == [N // 2, N // 2 + 299]
    assert not np.isnan(told.values[0]).any()


def test_training_is_guarded_by_records_too(tmp_path: Path) -> None:
    """A column in which one person differs 25 times; a class that is one customer 25 times."""
    rare = pa.array([float(i == TARGET) for i in IDS])
    table = bureau().append_column("rare", rare)
    rng = np.random.default_rng(1)
    columns = [f"f{i}" for i in range(4)]
    for name in columns:
        table = table.append_column(name, pa.array(rng.normal(size=N)))
    allow = dict.fromkeys(["rare", *columns], "feature")

    def job(*features: str) -> str:
        own = HEAD.replace(
            'keys = [["id"]]\n[align]', f'keys = [["id"]]\nfeatures = {[*features]}\n[align]'
        )
        return own.replace("'", '"') + TRAIN

    people = IDS + [TARGET] * 24
    y = rng.integers(0, 2, len(people))
    few = JOINED.replace("row_share = 0.4", "row_share = 1")  # 200 rows hold 7.6 bits
    place = World(tmp_path, table, allow, policy=few)
    done = place.run(job("rare", *columns), pa.table({"id": people, "y": y}))
    assert "fewer than 20 records" in str(done.errors["bureau"])
    one = np.array([int(i == TARGET) for i in people])
    done = place.run(job(*columns), pa.table({"id": people, "y": one}))
    assert "1 labelled rows of one class" in str(done.errors["bank"])


def test_a_person_of_several_rows_is_told_as_many_times_and_counted_so(tmp_path: Path) -> None:
    """Three rows of one person tell three times the bits; forty rows of hers at the bank do not."""
    table, rng = bureau(more=2), np.random.default_rng(1)
    columns = [f"f{i}" for i in range(4)]
    for name in columns:
        table = table.append_column(name, pa.array(rng.normal(size=N + 2)))
    own = HEAD.replace("[align]", f"features = {columns}\n[align]".replace("'", '"'))
    people = IDS + [TARGET] * 39
    bank = pa.table({"id": people, "y": rng.integers(0, 2, len(people))})
    for share, passes in ((0.7, False), (1, True)):  # a row holds 7.7 bits
        policy = JOINED.replace("row_share = 0.4", f"row_share = {share}")
        policy = policy.replace("row_left = 7", "row_left = 0")
        folder = tmp_path / str(share)
        folder.mkdir()
        place = World(folder, table, dict.fromkeys(columns, "feature"), policy=policy)
        done = place.run(own + TRAIN + "score_bits = 2\n", bank)
        if passes:
            assert done.outcome is not None, done.errors
            told = place.releases.told("bureau.people", "bank")
            assert told == pytest.approx(3 * told_bits(2), abs=1e-4)
        else:
            assert "6.1 bits of a row of bureau.people asked" in str(done.errors["bureau"])


def test_copies_of_a_person_in_every_fold_are_refused_by_the_partner() -> None:
    """Each fold's model would tell her row once more, with fresh noise, at `score_bits`."""
    honest = World_.of(300)
    rows = np.append(np.arange(300), np.repeat(np.arange(40), 3))
    folds = np.append(honest.folds, np.tile(np.arange(3), 40))
    terms = plan(420, folds=3)
    for found, said in ((honest.folds[rows], ""), (folds, "several folds")):
        bureau = FeatureParty(
            context("bureau"), "bank", honest.b[rows], plan=terms, records=rows, repeats=rows
        )
        bureau.start()
        lying = LabelParty(  # which does not look at its own
            context("bank"), ["bureau"], honest.a[rows], honest.y[rows], plan=terms, folds=found
        )
        setup = lying.start().messages[0]
        if said:
            with pytest.raises(Refused, match=said):
                bureau.receive(setup)
        else:
            bureau.receive(setup)


def test_exact_counts_by_category_need_one_row_for_each_record(tmp_path: Path) -> None:
    exact = CATEGORY.replace("epsilon = 0.1", 'noise = "none"')
    with pytest.raises(JobError, match="'none' found, laplace allowed"):
        drafted(tmp_path, HEAD + exact)
    made = drafted(tmp_path, HEAD + CATEGORY)
    bare = replace(made.category[0], noise="none", epsilon=0)
    with pytest.raises(PeerError, match="duplicates = collapse"):
        replace(made, category=(bare,)).check()
